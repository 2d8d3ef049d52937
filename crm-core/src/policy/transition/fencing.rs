//! Fencing, unfencing and shutdown of nodes.

use super::Work;
use super::arena::Needs;
use super::flags::{ActionFlags, EdgeFlags};
use super::task::{Key, Task};
use crate::policy::ix::{ActionIx, NodeIx, ResourceIx};
use crate::policy::state::{Node, NodeKind, Role, Variant};

impl Work<'_> {
    /// The action that fences (or unfences, with `on`) a node, made if it is not there.
    pub fn fence_op(
        &mut self,
        node: NodeIx,
        op: Option<&str>,
        optional: bool,
        reason: Option<&str>,
        priority_delay: bool,
    ) -> ActionIx {
        let op = op.unwrap_or(self.st.options.stonith_action);
        let key = Key::free(format!("stonith-{}-{op}", self.st[node].name));
        let mut optional = optional;
        let ix = match self.actions.singleton(&key) {
            Some(ix) => ix,
            None => {
                let ix = self.action(None, key, Task::Stonith, Some(node), true);
                let (name, id) = (self.st[node].name.clone(), self.st[node].id.clone());
                let meta = &mut self.actions[ix].meta;
                meta.set("on_node", name);
                meta.set("on_node_uuid", id);
                meta.set("stonith_action", op.to_owned());
                if self.st.unfencing {
                    let digests = self.st.unfencing_digests(node, op);
                    let meta = &mut self.actions[ix].meta;
                    meta.set("digests-all", digests.all);
                    meta.set("digests-secure", digests.secure);
                    if digests.changed {
                        optional = false;
                    }
                }
                ix
            }
        };
        let delays = self.st.options.priority_fencing_delay > 0;
        if delays && (priority_delay || self.actions[ix].meta.get("priority-fencing-delay").is_some()) {
            let delay = self.priority_delay(node);
            self.actions[ix].meta.set("priority-fencing-delay", delay.to_string());
        }
        if !optional && self.st.can_fence(Some(node)) {
            self.actions[ix].flags.clear(ActionFlags::OPTIONAL);
            if let Some(reason) = reason {
                self.set_reason(ix, reason, false);
            }
        } else if let Some(reason) = reason {
            self.set_reason(ix, reason, false);
        }
        ix
    }

    /// Seconds by which the fencing of a node is held back, so that the more important side wins.
    fn priority_delay(&self, target: NodeIx) -> i64 {
        let delay = self.st.options.priority_fencing_delay;
        if self.st[target].kind != NodeKind::Cluster || self.st[target].online || delay <= 0 {
            return 0;
        }
        let members: Vec<&Node> = self.st.nodes.iter().filter(|n| n.kind == NodeKind::Cluster).collect();
        let online = members.iter().filter(|n| n.online).count();
        if online > members.len() / 2 {
            return 0;
        }
        let top = members.iter().map(|n| n.priority).max();
        let low = members.iter().map(|n| n.priority).min();
        if top == low || top != Some(self.st[target].priority) { 0 } else { delay }
    }

    /// Unfencing comes before what an unfenced device or resource does on a node.
    pub fn order_after_unfencing(&mut self, r: ResourceIx, node: NodeIx, action: ActionIx, flags: EdgeFlags) {
        let device = self.st[r].flags.fence_device && self.st.unfencing;
        if !device && !self.st[r].flags.needs_unfencing {
            return;
        }
        let unfence = self.fence_op(node, Some("on"), true, None, false);
        self.actions.edge(unfence, action, flags);
        if self.needs_unfencing(node) {
            let reason = format!("required by {} {}", self.st[r].id, self.actions[action].task);
            self.trigger_unfencing(node, &reason);
        }
    }

    fn needs_unfencing(&self, node: NodeIx) -> bool {
        matches!(self.st[node].attribute("#node-unfenced"), None | Some("0"))
    }

    /// Makes the unfencing of a node required, if the node is there to be unfenced.
    fn trigger_unfencing(&mut self, node: NodeIx, reason: &str) {
        let state = &self.st[node];
        if self.st.unfencing && state.online && !state.unclean && !state.shutdown {
            self.fence_op(node, Some("on"), false, Some(reason), false);
        }
    }

    /// Unfencing of a node because the definition of a fence device changed since it ran there.
    pub fn trigger_unfencing_by(&mut self, device: ResourceIx, node: NodeIx, reason: &str) {
        if self.st[device].flags.fence_device {
            self.trigger_unfencing(node, reason);
        }
    }

    /// Every node that must be fenced or shuts down, in the order of their names.
    pub fn fencing_and_shutdown(&mut self) {
        let concurrent = self.st.options.concurrent_fencing;
        let any_managed = self.any_managed();
        let mut dc_down = None;
        let mut fencings: Vec<ActionIx> = Vec::new();
        let mut shutdowns: Vec<ActionIx> = Vec::new();
        let mut integrity_lost = false;
        for node in self.st.node_order.clone() {
            if self.st.is_guest_node(node) {
                if self.st[node].requires_reset && any_managed && self.st.can_fence(Some(node)) {
                    self.fence_guest(node);
                }
                continue;
            }
            if self.st[node].unclean && any_managed && self.st.can_fence(Some(node)) {
                let name = self.st[node].name.clone();
                let text = format!("Scheduling node {name} for fencing");
                self.st.complaints.warning("fencing-scheduled", &name, text);
                let fence = self.fence_op(node, None, false, Some("node is unclean"), false);
                self.order_vs_fence(fence, node);
                if self.st[node].is_dc {
                    dc_down = Some(fence);
                } else {
                    if !concurrent {
                        if let Some(&previous) = fencings.last() {
                            self.actions.edge(previous, fence, EdgeFlags::OPT);
                        }
                    }
                    fencings.push(fence);
                }
                continue;
            }
            if self.st[node].unclean {
                integrity_lost = true;
                let name = self.st[node].name.clone();
                let text = format!("Node {name} is unclean but cannot be fenced");
                self.st.complaints.warning("fencing-impossible", &name, text);
            }
            if self.st[node].online && self.st[node].shutdown && !self.st[node].is_remote_kind() {
                let down = self.shutdown_op(node);
                if self.st[node].is_dc {
                    dc_down = Some(down);
                } else {
                    shutdowns.push(down);
                }
            }
        }
        if integrity_lost {
            let text = "Resource functionality and data integrity cannot be guaranteed (configure, enable, and test \
                        fencing to correct this)";
            self.st.complaints.warning("integrity-lost", "", text.to_owned());
        }
        let Some(dc_down) = dc_down else { return };
        if self.actions[dc_down].task == Task::Shutdown {
            for &down in &shutdowns {
                self.actions.edge(down, dc_down, EdgeFlags::OPT);
            }
        }
        let before_dc = if concurrent { fencings } else { fencings.last().copied().into_iter().collect() };
        for fence in before_dc {
            self.actions.edge(fence, dc_down, EdgeFlags::OPT);
        }
    }

    /// Some resource is managed.
    fn any_managed(&self) -> bool {
        fn managed(w: &Work<'_>, r: ResourceIx) -> bool {
            w.st[r].flags.managed || w.st[r].children.iter().any(|&c| managed(w, c))
        }
        self.st.top.iter().any(|&r| managed(self, r))
    }

    fn shutdown_op(&mut self, node: NodeIx) -> ActionIx {
        let key = Key::free(format!("do_shutdown-{}", self.st[node].name));
        let down = self.action(None, key, Task::Shutdown, Some(node), false);
        for stop in self.actions.newest() {
            let action = &self.actions[stop];
            let Some(r) = action.resource else { continue };
            if action.task != Task::Stop || action.node != Some(node) {
                continue;
            }
            let flags = &self.st[r].flags;
            if flags.maintenance || self.st[node].maintenance || !flags.managed && !flags.blocked {
                continue;
            }
            self.actions[stop].flags.clear(ActionFlags::OPTIONAL);
            self.actions.edge(stop, down, EdgeFlags::OPT | EdgeFlags::RUN_LEFT);
        }
        self.actions[down].meta.set("op_no_wait", "true");
        down
    }

    /// The pretended fencing of a guest: its container is stopped or started anew.
    fn fence_guest(&mut self, node: NodeIx) {
        let connection = self.st[node].connection;
        let container = self.st.container_of_node(node);
        let mut op = "off";
        let mut stop = None;
        if let Some(container) = container {
            stop = self.actions.newest_of(container, &Task::Stop, None);
            if self.actions.newest_of(container, &Task::Start, None).is_some() {
                op = "reboot";
            }
        }
        let fence = self.fence_op(node, Some(op), false, Some("guest is unclean"), false);
        self.actions[fence].flags.set(ActionFlags::PSEUDO | ActionFlags::RUNNABLE);
        let flags = EdgeFlags::RUN_LEFT | EdgeFlags::I_THEN;
        match stop {
            Some(stop) if self.actions[stop].pseudo() => {
                if let Some(host) = self.actions[stop].node {
                    let parent = self.fence_op(host, None, false, None, false);
                    self.actions.edge(parent, fence, flags);
                }
            }
            Some(stop) => {
                self.actions.edge(stop, fence, flags);
            }
            None => {
                let stop = connection.and_then(|c| self.actions.newest_of(c, &Task::Stop, None));
                if let Some(stop) = stop {
                    self.actions.edge(stop, fence, EdgeFlags::OPT);
                }
            }
        }
        self.order_vs_fence(fence, node);
    }

    /// Orders the fencing of a node against what resources do.
    fn order_vs_fence(&mut self, fence: ActionIx, node: NodeIx) {
        for r in self.st.top.clone() {
            self.resource_vs_fence(r, fence, node);
        }
    }

    fn resource_vs_fence(&mut self, r: ResourceIx, fence: ActionIx, node: NodeIx) {
        if self.st[r].variant() != Variant::Primitive {
            for child in self.st[r].children.clone() {
                self.resource_vs_fence(child, fence, node);
            }
            return;
        }
        if !self.st[r].flags.managed {
            return;
        }
        self.starts_vs_fence(r, fence, node);
        self.stops_vs_fence(r, fence, node);
    }

    fn starts_vs_fence(&mut self, r: ResourceIx, fence: ActionIx, node: NodeIx) {
        let allowed = self.st[r].table.contains(node);
        // What one instance of an anonymous clone's primitive is known on, all are.
        let known = self.st[r].known_on.contains(&node)
            || self.st[r].parent.is_some_and(|p| {
                let parent = &self.st[p];
                parent.variant() == Variant::Clone && !parent.flags.unique && parent.known_on.contains(&node)
            });
        for at in (0..self.actions.of(r).len()).rev() {
            let action = self.actions.of(r)[at];
            match self.actions[action].needs {
                Needs::Nothing => {}
                Needs::Fencing => {
                    self.actions.edge(fence, action, EdgeFlags::OPT);
                }
                Needs::Quorum => {
                    if self.actions[action].task == Task::Start && allowed && !known {
                        self.actions.edge(fence, action, EdgeFlags::OPT | EdgeFlags::RUN_LEFT);
                    }
                }
            }
        }
    }

    fn stops_vs_fence(&mut self, r: ResourceIx, fence: ActionIx, node: NodeIx) {
        let top = self.st.top_of(r);
        let guest = self.st.is_guest_node(node);
        let bundled = self.st.is_bundled(r);
        let order_implicit = self.st[r].flags.needs_fencing || guest;
        for stop in self.actions.matching(r, &Key::once(Task::Stop), Some(node)) {
            self.actions[stop].flags.set(ActionFlags::PSEUDO | ActionFlags::RUNNABLE);
            if order_implicit {
                self.actions[stop].flags.set(ActionFlags::IMPLIED_BY_FENCING);
                if !bundled {
                    self.actions.edge(fence, stop, EdgeFlags::PRESERVE);
                }
                let parent = self.actions.newest_of(top, &Task::Stop, None);
                if let Some(parent) = parent {
                    self.actions.edge(fence, parent, EdgeFlags::PRESERVE);
                }
            }
            if self.st[r].flags.notify {
                self.notify_fencing(r, stop, fence);
            }
        }
        for demote in self.actions.matching(r, &Key::once(Task::Demote), Some(node)) {
            let state = &self.st[node];
            if !state.online || state.unclean || self.st[r].flags.failed {
                self.actions[demote].flags.set(ActionFlags::PSEUDO | ActionFlags::RUNNABLE);
                if bundled {
                    continue;
                }
                if order_implicit {
                    self.actions.edge(fence, demote, EdgeFlags::PRESERVE | EdgeFlags::OPT);
                }
            }
        }
    }

    /// The role of the connection's node at the end of the plan: it goes down.
    pub fn goes_down(&self, r: ResourceIx) -> bool {
        self.st[r].next_role == Role::Stopped || self.st[r].assigned.is_none()
    }
}
