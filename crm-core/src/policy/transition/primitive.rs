//! The actions of one primitive: restarts, changes of role, live migration.

use super::Work;
use super::arena::{End, Needs};
use super::flags::{ActionFlags, EdgeFlags};
use super::task::{Key, Task};
use crate::policy::ix::{ActionIx, NodeIx, ResourceIx};
use crate::policy::state::{MultipleActive, Role, Variant};

/// The action of one step between roles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    None,
    Stop,
    Start,
    Promote,
    Demote,
}

/// The next role on the way from one role to another, and what leads there.
fn step(from: Role, to: Role) -> (Role, Step) {
    use Role::*;
    match (from, to) {
        (Unknown, _) => (Stopped, Step::Stop),
        (Stopped, Started) => (Started, Step::Start),
        (Stopped, Unpromoted | Promoted) => (Unpromoted, Step::Start),
        (Started, Stopped) => (Stopped, Step::Stop),
        (Started, Unpromoted) => (Unpromoted, Step::None),
        (Started, Promoted) => (Promoted, Step::Promote),
        (Unpromoted, Stopped | Started) => (Stopped, Step::Stop),
        (Unpromoted, Promoted) => (Promoted, Step::Promote),
        (Promoted, Stopped | Started | Unpromoted) => (Unpromoted, Step::Demote),
        (same, _) => (same, Step::None),
    }
}

