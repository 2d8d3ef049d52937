//! Assigns a primitive (section 11).

use super::Placer;
use super::merge::Flags;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::ledger::{Ledger, Source};
use crate::policy::state::{Assigned, Effect, QuorumPolicy, Role, Variant};
use crate::policy::values::INFINITY;

impl<L: Ledger> Placer<'_, L> {
    pub fn assign_primitive(&mut self, r: ResourceIx, prefer: Option<NodeIx>) -> Option<NodeIx> {
        if let Some(p) = self.s[r].parent.filter(|p| !self.s[*p].flags.allocating) {
            self.assign(p, prefer);
        }
        if !self.s[r].flags.provisional {
            return self.s[r].assigned_node();
        }
        if self.s[r].flags.allocating {
            return None;
        }
        self.s[r].flags.allocating = true;
        for ix in self.s[r].this_with.clone() {
            let c = &self.s[ix];
            let primary = c.primary;
            let optional = c.dependent_role >= Role::Promoted || (c.score < 0 && c.score > -INFINITY);
            let backup = optional.then(|| self.s[r].table.clone());
            self.assign(primary, None);
            self.apply_for_dependent(r, primary, ix);
            if let Some(b) = backup
                && !self.s.any_available(&self.s[r].table)
            {
                let constraint = self.s[ix].id.clone();
                self.restore_table(r, b, Source::ColocatedWith { constraint: &constraint, primary });
            }
        }
        for ix in self.s[r].with_this.clone() {
            if self.s.has_influence(ix, r) {
                let dependent = self.s[ix].dependent;
                self.adopt_wishes(r, dependent, ix, Flags { active: true, ..Flags::default() });
            }
        }
        if self.s[r].next_role == Role::Stopped {
            self.s.nudge_all(self.ledger, r, -INFINITY, Source::StopRequested);
        } else if self.s[r].next_role > self.s[r].role
            && !self.s.quorum
            && self.s.options.no_quorum_policy == QuorumPolicy::Freeze
        {
            self.s[r].next_role = self.s[r].role;
        }
        self.show(r, "pcmk__primitive_assign", false);
        if self.s.options.stonith_enabled && !self.s.have_fence_device {
            self.s[r].flags.managed = false;
        }
        if !self.s[r].flags.managed {
            self.s[r].next_role = self.s[r].role;
            let at = self.s.current(r);
            let target = at.map(|node| Assigned { node, score: self.s[node].score });
            self.finalize(r, target, true);
        } else if self.s.options.stop_all_resources {
            self.finalize(r, None, true);
        } else {
            self.choose(r, prefer);
        }
        self.s[r].flags.allocating = false;
        self.after_connection(r);
        self.s[r].assigned_node()
    }

    /// 11.6 c to e.
    fn choose(&mut self, r: ResourceIx, prefer: Option<NodeIx>) {
        let most = self.utilization_filter(r);
        let prefer = prefer.or(most);
        let current = self.s.current(r);
        let row = &self.s[r].table;
        let Some(best) = self.s.best_node(row, current) else {
            self.finalize(r, None, false);
            return;
        };
        let best_score = row.score(best).unwrap_or(-INFINITY);
        let mut chosen = None;
        if let Some(p) = prefer
            && let Some(score) = row.score(p)
            && score >= best_score
            && self.s.available_with(p, score)
        {
            chosen = Some(p);
        }
        let chosen = chosen.unwrap_or_else(|| {
            let in_unique_clone = self.s[r]
                .parent
                .is_some_and(|p| self.s[p].variant() == Variant::Clone && self.s[p].flags.unique);
            if !in_unique_clone
                && best_score > 0
                && self.s[best].available()
                && let Some(at) = current
                && self.s.available_with(at, self.s[at].score)
            {
                // It is as good as the best one.
                if row.score(at) == Some(best_score) && self.s[at].available() {
                    return at;
                }
            }
            self.chosen_by_load(r, best);
            best
        });
        let score = row.score(chosen).unwrap_or(-INFINITY);
        if L::KEEPS {
            let nodes = self.s.sorted_nodes(&self.s[r].table, current);
            for other in nodes.into_iter().filter(|n| *n != chosen) {
                let step = self.s.deciding_step(&self.s[r].table, chosen, other, current);
                self.ledger.choice(r, chosen, other, step);
            }
        }
        self.finalize(r, Some(Assigned { node: chosen, score }), false);
    }

    /// 11.7: gives a leaf (or all leaves of a collective) its node. Whether it got one.
    pub fn finalize(&mut self, r: ResourceIx, target: Option<Assigned>, force: bool) -> bool {
        if !self.s[r].children.is_empty() {
            let mut any = false;
            for c in self.s[r].children.clone() {
                any |= self.finalize(c, target, force);
            }
            return any;
        }
        let mut target = target;
        if let Some(a) = target.filter(|_| !force) {
            let usable =
                a.score >= 0 && (self.s.available_with(a.node, a.score) || self.s.is_guest_node(a.node));
            if !usable {
                self.s[r].next_role = Role::Stopped;
                target = None;
            }
        }
        self.unassign(r);
        self.s[r].flags.provisional = false;
        self.ledger.assigned(r, target.map(|a| a.node));
        let Some(a) = target else {
            self.s[r].next_role = Role::Stopped;
            self.s.effect(Effect::Unassigned { resource: r });
            return false;
        };
        self.s[r].assigned = Some(a);
        self.s[a.node].assigned_count += 1;
        self.consume(r, a.node);
        true
    }

    /// Takes a leaf's node away again; it can be assigned anew.
    pub fn unassign(&mut self, r: ResourceIx) {
        let Some(a) = self.s[r].assigned.take() else { return };
        self.s[r].flags.provisional = true;
        self.s[a.node].assigned_count = self.s[a.node].assigned_count.saturating_sub(1);
        self.release(r, a.node);
    }

    /// 17.2: the node of a connection comes up, or goes.
    fn after_connection(&mut self, r: ResourceIx) {
        if !self.s[r].flags.is_connection {
            return;
        }
        let Some(n) = self.s[r].remote_node else { return };
        if self.s[r].assigned.is_some() && self.s[r].next_role != Role::Stopped {
            let node = &mut self.s[n];
            node.online = true;
            if node.unseen {
                node.unclean = false;
            }
        } else {
            self.s[n].shutdown = true;
        }
    }
}
