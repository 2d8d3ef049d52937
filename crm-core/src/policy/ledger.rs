//! Where each score came from.
//!
//! Every change of a score goes through a [`Ledger`], a type parameter of the whole plan. The default,
//! [`NoLedger`], has no size and does nothing, so that a plan nobody asks about costs nothing more.

use super::state::{NodeIx, ResourceIx};

/// What changed a score. Borrowed: a ledger that keeps entries makes its own copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source<'a> {
    /// The node's own score at the time the node entered the resource's table.
    NodeDefault,
    /// The base that a symmetric cluster gives every node.
    Symmetric,
    /// A location constraint; `rule` where a rule of it decided.
    Location {
        constraint: &'a str,
        rule: Option<&'a str>,
    },
    /// Node health under the named strategy.
    Health {
        strategy: &'a str,
    },
    Stickiness,
    /// An unmanaged resource stays where it is.
    Unmanaged,
    /// A failed stop, a hard or fatal error, a masked probe, …: the reference's tag.
    History {
        tag: &'a str,
    },
    /// The fail count reached the migration threshold.
    FailureThreshold {
        fail_count: i32,
        threshold: i32,
    },
    /// Probing is exclusive to other nodes.
    ExclusiveDiscovery,
    /// A ticket is lost, missing or in standby.
    Ticket {
        ticket: &'a str,
        constraint: &'a str,
    },
    ShutdownLock,
    /// More than one node has the resource, and the policy is to stop it.
    MultiplyActive,
    /// The resource is not in the configuration any more.
    Orphan,
    /// The resource's planned role is Stopped (`target-role`, a failure, …).
    StopRequested,
    /// A colocation in which the resource is the dependent: `primary` decided.
    ColocatedWith {
        constraint: &'a str,
        primary: ResourceIx,
    },
    /// A wish of a resource that will follow this one, or be followed by it.
    ColocationWish {
        constraint: &'a str,
        other: ResourceIx,
    },
    /// The node has not enough capacity.
    Utilization,
    /// A clone limit: the node has its instances, or is not allowed for the clone.
    CloneLimit,
    /// A promotion score raised the instance's wish for the node.
    PromotionScore,
    /// Containers, bundles and remote nodes: where such resources cannot be.
    Nesting,
}

/// How a score changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The node entered the table with this score.
    Enter(i32),
    /// This was added, by the rules of score addition.
    Add(i32),
    /// The score was replaced.
    Set(i32),
    /// The node left the table.
    Leave,
    /// The changes since the named mark were taken back, and the score is again this.
    Restore(i32),
}

/// Takes down every change of a score.
pub trait Ledger: Default {
    /// Whether entries are kept at all; lets callers skip work that only feeds the ledger.
    const KEEPS: bool;
    /// One change of the score of `resource` on `node`.
    fn note(&mut self, resource: ResourceIx, node: NodeIx, change: Change, source: Source<'_>);
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLedger;

impl Ledger for NoLedger {
    const KEEPS: bool = false;
    #[inline(always)]
    fn note(&mut self, _: ResourceIx, _: NodeIx, _: Change, _: Source<'_>) {}
}
