//! Which nodes can be fenced, and what becomes of a node that must be.

use super::{Effect, NodeIx, QuorumPolicy, State};

impl State {
    /// Whether a node can be fenced (§2.3 of the state page).
    ///
    /// Guests that run on each other in a circle, or one on itself, cannot.
    pub fn can_fence(&self, node: Option<NodeIx>) -> bool {
        self.can_fence_within(node, self.nodes.len())
    }

    /// [`Self::can_fence()`] for a guest that at most `deep` others are between.
    fn can_fence_within(&self, node: Option<NodeIx>, deep: usize) -> bool {
        if let Some(container) = node.and_then(|n| self.container_of_node(n)) {
            let inner = |host: &NodeIx| deep > 0 && self.can_fence_within(Some(*host), deep - 1);
            return self[container].running_on.iter().all(|h| self[*h].online || inner(h));
        }
        if !self.options.stonith_enabled || !self.have_fence_device {
            return false;
        }
        if self.quorum || self.options.no_quorum_policy == QuorumPolicy::Ignore {
            return true;
        }
        node.is_some_and(|n| self[n].online)
    }

    /// Marks a node to be fenced, and notes the (optional) action that goes with it.
    pub fn fence_node(&mut self, n: NodeIx, reason: &str, priority_delay: bool) {
        if self.declare_unclean(n, reason) {
            self.compare_unfencing(n);
            self.effect(Effect::Fence { node: n, reason: reason.to_owned(), priority_delay });
        }
    }

    /// What is to be remarked about unfencing devices when the action that fences a node is made.
    pub fn compare_unfencing(&mut self, n: NodeIx) {
        let op = self.options.stonith_action;
        if self.unfencing && !self.compared_unfencing.contains(&(n, op.to_owned())) {
            self.unfencing_digests(n, op);
        }
    }

    /// Marks a node to be fenced; whether a fencing action goes with it.
    pub fn declare_unclean(&mut self, n: NodeIx, reason: &str) -> bool {
        let name = self[n].name.clone();
        let can = self.can_fence(Some(n));
        let will = if can { "will be fenced" } else { "is unclean" };
        if let Some(container) = self.container_of_node(n) {
            if self[container].flags.failed {
                return false;
            }
            let id = self[container].id.clone();
            if !self[container].flags.managed {
                self.complaints.notice(
                    "guest-unmanaged",
                    &name,
                    format!(
                        "Not fencing guest node {name} (otherwise would because {reason}): its guest resource {id} is \
                         unmanaged"
                    ),
                );
                return false;
            }
            self.complaints.log_warning(
                "guest-fenced",
                &name,
                format!("Guest node {name} will be fenced (by recovering its guest resource {id}): {reason}"),
            );
            self[n].requires_reset = true;
            let f = &mut self[container].flags;
            f.failed = true;
            f.stop = true;
            return false;
        }
        if let Some(c) = self[n].connection.filter(|_| self[n].is_remote_kind()) {
            if self[c].flags.orphan_container_filler {
                let f = &mut self[c].flags;
                f.failed = true;
                f.stop = true;
                return false;
            }
            // Whatever the notice says: the node is unclean, and what fences it is made for this reason.
            if !self[c].flags.managed {
                self.complaints.notice(
                    "remote-unmanaged",
                    &name,
                    format!("Not fencing remote node {name} (otherwise would because {reason}): connection is unmanaged"),
                );
            } else if !self[n].requires_reset {
                self[n].requires_reset = true;
                self.complaints.log_warning(
                    "remote-fenced",
                    &name,
                    format!("Remote node {name} {will}: {reason}"),
                );
            }
            self[n].unclean = true;
            return true;
        }
        if self[n].unclean {
            return false;
        }
        self.complaints.log_warning("node-fenced", &name, format!("Cluster node {name} {will}: {reason}"));
        self[n].unclean = true;
        true
    }
}
