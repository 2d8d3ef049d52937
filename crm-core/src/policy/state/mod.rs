//! From a CIB to a working state: what every node and resource is, before anything is decided.
//!
//! [`build`] reads configuration and status; [`State`] is what the rest of the planner works on, an arena
//! of nodes and one of resources with typed indices. Placement edits tables and assignments, the
//! transition half edits roles and flags.

pub mod build;
mod bundle;
mod clones;
pub mod digest;
mod expiry;
pub mod failcount;
mod fence;
pub mod history;
pub mod history_op;
mod meta;
mod migration;
pub mod node;
pub mod nvpairs;
pub mod operation;
pub mod options;
mod remote;
pub mod resource;
pub mod resources;
pub mod row;
pub mod rules;
pub mod status;
mod table;
mod template;
mod unpack_options;

use super::complaint::Complaints;
pub use super::ix::{ColocationIx, LocationIx, NodeIx, ResourceIx};
use super::placement::turns::Turns;
use cib::{Element, Text};
use indexmap::IndexMap;
pub use node::{Assigned, Node, NodeKind};
pub use options::{HealthStrategy, Options, Placement, QuorumPolicy};
pub use resource::{
    BundleInfo, CloneInfo, Flags, Kind, MultipleActive, OnFail, Replica, Resource, Role, Variant,
};
pub use row::{Entry, Row};
use rustc_hash::FxHashMap;
use std::cell::Cell;
pub use table::Table;

/// Whether a resource is probed on a node; ordered by which of two settings wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Discovery {
    #[default]
    Always,
    Never,
    Exclusive,
}

/// A ticket, from `status/tickets` or from a constraint that names it.
#[derive(Debug, Clone, Default)]
pub struct Ticket {
    pub granted: bool,
    pub standby: bool,
    /// Epoch seconds, −1 if never.
    pub last_granted: i64,
    /// Every attribute of the state but the id.
    pub attributes: Table,
}

/// A location record: nodes and the score each gets.
#[derive(Debug, Clone)]
pub struct Location {
    /// The constraint's id; the strategy's name for node health.
    pub id: String,
    /// Made from node health, not from a constraint.
    pub health: bool,
    pub rule: Option<String>,
    pub resource: ResourceIx,
    /// Applies only where the resource's next role is this one; [`Role::Unknown`] for any.
    pub role: Role,
    pub discovery: Discovery,
    pub nodes: Vec<(NodeIx, i32)>,
}

/// A colocation of two resources (user's, from a set, or internal).
#[derive(Debug, Clone)]
pub struct Colocation {
    pub id: String,
    pub dependent: ResourceIx,
    pub primary: ResourceIx,
    /// [`Role::Unknown`] for any role.
    pub dependent_role: Role,
    pub primary_role: Role,
    pub score: i32,
    /// The node attribute that must agree; none for the node itself.
    pub attribute: Option<String>,
    /// The dependent's wishes count for the primary also while the primary is active.
    pub influence: bool,
}

/// A role-limited ticket of a promotable clone, for promotion.
#[derive(Debug, Clone)]
pub struct TicketUse {
    pub constraint: String,
    pub ticket: String,
    pub resource: ResourceIx,
    pub role: Role,
}

/// When an [`Effect`] came about: the transition half numbers actions in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EffectPhase {
    Status,
    /// While the n-th child of `constraints` was read (from 0).
    Constraint(u32),
    ShutdownLock,
}

/// An action that reading the input calls for, in the order in which the reference creates it.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Fencing (optional until it is decided) of a node that just became unclean.
    Fence { node: NodeIx, reason: String, priority_delay: bool },
    ClearFailCount {
        resource: ResourceIx,
        node: NodeIx,
        reason: &'static str,
        /// A remote node whose (optional) fencing goes before it.
        after_fencing: Option<NodeIx>,
        /// Whether the node could do it when this was found; what is read later changes nothing about it.
        runnable: bool,
    },
    /// A recurring operation that runs there already: optional.
    Recurring { resource: ResourceIx, node: NodeIx, task: Text, interval_ms: u32 },
    /// A required stop.
    Stop {
        resource: ResourceIx,
        node: NodeIx,
        /// Whether the resource was managed when this was found: that it no longer is does not take the stop back.
        managed: bool,
    },
    /// A required demote.
    Demote { resource: ResourceIx, node: NodeIx },
    /// Stops of the resource there, found so far, become optional (it turned out to be stopped).
    StopsOptional { resource: ResourceIx, node: NodeIx },
    /// Assignment found no node for the resource: what it has to do changes.
    Unassigned { resource: ResourceIx },
    /// The history entry goes (expired or superseded shutdown lock): `lrm_delete`.
    DeleteHistory { resource: ResourceIx, node: NodeIx },
}

