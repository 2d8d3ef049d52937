//! Actions of groups, clones and bundles: those of their parts, and the pseudo actions that frame them.

use super::Work;
use super::flags::{ActionFlags, EdgeFlags};
use super::notify::{NotifyOps, Operation};
use super::task::{Key, Task};
use crate::policy::ix::{ActionIx, ResourceIx};
use crate::policy::state::Variant;
use crate::policy::values;
use crate::policy::values::INFINITY;

/// What the parts of a collective are about to do.
#[derive(Debug, Clone, Copy, Default)]
struct Plans {
    active: bool,
    starting: bool,
    stopping: bool,
}

impl Work<'_> {
    /// Makes the actions of a resource and all below it.
    pub fn resource_actions(&mut self, r: ResourceIx) {
        match self.st[r].variant() {
            Variant::Primitive => self.primitive_actions(r),
            Variant::Group => self.group_actions(r),
            Variant::Clone => self.clone_actions(r),
            Variant::Bundle => self.bundle_actions(r),
        }
    }

    fn pseudo_task(&mut self, r: ResourceIx, task: Task, optional: bool) -> ActionIx {
        self.pseudo(Some(r), Key::once(task.clone()), task, optional)
    }

    fn group_actions(&mut self, r: ResourceIx) {
        for m in self.st[r].children.clone() {
            self.resource_actions(m);
        }
        for task in [Task::Start, Task::Running, Task::Stop, Task::Stopped] {
            self.pseudo_task(r, task, true);
        }
        // A <master> makes its group promotable without saying so in its meta attributes.
        let in_promotable = self.st[r].parent.is_some_and(|parent| self.st[parent].flags.promotable);
        if in_promotable || self.st[r].meta("promotable").is_some_and(|v| values::is_true(Some(v))) {
            for task in [Task::Demote, Task::Demoted, Task::Promote, Task::Promoted] {
                self.pseudo_task(r, task, true);
            }
        }
    }

    fn clone_actions(&mut self, r: ResourceIx) {
        let parts = self.st[r].children.clone();
        self.framed(r, &parts);
        if self.st[r].clone_info().is_some_and(|c| c.ordered) {
            self.sort_by_number(r);
            let parts = self.st[r].children.clone();
            self.chain_instances(&parts);
        }
        if self.st[r].flags.promotable {
            self.promotable_actions(r);
        }
    }

    /// Actions of the parts, then start, running, stop and stopped of the whole, with notifications.
    fn framed(&mut self, r: ResourceIx, parts: &[ResourceIx]) {
        let mut all = Plans::default();
        let mut migratable = true;
        for &part in parts {
            self.resource_actions(part);
            let mut one = Plans::default();
            self.collect_plans(part, &mut one);
            if one.starting && one.stopping {
                migratable = false;
            }
            all.active |= one.active;
            all.starting |= one.starting;
            all.stopping |= one.stopping;
        }
        let notify = self.st[r].variant() == Variant::Clone && self.st[r].flags.notify;
        let start = self.pseudo_task(r, Task::Start, !all.starting);
        let running = self.pseudo_task(r, Task::Running, !all.starting);
        self.actions[running].priority = INFINITY;
        if !all.active && !all.starting {
            self.actions[running].flags.clear(ActionFlags::RUNNABLE);
        }
        if notify {
            self.notify_ops(r, Operation::Start, start, running);
        }
        let stop = self.pseudo_task(r, Task::Stop, !all.stopping);
        let stopped = self.pseudo_task(r, Task::Stopped, !all.stopping);
        self.actions[stopped].priority = INFINITY;
        if migratable {
            self.actions[stop].flags.set(ActionFlags::MIGRATE_RUNNABLE);
        }
        if notify {
            self.notify_ops(r, Operation::Stop, stop, stopped);
            self.order_notifications(r, Operation::Stop, Operation::Start);
        }
    }

    fn collect_plans(&self, r: ResourceIx, plans: &mut Plans) {
        if !self.st[r].children.is_empty() {
            for &child in &self.st[r].children {
                self.collect_plans(child, plans);
            }
            return;
        }
        plans.active |= !self.st[r].running_on.is_empty();
        for &ix in self.actions.of(r).iter().rev() {
            let action = &self.actions[ix];
            if action.optional() || !action.flags.any(ActionFlags::PSEUDO | ActionFlags::RUNNABLE) {
                continue;
            }
            match action.task {
                Task::Stop => plans.stopping = true,
                Task::Start if action.runnable() => plans.starting = true,
                _ => {}
            }
        }
    }

    /// Ties the required stops, and the required starts, of consecutive instances of an ordered clone.
    fn chain_instances(&mut self, parts: &[ResourceIx]) {
        let mut last_stop = None;
        let mut last_start = None;
        for &part in parts {
            if let Some(stop) = self.only_required(part, Task::Stop) {
                if let Some(last) = last_stop {
                    self.actions.edge(stop, last, EdgeFlags::OPT);
                }
                last_stop = Some(stop);
            }
            if let Some(start) = self.only_required(part, Task::Start) {
                if let Some(last) = last_start {
                    self.actions.edge(last, start, EdgeFlags::OPT);
                }
                last_start = Some(start);
            }
        }
    }

    fn only_required(&self, r: ResourceIx, task: Task) -> Option<ActionIx> {
        match self.actions.matching(r, &Key::once(task), None).as_slice() {
            [one] if self.actions[*one].required() => Some(*one),
            _ => None,
        }
    }

    fn promotable_actions(&mut self, r: ResourceIx) {
        let (mut promoting, mut demoting) = (false, false);
        for i in self.st[r].children.clone() {
            self.resource_actions(i);
            self.role_changes(i, &mut promoting, &mut demoting);
        }
        let notify = self.st[r].flags.notify;
        let promote = self.pseudo_task(r, Task::Promote, !promoting);
        let promoted = self.pseudo_task(r, Task::Promoted, !promoting);
        self.actions[promoted].priority = INFINITY;
        if notify {
            self.notify_ops(r, Operation::Promote, promote, promoted);
        }
        let demote = self.pseudo_task(r, Task::Demote, !demoting);
        let demoted = self.pseudo_task(r, Task::Demoted, !demoting);
        self.actions[demoted].priority = INFINITY;
        if notify {
            self.notify_ops(r, Operation::Demote, demote, demoted);
            for (first, then) in [
                (Operation::Stop, Operation::Promote),
                (Operation::Start, Operation::Promote),
                (Operation::Demote, Operation::Promote),
                (Operation::Demote, Operation::Start),
                (Operation::Demote, Operation::Stop),
            ] {
                self.order_notifications(r, first, then);
            }
        }
        let priority = self.st[r].priority;
        for i in self.st[r].children.clone() {
            self.st[i].priority = priority;
        }
    }

    fn role_changes(&self, r: ResourceIx, promoting: &mut bool, demoting: &mut bool) {
        for &child in &self.st[r].children {
            self.role_changes(child, promoting, demoting);
        }
        if self.st[r].variant() != Variant::Primitive {
            return;
        }
        for &ix in self.actions.of(r) {
            let action = &self.actions[ix];
            if action.optional() {
                continue;
            }
            match action.task {
                Task::Promote => *promoting = true,
                Task::Demote => *demoting = true,
                _ => {}
            }
        }
    }

    fn bundle_actions(&mut self, r: ResourceIx) {
        let Some(bundle) = self.st[r].bundle_info() else { return };
        let replicas = bundle.replicas.clone();
        let child = bundle.child;
        for replica in &replicas {
            for part in [replica.ip, Some(replica.container), replica.remote].into_iter().flatten() {
                self.resource_actions(part);
            }
        }
        let containers: Vec<_> = replicas.iter().map(|x| x.container).collect();
        self.framed(r, &containers);
        let Some(child) = child else { return };
        self.resource_actions(child);
        if self.st[child].flags.promotable {
            self.pseudo_task(r, Task::Promote, true);
            let promoted = self.pseudo_task(r, Task::Promoted, true);
            self.actions[promoted].priority = INFINITY;
            self.pseudo_task(r, Task::Demote, true);
            let demoted = self.pseudo_task(r, Task::Demoted, true);
            self.actions[demoted].priority = INFINITY;
        }
    }

    /// The end of one operation's notifications comes before the start of another's.
    fn order_notifications(&mut self, r: ResourceIx, first: Operation, then: Operation) {
        let ops = |w: &Self, op| -> Option<NotifyOps> { w.notifications.get(&(r, op)).copied() };
        if let (Some(first), Some(then)) = (ops(self, first), ops(self, then)) {
            self.actions.edge(first.post_done, then.pre, EdgeFlags::OPT);
        }
    }
}
