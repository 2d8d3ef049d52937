//! What group machines say to each other, in class Reliable (protocol §7, §10, §12, §14).

use crate::codec::{CodecError, Reader, Wire, Writer, wire_enum, wire_struct};
use crate::group::api::Member;
use crate::membership::info::Score;
use crate::membership::quorum::{Electorate, Facts};
use crate::replication::entry::Entry;
use crate::replication::lineage::{Hash, Lineage};
use crate::replication::merge::{Exclusive, Holder, Loser};
use crate::seam::{Incarnation, NodeId, RequestId, Stamp, ViewId};

use super::api::{Change, RequestOptions};

/// Version byte of every message.
pub const MESSAGE_VERSION: u8 = 1;

/// Why a proposal was not promised (R7, `Refuse`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A higher view is promised.
    Lower,
    /// A base is being written.
    Busy,
    /// The view here is better than the aim.
    Content,
    NotConnected,
    Version,
    Leaving,
    /// The administrator must order `adopt`: another cluster of the same name (R9.4).
    Foreign,
    /// The asking node was taken out of the cluster (R15.8).
    Removed,
}
wire_enum!(Refusal {
    Lower = 0,
    Busy = 1,
    Content = 2,
    NotConnected = 3,
    Version = 4,
    Leaving = 5,
    Foreign = 6,
    Removed = 7
});

/// A proposal of a view.
#[derive(Debug, Clone, PartialEq)]
pub struct Propose {
    pub p: ViewId,
    pub invited: Vec<(NodeId, Incarnation)>,
    pub view: ViewId,
    pub aim: Score,
    pub reason: String,
}
wire_struct!(Propose { p, invited, view, aim, reason });

/// What a promiser tells the proposer.
#[derive(Debug, Clone, PartialEq)]
pub struct Promise {
    pub p: ViewId,
    pub member: Member,
    /// View active in this incarnation last, and its members.
    pub view: Option<ViewId>,
    pub members: Vec<NodeId>,
    /// View its disk Switched to last.
    pub recorded: ViewId,
    /// It was not broken when the promise was asked for.
    pub whole: bool,
    pub score: Score,
    pub was_dc: bool,
    pub edges: Vec<NodeId>,
    pub holder: Holder,
    /// Last entry of any kind held by this incarnation.
    pub vhead: Stamp,
    /// Electorate at the commit point, and those of the uncommitted tail (R15.8).
    pub electorates: Vec<Electorate>,
    pub facts: Facts,
    /// Nodes whose documents were found to differ, this one perhaps among them (R7.11, R10.6).
    pub suspects: Vec<NodeId>,
}
wire_struct!(Promise {
    p,
    member,
    view,
    members,
    recorded,
    whole,
    score,
    was_dc,
    edges,
    holder,
    vhead,
    electorates,
    facts,
    suspects
});

/// Where the status section of the new view comes from (R9.12).
#[derive(Debug, Clone, PartialEq)]
pub struct StatusBase {
    /// `None`: nobody has one, it starts empty.
    pub source: Option<NodeId>,
    pub view: ViewId,
    pub head: Stamp,
    /// Members whose state it does not contain.
    pub not_carried: Vec<NodeId>,
}
wire_struct!(StatusBase { source, view, head, not_carried });

/// A view as it is sent to its members; never changed once sent (R7.15).
#[derive(Debug, Clone, PartialEq)]
pub struct Install {
    pub p: ViewId,
    pub members: Vec<Member>,
    pub dc: NodeId,
    /// Holder of the base.
    pub source: NodeId,
    pub lineage: Lineage,
    pub status: StatusBase,
    pub losers: Vec<Loser>,
    pub lq: Vec<Exclusive>,
    pub exclusive: bool,
    pub writable: bool,
    pub tie: bool,
    pub why: String,
    pub score: Score,
    /// Put out for their disks (R16.6), with the reason.
    pub ejected: Vec<(NodeId, String)>,
    /// Members that take the whole base from its source, whatever they hold (R7.11).
    pub full: Vec<NodeId>,
}
wire_struct!(Install {
    p,
    members,
    dc,
    source,
    lineage,
    status,
    losers,
    lq,
    exclusive,
    writable,
    tie,
    why,
    score,
    ejected,
    full
});

