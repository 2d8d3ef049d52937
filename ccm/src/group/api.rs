//! What crosses the upper border of the group machines: configuration, inputs, actions, events.

use std::time::Duration;

use cib::{Cib, Element};

use crate::bus::BusAddress;
use crate::codec::{wire_enum, wire_struct};
use crate::seam::{Incarnation, LinkCommand, LinkEvent, NodeId, Record, RequestId, Stamp, ViewId};

pub use crate::membership::quorum::{Policy, Verdict};

/// A node named in ha.cf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfiguredNode {
    pub name: String,
    /// 0 allowed; default 1.
    pub votes: u32,
}

impl ConfiguredNode {
    pub fn new(name: &str) -> Self {
        Self { name: name.to_owned(), votes: 1 }
    }
}

/// What a group is started with. Times are those of ha.cf.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupConfig {
    /// Cluster identity of this node, kept in `hb_uuid`.
    pub id: NodeId,
    pub name: String,
    /// Generation already raised on disk, boot drawn at random (R3.1).
    pub incarnation: Incarnation,
    /// The nodes of ha.cf: the first electorate (R15.1).
    pub nodes: Vec<ConfiguredNode>,
    /// Whether nodes that are not in the electorate may join (`autojoin`).
    pub autojoin: bool,
    /// K; default 2 s.
    pub keepalive: Duration,
    /// D; default 30 s. Must exceed 2 K.
    pub deadtime: Duration,
    /// How long a starting node waits for the configured others; at least D.
    pub initdead: Duration,
    /// The chain asked for quorum; default [`Policy::default_chain`].
    pub quorum: Vec<Policy>,
    /// Names of the configured ping nodes.
    pub pings: Vec<String>,
    /// Whether the lone half of two nodes must confirm the fence of the other before it writes.
    pub fencing: bool,
    /// Feature set this program speaks, for example `3.19.0`.
    pub feature: String,
    /// No cluster-wide start: the administrator says that the absent voter is down (R15.7d).
    pub assume_alone: bool,
}

impl GroupConfig {
    /// Defaults of Heartbeat for everything that is not identity.
    pub fn new(id: NodeId, name: &str, incarnation: Incarnation, nodes: &[&str]) -> Self {
        Self {
            id,
            name: name.to_owned(),
            incarnation,
            nodes: nodes.iter().map(|n| ConfiguredNode::new(n)).collect(),
            autojoin: false,
            keepalive: Duration::from_secs(2),
            deadtime: Duration::from_secs(30),
            initdead: Duration::from_secs(30),
            quorum: Policy::default_chain(),
            pings: Vec::new(),
            fencing: false,
            feature: "3.19.0".to_owned(),
            assume_alone: false,
        }
    }

    /// B, the beat interval really used: min(K, D/8).
    pub fn beat(&self) -> Duration {
        self.keepalive.min(self.deadtime / 8).max(Duration::from_millis(1))
    }
}

/// What the store found at start (R4.4).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Loaded {
    /// Document of the last Switch; `None` on a blank disk.
    pub document: Option<Element>,
    /// The group's own record of the last Switch or Meta; empty on a blank disk.
    pub meta: Vec<u8>,
    /// Entries appended since that Switch, oldest first.
    pub entries: Vec<Vec<u8>>,
    /// A document that the administrator orders to be put in force (R9.10).
    pub import: Option<Element>,
    /// The disk went back in time, or something on it was set aside (R16.5).
    pub regressed: bool,
}

/// An operation on the CIB.
pub type CibRequest = cib::Request;

/// A change asked of the whole cluster.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// An operation on the CIB. One that touches only the status section (and what the cluster
    /// itself keeps on the root element) is ordered but not written to disk (R12.3).
    Cib(cib::Request),
    /// `hb_addnode`: a voter more, or another number of votes for a known one (R15.8).
    AddNode { name: String, votes: u32 },
    /// `hb_delnode`: the node must not be a member of the view (R15.8).
    RemoveNode { name: String },
    /// The administrator has read a conflict report; `None` dismisses all (R9.9).
    DismissConflict { tip: Option<Stamp> },
    /// A merge was lost by the origin: made by the group itself (R9.9).
    Conflict(Conflict),
}