/// One entry of the failed operations, for display.
#[derive(Debug, Clone)]
pub struct FailedOp {
    pub node: NodeIx,
    /// The `lrm_rsc_op` element.
    pub op: Element,
    /// History's resource id.
    pub resource: String,
}

/// The working state.
#[derive(Debug, Clone)]
pub struct State {
    /// Epoch seconds of "now", fixed for the whole plan.
    pub now: i64,
    /// Seconds east of UTC of the local time zone, at `now`.
    pub utc_offset: i32,
    pub options: Options,
    /// The input may lack its secrets: a matching digest of the other parameters is enough.
    pub sanitized: bool,
    pub quorum: bool,
    /// A fencing resource (or a watchdog) is there.
    pub have_fence_device: bool,
    /// Some resource or device asks for unfencing.
    pub unfencing: bool,
    /// There are remote or guest nodes.
    pub have_remote_nodes: bool,
    pub dc: Option<NodeIx>,
    /// `cib/@crm_feature_set`.
    pub feature_set: String,
    pub nodes: Vec<Node>,
    /// Nodes by name, the order of every list that is printed.
    pub node_order: Vec<NodeIx>,
    pub resources: Vec<Resource>,
    /// Top-level resources in resource order (priority, then configuration; orphans last).
    pub top: Vec<ResourceIx>,
    pub locations: Vec<Location>,
    pub colocations: Vec<Colocation>,
    pub ticket_uses: Vec<TicketUse>,
    pub tickets: IndexMap<String, Ticket>,
    /// Tag id to what it refers to.
    pub tags: IndexMap<String, Vec<String>>,
    /// Template id to the resources made from it.
    pub templates: IndexMap<String, Vec<String>>,
    /// Parameter checks of bundle connections that wait for the container's node: failed entries whose fail
    /// count is cleared if the parameters changed.
    pub deferred_checks: Vec<(ResourceIx, NodeIx, Element)>,
    pub(crate) digest_cache: FxHashMap<(ResourceIx, NodeIx, Text, u32), digest::Digests>,
    /// `//rsc_defaults`, where it is unique.
    pub rsc_defaults: Option<Element>,
    /// Fail counts that will be cleared.
    pub clear_requested: std::collections::BTreeSet<(ResourceIx, NodeIx)>,
    /// Actions called for while reading, in order.
    pub effects: Vec<(EffectPhase, Effect)>,
    /// The phase new effects belong to.
    pub phase: EffectPhase,
    pub failed_ops: Vec<FailedOp>,
    /// Earliest time (epoch seconds) at which time alone may change the plan.
    pub recheck_by: Option<i64>,
    pub complaints: Complaints,
    /// Lines for the user of a tool, in the order in which they came up.
    pub remarks: Vec<String>,
    /// The interval that was last put into words.
    pub(crate) last_interval: String,
    /// Fencing actions (node and way) whose devices have been compared with what the node knows.
    pub(crate) compared_unfencing: std::collections::BTreeSet<(NodeIx, String)>,
    /// What `crm_simulate -s` prints, collected where the situation asks for it.
    pub score_lines: Vec<crate::policy::placement::lines::ScoreLine>,
    pub collect_scores: bool,
    /// Instances: all, disabled, blocked (primitives; orphans only where active).
    pub counts: Counts,
    /// `//op_defaults`, where it is unique.
    pub op_defaults: Option<Element>,
    /// Resources by id and by the names history has for them.
    pub(crate) by_id: FxHashMap<String, Vec<ResourceIx>>,
    pub(crate) node_ids: IndexMap<String, NodeIx>,
    /// Two nodes have one id.
    pub(crate) has_twin_nodes: bool,
    /// The turns of assignment, noted where somebody asks for them.
    pub(crate) turns: Option<Turns>,
    /// The order of nodes depended on their loads.
    pub(crate) load_decided: Cell<bool>,
    /// The whole document: operation defaults, constraints and history are read from it.
    pub root: Element,
}

/// Numbers for the head of a summary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub total: u32,
    pub disabled: u32,
    pub blocked: u32,
}

impl std::ops::Index<NodeIx> for State {
    type Output = Node;
    fn index(&self, ix: NodeIx) -> &Node {
        &self.nodes[ix.at()]
    }
}

impl std::ops::IndexMut<NodeIx> for State {
    fn index_mut(&mut self, ix: NodeIx) -> &mut Node {
        &mut self.nodes[ix.at()]
    }
}

impl std::ops::Index<ResourceIx> for State {
    type Output = Resource;
    fn index(&self, ix: ResourceIx) -> &Resource {
        &self.resources[ix.at()]
    }
}

impl std::ops::IndexMut<ResourceIx> for State {
    fn index_mut(&mut self, ix: ResourceIx) -> &mut Resource {
        &mut self.resources[ix.at()]
    }
}

impl std::ops::Index<ColocationIx> for State {
    type Output = Colocation;
    fn index(&self, ix: ColocationIx) -> &Colocation {
        &self.colocations[ix.at()]
    }
}