impl Install {
    pub fn base(&self) -> (Stamp, Hash) {
        (self.lineage.head(), self.lineage.h())
    }
}

/// A change on its way to the DC.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub rid: RequestId,
    pub change: Change,
    pub options: RequestOptions,
    pub acked_below: u64,
    /// An earlier DC may have seen it (R13.3).
    pub resent: bool,
}
wire_struct!(Request { rid, change, options, acked_below, resent });

/// The DC's word on a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// In the history under this stamp: done as soon as that is committed.
    At(Stamp),
    Rejected {
        code: u64,
        text: String,
    },
    NoQuorum {
        why: String,
    },
    Busy,
}

impl Wire for Answer {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::At(stamp) => w.u8(0).put(stamp),
            Self::Rejected { code, text } => w.u8(1).u64(*code).put(text),
            Self::NoQuorum { why } => w.u8(2).put(why),
            Self::Busy => w.u8(3),
        };
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(match r.u8()? {
            0 => Self::At(r.get()?),
            1 => Self::Rejected { code: r.u64()?, text: r.get()? },
            2 => Self::NoQuorum { why: r.get()? },
            3 => Self::Busy,
            other => return Err(CodecError::Kind(other)),
        })
    }
}

/// What a transfer carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The history: a suffix of entries or the whole.
    Base,
    /// The volatile half.
    Status,
    /// The history, for a node that is not invited before it is near (R10.4).
    Learn,
}
wire_enum!(What { Base = 0, Status = 1, Learn = 2 });

/// One message.
#[derive(Debug, Clone, PartialEq)]
pub enum Message {
    Propose(Box<Propose>),
    Promise(Box<Promise>),
    Refuse {
        p: ViewId,
        why: Refusal,
        seen: u64,
        promised: ViewId,
    },
    Install(Box<Install>),
    Release {
        p: ViewId,
    },
    Installed {
        p: ViewId,
        digest: Hash,
    },
    Activate {
        p: ViewId,
    },
    Bye {
        reason: String,
    },
    Request {
        view: ViewId,
        request: Box<Request>,
    },
    Update {
        entry: Box<Entry>,
        commit: u64,
    },
    Ack {
        view: ViewId,
        upto: u64,
    },
    Commit {
        view: ViewId,
        n: u64,
    },
    Reply {
        rid: RequestId,
        answer: Answer,
    },
    Bus {
        view: ViewId,
        seq: u64,
        payload: Vec<u8>,
    },
    BusAck {
        view: ViewId,
        upto: u64,
    },
    Fetch {
        p: ViewId,
        what: What,
        have: Stamp,
        have_h: Hash,
    },
    Chunk {
        p: ViewId,
        what: What,
        index: u64,
        last: bool,
        bytes: Vec<u8>,
    },
    ChunkAck {
        p: ViewId,
        what: What,
        index: u64,
    },
    Probe {
        view: ViewId,
        k: u64,
    },
    ProbeOk {
        view: ViewId,
        k: u64,
    },
    /// Of the DC: the digest of what entry `n` led to (R10.6). Comes right after that entry.
    Digest {
        view: ViewId,
        n: u64,
        digest: Hash,
    },
    /// A piece of a long message (R12.13), in the lane for bulk; the pieces of one follow each other.
    /// `of` is the sender's count of long messages.
    Part {
        of: u64,
        index: u64,
        last: bool,
        bytes: Vec<u8>,
    },
    PartAck {
        of: u64,
        index: u64,
    },
    /// The place of a long message among the others: all its pieces were said to have come.
    Whole {
        of: u64,
    },
}

impl Message {
    pub fn encode(&self) -> Vec<u8> {
        self.record(MESSAGE_VERSION)
    }

    /// # Errors
    /// Any [`CodecError`]: the sender is newer or mad; the message is counted and dropped (R17.2).
    pub fn decode(bytes: &[u8]) -> Result<Self, CodecError> {
        Self::from_record(MESSAGE_VERSION, bytes)
    }
}

