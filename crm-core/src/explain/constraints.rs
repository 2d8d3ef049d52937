//! Constraints read aloud: a sentence each, the pairs that the planner makes of it, and what is wrong with
//! it.

use std::collections::BTreeMap;

use cib::{Cib, Element};

use super::fact::Fact;
use super::lint;
use super::scene::Scene;
use super::sentences;
use super::tree::Tree;
use super::words;
use crate::policy::Situation;
use crate::policy::ix::ResourceIx;
use crate::policy::state::{Role, State};
use crate::policy::transition::Work;
use crate::policy::transition::arena::End;
use crate::policy::transition::flags::EdgeFlags;
use crate::policy::transition::task::{Key, Task};

/// One constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    pub id: String,
    /// `location`, `colocation`, `order`, `ticket`.
    pub kind: &'static str,
    pub sentence: String,
    /// What the planner makes of it, pair by pair.
    pub pairs: Vec<Fact>,
    /// What is wrong with it, or can be said about it.
    pub lints: Vec<Fact>,
}

/// One ordering of two tasks that a constraint asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct OrderPair {
    /// `None` for the barrier of a set of which one is enough.
    pub first: Option<ResourceIx>,
    pub first_task: Task,
    pub then: Option<ResourceIx>,
    pub then_task: Task,
    pub optional: bool,
    pub inverse: bool,
    /// What it asks of both, beyond the order where both happen.
    pub demands: EdgeFlags,
}

/// Every constraint, or those that concern a resource (or what is in it, or around it).
///
/// # Errors
/// There is no such resource.
pub fn constraints(
    cib: &Cib,
    situation: &Situation,
    resource: Option<&str>,
) -> Result<Vec<Reading>, super::Unknown> {
    constraints_telling(cib, situation, resource, &mut |_| {})
}

/// [`constraints`]; `tell` hears, in words, what is being done: thousands of constraints take minutes.
///
/// # Errors
/// There is no such resource.
pub fn constraints_telling(
    cib: &Cib,
    situation: &Situation,
    resource: Option<&str>,
    tell: &mut dyn FnMut(&str),
) -> Result<Vec<Reading>, super::Unknown> {
    let scene = Scene::new(cib, situation);
    let wanted = match resource {
        Some(id) => Some(scene.find(id).ok_or_else(|| super::Unknown::Resource(id.to_owned()))?),
        None => None,
    };
    let near = wanted.map(|r| scene.neighbourhood(r));
    let elements = scene.constraint_elements();
    let concerned: Vec<&Element> =
        elements.iter().filter(|e| near.as_ref().is_none_or(|near| scene.concerns(e, near))).collect();
    let orders = scene.order_pairs(&elements);
    let lints = lint::lint(&scene, &elements, &concerned, &orders, tell);
    let readings = concerned.iter().zip(lints).map(|(e, lints)| Reading {
        id: e.id().unwrap_or_default().to_owned(),
        kind: kind(e),
        sentence: sentences::sentence(e, scene.stands_for_sets(e)),
        pairs: scene.pairs(e, &orders),
        lints,
    });
    Ok(readings.collect())
}

/// The kind of a constraint's element.
pub(super) fn kind(e: &Element) -> &'static str {
    match e.name() {
        "rsc_location" => "location",
        "rsc_colocation" => "colocation",
        "rsc_order" => "order",
        "rsc_ticket" => "ticket",
        _ => "unknown",
    }
}

impl Scene {
    /// Whether an end of this constraint is a tag or a template: it is read as two sets.
    fn stands_for_sets(&self, e: &Element) -> bool {
        let st = self.st();
        let several = |name: &str| {
            st.find_for_constraint(name).is_none()
                && (st.templates.contains_key(name) || st.tags.contains_key(name))
        };
        ["first", "then"].iter().filter_map(|end| e.attr(end)).any(several)
    }

    /// The configured constraints, in order.
    pub(super) fn constraint_elements(&self) -> Vec<Element> {
        let list = self.cib.root().path(&["configuration", "constraints"]);
        list.into_iter().flat_map(Element::children).cloned().collect()
    }

