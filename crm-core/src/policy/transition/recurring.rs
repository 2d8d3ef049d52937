//! Recurring actions: which run, which are cancelled.

use super::Work;
use super::arena::End;
use super::flags::{ActionFlags, EdgeFlags};
use super::task::{Key, Task};
use crate::policy::ix::{ActionIx, NodeIx, ResourceIx};
use crate::policy::state::Role;
use crate::policy::{values, words};

/// One configured recurring operation.
struct Recurring {
    task: Task,
    key: Key,
    role: Role,
}

impl Work<'_> {
    /// Makes, keeps or cancels the recurring actions of a primitive.
    pub fn recurring_actions(&mut self, r: ResourceIx) {
        if self.st[r].flags.blocked || self.st[r].flags.maintenance {
            return;
        }
        let assigned = self.st[r].assigned_node();
        let mut start = None;
        if let Some(node) = assigned {
            let up = self.st[r].next_role != Role::Stopped || !self.st[r].flags.managed;
            if up && !self.st[node].maintenance {
                start = Some(self.start_action(r, Some(node), true));
            }
        }
        for at in 0..self.st[r].ops.len() {
            let Some(op) = self.recurring_op(r, at) else { continue };
            if let (Some(start), Some(node)) = (start, assigned) {
                self.recurring_active(r, start, node, &op);
            }
            self.recurring_inactive(r, assigned, &op);
        }
    }

    /// The `at`-th operation of a resource, if it is a valid, enabled recurring one.
    fn recurring_op(&mut self, r: ResourceIx, at: usize) -> Option<Recurring> {
        let op = self.st[r].ops.get(at)?.clone();
        let interval = values::interval_ms(op.value(words::INTERVAL));
        let name = op.value(words::NAME).unwrap_or_default();
        if interval == 0 {
            return None;
        }
        let op_id = op.id().unwrap_or_default();
        if op_id.is_empty() {
            let id = self.st[r].id.clone();
            let text = format!("Ignoring {id} operation without id");
            self.st.complaints.error("operation-without-id", &id, text);
            return None;
        }
        let task = Task::parse(name);
        let once_only = matches!(
            task,
            Task::Stop
                | Task::Start
                | Task::Demote
                | Task::Promote
                | Task::Reload
                | Task::MigrateTo
                | Task::MigrateFrom
        );
        if once_only {
            let text = format!("Ignoring {op_id} because {name} action cannot be recurring");
            self.st.complaints.error("operation-cannot-recur", op_id, text);
            return None;
        }
        let twin = self.st[r].ops.iter().enumerate().find(|(i, other)| {
            *i != at
                && other.value(words::NAME) == Some(name)
                && values::interval_ms(other.value(words::INTERVAL)) == interval
        });
        if let Some((_, twin)) = twin {
            let text = format!(
                "Operation {op_id} is duplicate of {} (do not use same name and interval combination \
                 more than once per resource)",
                twin.id().unwrap_or_default()
            );
            self.st.complaints.error("operation-duplicate", op_id, text);
            return None;
        }
        if op.value(words::ENABLED).and_then(values::parse_bool) == Some(false) {
            return None;
        }
        let mut role = Role::Unknown;
        if let Some(word) = op.value(words::ROLE) {
            role = Role::parse(word);
            if role == Role::Unknown {
                let text = format!("Ignoring {op_id} because {word} is not a valid role");
                self.st.complaints.error("operation-role", op_id, text);
                return None;
            }
        }
        Some(Recurring { key: Key::Op(task.clone(), interval), task, role })
    }

    /// The actions of a resource with this key that are on this very node.
    fn exactly(&self, r: ResourceIx, key: &Key, node: NodeIx) -> Vec<ActionIx> {
        self.actions.matching(r, key, Some(node))
    }

    fn recurring_active(&mut self, r: ResourceIx, start: ActionIx, node: NodeIx, op: &Recurring) {
        if op.role == Role::Stopped {
            return;
        }
        let present = self.exactly(r, &op.key, node);
        let optional = self.actions[start].optional()
            && !present.is_empty()
            && !present.iter().any(|&a| self.actions[a].is(ActionFlags::RESCHEDULE));
        let next = self.st[r].next_role;
        let role = self.st[r].role;
        let mismatch = match op.role {
            Role::Unknown => next == Role::Promoted,
            wanted => next != wanted,
        };
        if mismatch {
            if optional {
                let cancel = self.cancel_action(r, &op.task, op.key.interval(), node);
                let after = match (role, next) {
                    (Role::Unpromoted | Role::Started, Role::Promoted) => Some(Task::Promote),
                    (Role::Unpromoted | Role::Started, Role::Stopped) => Some(Task::Stop),
                    (Role::Promoted, _) => Some(Task::Demote),
                    _ => None,
                };
                if let Some(after) = after {
                    self.order(End::action(Some(r), cancel), End::task(r, after), EdgeFlags::RUN_LEFT);
                }
            }
            return;
        }
        let monitor = self.action(Some(r), op.key.clone(), op.task.clone(), Some(node), optional);
        let there = self.st[node].online && !self.st[node].unclean;
        if !self.actions[start].runnable() || !there {
            self.actions[monitor].flags.clear(ActionFlags::RUNNABLE);
        }
        if next == Role::Promoted {
            self.actions[monitor].meta.set("op_target_rc", "8");
        }
        if self.st[r].flags.managed {
            let after = EdgeFlags::I_THEN | EdgeFlags::RUN_LEFT;
            let then = || End::action(Some(r), monitor);
            self.order(End::task(r, Task::Start), then(), after);
            self.order(End::task(r, Task::Reload), then(), after);
            let follow = EdgeFlags::OPT | EdgeFlags::RUN_LEFT;
            if next == Role::Promoted {
                self.order(End::task(r, Task::Promote), then(), follow);
            } else if role == Role::Promoted {
                self.order(End::task(r, Task::Demote), then(), follow);
            }
        }
    }

    fn recurring_inactive(&mut self, r: ResourceIx, assigned: Option<NodeIx>, op: &Recurring) {
        if op.role != Role::Stopped {
            return;
        }
        if !self.st[r].flags.unique {
            let id = self.st[r].id.clone();
            let text = format!(
                "Ignoring {} (recurring monitors for Stopped role are not supported for anonymous \
                 clones)",
                op.key.text(&id)
            );
            self.st.complaints.notice("operation-role-stopped", &id, text);
            return;
        }
        for node in self.st.node_order.clone() {
            if assigned == Some(node) {
                if !self.exactly(r, &op.key, node).is_empty() {
                    let cancel = self.cancel_action(r, &op.task, op.key.interval(), node);
                    if matches!(self.st[r].next_role, Role::Started | Role::Unpromoted) {
                        self.order(
                            End::action(Some(r), cancel),
                            End::task(r, Task::Start),
                            EdgeFlags::RUN_LEFT,
                        );
                    }
                }
                continue;
            }
            let optional = !self.exactly(r, &op.key, node).is_empty();
            let monitor = self.action(Some(r), op.key.clone(), op.task.clone(), Some(node), optional);
            self.actions[monitor].meta.set("op_target_rc", "7");
            let managed = self.st[r].flags.managed;
            if managed {
                for probe in self.exactly(r, &Key::once(Task::Monitor), node) {
                    self.actions.edge(probe, monitor, EdgeFlags::RUN_LEFT);
                }
            }
            for stop in self.exactly(r, &Key::once(Task::Stop), node) {
                if self.actions[stop].required() && self.actions[monitor].required() && !managed {
                    self.actions[monitor].flags.set(ActionFlags::OPTIONAL);
                }
                if !self.actions[stop].runnable() {
                    self.actions[monitor].flags.clear(ActionFlags::RUNNABLE);
                }
                if managed {
                    self.order(
                        End::action(Some(r), stop),
                        End::action(Some(r), monitor),
                        EdgeFlags::I_THEN | EdgeFlags::RUN_LEFT,
                    );
                }
            }
            if !self.st[node].online || self.st[node].unclean {
                self.actions[monitor].flags.clear(ActionFlags::RUNNABLE);
            }
        }
    }

    /// The cancellation of a recurring action; the action itself becomes it.
    pub fn cancel_action(&mut self, r: ResourceIx, task: &Task, interval: u32, node: NodeIx) -> ActionIx {
        let key = Key::Op(task.clone(), interval);
        let cancel = self.action(Some(r), key, Task::Cancel, Some(node), false);
        let action = &mut self.actions[cancel];
        action.task = Task::Cancel;
        action.cancel_task = Some(task.clone());
        action.meta.set("operation", task.as_str());
        action.meta.set("interval", interval.to_string());
        cancel
    }
}
