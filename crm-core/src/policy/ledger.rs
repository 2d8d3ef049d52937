//! Where each score came from.
//!
//! Every change of a score goes through a [`Ledger`], a type parameter of the whole plan. The default,
//! [`NoLedger`], has no size and does nothing, so that a plan nobody asks about costs nothing more.
//! [`Book`] keeps everything: for each resource and node the addends whose sum is the score, and for each
//! choice of a node what decided against the others.

use std::collections::BTreeMap;

use super::state::{NodeIx, ResourceIx};
use super::values::{INFINITY, add_scores};

/// What changed a score; names are borrowed while a plan is made, and owned where they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin<S> {
    /// The node's own score at the time the node entered the resource's table.
    NodeDefault,
    /// The base that a symmetric cluster gives every node.
    Symmetric,
    /// A location constraint; `rule` where a rule of it decided.
    Location {
        constraint: S,
        rule: Option<S>,
    },
    /// Node health under the named strategy.
    Health {
        strategy: S,
    },
    Stickiness,
    /// An unmanaged resource stays where it is.
    Unmanaged,
    /// A failed stop, a hard or fatal error, a masked probe, …: the reference's tag.
    History {
        tag: S,
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
        ticket: S,
        constraint: S,
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
        constraint: S,
        primary: ResourceIx,
    },
    /// A wish of a resource that will follow this one, or be followed by it.
    ColocationWish {
        constraint: S,
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

/// What changed a score, borrowed.
pub type Source<'a> = Origin<&'a str>;

/// What changed a score, kept.
pub type Reason = Origin<String>;

impl Source<'_> {
    /// The same with names of its own.
    pub fn kept(self) -> Reason {
        use Origin as O;
        let own = str::to_owned;
        match self {
            O::NodeDefault => O::NodeDefault,
            O::Symmetric => O::Symmetric,
            O::Location { constraint, rule } => {
                O::Location { constraint: own(constraint), rule: rule.map(own) }
            }
            O::Health { strategy } => O::Health { strategy: own(strategy) },
            O::Stickiness => O::Stickiness,
            O::Unmanaged => O::Unmanaged,
            O::History { tag } => O::History { tag: own(tag) },
            O::FailureThreshold { fail_count, threshold } => O::FailureThreshold { fail_count, threshold },
            O::ExclusiveDiscovery => O::ExclusiveDiscovery,
            O::Ticket { ticket, constraint } => {
                O::Ticket { ticket: own(ticket), constraint: own(constraint) }
            }
            O::ShutdownLock => O::ShutdownLock,
            O::MultiplyActive => O::MultiplyActive,
            O::Orphan => O::Orphan,
            O::StopRequested => O::StopRequested,
            O::ColocatedWith { constraint, primary } => {
                O::ColocatedWith { constraint: own(constraint), primary }
            }
            O::ColocationWish { constraint, other } => {
                O::ColocationWish { constraint: own(constraint), other }
            }
            O::Utilization => O::Utilization,
            O::CloneLimit => O::CloneLimit,
            O::PromotionScore => O::PromotionScore,
            O::Nesting => O::Nesting,
        }
    }
}

