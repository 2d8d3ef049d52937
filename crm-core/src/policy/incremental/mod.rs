//! A plan that goes on from the last one.
//!
//! Most changes of a cluster concern a few resources: a result, a fail count, a parameter, a constraint. A [`Planner`]
//! remembers what it planned last. It looks at what has changed since (`difference`), adds all that constraints join
//! with that (`links`), everything that had something to do, fence devices, orphans and whom a date concerns, and plans an excerpt of the
//! document with these resources alone (`excerpt`), by the one engine there is. All others stay as they are, with
//! nothing to do.
//!
//! That is right because resources of one cluster touch each other in three ways only. By constraints: those are
//! followed. By nodes, which one resource's failure may take down: all that is known of nodes has to be equal before
//! and after. By the number of resources on nodes, which decides between equal scores: the turns of everybody else
//! are counted in their places ([`turns`](super::placement::turns)), and if a turn of the excerpt ends with other
//! numbers, nobody else's decision may have been one by numbers. Whatever else there is (remote and guest nodes,
//! utilization, fencing, shared elements …) is recognized and planned as a whole.
//!
//! Nothing of this is taken on trust: the excerpt of the version before is planned as well, and has to give exactly
//! what the last plan said about its resources. Whatever is not certain is planned as a whole, and [`Why`] says what
//! it was. The graph of a plan of a part has the same actions in the same order as that of a whole one; their numbers
//! are smaller, because actions that need not be done are numbered too.

mod difference;
mod excerpt;
mod histories;
mod links;
mod map;
mod merge;
mod names;
mod others;
mod parts;
mod piece;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use cib::{Cib, Element};
use thiserror::Error;

use super::Situation;
use super::complaint::Complaint;
use super::graph::Graph;
use super::placement::turns::{Rank, Turns};
use super::plan::{Plan, deep, plan_turns};
use difference::Difference;
use map::Map;
use merge::said;
use others::{Others, is_of};
use piece::Piece;

pub use parts::Parts;

/// Why a cluster was planned as a whole.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Why {
    #[error("there is no plan to go on from")]
    First,
    #[error("what changed is not only about resources: {0}")]
    Section(String),
    #[error("{0} may join resources in more ways than by constraints")]
    Unclear(String),
    #[error("node {0} is to be fenced or shut down")]
    Node(String),
    #[error("there is much to do")]
    Busy,
    #[error("the change concerns {0} of {1} resources")]
    Much(usize, usize),
    #[error("quorum, time zone or the way of looking at the document are different")]
    Situation,
    #[error("time has passed that may change the plan")]
    Time,
    #[error("resources beyond the change are placed by the load of nodes, which changes")]
    Loads,
    #[error("what is known about nodes changes")]
    Nodes,
    #[error("{0} is known to neither version of the document")]
    Unknown(String),
    #[error("it is not certain whose complaint or time to look again this was")]
    Ambiguous,
    #[error("the part alone gives something else than it does within the whole: {0}")]
    Differs(&'static str),
}

/// How a decision was come by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    Whole(Why),
    /// So many top-level resources were planned anew; none, where nothing has changed.
    Part(usize),
}

impl fmt::Display for How {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            How::Whole(why) => write!(f, "everything was planned: {why}"),
            How::Part(count) => write!(f, "{count} resources were planned anew"),
        }
    }
}

/// What has to be done.
#[derive(Debug, Clone)]
pub struct Decision {
    pub graph: Graph,
    /// What is wrong with the configuration, with the sentences of a whole plan, not in its order; one that is said once
    /// for many resources may name another one of them.
    pub complaints: Vec<Complaint>,
    pub how: How,
}

/// Plans one version of a document after the other.
#[derive(Debug)]
pub struct Planner {
    /// The last plan, or why nothing can go on from it.
    last: Result<Last, Why>,
    /// A change that concerns more than one of so many resources is planned as a whole.
    share: usize,
}

impl Default for Planner {
    fn default() -> Self {
        Planner::with_share(4)
    }
}

/// The last plan, and what it was made of.
#[derive(Debug)]
struct Last {
    root: Element,
    situation: Situation,
    piece: Piece,
    /// When the turns of the plan come; made when it is first needed.
    ranks: Option<Arc<[Rank]>>,
    /// Made when it is first needed; or why there is none.
    map: Option<Result<Map, Why>>,
}

impl Planner {
    /// A planner that plans as a whole what concerns more than one of `share` resources: a matter of time alone.
    pub fn with_share(share: usize) -> Planner {
        Planner { last: Err(Why::First), share }
    }

    /// Lets go of the last plan: the next one is made from nothing.
    pub fn forget(&mut self) {
        self.last = Err(Why::First);
    }

    /// Decides what has to be done, as [`plan`](super::plan()) does.
    pub fn decide(&mut self, cib: &Cib, situation: &Situation) -> Decision {
        deep(|| self.decide_here(cib, situation))
    }

    fn decide_here(&mut self, cib: &Cib, situation: &Situation) -> Decision {
        // Taken: if planning panics, the next plan begins from nothing.
        let last = std::mem::replace(&mut self.last, Err(Why::First));
        match last.and_then(|last| self.part(last, cib.root(), situation)) {
            Ok((last, resources)) => {
                let decision = last.decision(How::Part(resources));
                self.last = Ok(last);
                decision
            }
            Err(why) => {
                let plan = plan_turns(cib, situation, Turns::default());
                let (graph, complaints) = (plan.graph.clone(), plan.complaints.clone());
                self.last = Last::of(cib.root(), situation, plan);
                Decision { graph, complaints, how: How::Whole(why) }
            }
        }
    }

