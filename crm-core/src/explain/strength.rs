//! Which constraint says the same as another one, or more.

use std::collections::BTreeMap;

use cib::Element;

use super::constraints::OrderPair;
use super::outcome;
use super::scene::Scene;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::state::Role;
use crate::policy::values::INFINITY;

/// One colocation that a constraint asks for: both resources, both roles, the attribute that must agree.
type Pair = (ResourceIx, ResourceIx, Role, Role, Option<String>);

/// What a constraint says, as the planner reads it.
enum Said {
    /// Leaf by leaf and node by node.
    Location(BTreeMap<(ResourceIx, NodeIx), i32>),
    Colocation(Vec<(Pair, i32)>),
    Order(Vec<OrderPair>),
    Ticket(Vec<(ResourceIx, String, Role)>),
}

/// What all constraints say, in their order.
pub(super) struct Strength {
    said: Vec<(String, Said)>,
}

impl Strength {
    pub(super) fn new(scene: &Scene, all: &[Element], orders: &BTreeMap<String, Vec<OrderPair>>) -> Self {
        let st = scene.st();
        let mut locations: BTreeMap<&str, BTreeMap<(ResourceIx, NodeIx), i32>> = BTreeMap::new();
        for l in st.locations.iter().filter(|l| !l.health) {
            let cells = locations.entry(&l.id).or_default();
            for leaf in outcome::leaves(st, l.resource) {
                cells.extend(l.nodes.iter().map(|(n, score)| ((leaf, *n), *score)));
            }
        }
        let mut colocations: BTreeMap<&str, Vec<(Pair, i32)>> = BTreeMap::new();
        for c in &st.colocations {
            let pair = (c.dependent, c.primary, c.dependent_role, c.primary_role, c.attribute.clone());
            colocations.entry(&c.id).or_default().push((pair, c.score));
        }
        let mut tickets: BTreeMap<&str, Vec<(ResourceIx, String, Role)>> = BTreeMap::new();
        for u in &st.ticket_uses {
            tickets.entry(&u.constraint).or_default().push((u.resource, u.ticket.clone(), u.role));
        }
        let said = all.iter().filter_map(|e| {
            let id = e.id()?;
            let said = match e.name() {
                "rsc_location" => Said::Location(locations.get(id).cloned().unwrap_or_default()),
                "rsc_colocation" => Said::Colocation(colocations.get(id).cloned().unwrap_or_default()),
                "rsc_order" => Said::Order(orders.get(id).cloned().unwrap_or_default()),
                "rsc_ticket" => Said::Ticket(tickets.get(id).cloned().unwrap_or_default()),
                _ => return None,
            };
            Some((id.to_owned(), said))
        });
        Strength { said: said.collect() }
    }

    /// How many constraints there are.
    pub(super) fn len(&self) -> usize {
        self.said.len()
    }

    /// The first constraint that says as much as this one, and more strongly (or says the same and comes first), and in
    /// which way.
    pub(super) fn stronger(&self, id: &str) -> Option<(String, String)> {
        let at = self.said.iter().position(|(own, _)| own == id)?;
        (0..self.said.len()).find_map(|by| {
            let why = self.covers(at, by)?;
            Some((self.said.get(by)?.0.clone(), why.to_owned()))
        })
    }

    /// The constraints that say a part of what this one says, more weakly.
    pub(super) fn weaker(&self, id: &str) -> Vec<&str> {
        let Some(at) = self.said.iter().position(|(own, _)| own == id) else { return Vec::new() };
        let below = (0..self.said.len()).filter(|other| self.covers(*other, at).is_some());
        below.filter_map(|other| self.said.get(other)).map(|(id, _)| id.as_str()).collect()
    }

    /// In which way the constraint at `by` says at least what the one at `at` does; of two that say the same, the later
    /// one is the superfluous one.
    fn covers(&self, at: usize, by: usize) -> Option<&'static str> {
        let ((id, mine), (other, theirs)) = (self.said.get(at)?, self.said.get(by)?);
        if id == other {
            return None;
        }
        let (same, why) = match (mine, theirs) {
            (Said::Location(mine), Said::Location(theirs)) => {
                // Banned, or at least as strongly wished.
                let covered = !mine.is_empty()
                    && mine.iter().all(|(cell, score)| {
                        theirs.get(cell).is_some_and(|s| {
                            *s <= -INFINITY
                                || (s.abs() >= INFINITY && s.signum() == score.signum())
                                || s == score
                        })
                    });
                let ban = theirs.values().any(|s| *s <= -INFINITY);
                let why = match ban {
                    true => "it forbids the same nodes to the same resource",
                    false => "it wishes the same with INFINITY",
                };
                (covered.then_some(mine == theirs)?, why)
            }
            (Said::Colocation(mine), Said::Colocation(theirs)) => {
                let covered = !mine.is_empty()
                    && mine.iter().all(|(pair, score)| {
                        theirs.iter().any(|(p, s)| p == pair && (s.abs() >= INFINITY || s == score))
                    });
                (covered.then_some(mine == theirs)?, "it says it of the same resources with INFINITY")
            }
            (Said::Order(mine), Said::Order(theirs)) => {
                let ends = |p: &OrderPair| (p.first, p.first_task.clone(), p.then, p.then_task.clone());
                // Of two orderings of the same actions the first counts: a later one covers what asks the same.
                let covers = |t: &OrderPair, m: &OrderPair| {
                    (m.optional || !t.optional) && (by < at || t.demands == m.demands)
                };
                let covered = !mine.is_empty()
                    && mine.iter().all(|m| theirs.iter().any(|t| ends(t) == ends(m) && covers(t, m)));
                (covered.then_some(mine == theirs)?, "it orders the same resources, and as strictly")
            }
            (Said::Ticket(mine), Said::Ticket(theirs)) => {
                let covered = !mine.is_empty() && mine.iter().all(|m| theirs.contains(m));
                return (covered && !(mine == theirs && by > at)).then_some("it asks for the same ticket");
            }
            _ => return None,
        };
        match (same, by > at) {
            (true, true) => None,
            (true, false) => Some("it says the same"),
            (false, _) => Some(why),
        }
    }
}
