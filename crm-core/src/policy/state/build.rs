//! Reads a document into a [`State`], step by step in the reference's order.

use super::rules::{Input, Notes};
use super::{
    Complaints, Counts, Discovery, EffectPhase, Node, NodeIx, NodeKind, QuorumPolicy, ResourceIx, State,
    Table, nvpairs, unpack_options,
};
use crate::policy::dates::Moment;
use crate::policy::ledger::{Change, Ledger, Source};
use crate::policy::reference_order::compare_names;
use crate::policy::{Situation, values, words};
use cib::{Cib, Element, Text};
use indexmap::IndexMap;

/// A state in the making, with the ledger that every score change goes through.
pub struct Builder<'a, L: Ledger> {
    pub s: State,
    pub ledger: &'a mut L,
    /// Elements to unpack as resources beyond the configured ones: implicit connections of guest nodes.
    pub implicit: Vec<Element>,
    /// Containers of bundles whose connections failed: stopped when all history is read.
    pub stop_needed: Vec<ResourceIx>,
}

/// The working state of a document: configuration and status, before constraints.
pub fn build<L: Ledger>(cib: &Cib, situation: &Situation, ledger: &mut L) -> State {
    let root = cib.root().clone();
    let now = Moment { epoch: situation.now, offset: situation.utc_offset };
    let quorum = situation.quorum.unwrap_or_else(|| values::is_true(root.attr("have-quorum")));
    let panic = root.attr("no-quorum-panic").is_some_and(|t| values::scan_or(t, 0) != 0);
    let mut complaints = Complaints::default();
    let mut notes = Notes::default();
    let options = unpack_options::unpack(
        cib.crm_config(),
        quorum,
        panic,
        &Input::new(&root, now),
        &mut notes,
        &mut complaints,
    );
    if !quorum && options.no_quorum_policy != QuorumPolicy::Ignore {
        complaints.log_warning(
            "no-quorum",
            "",
            "Fencing and resource management disabled due to lack of quorum".to_owned(),
        );
    }
    let state = State {
        now: situation.now,
        utc_offset: situation.utc_offset,
        sanitized: situation.sanitized,
        quorum,
        have_fence_device: options.have_watchdog,
        unfencing: asks_for_unfencing(&root),
        have_remote_nodes: false,
        dc: None,
        feature_set: cib.feature_set().to_owned(),
        nodes: Vec::new(),
        node_order: Vec::new(),
        resources: Vec::new(),
        top: Vec::new(),
        locations: Vec::new(),
        colocations: Vec::new(),
        ticket_uses: Vec::new(),
        tickets: IndexMap::new(),
        tags: IndexMap::new(),
        templates: IndexMap::new(),
        effects: Vec::new(),
        phase: EffectPhase::Status,
        deferred_checks: Vec::new(),
        digest_cache: Default::default(),
        rsc_defaults: unique(&root, "rsc_defaults").cloned(),
        clear_requested: Default::default(),
        failed_ops: Vec::new(),
        recheck_by: None,
        complaints,
        remarks: Vec::new(),
        last_interval: String::new(),
        compared_unfencing: Default::default(),
        by_id: Default::default(),
        score_lines: Vec::new(),
        collect_scores: situation.scores,
        counts: Counts::default(),
        node_ids: IndexMap::new(),
        has_twin_nodes: false,
        op_defaults: unique(&root, "op_defaults").cloned(),
        options,
        turns: None,
        load_decided: Default::default(),
        root: root.clone(),
    };
    let mut b = Builder { s: state, ledger, implicit: Vec::new(), stop_needed: Vec::new() };
    b.s.absorb(notes);
    if let Some(nodes) = cib.nodes() {
        b.nodes(nodes);
    }
    if let Some(resources) = cib.resources() {
        b.remote_nodes(resources);
        b.resources(resources);
    }
    if b.s.options.stonith_enabled && !b.s.have_fence_device {
        for (code, text) in [
            ("no-fence-device", "Resource start-up disabled since no STONITH resources have been defined"),
            (
                "no-fence-device-remedy",
                "Either configure some or disable STONITH with the stonith-enabled option",
            ),
            ("no-fence-device-note", "NOTE: Clusters with shared data need STONITH to ensure data integrity"),
        ] {
            b.s.complaints.error(code, "stonith-enabled", text.to_owned());
        }
    }
    if let Some(tags) = cib.configuration().and_then(|c| c.child("tags")) {
        b.tags(tags);
    }
    if let Some(status) = unique(&root, "status") {
        let status = status.clone();
        b.status(&status);
    }
    b.count();
    b.s
}

