//! Orderings that follow from what resources are: a stop before a start, members in their order,
//! instances within their clone, replicas within their bundle.

use super::Work;
use super::arena::End;
use super::flags::EdgeFlags as E;
use super::task::{Key, Task};
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::state::{Kind, Placement, Variant};

impl Work<'_> {
    /// Orderings of every top-level resource.
    pub fn internal_orderings(&mut self) {
        for r in self.st.top.clone() {
            self.internal(r);
        }
    }

    fn internal(&mut self, r: ResourceIx) {
        match self.st[r].variant() {
            Variant::Primitive => self.primitive_internal(r),
            Variant::Group => self.group_internal(r),
            Variant::Clone => self.clone_internal(r),
            Variant::Bundle => self.bundle_internal(r),
        }
    }

    fn primitive_internal(&mut self, r: ResourceIx) {
        if !self.st[r].flags.managed {
            return;
        }
        let top = self.st.top_of(r);
        self.order_tasks((r, Task::Stop), (r, Task::Start), E::OPT | E::I_THEN | E::RESTART);
        let roles = self.st[top].flags.promotable || self.st[r].role > crate::policy::state::Role::Unpromoted;
        if roles {
            self.order_tasks((r, Task::Demote), (r, Task::Stop), E::PROM_I_FIRST);
            self.order_tasks((r, Task::Start), (r, Task::Promote), E::RUN_LEFT);
        }
        self.order_tasks((r, Task::LrmDelete), (r, Task::Monitor), E::SAME_NODE | E::CANCELS);
        let check_unfencing =
            !self.st[r].flags.fence_device && self.st.unfencing && self.st[r].flags.needs_unfencing;
        let utilization =
            !self.st[r].utilization.is_empty() && self.st.options.placement != Placement::Default;
        let allowed: Vec<NodeIx> = if check_unfencing || utilization {
            let table = &self.st[r].table;
            self.st.node_order.iter().copied().filter(|&n| table.contains(n)).collect()
        } else {
            Vec::new()
        };
        if check_unfencing {
            for &node in &allowed {
                let unfence = self.fence_op(node, Some("on"), true, None, false);
                self.order(End::task(r, Task::Stop), End::action(None, unfence), E::OPT | E::SAME_NODE);
                self.order(
                    End::action(None, unfence),
                    End::task(r, Task::Start),
                    E::I_THEN_NODE | E::SAME_NODE,
                );
            }
        }
        if utilization {
            self.load_barriers(r, &allowed);
        }
        self.container_internal(r);
    }

    fn load_barrier(&mut self, node: NodeIx) -> super::ActionIx {
        let text = format!("load_stopped_{}", self.st[node].name);
        let key = Key::free(text.as_str());
        if let Some(found) = self.actions.singleton(&key) {
            return found;
        }
        let task = Task::parse(&text);
        let barrier = self.pseudo(None, key, task, false);
        self.actions[barrier].node = Some(node);
        barrier
    }

    fn load_barriers(&mut self, r: ResourceIx, allowed: &[NodeIx]) {
        for node in self.st[r].running_on.clone() {
            let barrier = self.load_barrier(node);
            self.order(End::task(r, Task::Stop), End::action(None, barrier), E::LOAD);
        }
        for &node in allowed {
            let barrier = self.load_barrier(node);
            for task in [Task::Start, Task::MigrateTo] {
                self.order(End::action(None, barrier), End::task(r, task), E::LOAD);
            }
        }
    }

    fn container_internal(&mut self, r: ResourceIx) {
        let Some(container) = self.st[r].container else { return };
        if self.st[r].flags.is_connection {
            // A connection starts with its container; the rest follows from its actions.
            self.order_tasks((container, Task::Monitor), (r, Task::Stop), E::OPT);
        }
        let remote = if self.st[container].flags.is_connection {
            Some(container)
        } else {
            let fillers = &self.st[container].fillers;
            fillers.iter().copied().find(|&f| self.st[f].flags.is_connection)
        };
        if remote.is_some() && remote != Some(r) && !self.st[r].flags.is_connection {
            return;
        }
        self.order_tasks((container, Task::Start), (r, Task::Start), E::I_THEN | E::RUN_LEFT);
        self.order_tasks((r, Task::Stop), (container, Task::Stop), E::I_FIRST);
    }

    fn group_internal(&mut self, r: ResourceIx) {
        self.order_tasks((r, Task::Stop), (r, Task::Stopped), E::RUN_LEFT);
        self.order_tasks((r, Task::Stopped), (r, Task::Start), E::OPT);
        self.order_tasks((r, Task::Start), (r, Task::Running), E::RUN_LEFT);
        let ordered = matches!(self.st[r].kind, Kind::Group { ordered: true, .. });
        let top = self.st.top_of(r);
        let promotable = self.st[top].flags.promotable;
        let partly = !self.st.is_active(r, true);
        let mut previous: Option<ResourceIx> = None;
        let mut last_active: Option<ResourceIx> = None;
        for m in self.st[r].children.clone() {
            self.internal(m);
            let (down, post_down) = match (ordered, previous) {
                (true, None) => (E::FIRST_PRINTED | E::OPT, E::I_THEN),
                _ => (E::FIRST_PRINTED, E::THEN_PRINTED),
            };
            let up = E::RUN_LEFT | E::I_THEN | E::THEN_PRINTED;
            if promotable {
                self.order_tasks((r, Task::Demote), (m, Task::Demote), down);
                self.order_tasks((m, Task::Demote), (r, Task::Demoted), post_down);
                self.order_tasks((m, Task::Promote), (r, Task::Promoted), up);
                self.order_tasks((r, Task::Promote), (m, Task::Promote), E::FIRST_PRINTED);
            }
            self.order_tasks((r, Task::Stop), (m, Task::Stop), down);
            self.order_tasks((m, Task::Stop), (r, Task::Stopped), post_down);
            self.order_tasks((r, Task::Start), (m, Task::Start), E::FIRST_PRINTED);
            self.order_tasks((m, Task::Start), (r, Task::Running), up);
            if !ordered {
                let flags = E::I_THEN | E::RUN_LEFT | E::FIRST_PRINTED;
                self.order_tasks((r, Task::Start), (m, Task::Start), flags);
                if promotable {
                    self.order_tasks((r, Task::Promote), (m, Task::Promote), flags);
                }
            } else if let Some(p) = previous {
                let chain = E::I_THEN | E::RUN_LEFT;
                self.order_tasks((p, Task::Start), (m, Task::Start), chain);
                self.order_tasks((m, Task::Stop), (p, Task::Stop), E::OPT | E::RESTART);
                if promotable {
                    self.order_tasks((p, Task::Promote), (m, Task::Promote), chain);
                    self.order_tasks((m, Task::Demote), (p, Task::Demote), E::OPT);
                }
                let active = !self.st[m].running_on.is_empty();
                let gap = self.st[p].running_on.is_empty();
                if let (true, true, true, Some(earlier)) = (partly, active, gap, last_active) {
                    self.order_tasks((m, Task::Stop), (earlier, Task::Stop), E::OPT);
                }
            }
            if !self.st[m].running_on.is_empty() {
                last_active = Some(m);
            }
            previous = Some(m);
        }
    }

    fn clone_internal(&mut self, r: ResourceIx) {
        self.order_tasks((r, Task::Stopped), (r, Task::Start), E::OPT);
        self.order_tasks((r, Task::Start), (r, Task::Running), E::RUN_LEFT);
        self.order_tasks((r, Task::Stop), (r, Task::Stopped), E::RUN_LEFT);
        let promotable = self.st[r].flags.promotable;
        if promotable {
            self.order_tasks((r, Task::Demoted), (r, Task::Stop), E::OPT);
            self.order_tasks((r, Task::Running), (r, Task::Promote), E::RUN_LEFT);
        }
        let ordered = self.st[r].clone_info().is_some_and(|c| c.ordered);
        if ordered {
            self.sort_by_number(r);
        }
        let mut previous: Option<ResourceIx> = None;
        for i in self.st[r].children.clone() {
            self.internal(i);
            self.order_tasks((r, Task::Start), (i, Task::Start), E::RUN_LEFT | E::FIRST_PRINTED);
            self.order_tasks((i, Task::Start), (r, Task::Running), E::THEN_PRINTED);
            self.order_tasks((r, Task::Stop), (i, Task::Stop), E::FIRST_PRINTED);
            self.order_tasks((i, Task::Stop), (r, Task::Stopped), E::THEN_PRINTED);
            if let (true, Some(p)) = (ordered, previous) {
                self.order_tasks((p, Task::Start), (i, Task::Start), E::OPT);
                self.order_tasks((i, Task::Stop), (p, Task::Stop), E::OPT);
            }
            previous = Some(i);
        }
        if promotable {
            self.promotable_internal(r);
        }
    }

    fn promotable_pseudo_orderings(&mut self, r: ResourceIx) {
        for (first, then) in [
            (Task::Stopped, Task::Start),
            (Task::Stopped, Task::Promote),
            (Task::Demoted, Task::Stop),
            (Task::Demoted, Task::Start),
            (Task::Demoted, Task::Promote),
            (Task::Running, Task::Promote),
            (Task::Demote, Task::Demoted),
        ] {
            self.order_tasks((r, first), (r, then), E::OPT);
        }
    }

    fn promotable_internal(&mut self, r: ResourceIx) {
        self.promotable_pseudo_orderings(r);
        let ordered = self.st[r].clone_info().is_some_and(|c| c.ordered);
        let mut previous: Option<ResourceIx> = None;
        for i in self.st[r].children.clone() {
            self.order_tasks((i, Task::Demote), (i, Task::Promote), E::OPT);
            self.order_tasks((r, Task::Promote), (i, Task::Promote), E::OPT);
            self.order_tasks((i, Task::Promote), (r, Task::Promoted), E::OPT);
            self.order_tasks((r, Task::Demote), (i, Task::Demote), E::FIRST_PRINTED);
            self.order_tasks((i, Task::Demote), (r, Task::Demoted), E::THEN_PRINTED);
            if let (true, Some(p)) = (ordered, previous) {
                self.order_tasks((p, Task::Promote), (i, Task::Promote), E::OPT);
                self.order_tasks((i, Task::Demote), (p, Task::Demote), E::OPT);
            }
            previous = Some(i);
        }
    }

    fn bundle_internal(&mut self, r: ResourceIx) {
        let Some(bundle) = self.st[r].bundle_info() else { return };
        let replicas = bundle.replicas.clone();
        let child = bundle.child;
        if let Some(c) = child {
            self.order_tasks((r, Task::Start), (c, Task::Start), E::FIRST_PRINTED);
            self.order_tasks((r, Task::Stop), (c, Task::Stop), E::FIRST_PRINTED);
            self.order_tasks((c, Task::Running), (r, Task::Running), E::THEN_PRINTED);
            self.order_tasks((c, Task::Stopped), (r, Task::Stopped), E::THEN_PRINTED);
        }
        for replica in replicas {
            let container = replica.container;
            self.internal(container);
            self.order_tasks((r, Task::Start), (container, Task::Start), E::RUN_LEFT | E::FIRST_PRINTED);
            if let Some(inner) = replica.child {
                self.order_tasks((r, Task::Stop), (inner, Task::Stop), E::FIRST_PRINTED);
            }
            self.order_tasks((r, Task::Stop), (container, Task::Stop), E::FIRST_PRINTED);
            self.order_tasks((container, Task::Start), (r, Task::Running), E::THEN_PRINTED);
            self.order_tasks((container, Task::Stop), (r, Task::Stopped), E::THEN_PRINTED);
            if let Some(ip) = replica.ip {
                self.internal(ip);
                self.order_tasks((ip, Task::Start), (container, Task::Start), E::RUN_LEFT | E::PRESERVE);
                self.order_tasks((container, Task::Stop), (ip, Task::Stop), E::I_FIRST | E::PRESERVE);
            }
            if let Some(remote) = replica.remote {
                self.internal(remote);
            }
        }
        if let Some(c) = child {
            self.internal(c);
            if self.st[r].flags.promotable || self.st[c].flags.promotable {
                self.promotable_pseudo_orderings(r);
                self.order_tasks((c, Task::Demoted), (r, Task::Demoted), E::THEN_PRINTED);
                self.order_tasks((c, Task::Promoted), (r, Task::Promoted), E::THEN_PRINTED);
                self.order_tasks((r, Task::Demote), (c, Task::Demote), E::FIRST_PRINTED);
                self.order_tasks((r, Task::Promote), (c, Task::Promote), E::FIRST_PRINTED);
            }
        }
    }

    /// Sorts the instances of a clone by their numbers.
    pub fn sort_by_number(&mut self, r: ResourceIx) {
        let number = |w: &Self, i: ResourceIx| {
            let id = &w.st[i].id;
            let digits = id.rsplit(':').next().unwrap_or_default();
            digits.parse::<u64>().unwrap_or(0)
        };
        let mut children = self.st[r].children.clone();
        children.sort_by_key(|&i| number(self, i));
        self.st[r].children = children;
    }
}
