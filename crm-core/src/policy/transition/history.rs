//! History against configuration: what changed, and what that calls for.

use cib::Element;

use super::Work;
use super::arena::End;
use super::flags::{ActionFlags, EdgeFlags};
use super::task::{Key, Task};
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::state::digest::DigestMatch;
use crate::policy::state::history::{active_window, sorted_ops};
use crate::policy::state::{Variant, operation};
use crate::policy::{values, words};

/// A check that waits until the host of a bundle's connection is known.
#[derive(Debug)]
pub struct Deferred {
    resource: ResourceIx,
    node: NodeIx,
    entry: Element,
}

impl Work<'_> {
    /// Compares what runs with what is configured, on every node that can be trusted.
    pub fn check_history(&mut self) {
        for node in self.st.node_order.clone() {
            let state = &self.st[node];
            if !state.available() && !state.maintenance {
                continue;
            }
            let Some(list) =
                state.state_xml.as_ref().and_then(|s| s.path(&["lrm", "lrm_resources"])).cloned()
            else {
                continue;
            };
            for history in list.children_of(words::LRM_RESOURCE) {
                if history.child("lrm_rsc_op").is_some() {
                    self.check_entry(node, history);
                }
            }
        }
    }

    /// Every primitive whose id or history name is the entry's, the last one of the configuration first.
    fn named_in_history(&self, id: &str) -> Vec<ResourceIx> {
        let Some(list) = self.st.by_id.get(id) else { return Vec::new() };
        let mut found: Vec<ResourceIx> = list
            .iter()
            .copied()
            .filter(|r| {
                let rsc = &self.st[*r];
                rsc.is_primitive() && (rsc.id == id || rsc.history_name.as_deref() == Some(id))
            })
            .collect();
        found.sort_by(|a, b| b.cmp(a));
        found.dedup();
        found
    }

    fn check_entry(&mut self, node: NodeIx, history: &Element) {
        let Some(id) = history.id() else { return };
        // Most names are of one primitive.
        if let Some(&[r]) = self.st.by_id.get(id).map(Vec::as_slice)
            && self.st[r].is_primitive()
            && self.st[r].id == id
        {
            return self.check_resource(r, node, history);
        }
        for r in self.named_in_history(id) {
            self.check_resource(r, node, history);
        }
    }

    fn check_resource(&mut self, r: ResourceIx, node: NodeIx, history: &Element) {
        if self.st[r].flags.orphan {
            let top = self.st.top_of(r);
            if self.st[top].variant() != Variant::Clone || self.st[top].flags.unique {
                self.cleanup(r, node, false);
            }
            return;
        }
        let active = self.st[r].running_on.contains(&node);
        if self.agent_changed(r, node, history, active) {
            self.cleanup(r, node, false);
        }
        if !active {
            return;
        }
        let ops = sorted_ops(history);
        let window = active_window(&ops);
        if window.start < window.stop {
            return;
        }
        let held = self.st[r].flags.maintenance || self.st[node].maintenance;
        for (at, op) in ops.iter().enumerate() {
            if at.cast_signed() < window.start {
                continue;
            }
            let interval = values::history_ms(op.value(words::INTERVAL));
            let task = Task::parse(op.value(words::OPERATION).unwrap_or_default());
            if interval > 0 && held {
                self.schedule_cancel(r, op, &task, interval, node, "maintenance mode");
            } else if interval > 0
                || matches!(task, Task::Monitor | Task::Start | Task::Promote | Task::MigrateFrom)
            {
                self.check_operation(r, node, op, interval);
            }
        }
    }

    /// The agent is another one than the one that runs; if it is active, it is stopped.
    fn agent_changed(&mut self, r: ResourceIx, node: NodeIx, history: &Element, active: bool) -> bool {
        let mut changed = false;
        for (name, word) in [("type", words::TYPE), ("class", words::CLASS), ("provider", words::PROVIDER)] {
            let then = history.value(word);
            if then == self.st[r].xml.value(word) {
                continue;
            }
            let now = self.st[r].xml.attr_text(name);
            changed = true;
            self.trigger_unfencing_by(r, node, "Device definition changed");
            if active {
                let text = format!(
                    "Forcing restart of {} on {} because {name} changed from '{}' to '{}'",
                    self.st[r].id,
                    self.st[node].name,
                    then.unwrap_or_default(),
                    now.as_deref().unwrap_or_default()
                );
                let id = self.st[r].id.clone();
                self.st.complaints.notice("agent-changed", &id, text);
            }
        }
        if changed && active {
            self.stop_action(r, Some(node), false);
            self.st[r].flags.start_pending = true;
        }
        changed
    }

    fn check_operation(&mut self, r: ResourceIx, node: NodeIx, op: &Element, interval: u32) {
        if self.st.needs_bundle_address(r) {
            self.deferred.push(Deferred { resource: r, node, entry: op.clone() });
        } else if self.parameters_changed(r, node, op, interval)
            && self.st.fail_count(node, r, true, false, None).count != 0
        {
            self.st.clear_fail_count(r, node, "action definition changed");
            self.clear_failcount(r, node);
        }
    }

    /// Checks the parameters of bundle connections, now that their hosts are known.
    pub fn check_deferred_parameters(&mut self) {
        for check in std::mem::take(&mut self.deferred) {
            let Deferred { resource, node, entry } = check;
            let interval = values::history_ms(entry.value(words::INTERVAL));
            if self.parameters_changed(resource, node, &entry, interval)
                && self.st.fail_count(node, resource, true, false, None).count != 0
            {
                self.st.clear_fail_count(resource, node, "action definition changed");
                self.clear_failcount(resource, node);
            }
        }
        // What the status section left open comes after what was added since.
        for (r, node, entry) in std::mem::take(&mut self.st.deferred_checks).into_iter().rev() {
            let found = self.st.compare_digest(r, node, &entry);
            if matches!(found, DigestMatch::All | DigestMatch::Restart) {
                self.st.clear_fail_count(r, node, "resource parameters have changed");
                self.clear_failcount(r, node);
            }
        }
    }

    /// Whether an operation that ran differs from its configuration; schedules what follows from it.
    fn parameters_changed(&mut self, r: ResourceIx, node: NodeIx, op: &Element, interval: u32) -> bool {
        let name = op.value(words::OPERATION).unwrap_or_default();
        let mut task = Task::parse(name);
        if interval > 0 {
            let found = self.st.find_op(r, name, interval, false).is_some_and(operation::is_enabled);
            if !found {
                if self.st.options.stop_orphan_actions {
                    self.schedule_cancel(r, op, &task, interval, node, "orphan");
                }
                return true;
            }
        }
        self.st.note_parameters(r, Some(node));
        let outcome = self.st.compare_digest_of(r, node, op, interval);
        if interval == 0 && matches!(task, Task::Monitor | Task::MigrateFrom | Task::Promote) {
            task = Task::Start;
        }
        match outcome {
            DigestMatch::Match => false,
            DigestMatch::PrivateOnly => {
                self.remark_private(r, node, op, &task, interval);
                false
            }
            DigestMatch::Restart => {
                self.force_restart(r, task, interval);
                self.trigger_unfencing_by(r, node, "Device parameters changed");
                true
            }
            DigestMatch::All | DigestMatch::Unknown => {
                if interval > 0 {
                    self.trigger_unfencing_by(r, node, "Device parameters changed (reschedule)");
                    let key = Key::Op(task.clone(), interval);
                    let again = self.action(Some(r), key, task, Some(node), true);
                    self.actions[again].flags.set(ActionFlags::RESCHEDULE);
                } else if op.value(words::OP_RESTART_DIGEST).is_some() {
                    self.trigger_unfencing_by(r, node, "Device parameters changed (reload)");
                    self.reload(r, node);
                } else {
                    self.trigger_unfencing_by(r, node, "Device parameters changed");
                    self.force_restart(r, task, interval);
                }
                true
            }
        }
    }

    fn remark_private(&mut self, r: ResourceIx, node: NodeIx, op: &Element, task: &Task, interval: u32) {
        // The reference keeps the text of the last interval, and has none for none.
        if interval > 0 || self.st.last_interval.is_empty() {
            self.st.last_interval = values::readable_interval(interval);
        }
        let remark = format!(
            "Only 'private' parameters to {}-interval {} for {} on {} changed: {}",
            self.st.last_interval,
            task.as_str(),
            self.st[r].id,
            self.st[node].name,
            op.value(words::TRANSITION_MAGIC).unwrap_or("(null)")
        );
        self.st.remarks.push(remark);
    }

    /// A required action without a node: the start it becomes drags the stop with it.
    fn force_restart(&mut self, r: ResourceIx, task: Task, interval: u32) {
        let key = Key::Op(task.clone(), interval);
        let action = self.action(Some(r), key, task, None, false);
        self.set_reason(action, "resource definition change", true);
    }

    /// Reloads changed parameters where the agent can.
    fn reload(&mut self, r: ResourceIx, node: NodeIx) {
        if self.st[r].variant() != Variant::Primitive {
            for child in self.st[r].children.clone() {
                self.reload(child, node);
            }
            return;
        }
        let flags = &self.st[r].flags;
        if !flags.managed || flags.failed {
            return;
        }
        if flags.start_pending {
            self.stop_action(r, Some(node), false);
            return;
        }
        self.st[r].flags.reload = true;
        let key = Key::once(Task::Reload);
        let reload = self.action(Some(r), key, Task::Reload, Some(node), false);
        self.set_reason(reload, "resource definition change", false);
        for then in [Task::Stop, Task::Demote] {
            self.order(End::action(Some(r), reload), End::task(r, then), EdgeFlags::OPT | EdgeFlags::CANCELS);
        }
    }

    fn schedule_cancel(
        &mut self,
        r: ResourceIx,
        op: &Element,
        task: &Task,
        interval: u32,
        node: NodeIx,
        reason: &str,
    ) {
        let cancel = self.cancel_action(r, task, interval, node);
        // Two entries may have run it: the first that is found names the call.
        if let Some(call) =
            op.value(words::CALL_ID).filter(|_| self.actions[cancel].meta.get("call-id").is_none())
        {
            self.actions[cancel].meta.set("call-id", call);
        }
        let _ = reason;
        self.order(End::task(r, Task::Stop), End::action(Some(r), cancel), EdgeFlags::OPT);
    }
}
