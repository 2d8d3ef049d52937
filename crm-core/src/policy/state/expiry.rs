//! Whether a recorded failure is over: by time, or because parameters changed.

use super::build::Builder;
use super::digest::DigestMatch;
use super::history_op::{Entry, rc, status};
use super::{NodeIx, ResourceIx};
use crate::policy::ledger::Ledger;
use crate::policy::values;

impl<L: Ledger> Builder<'_, L> {
    /// Step 1: whether the failure an entry records is over by time.
    pub(super) fn expired(&mut self, n: NodeIx, r: ResourceIx, e: &Entry<'_>) -> bool {
        let last_failure_entry = e.id.ends_with("_last_failure_0");
        let changed = e.op.attr("last-rc-change").map(|t| values::scan_or(t, 0)).filter(|t| *t != 0);
        let mut expired = false;
        let mut effective = 0;
        let mut reason = None;
        let timeout = self.s[r].failure_timeout;
        if let (true, Some(changed)) = (timeout > 0, changed) {
            self.s[r].flags.timed |= e.rc != e.expected || e.status != status::DONE;
            if self.s.now >= changed + timeout && !self.waits_for_fencing(r, e) {
                expired = true;
            }
            let count = self.s.fail_count(n, r, true, false, Some(e.op));
            effective = count.count;
            let timeout = self.s[r].failure_timeout;
            if effective != 0 {
                self.s.recheck_at(count.last + timeout + 1);
            }
        }
        if expired {
            if self.s.fail_count(n, r, false, false, Some(e.op)).count != 0 {
                if effective == 0 {
                    reason = Some("it expired");
                } else {
                    expired = false;
                }
            } else if last_failure_entry && self.s[r].remote_reconnect_ms > 0 {
                reason = Some("reconnect interval is set");
            }
        }
        if !expired && last_failure_entry && matches!(e.task, "start" | "monitor") {
            if self.s.needs_bundle_address(r) {
                self.s.deferred_checks.push((r, n, e.op.clone()));
            } else {
                self.s.note_parameters(r, Some(n));
                if matches!(self.s.compare_digest(r, n, e.op), DigestMatch::All | DigestMatch::Restart) {
                    reason = Some("resource parameters have changed");
                }
            }
        }
        if let Some(reason) = reason {
            self.s.clear_fail_count(r, n, reason);
        }
        let fine = [rc::OK, rc::NOT_RUNNING, rc::PROMOTED, rc::DEGRADED, rc::DEGRADED_PROMOTED];
        expired && !(e.is_probe() && fine.contains(&e.rc))
    }

    /// A failed recurring monitor of a connection with a reconnect interval stays until its node is fenced.
    fn waits_for_fencing(&self, r: ResourceIx, e: &Entry<'_>) -> bool {
        self.s[r].remote_reconnect_ms > 0
            && self.s.options.stonith_enabled
            && e.interval_ms > 0
            && e.task == "monitor"
            && self.s[r].remote_node.is_some_and(|m| !self.s[m].remote_was_fenced)
    }

    /// Makes a later comparison of the entry's digest say that the operation has to be scheduled again.
    pub(super) fn replace_restart_digest(&mut self, n: NodeIx, r: ResourceIx, entry: &str) {
        let name = self.s[r].name_in_history().to_owned();
        let Some(state) = self.s[n].state_xml.as_mut() else { return };
        let list = state.child_mut("lrm").and_then(|l| l.child_mut("lrm_resources"));
        let Some(resource) = list.and_then(|l| l.children_mut().find(|e| e.id() == Some(&name))) else {
            return;
        };
        if let Some(op) = resource.children_mut().find(|e| e.id() == Some(entry)) {
            op.set_attr("op-restart-digest", "calculated-failure-timeout");
        }
    }
}
