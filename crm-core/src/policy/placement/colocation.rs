//! Colocation constraints: reading them, and the lists every resource keeps of its own.

use super::Placer;
use super::lookup::{Named, Set, any_role};
use crate::policy::ix::{ColocationIx, ResourceIx};
use crate::policy::ledger::Ledger;
use crate::policy::state::{Colocation, Role, State, Variant};
use crate::policy::values;
use cib::Element;
use std::cmp::Ordering;

impl State {
    /// Takes a colocation up and puts it in both lists.
    pub fn add_colocation(&mut self, c: Colocation) {
        if c.score == 0 {
            return;
        }
        let (dependent, primary) = (c.dependent, c.primary);
        let ix = ColocationIx::new(self.colocations.len());
        self.colocations.push(c);
        self.list_this_with(dependent, ix);
        self.list_with_this(primary, ix);
    }

    /// Puts a colocation in the list of those in which `r` is the dependent.
    pub fn list_this_with(&mut self, r: ResourceIx, ix: ColocationIx) {
        let at = {
            let new = self[ix].primary;
            let list = &self[r].this_with;
            list.iter().position(|c| self.precedence(self[*c].primary, new).is_ge()).unwrap_or(list.len())
        };
        self[r].this_with.insert(at, ix);
    }

    /// Puts a colocation in the list of those in which `r` is the primary.
    pub fn list_with_this(&mut self, r: ResourceIx, ix: ColocationIx) {
        let at = {
            let new = self[ix].dependent;
            let list = &self[r].with_this;
            list.iter().position(|c| self.precedence(self[*c].dependent, new).is_ge()).unwrap_or(list.len())
        };
        self[r].with_this.insert(at, ix);
    }

    /// Order of colocations by the resource on their other side: priority, kind, promotable clones, id.
    fn precedence(&self, a: ResourceIx, b: ResourceIx) -> Ordering {
        let (x, y) = (&self[a], &self[b]);
        y.priority
            .cmp(&x.priority)
            .then_with(|| y.variant().cmp(&x.variant()))
            .then_with(|| match x.variant() {
                Variant::Clone => y.flags.promotable.cmp(&x.flags.promotable),
                _ => Ordering::Equal,
            })
            .then_with(|| x.id.cmp(&y.id))
    }

    /// Whether the dependent's wishes count for the primary `p` (8.9).
    pub fn has_influence(&self, ix: ColocationIx, p: ResourceIx) -> bool {
        let c = &self[ix];
        let dependent = &self[c.dependent];
        if dependent.container.is_some()
            && dependent.remote_node.is_some_and(|n| self.is_bundle_node(n))
            && !self[p].flags.failed
            && self[p].running_on.len() == 1
        {
            return false;
        }
        c.influence || self[p].running_on.is_empty()
    }
}

