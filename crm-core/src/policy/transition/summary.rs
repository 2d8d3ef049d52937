//! What a plan does, as a person says it: which nodes are fenced, which resources start, stop, move.

use super::Work;
use super::flags::ActionFlags;
use super::task::{Key, Task};
use crate::policy::ix::{ActionIx, NodeIx, ResourceIx};
use crate::policy::state::{Role, Variant};

/// A node that is fenced, unfenced or shut down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeChange {
    /// `Fence (reboot)`, `Shutdown`.
    pub what: String,
    pub node: NodeIx,
    /// The node's name; for a guest with the resource that hosts it.
    pub shown: String,
    pub reason: Option<String>,
}

/// A resource that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceChange {
    /// `Start`, `Move`, `Restart`, …
    pub what: &'static str,
    pub resource: ResourceIx,
    pub role: Role,
    pub next_role: Role,
    pub from: Option<NodeIx>,
    pub to: Option<NodeIx>,
    pub reason: Option<String>,
    /// The action cannot run.
    pub blocked: bool,
}

/// What a plan does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    pub nodes: Vec<NodeChange>,
    pub resources: Vec<ResourceChange>,
}

impl Work<'_> {
    /// Sums up the plan.
    pub fn summary(&mut self) -> Summary {
        let mut summary = Summary::default();
        for ix in self.actions.newest() {
            let action = &self.actions[ix];
            let Some(node) = action.node else { continue };
            if action.resource.is_some() || action.optional() {
                continue;
            }
            let what = match action.task {
                Task::Shutdown => "Shutdown".to_owned(),
                Task::Stonith => {
                    format!("Fence ({})", action.meta.get("stonith_action").unwrap_or_default())
                }
                _ => continue,
            };
            let name = &self.st[node].name;
            let shown = match self.st.container_of_node(node) {
                Some(container) => format!("{name} (resource: {})", self.st[container].id),
                None => name.clone(),
            };
            summary.nodes.push(NodeChange { what, node, shown, reason: action.reason.clone() });
        }
        for r in self.st.top.clone() {
            self.sum_up(r, &mut summary.resources);
        }
        summary
    }

    fn sum_up(&mut self, r: ResourceIx, out: &mut Vec<ResourceChange>) {
        match self.st[r].variant() {
            Variant::Primitive => self.sum_up_primitive(r, out),
            Variant::Group | Variant::Clone => {
                for child in self.st[r].children.clone() {
                    self.sum_up(child, out);
                }
            }
            Variant::Bundle => {
                let Some(bundle) = self.st[r].bundle_info() else { return };
                for x in bundle.replicas.clone() {
                    let parts = [x.ip, Some(x.container), x.remote, x.child];
                    for part in parts.into_iter().flatten() {
                        self.sum_up(part, out);
                    }
                }
            }
        }
    }

    /// The oldest action of a task on a node; one without a node, made for an ordering, takes that node.
    fn oldest(&mut self, r: ResourceIx, task: Task, node: Option<NodeIx>) -> Option<ActionIx> {
        let found = self.actions.find(r, &Key::once(task), node)?;
        if self.actions[found].node.is_none() {
            self.actions[found].node = node;
        }
        Some(found)
    }

    fn sum_up_primitive(&mut self, r: ResourceIx, out: &mut Vec<ResourceChange>) {
        if self.st[r].flags.orphan && self.st[r].role == Role::Stopped {
            return;
        }
        let current = self.st.current(r);
        let next = self.st[r].assigned_node();
        if current.is_some() && self.st[r].role == Role::Stopped {
            self.st[r].role = Role::Started;
        }
        if !self.st[r].flags.managed || current.is_none() && next.is_none() {
            return;
        }
        let moving = current.is_some() && next.is_some() && current != next;
        let start = self.oldest(r, Task::Start, next);
        let promote = self.oldest(r, Task::Promote, next);
        let demote = self.oldest(r, Task::Demote, next);
        let starts = start.is_some_and(|s| self.actions[s].runnable());
        let mut stop = self.oldest(r, Task::Stop, if starts { current } else { None });
        if stop.is_none() && self.st[r].flags.stop_unexpected {
            stop = self.oldest(r, Task::Stop, None);
        }
        let flags = self.st[r].flags;
        let required = |w: &Self, a: Option<ActionIx>| a.is_some_and(|a| w.actions[a].required());
        let unrunnable =
            |w: &Self, a: Option<ActionIx>| a.is_some_and(|a| !w.actions[a].is(ActionFlags::RUNNABLE));
        let (role, next_role) = (self.st[r].role, self.st[r].next_role);
        let mut add = |w: &Self, what, from, to, action: Option<ActionIx>, source| {
            let Some(action) = action else { return };
            let source: ActionIx = Option::unwrap_or(source, action);
            out.push(ResourceChange {
                what,
                resource: r,
                role,
                next_role,
                from,
                to,
                reason: w.actions[source].reason.clone(),
                blocked: !w.actions[action].runnable(),
            });
        };
        if role == next_role {
            let migrate = self.oldest(r, Task::MigrateFrom, next);
            if migrate.is_some_and(|m| self.actions[m].runnable()) {
                add(self, "Migrate", current, next, start, None);
            } else if flags.reload {
                add(self, "Reload", current, next, start, None);
            } else if !required(self, start) {
                if required(self, demote) && required(self, promote) {
                    add(self, "Re-promote", current, next, promote, demote);
                }
            } else if unrunnable(self, start) {
                let source = stop.filter(|&s| self.actions[s].reason.is_some()).or(start);
                add(self, "Stop", current, None, stop, source);
            } else if moving {
                let what = if flags.failed { "Recover" } else { "Move" };
                add(self, what, current, next, stop, None);
            } else if flags.failed {
                add(self, "Recover", current, None, stop, None);
            } else {
                add(self, "Restart", current, next, start, None);
            }
            return;
        }
        if stop.is_some() && (next_role == Role::Stopped || unrunnable(self, start)) {
            for node in self.st[r].running_on.clone() {
                let own = self.oldest(r, Task::Stop, Some(node));
                let source = own.filter(|&s| self.actions[s].reason.is_some()).or(start);
                add(self, "Stop", Some(node), None, own, source);
            }
        } else if stop.is_some() && flags.failed && flags.stop {
            add(self, "Recover", current, next, stop, start);
        } else if moving {
            add(self, "Move", current, next, stop, None);
        } else if flags.reload {
            add(self, "Reload", current, next, start, None);
        } else if required(self, stop) {
            add(self, "Restart", current, next, start, None);
        } else if role == Role::Promoted {
            add(self, "Demote", current, next, demote, None);
        } else if next_role == Role::Promoted {
            add(self, "Promote", current, next, promote, None);
        } else if role == Role::Stopped && next_role > Role::Stopped {
            add(self, "Start", current, next, start, None);
        }
    }
}