/// How a change is to be treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RequestOptions {
    /// Durable even without quorum (`--force`); the answer says so (R12.2).
    pub force: bool,
    /// This is the complete state of this node, announced after [`View::announce`] (R9.12).
    pub announce: bool,
    /// Client token by which the outcome can be asked later (R13.5).
    pub ident: Option<[u8; 16]>,
    /// How long the client waits; default 60 s, then [`Outcome::Unknown`].
    pub patience: Option<Duration>,
    /// It follows from the view it is asked in, and is not repeated in another: [`Outcome::Unknown`].
    pub this_view: bool,
}

/// How a read is answered (protocol §14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadMode {
    /// What is visible here, in any phase, however old.
    Local,
    /// Visible here and not left behind for longer than the lease; waits at most D.
    Leased,
    /// Sees every change acknowledged on this side before the read began.
    Confirmed,
}

/// What happens to a group.
#[derive(Debug, Clone, PartialEq)]
pub enum GroupInput {
    Link(LinkEvent),
    /// The record of this token survives a power loss.
    Persisted {
        token: u64,
    },
    /// The record may or may not be there; the disk is not trusted again (R4.6).
    PersistFailed {
        token: u64,
        error: String,
    },
    /// A change on behalf of a client of this node; `token` comes back in [`GroupAction::Reply`].
    Request {
        token: u64,
        change: Change,
        options: RequestOptions,
    },
    /// A read on behalf of a client; answered by [`GroupAction::Read`].
    Read {
        token: u64,
        mode: ReadMode,
    },
    /// What became of the change with this client token (R13.5); answered by a Reply.
    Outcome {
        token: u64,
        ident: [u8; 16],
    },
    /// A message of the controller, fencing or attributes.
    Bus {
        to: BusAddress,
        payload: Vec<u8>,
    },
    /// The incarnation is confirmed dead (R15.5).
    FenceConfirmed {
        node: NodeId,
        inc: Incarnation,
    },
    /// Whether this side must fence before it goes on alone (from `stonith-enabled`).
    Fencing {
        enabled: bool,
    },
    /// Leave cleanly: everything here is stopped (R16.8). Ends with [`GroupAction::Left`].
    Leave,
    /// Nothing but time: call when [`crate::group::Group::deadline`] is reached.
    Wake,
}

/// Outcome of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Applied; durable changes are on disk at every member. Certain.
    Done { stamp: Stamp, version: cib::Version, without_quorum: bool },
    /// Evaluated and refused; nothing changed and nothing will. Certain.
    Rejected { code: i32, text: String },
    /// Certainly not applied; the same may be asked again later.
    Busy,
    /// Certainly not applied: the view may not write (R15.4).
    NoQuorum { why: String },
    /// Nobody here can tell; ask again with the client token (R13.5). Not a failure.
    Unknown,
}

/// Answer to a read.
#[derive(Debug, Clone, PartialEq)]
pub enum ReadAnswer {
    Is {
        cib: Cib,
        at: Stamp,
        leased: bool,
        writable: bool,
    },
    /// Not leased, or no view, for too long; the text says which.
    Unavailable {
        why: &'static str,
    },
}

/// What a group wants done, in this order (R2.7).
#[derive(Debug, Clone, PartialEq)]
pub enum GroupAction {
    Link(LinkCommand),
    /// Make the record durable, then answer with `Persisted` or `PersistFailed`. Never more than
    /// one outstanding.
    Persist {
        token: u64,
        record: Record,
    },
    Event(GroupEvent),
    Reply {
        token: u64,
        outcome: Outcome,
    },
    Read {
        token: u64,
        answer: ReadAnswer,
    },
    /// Another document is visible: queries, notifications and the planner use this one.
    Visible(Visible),
    /// A line for the log.
    Log {
        level: Level,
        text: String,
    },
    /// The clean leave is complete; the driver may stop.
    Left,
}