    /// Ids that stand for a resource: its own, those around it, those in it, tags and templates.
    fn neighbourhood(&self, r: ResourceIx) -> Vec<String> {
        let st = self.st();
        let mut ids = self.family(r);
        for x in super::outcome::all(st) {
            let mut at = Some(x);
            while let Some(y) = at {
                if y == r {
                    ids.push(st[x].id.clone());
                    ids.push(st[x].config_id().to_owned());
                    break;
                }
                at = st[y].parent;
            }
        }
        for (name, members) in st.tags.iter().chain(&st.templates) {
            if members.iter().any(|m| ids.contains(m)) {
                ids.push(name.clone());
            }
        }
        ids
    }

    fn concerns(&self, e: &Element, near: &[String]) -> bool {
        let is = |name: Option<&str>| name.is_some_and(|n| near.iter().any(|x| x == n));
        let direct = ["rsc", "with-rsc", "first", "then"].iter().any(|a| is(e.attr(a)));
        let in_set = e.descendants().any(|d| d.name() == "resource_ref" && is(d.id()));
        let by_pattern = e.attr("rsc-pattern").is_some() && {
            let st = self.st();
            let id = e.id().unwrap_or_default();
            st.locations.iter().any(|l| l.id == id && is(Some(&st[l.resource].id)))
        };
        direct || in_set || by_pattern
    }

    /// What the planner makes of a constraint.
    pub(super) fn pairs(&self, e: &Element, orders: &BTreeMap<String, Vec<OrderPair>>) -> Vec<Fact> {
        let st = self.st();
        let id = e.id().unwrap_or_default();
        match e.name() {
            "rsc_location" => self.location_pairs(id),
            "rsc_colocation" => st
                .colocations
                .iter()
                .filter(|c| c.id == id)
                .map(|c| {
                    let side = |r: ResourceIx, role: Role| match role {
                        Role::Promoted | Role::Unpromoted => {
                            format!("{} ({})", self.id(r), role.word().to_lowercase())
                        }
                        _ => self.id(r).to_owned(),
                    };
                    let (a, b) = (side(c.dependent, c.dependent_role), side(c.primary, c.primary_role));
                    Fact::new("colocation", format!("{a} with {b}: {}", words::score(c.score)))
                        .with("resource", self.id(c.dependent))
                        .with("with", self.id(c.primary))
                        .with("score", words::score(c.score))
                })
                .collect(),
            "rsc_order" => orders.get(id).into_iter().flatten().map(|p| self.order_fact(p)).collect(),
            "rsc_ticket" => st
                .ticket_uses
                .iter()
                .filter(|u| u.constraint == id)
                .map(|u| {
                    let role = match u.role {
                        Role::Promoted => " (promoted)",
                        Role::Unpromoted => " (unpromoted)",
                        _ => "",
                    };
                    let granted = st.tickets.get(&u.ticket).is_some_and(|t| t.granted && !t.standby);
                    let now = if granted { "granted" } else { "not granted" };
                    Fact::new(
                        "ticket",
                        format!("{}{role} needs ticket {}, now {now}", self.id(u.resource), u.ticket),
                    )
                    .with("resource", self.id(u.resource))
                    .with("ticket", &u.ticket)
                    .with("granted", granted)
                })
                .collect(),
            _ => Vec::new(),
        }
    }

    fn location_pairs(&self, id: &str) -> Vec<Fact> {
        let st = self.st();
        let mut out = Vec::new();
        for l in st.locations.iter().filter(|l| l.id == id && !l.health) {
            let rule = l.rule.as_ref().map_or_else(String::new, |r| format!(", by rule {r}"));
            let role = match l.role {
                Role::Promoted => " (promoted)",
                _ => "",
            };
            if l.nodes.is_empty() {
                let text = format!("{}{role}: on no node at present{rule}", self.id(l.resource));
                out.push(Fact::new("location", text).with("resource", self.id(l.resource)));
            }
            for (n, score) in &l.nodes {
                let text = format!(
                    "{}{role} on {}: {}{rule}",
                    self.id(l.resource),
                    self.node(*n),
                    words::score(*score)
                );
                out.push(
                    Fact::new("location", text)
                        .with("resource", self.id(l.resource))
                        .with("node", self.node(*n))
                        .with("score", words::score(*score)),
                );
            }
        }
        out
    }