impl std::ops::Index<LocationIx> for State {
    type Output = Location;
    fn index(&self, ix: LocationIx) -> &Location {
        &self.locations[ix.at()]
    }
}

impl State {
    /// Topmost ancestor; a bundle is not climbed into from its parts.
    pub fn top_of(&self, mut r: ResourceIx) -> ResourceIx {
        while let Some(p) = self[r].parent {
            if self[p].variant() == Variant::Bundle {
                break;
            }
            r = p;
        }
        r
    }

    /// Topmost ancestor, the bundle included.
    pub fn top_with_bundle(&self, mut r: ResourceIx) -> ResourceIx {
        while let Some(p) = self[r].parent {
            r = p;
        }
        r
    }

    /// The resource is in a bundle (its top's parent is one).
    pub fn is_bundled(&self, r: ResourceIx) -> bool {
        self[self.top_of(r)].parent.is_some()
    }

    /// The node it is on, where one has to be named: the source of a partial migration; else, unless it
    /// requires fencing, the first node that is online and clean; else the first.
    pub fn current(&self, r: ResourceIx) -> Option<NodeIx> {
        let rsc = &self[r];
        if let Some(s) = rsc.partial_migration_source
            && rsc.running_on.contains(&s)
        {
            return Some(s);
        }
        if !rsc.flags.needs_fencing
            && let Some(n) = rsc.running_on.iter().find(|n| self[**n].online && !self[**n].unclean)
        {
            return Some(*n);
        }
        rsc.running_on.first().copied()
    }

    /// Number of active nodes, and of those that are online and clean.
    pub fn active_counts(&self, r: ResourceIx) -> (usize, usize) {
        let on = &self[r].running_on;
        (on.len(), on.iter().filter(|n| self[**n].online && !self[**n].unclean).count())
    }

    /// A guest or bundle node: its connection has a container.
    pub fn is_guest_node(&self, n: NodeIx) -> bool {
        self.container_of_node(n).is_some()
    }

    /// A node whose connection has no container.
    pub fn is_remote_node(&self, n: NodeIx) -> bool {
        self[n].is_remote_kind() && self.container_of_node(n).is_none()
    }

    /// A guest node that a bundle made.
    pub fn is_bundle_node(&self, n: NodeIx) -> bool {
        self.is_guest_node(n)
            && self[n]
                .connection
                .and_then(|c| self[c].parent)
                .is_some_and(|p| self[p].variant() == Variant::Bundle)
    }

    /// The container of a guest node's connection.
    pub fn container_of_node(&self, n: NodeIx) -> Option<ResourceIx> {
        self[n].connection.and_then(|c| self[c].container)
    }

    /// A leaf or its descendants: whether it counts as active. `all`: every member must be.
    pub fn is_active(&self, r: ResourceIx, all: bool) -> bool {
        let rsc = &self[r];
        match rsc.kind {
            Kind::Primitive => rsc.running_on.iter().any(|n| {
                let node = &self[*n];
                node.unclean || node.online || !rsc.flags.managed
            }),
            _ => {
                if all {
                    !rsc.children.is_empty() && rsc.children.iter().all(|c| self.is_active(*c, all))
                } else {
                    rsc.children.iter().any(|c| self.is_active(*c, all))
                }
            }
        }
    }

    /// The resource of this id, or that history knows by this name.
    pub fn find(&self, name: &str) -> Option<ResourceIx> {
        let found = self.by_id.get(name)?;
        found.iter().copied().find(|r| {
            let r = &self[*r];
            r.id == name || r.history_name.as_deref() == Some(name)
        })
    }

    /// The resource a constraint means by a name: an instance found by its history name stands for its clone.
    pub fn find_for_constraint(&self, name: &str) -> Option<ResourceIx> {
        let r = self.find(name)?;
        Some(if self[r].id.eq_ignore_ascii_case(name) { r } else { self.top_of(r) })
    }

    /// The node of this name (any case).
    pub fn node_by_name(&self, name: &str) -> Option<NodeIx> {
        self.node_order.iter().copied().find(|n| self[*n].name.eq_ignore_ascii_case(name))
    }

    /// The node of this id (any case).
    pub fn node_by_id(&self, id: &str) -> Option<NodeIx> {
        self.node_ids
            .get(id)
            .copied()
            .or_else(|| self.node_order.iter().copied().find(|n| self[*n].id.eq_ignore_ascii_case(id)))
    }

    /// All nodes, in no order that may be shown.
    pub fn node_indices(&self) -> impl Iterator<Item = NodeIx> + use<> {
        (0..self.nodes.len()).map(NodeIx::new)
    }

    /// Notes an action that the transition half will create.
    pub fn effect(&mut self, effect: Effect) {
        self.effects.push((self.phase, effect));
    }
}