/// The document of now, and what it was before: [`cib::Cib`] values share what is equal.
#[derive(Debug, Clone, PartialEq)]
pub struct Visible {
    pub cib: Cib,
    pub before: Cib,
    pub at: Stamp,
    /// False for a new base (start, merge): everything may have changed.
    pub by_entry: bool,
    /// The request that made it, when it is one of a known origin.
    pub by: Option<RequestId>,
    pub durable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

/// What the layer above lives by. Order at a change of view: `Frozen`, perhaps `Suspended`, then
/// `ViewChanged`, then `StatusComplete` (G11).
#[derive(Debug, Clone, PartialEq)]
pub enum GroupEvent {
    /// A promise was given: the old view decides nothing any more. Running things go on.
    Frozen,
    /// This node may have been left behind: start, promote, recover, fence nothing (R6.3).
    Suspended,
    Resumed,
    ViewChanged(View),
    Deliver {
        from: NodeId,
        payload: Vec<u8>,
    },
    /// A message of ours that may not have been delivered before its view ended.
    Dropped {
        to: BusAddress,
        payload: Vec<u8>,
    },
    /// Every member's state is in the status section: the DC may plan.
    StatusComplete {
        view: ViewId,
    },
    /// This node was put out of the view by the others, who are well (R16.6).
    Evicted {
        reason: String,
    },
    /// No member hears a node any more that was left out of the present view and heard then ([`OutReason::Excluded`]):
    /// it is settled now.
    Silent {
        id: NodeId,
        inc: Incarnation,
    },
    /// The disk failed: stop, or be fenced (R16.7).
    StorageLost {
        error: String,
    },
    /// Somebody's duplicate: named, with both addresses (R3.3, R3.4).
    Duplicate {
        what: crate::seam::DuplicateWhat,
        name: String,
        addresses: [String; 2],
    },
    /// A real Heartbeat on the wire; never a member (R17.4).
    Foreign {
        name: String,
        alive: bool,
    },
}

/// A member of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    pub id: NodeId,
    pub name: String,
    pub inc: Incarnation,
    /// View in which this incarnation entered, kept through all later ones (R11.1).
    pub born: ViewId,
    pub feature: String,
    /// Its disk is too slow, was set back, or the like .
    pub impaired: bool,
}
wire_struct!(Member { id, name, inc, born, feature, impaired });

/// Why a former member is not one any more (G8). Gone is not stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum OutReason {
    /// Said goodbye, everything stopped.
    Left,
    /// Another incarnation of the node was heard.
    Restarted,
    Silent,
    /// Heard, but not by or from every member.
    Excluded,
    /// Heard and healthy but for its disk.
    Ejected,
    Fenced,
}
wire_enum!(OutReason { Left = 0, Restarted = 1, Silent = 2, Excluded = 3, Ejected = 4, Fenced = 5 });

/// A former member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Out {
    pub id: NodeId,
    pub name: String,
    pub inc: Incarnation,
    pub reason: OutReason,
    /// On this node's monotonic clock: by then a living one has suspended itself (R7.18).
    pub settled_at: Duration,
}

/// An active view.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    pub id: ViewId,
    /// Ordered by name, then identity.
    pub members: Vec<Member>,
    /// Members that were not in this node's last view (in this incarnation).
    pub joined: Vec<NodeId>,
    pub out: Vec<Out>,
    pub dc: NodeId,
    /// Linked to every other exclusive view: what is acknowledged here stays (R15.6).
    pub exclusive: bool,
    /// May write durable changes: it has quorum by policy (R15.3).
    pub writable: bool,
    /// Half of the votes and no tie-breaker yet: may fence to get quorum, though not writable.
    pub tie: bool,
    /// One sentence on why it may or may not write.
    pub why: String,
    /// Lowest feature set among the members.
    pub feature: String,
    /// The state of this node is not in the status section: announce it completely (R9.12).
    pub announce: bool,
    /// Merged histories whose losing side is kept in a backup, until dismissed (R9.9).
    pub conflicts: Vec<Conflict>,
}

impl View {
    pub fn member(&self, id: NodeId) -> Option<&Member> {
        self.members.iter().find(|m| m.id == id)
    }
}

/// A history that lost a merge; its document is in a numbered backup of its holders.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// Last entry of the losing history.
    pub tip: Stamp,
    /// Last entry that both have.
    pub branch: Stamp,
    /// Last entry of the winning one at the merge.
    pub winner: Stamp,
    /// Who holds the backup.
    pub holder: NodeId,
    pub holder_name: String,
    /// How many durable changes the losing side had made, as far as known.
    pub changes: u64,
}
wire_struct!(Conflict { tip, branch, winner, holder, holder_name, changes });