    /// The orderings of each `rsc_order`, by its id, as the planner makes them.
    pub(super) fn order_pairs(&self, constraints: &[Element]) -> BTreeMap<String, Vec<OrderPair>> {
        let mut scratch: State = self.plan.state.clone();
        scratch.effects.clear();
        let mut work = Work::new(&mut scratch);
        let end = |end: &End, actions: &crate::policy::transition::arena::Actions| {
            let task = match (&end.key, end.action) {
                (Some(Key::Op(task, _)), _) => task.clone(),
                (_, Some(action)) => actions[action].task.clone(),
                _ => Task::Other("?".into()),
            };
            (end.resource, task)
        };
        let strong = EdgeFlags::I_THEN
            | EdgeFlags::RUN_LEFT
            | EdgeFlags::ASYM
            | EdgeFlags::I_FIRST
            | EdgeFlags::SERIALIZE
            | EdgeFlags::ONE_OR_MORE;
        let mut all = BTreeMap::new();
        for e in constraints.iter().filter(|e| e.name() == "rsc_order") {
            let before = work.actions.orderings.len();
            work.orderings_of(e);
            let made = work.actions.orderings.iter().skip(before).map(|o| {
                let (first, first_task) = end(&o.first, &work.actions);
                let (then, then_task) = end(&o.then, &work.actions);
                OrderPair {
                    first,
                    first_task,
                    then,
                    then_task,
                    optional: !o.flags.any(strong),
                    inverse: o.flags.any(EdgeFlags::I_FIRST),
                    demands: o.flags.without(EdgeFlags::OPT | EdgeFlags::SERIALIZE),
                }
            });
            all.insert(e.id().unwrap_or_default().to_owned(), made.collect());
        }
        all
    }

    fn order_fact(&self, p: &OrderPair) -> Fact {
        let kind = if p.optional { " (where both happen)" } else { "" };
        Fact::new("order", format!("{}{kind}", order_text(self, p))).with("optional", p.optional)
    }
}

/// `start db, then start web`
pub(super) fn order_text(scene: &Scene, p: &OrderPair) -> String {
    let side = |r: Option<ResourceIx>, task: &Task| match r {
        Some(r) => format!("{} {}", task.as_str(), scene.id(r)),
        None => "one of them".to_owned(),
    };
    format!("{}, then {}", side(p.first, &p.first_task), side(p.then, &p.then_task))
}

impl Reading {
    pub fn tree(&self) -> Tree {
        Tree::map()
            .with("id", &self.id)
            .with("kind", self.kind)
            .with("sentence", &self.sentence)
            .with_list("pairs", "pair", self.pairs.iter().map(Fact::tree).collect())
            .with_list("lints", "lint", self.lints.iter().map(Fact::tree).collect())
    }

    pub fn text(&self) -> String {
        let mut out = format!("{} ({}): {}\n", self.id, self.kind, super::fact::sentence(&self.sentence));
        for pair in &self.pairs {
            out.push_str(&format!("    {}\n", pair.text));
        }
        for lint in &self.lints {
            out.push_str(&format!("  ! {}: {}\n", lint.code, super::fact::sentence(&lint.text)));
        }
        out
    }
}

/// Readings as one text.
pub fn text(list: &[Reading]) -> String {
    if list.is_empty() {
        return "No constraints.\n".to_owned();
    }
    list.iter().map(Reading::text).collect()
}

/// Readings as one tree.
pub fn tree(list: &[Reading]) -> Tree {
    Tree::List("constraint", list.iter().map(Reading::tree).collect())
}
