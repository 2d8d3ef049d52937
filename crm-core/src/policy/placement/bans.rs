//! Edits of the tables that depend on where resources are and how often they failed.

use super::Placer;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::ledger::{Ledger, Source};
use crate::policy::state::{Discovery, Effect, Variant};
use crate::policy::values::{INFINITY, scan_or};

impl<L: Ledger> Placer<'_, L> {
    /// 7.8: resources of a node that shuts down wait for it.
    pub fn shutdown_locks(&mut self) {
        if !self.s.options.shutdown_lock {
            return;
        }
        for r in self.s.top.clone() {
            match self.s[r].variant() {
                Variant::Primitive => self.shutdown_lock(r),
                Variant::Group => {
                    for m in self.s[r].children.clone() {
                        self.shutdown_lock(m);
                    }
                }
                _ => {}
            }
        }
    }

    fn shutdown_lock(&mut self, r: ResourceIx) {
        let rsc = &self.s[r];
        // The connection to a guest is locked as other resources are.
        let remote = rsc.flags.is_connection && rsc.container.is_none();
        if rsc.class().is_empty() || rsc.flags.fence_device || remote {
            return;
        }
        if let Some(n) = rsc.lock_node {
            if !rsc.running_on.is_empty() {
                self.s[r].lock_node = None;
                self.s[r].lock_time = 0;
                self.s.effect(Effect::DeleteHistory { resource: r, node: n });
            }
        } else if let [n] = rsc.running_on.as_slice() {
            let n = *n;
            let node = &self.s[n];
            if node.shutdown && !node.unclean {
                let time = node.attribute("shutdown").map_or(0, |t| scan_or(t, 0));
                self.s[r].lock_node = Some(n);
                self.s[r].lock_time = if time != 0 { time } else { self.s.now };
            }
        }
        let Some(lock) = self.s[r].lock_node else { return };
        let limit = self.s.options.shutdown_lock_limit;
        if limit > 0 {
            let at = self.s[r].lock_time + limit + 1;
            self.s.recheck_at(at);
        }
        for n in self.s.node_order.clone() {
            if n != lock {
                self.s.nudge(self.ledger, r, n, -INFINITY, Source::ShutdownLock);
            }
        }
    }

    /// 7.11.
    pub fn stickiness(&mut self) {
        for r in self.s.top.clone() {
            self.stickiness_of(r);
        }
    }

    fn stickiness_of(&mut self, r: ResourceIx) {
        if !self.s[r].children.is_empty() {
            for c in self.s[r].children.clone() {
                self.stickiness_of(c);
            }
            return;
        }
        let rsc = &self.s[r];
        let [n] = rsc.running_on.as_slice() else { return };
        let (n, stickiness) = (*n, rsc.stickiness);
        if !rsc.flags.managed || stickiness < 1 {
            return;
        }
        if self.s.options.symmetric || rsc.table.contains(n) {
            self.s.nudge(self.ledger, r, n, stickiness, Source::Stickiness);
        }
    }

    /// 7.12 and 7.13: for every node, every resource.
    pub fn node_bans(&mut self) {
        let top = self.s.top.clone();
        for n in self.s.node_order.clone() {
            let any_failed = self.s.has_fail_counts(n);
            for r in &top {
                if any_failed {
                    self.threshold(n, *r);
                }
                self.exclusive(n, *r);
            }
        }
    }

    fn threshold(&mut self, n: NodeIx, r: ResourceIx) {
        if !self.s[r].children.is_empty() {
            for i in 0..self.s[r].children.len() {
                let c = self.s[r].children[i];
                self.threshold(n, c);
            }
            return;
        }
        // A count that is about to be cleared bans nothing.
        if self.s.clear_requested.contains(&(r, n)) {
            return;
        }
        if let Some((banned, count)) = self.threshold_reached(n, r) {
            let threshold = self.s[r].migration_threshold;
            let (id, node) = (self.s[banned].id.clone(), self.s[n].name.clone());
            self.s.complaints.log_warning(
                "threshold-reached",
                &id,
                format!(
                    "{id} cannot run on {node} due to reaching migration threshold (clean up resource to allow again)"
                ),
            );
            let source = Source::FailureThreshold { fail_count: count, threshold };
            self.s.nudge(self.ledger, banned, n, -INFINITY, source);
        }
    }

    /// What the failures of a leaf ban from a node: itself, or its anonymous clone. Whether they are about to be cleared
    /// is asked elsewhere: a bundle's replica keeps the score it has on its node although they are.
    pub fn threshold_reached(&mut self, n: NodeIx, r: ResourceIx) -> Option<(ResourceIx, i32)> {
        let rsc = &self.s[r];
        if rsc.migration_threshold == 0 || rsc.flags.failure_ignored || !self.s.has_fail_counts(n) {
            return None;
        }
        let count = self.s.fail_count(n, r, true, true, None).count;
        if count <= 0 || count < self.s[r].migration_threshold {
            return None;
        }
        let banned = if self.s[r].flags.unique { r } else { self.s.top_of(r) };
        Some((banned, count))
    }

    fn exclusive(&mut self, n: NodeIx, r: ResourceIx) {
        let top = self.s.top_of(r);
        if !self.s[r].flags.exclusive_discovery && !self.s[top].flags.exclusive_discovery {
            return;
        }
        for c in self.s[r].children.clone() {
            self.exclusive(n, c);
        }
        if self.s[r].table.get(n).is_some_and(|e| e.discovery != Discovery::Exclusive) {
            self.ban(r, n, Source::ExclusiveDiscovery);
        }
    }
}

impl crate::policy::state::State {
    /// Whether anything has failed on the node, as far as its attributes say.
    pub fn has_fail_counts(&self, n: NodeIx) -> bool {
        self[n].attributes.keys().any(|k| k.starts_with("fail-count-"))
    }
}
