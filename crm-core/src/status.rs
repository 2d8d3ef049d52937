//! What a node knows about itself and its cluster, as one value: what commands, the console and
//! monitoring show.

use std::collections::BTreeMap;
use std::sync::Arc;

use ccm::group::Conflict;
pub use ccm::seam::Stamp;
use ccm::seam::{NodeId, ViewId};
use cib::Cib;

use crate::message::FenceRecord;

/// The state of a node at one moment. Cheap to clone; parts share with the machines.
#[derive(Debug, Clone, PartialEq)]
pub struct NodeStatus {
    /// This node.
    pub name: String,
    pub id: NodeId,
    pub phase: Phase,
    /// The classic name of the controller's state, `S_IDLE` and the like (membership.md §4.1).
    pub state: &'static str,
    /// The agreed view, while there is one.
    pub view: Option<ViewStatus>,
    /// Name of the DC.
    pub dc: Option<String>,
    /// Whether the present view may decide (protocol §15); false without a view.
    pub quorate: bool,
    /// The lease has lapsed: this node may have been left behind and starts nothing (protocol §6).
    pub suspended: bool,
    /// Lowest feature set among the members.
    pub feature_set: String,
    /// Every node that is configured, a member, in the CIB, or was heard; by name.
    pub peers: Vec<Peer>,
    /// The visible configuration and status, with `have-quorum` and `dc-uuid` of the present view.
    pub cib: Cib,
    pub transition: TransitionStatus,
    /// Fencing operations that have ended, oldest first.
    pub fencing: Arc<Vec<FenceRecord>>,
    /// Fencing operations that the DC has under way; of each what, against whom, for whom.
    pub fencing_pending: Arc<Vec<FenceRecord>>,
    /// Merged histories whose losing side is kept in a backup (protocol R9.9).
    pub conflicts: Vec<Conflict>,
    /// Whether any medium has carrier; without, this node lets its resources go.
    pub carrier: bool,
    /// Reachability of the configured ping nodes.
    pub pings: BTreeMap<String, bool>,
    /// What the operator should know now, one sentence each.
    pub warnings: Vec<String>,
    /// Packets refused, by reason and by link, as the link machine counts them.
    pub refused: BTreeMap<String, u64>,
}

impl NodeStatus {
    /// Whether the cluster has nothing to do: joined, no plan running or wanted. Meaningful at the
    /// DC; elsewhere it says that this node runs no operation.
    pub fn is_idle(&self) -> bool {
        self.view.is_some() && !self.suspended && self.transition.activity == Activity::Idle
    }
}

/// Where a node is in its life (protocol §7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Waiting for the configured nodes, at most `initdead`.
    Boot,
    /// Between views.
    Seeking,
    /// In an agreed view.
    Active,
    /// Stopping its resources, or saying goodbye.
    Leaving,
    /// Gone cleanly.
    Gone,
    /// The disk cannot be trusted any more.
    DiskFailed,
}

impl Phase {
    /// The word commands print.
    pub fn as_str(self) -> &'static str {
        match self {
            Phase::Boot => "boot",
            Phase::Seeking => "seeking",
            Phase::Active => "active",
            Phase::Leaving => "leaving",
            Phase::Gone => "gone",
            Phase::DiskFailed => "disk-failed",
        }
    }
}

/// The agreed view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewStatus {
    pub id: ViewId,
    /// Names, ordered.
    pub members: Vec<String>,
    /// May write durable changes.
    pub writable: bool,
    pub exclusive: bool,
    /// One sentence on why it may or may not.
    pub why: String,
    /// Every member has announced its state: the DC plans.
    pub complete: bool,
}

/// Another node, or this one, as seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    pub name: String,
    pub id: Option<NodeId>,
    /// In the present view.
    pub member: bool,
    pub state: PeerState,
    /// Media on which it is heard, with their state, where known.
    pub links: Vec<PeerLink>,
    pub address: Option<String>,
}

/// What is known about a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerState {
    /// Heard now.
    Active,
    /// Was heard and is silent.
    Dead,
    /// Never heard since this node started.
    Unseen,
    /// Left cleanly.
    Left,
    /// Speaks Heartbeat, but no views.
    Foreign,
    /// A configured ping node.
    Ping,
}

impl PeerState {
    /// The word commands print.
    pub fn as_str(self) -> &'static str {
        match self {
            PeerState::Active => "active",
            PeerState::Dead => "dead",
            PeerState::Unseen => "unseen",
            PeerState::Left => "left",
            PeerState::Foreign => "foreign",
            PeerState::Ping => "ping",
        }
    }
}

/// One medium to one peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerLink {
    pub medium: String,
    pub up: bool,
}

/// What the controller is doing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransitionStatus {
    /// Number of the last plan made here; 0 before the first.
    pub number: u64,
    pub activity: Activity,
    /// Actions ended and in all, of the plan in execution.
    pub progress: Option<(usize, usize)>,
    /// `start of ip on hatest4` for the actions that run, the first [`TransitionStatus::SHOWN`] of them: this is
    /// made at every step, and thousands may run.
    pub running: Vec<String>,
    /// How many more run.
    pub more: usize,
    /// The closing line of the last transition.
    pub last: Option<String>,
    /// What the planner complained about, at its last run.
    pub complaints: Arc<Vec<String>>,
}

impl TransitionStatus {
    /// Actions that are named.
    pub const SHOWN: usize = 20;

    fn named(&self) -> String {
        let names = self.running.join(", ");
        if self.more > 0 { format!("{names} and {} more", self.more) } else { names }
    }
}

impl std::fmt::Display for TransitionStatus {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.activity {
            Activity::Idle => Ok(()),
            Activity::Waiting => f.write_str("waiting for the members' state"),
            Activity::Planning => f.write_str("planning"),
            Activity::Executing => match self.progress {
                Some((done, all)) if self.running.is_empty() => write!(f, "executing, {done} of {all} done"),
                Some((done, all)) => write!(f, "{} ({done} of {all} done)", self.named()),
                None => f.write_str(&self.named()),
            },
        }
    }
}

/// What the controller is busy with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Activity {
    #[default]
    Idle,
    /// For the state of the members, or for an excluded node to let go.
    Waiting,
    Planning,
    Executing,
}
