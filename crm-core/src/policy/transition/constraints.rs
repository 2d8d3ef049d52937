//! Ordering constraints of the configuration, and the orderings that anti-colocation brings.

use cib::Element;

use super::Work;
use super::arena::End;
use super::flags::{ActionFlags, EdgeFlags};
use super::task::{Key, Task};
use crate::policy::circles::circles;
use crate::policy::complaint::Severity;
use crate::policy::ix::{ActionIx, ResourceIx};
use crate::policy::placement::lookup;
use crate::policy::state::rules::{self, Input, Notes};
use crate::policy::state::{EffectPhase, Role, Variant};
use crate::policy::values;
use crate::policy::values::INFINITY;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Optional,
    Mandatory,
    Serialize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Symmetry {
    Asymmetric,
    Symmetric,
    Inverse,
}

fn kind_flags(kind: Kind, first: &Task, symmetry: Symmetry) -> EdgeFlags {
    let more = match (kind, symmetry) {
        (Kind::Optional, _) => EdgeFlags::NONE,
        (Kind::Serialize, _) => EdgeFlags::SERIALIZE,
        (Kind::Mandatory, Symmetry::Asymmetric) => EdgeFlags::ASYM,
        (Kind::Mandatory, Symmetry::Inverse) => EdgeFlags::I_FIRST,
        (Kind::Mandatory, Symmetry::Symmetric) => match first {
            Task::Start | Task::Promote => EdgeFlags::I_THEN | EdgeFlags::RUN_LEFT,
            _ => EdgeFlags::I_THEN,
        },
    };
    EdgeFlags::OPT | more
}

/// A set of an ordering constraint.
struct Set {
    id: String,
    task: Task,
    kind: Kind,
    symmetry: Symmetry,
    /// As written; between sets an absent value does not count as true.
    sequential: Option<bool>,
    require_all: bool,
    members: Vec<ResourceIx>,
}