impl<L: Ledger> Placer<'_, L> {
    /// One `rsc_colocation`.
    pub fn colocation(&mut self, e: &Element) {
        let id = e.id().unwrap_or("").to_owned();
        if e.attr("symmetrical").is_some() {
            self.s.complaints.warning(
                "colocation-symmetrical",
                &id,
                "The colocation constraint 'symmetrical' attribute has been removed".to_owned(),
            );
        }
        let influence = match e.attr("influence") {
            None => None,
            Some(text) => {
                let value = values::parse_bool(text);
                if value.is_none() {
                    self.s.complaints.error(
                        "colocation-influence",
                        &id,
                        format!("Constraint '{id}' has invalid value for influence (using default)"),
                    );
                }
                value
            }
        };
        let score = self.s.score(e.attr("score"));
        if e.child("resource_set").is_some() {
            let sets = self.s.resource_sets(e);
            self.colocation_sets(&id, &sets, score, influence);
            return;
        }
        let (Some(rsc), Some(with)) = (e.attr("rsc"), e.attr("with-rsc")) else { return };
        let (left, right) = (self.s.named(rsc), self.s.named(with));
        for (named, name) in [(&left, rsc), (&right, with)] {
            if matches!(named, Named::Nothing) {
                self.s.unknown_name(&id, name);
                return;
            }
        }
        match (left, right) {
            (Named::Resource(d), Named::Resource(p)) => {
                self.simple_colocation(e, &id, d, p, score, influence)
            }
            (Named::Many(_), Named::Many(_)) => self.s.complaints.error(
                "colocation-two-tags",
                &id,
                format!("Ignoring constraint '{id}' because two templates or tags cannot be colocated"),
            ),
            (left, right) => {
                let left = self.as_set(rsc, left, e.attr("rsc-role"));
                let right = self.as_set(with, right, e.attr("with-rsc-role"));
                self.colocation_sets(&id, &[left, right], score, influence);
            }
        }
    }

    /// A name of a simple constraint as a set.
    fn as_set(&self, name: &str, named: Named, role: Option<&str>) -> Set {
        let sequential = matches!(named, Named::Resource(_));
        let names = match named {
            Named::Many(names) => names,
            _ => vec![name.to_owned()],
        };
        let mut set = Element::new("resource_set")
            .with_attr("id", name)
            .with_attr("sequential", sequential.to_string());
        if let Some(role) = role {
            set.set_attr("role", role);
        }
        self.s.set(&set, names)
    }

    fn simple_colocation(
        &mut self,
        e: &Element,
        id: &str,
        dependent: ResourceIx,
        primary: ResourceIx,
        score: i32,
        influence: Option<bool>,
    ) {
        let mut pick = |r: ResourceIx, attribute: &str| -> Option<ResourceIx> {
            let Some(number) = e.attr(attribute) else { return Some(r) };
            self.s.complaints.warning_once(
                "colocation-instance",
                id,
                format!("Support for {attribute} is deprecated and will be removed in a future release"),
            );
            let name = self.s[r].id.clone();
            if self.s[r].variant() != Variant::Clone {
                self.s.complaints.error(
                    "colocation-instance-clone",
                    id,
                    format!("Ignoring constraint '{id}' because {name} is not a clone but instance '{number}' was requested"),
                );
                return None;
            }
            let found = self.s[r].children.iter().copied().find(|c| self.s[*c].meta("clone") == Some(number));
            if found.is_none() {
                self.s.complaints.warning(
                    "colocation-instance-unknown",
                    id,
                    format!("Ignoring constraint '{id}' because resource '{name}' does not have an instance '{number}'"),
                );
            }
            found
        };
        let (Some(dependent), Some(primary)) =
            (pick(dependent, "rsc-instance"), pick(primary, "with-rsc-instance"))
        else {
            return;
        };
        self.s.add_colocation(Colocation {
            id: id.to_owned(),
            dependent,
            primary,
            dependent_role: any_role(e.attr("rsc-role")),
            primary_role: any_role(e.attr("with-rsc-role")),
            score,
            attribute: e.attr("node-attribute").map(str::to_owned),
            influence: influence.unwrap_or(self.s[dependent].flags.critical),
        });
    }

    fn colocation_sets(&mut self, id: &str, sets: &[Set], score: i32, influence: Option<bool>) {
        let mut previous: Option<&Set> = None;
        for set in sets {
            self.inside_set(id, set, score, influence);
            if let Some(left) = previous {
                self.between_sets(id, left, set, score, influence);
            }
            previous = Some(set);
        }
    }

    fn inside_set(&mut self, id: &str, set: &Set, score: i32, influence: Option<bool>) {
        let score = match &set.score {
            Some(s) => self.s.score(Some(s)),
            None => score,
        };
        if score == 0 || !set.sequential {
            return;
        }
        let role = any_role(set.role.as_deref());
        let mut pairs = Vec::new();
        let m = self.s.members_or_complaint(set);
        if score > 0 {
            let listed = set.xml.attr("ordering").is_some_and(|o| !o.eq_ignore_ascii_case("group"));
            for w in m.windows(2) {
                if let [a, b] = w {
                    pairs.push(if listed { (*a, *b) } else { (*b, *a) });
                }
            }
        } else {
            for (i, d) in m.iter().enumerate() {
                for p in m.iter().take(i) {
                    pairs.push((*d, *p));
                }
            }
        }
        for (d, p) in pairs {
            self.pair(id, (d, role), (p, role), score, influence);
        }
    }

    fn between_sets(&mut self, id: &str, left: &Set, right: &Set, score: i32, influence: Option<bool>) {
        if score == 0 {
            return;
        }
        let (left_role, right_role) = (any_role(left.role.as_deref()), any_role(right.role.as_deref()));
        let lefts = if left.sequential { left.references.get(..1) } else { Some(&left.references[..]) };
        let rights = match right.references.last() {
            Some(last) if right.sequential => std::slice::from_ref(last),
            _ => &right.references[..],
        };
        for dependent in lefts.unwrap_or_default() {
            for primary in rights {
                let (Some(d), Some(p)) = (dependent.resource, primary.resource) else {
                    let missing = if dependent.resource.is_none() { dependent } else { primary };
                    self.s.no_resource(id, &missing.name);
                    return;
                };
                self.pair(id, (d, left_role), (p, right_role), score, influence);
            }
        }
    }

    /// Members of sets: who depends, and on whom, each with the role that it takes.
    fn pair(
        &mut self,
        id: &str,
        (dependent, dependent_role): (ResourceIx, Role),
        (primary, primary_role): (ResourceIx, Role),
        score: i32,
        influence: Option<bool>,
    ) {
        let influence = influence.unwrap_or(self.s[dependent].flags.critical);
        self.s.add_colocation(Colocation {
            id: id.to_owned(),
            dependent,
            primary,
            dependent_role,
            primary_role,
            score,
            attribute: None,
            influence,
        });
    }

    /// An internal colocation.
    pub fn internal(
        &mut self,
        id: &str,
        dependent: ResourceIx,
        primary: ResourceIx,
        score: i32,
        influence: bool,
    ) {
        self.s.add_colocation(Colocation {
            id: id.to_owned(),
            dependent,
            primary,
            dependent_role: Role::Unknown,
            primary_role: Role::Unknown,
            score,
            attribute: None,
            influence,
        });
    }
}
