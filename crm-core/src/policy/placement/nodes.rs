//! Which nodes can be used, and in which order they are tried; the order of resources.

use super::Placer;
use super::merge::Flags;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::ledger::{Ledger, Step};
use crate::policy::reference_order::{hash_order, merge_sort};
use crate::policy::state::{Placement, Row, State};
use crate::policy::values::INFINITY;
use std::cmp::{Ordering, Reverse};

impl State {
    /// Available, and allowed by this score.
    pub fn available_with(&self, n: NodeIx, score: i32) -> bool {
        self[n].available() && score >= 0
    }

    /// Available; a guest node only with its container assigned.
    pub fn available_as_guest(&self, n: NodeIx) -> bool {
        self[n].available() && self.container_of_node(n).is_none_or(|k| self[k].assigned.is_some())
    }

    /// Some node of the table is available and allowed.
    pub fn any_available(&self, row: &Row) -> bool {
        row.iter().any(|(n, e)| e.score >= 0 && self[n].available())
    }

    /// Order of two nodes for a resource (6.3).
    pub fn compare_nodes(&self, row: &Row, a: NodeIx, b: NodeIx, active: Option<NodeIx>) -> Ordering {
        let score = |n: NodeIx| {
            if self[n].available() { row.score(n).unwrap_or(-INFINITY) } else { -INFINITY }
        };
        let by_score = score(b).cmp(&score(a));
        if by_score != Ordering::Equal {
            return by_score;
        }
        if self.options.placement != Placement::Minimal {
            if self.options.placement == Placement::Balanced {
                let by_capacity = self.compare_capacity(a, b);
                if by_capacity != Ordering::Equal {
                    return by_capacity;
                }
            }
            self.load_decided.set(true);
            let by_load = self[a].assigned_count.cmp(&self[b].assigned_count);
            if by_load != Ordering::Equal {
                return by_load;
            }
            if let Some(active) = active {
                if a == active && b != active {
                    return Ordering::Less;
                }
                if b == active && a != active {
                    return Ordering::Greater;
                }
            }
        }
        self[a].name.cmp(&self[b].name)
    }

    /// What made [`State::compare_nodes`] put `chosen` before `other`.
    pub(super) fn deciding_step(
        &self,
        row: &Row,
        chosen: NodeIx,
        other: NodeIx,
        active: Option<NodeIx>,
    ) -> Step {
        if !self[other].available() {
            return Step::Unavailable;
        }
        let score = |n: NodeIx| row.score(n).unwrap_or(-INFINITY);
        if score(chosen) != score(other) {
            return Step::Score { chosen: score(chosen), other: score(other) };
        }
        if self.compare_nodes(row, chosen, other, active) == Ordering::Greater {
            // It would have come second: being active there with a positive score keeps it, else a wish.
            return if active == Some(chosen) { Step::Active } else { Step::Preferred };
        }
        if self.options.placement != Placement::Minimal {
            if self.options.placement == Placement::Balanced
                && self.compare_capacity(chosen, other) != Ordering::Equal
            {
                return Step::Capacity;
            }
            let load = (self[chosen].assigned_count, self[other].assigned_count);
            if load.0 != load.1 {
                return Step::Load { chosen: load.0, other: load.1 };
            }
            if active == Some(chosen) {
                return Step::Active;
            }
        }
        Step::Name
    }

    /// A table's nodes, best first.
    pub fn sorted_nodes(&self, row: &Row, active: Option<NodeIx>) -> Vec<NodeIx> {
        let mut nodes: Vec<NodeIx> = self.node_order.iter().copied().filter(|n| row.contains(*n)).collect();
        if self.options.placement == Placement::Balanced {
            // The comparison need not be transitive: start where the reference starts.
            let order = hash_order(nodes.iter().map(|n| self[*n].id.as_str()));
            nodes = order.iter().rev().filter_map(|i| nodes.get(*i).copied()).collect();
        }
        merge_sort(&mut nodes, &mut |a, b| self.compare_nodes(row, *a, *b, active));
        nodes
    }

    /// The first of [`State::sorted_nodes`].
    pub fn best_node(&self, row: &Row, active: Option<NodeIx>) -> Option<NodeIx> {
        if self.options.placement == Placement::Balanced {
            return self.sorted_nodes(row, active).first().copied();
        }
        // Without capacities the order is a whole one, and each node has its place in it by itself.
        let counts = self.options.placement != Placement::Minimal;
        let place = |n: NodeIx| {
            let node = &self[n];
            let score = if node.available() { row.score(n).unwrap_or(-INFINITY) } else { -INFINITY };
            let load = if counts { node.assigned_count } else { 0 };
            let elsewhere = counts && active.is_some() && active != Some(n);
            (Reverse(score), load, elsewhere)
        };
        let nodes = self.node_order.iter().copied().filter(|n| row.contains(*n));
        let places = nodes.map(|n| (place(n), n));
        let best = places.min_by(|(a, n), (b, m)| a.cmp(b).then_with(|| self[*n].name.cmp(&self[*m].name)));
        best.map(|(_, n)| n)
    }
}

impl<L: Ledger> Placer<'_, L> {
    /// 5.2: the order of assignment where capacities count.
    pub fn sort_resources(&mut self) {
        if self.s.nodes.is_empty() {
            return;
        }
        let everywhere: Row = {
            let mut row = Row::default();
            for n in self.s.node_indices() {
                row.insert(n, self.s[n].score, self.s[n].discovery);
            }
            row
        };
        let nodes = self.s.sorted_nodes(&everywhere, None);
        let mut top = std::mem::take(&mut self.s.top);
        let mut wishes: std::collections::HashMap<ResourceIx, Row> = std::collections::HashMap::new();
        for r in &top {
            let flags = Flags { this_with: true, ..Flags::default() };
            let row = self.merge(*r, None, None, 1.0, flags).unwrap_or_default();
            wishes.insert(*r, row);
        }
        let s = &*self.s;
        merge_sort(&mut top, &mut |a, b| {
            let by_priority = s[*b].priority.cmp(&s[*a].priority);
            if by_priority != Ordering::Equal {
                return by_priority;
            }
            let (Some(x), Some(y)) = (wishes.get(a), wishes.get(b)) else { return Ordering::Equal };
            let on = |row: &Row, n: Option<NodeIx>| n.and_then(|n| row.score(n)).unwrap_or(-INFINITY);
            let by_current = on(y, s.current(*b)).cmp(&on(x, s.current(*a)));
            if by_current != Ordering::Equal {
                return by_current;
            }
            nodes
                .iter()
                .map(|n| on(y, Some(*n)).cmp(&on(x, Some(*n))))
                .find(|o| *o != Ordering::Equal)
                .unwrap_or(Ordering::Equal)
        });
        self.s.top = top;
    }
}