impl Work<'_> {
    /// Everything a primitive needs on its way from where it is to where it will be.
    pub fn primitive_actions(&mut self, r: ResourceIx) {
        let mut need_stop = false;
        let mut need_promote = false;
        let mut moving = false;
        let mut migrate = false;
        let assigned = self.st[r].assigned_node();
        if self.st[r].next_role == Role::Unknown {
            self.st[r].next_role = if assigned.is_some() { Role::Started } else { Role::Stopped };
        }
        let current = self.st.current(r);
        let (active, clean) = self.st.active_counts(r);

        for at in 0..self.st[r].dangling_migrations.len() {
            let node = self.st[r].dangling_migrations[at];
            let stop = self.stop_action(r, Some(node), false);
            self.actions[stop].flags.set(ActionFlags::DANGLE);
            if self.st.options.remove_after_stop {
                self.cleanup(r, node, false);
            }
        }

        let next_active = self.st[r].next_role >= Role::Started;
        if let (Some(current), Some(next)) = (current, assigned) {
            if current != next && next_active {
                moving = true;
                need_stop = true;
                migrate = self.can_migrate(r, current);
            }
        }

        let source = self.st[r].partial_migration_source;
        let target = self.st[r].partial_migration_target;
        if source.is_some() && target.is_some() {
            let goes_on = migrate && active == 2 && current == source && assigned == target;
            if !goes_on {
                self.st[r].partial_migration_source = None;
                self.st[r].partial_migration_target = None;
                migrate = false;
                need_stop = true;
            }
        } else {
            let several = if self.st[r].flags.needs_fencing { active > 1 } else { clean > 1 };
            if several {
                match self.st[r].multiple_active {
                    MultipleActive::StopStart => need_stop = true,
                    MultipleActive::StopUnexpected => {
                        need_stop = true;
                        self.st[r].flags.stop_unexpected = true;
                    }
                    MultipleActive::StopOnly | MultipleActive::Block => {}
                }
            }
        }

        if self.st[r].flags.start_pending {
            let start = self.start_action(r, assigned, true);
            self.actions[start].flags.set(ActionFlags::PRINT_ALWAYS);
        }

        if !moving {
            if self.st[r].flags.failed {
                if self.st[r].flags.stop {
                    need_stop = true;
                } else if self.st[r].next_role == Role::Promoted {
                    need_promote = true;
                }
            } else if self.st[r].flags.blocked {
                need_stop = true;
            } else if let (true, Some(_), Some(_)) = (self.st[r].role > Role::Started, current, assigned) {
                let start = self.start_action(r, assigned, true);
                if self.actions[start].required() {
                    need_stop = true;
                }
            }
        }

        self.restart_path(r, need_stop, need_promote);
        self.role_path(r, assigned);
        self.recurring_actions(r);
        if migrate {
            if let (Some(current), Some(assigned)) = (current, assigned) {
                self.migration_actions(r, current, assigned);
            }
        }
    }

    fn restart_path(&mut self, r: ResourceIx, need_stop: bool, need_promote: bool) {
        let mut role = self.st[r].role;
        let initial = role;
        self.st[r].flags.restarting = true;
        while role != Role::Stopped {
            let (next, what) = step(role, Role::Stopped);
            let none = what == Step::None;
            self.take(r, what, None, !need_stop);
            if none && next == role {
                break;
            }
            role = next;
        }
        while self.st[r].role <= self.st[r].next_role && role != initial && !self.st[r].flags.blocked {
            let (next, what) = step(role, initial);
            if what == Step::None && next == role {
                break;
            }
            let required = need_stop || next == Role::Promoted && need_promote;
            let node = self.st[r].assigned_node();
            self.take(r, what, node, !required);
            role = next;
        }
        self.st[r].flags.restarting = false;
    }

    fn role_path(&mut self, r: ResourceIx, assigned: Option<NodeIx>) {
        let mut role = self.st[r].role;
        let goal = self.st[r].next_role;
        let mut steps = 0;
        while role != goal && steps < 8 {
            let (next, what) = step(role, goal);
            if what == Step::None && next == role {
                break;
            }
            self.take(r, what, assigned, false);
            role = next;
            steps += 1;
        }
    }

    fn take(&mut self, r: ResourceIx, what: Step, node: Option<NodeIx>, optional: bool) {
        match what {
            Step::None => {}
            Step::Stop => self.schedule_stop(r, optional),
            Step::Start => self.schedule_start(r, node, optional),
            Step::Promote => self.schedule_promote(r, node, optional),
            Step::Demote => self.schedule_demote(r, optional),
        }
    }

    /// The node is where a resource that is active too often is expected.
    fn is_expected(&self, r: ResourceIx, node: NodeIx) -> bool {
        let rsc = &self.st[r];
        rsc.flags.stop_unexpected
            && rsc.flags.restarting
            && rsc.next_role > Role::Stopped
            && rsc.assigned_node() == Some(node)
    }

    pub fn stop_action(&mut self, r: ResourceIx, node: Option<NodeIx>, optional: bool) -> ActionIx {
        self.action(Some(r), Key::once(Task::Stop), Task::Stop, node, optional)
    }

    pub fn start_action(&mut self, r: ResourceIx, node: Option<NodeIx>, optional: bool) -> ActionIx {
        self.action(Some(r), Key::once(Task::Start), Task::Start, node, optional)
    }

    fn schedule_stop(&mut self, r: ResourceIx, mut optional: bool) {
        for node in self.st[r].running_on.clone() {
            if self.is_expected(r, node) {
                continue;
            }
            if let Some(target) = self.st[r].partial_migration_target {
                let assigned = self.st[r].assigned_node();
                if target == node && assigned == Some(node) {
                    continue;
                }
                optional = false;
            }
            let stop = self.stop_action(r, Some(node), optional);
            if self.st[r].assigned.is_none() {
                self.set_reason(stop, "node availability", true);
            } else if self.st[r].flags.stop_unexpected && self.st[r].flags.restarting {
                self.set_reason(stop, "being multiply active", true);
            }
            if !self.st[r].flags.managed {
                self.actions[stop].flags.clear(ActionFlags::RUNNABLE);
            }
            if self.st.options.remove_after_stop {
                self.cleanup(r, node, optional);
            }
            if self.st[r].flags.needs_unfencing {
                let unfence = self.fence_op(node, Some("on"), true, None, false);
                self.actions.edge(stop, unfence, EdgeFlags::I_FIRST);
            }
        }
    }

    fn schedule_start(&mut self, r: ResourceIx, node: Option<NodeIx>, optional: bool) {
        let Some(node) = node else { return };
        let start = self.start_action(r, Some(node), true);
        self.order_after_unfencing(r, node, start, EdgeFlags::I_THEN);
        if self.actions[start].runnable() && !optional {
            self.actions[start].flags.clear(ActionFlags::OPTIONAL);
        }
        if self.is_expected(r, node) {
            self.actions[start].flags.set(ActionFlags::PSEUDO);
        }
    }

    fn schedule_promote(&mut self, r: ResourceIx, node: Option<NodeIx>, optional: bool) {
        let Some(node) = node else { return };
        let starts = self.actions.matching(r, &Key::once(Task::Start), Some(node));
        if starts.iter().all(|&s| self.actions[s].runnable()) {
            let promote = self.action(Some(r), Key::once(Task::Promote), Task::Promote, Some(node), optional);
            if self.is_expected(r, node) {
                self.actions[promote].flags.set(ActionFlags::PSEUDO);
            }
        } else {
            for promote in self.actions.matching(r, &Key::once(Task::Promote), Some(node)) {
                self.actions[promote].flags.clear(ActionFlags::RUNNABLE);
            }
        }
    }

    fn schedule_demote(&mut self, r: ResourceIx, optional: bool) {
        for node in self.st[r].running_on.clone() {
            if self.is_expected(r, node) {
                continue;
            }
            self.action(Some(r), Key::once(Task::Demote), Task::Demote, Some(node), optional);
        }
    }

    /// What assignment to no node at all means for actions that exist already.
    pub fn unassigned(&mut self, r: ResourceIx) {
        for at in (0..self.actions.of(r).len()).rev() {
            let ix = self.actions.of(r)[at];
            let recurring = self.actions[ix].meta.get("interval").is_some()
                && self.actions[ix].meta.get("op_target_rc") != Some("7");
            let action = &mut self.actions[ix];
            match action.task {
                Task::Stop => action.flags.clear(ActionFlags::OPTIONAL),
                Task::Start => action.flags.clear(ActionFlags::RUNNABLE),
                _ if recurring => action.flags.clear(ActionFlags::RUNNABLE),
                _ => {}
            }
        }
    }

    fn can_migrate(&self, r: ResourceIx, current: NodeIx) -> bool {
        let rsc = &self.st[r];
        let clean = |n: NodeIx| !self.st[n].unclean;
        rsc.flags.allow_migrate
            && rsc.flags.managed
            && !rsc.flags.failed
            && !rsc.flags.start_pending
            && clean(current)
            && rsc.assigned_node().is_some_and(clean)
    }

    fn migration_actions(&mut self, r: ResourceIx, current: NodeIx, target: NodeIx) {
        let start = self.start_action(r, Some(target), true);
        let stop = self.stop_action(r, Some(current), true);
        let partial = self.st[r].partial_migration_target.is_some();
        let to = if partial {
            None
        } else {
            Some(self.action(Some(r), Key::once(Task::MigrateTo), Task::MigrateTo, Some(current), true))
        };
        let from = self.action(Some(r), Key::once(Task::MigrateFrom), Task::MigrateFrom, Some(target), true);
        let needs: Needs = self.actions[start].needs;
        for action in [Some(start), Some(stop), Some(from), to].into_iter().flatten() {
            self.actions[action].flags.set(ActionFlags::MIGRATE_RUNNABLE);
        }
        self.actions[start].flags.set(ActionFlags::PSEUDO);
        let monitor = || End::task(r, Task::Monitor);
        match to {
            None => {
                self.actions[from].needs = needs;
                self.order(monitor(), End::task(r, Task::MigrateFrom), EdgeFlags::OPT);
            }
            Some(to) => {
                self.actions[to].needs = needs;
                self.order(monitor(), End::task(r, Task::MigrateTo), EdgeFlags::OPT);
                self.order_tasks(
                    (r, Task::MigrateTo),
                    (r, Task::MigrateFrom),
                    EdgeFlags::OPT | EdgeFlags::MIG_FIRST,
                );
            }
        }
        let mig = EdgeFlags::OPT | EdgeFlags::MIG_FIRST;
        self.order_tasks((r, Task::MigrateFrom), (r, Task::Stop), mig);
        self.order_tasks((r, Task::MigrateFrom), (r, Task::Start), mig | EdgeFlags::PSEUDO_LEFT);
        let names = [self.st[current].name.clone(), self.st[target].name.clone()];
        for action in [to, Some(from)].into_iter().flatten() {
            let [source, target] = &names;
            let meta = &mut self.actions[action].meta;
            meta.set("migrate_source", source.as_str());
            meta.set("migrate_target", target.as_str());
        }
        if let Some(to) = to {
            let configured = self.actions[to].meta.get("record-pending").is_some();
            if !self.st[r].flags.is_connection && !configured {
                self.actions[to].meta.set("record-pending", "true");
            }
        }
    }

    /// The one node on which a resource, and all of a collective, will be.
    pub fn single_next_node(&self, r: ResourceIx) -> Option<NodeIx> {
        self.single_node(r, false)
    }

    /// The node of every leaf, current or assigned, if that is one and the same.
    pub fn single_node(&self, r: ResourceIx, current: bool) -> Option<NodeIx> {
        let mut found = None;
        if self.agree_on_node(r, current, &mut found) { found } else { None }
    }

    /// Whether no leaf is on another node than the one found first.
    fn agree_on_node(&self, r: ResourceIx, current: bool, found: &mut Option<NodeIx>) -> bool {
        let rsc = &self.st[r];
        let mut agree = |node: NodeIx| *found.get_or_insert(node) == node;
        match (rsc.variant(), current) {
            (Variant::Primitive, true) => rsc.running_on.iter().copied().all(agree),
            (Variant::Primitive, false) => rsc.assigned_node().is_none_or(&mut agree),
            _ => rsc.children.iter().all(|&child| self.agree_on_node(child, current, found)),
        }
    }
}
