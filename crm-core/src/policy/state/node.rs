//! Nodes of the working state.

use super::{NodeIx, ResourceIx, Table};
use cib::Element;

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    /// Runs the cluster stack.
    Cluster,
    /// Runs a remote executor: remote nodes, guest nodes and bundle nodes (see [`Node::container`]).
    Remote,
    /// Ping nodes and unknown types: they never run resources.
    Ping,
}

/// One node. Scores live in the resources' tables; this is what all of them share.
#[derive(Debug, Clone)]
pub struct Node {
    /// Cluster-wide id (`<node id>`); resource id for remote and guest nodes.
    pub id: String,
    pub name: String,
    pub kind: NodeKind,
    /// Score of the cluster's own record of the node; −INFINITY where it is offline or shuts down.
    pub score: i32,
    /// The cluster record's discovery mode: bundle nodes are "never".
    pub discovery: super::Discovery,
    /// Everything `<node>` or history says, and what is computed: `#uname`, `#kind`, …
    pub attributes: Table,
    /// Capacities that remain, by name; assignment lowers them.
    pub utilization: Table,
    pub online: bool,
    /// To be fenced (or fenced already in this plan).
    pub unclean: bool,
    /// No node_state was seen.
    pub unseen: bool,
    /// Joining: nothing can run there yet.
    pub pending: bool,
    pub standby: bool,
    /// In standby because of a failure with on-fail=standby.
    pub standby_onfail: bool,
    pub maintenance: bool,
    pub shutdown: bool,
    pub expected_up: bool,
    pub is_dc: bool,
    /// Probes are allowed on the node (attribute `resource-discovery-enabled`).
    pub discovery_enabled: bool,
    /// A remote or guest node that has to be reset before it is used again.
    pub requires_reset: bool,
    /// The remote node was fenced (node_state/@node_fenced).
    pub remote_was_fenced: bool,
    /// What the remote node was told about its maintenance mode (node_state/@node_in_maintenance).
    pub remote_maintenance: bool,
    /// History of the node has been read.
    pub unpacked: bool,
    /// Unfencing, fencing and guest "fencing" create this reason first; see [`super::State::fence_node`].
    pub fence_reason: Option<String>,
    /// Resources known to be active there, in the order in which history showed them.
    pub running: Vec<ResourceIx>,
    /// Resources assigned there in this plan, counted.
    pub assigned_count: u32,
    /// Sum of the priorities of what runs there (priority-fencing-delay).
    pub priority: i32,
    /// The connection resource of a remote, guest or bundle node.
    pub connection: Option<ResourceIx>,
    /// The node's `node_state` element, if there is one.
    pub state_xml: Option<Element>,
}

impl Node {
    /// A remote, guest or bundle node.
    pub fn is_remote_kind(&self) -> bool {
        self.kind == NodeKind::Remote
    }

    /// Online, not shutting down, clean, not in standby and not in maintenance.
    pub fn available(&self) -> bool {
        self.online && !self.shutdown && !self.unclean && !self.standby && !self.maintenance
    }

    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).map(|text| text.as_str())
    }
}

/// Sort key helper: the order of node lists is by [`super::super::reference_order::compare_names`].
pub fn by_name(a: &Node, b: &Node) -> std::cmp::Ordering {
    super::super::reference_order::compare_names(&a.name, &b.name)
}

/// Index and score of the node a resource was assigned to, at the moment of assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assigned {
    pub node: NodeIx,
    pub score: i32,
}