    /// Makes what the next plan of a part needs, while there is time.
    pub fn prepare(&mut self) {
        if let Ok(last) = &mut self.last
            && last.map.is_none()
        {
            last.map = Some(Map::of(&last.root));
        }
    }

    fn part(&self, mut last: Last, root: &Element, situation: &Situation) -> Result<(Last, usize), Why> {
        last.still_holds(situation)?;
        let made = match last.map.take() {
            Some(Err(why)) => return Err(why),
            made => made.transpose()?,
        };
        let change = Difference::between(&last.root, root)?;
        let before = made.map_or_else(|| Map::of(&last.root), Ok)?;
        let after = before.changed(root, &change)?;
        let nothing = change.names.is_empty() && change.constraints.is_empty();
        if nothing && situation.now == last.situation.now {
            return Ok((Last { root: root.clone(), map: Some(Ok(after)), ..last }, 0));
        }
        let mut ids = concerned(&last, root, &change, &before, &after)?;
        while before.join(&mut ids) | after.join(&mut ids) {}
        if ids.len().saturating_mul(self.share) > after.count() {
            return Err(Why::Much(ids.len(), after.count()));
        }
        let others = Others::of(&mut last, &ids, &before, &after)?;
        let old = Piece::of(before.plan(&last.root, &ids, others.before(), &last.situation, |_| {})?)?;
        last.confirms(&old, &ids)?;
        let new = Piece::of(after.plan(root, &ids, others.after(), situation, |_| {})?)?;
        let count = ids.len();
        let (piece, ranks) = last.piece.with(old, new, &ids, &others, (&before, &after))?;
        let (root, situation) = (root.clone(), situation.clone());
        Ok((Last { root, situation, piece, ranks: Some(ranks), map: Some(Ok(after)) }, count))
    }
}

/// The names of everything that has to be planned anew, but for what constraints join with it.
fn concerned(
    last: &Last,
    root: &Element,
    change: &Difference,
    before: &Map,
    after: &Map,
) -> Result<BTreeSet<String>, Why> {
    let mut ids = BTreeSet::new();
    for name in &change.names {
        let known = [before, after].map(|map| map.top(name).and_then(|top| map.id(top)));
        if known == [None, None] && !last.piece.always.contains(name) {
            return Err(Why::Unknown(name.clone()));
        }
        ids.extend(known.into_iter().flatten().map(str::to_owned));
        // What is no resource of one of the versions may have a history there all the same.
        for (one, other) in [(before, after), (after, before)] {
            let all = one.top(name).map_or(&[][..], |top| one.names(top));
            ids.extend(all.iter().filter(|name| other.top(name).is_none()).cloned());
        }
    }
    for constraint in &change.constraints {
        let ends = [(before, &last.root), (after, root)].map(|(map, root)| map.ends(root, constraint));
        if let [Err(why), Err(_)] = ends {
            return Err(why);
        }
        ids.extend(ends.into_iter().flatten().flatten());
    }
    ids.extend(last.piece.busy.iter().chain(&last.piece.always).cloned());
    ids.extend(before.dated().iter().chain(after.dated()).cloned());
    Ok(ids)
}

impl Last {
    fn of(root: &Element, situation: &Situation, plan: Plan) -> Result<Last, Why> {
        if situation.scores {
            return Err(Why::Situation);
        }
        let (root, situation) = (root.clone(), situation.clone());
        Ok(Last { root, situation, piece: Piece::of(plan)?, ranks: None, map: None })
    }

    fn decision(&self, how: How) -> Decision {
        Decision { graph: self.piece.graph.clone(), complaints: self.piece.complaints.clone(), how }
    }

    /// Time and circumstances are such that what has not changed would be planned as before.
    fn still_holds(&self, now: &Situation) -> Result<(), Why> {
        let was = &self.situation;
        let same = was.utc_offset == now.utc_offset
            && was.quorum == now.quorum
            && was.sanitized == now.sanitized
            && !now.scores;
        if !same {
            return Err(Why::Situation);
        }
        let until = self.piece.graph.recheck_by.map_or(i64::MAX, |at| i64::try_from(at).unwrap_or(i64::MAX));
        if now.now < was.now || now.now >= until { Err(Why::Time) } else { Ok(()) }
    }

    /// The plan of the excerpt says of its resources what the whole plan said.
    fn confirms(&self, part: &Piece, ids: &BTreeSet<String>) -> Result<(), Why> {
        let whole = &self.piece;
        if whole.nodes != part.nodes {
            return Err(Why::Differs("the nodes"));
        }
        if !whole.turns.iter().filter(|turn| is_of(turn, ids)).eq(part.turns.iter()) {
            return Err(Why::Differs("the assignment"));
        }
        let actions = |graph: &Graph| Graph { recheck_by: None, ..graph.renumbered() };
        if actions(&whole.graph) != actions(&part.graph) {
            return Err(Why::Differs("the actions"));
        }
        if !part.complaints.iter().all(|complaint| said(&whole.complaints, complaint)) {
            return Err(Why::Differs("the complaints"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
