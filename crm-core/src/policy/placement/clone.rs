//! Assigns a clone: which instances run, and where (section 14).

use super::Placer;
use super::merge::Flags;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::ledger::{Ledger, Source};
use crate::policy::values::INFINITY;

impl<L: Ledger> Placer<'_, L> {
    pub fn assign_clone(&mut self, r: ResourceIx, prefer: Option<NodeIx>) -> Option<NodeIx> {
        if !self.s[r].flags.provisional || self.s[r].flags.allocating {
            return None;
        }
        let promotable = self.s[r].flags.promotable;
        if promotable {
            self.add_promotion_scores(r);
        }
        self.s[r].flags.allocating = true;
        for ix in self.s[r].this_with.clone() {
            let primary = self.s[ix].primary;
            self.assign(primary, prefer);
        }
        for ix in self.s[r].with_this.clone() {
            if self.s.has_influence(ix, r) {
                let dependent = self.s[ix].dependent;
                self.adopt_wishes(r, dependent, ix, Flags { active: true, nonneg: true, ..Flags::default() });
            }
        }
        self.show(r, "pcmk__clone_allocate", true);
        self.sort_instances(r);
        let (max, per_node) = self.s[r].clone_info().map_or((0, 1), |c| (c.max, c.node_max));
        let kids = self.s[r].children.clone();
        self.distribute(r, &kids, max, per_node);
        if promotable {
            self.promote(r);
        }
        self.s[r].flags.provisional = false;
        self.s[r].flags.allocating = false;
        None
    }

    /// 14.4: gives up to `max` children a node, at most `per_node` on each.
    pub fn distribute(&mut self, c: ResourceIx, kids: &[ResourceIx], max: i32, per_node: i32) {
        let mut available = 0;
        let nodes: Vec<NodeIx> = self.s[c].table.iter().map(|(n, _)| n).collect();
        for n in &nodes {
            if let Some(e) = self.s[c].table.get_mut(*n) {
                e.count = 0;
            }
            available += i32::from(self.s[*n].available());
        }
        let all_coloc = max < available;
        let optimal = if available > 0 { (max / available).max(1) } else { 1 };
        let mut placed = 0;
        for kid in kids {
            if placed >= max {
                break;
            }
            let rsc = &self.s[*kid];
            if rsc.running_on.is_empty() || !rsc.flags.provisional || rsc.flags.failed {
                continue;
            }
            let Some(n) = self.s.current(*kid) else { continue };
            if !self.s.available_with(n, self.s[n].score)
                || self.s[c].table.get(n).is_some_and(|e| e.count >= optimal)
            {
                continue;
            }
            placed += i32::from(self.try_instance(c, *kid, Some(n), all_coloc, per_node).is_some());
        }
        for kid in kids {
            if !self.s[*kid].flags.provisional {
                continue;
            }
            if placed >= max {
                self.s.nudge_all(self.ledger, *kid, -INFINITY, Source::CloneLimit);
            } else {
                placed += i32::from(self.try_instance(c, *kid, None, all_coloc, per_node).is_some());
            }
        }
    }

    /// 14.5: tries to give a child a node; with `prefer`, that node or none.
    fn try_instance(
        &mut self,
        c: ResourceIx,
        kid: ResourceIx,
        prefer: Option<NodeIx>,
        all_coloc: bool,
        per_node: i32,
    ) -> Option<NodeIx> {
        if !self.s[kid].flags.provisional {
            return self.s.planned_node(kid).map(|a| a.node);
        }
        if self.s[kid].flags.allocating {
            return None;
        }
        self.inherit_colocations(c, kid, all_coloc);
        if let Some(p) = prefer
            && self.s[kid].table.score(p).is_none_or(|s| s < 0)
        {
            return None;
        }
        let nodes: Vec<NodeIx> = self.s[kid].table.iter().map(|(n, _)| n).collect();
        for n in nodes {
            let allowed = self.s[n].available()
                && !self.s[kid].flags.orphan
                && self.s[c].table.get(n).is_some_and(|e| e.score >= 0 && e.count < per_node);
            if !allowed {
                self.ban_below(kid, n);
            }
        }
        let backup = self.s[kid].table.clone();
        let chosen = self.assign(kid, prefer);
        let chosen = match (chosen, prefer) {
            (Some(n), Some(p)) if n != p => {
                self.restore_table(kid, backup, Source::CloneLimit);
                if self.s[kid].is_primitive() {
                    self.unassign(kid);
                }
                None
            }
            (other, _) => other,
        };
        if let Some(e) = chosen.and_then(|n| self.s[c].table.get_mut(n)) {
            e.count += 1;
        }
        chosen
    }

    fn ban_below(&mut self, r: ResourceIx, n: NodeIx) {
        self.ban(r, n, Source::CloneLimit);
        for c in self.s[r].children.clone() {
            self.ban_below(c, n);
        }
    }

    /// The clone's colocations, for one try of an instance.
    fn inherit_colocations(&mut self, c: ResourceIx, kid: ResourceIx, all_coloc: bool) {
        for ix in self.s[c].this_with.clone() {
            let score = self.s[ix].score;
            if all_coloc || !(0..INFINITY).contains(&score) {
                self.s.list_this_with(kid, ix);
            }
        }
        for ix in self.s[c].with_this.clone() {
            if self.s.has_influence(ix, kid) && (all_coloc || self.s[ix].score < 0) {
                self.s.list_with_this(kid, ix);
            }
        }
    }
}
