//! The turns of the resources that are not planned anew.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::map::Map;
use super::names::plain;
use super::{Last, Why};
use crate::policy::placement::turns::{Placed, Rank, Turn};

/// The turns of everybody who is not planned anew.
pub(super) struct Others {
    pub turns: Vec<Arc<Turn>>,
    /// When they come in the one version and in the other.
    pub before: Vec<Rank>,
    pub after: Vec<Rank>,
}

impl Others {
    pub fn of(last: &mut Last, ids: &BTreeSet<String>, before: &Map, after: &Map) -> Result<Others, Why> {
        let all = &last.piece.turns;
        let ranks = last.ranks.take().unwrap_or_else(|| before.ranks(all));
        let not_planned = || all.iter().zip(ranks.iter()).filter(|(turn, _)| !is_of(turn, ids));
        let turns: Vec<Arc<Turn>> = not_planned().map(|(turn, _)| Arc::clone(turn)).collect();
        let was: Vec<Rank> = not_planned().map(|(_, rank)| *rank).collect();
        let is = if before.same_places(after) { was.clone() } else { after.ranks(&turns).to_vec() };
        if !was.is_sorted() || !is.is_sorted() {
            return Err(Why::Differs("the order of resources"));
        }
        Ok(Others { turns, before: was, after: is })
    }

    pub fn before(&self) -> Vec<Placed> {
        self.before.iter().copied().zip(self.turns.iter().cloned()).collect()
    }

    pub fn after(&self) -> Vec<Placed> {
        self.after.iter().copied().zip(self.turns.iter().cloned()).collect()
    }
}

/// Whether a turn is that of one of these; an orphan may be an instance of what was a clone.
pub(super) fn is_of(turn: &Turn, ids: &BTreeSet<String>) -> bool {
    ids.contains(plain(&turn.id))
}