/// The only element of this name in the document; `None` where there are more.
pub fn unique<'a>(root: &'a Element, name: &str) -> Option<&'a Element> {
    let places: &[&[&str]] = match name {
        "status" => &[&["status"]],
        "op_defaults" => &[&["configuration", "op_defaults"]],
        "rsc_defaults" => &[&["configuration", "rsc_defaults"]],
        _ => &[],
    };
    // These are only ever found at one place of a valid document; a second one is beside the first.
    for place in places {
        let (last, parents) = place.split_last()?;
        let parent = root.path(parents)?;
        let mut found = parent.children_named(last);
        let one = found.next();
        if found.next().is_some() {
            return None;
        }
        if one.is_some() {
            return one;
        }
    }
    None
}

/// Whether any resource or the defaults set `provides` or `requires` to `unfencing`.
fn asks_for_unfencing(root: &Element) -> bool {
    let Some(configuration) = root.child("configuration") else { return false };
    let asks = |e: &Element| {
        e.name() == "nvpair"
            && matches!(e.attr("name"), Some("provides" | "requires"))
            && e.attr("value") == Some("unfencing")
    };
    let in_resources = configuration.child("resources").is_some_and(|r| {
        r.descendants().filter(|e| e.name() == "meta_attributes").any(|m| m.children().any(asks))
    });
    in_resources || configuration.child("rsc_defaults").is_some_and(|d| d.descendants().any(asks))
}

impl State {
    /// Takes over what evaluating rules left behind.
    pub fn absorb(&mut self, notes: Notes) {
        if let Some(at) = notes.next_change {
            self.recheck_at(at);
        }
        for c in notes.complaints.into_vec() {
            self.complaints.push(c);
        }
    }

    /// Proposes a time (epoch seconds) at which to look again; the earliest in the future counts.
    pub fn recheck_at(&mut self, at: i64) {
        if at > self.now && self.recheck_by.is_none_or(|r| at < r) {
            self.recheck_by = Some(at);
        }
    }

    /// Now, in local time.
    pub fn moment(&self) -> Moment {
        Moment { epoch: self.now, offset: self.utc_offset }
    }

    /// A score, with the health words as they are in force.
    pub fn score(&self, text: Option<&str>) -> i32 {
        values::parse_score(text, &self.options.health)
    }

    /// Adds a score to a node's entry in the tables of a resource and all below it, children first; the
    /// node enters with its own score where it was absent.
    pub fn nudge<L: Ledger>(
        &mut self,
        ledger: &mut L,
        r: ResourceIx,
        node: NodeIx,
        score: i32,
        source: Source<'_>,
    ) {
        for i in 0..self[r].children.len() {
            let c = self[r].children[i];
            self.nudge(ledger, c, node, score, source);
        }
        if source == Source::Symmetric
            && (self[r].flags.exclusive_discovery || self[node].discovery == Discovery::Never)
        {
            return;
        }
        self.add_score(ledger, r, node, score, source);
    }

    /// Adds a score to one entry of one resource, children left alone.
    pub fn add_score<L: Ledger>(
        &mut self,
        ledger: &mut L,
        r: ResourceIx,
        node: NodeIx,
        score: i32,
        source: Source<'_>,
    ) {
        let (base, discovery) = (self[node].score, self[node].discovery);
        let node = self.entry_for(r, node);
        let row = &mut self[r].table;
        if !row.contains(node) {
            row.insert(node, base, discovery);
            ledger.note(r, node, Change::Enter(base), Source::NodeDefault);
        }
        if let Some(e) = row.get_mut(node) {
            e.score = values::add_scores(e.score, score);
            if score != 0 {
                ledger.note(r, node, Change::Add(score), source);
            }
        }
    }

    /// The node whose entry counts for this one in a resource's table: of several with one id, the one that is there
    /// already.
    pub fn entry_for(&self, r: ResourceIx, node: NodeIx) -> NodeIx {
        let row = &self[r].table;
        if !self.has_twin_nodes || row.contains(node) {
            return node;
        }
        let twin = |n: &NodeIx| self[*n].id == self[node].id && row.contains(*n);
        self.node_order.iter().copied().find(twin).unwrap_or(node)
    }

