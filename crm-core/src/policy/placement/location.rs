//! Location constraints: reading them, and adding their scores to the tables.

use super::Placer;
use super::lookup::Named;
use super::pattern::Pattern;
use crate::policy::ix::{LocationIx, NodeIx, ResourceIx};
use crate::policy::ledger::{Change, Ledger, Source};
use crate::policy::state::rules::{self, Input, Notes};
use crate::policy::state::status::discovery_word;
use crate::policy::state::{Discovery, Location, Role, Variant};
use crate::policy::values::{INFINITY, add_scores};
use crate::policy::words;
use cib::Element;

impl<L: Ledger> Placer<'_, L> {
    /// One `rsc_location`.
    pub fn location(&mut self, e: &Element) {
        let id = e.id().unwrap_or("").to_owned();
        if let Some(name) = e.value(words::RSC) {
            match self.s.named(name) {
                Named::Resource(r) => {
                    self.location_of(e, r, e.value(words::ROLE), e.value(words::SCORE), &[])
                }
                Named::Many(names) => {
                    for r in self.s.members_of(name, &names) {
                        self.location_of(e, r, e.value(words::ROLE), e.value(words::SCORE), &[]);
                    }
                }
                Named::Nothing => self.s.unknown_name(&id, name),
            }
        }
        if let Some(text) = e.value(words::RSC_PATTERN) {
            self.pattern_location(e, &id, text);
        }
        if e.value(words::RSC).is_none() && e.value(words::RSC_PATTERN).is_none() {
            for set in self.s.resource_sets(e) {
                let role = set.role.as_deref().or(e.value(words::ROLE));
                let score = set.score.as_deref().or(e.value(words::SCORE));
                for r in self.s.members_or_complaint(&set) {
                    self.location_of(e, r, role, score, &[]);
                }
                if set.missing().is_some() {
                    return;
                }
            }
        }
    }

    fn pattern_location(&mut self, e: &Element, id: &str, text: &str) {
        let (inverted, source) = match text.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let Some(pattern) = Pattern::new(source) else {
            self.s.complaints.error(
                "location-pattern",
                id,
                format!("Ignoring constraint '{id}' because rsc-pattern has invalid value '{text}'"),
            );
            return;
        };
        for r in self.s.top.clone() {
            match pattern.search(&self.s[r].id) {
                Some(groups) if !inverted => {
                    self.location_of(e, r, e.value(words::ROLE), e.value(words::SCORE), &groups)
                }
                None if inverted => self.location_of(e, r, e.value(words::ROLE), e.value(words::SCORE), &[]),
                _ => {}
            }
        }
    }

    fn location_of(
        &mut self,
        e: &Element,
        r: ResourceIx,
        role: Option<&str>,
        score: Option<&str>,
        matches: &[String],
    ) {
        let id = e.id().unwrap_or("").to_owned();
        let discovery = match e.value(words::RESOURCE_DISCOVERY) {
            None => Discovery::Always,
            Some(word) => discovery_word(word).unwrap_or_else(|| {
                self.s.complaints.error(
                    "location-discovery",
                    &id,
                    format!("Invalid resource-discovery value {word} in location constraint"),
                );
                Discovery::Always
            }),
        };
        let filter = match role.map(Role::parse) {
            None => Role::Unknown,
            Some(Role::Unknown) => {
                let text = role.unwrap_or("").to_owned();
                self.s.complaints.error(
                    "location-role",
                    &id,
                    format!("Invalid constraint {id}: Bad role {text}"),
                );
                Role::Unknown
            }
            Some(x @ (Role::Stopped | Role::Promoted)) => x,
            Some(_) => Role::Unknown,
        };
        if let (Some(node), Some(score)) = (e.value(words::NODE), score) {
            let score = self.s.score(Some(score));
            let Some(n) = self.s.node_by_name(node) else { return };
            self.new_location(Location {
                id,
                health: false,
                rule: None,
                resource: r,
                role: filter,
                discovery,
                nodes: vec![(n, score)],
            });
            return;
        }
        let mut any = false;
        for rule in e.children_named("rule") {
            any = true;
            let mut notes = Notes::default();
            let root = self.s.root.clone();
            let expanded = rules::expand(&root, rule, &mut notes).cloned();
            self.s.absorb(notes);
            if let Some(rule) = expanded {
                self.rule_location(&id, &rule, r, discovery, matches);
            }
        }
        if !any {
            self.s.complaints.error(
                "location-no-rule",
                &id,
                format!("Ignoring constraint '{id}' because it contains no rules"),
            );
        }
    }

    fn rule_location(
        &mut self,
        id: &str,
        rule: &Element,
        r: ResourceIx,
        discovery: Discovery,
        matches: &[String],
    ) {
        let rule_id = rule.id().unwrap_or("").to_owned();
        // The role of the constraint around it says nothing (Pacemaker 2.1.5 behaviour).
        let filter = match rule.value(words::ROLE) {
            None => Role::Unknown,
            Some(text) => match Role::parse(text) {
                Role::Unknown => {
                    self.s.complaints.error(
                        "rule-role",
                        &rule_id,
                        format!("Bad role specified for {rule_id}: {text}"),
                    );
                    return;
                }
                Role::Unpromoted => Role::Unknown,
                role => role,
            },
        };
        let score_attribute = match (rule.value(words::SCORE), rule.value(words::SCORE_ATTRIBUTE)) {
            (None, Some(a)) => Some(rules::expand_matches(a, matches).into_owned()),
            _ => None,
        };
        let fixed = match (rule.value(words::SCORE), &score_attribute) {
            (Some(s), _) => self.s.score(Some(s)),
            (None, Some(_)) => 0,
            (None, None) => {
                self.s.complaints.error(
                    "rule-score",
                    &rule_id,
                    format!("Rule {rule_id}: no score specified.  Assuming 0."),
                );
                0
            }
        };
        let or = rule.value(words::BOOLEAN_OP).is_some_and(|b| b.eq_ignore_ascii_case("or"));
        let mut notes = Notes::default();
        let mut nodes = Vec::new();
        let root = self.s.root.clone();
        for n in self.s.node_order.clone() {
            let params = self.s.parameters(r, Some(n));
            let mut input = Input::new(&root, self.s.moment());
            input.node = Some(&self.s[n].attributes);
            input.matches = matches;
            input.params = Some(&params);
            input.meta = Some(&self.s[r].meta);
            if !rules::evaluate(rule, &input, &mut notes) {
                continue;
            }
            let score = match &score_attribute {
                None => fixed,
                Some(a) => match self.s.attribute_for(n, a, r) {
                    Some(text) => self.s.score(Some(text)),
                    None => -INFINITY,
                },
            };
            let score = if or { add_scores(self.s[n].score, score) } else { score };
            nodes.push((n, score));
        }
        if !or {
            // As the reference lists them: `and` takes each node it finds before those it had.
            nodes.reverse();
        }
        self.s.absorb(notes);
        self.new_location(Location {
            id: id.to_owned(),
            health: false,
            rule: Some(rule_id),
            resource: r,
            role: filter,
            discovery,
            nodes,
        });
    }

    /// Takes a location record up.
    pub fn new_location(&mut self, location: Location) {
        let r = location.resource;
        if location.discovery == Discovery::Exclusive {
            self.s[r].flags.exclusive_discovery = true;
        }
        let ix = LocationIx::new(self.s.locations.len());
        self.s.locations.push(location);
        self.s[r].locations.insert(0, ix);
    }

    /// Applies every record, the newest first.
    pub fn apply_locations(&mut self) {
        for i in (0..self.s.locations.len()).rev() {
            let ix = LocationIx::new(i);
            let location = self.s.locations[i].clone();
            self.apply_location(ix, &location, location.resource, false);
        }
    }

    fn apply_location(&mut self, ix: LocationIx, location: &Location, r: ResourceIx, zero: bool) {
        match self.s[r].variant() {
            Variant::Primitive => self.add_location(location, r, zero),
            Variant::Group => {
                self.add_location(location, r, zero);
                let colocated = self.s.is_colocated_group(r);
                for (i, c) in self.s[r].children.clone().into_iter().enumerate() {
                    self.apply_location(ix, location, c, zero || (colocated && i > 0));
                }
            }
            Variant::Clone => {
                self.add_location(location, r, zero);
                for c in self.s[r].children.clone() {
                    self.apply_location(ix, location, c, zero);
                }
            }
            Variant::Bundle => {
                self.add_location(location, r, zero);
                let Some(b) = self.s[r].bundle_info() else { return };
                let inner = b.child;
                let parts: Vec<ResourceIx> =
                    b.replicas.iter().flat_map(|x| std::iter::once(x.container).chain(x.ip)).collect();
                for p in parts {
                    self.apply_location(ix, location, p, zero);
                }
                if let (Some(clone), Role::Promoted) = (inner, location.role) {
                    self.apply_location(ix, location, clone, zero);
                    self.s[clone].locations.insert(0, ix);
                }
            }
        }
    }

    fn add_location(&mut self, location: &Location, r: ResourceIx, zero: bool) {
        if location.role != Role::Unknown && location.role != self.s[r].next_role {
            return;
        }
        let source = match location.health {
            true => Source::Health { strategy: &location.id },
            false => Source::Location { constraint: &location.id, rule: location.rule.as_deref() },
        };
        for (n, score) in &location.nodes {
            let score = if zero { 0 } else { *score };
            let own_discovery = self.s[*n].discovery;
            let n = &self.s.entry_for(r, *n);
            let row = &mut self.s[r].table;
            match row.get_mut(*n) {
                Some(e) => {
                    e.score = add_scores(e.score, score);
                    self.ledger.note(r, *n, Change::Add(score), source);
                }
                None => {
                    // Nodes of bundles are not probed for what is not theirs, a constraint or not.
                    row.insert(*n, score, own_discovery);
                    self.ledger.note(r, *n, Change::Enter(score), source);
                }
            }
            if let Some(e) = row.get_mut(*n)
                && e.discovery < location.discovery
            {
                e.discovery = location.discovery;
                if location.discovery == Discovery::Exclusive {
                    self.s[r].flags.exclusive_discovery = true;
                }
            }
        }
    }

    /// Node health as location records of every top-level resource.
    pub fn health(&mut self) {
        use crate::policy::state::HealthStrategy;
        let strategy = self.s.options.health_strategy;
        if strategy == HealthStrategy::None {
            return;
        }
        let base = if strategy == HealthStrategy::Progressive { self.s.options.health_base } else { 0 };
        for n in self.s.node_order.clone() {
            let health = self.s[n]
                .attributes
                .iter()
                .filter(|(name, _)| name.starts_with("#health"))
                .fold(base, |sum, (_, v)| add_scores(sum, self.s.score(Some(v))));
            if health == 0 {
                continue;
            }
            for r in self.s.top.clone() {
                let allowed = health < 0
                    && self.s[r]
                        .meta("allow-unhealthy-nodes")
                        .is_some_and(|v| crate::policy::values::is_true(Some(v)));
                if !allowed {
                    self.new_location(Location {
                        id: strategy.word().to_owned(),
                        health: true,
                        rule: None,
                        resource: r,
                        role: Role::Unknown,
                        discovery: Discovery::Always,
                        nodes: vec![(n, health)],
                    });
                }
            }
        }
    }
}

impl crate::policy::state::State {
    /// A node's attribute as a resource sees it: inside a container that asks for it, the host's.
    pub fn attribute_for(&self, n: NodeIx, name: &str, r: ResourceIx) -> Option<&str> {
        let host_wanted =
            self[r].meta("container-attribute-target").is_some_and(|t| t.eq_ignore_ascii_case("host"));
        let node = match self.container_of_node(n) {
            Some(k) if host_wanted => self[k].running_on.first().copied()?,
            _ => n,
        };
        self[node].attribute(name)
    }

    /// A group whose members stay together.
    pub fn is_colocated_group(&self, r: ResourceIx) -> bool {
        matches!(self[r].kind, crate::policy::state::Kind::Group { colocated: true, .. })
    }
}