impl Reason {
    /// The id of what gave it: of a constraint, else a name that says what it was.
    pub fn id(&self) -> &str {
        match self {
            Origin::NodeDefault => "node-default",
            Origin::Symmetric => "symmetric-cluster",
            Origin::Location { constraint, .. }
            | Origin::Ticket { constraint, .. }
            | Origin::ColocatedWith { constraint, .. }
            | Origin::ColocationWish { constraint, .. } => constraint,
            Origin::Health { .. } => "node-health-strategy",
            Origin::Stickiness => "resource-stickiness",
            Origin::Unmanaged => "is-managed",
            Origin::History { tag } => tag,
            Origin::FailureThreshold { .. } => "migration-threshold",
            Origin::ExclusiveDiscovery => "resource-discovery",
            Origin::ShutdownLock => "shutdown-lock",
            Origin::MultiplyActive => "multiple-active",
            Origin::Orphan => "orphan",
            Origin::StopRequested => "target-role",
            Origin::Utilization => "utilization",
            Origin::CloneLimit => "clone-limit",
            Origin::PromotionScore => "promotion-score",
            Origin::Nesting => "nesting",
        }
    }
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
pub trait Ledger: Default + Send {
    /// Whether entries are kept at all; lets callers skip work that only feeds the ledger.
    const KEEPS: bool;
    /// One change of the score of `resource` on `node`.
    fn note(&mut self, resource: ResourceIx, node: NodeIx, change: Change, source: Source<'_>);
    /// A line of `crm_simulate -s` is being written: at this moment the score is this.
    fn shown(&mut self, _resource: ResourceIx, _node: NodeIx, _score: i32) {}
    /// `resource` got `chosen`, and this is what decided against `other`.
    fn choice(&mut self, _resource: ResourceIx, _chosen: NodeIx, _other: NodeIx, _step: Step) {}
    /// `resource` has its node now, or is left without one.
    fn assigned(&mut self, _resource: ResourceIx, _node: Option<NodeIx>) {}
}

/// What decided between the node that was chosen and another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The other node cannot run anything now.
    Unavailable,
    /// The scores.
    Score { chosen: i32, other: i32 },
    /// Free capacity (`placement-strategy=balanced`).
    Capacity,
    /// How many resources the nodes had been given so far.
    Load { chosen: u32, other: u32 },
    /// Equal, and the resource is active on the chosen node.
    Active,
    /// Equal in everything: the name that sorts first.
    Name,
    /// The planner was asked to prefer the chosen node (a migration under way, most room).
    Preferred,
}

/// One addend of a score.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addend {
    pub score: i32,
    pub reason: Reason,
}

/// The sum of addends by the rules of score addition.
pub fn sum<'a>(addends: impl IntoIterator<Item = &'a Addend>) -> i32 {
    let mut sum = None;
    for addend in addends {
        sum = Some(sum.map_or(addend.score, |sum| add_scores(sum, addend.score)));
    }
    sum.unwrap_or(0)
}

/// Keeps every addend of every score of a plan.
///
/// A score that is replaced by −INFINITY keeps what led to it; one that is replaced by anything else starts
/// anew; what is taken back is struck out. So the sum of the addends is the score at every moment.
#[derive(Debug, Clone, Default)]
pub struct Book {
    rows: BTreeMap<(ResourceIx, NodeIx), Vec<Addend>>,
    choices: BTreeMap<(ResourceIx, NodeIx), (NodeIx, Step)>,
}

impl Book {
    /// The addends of a score in the order in which they came; none where the node is not in the table.
    pub fn addends(&self, resource: ResourceIx, node: NodeIx) -> &[Addend] {
        self.rows.get(&(resource, node)).map_or(&[], Vec::as_slice)
    }

    /// The score that the addends make; `None` where the node is not in the resource's table.
    pub fn score(&self, resource: ResourceIx, node: NodeIx) -> Option<i32> {
        self.rows.get(&(resource, node)).map(sum)
    }

    /// What decided against `other` when the resource got its node, and which node that was.
    pub fn decided(&self, resource: ResourceIx, other: NodeIx) -> Option<(NodeIx, Step)> {
        self.choices.get(&(resource, other)).copied()
    }
}

impl Ledger for Book {
    const KEEPS: bool = true;

    fn note(&mut self, resource: ResourceIx, node: NodeIx, change: Change, source: Source<'_>) {
        let at = (resource, node);
        let addend = |score| Addend { score, reason: source.kept() };
        match change {
            Change::Leave => {
                self.rows.remove(&at);
            }
            Change::Enter(score) => {
                self.rows.insert(at, vec![addend(score)]);
            }
            Change::Add(0) => {}
            Change::Add(score) => self.rows.entry(at).or_default().push(addend(score)),
            Change::Set(score) => {
                let addends = self.rows.entry(at).or_default();
                if score > -INFINITY {
                    addends.clear();
                }
                addends.push(addend(score));
            }
            Change::Restore(score) => {
                let addends = self.rows.entry(at).or_default();
                while addends.len() > 1 && sum(&*addends) != score {
                    addends.pop();
                }
                if sum(&*addends) != score {
                    *addends = vec![addend(score)];
                }
            }
        }
    }

    fn choice(&mut self, resource: ResourceIx, chosen: NodeIx, other: NodeIx, step: Step) {
        self.choices.insert((resource, other), (chosen, step));
    }
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoLedger;

impl Ledger for NoLedger {
    const KEEPS: bool = false;
    #[inline(always)]
    fn note(&mut self, _: ResourceIx, _: NodeIx, _: Change, _: Source<'_>) {}
}