    /// [`State::nudge`] for every node; −INFINITY everywhere also forgets an assignment.
    pub fn nudge_all<L: Ledger>(&mut self, ledger: &mut L, r: ResourceIx, score: i32, source: Source<'_>) {
        let nodes = self.nodes.len();
        self[r].table.reserve(nodes);
        if score == 0 && self[r].children.iter().all(|c| self[*c].table.len() == nodes) {
            // Nothing is added to what is there: nodes enter.
            let exclusive = self[r].flags.exclusive_discovery;
            let mut row = std::mem::take(&mut self[r].table);
            for &n in &self.node_order {
                let node = &self[n];
                let hidden = source == Source::Symmetric && (exclusive || node.discovery == Discovery::Never);
                // Of several with one id the one counts that is there already.
                let known = row.contains(n)
                    || self.has_twin_nodes
                        && self.node_order.iter().any(|m| self[*m].id == node.id && row.contains(*m));
                if !hidden && !known {
                    row.insert(n, node.score, node.discovery);
                    // For each node of each resource: the one place where calls for nothing would count.
                    if L::KEEPS {
                        ledger.note(r, n, Change::Enter(node.score), Source::NodeDefault);
                    }
                }
            }
            self[r].table = row;
            return;
        }
        for i in 0..self.node_order.len() {
            let n = self.node_order[i];
            self.nudge(ledger, r, n, score, source);
        }
        if score == -values::INFINITY {
            self[r].assigned = None;
        }
    }
}

