//! What a node says about itself in every beat (protocol §5), and how views are valued (R8.3).

use super::quorum::Facts;
use crate::codec::{wire_enum, wire_struct};
use crate::seam::{NodeId, Stamp, ViewId};

/// Version of the beat body.
pub const BEAT_VERSION: u8 = 1;
/// Protocol versions spoken.
pub const PROTO_MIN: u64 = 1;
pub const PROTO_MAX: u64 = 1;

/// Where a node is in the life of views.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum PhaseName {
    #[default]
    Boot,
    Seeking,
    Proposing,
    Promised,
    Installing,
    Active,
    Leaving,
    Gone,
    DiskFailed,
}
wire_enum!(PhaseName {
    Boot = 0,
    Seeking = 1,
    Proposing = 2,
    Promised = 3,
    Installing = 4,
    Active = 5,
    Leaving = 6,
    Gone = 7,
    DiskFailed = 8
});

/// Value of a set of members; compared field by field (R8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Score {
    pub exclusive: bool,
    pub writable: bool,
    pub votes: u64,
    pub count: u64,
}
wire_struct!(Score { exclusive, writable, votes, count });

/// The group's part of a beat.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BeatInfo {
    pub phase: PhaseName,
    /// Active view, or the last one.
    pub view: ViewId,
    /// The view is active, unbroken and not given up by a promise.
    pub whole: bool,
    pub promised: ViewId,
    /// Highest epoch seen anywhere, or promised by an earlier start of the node: a proposal must exceed
    /// it (R7.1).
    pub seen: u64,
    /// Score of the view; the lowest when it is not whole.
    pub score: Score,
    pub members: Vec<NodeId>,
    pub dc: bool,
    pub born: ViewId,
    pub dhead: Stamp,
    /// Committed number in the active view.
    pub commit: u64,
    pub verified: bool,
    pub regressed: bool,
    pub impaired: bool,
    /// Its disk does not answer at this moment.
    pub stuck: bool,
    /// What it has learned beside its own history, and a count of pieces that came (R10.4).
    pub staged: Stamp,
    pub steps: u64,
    /// Lowest feature set of its history (R11.3).
    pub floor: String,
    /// Peers to which the edge is up.
    pub edges: Vec<NodeId>,
    pub facts: Facts,
    pub feature: String,
    pub proto_min: u64,
    pub proto_max: u64,
}
wire_struct!(BeatInfo {
    phase,
    view,
    whole,
    promised,
    seen,
    score,
    members,
    dc,
    born,
    dhead,
    commit,
    verified,
    regressed,
    impaired,
    stuck,
    staged,
    steps,
    floor,
    edges,
    facts,
    feature,
    proto_min,
    proto_max
});
