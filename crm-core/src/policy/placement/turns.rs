//! Who was assigned when, and what that added to the load of the nodes.
//!
//! Resources that no constraint joins still meet in one place: of nodes with equal scores the one with fewer
//! resources is taken. A [`Turn`] says what the assignment of one top-level resource, with everything it drew along,
//! did to those numbers, and whether it looked at them. A plan of an excerpt is given the turns of the resources that
//! are not in it, so that it finds at each of its own turns the numbers that a whole plan would find there.

use std::cell::Cell;
use std::cmp::Reverse;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::Placer;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::ledger::Ledger;
use crate::policy::state::{Placement, Resource, State};

/// What a turn added to the number of resources of nodes; nodes in order, no zeros.
pub type Loads = Vec<(NodeIx, i64)>;

/// Where a turn comes among all turns: orphans last, the greater priority first, then the order of the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank {
    orphan: bool,
    priority: Reverse<i32>,
    /// Place in the list of resources of the document.
    place: u32,
}

impl Rank {
    pub fn new(orphan: bool, priority: i32, place: u32) -> Rank {
        Rank { orphan, priority: Reverse(priority), place }
    }
}

/// The assignment of one top-level resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Turn {
    pub id: String,
    pub orphan: bool,
    /// The priority that gave it its place.
    pub priority: i32,
    pub loads: Loads,
    /// A decision was made by the loads of nodes: it may be another one if they differ.
    pub by_load: bool,
}

/// A turn, and when it comes.
pub type Placed = (Rank, Arc<Turn>);

/// The turns of one plan.
#[derive(Debug, Clone, Default)]
pub struct Turns {
    pub done: Vec<Arc<Turn>>,
    /// What comes after assignment decided something by the loads of all nodes.
    pub late: Cell<bool>,
    /// The order of resources was not that of their ranks: the turns cannot be used.
    pub out_of_order: bool,
    /// Turns of resources that are not in this document, in order, and how many of them were counted.
    others: Vec<Placed>,
    counted: usize,
    /// Places of this document's resources in the whole one.
    places: FxHashMap<String, u32>,
}

impl Turns {
    /// For an excerpt: the turns of everybody else, in order, and the places of who is in it.
    pub fn among(others: Vec<Placed>, places: FxHashMap<String, u32>) -> Turns {
        Turns { others, places, ..Turns::default() }
    }

    fn rank(&self, ix: ResourceIx, rsc: &Resource) -> Rank {
        let place = self.places.get(&rsc.id).copied().unwrap_or(ix.0);
        Rank::new(rsc.flags.orphan, rsc.priority, place)
    }

    /// What comes before this rank (all, without one) and was not counted yet.
    fn others_before(&mut self, rank: Option<Rank>) -> Loads {
        let mut sum = Loads::new();
        while let Some((other, turn)) = self.others.get(self.counted)
            && rank.is_none_or(|rank| *other < rank)
        {
            sum.extend(&turn.loads);
            self.counted += 1;
        }
        sum
    }
}

impl State {
    fn add_loads(&mut self, loads: &[(NodeIx, i64)]) {
        for &(node, more) in loads {
            let count = i64::from(self[node].assigned_count) + more;
            self[node].assigned_count = u32::try_from(count).unwrap_or(0);
        }
    }

    fn loads(&self) -> Vec<u32> {
        self.nodes.iter().map(|node| node.assigned_count).collect()
    }
}

impl<L: Ledger> Placer<'_, L> {
    /// Assigns the top-level resources in their order.
    pub(super) fn turns(&mut self, top: &[ResourceIx]) {
        let Some(mut turns) = self.s.turns.take() else {
            for &r in top {
                self.assign(r, None);
            }
            return;
        };
        let ranks: Vec<Rank> = top.iter().map(|&r| turns.rank(r, &self.s[r])).collect();
        turns.out_of_order = !ranks.is_sorted();
        for (&r, &rank) in top.iter().zip(&ranks) {
            self.s.add_loads(&turns.others_before(Some(rank)));
            let before = self.s.loads();
            // The turns are there for who asks whether loads count.
            self.s.load_decided.set(false);
            self.s.turns = Some(turns);
            self.assign(r, None);
            turns = self.s.turns.take().unwrap_or_default();
            let changed = self.s.nodes.iter().zip(&before).enumerate().filter_map(|(at, (node, before))| {
                let more = i64::from(node.assigned_count) - i64::from(*before);
                (more != 0).then(|| (NodeIx::new(at), more))
            });
            let rsc = &self.s[r];
            turns.done.push(Arc::new(Turn {
                id: rsc.id.clone(),
                orphan: rsc.flags.orphan,
                priority: rank.priority.0,
                loads: changed.collect(),
                by_load: self.s.load_decided.get(),
            }));
        }
        self.s.add_loads(&turns.others_before(None));
        self.s.load_decided.set(false);
        self.s.turns = Some(turns);
    }

    /// Notes that the best node for a resource was only the best by its load.
    pub(super) fn chosen_by_load(&self, r: ResourceIx, best: NodeIx) {
        if self.s.turns.is_none()
            || self.s.options.placement == Placement::Minimal
            || !self.s[best].available()
        {
            return;
        }
        let row = &self.s[r].table;
        let score = row.score(best);
        if row
            .iter()
            .any(|(node, entry)| node != best && Some(entry.score) == score && self.s[node].available())
        {
            self.s.load_decided.set(true);
        }
    }
}
