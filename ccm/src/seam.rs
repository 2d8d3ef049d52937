//! The types that cross the borders of this crate's machines.
//!
//! Three borders: the link machine (a thread of its own) and the group machines (membership and
//! replication, in the core); the group machines and the disk; the group machines and everything
//! above ([`GroupEvent`], [`crate::bus`]). Another engine implements the last one and nothing else.

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use cib::Element;

/// Identity of a node: 16 bytes made at its first start, kept in `hb_uuid` (protocol R3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct NodeId(pub [u8; 16]);

/// Byte by byte, as one number: peers are found by identity at every step.
impl Ord for NodeId {
    fn cmp(&self, other: &Self) -> Ordering {
        u128::from_be_bytes(self.0).cmp(&u128::from_be_bytes(other.0))
    }
}

impl PartialOrd for NodeId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            if matches!(i, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// One start of one node: the unit of membership (protocol R3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Incarnation {
    /// Written to disk before the first frame; orders the starts of one node.
    pub generation: u64,
    /// Random; tells two starts with one generation apart.
    pub boot: u64,
}

/// Name of a view: total order, never reused (protocol R3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ViewId {
    pub epoch: u64,
    pub proposer: NodeId,
    pub boot: u64,
}

/// Name of one entry of the history, and by R9.1 of all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp {
    pub view: ViewId,
    pub n: u64,
}

/// Exactly-once name of a change request (protocol R13).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId {
    pub origin: NodeId,
    pub boot: u64,
    pub seq: u64,
}

/// What the link machine tells the group machines. `at` values are on the receiver's own
/// monotonic clock, taken when the packet arrived.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkEvent {
    /// Both nonces came back: both ends are alive now (R2.2).
    SessionUp { peer: NodeId, inc: Incarnation, name: String, address: String },
    /// What could not be delivered ended the session, or the peer restarted (R2.4).
    SessionLost { peer: NodeId, inc: Incarnation, why: &'static str },
    /// A heartbeat of a node of ours; newest wins (R2.5).
    Beat { at: Duration, beat: Beat },
    /// Reliable, in order, exactly once within a session (R2.3).
    Message { from: NodeId, inc: Incarnation, payload: Vec<u8> },
    /// A real Heartbeat 3 on the wire.
    Foreign { name: String, alive: bool },
    /// A ping node's reachability changed.
    PingNode { name: String, reachable: bool },
    /// Whether any medium has carrier; false means the node is cut off at its own end.
    Carrier { any: bool },
    /// A classic `t=shutdone`/`Bye` was heard.
    Left { peer: NodeId, inc: Incarnation },
    /// A peer with a proven session remembers a higher generation of this node (R3.2): the core
    /// raises its own to `known` + 1, restarts its incarnation and sets `regressed`.
    OldGeneration { known: u64 },
    /// Two nodes that must not be there together: same UUID or same name, with both addresses.
    Duplicate { what: DuplicateWhat, name: String, addresses: [String; 2] },
    /// A node that is there does not take this one for a node of its cluster (R15.8); said again for as long as both
    /// are there.
    TakenOut { by: NodeId, name: String },
}

/// What two nodes share that they must not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DuplicateWhat {
    Uuid,
    Name,
}

/// What the group machines ask of the link machine.
#[derive(Debug, Clone, PartialEq)]
pub enum LinkCommand {
    /// The part of our beats that the group owns; sent with every beat from now on. Setting it also
    /// advances `tick` (R5.1), so the core sends it at least once a beat interval.
    SetBeat(BeatBody),
    /// Send a beat now instead of at the next interval.
    BeatNow,
    /// Reliable message to one incarnation (R2.3).
    Send { to: NodeId, inc: Incarnation, lane: Lane, payload: Vec<u8> },
    /// Names of the nodes that may speak, this one included: changes at run time (R15.8).
    Nodes(Vec<String>),
    /// Tell everybody that this incarnation leaves; then stop.
    Leave,
}

/// The two streams of a session. Each is FIFO and exactly-once; between them there is no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Lane {
    /// What agreement is made of; leaves before everything in the other lane.
    #[default]
    Talk,
    /// Large payloads: state transfers and pieces of long messages, with what the media have left.
    Bulk,
}

/// A heartbeat (protocol §5).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Beat {
    pub id: NodeId,
    pub name: String,
    pub inc: Incarnation,
    /// The sender's dead time.
    pub deadtime: Duration,
    /// Counter of beats, from 1.
    pub beat: u64,
    /// Counter of main-loop turns.
    pub tick: u64,
    /// The echo: whom the sender hears, by its own link machine.
    pub heard: Vec<Heard>,
    pub body: BeatBody,
}

/// One line of the echo (R5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heard {
    pub id: NodeId,
    pub inc: Incarnation,
    /// Highest beat received from it.
    pub beat: u64,
    /// Highest tick received from it.
    pub tick: u64,
    /// How long ago the first beat with that tick arrived.
    pub age: Duration,
}

/// What the group puts into every beat: an encoded record of its own, opaque to the link.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BeatBody(pub Vec<u8>);

/// A record for stable storage (protocol §4.2). One outstanding at a time.
#[derive(Debug, Clone, PartialEq)]
pub enum Record {
    /// Contiguous entries after the durable head, each one opaque to the disk.
    Append(Vec<Vec<u8>>),
    /// A complete base made current by one atomic rename: document and the group's own record
    /// (view record, lineage, request table), opaque to the disk. `backup` is a losing document to
    /// keep as a numbered backup in the same step, with its side-car text.
    Switch { document: Element, meta: Vec<u8>, backup: Option<(Element, String)> },
    /// The group's own record alone, the document being as it was (a raised ceiling).
    Meta(Vec<u8>),
}
