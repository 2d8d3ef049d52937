//! Assigns a group (section 13).

use super::Placer;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::ledger::Ledger;
use crate::policy::values::INFINITY;

impl<L: Ledger> Placer<'_, L> {
    pub fn assign_group(&mut self, r: ResourceIx, prefer: Option<NodeIx>) -> Option<NodeIx> {
        if !self.s[r].flags.provisional {
            return self.s[r].assigned_node();
        }
        if self.s[r].flags.allocating {
            return None;
        }
        let members = self.s[r].children.clone();
        let Some(first) = members.first().copied() else {
            self.s[r].flags.provisional = false;
            return None;
        };
        self.s[r].flags.allocating = true;
        self.s[r].role = self.s[first].role;
        self.expand_colocations(r);
        self.show(r, "pcmk__group_assign", true);
        let mut node = None;
        for m in members {
            let at = self.assign(m, prefer);
            if node.is_none() {
                node = at;
            }
        }
        self.s[r].next_role = self.s[first].next_role;
        self.s[r].flags.allocating = false;
        self.s[r].flags.provisional = false;
        if self.s.is_colocated_group(r) { node } else { None }
    }

    /// 13.2: the group's colocations become its members'.
    fn expand_colocations(&mut self, r: ResourceIx) {
        let members = self.s[r].children.clone();
        let this_with = std::mem::take(&mut self.s[r].this_with);
        let with_this = std::mem::take(&mut self.s[r].with_this);
        if let Some(first) = members.first() {
            for ix in &this_with {
                self.s.list_this_with(*first, *ix);
            }
        }
        let mut after_unmanaged = false;
        for m in &members {
            if after_unmanaged {
                for ix in &this_with {
                    if self.s[*ix].score >= INFINITY {
                        self.s.list_this_with(*m, *ix);
                    }
                }
            }
            after_unmanaged |= !self.s[*m].flags.managed;
        }
        if let Some(last) = members.last() {
            for ix in &with_this {
                self.s.list_with_this(*last, *ix);
            }
        }
    }
}
