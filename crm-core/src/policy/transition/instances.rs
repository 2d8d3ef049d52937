//! Instances of interleaved clones: which one belongs with which.

use super::Work;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::placement;
use crate::policy::state::{Role, Variant};

impl Work<'_> {
    /// The instance of `collective` on the node of `of`; failing that, on the best of its allowed nodes.
    pub fn compatible_instance(
        &self,
        of: ResourceIx,
        collective: ResourceIx,
        role: Role,
        current: bool,
    ) -> Option<ResourceIx> {
        let instances = self.instances(collective);
        if let Some(node) = self.single_node(of, current) {
            return self.instance_on(&instances, node, role, current);
        }
        let nodes = self.st.sorted_nodes(&self.st[of].table, None);
        let mut found =
            nodes.into_iter().filter_map(|node| self.instance_on(&instances, node, role, current));
        let first = found.next();
        if let Some(turns) = &self.st.turns
            && found.next().is_some()
        {
            // Which of them comes first may depend on the loads of nodes.
            turns.late.set(true);
        }
        first
    }

    fn instance_on(
        &self,
        instances: &[ResourceIx],
        node: NodeIx,
        role: Role,
        current: bool,
    ) -> Option<ResourceIx> {
        instances.iter().copied().find(|&i| {
            self.single_node(i, current) == Some(node)
                && (role == Role::Unknown || self.role_of(i, current) == role)
                && !self.is_blocked(i)
        })
    }

    fn is_blocked(&self, r: ResourceIx) -> bool {
        self.st[r].flags.blocked || self.st[r].children.iter().any(|&c| self.is_blocked(c))
    }

    /// Keeps an instance down that has nothing to follow; true if it was to come up.
    pub fn inhibit(&mut self, r: ResourceIx) -> bool {
        if self.st[r].variant() != Variant::Primitive {
            let mut changed = false;
            for child in self.st[r].children.clone() {
                changed |= self.inhibit(child);
            }
            return changed;
        }
        let had = self.st[r].assigned.is_some();
        placement::unassign(self.st, r);
        self.st[r].flags.provisional = false;
        self.st[r].next_role = Role::Stopped;
        self.unassigned(r);
        had
    }
}
