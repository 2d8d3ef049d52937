//! Assigns a bundle's parts (section 16).

use super::Placer;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::ledger::{Change, Ledger, Source};
use crate::policy::reference_order::merge_sort;
use crate::policy::values::INFINITY;

impl<L: Ledger> Placer<'_, L> {
    /// Runs again whenever it is asked, as the reference does; parts that have a node keep it.
    pub fn assign_bundle(&mut self, r: ResourceIx) -> Option<NodeIx> {
        let b = self.s[r].bundle_info()?;
        let (replicas, inner, max, per_host) = (b.replicas.clone(), b.child, b.replicas_max, b.per_host);
        self.s[r].flags.allocating = true;
        self.show(r, "pcmk__bundle_allocate", true);
        let mut containers: Vec<ResourceIx> = replicas.iter().map(|x| x.container).collect();
        merge_sort(&mut containers, &mut |a, b| self.compare_instances(*a, *b));
        self.distribute(r, &containers, max, per_host);
        for x in &replicas {
            let host = self.s[x.container].assigned_node();
            if let Some(ip) = x.ip {
                // Its colocation with the container leads it there, no wish: on remote nodes, where the colocation does not
                // tell one from another, it may be led elsewhere.
                self.assign(ip, None);
            }
            if let Some(remote) = x.remote {
                if let Some(link) =
                    host.filter(|h| self.s[*h].is_remote_kind()).and_then(|h| self.s[h].connection)
                {
                    self.internal("child-remote-with-docker-remote", remote, link, INFINITY, true);
                }
                self.assign(remote, host);
            }
            if let (Some(child), Some(node)) = (x.child, x.node) {
                let nodes: Vec<NodeIx> = self.s[child].table.iter().map(|(n, _)| n).collect();
                for n in nodes {
                    let score = if n != node {
                        -INFINITY
                    } else if self.threshold_reached(n, child).is_none() {
                        INFINITY
                    } else {
                        continue;
                    };
                    self.set_score(child, n, score);
                }
                let parent = self.s[child].parent;
                if let Some(p) = parent {
                    self.s[p].flags.allocating = true;
                }
                self.assign(child, Some(node));
                if let Some(p) = parent {
                    self.s[p].flags.allocating = false;
                }
            }
        }
        if let Some(clone) = inner {
            let own: Vec<NodeIx> = replicas.iter().filter_map(|x| x.node).collect();
            let nodes: Vec<NodeIx> = self.s[clone].table.iter().map(|(n, _)| n).collect();
            for n in nodes {
                let score = if own.contains(&n) { 0 } else { -INFINITY };
                self.set_score(clone, n, score);
            }
            self.assign(clone, None);
        }
        self.s[r].flags.provisional = false;
        self.s[r].flags.allocating = false;
        None
    }

    fn set_score(&mut self, r: ResourceIx, n: NodeIx, score: i32) {
        if let Some(e) = self.s[r].table.get_mut(n) {
            e.score = score;
            self.ledger.note(r, n, Change::Set(score), Source::Nesting);
        }
    }
}
