//! Colocations and bans that follow from what resources are made of: groups, containers, remote nodes.

use super::Placer;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::ledger::{Change, Ledger, Source};
use crate::policy::state::Variant;
use crate::policy::values::INFINITY;

impl<L: Ledger> Placer<'_, L> {
    /// Phase 9, for every resource in resource order.
    pub fn internal_colocations(&mut self) {
        for r in self.s.top.clone() {
            self.internal_of(r);
        }
    }

    fn internal_of(&mut self, r: ResourceIx) {
        match self.s[r].variant() {
            Variant::Primitive => self.internal_of_primitive(r),
            Variant::Group => {
                let colocated = self.s.is_colocated_group(r);
                let mut previous = None;
                for m in self.s[r].children.clone() {
                    self.internal_of(m);
                    if let (Some(p), true) = (previous, colocated) {
                        let influence = self.s[m].flags.critical;
                        self.internal("group:internal_colocation", m, p, INFINITY, influence);
                    }
                    previous = Some(m);
                }
            }
            Variant::Clone => {
                if self.s[r].clone_info().is_some_and(|c| c.ordered) {
                    self.sort_by_number(r);
                }
                for c in self.s[r].children.clone() {
                    self.internal_of(c);
                }
            }
            Variant::Bundle => {
                let Some(b) = self.s[r].bundle_info() else { return };
                let (replicas, child) = (b.replicas.clone(), b.child);
                for x in &replicas {
                    self.internal_of(x.container);
                    if let Some(ip) = x.ip {
                        self.internal_of(ip);
                        self.internal("ip-with-docker", ip, x.container, INFINITY, true);
                    }
                    if let Some(remote) = x.remote {
                        self.internal_of(remote);
                    }
                }
                if let Some(c) = child {
                    self.internal_of(c);
                }
            }
        }
    }

    /// Sorts a collective's children by instance number.
    pub fn sort_by_number(&mut self, r: ResourceIx) {
        let mut children = std::mem::take(&mut self.s[r].children);
        children.sort_by_key(|c| self.s.instance_number(*c));
        self.s[r].children = children;
    }

    fn internal_of_primitive(&mut self, r: ResourceIx) {
        if !self.s[r].flags.managed {
            return;
        }
        if let Some(container) = self.s[r].container {
            let is_link = self.s[r].flags.is_connection;
            let mut host_link = None;
            if is_link {
                if !self.s[r].flags.allow_remote_remotes {
                    self.avoid_remote_nodes(container);
                }
            } else if self.s[container].flags.is_connection {
                host_link = Some(container);
            } else {
                host_link = self.s.guest_inside(container);
            }
            if let Some(link) = host_link {
                let nodes: Vec<NodeIx> = self.s[r].table.iter().map(|(n, _)| n).collect();
                for n in nodes {
                    if self.s[n].connection != Some(link) {
                        self.ban(r, n, Source::Nesting);
                    }
                }
            } else {
                let score = if self.s[r].flags.allow_remote_remotes { 10_000 } else { INFINITY };
                self.internal("#resource-with-container", r, container, score, true);
            }
        }
        if self.s[r].flags.is_connection || self.s[r].flags.fence_device {
            self.avoid_remote_nodes(r);
        }
    }

    /// Sets the entry of a node that is in the table to −INFINITY.
    pub fn ban(&mut self, r: ResourceIx, n: NodeIx, source: Source<'_>) {
        if let Some(e) = self.s[r].table.get_mut(n) {
            e.score = -INFINITY;
            self.ledger.note(r, n, Change::Set(-INFINITY), source);
        }
    }

    fn avoid_remote_nodes(&mut self, r: ResourceIx) {
        for n in self.s.node_indices() {
            if self.s[n].is_remote_kind() && self.s[n].connection.is_some() {
                self.ban(r, n, Source::Nesting);
            }
        }
    }
}

impl crate::policy::state::State {
    /// The connection of a guest node that a resource hosts.
    pub fn guest_inside(&self, container: ResourceIx) -> Option<ResourceIx> {
        self[container].fillers.iter().copied().find(|f| self[*f].flags.is_connection)
    }

    /// Number of an instance: after its last colon, or last dash for parts of bundles.
    pub fn instance_number(&self, r: ResourceIx) -> i64 {
        let id = &self[r].id;
        id.rsplit([':', '-']).next().and_then(|n| n.parse().ok()).unwrap_or(-1)
    }
}
