//! Resources of the working state.

use super::node::Assigned;
use super::row::Row;
use super::{ColocationIx, LocationIx, NodeIx, ResourceIx, Table};
use crate::policy::words;
use cib::Element;

/// What a resource does, or will do, on a node. Ordered as the reference orders them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Role {
    #[default]
    Unknown,
    Stopped,
    Started,
    Unpromoted,
    Promoted,
}

impl Role {
    /// The role of a word (any case; the older words too), [`Role::Unknown`] for any other word.
    pub fn parse(word: &str) -> Role {
        let is = |w: &str| word.eq_ignore_ascii_case(w);
        if is("stopped") {
            Role::Stopped
        } else if is("started") {
            Role::Started
        } else if is("unpromoted") || is("slave") {
            Role::Unpromoted
        } else if is("promoted") || is("master") {
            Role::Promoted
        } else {
            Role::Unknown
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Role::Unknown => "Unknown",
            Role::Stopped => "Stopped",
            Role::Started => "Started",
            Role::Unpromoted => "Unpromoted",
            Role::Promoted => "Promoted",
        }
    }
}

/// Kinds of resource; the order is the reference's order of variants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Variant {
    Primitive,
    Group,
    Clone,
    Bundle,
}

/// What a cluster does with a resource that is active more than once (`multiple-active`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MultipleActive {
    #[default]
    StopStart,
    StopOnly,
    Block,
    StopUnexpected,
}

/// What a failure of an action leads to, least severe first (§6.4 of the state page).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum OnFail {
    #[default]
    Ignore,
    Demote,
    Recover,
    ResetRemote,
    RestartContainer,
    Migrate,
    Block,
    Stop,
    Standby,
    Fence,
}

/// Settings of a clone, and the sums that distribution keeps.
#[derive(Debug, Clone, Default)]
pub struct CloneInfo {
    pub max: i32,
    pub node_max: i32,
    pub promoted_max: i32,
    pub promoted_node_max: i32,
    pub ordered: bool,
    pub interleave: bool,
    /// Number of instances made so far, orphans included.
    pub total: i32,
    /// The element that is cloned (`primitive` or `group`), before numbering.
    pub template: Option<Element>,
    /// The first available, promoted instance was chosen already (promotion runs once).
    pub sorted_for_promotion: bool,
    pub promotion_scores_added: bool,
}

/// One replica of a bundle.
#[derive(Debug, Clone)]
pub struct Replica {
    pub number: u32,
    pub container: ResourceIx,
    pub ip: Option<ResourceIx>,
    /// Instance of the inner clone that belongs to this replica.
    pub child: Option<ResourceIx>,
    /// The connection resource.
    pub remote: Option<ResourceIx>,
    /// The bundle node.
    pub node: Option<NodeIx>,
    /// The address, where the bundle has an address range.
    pub ipaddr: Option<String>,
}

/// A bundle's settings and parts.
#[derive(Debug, Clone, Default)]
pub struct BundleInfo {
    /// `docker`, `podman` or `rkt`.
    pub agent: String,
    pub image: String,
    pub replicas: Vec<Replica>,
    pub replicas_max: i32,
    pub per_host: i32,
    pub promoted_max: i32,
    /// The inner clone, if the bundle contains a primitive.
    pub child: Option<ResourceIx>,
}

/// What is particular to a variant.
#[derive(Debug, Clone)]
pub enum Kind {
    Primitive,
    Group {
        /// `collocated` is not switched off.
        colocated: bool,
        /// `ordered` is not switched off.
        ordered: bool,
    },
    Clone(Box<CloneInfo>),
    Bundle(Box<BundleInfo>),
}

/// Yes/no facts about a resource.
#[derive(Debug, Clone, Copy, Default)]
pub struct Flags {
    /// Known from history only.
    pub orphan: bool,
    /// It has a failure that ends by time: the plan may change without a change of the document.
    pub timed: bool,
    pub managed: bool,
    /// Nothing is done about it until an administrator acts; set together with `managed = false`.
    pub blocked: bool,
    pub maintenance: bool,
    /// Clone notifications.
    pub notify: bool,
    /// Not an interchangeable instance of an anonymous clone.
    pub unique: bool,
    /// Inside (or itself) a promotable clone.
    pub promotable: bool,
    pub fence_device: bool,
    /// Default influence of colocations it depends in.
    pub critical: bool,
    /// The last result known is a failure that must be recovered from.
    pub failed: bool,
    /// The failure requires a stop.
    pub stop: bool,
    pub start_pending: bool,
    pub failure_ignored: bool,
    pub allow_migrate: bool,
    pub needs_quorum: bool,
    pub needs_fencing: bool,
    pub needs_unfencing: bool,
    /// It hosts other resources.
    pub is_container: bool,
    /// An orphan connection whose container may be gone.
    pub orphan_container_filler: bool,
    /// A container of a bundle whose connection may be reached on remote nodes.
    pub allow_remote_remotes: bool,
    /// A location constraint made discovery exclusive.
    pub exclusive_discovery: bool,
    /// A connection of a remote, guest or bundle node (`ocf:pacemaker:remote`).
    pub is_connection: bool,
    /// `restart-type=restart` (deprecated ordering behaviour).
    pub restart_ordering: bool,
    /// Not assigned yet.
    pub provisional: bool,
    /// Assignment in progress.
    pub allocating: bool,
    /// Colocation scores are being collected through it.
    pub merging: bool,
    /// The next actions: reload, restart, stop of unexpected instances (transition).
    pub reload: bool,
    pub restarting: bool,
    pub stop_unexpected: bool,
    /// Probe searches have visited it (transition).
    pub detect_loop: bool,
}