impl<L: Ledger> Builder<'_, L> {
    /// `<nodes>`.
    fn nodes(&mut self, nodes: &Element) {
        let mut warned = false;
        for e in nodes.children_named("node") {
            let Some(id) = e.id().filter(|i| !i.is_empty()) else {
                self.s.complaints.error(
                    "node-without-id",
                    e.attr("uname").unwrap_or(""),
                    "Ignoring <node> entry in configuration without id".to_owned(),
                );
                continue;
            };
            let name = e.attr("uname").unwrap_or("");
            let kind = match e.attr("type") {
                None => NodeKind::Cluster,
                Some(t) if t.eq_ignore_ascii_case("member") => NodeKind::Cluster,
                Some(t) if t.eq_ignore_ascii_case("remote") => NodeKind::Remote,
                Some(t) => {
                    if !t.eq_ignore_ascii_case("ping") {
                        self.s.complaints.warning(
                            "node-type",
                            name,
                            format!("Node {name} has unrecognized type '{t}', assuming 'ping'"),
                        );
                    }
                    if !warned {
                        warned = true;
                        self.s.complaints.warning_once(
                            "node-ping",
                            name,
                            format!("Support for nodes of type 'ping' (such as {name}) is deprecated and will be removed in a future release"),
                        );
                    }
                    NodeKind::Ping
                }
            };
            let score = self.s.score(e.attr("score"));
            let n = self.add_node(id, name, kind, score);
            self.startup_state(n);
            self.node_attributes(n, e, false);
            let mut notes = Notes::default();
            let mut table = Table::default();
            let input = Input::new(&self.s.root, self.s.moment());
            let health = self.s.options.health;
            nvpairs::unpack(
                e,
                words::UTILIZATION,
                &input,
                &health,
                nvpairs::Mode::Keep,
                &mut table,
                &mut notes,
            );
            self.s.absorb(notes);
            self.s[n].utilization = table;
        }
    }

    /// A new node in the state, in its place in the order of names.
    pub fn add_node(&mut self, id: &str, name: &str, kind: NodeKind, score: i32) -> NodeIx {
        if !name.is_empty() && self.s.node_by_name(name).is_some() {
            self.s.complaints.warning(
                "node-name-twice",
                name,
                format!("More than one node entry has name '{name}'"),
            );
        }
        let mut attributes = Table::default();
        let kind_word = if kind == NodeKind::Remote { "remote" } else { "cluster" };
        attributes.insert(Text::fixed("#kind"), Text::fixed(kind_word));
        if kind == NodeKind::Remote {
            self.s.have_remote_nodes = true;
        }
        let ix = NodeIx::new(self.s.nodes.len());
        self.s.nodes.push(Node {
            id: id.to_owned(),
            name: name.to_owned(),
            kind,
            score,
            discovery: Discovery::Always,
            attributes,
            utilization: Table::default(),
            online: false,
            unclean: false,
            unseen: false,
            pending: false,
            standby: false,
            standby_onfail: false,
            maintenance: false,
            shutdown: false,
            expected_up: false,
            is_dc: false,
            discovery_enabled: true,
            requires_reset: false,
            remote_was_fenced: false,
            remote_maintenance: false,
            unpacked: false,
            fence_reason: None,
            running: Vec::new(),
            assigned_count: 0,
            priority: 0,
            connection: None,
            state_xml: None,
        });
        let known = *self.s.node_ids.entry(id.to_owned()).or_insert(ix);
        self.s.has_twin_nodes |= known != ix;
        let at = self
            .s
            .node_order
            .iter()
            .position(|n| compare_names(&self.s[*n].name, name).is_gt())
            .unwrap_or(self.s.node_order.len());
        self.s.node_order.insert(at, ix);
        ix
    }

    /// Unseen, and unclean where start-up fencing is in effect; remote nodes wait for their connection.
    pub fn startup_state(&mut self, n: NodeIx) {
        if self.s[n].kind == NodeKind::Remote && self.s[n].connection.is_none() {
            return;
        }
        let fencing = self.s.options.startup_fencing;
        let node = &mut self.s[n];
        node.unclean = fencing;
        node.unseen = true;
    }

    /// Attributes of a `<node>` or (overwriting) of a `node_state/transient_attributes`.
    pub fn node_attributes(&mut self, n: NodeIx, e: &Element, overwrite: bool) {
        let dc = self.s.root.attr("dc-uuid").is_some_and(|d| d.eq_ignore_ascii_case(&self.s[n].id));
        if dc {
            self.s.dc = Some(n);
        }
        let cluster = self.s.options.cluster_name.clone();
        let node = &mut self.s[n];
        node.is_dc = dc;
        let (name, id) = (node.name.clone(), node.id.clone());
        let a = &mut node.attributes;
        a.insert(Text::fixed("#uname"), name);
        a.insert(Text::fixed("#id"), id);
        a.insert(Text::fixed("#is_dc"), Text::fixed(if dc { "true" } else { "false" }));
        if let Some(c) = &cluster {
            a.insert(Text::fixed("#cluster-name"), c.as_str());
        }
        let mut table = std::mem::take(a);
        let mut notes = Notes::default();
        let input = Input::new(&self.s.root, self.s.moment());
        let mode = if overwrite { nvpairs::Mode::Overwrite } else { nvpairs::Mode::Keep };
        let health = self.s.options.health;
        nvpairs::unpack(e, words::INSTANCE_ATTRIBUTES, &input, &health, mode, &mut table, &mut notes);
        self.s.absorb(notes);
        if !table.contains_key("#site-name")
            && let Some(site) = table.get("site-name").cloned().or(cluster.map(Text::from))
        {
            table.insert(Text::fixed("#site-name"), site);
        }
        self.s[n].attributes = table;
    }

    /// `<tags>`.
    fn tags(&mut self, tags: &Element) {
        for tag in tags.children_named("tag") {
            let Some(id) = tag.id() else {
                self.s.complaints.error(
                    "tag-without-id",
                    "",
                    format!("Ignoring <{}> without id", tag.name()),
                );
                continue;
            };
            let mut refs: Vec<String> = Vec::new();
            for r in tag.children_named("obj_ref") {
                match r.id() {
                    Some(target) => {
                        if !refs.iter().any(|x| x == target) {
                            refs.push(target.to_owned());
                        }
                    }
                    None => self.s.complaints.error(
                        "tag-reference-without-id",
                        id,
                        format!("Ignoring <{}> for tag '{id}' without id", r.name()),
                    ),
                }
            }
            if !refs.is_empty() {
                self.s.tags.entry(id.to_owned()).or_default().extend(refs);
            }
        }
    }

    /// Counts instances for the head of a summary.
    fn count(&mut self) {
        let mut counts = Counts::default();
        let mut walk = self.s.top.clone();
        while let Some(ix) = walk.pop() {
            let r = &self.s[ix];
            if !r.is_primitive() {
                walk.extend(&r.children);
                continue;
            }
            if r.flags.orphan && r.role <= super::Role::Stopped {
                continue;
            }
            counts.total += 1;
            if r.is_disabled() {
                counts.disabled += 1;
            }
            if r.flags.blocked {
                counts.blocked += 1;
            }
        }
        self.s.counts = counts;
    }
}