impl Wire for Message {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Propose(m) => w.u8(0).put(&**m),
            Self::Promise(m) => w.u8(1).put(&**m),
            Self::Refuse { p, why, seen, promised } => w.u8(2).put(p).put(why).u64(*seen).put(promised),
            Self::Install(m) => w.u8(3).put(&**m),
            Self::Release { p } => w.u8(4).put(p),
            Self::Installed { p, digest } => w.u8(5).put(p).put(digest),
            Self::Activate { p } => w.u8(6).put(p),
            Self::Bye { reason } => w.u8(7).put(reason),
            Self::Request { view, request } => w.u8(8).put(view).put(&**request),
            Self::Update { entry, commit } => w.u8(9).put(&**entry).u64(*commit),
            Self::Ack { view, upto } => w.u8(10).put(view).u64(*upto),
            Self::Commit { view, n } => w.u8(11).put(view).u64(*n),
            Self::Reply { rid, answer } => w.u8(12).put(rid).put(answer),
            Self::Bus { view, seq, payload } => w.u8(13).put(view).u64(*seq).bytes(payload),
            Self::BusAck { view, upto } => w.u8(14).put(view).u64(*upto),
            Self::Fetch { p, what, have, have_h } => w.u8(15).put(p).put(what).put(have).put(have_h),
            Self::Chunk { p, what, index, last, bytes } => {
                w.u8(16).put(p).put(what).u64(*index).bool(*last).bytes(bytes)
            }
            Self::ChunkAck { p, what, index } => w.u8(17).put(p).put(what).u64(*index),
            Self::Probe { view, k } => w.u8(18).put(view).u64(*k),
            Self::ProbeOk { view, k } => w.u8(19).put(view).u64(*k),
            Self::Digest { view, n, digest } => w.u8(20).put(view).u64(*n).put(digest),
            Self::Part { of, index, last, bytes } => w.u8(21).u64(*of).u64(*index).bool(*last).bytes(bytes),
            Self::PartAck { of, index } => w.u8(22).u64(*of).u64(*index),
            Self::Whole { of } => w.u8(23).u64(*of),
        };
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(match r.u8()? {
            0 => Self::Propose(Box::new(r.get()?)),
            1 => Self::Promise(Box::new(r.get()?)),
            2 => Self::Refuse { p: r.get()?, why: r.get()?, seen: r.u64()?, promised: r.get()? },
            3 => Self::Install(Box::new(r.get()?)),
            4 => Self::Release { p: r.get()? },
            5 => Self::Installed { p: r.get()?, digest: r.get()? },
            6 => Self::Activate { p: r.get()? },
            7 => Self::Bye { reason: r.get()? },
            8 => Self::Request { view: r.get()?, request: Box::new(r.get()?) },
            9 => Self::Update { entry: Box::new(r.get()?), commit: r.u64()? },
            10 => Self::Ack { view: r.get()?, upto: r.u64()? },
            11 => Self::Commit { view: r.get()?, n: r.u64()? },
            12 => Self::Reply { rid: r.get()?, answer: r.get()? },
            13 => Self::Bus { view: r.get()?, seq: r.u64()?, payload: r.bytes()?.to_vec() },
            14 => Self::BusAck { view: r.get()?, upto: r.u64()? },
            15 => Self::Fetch { p: r.get()?, what: r.get()?, have: r.get()?, have_h: r.get()? },
            16 => Self::Chunk {
                p: r.get()?,
                what: r.get()?,
                index: r.u64()?,
                last: r.bool()?,
                bytes: r.bytes()?.to_vec(),
            },
            17 => Self::ChunkAck { p: r.get()?, what: r.get()?, index: r.u64()? },
            18 => Self::Probe { view: r.get()?, k: r.u64()? },
            19 => Self::ProbeOk { view: r.get()?, k: r.u64()? },
            20 => Self::Digest { view: r.get()?, n: r.u64()?, digest: r.get()? },
            21 => Self::Part { of: r.u64()?, index: r.u64()?, last: r.bool()?, bytes: r.bytes()?.to_vec() },
            22 => Self::PartAck { of: r.u64()?, index: r.u64()? },
            23 => Self::Whole { of: r.u64()? },
            other => return Err(CodecError::Kind(other)),
        })
    }
}

impl Wire for RequestOptions {
    fn write(&self, w: &mut Writer) {
        // How long the client waits, and whether it is asked again, concern its own node only.
        w.bool(self.force).bool(self.announce).put(&self.ident);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { force: r.bool()?, announce: r.bool()?, ident: r.get()?, ..Self::default() })
    }
}
