//! Actions on remote and guest nodes against their connections.

use super::Work;
use super::arena::{Action, End};
use super::flags::EdgeFlags;
use super::task::Task;
use crate::policy::ix::{ActionIx, NodeIx, ResourceIx};
use crate::policy::state::Role;

/// What is known of a remote node's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    Unknown,
    Alive,
    /// Recovered elsewhere before anything else can be done.
    Resting,
    /// Cannot be recovered.
    Failed,
    Stopped,
}

impl Work<'_> {
    /// Orders everything that happens on remote and guest nodes against the connections to them.
    pub fn order_remote_connections(&mut self) {
        if !self.st.have_remote_nodes {
            return;
        }
        for ix in self.actions.newest() {
            let action = &self.actions[ix];
            let Some(r) = action.resource else { continue };
            if self.st[r].flags.is_connection && action.task == Task::ClearFailcount {
                self.order(End::action(Some(r), ix), End::task(r, Task::Start), EdgeFlags::OPT);
                continue;
            }
            let Some(node) = action.node else { continue };
            if !self.st[node].is_remote_kind() || action.pseudo() {
                continue;
            }
            let Some(connection) = self.st[node].connection else { continue };
            if action.task == Task::Start {
                for at in (0..self.actions.of(r).len()).rev() {
                    let stop = self.actions.of(r)[at];
                    let other = &self.actions[stop];
                    if other.task == Task::Stop && other.node != Some(node) {
                        self.order(
                            End::task(connection, Task::Start),
                            End::action(Some(r), stop),
                            EdgeFlags::OPT,
                        );
                    }
                }
            }
            match self.st[connection].container {
                Some(container) => self.order_on_guest(ix, node, connection, container),
                None => self.order_on_remote(ix, node, connection),
            }
        }
    }

    fn start_then(&mut self, r: ResourceIx, then: ActionIx, more: EdgeFlags) {
        let holder = self.actions[then].resource;
        let flags = EdgeFlags::PRESERVE | EdgeFlags::RUN_LEFT | more;
        self.order(End::task(r, Task::Start), End::action(holder, then), flags);
    }

    fn then_stop(&mut self, first: ActionIx, r: ResourceIx, more: EdgeFlags) {
        let holder = self.actions[first].resource;
        let flags = EdgeFlags::PRESERVE | more;
        self.order(End::action(holder, first), End::task(r, Task::Stop), flags);
    }

    fn order_on_remote(&mut self, ix: ActionIx, node: NodeIx, connection: ResourceIx) {
        let state = self.connection_state(node);
        let none = EdgeFlags::NONE;
        match self.actions[ix].task {
            Task::Start | Task::Promote => {
                let more = if state == Connection::Failed { EdgeFlags::I_THEN } else { none };
                self.start_then(connection, ix, more);
            }
            Task::Stop | Task::MigrateTo | Task::MigrateFrom => match state {
                Connection::Alive => self.then_stop(ix, connection, EdgeFlags::I_FIRST),
                Connection::Failed => {
                    self.fence_node(node, "resources are active but connection is unrecoverable")
                }
                _ if self.st[connection].next_role == Role::Stopped => {
                    self.then_stop(ix, connection, EdgeFlags::I_FIRST);
                }
                _ => self.start_then(connection, ix, none),
            },
            Task::Demote => {
                if matches!(state, Connection::Resting | Connection::Unknown) {
                    self.start_then(connection, ix, none);
                }
            }
            _ if is_recurring(&self.actions[ix]) => {
                self.start_then(connection, ix, EdgeFlags::I_THEN);
            }
            _ => {
                if self.actions[ix].task == Task::Monitor && state == Connection::Failed {
                    self.fence_node(node, "resources are in unknown state and connection is unrecoverable");
                }
                if self.st.current(connection).is_some() && state == Connection::Stopped {
                    self.then_stop(ix, connection, EdgeFlags::RUN_LEFT);
                } else {
                    self.start_then(connection, ix, none);
                }
            }
        }
    }

    fn order_on_guest(&mut self, ix: ActionIx, node: NodeIx, connection: ResourceIx, container: ResourceIx) {
        let failed = self.st[container].flags.failed;
        if failed {
            self.fence_node(node, "container failed");
        }
        match self.actions[ix].task {
            Task::Start | Task::Promote => {
                self.start_then(container, ix, EdgeFlags::I_THEN);
                self.start_then(connection, ix, EdgeFlags::NONE);
            }
            Task::Stop | Task::Demote | Task::MigrateTo | Task::MigrateFrom => {
                if !failed {
                    self.then_stop(ix, connection, EdgeFlags::NONE);
                }
            }
            Task::Cancel | Task::Other(_) if is_recurring(&self.actions[ix]) => {}
            _ if is_recurring(&self.actions[ix]) => {
                self.start_then(connection, ix, EdgeFlags::I_THEN);
            }
            _ => self.start_then(connection, ix, EdgeFlags::NONE),
        }
    }

    /// What is known of the connection to a remote node.
    pub fn connection_state(&self, node: NodeIx) -> Connection {
        let Some(c) = self.st[node].connection else { return Connection::Failed };
        let rsc = &self.st[c];
        let host = self.st.current(c);
        if rsc.next_role == Role::Stopped || rsc.assigned.is_none() {
            if host.is_some_and(|h| self.st[h].unclean) {
                return Connection::Failed;
            }
            if !rsc.flags.failed {
                return Connection::Stopped;
            }
            let requested = self.st[node].attribute("shutdown").is_some_and(|v| v != "0");
            if rsc.next_role == Role::Stopped
                && rsc.remote_reconnect_ms > 0
                && self.st[node].remote_was_fenced
                && !requested
            {
                return Connection::Unknown;
            }
            return Connection::Failed;
        }
        let Some(host) = host else { return Connection::Unknown };
        if self.st[host].unclean || !self.st[host].online {
            return Connection::Resting;
        }
        let migrating = rsc.running_on.len() > 1
            && rsc.partial_migration_source.is_some()
            && rsc.partial_migration_target.is_some();
        if migrating { Connection::Resting } else { Connection::Alive }
    }

    /// The cluster node that acts for the remote or guest node of an action.
    pub fn router_node(&self, action: &Action) -> Option<NodeIx> {
        if action.task == Task::Stonith {
            return None;
        }
        let node = action.node.filter(|&n| self.st[n].is_remote_kind())?;
        let connection = self.st[node].connection?;
        let rsc = &self.st[connection];
        let partial = rsc.container.is_none() && rsc.partial_migration_target.is_some();
        let (began, ended) = (self.st.current(connection), rsc.assigned_node());
        let (Some(began), Some(ended)) = (began, ended) else { return began.or(ended) };
        if began == ended {
            return Some(began);
        }
        let task = match action.task {
            Task::Notify => Task::parse(action.meta.get("notify_operation").unwrap_or_default()),
            ref task => task.clone(),
        };
        let leaving =
            matches!(task, Task::Cancel | Task::Stop | Task::Demote | Task::MigrateFrom | Task::MigrateTo);
        Some(if leaving && !partial { began } else { ended })
    }
}

/// The action repeats, or cancels one that does.
pub fn is_recurring(action: &Action) -> bool {
    action.key.interval() > 0
}
