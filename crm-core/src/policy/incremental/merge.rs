//! A whole plan with the new plan of a part in the place of the old one.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Why;
use super::map::Map;
use super::names::plain;
use super::others::Others;
use super::piece::Piece;
use crate::policy::complaint::Complaint;
use crate::policy::graph::Graph;
use crate::policy::placement::turns::{Placed, Rank, Turn};

impl Piece {
    /// A whole plan with the new plan of a part in the place of the old one, and when its turns come.
    pub fn with(
        self,
        old: Piece,
        new: Piece,
        ids: &BTreeSet<String>,
        others: &Others,
        (before, after): (&Map, &Map),
    ) -> Result<(Piece, Arc<[Rank]>), Why> {
        if old.nodes != new.nodes {
            return Err(Why::Nodes);
        }
        let placed = merged_turns(&old.turns, new.turns, others, (before, after))?;
        let complaints = merged_complaints(self.complaints, &old.complaints, new.complaints, ids, after)?;
        let recheck_by = merged_time(self.graph.recheck_by, old.graph.recheck_by, new.graph.recheck_by)?;
        let graph = Graph { recheck_by, ..new.graph.renumbered() };
        let ranks = placed.iter().map(|(rank, _)| *rank).collect();
        let turns = placed.into_iter().map(|(_, turn)| turn).collect();
        let piece = Piece { graph, complaints, turns, nodes: new.nodes, busy: new.busy, always: new.always };
        Ok((piece, ranks))
    }
}

/// The turns of everybody else with the new ones of the part, in the order of the new document.
fn merged_turns(
    old: &[Arc<Turn>],
    new: Vec<Arc<Turn>>,
    others: &Others,
    (before, after): (&Map, &Map),
) -> Result<Vec<Placed>, Why> {
    // What a turn adds, and how many of the others come before it, in its own document: they are the same in both.
    let loaded = |turns: &[Arc<Turn>], map: &Map, ranks: &[Rank]| {
        let place = |turn: &Arc<Turn>| {
            let own = map.rank(turn);
            (turn.id.clone(), turn.loads.clone(), ranks.partition_point(|rank| *rank < own))
        };
        turns.iter().filter(|turn| !turn.loads.is_empty()).map(place).collect::<BTreeSet<_>>()
    };
    let (was, is) = (loaded(old, before, &others.before), loaded(&new, after, &others.after));
    let first = was.symmetric_difference(&is).map(|(_, _, place)| *place).min();
    if first.is_some_and(|first| others.turns.iter().skip(first).any(|turn| turn.by_load)) {
        return Err(Why::Loads);
    }
    let own = new.into_iter().map(|turn| (after.rank(&turn), turn));
    let mut all: Vec<Placed> = others.after().into_iter().chain(own).collect();
    all.sort_by_key(|(rank, _)| *rank);
    Ok(all)
}

/// Whether a list has this sentence, whomever it names.
pub(super) fn said(list: &[Complaint], complaint: &Complaint) -> bool {
    list.iter().any(|other| other.code == complaint.code && other.text == complaint.text)
}

/// Whether a sentence names this.
fn names(text: &str, id: &str) -> bool {
    let words = text.split(|c: char| !(c.is_alphanumeric() || "-_.:".contains(c)));
    words.map(|word| word.trim_end_matches(['.', ':'])).any(|word| word == id)
}

/// Each sentence is said once: one that the old part said and the new one does not say may still be said by another,
/// unless it names a resource of the part.
fn merged_complaints(
    whole: Vec<Complaint>,
    old: &[Complaint],
    new: Vec<Complaint>,
    ids: &BTreeSet<String>,
    map: &Map,
) -> Result<Vec<Complaint>, Why> {
    let own = |complaint: &Complaint| {
        let named = complaint.ids.first().filter(|id| names(&complaint.text, id));
        named.map(|id| plain(id)).is_some_and(|id| {
            let top = map.top(id).and_then(|top| map.id(top));
            top.is_some_and(|top| ids.contains(top)) || ids.contains(id)
        })
    };
    let mut kept = Vec::with_capacity(whole.len() + new.len());
    for complaint in whole {
        if !said(old, &complaint) || said(&new, &complaint) {
            kept.push(complaint);
        } else if !own(&complaint) {
            return Err(Why::Ambiguous);
        }
    }
    for complaint in new {
        if !said(&kept, &complaint) {
            kept.push(complaint);
        }
    }
    Ok(kept)
}

/// When to look again: the earliest time that somebody asks for.
fn merged_time(whole: Option<u64>, old: Option<u64>, new: Option<u64>) -> Result<Option<u64>, Why> {
    let earlier = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
    if old == new || old != whole {
        return Ok(if old == new { whole } else { earlier(whole, new) });
    }
    // The old part asked for the earliest time; whoever else asks for that or a later one is not known.
    match (whole, new) {
        (None, new) => Ok(new),
        (Some(at), Some(new)) if new <= at => Ok(Some(new)),
        _ => Err(Why::Ambiguous),
    }
}
