//! The order in which a clone's instances get their nodes (14.7).

use super::Placer;
use super::merge::{Flags, factor};
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::ledger::Ledger;
use crate::policy::reference_order::merge_sort;
use crate::policy::state::Row;
use std::cmp::Ordering;

impl<L: Ledger> Placer<'_, L> {
    /// Sorts a collective's children for distribution.
    pub fn sort_instances(&mut self, r: ResourceIx) {
        let mut kids = std::mem::take(&mut self.s[r].children);
        // The comparison looks at the parent's colocations only, not at its list of children.
        self.s[r].children.clone_from(&kids);
        merge_sort(&mut kids, &mut |a, b| self.compare_instances(*a, *b));
        self.s[r].children = kids;
    }

    /// 14.7: which of two instances comes first.
    pub fn compare_instances(&mut self, a: ResourceIx, b: ResourceIx) -> Ordering {
        let (on_a, on_b) = (self.s[a].running_on.clone(), self.s[b].running_on.clone());
        if !on_a.is_empty() && !on_b.is_empty() && on_a.len() != on_b.len() {
            return on_a.len().cmp(&on_b.len());
        }
        let usable =
            |s: &crate::policy::state::State, r: ResourceIx, on: &[NodeIx]| -> (bool, Option<NodeIx>) {
                match on.first() {
                    None => (true, None),
                    Some(n) => match s[r].table.score(*n) {
                        Some(score) if score >= 0 => (true, Some(*n)),
                        _ => (false, None),
                    },
                }
            };
        let ((can_a, at_a), (can_b, at_b)) = (usable(self.s, a, &on_a), usable(self.s, b, &on_b));
        if can_a != can_b {
            return can_b.cmp(&can_a);
        }
        let by_priority = self.s[b].priority.cmp(&self.s[a].priority);
        if by_priority != Ordering::Equal {
            return by_priority;
        }
        let (na, nb) = match (at_a, at_b) {
            (None, None) => return Ordering::Equal,
            (Some(_), None) => return Ordering::Less,
            (None, Some(_)) => return Ordering::Greater,
            (Some(x), Some(y)) => (x, y),
        };
        let by_available = self.s[nb].available().cmp(&self.s[na].available());
        if by_available != Ordering::Equal {
            return by_available;
        }
        let record = |s: &crate::policy::state::State, r: ResourceIx, n: NodeIx| {
            s[r].parent.and_then(|p| s[p].table.get(n).map(|e| e.count))
        };
        match (record(self.s, a, na), record(self.s, b, nb)) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Greater,
            (Some(_), None) => return Ordering::Less,
            (Some(x), Some(y)) if x != y => return x.cmp(&y),
            _ => {}
        }
        let failed = |s: &crate::policy::state::State, r: ResourceIx| s.any_flag(r, |f| f.failed);
        let by_failed = failed(self.s, a).cmp(&failed(self.s, b));
        if by_failed != Ordering::Equal {
            return by_failed;
        }
        let (wa, wb) = (self.colocation_score(a, na), self.colocation_score(b, nb));
        if wa != wb {
            return wb.cmp(&wa);
        }
        self.s.instance_number(a).cmp(&self.s.instance_number(b))
    }

    /// What colocations of the parent make of an instance's node.
    fn colocation_score(&mut self, r: ResourceIx, n: NodeIx) -> i32 {
        let Some(p) = self.s[r].parent else { return 0 };
        let mut row = Row::default();
        row.insert(n, self.s[n].score, self.s[n].discovery);
        for ix in self.s[p].this_with.clone() {
            let c = &self.s[ix];
            let (other, f, attribute) = (c.primary, factor(c.score), c.attribute.clone());
            if let Some(x) = self.merge(other, Some(row.clone()), attribute.as_deref(), f, Flags::default()) {
                row = x;
            }
        }
        for ix in self.s[p].with_this.clone() {
            if !self.s.has_influence(ix, r) {
                continue;
            }
            let c = &self.s[ix];
            let (other, f, attribute) = (c.dependent, factor(c.score), c.attribute.clone());
            let flags = Flags { nonneg: true, ..Flags::default() };
            if let Some(x) = self.merge(other, Some(row.clone()), attribute.as_deref(), f, flags) {
                row = x;
            }
        }
        row.score(n).unwrap_or(0)
    }
}
