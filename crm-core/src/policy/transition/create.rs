//! Making one action, or finding the one that is there.

use super::Work;
use super::arena::{Meta, Needs};
use super::flags::{ActionFlags, EdgeFlags};
use super::task::{Key, Task};
use crate::policy::ix::{ActionIx, NodeIx, ResourceIx};
use crate::policy::state::{Effect, EffectPhase, QuorumPolicy, Role};

impl Work<'_> {
    /// The action of this key, made if there is none; required unless `optional`.
    ///
    /// An action without a node that is found for a node is moved there.
    pub fn action(
        &mut self,
        resource: Option<ResourceIx>,
        key: Key,
        task: Task,
        node: Option<NodeIx>,
        optional: bool,
    ) -> ActionIx {
        let found = match resource {
            Some(r) => self.actions.find(r, &key, node),
            None => self.actions.singleton(&key),
        };
        let ix = match found {
            Some(ix) => {
                if let (Some(r), Some(_)) = (resource, node) {
                    self.adopt(r, &key, node);
                }
                ix
            }
            None => self.new_action(resource, key, task, node, optional),
        };
        self.settle_optional(ix, optional);
        if let Some(r) = resource {
            self.operation_parameters(ix, r);
            self.settle_runnable(ix, r);
        }
        ix
    }

    /// Actions of this key that have no node yet get this one.
    fn adopt(&mut self, r: ResourceIx, key: &Key, node: Option<NodeIx>) {
        for at in 0..self.actions.of(r).len() {
            let ix = self.actions.of(r)[at];
            let action = &mut self.actions[ix];
            if action.node.is_none() && action.key == *key {
                action.node = node;
            }
        }
    }

    fn new_action(
        &mut self,
        resource: Option<ResourceIx>,
        key: Key,
        task: Task,
        node: Option<NodeIx>,
        optional: bool,
    ) -> ActionIx {
        let meta = match resource {
            Some(r) => Meta::of(self.operation_meta(r, &key, node)),
            None => Meta::default(),
        };
        let needs = match (resource, &task) {
            (Some(r), Task::Start | Task::Promote) => {
                let flags = &self.st[r].flags;
                if flags.needs_fencing {
                    Needs::Fencing
                } else if flags.needs_quorum {
                    Needs::Quorum
                } else {
                    Needs::Nothing
                }
            }
            _ => Needs::Nothing,
        };
        let on_dc = task == Task::LrmDelete;
        let ix = self.actions.push(resource, node, task, key);
        let action = &mut self.actions[ix];
        action.meta = meta;
        action.needs = needs;
        if optional {
            action.flags.set(ActionFlags::OPTIONAL);
        }
        if on_dc {
            action.flags.set(ActionFlags::ON_DC);
        }
        ix
    }

    /// A pseudo action, runnable.
    pub fn pseudo(&mut self, resource: Option<ResourceIx>, key: Key, task: Task, optional: bool) -> ActionIx {
        let ix = self.action(resource, key, task, None, optional);
        self.actions[ix].flags.set(ActionFlags::PSEUDO | ActionFlags::RUNNABLE);
        ix
    }

    fn settle_optional(&mut self, ix: ActionIx, optional: bool) {
        let action = &self.actions[ix];
        let unmanaged = action.resource.is_some_and(|r| !self.st[r].flags.managed);
        let forced =
            unmanaged && action.node.is_some() && !action.pseudo() && action.meta.get("interval").is_none();
        if forced {
            self.actions[ix].flags.set(ActionFlags::OPTIONAL);
        } else if !optional {
            self.actions[ix].flags.clear(ActionFlags::OPTIONAL);
        }
    }

    fn settle_runnable(&mut self, ix: ActionIx, r: ResourceIx) {
        let action = &self.actions[ix];
        if action.pseudo() {
            return;
        }
        let runnable = ActionFlags::RUNNABLE;
        let on_dc = action.is(ActionFlags::ON_DC);
        let Some(n) = action.node else {
            self.actions[ix].flags.clear(runnable);
            return;
        };
        let is_stop = action.task == Task::Stop;
        let needs = action.needs;
        let guest = self.st.is_guest_node(n);
        let node = &self.st[n];
        if !on_dc && !node.online && (!guest || node.requires_reset) {
            let fence = is_stop && self.st[r].flags.managed && !node.unclean;
            self.actions[ix].flags.clear(runnable);
            if fence {
                self.fence_node(n, "stop is unrunnable");
            }
        } else if !on_dc && node.pending {
            self.actions[ix].flags.clear(runnable);
        } else if needs == Needs::Nothing {
            let stuck = guest && !self.st.can_fence(Some(n));
            let action = &mut self.actions[ix];
            action.reason = None;
            if stuck {
                action.flags.clear(runnable);
            } else {
                action.flags.set(runnable);
            }
        } else {
            let policy = self.effective_quorum_policy(r);
            let refused = match policy {
                QuorumPolicy::Stop => Some("no quorum"),
                QuorumPolicy::Freeze => {
                    let rsc = &self.st[r];
                    let held = !self.st.is_active(r, true) || rsc.next_role > rsc.role;
                    held.then_some("quorum freeze")
                }
                _ => None,
            };
            match refused {
                Some(reason) => {
                    self.actions[ix].flags.clear(runnable);
                    self.set_reason(ix, reason, true);
                }
                // Freezing lets be what is: an action that was made without a node stays what it was.
                None if policy == QuorumPolicy::Freeze => {}
                None => self.actions[ix].flags.set(runnable),
            }
        }
    }

    fn effective_quorum_policy(&mut self, r: ResourceIx) -> QuorumPolicy {
        if self.st.quorum {
            return QuorumPolicy::Ignore;
        }
        match self.st.options.no_quorum_policy {
            QuorumPolicy::Demote => {
                let rsc = &mut self.st[r];
                match rsc.role {
                    Role::Promoted | Role::Unpromoted => {
                        if rsc.next_role > Role::Unpromoted {
                            rsc.next_role = Role::Unpromoted;
                        }
                        QuorumPolicy::Ignore
                    }
                    _ => QuorumPolicy::Stop,
                }
            }
            policy => policy,
        }
    }

    /// Marks a node for fencing and makes the actions that this calls for.
    pub fn fence_node(&mut self, node: NodeIx, reason: &str) {
        self.st.fence_node(node, reason, false);
        self.replay_effects(|_| true);
    }

    /// Makes the actions that reading the input called for and that `wanted` lets through.
    ///
    /// Effects are taken from the front, so they stay in the order of their making.
    pub fn replay_effects(&mut self, wanted: impl Fn(EffectPhase) -> bool) {
        let effects = std::mem::take(&mut self.st.effects);
        let (now, later): (Vec<_>, Vec<_>) = effects.into_iter().partition(|(phase, _)| wanted(*phase));
        self.st.effects = later;
        for (_, effect) in now {
            self.replay(effect);
        }
    }

    fn replay(&mut self, effect: Effect) {
        match effect {
            Effect::Fence { node, reason, priority_delay } => {
                self.fence_op(node, None, true, Some(&reason), priority_delay);
            }
            Effect::ClearFailCount { resource, node, reason: _, after_fencing, runnable } => {
                let clear = self.clear_failcount(resource, node);
                if runnable {
                    self.actions[clear].flags.set(ActionFlags::RUNNABLE);
                } else {
                    self.actions[clear].flags.clear(ActionFlags::RUNNABLE);
                }
                if let Some(remote) = after_fencing {
                    let fence = self.fence_op(remote, None, true, None, false);
                    self.actions.edge(fence, clear, EdgeFlags::I_THEN);
                }
            }
            Effect::Recurring { resource, node, task, interval_ms } => {
                let task = Task::parse(&task);
                let key = Key::Op(task.clone(), interval_ms);
                self.action(Some(resource), key, task, Some(node), true);
            }
            Effect::Stop { resource, node, managed } => {
                let stop = self.stop_action(resource, Some(node), false);
                if managed {
                    self.actions[stop].flags.clear(ActionFlags::OPTIONAL);
                }
            }
            Effect::Demote { resource, node } => {
                let key = Key::once(Task::Demote);
                self.action(Some(resource), key, Task::Demote, Some(node), false);
            }
            Effect::StopsOptional { resource, node } => {
                for stop in self.actions.matching(resource, &Key::once(Task::Stop), Some(node)) {
                    self.actions[stop].flags.set(ActionFlags::OPTIONAL);
                }
            }
            Effect::Unassigned { resource } => self.unassigned(resource),
            Effect::DeleteHistory { resource, node } => {
                let key = Key::once(Task::LrmDelete);
                self.action(Some(resource), key, Task::LrmDelete, Some(node), false);
            }
        }
    }

    /// The action that forgets the failures of a resource on a node.
    pub fn clear_failcount(&mut self, r: ResourceIx, node: NodeIx) -> ActionIx {
        let key = Key::once(Task::ClearFailcount);
        let ix = self.action(Some(r), key, Task::ClearFailcount, Some(node), false);
        self.actions[ix].meta.set("op_no_wait", "true");
        ix
    }

    /// Wipes a resource's history on a node, before it starts again.
    pub fn cleanup(&mut self, r: ResourceIx, node: NodeIx, optional: bool) {
        let state = &self.st[node];
        if self.st[r].flags.failed || state.unclean || !state.online {
            return;
        }
        let key = Key::once(Task::Delete);
        self.action(Some(r), key, Task::Delete, Some(node), optional);
        let flags = if optional { EdgeFlags::I_THEN } else { EdgeFlags::OPT };
        self.order_tasks((r, Task::Stop), (r, Task::Delete), flags);
        self.order_tasks((r, Task::Delete), (r, Task::Start), flags);
    }
}
