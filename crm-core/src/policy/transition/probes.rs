//! Probes: finding out where resources already are, and what has to wait for that.

use super::Work;
use super::arena::End;
use super::flags::{ActionFlags, EdgeFlags};
use super::task::{Key, Task};
use crate::policy::ix::{ActionIx, NodeIx, ResourceIx};
use crate::policy::state::{Discovery, Role, Variant};
use crate::policy::values;

impl Work<'_> {
    /// Schedules the probes that every node needs.
    pub fn schedule_probes(&mut self) {
        if !self.st.options.startup_probes {
            return;
        }
        for node in self.st.node_order.clone() {
            if !self.st[node].online {
                if self.st.is_remote_node(node)
                    && self.st[node].connection.is_some()
                    && self.connection_state(node) == super::remote::Connection::Failed
                {
                    self.fence_node(node, "the connection is unrecoverable");
                }
                continue;
            }
            if self.st[node].unclean || !self.st[node].discovery_enabled {
                continue;
            }
            let probed = self.st[node].attribute("probe_complete").map(str::to_owned);
            if probed.is_some_and(|p| !values::is_true(Some(&p))) {
                let key = Key::free(format!("probe_again-{}", self.st[node].name));
                let again = self.action(None, key, Task::ProbeAgain, Some(node), false);
                self.actions[again].meta.set("op_no_wait", "true");
                continue;
            }
            for r in self.st.top.clone() {
                self.probe(r, node);
            }
        }
    }

    fn probe(&mut self, r: ResourceIx, node: NodeIx) -> bool {
        match self.st[r].variant() {
            Variant::Primitive => self.probe_primitive(r, node),
            Variant::Group => {
                if !self.may_probe(r, node) {
                    return false;
                }
                let mut any = false;
                for m in self.st[r].children.clone() {
                    any |= self.probe(m, node);
                }
                any
            }
            Variant::Clone => self.probe_clone(r, node),
            Variant::Bundle => self.probe_bundle(r, node),
        }
    }

    /// Checks that do not depend on the resource being a primitive.
    fn may_probe(&self, r: ResourceIx, node: NodeIx) -> bool {
        if !self.st.options.startup_probes {
            return false;
        }
        if self.st[node].is_remote_kind() {
            let rsc = &self.st[r];
            if rsc.class().eq_ignore_ascii_case("stonith") || rsc.flags.is_connection {
                return false;
            }
            if self.st.is_guest_node(node) && self.holds_guest(r) {
                return false;
            }
        }
        true
    }

    /// The resource hosts a guest node.
    fn holds_guest(&self, r: ResourceIx) -> bool {
        self.st[r].fillers.iter().any(|&f| self.st[f].flags.is_connection)
    }

    fn probe_primitive(&mut self, r: ResourceIx, node: NodeIx) -> bool {
        if !self.may_probe(r, node) {
            return false;
        }
        let rsc = &self.st[r];
        if rsc.container.is_some() && !rsc.flags.is_connection
            || rsc.flags.orphan
            || rsc.known_on.contains(&node)
        {
            return false;
        }
        let mut top = self.st.top_of(r);
        let allowed = rsc.table.get(node).map(|e| e.discovery);
        let exclusive = rsc.flags.exclusive_discovery || self.st[top].flags.exclusive_discovery;
        if exclusive && allowed != Some(Discovery::Exclusive) {
            return false;
        }
        if allowed.unwrap_or(self.st[node].discovery) == Discovery::Never {
            return false;
        }
        if self.st.is_guest_node(node) {
            if let Some(guest) = self.st.container_of_node(node) {
                if self.st[guest].role == Role::Stopped {
                    let unknown =
                        self.st[guest].assigned_node().is_some_and(|n| !self.st[guest].known_on.contains(&n));
                    if unknown {
                        self.order_tasks((guest, Task::Monitor), (top, Task::Start), EdgeFlags::OPT);
                    }
                    return false;
                }
                if self.guest_will_stop(node, guest) {
                    self.order_tasks((guest, Task::Stop), (top, Task::Start), EdgeFlags::OPT);
                    return false;
                }
            }
        }
        let probe = self.action(Some(r), Key::once(Task::Monitor), Task::Monitor, Some(node), false);
        self.actions[probe].flags.clear(ActionFlags::OPTIONAL);
        self.order_after_unfencing(r, node, probe, EdgeFlags::OPT);
        // Nothing is wiped before it was found out what is there.
        for delete in self.actions.matching(r, &Key::once(Task::Delete), Some(node)) {
            self.actions[delete].flags.set(ActionFlags::OPTIONAL);
        }
        if !self.st[r].running_on.contains(&node) {
            self.actions[probe].meta.set("op_target_rc", "7");
        } else if self.st[r].role == Role::Promoted {
            self.actions[probe].meta.set("op_target_rc", "8");
        }
        if self.st[top].variant() != Variant::Clone {
            top = r;
        }
        let mut flags = EdgeFlags::OPT;
        if !self.actions[probe].runnable() && self.st[r].running_on.is_empty() {
            flags |= EdgeFlags::RUN_LEFT;
        }
        let first = || End::action(Some(r), probe);
        self.order(first(), End::task(top, Task::Start), flags);
        self.order(first(), End::task(top, Task::Reload), EdgeFlags::OPT);
        true
    }

    fn guest_will_stop(&self, node: NodeIx, guest: ResourceIx) -> bool {
        let rsc = &self.st[guest];
        let moves =
            rsc.role > Role::Stopped && rsc.assigned_node().is_some_and(|n| !rsc.running_on.contains(&n));
        self.st[node].requires_reset
            || self.st[node].unclean
            || rsc.flags.failed
            || rsc.next_role == Role::Stopped
            || moves
    }

    fn probe_clone(&mut self, r: ResourceIx, node: NodeIx) -> bool {
        self.sort_by_number(r);
        if self.st[r].flags.exclusive_discovery {
            let mode = self.st[r].table.get(node).map(|e| e.discovery);
            if mode.is_some_and(|m| m != Discovery::Exclusive) {
                self.st[r].table.remove(node);
                return false;
            }
        }
        let children = self.st[r].children.clone();
        if self.st[r].flags.unique {
            let mut any = false;
            for i in children {
                any |= self.probe(i, node);
            }
            return any;
        }
        let chosen = children
            .iter()
            .copied()
            .find(|&i| self.known_on(i, node))
            .or_else(|| children.iter().copied().find(|&i| self.single_next_node(i) == Some(node)))
            .or_else(|| children.first().copied());
        chosen.is_some_and(|i| self.probe(i, node))
    }

    fn known_on(&self, r: ResourceIx, node: NodeIx) -> bool {
        let rsc = &self.st[r];
        if rsc.children.is_empty() {
            rsc.known_on.contains(&node)
        } else {
            rsc.children.iter().any(|&c| self.known_on(c, node))
        }
    }

    fn probe_bundle(&mut self, r: ResourceIx, node: NodeIx) -> bool {
        let Some(bundle) = self.st[r].bundle_info() else { return false };
        let replicas = bundle.replicas.clone();
        let one_a_host = bundle.per_host == 1;
        let mut any = false;
        for (at, replica) in replicas.iter().enumerate() {
            if let Some(ip) = replica.ip {
                any |= self.probe(ip, node);
            }
            if let (Some(child), true) = (replica.child, replica.node == Some(node)) {
                any |= self.probe(child, node);
            }
            let container = replica.container;
            if self.probe(container, node) {
                any = true;
                if one_a_host {
                    for (other_at, other) in replicas.iter().enumerate() {
                        if other_at != at {
                            self.order_tasks(
                                (container, Task::Monitor),
                                (other.container, Task::Start),
                                EdgeFlags::OPT | EdgeFlags::SAME_NODE,
                            );
                        }
                    }
                }
            }
            if let Some(remote) = replica.remote {
                if self.probe(remote, node) {
                    any = true;
                    let probes = self.actions.matching(remote, &Key::once(Task::Monitor), Some(node));
                    if let Some(&probe) = probes.last() {
                        self.order(
                            End::task(container, Task::Start),
                            End::action(Some(remote), probe),
                            EdgeFlags::PROBE,
                        );
                    }
                }
            }
        }
        any
    }

    /// Orderings of probes that only the others' edges call for.
    pub fn order_probes(&mut self) {
        let mut seen = vec![0u32; self.actions.len()];
        let mut round = 0;
        for r in self.st.top.clone() {
            self.restarts_after_probes(r, &mut seen, &mut round);
        }
        self.probes_before_stops();
    }

    fn restarts_after_probes(&mut self, r: ResourceIx, seen: &mut Vec<u32>, round: &mut u32) {
        if self.st[r].variant() != Variant::Primitive {
            for child in self.st[r].children.clone() {
                self.restarts_after_probes(child, seen, round);
            }
            return;
        }
        for probe in self.actions.matching(r, &Key::once(Task::Monitor), None) {
            *round += 1;
            seen.resize(self.actions.len(), 0);
            self.restarts_after_probe(r, probe, seen, *round);
        }
    }

    fn restarts_after_probe(&mut self, r: ResourceIx, probe: ActionIx, seen: &mut [u32], round: u32) {
        let mut stack: Vec<ActionIx> = self.actions[probe].after.iter().map(|e| e.other).collect();
        while let Some(after) = stack.pop() {
            if std::mem::replace(&mut seen[after.at()], round) == round {
                continue;
            }
            let holder = self.actions[after].resource;
            let mut interleave = false;
            let mut partner = None;
            if let Some(h) = holder {
                if h != r && self.st[h].variant() == Variant::Primitive {
                    let undo = match self.actions[after].task {
                        Task::Start => Some(Task::Stop),
                        Task::Promote => Some(Task::Demote),
                        _ => None,
                    };
                    if let Some(undo) = undo {
                        for then in self.actions.matching(h, &Key::once(undo), None) {
                            if !self.actions[then].pseudo() {
                                self.actions.edge(probe, then, EdgeFlags::OPT);
                            }
                        }
                    }
                }
                if self.st[h].variant() > Variant::Group {
                    interleave = values::is_true(self.st[h].meta("interleave"));
                    if interleave {
                        partner = self.compatible_instance(r, h, Role::Unknown, false);
                    }
                }
            }
            for at in 0..self.actions[after].after.len() {
                let edge = self.actions[after].after[at];
                if !edge.flags.any(EdgeFlags::I_THEN)
                    && !self.concerns_member(r, holder, edge.other, interleave, partner)
                {
                    continue;
                }
                stack.push(edge.other);
            }
        }
    }

    /// The next action is that of a member of the collective `holder`, and concerns the probe.
    fn concerns_member(
        &self,
        r: ResourceIx,
        holder: Option<ResourceIx>,
        next: ActionIx,
        interleave: bool,
        partner: Option<ResourceIx>,
    ) -> bool {
        let (Some(h), Some(member)) = (holder, self.actions[next].resource) else { return false };
        if self.st[h].variant() < Variant::Group
            || self.st[r].parent == Some(h)
            || self.st[member].variant() > Variant::Group
            || self.st[member].parent != Some(h)
        {
            return false;
        }
        self.st[h].variant() == Variant::Group || !interleave || partner == Some(member)
    }

    /// What waits for a resource's stop waits for its probes too.
    fn probes_before_stops(&mut self) {
        for at in 0..self.actions.orderings.len() {
            let ordering = &self.actions.orderings[at];
            let Some(r) = ordering.first.resource else { continue };
            if Some(r) == ordering.then.resource || ordering.flags.is_none() {
                continue;
            }
            let is_stop = |w: &Self, end: &End| match end.action {
                Some(action) => w.actions[action].task == Task::Stop,
                None => matches!(end.key, Some(Key::Op(Task::Stop, 0))),
            };
            if !is_stop(self, &ordering.first) {
                continue;
            }
            let inside = ordering.then.resource.is_some() && self.st[r].container == ordering.then.resource;
            if inside && is_stop(self, &ordering.then) {
                continue;
            }
            let mut flags = EdgeFlags::OPT;
            for kept in [EdgeFlags::NON_MIG, EdgeFlags::SAME_NODE] {
                if ordering.flags.any(kept) {
                    flags |= kept;
                }
            }
            if ordering.flags == EdgeFlags::ANTI_COLOC || ordering.flags == EdgeFlags::LOAD {
                flags = ordering.flags;
            }
            let probes = self.actions.matching(r, &Key::once(Task::Monitor), None);
            if probes.is_empty() {
                continue;
            }
            let thens = match (ordering.then.action, ordering.then.resource, &ordering.then.key) {
                (Some(action), _, _) => vec![action],
                (None, Some(then), Some(key)) => self.actions.matching(then, key, None),
                _ => continue,
            };
            for probe in probes {
                for &then in &thens {
                    let (a, b) = (&self.actions[probe], &self.actions[then]);
                    let unfences = b.task == Task::Stonith
                        && b.node == a.node
                        && b.meta.get("stonith_action") == Some("on");
                    let elsewhere = b.task == Task::Shutdown && b.node != a.node;
                    if !unfences && !elsewhere {
                        self.actions.edge(probe, then, flags);
                    }
                }
            }
        }
    }

    /// Forgets the failures of resources that are no longer configured.
    pub fn clear_orphan_failures(&mut self) {
        if !self.st.options.stop_orphan_resources {
            return;
        }
        for r in self.st.top.clone() {
            if !self.st[r].flags.orphan {
                continue;
            }
            for node in self.st.node_order.clone() {
                if !self.st[node].online {
                    continue;
                }
                if self.st.fail_count(node, r, true, false, None).count == 0 {
                    continue;
                }
                self.st.clear_fail_count(r, node, "it is orphaned");
                let clear = self.clear_failcount(r, node);
                self.order(End::action(Some(r), clear), End::task(r, Task::Stop), EdgeFlags::OPT);
            }
        }
    }
}