/// One resource: a primitive, group, clone or bundle, or an instance of a clone's content.
#[derive(Debug, Clone)]
pub struct Resource {
    /// Id in this plan; instances carry their number (`vip:1`).
    pub id: String,
    /// Name that history uses, where it differs (`clone_name` in the reference).
    pub history_name: Option<String>,
    pub kind: Kind,
    /// The element, expanded from its template; it keeps the configured id, instances have `clone="N"`.
    pub xml: Element,
    /// Its `op` elements in document order, `id-ref` and templates resolved.
    pub ops: Vec<Element>,
    pub parent: Option<ResourceIx>,
    /// Members, instances, or the parts of a bundle (each replica's container, address and connection,
    /// then the inner clone), in current list order.
    pub children: Vec<ResourceIx>,
    pub meta: Table,
    /// Instance attributes evaluated without a node.
    pub parameters: Table,
    /// Rules can give other parameters on other nodes.
    pub parameters_vary: bool,
    /// What it takes of a node's capacities.
    pub utilization: Table,
    pub flags: Flags,
    pub role: Role,
    pub next_role: Role,
    /// Nodes it is active on, in the order in which history showed them.
    pub running_on: Vec<NodeIx>,
    /// Nodes with any history of it.
    pub known_on: Vec<NodeIx>,
    /// Allowed nodes with their scores.
    pub table: Row,
    pub assigned: Option<Assigned>,
    /// First pending task found in history, and its node.
    pub pending_task: Option<String>,
    pub pending_node: Option<NodeIx>,
    pub partial_migration_source: Option<NodeIx>,
    pub partial_migration_target: Option<NodeIx>,
    /// Nodes where an interrupted migration left a copy that must be stopped.
    pub dangling_migrations: Vec<NodeIx>,
    /// A shutdown lock: node and epoch seconds.
    pub lock_node: Option<NodeIx>,
    pub lock_time: i64,
    /// The resource that hosts it.
    pub container: Option<ResourceIx>,
    /// Resources that it hosts.
    pub fillers: Vec<ResourceIx>,
    /// The node its connection makes, for connection resources.
    pub remote_node: Option<NodeIx>,
    pub priority: i32,
    pub stickiness: i32,
    pub migration_threshold: i32,
    /// Seconds, 0 for never.
    pub failure_timeout: i64,
    /// Milliseconds (remote connections), 0 for none.
    pub remote_reconnect_ms: u32,
    pub multiple_active: MultipleActive,
    /// Sort index of a promotable instance.
    pub sort_index: i32,
    /// Colocations in which it is the dependent, in the order they apply.
    pub this_with: Vec<ColocationIx>,
    /// Colocations in which it is the primary.
    pub with_this: Vec<ColocationIx>,
    /// Location constraints that name it, or reach it from its parent.
    pub locations: Vec<LocationIx>,
    /// The group's colocations have been handed to its members.
    pub group_colocations_expanded: bool,
}

impl Resource {
    pub fn variant(&self) -> Variant {
        match self.kind {
            Kind::Primitive => Variant::Primitive,
            Kind::Group { .. } => Variant::Group,
            Kind::Clone(_) => Variant::Clone,
            Kind::Bundle(_) => Variant::Bundle,
        }
    }

    pub fn is_primitive(&self) -> bool {
        matches!(self.kind, Kind::Primitive)
    }

    pub fn is_group(&self) -> bool {
        matches!(self.kind, Kind::Group { .. })
    }

    pub fn clone_info(&self) -> Option<&CloneInfo> {
        match &self.kind {
            Kind::Clone(c) => Some(c),
            _ => None,
        }
    }

    pub fn clone_info_mut(&mut self) -> Option<&mut CloneInfo> {
        match &mut self.kind {
            Kind::Clone(c) => Some(c),
            _ => None,
        }
    }

    pub fn bundle_info(&self) -> Option<&BundleInfo> {
        match &self.kind {
            Kind::Bundle(b) => Some(b),
            _ => None,
        }
    }

    pub fn bundle_info_mut(&mut self) -> Option<&mut BundleInfo> {
        match &mut self.kind {
            Kind::Bundle(b) => Some(b),
            _ => None,
        }
    }

    /// The id as configured, without an instance number.
    pub fn config_id(&self) -> &str {
        self.xml.id().unwrap_or(&self.id)
    }

    pub fn class(&self) -> &str {
        self.xml.value(words::CLASS).unwrap_or("")
    }

    pub fn provider(&self) -> Option<&str> {
        self.xml.value(words::PROVIDER)
    }

    /// The agent's name (`type`).
    pub fn agent(&self) -> &str {
        self.xml.value(words::TYPE).unwrap_or("")
    }

    pub fn meta(&self, name: &str) -> Option<&str> {
        self.meta.get(name).map(|text| text.as_str())
    }

    /// History name if there is one, else the id.
    pub fn name_in_history(&self) -> &str {
        self.history_name.as_deref().unwrap_or(&self.id)
    }

    /// Its `target-role` keeps it stopped, or unpromoted where it could be promoted.
    pub fn is_disabled(&self) -> bool {
        match self.meta("target-role").map(Role::parse) {
            Some(Role::Stopped) => true,
            Some(Role::Unpromoted) => self.flags.promotable,
            _ => false,
        }
    }

    pub fn assigned_node(&self) -> Option<NodeIx> {
        self.assigned.map(|a| a.node)
    }
}