impl Work<'_> {
    /// Reads what the constraints say about order, constraint by constraint, with the actions that other
    /// constraints called for in between.
    pub fn constraint_orderings(&mut self) {
        let Some(constraints) = self.st.root.path(&["configuration", "constraints"]).cloned() else {
            return;
        };
        let mut colocations = 0;
        for (at, constraint) in constraints.children().enumerate() {
            match constraint.name() {
                "rsc_order" => self.orderings_of(constraint),
                "rsc_colocation" => {
                    let id = constraint.id().unwrap_or_default();
                    while let Some(c) = self.st.colocations.get(colocations) {
                        if c.id != id {
                            break;
                        }
                        colocations += 1;
                        if c.score <= -INFINITY {
                            let (a, b) = ((c.dependent, c.dependent_role), (c.primary, c.primary_role));
                            self.anti_colocation(a, b);
                            self.anti_colocation(b, a);
                        }
                    }
                }
                _ => {}
            }
            let at = u32::try_from(at).unwrap_or(u32::MAX);
            self.replay_effects(|phase| phase == EffectPhase::Constraint(at));
        }
        self.circular_constraints();
    }

    /// Makes the orderings of one `rsc_order`.
    pub fn orderings_of(&mut self, constraint: &Element) {
        if self.lifetime_applies(constraint) {
            self.unpack_order(constraint);
        }
    }

    /// Says which mandatory orderings and colocations run in a circle.
    fn circular_constraints(&mut self) {
        let mut arrows = Vec::new();
        for ordering in &self.actions.orderings {
            let end = |end: &End| match &end.key {
                Some(Key::Op(task, 0)) => end.resource.map(|r| (r, task.clone())),
                _ => None,
            };
            let (Some(first), Some(then)) = (end(&ordering.first), end(&ordering.then)) else { continue };
            if ordering.flags.has(EdgeFlags::I_THEN) {
                arrows.push((first, then));
            }
        }
        for circle in circles(&arrows) {
            let steps: Vec<String> =
                circle.iter().map(|(r, task)| format!("{} {}", task.as_str(), self.st[*r].id)).collect();
            let members = circle.iter().map(|(r, _)| *r).collect();
            self.circle("order-circular", "Orderings", members, &steps, "remove one of these orderings");
        }
        let must = |c: &&crate::policy::state::Colocation| c.score >= INFINITY && c.attribute.is_none();
        let arrows: Vec<_> =
            self.st.colocations.iter().filter(must).map(|c| (c.dependent, c.primary)).collect();
        for circle in circles(&arrows) {
            let names: Vec<String> = circle.iter().map(|r| self.st[*r].id.clone()).collect();
            self.circle(
                "colocation-circular",
                "Colocations",
                circle,
                &names,
                "remove one of these colocations",
            );
        }
    }

    fn circle(
        &mut self,
        code: &'static str,
        what: &str,
        members: Vec<ResourceIx>,
        steps: &[String],
        remedy: &'static str,
    ) {
        let ids: Vec<&str> = members.iter().map(|r| self.st[*r].id.as_str()).collect();
        let back = steps.first().map(String::as_str).unwrap_or_default();
        let text = format!("{what} form a circle: {} -> {back}", steps.join(" -> "));
        let ids: Vec<String> = ids.into_iter().map(str::to_owned).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        self.st.complaints.add(Severity::LogWarning, code, &ids, text, remedy);
    }

    fn lifetime_applies(&mut self, constraint: &Element) -> bool {
        let Some(lifetime) = constraint.child("lifetime") else { return true };
        let mut notes = Notes::default();
        let applies = {
            let input = Input::new(&self.st.root, self.st.moment());
            rules::applies(lifetime, &input, &mut notes)
        };
        self.st.absorb(notes);
        applies
    }

    fn anti_colocation(&mut self, loser: (ResourceIx, Role), gainer: (ResourceIx, Role)) {
        let lose: &[Task] = match loser.1 {
            Role::Promoted => &[Task::Demote],
            Role::Unpromoted => &[Task::Stop, Task::Promote],
            _ => &[Task::Stop],
        };
        let gain: &[Task] = match gainer.1 {
            Role::Promoted => &[Task::Promote],
            Role::Unpromoted => &[Task::Start, Task::Demote],
            _ => &[Task::Start],
        };
        for first in lose {
            for then in gain {
                self.order_tasks((loser.0, first.clone()), (gainer.0, then.clone()), EdgeFlags::ANTI_COLOC);
            }
        }
    }

    fn order_error(&mut self, code: &'static str, id: &str, text: String) {
        self.st.complaints.error(code, id, text);
    }

    fn kind(&mut self, element: &Element, id: &str) -> Kind {
        match element.attr("kind") {
            None => match element.attr("score") {
                None => Kind::Mandatory,
                Some(score) => {
                    self.st.complaints.warning_once(
                        "order-score",
                        id,
                        "Support for 'score' in rsc_order is deprecated and will be removed in a future \
                         release (use 'kind' instead)"
                            .to_owned(),
                    );
                    if self.st.score(Some(score)) == 0 { Kind::Optional } else { Kind::Mandatory }
                }
            },
            Some(kind) if kind.eq_ignore_ascii_case("mandatory") => Kind::Mandatory,
            Some(kind) if kind.eq_ignore_ascii_case("optional") => Kind::Optional,
            Some(kind) if kind.eq_ignore_ascii_case("serialize") => Kind::Serialize,
            Some(kind) => {
                let text = format!(
                    "Resetting 'kind' for constraint {id} to 'Mandatory' because '{kind}' is not valid"
                );
                self.order_error("order-kind", id, text);
                Kind::Mandatory
            }
        }
    }

    fn symmetry(&mut self, element: &Element, kind: Kind, parent: Option<&str>) -> Symmetry {
        let id = element.id().unwrap_or_default().to_owned();
        if let Some(text) = element.attr("symmetrical").or(parent) {
            match values::parse_bool(text) {
                None => {
                    let text = format!(
                        "Resetting 'symmetrical' for constraint {id} to default because '{text}' is not \
                         valid"
                    );
                    self.order_error("order-symmetrical", &id, text);
                }
                Some(true) if kind == Kind::Serialize => {
                    let text =
                        format!("Ignoring symmetrical for '{id}' because not valid with kind of 'Serialize'");
                    self.st.complaints.warning("order-symmetrical-serialize", &id, text);
                }
                Some(true) => return Symmetry::Symmetric,
                Some(false) => return Symmetry::Asymmetric,
            }
        }
        if kind == Kind::Serialize { Symmetry::Asymmetric } else { Symmetry::Symmetric }
    }

    fn unpack_order(&mut self, constraint: &Element) {
        let Some(id) = constraint.id().map(str::to_owned) else {
            let text = "Ignoring <rsc_order> constraint without id".to_owned();
            self.order_error("constraint-without-id", "", text);
            return;
        };
        let kind = self.kind(constraint, &id);
        let symmetry = self.symmetry(constraint, kind, None);
        let symmetrical = constraint.attr("symmetrical").map(str::to_owned);
        let mut sets: Vec<Element> = Vec::new();
        for set in constraint.children_named("resource_set") {
            let mut notes = Notes::default();
            let expanded = rules::expand(&self.st.root, set, &mut notes).cloned();
            self.st.absorb(notes);
            let Some(set) = expanded else { return };
            sets.push(set);
        }
        let resolved: Vec<lookup::Set> = if sets.is_empty() {
            let Some(made) = self.sets_of_tags(constraint) else {
                return self.unpack_simple(constraint, &id, kind, symmetry);
            };
            made.iter().map(|set| self.st.set(set, lookup::names_in(set))).collect()
        } else {
            self.st.expand_sets(&id, &sets.iter().collect::<Vec<_>>())
        };
        let mut last: Option<Set> = None;
        for resolved in &resolved {
            let Some(set) = self.read_set(resolved, &id, kind, symmetrical.as_deref()) else { return };
            self.order_within(&set);
            if let Some(last) = &last {
                self.order_between(last, &set, kind, symmetry);
                if symmetry == Symmetry::Symmetric {
                    self.order_between(&set, last, kind, Symmetry::Inverse);
                }
            }
            last = Some(set);
        }
    }

    /// The members of a tag or template, in the order of its references.
    fn tagged(&self, id: &str) -> Option<&Vec<String>> {
        self.st.templates.get(id).or_else(|| self.st.tags.get(id))
    }

    /// The two sets that stand for a simple constraint one of whose ends is a tag or template.
    fn sets_of_tags(&self, constraint: &Element) -> Option<Vec<Element>> {
        let (first, then) = (constraint.attr("first")?, constraint.attr("then")?);
        let is_tag =
            |w: &Self, name: &str| w.st.find_for_constraint(name).is_none() && w.tagged(name).is_some();
        if !is_tag(self, first) && !is_tag(self, then) {
            return None;
        }
        let mut made = Vec::new();
        for (name, action) in [(first, "first-action"), (then, "then-action")] {
            let members = match self.tagged(name) {
                Some(members) if is_tag(self, name) => members.clone(),
                _ => vec![name.to_owned()],
            };
            let mut set = Element::new("resource_set").with_attr("id", name).with_attr("sequential", "false");
            // A set knows nothing of the other's action: without one of its own it is about starts.
            if let Some(action) = constraint.attr(action) {
                set = set.with_attr("action", action);
            }
            for member in members {
                set = set.with_child(Element::new("resource_ref").with_attr("id", member));
            }
            made.push(set);
        }
        Some(made)
    }

    fn read_set(
        &mut self,
        resolved: &lookup::Set,
        id: &str,
        parent: Kind,
        symmetrical: Option<&str>,
    ) -> Option<Set> {
        let element = &resolved.xml;
        let kind = if element.attr("kind").is_some() { self.kind(element, id) } else { parent };
        let symmetry = self.symmetry(element, kind, symmetrical);
        let members = self.st.members_or_complaint(resolved);
        if resolved.missing().is_some() {
            return None;
        }
        Some(Set {
            id: resolved.id.clone(),
            task: Task::parse(element.attr("action").unwrap_or("start")),
            kind,
            symmetry,
            sequential: element.attr("sequential").map(|s| values::is_true(Some(s))),
            require_all: element.attr("require-all").is_none_or(|s| values::is_true(Some(s))),
            members,
        })
    }

    fn order_within(&mut self, set: &Set) {
        if set.members.len() < 2 {
            return;
        }
        let flags = kind_flags(set.kind, &set.task, set.symmetry);
        let sequential = set.sequential.unwrap_or(true);
        let task = |r: ResourceIx| (r, set.task.clone());
        for (at, &r) in set.members.iter().enumerate() {
            if set.kind == Kind::Serialize {
                for &later in set.members.iter().skip(at + 1) {
                    self.order_tasks(task(r), task(later), flags);
                }
            } else if sequential && at > 0 {
                if let Some(&previous) = set.members.get(at - 1) {
                    self.order_tasks(task(previous), task(r), flags);
                }
            }
        }
        if set.symmetry == Symmetry::Asymmetric || !sequential {
            return;
        }
        let Some(inverse) = set.task.inverse() else { return };
        let flags = kind_flags(set.kind, &inverse, Symmetry::Inverse);
        for pair in set.members.windows(2) {
            if let [previous, r] = pair {
                self.order_tasks((*r, inverse.clone()), (*previous, inverse.clone()), flags);
            }
        }
    }

    fn order_between(&mut self, first: &Set, then: &Set, kind: Kind, symmetry: Symmetry) {
        let (mut a, mut b) = (first.task.clone(), then.task.clone());
        if symmetry == Symmetry::Inverse {
            let (Some(x), Some(y)) = (a.inverse(), b.inverse()) else { return };
            (a, b) = (x, y);
        }
        let require_all = first.require_all || matches!(a, Task::Stop | Task::Demote);
        let flags = kind_flags(kind, &b, symmetry);
        if !require_all {
            let barrier = self.barrier(&format!("one-or-more:{}", first.id));
            self.actions[barrier].flags.set(ActionFlags::REQUIRES_ANY);
            for &r in &first.members {
                self.order(
                    End::task(r, a.clone()),
                    End::action(None, barrier),
                    EdgeFlags::ONE_OR_MORE | EdgeFlags::THEN_PRINTED,
                );
            }
            for &r in &then.members {
                self.order(End::action(None, barrier), End::task(r, b.clone()), flags | EdgeFlags::RUN_LEFT);
            }
            return;
        }
        let inverse = symmetry == Symmetry::Inverse;
        let ends = |set: &Set, last: bool| -> Vec<ResourceIx> {
            if set.sequential != Some(true) {
                set.members.clone()
            } else if last {
                set.members.last().copied().into_iter().collect()
            } else {
                set.members.first().copied().into_iter().collect()
            }
        };
        for x in ends(first, !inverse) {
            for y in ends(then, inverse) {
                self.order_tasks((x, a.clone()), (y, b.clone()), flags);
            }
        }
    }

    fn barrier(&mut self, name: &str) -> ActionIx {
        let key = Key::free(name);
        match self.actions.singleton(&key) {
            Some(found) => found,
            None => self.pseudo(None, key, Task::parse(name), true),
        }
    }

    fn order_end(&mut self, constraint: &Element, id: &str, end: &str, instance: &str) -> Option<ResourceIx> {
        let Some(name) = constraint.attr(end) else {
            let text = format!("Ignoring constraint '{id}' without {end}");
            self.order_error("order-without-end", id, text);
            return None;
        };
        let Some(r) = self.st.find_for_constraint(name) else {
            let text = format!("Ignoring constraint '{id}' because resource '{name}' does not exist");
            self.order_error("constraint-no-resource", id, text);
            return None;
        };
        let Some(number) = constraint.attr(instance) else { return Some(r) };
        self.st.complaints.warning_once(
            "order-instance",
            id,
            "Support for first-instance and then-instance is deprecated and will be removed in a \
             future release."
                .to_owned(),
        );
        let suffix = format!(":{number}");
        let found = self.st[r].children.iter().copied().find(|&c| self.st[c].id.ends_with(&suffix));
        if self.st[r].variant() != Variant::Clone {
            let text = format!(
                "Ignoring constraint '{id}' because resource '{name}' is not a clone but instance \
                 '{number}' was requested"
            );
            self.order_error("constraint-not-a-clone", id, text);
            return None;
        }
        if found.is_none() {
            let text = format!(
                "Ignoring constraint '{id}' because resource '{name}' does not have an instance \
                 '{number}'"
            );
            self.order_error("constraint-no-instance", id, text);
        }
        found
    }

    fn unpack_simple(&mut self, constraint: &Element, id: &str, kind: Kind, symmetry: Symmetry) {
        let Some(first) = self.order_end(constraint, id, "first", "first-instance") else { return };
        let Some(then) = self.order_end(constraint, id, "then", "then-instance") else { return };
        let first_task = Task::parse(constraint.attr("first-action").unwrap_or("start"));
        let then_task = constraint.attr("then-action").map_or_else(|| first_task.clone(), Task::parse);
        let restarts = kind == Kind::Optional && self.st[then].flags.restart_ordering;
        let mut flags = kind_flags(kind, &first_task, symmetry);
        if restarts {
            flags |= EdgeFlags::I_THEN;
        }
        let minimum = self.clone_minimum(first, constraint, id);
        if minimum > 0 {
            let barrier = self.barrier(&format!("clone-one-or-more:{id}"));
            let action = &mut self.actions[barrier];
            action.required_runnable_before = minimum;
            action.flags.set(ActionFlags::REQUIRES_ANY);
            for i in self.st[first].children.clone() {
                self.order(
                    End::task(i, first_task.clone()),
                    End::action(None, barrier),
                    EdgeFlags::ONE_OR_MORE | EdgeFlags::THEN_PRINTED,
                );
            }
            self.order(
                End::action(None, barrier),
                End::task(then, then_task.clone()),
                flags | EdgeFlags::RUN_LEFT,
            );
        } else {
            self.order_tasks((first, first_task.clone()), (then, then_task.clone()), flags);
        }
        if symmetry != Symmetry::Symmetric {
            return;
        }
        let (Some(a), Some(b)) = (first_task.inverse(), then_task.inverse()) else {
            let text = format!("Cannot invert constraint '{id}' (please specify inverse manually)");
            self.st.complaints.warning("order-not-invertible", id, text);
            return;
        };
        let mut flags = kind_flags(kind, &a, Symmetry::Inverse);
        if restarts {
            flags |= EdgeFlags::I_FIRST;
        }
        self.order_tasks((then, b), (first, a), flags);
    }

    fn clone_minimum(&mut self, first: ResourceIx, constraint: &Element, id: &str) -> u32 {
        if self.st[first].variant() != Variant::Clone {
            return 0;
        }
        if let Some(text) = self.st[first].meta("clone-min") {
            return u32::try_from(values::scan_min_int(Some(text), 0)).unwrap_or(0);
        }
        let Some(text) = constraint.attr("require-all") else { return 0 };
        self.st.complaints.warning_once(
            "order-require-all",
            id,
            "Support for require-all in ordering constraints is deprecated and will be removed in a \
             future release (use clone-min clone meta-attribute instead)"
                .to_owned(),
        );
        u32::from(values::parse_bool(text) == Some(false))
    }
}
