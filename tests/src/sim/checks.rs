//! The promises of design.md about views and documents, looked at after every event and written
//! without looking at how they are kept: S2 (acknowledged means kept), S3 (members of a view hold equal
//! documents), S4 (one DC in a view), L1 (progress when faults stop), exactly-once, and the order of
//! bus messages. What is the same as at the last look is not looked at again.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ccm::group::{GroupAction, GroupEvent, Outcome, View};
use ccm::membership::quorum::Voter;
use ccm::seam::{Incarnation, NodeId, Stamp, ViewId};
use cib::Cib;

use super::document::{counted, tokens};
use super::machine::{Machine, id};

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub what: String,
}

impl Violation {
    pub fn new(rule: &'static str, what: impl Into<String>) -> Self {
        Self { rule, what: what.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.what)
    }
}

/// An acknowledged change.
#[derive(Debug, Clone)]
struct Acknowledged {
    token: u64,
    view: ViewId,
    members: BTreeSet<NodeId>,
    exclusive: bool,
    /// Members whose disk has forgotten since.
    forgotten: BTreeSet<NodeId>,
}

impl Acknowledged {
    /// Whether one of these has the change, as far as disks can be trusted.
    fn held_by(&self, members: &[NodeId]) -> bool {
        members.iter().any(|m| self.members.contains(m) && !self.forgotten.contains(m))
    }
}

/// What a view is: the same at everybody.
#[derive(Debug, Clone, PartialEq)]
struct Named {
    members: Vec<(NodeId, Incarnation)>,
    dc: NodeId,
    exclusive: bool,
    writable: bool,
    base: Option<Cib>,
}

/// Everything remembered of a run.
pub struct Checks {
    views: BTreeMap<ViewId, Named>,
    /// The document after each entry.
    documents: BTreeMap<Stamp, Cib>,
    /// Last view and last visible stamp of each machine.
    at: Vec<Option<ViewId>>,
    base_seen: Vec<Option<Cib>>,
    durable: BTreeSet<u64>,
    acknowledged: Vec<Acknowledged>,
    rejected: BTreeMap<u64, ViewId>,
    /// Last number of a bus message of each incarnation at each machine.
    bus: BTreeMap<(usize, NodeId, u64), u64>,
    /// Machines whose disk has forgotten.
    forgotten: BTreeSet<NodeId>,
    /// Some of them may not have noticed: nobody can tell what a majority with them knew (R16.5).
    unnoticed: bool,
    /// Starts of machines whose disk has forgotten since: what they acknowledged may still be on its way.
    forgotten_starts: BTreeSet<(NodeId, Incarnation)>,
}

impl Checks {
    pub fn new(nodes: usize) -> Self {
        Self {
            views: BTreeMap::new(),
            documents: BTreeMap::new(),
            at: vec![None; nodes],
            base_seen: vec![None; nodes],
            durable: BTreeSet::new(),
            acknowledged: Vec::new(),
            rejected: BTreeMap::new(),
            bus: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            unnoticed: false,
            forgotten_starts: BTreeSet::new(),
        }
    }

    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// A change was asked for.
    pub fn asked(&mut self, token: u64, durable: bool) {
        if durable {
            self.durable.insert(token);
        }
    }

    /// A machine lost its power: what was acknowledged with it in the view is on its disk all the same,
    /// or in a backup there.
    ///
    /// # Errors
    /// It is not.
    pub fn crashed(&mut self, i: usize, machine: Option<&Machine>) -> Result<(), Violation> {
        let Some(machine) = machine else { return Ok(()) };
        if let Some(at) = self.at.get_mut(i) {
            *at = None;
        }
        self.bus.retain(|(to, _, _), _| *to != i);
        let me = id(i);
        let mut expected = self
            .acknowledged
            .iter()
            .filter(|a| a.members.contains(&me) && !a.forgotten.contains(&me))
            .peekable();
        if expected.peek().is_none() {
            return Ok(());
        }
        let Some(cib) = machine.on_disk() else {
            return Err(Violation::new("S2", format!("the disk of n{} cannot be read after a crash", i + 1)));
        };
        let present: BTreeSet<u64> = tokens(cib.root()).collect();
        for a in expected {
            if !present.contains(&a.token) && !machine.backups.iter().any(|b| b.contains(&a.token)) {
                return Err(Violation::new(
                    "S2",
                    format!(
                        "change {} acknowledged in view {} is neither on the disk of n{} after a crash nor in a backup",
                        a.token,
                        a.view.epoch,
                        i + 1
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The disk of a machine went back in time or was emptied.
    ///
    /// `inc`: its last start, which may have been about to enter a view.
    pub fn forgot(&mut self, i: usize, inc: Incarnation, noticed: bool) {
        self.forgotten.insert(id(i));
        self.unnoticed |= !noticed;
        let starts = self.views.values().flat_map(|v| &v.members).filter(|(m, _)| *m == id(i));
        self.forgotten_starts.extend(starts.copied());
        self.forgotten_starts.insert((id(i), inc));
        for a in &mut self.acknowledged {
            if a.members.contains(&id(i)) {
                a.forgotten.insert(id(i));
            }
        }
    }

    /// A machine did something.
    ///
    /// # Errors
    /// The promise it broke.
    pub fn said(&mut self, i: usize, action: &GroupAction, machines: &[Machine]) -> Result<(), Violation> {
        match action {
            GroupAction::Visible(v) => {
                if v.by_entry {
                    self.equal(v.at, &v.cib, v.durable, i)?;
                } else if let Some(seen) = self.base_seen.get_mut(i) {
                    *seen = Some(v.cib.clone());
                }
                Ok(())
            }
            GroupAction::Event(GroupEvent::ViewChanged(view)) => self.view_changed(i, view, machines),
            GroupAction::Event(GroupEvent::Deliver { from, payload }) => self.delivered(i, *from, payload),
            GroupAction::Reply { token, outcome } => self.replied(i, *token, outcome),
            _ => Ok(()),
        }
    }

    /// Messages of one incarnation arrive in the order sent, none twice.
    fn delivered(&mut self, i: usize, from: NodeId, payload: &[u8]) -> Result<(), Violation> {
        let Some((boot, number)) = read_bus(payload) else { return Ok(()) };
        let last = self.bus.entry((i, from, boot)).or_default();
        if *last >= number {
            let text = format!("n{} was given bus message {number} after {last}", i + 1);
            return Err(Violation::new("bus", text));
        }
        *last = number;
        Ok(())
    }

    /// S3, entry by entry; and exactly-once, where the entry is new.
    fn equal(&mut self, at: Stamp, cib: &Cib, durable: bool, i: usize) -> Result<(), Violation> {
        match self.documents.get(&at) {
            None => {
                if durable {
                    once(cib)?;
                }
                self.documents.insert(at, cib.clone());
                Ok(())
            }
            Some(other) if other == cib => Ok(()),
            Some(_) => Err(Violation::new(
                "S3",
                format!("n{} holds another document after {}/{}", i + 1, at.view.epoch, at.n),
            )),
        }
    }

    fn view_changed(&mut self, i: usize, view: &View, machines: &[Machine]) -> Result<(), Violation> {
        let base = self.base_seen.get(i).cloned().flatten();
        let named = Named {
            members: view.members.iter().map(|m| (m.id, m.inc)).collect(),
            dc: view.dc,
            exclusive: view.exclusive,
            writable: view.writable,
            base,
        };
        if let Some(Some(last)) = self.at.get(i) {
            if *last >= view.id {
                return Err(Violation::new("G2", format!("n{} went back from view {}", i + 1, last.epoch)));
            }
        }
        if let Some(at) = self.at.get_mut(i) {
            *at = Some(view.id);
        }
        for m in machines {
            let member = view
                .members
                .iter()
                .any(|v| v.id == m.group().map_or(NodeId::default(), |g| g.config().id) && v.inc == m.inc);
            if member && m.active().is_some_and(|a| a < view.id) {
                return Err(Violation::new(
                    "G2",
                    format!("{} still acts in an older view than {}", m.name(), view.id.epoch),
                ));
            }
        }
        match self.views.get(&view.id) {
            // Looked at when the first of its members entered it.
            Some(other) if *other == named => return Ok(()),
            Some(other) => {
                let rule = if other.dc == named.dc { "S3" } else { "S4" };
                return Err(Violation::new(
                    rule,
                    format!("view {} is not the same at n{} as at others", view.id.epoch, i + 1),
                ));
            }
            None => {}
        }
        if let (true, Some(base)) = (view.writable, &named.base) {
            once(base)?;
            self.kept(view, base, machines)?;
        }
        self.views.insert(view.id, named);
        Ok(())
    }

    /// S2: what was acknowledged is in the base, or in the backup of a side that lost by policy.
    fn kept(&self, view: &View, base: &Cib, machines: &[Machine]) -> Result<(), Violation> {
        let present: BTreeSet<u64> = tokens(base.root()).collect();
        let members: Vec<NodeId> = view.members.iter().map(|m| m.id).collect();
        for a in &self.acknowledged {
            if present.contains(&a.token) || a.view >= view.id {
                continue;
            }
            if a.exclusive && view.exclusive && self.sure(a) {
                return Err(Violation::new(
                    "S2",
                    format!(
                        "change {} acknowledged with quorum in view {} is not in view {}",
                        a.token, a.view.epoch, view.id.epoch
                    ),
                ));
            }
            if a.held_by(&members) && !saved(a.token, machines) {
                return Err(Violation::new(
                    "S2",
                    format!(
                        "change {} acknowledged in view {} is neither in view {} nor in a backup",
                        a.token, a.view.epoch, view.id.epoch
                    ),
                ));
            }
        }
        if view.exclusive && self.forgotten.is_empty() {
            if let Some(token) = present.iter().find(|t| self.rejected.get(t).is_some_and(|v| *v < view.id)) {
                return Err(Violation::new(
                    "C7",
                    format!("change {token} was refused for certain and is in view {}", view.id.epoch),
                ));
            }
        }
        Ok(())
    }

    /// Whether what was acknowledged with quorum must be in every later view with quorum: the vote of a
    /// disk that is known to have forgotten does not count (R15.10).
    fn sure(&self, a: &Acknowledged) -> bool {
        !self.unnoticed && a.members.iter().any(|m| !a.forgotten.contains(m))
    }

    fn replied(&mut self, i: usize, token: u64, outcome: &Outcome) -> Result<(), Violation> {
        if !self.durable.contains(&token) {
            return Ok(());
        }
        match outcome {
            Outcome::Done { without_quorum: false, .. } => {
                let Some(view) = self.at.get(i).copied().flatten() else { return Ok(()) };
                let Some(named) = self.views.get(&view) else { return Ok(()) };
                if !named.writable {
                    let what =
                        format!("change {token} is acknowledged in view {} without quorum", view.epoch);
                    return Err(Violation::new("S4", what));
                }
                self.acknowledged.push(Acknowledged {
                    token,
                    view,
                    members: named.members.iter().map(|(id, _)| *id).collect(),
                    exclusive: named.exclusive,
                    forgotten: named
                        .members
                        .iter()
                        .filter(|m| self.forgotten_starts.contains(m))
                        .map(|(id, _)| *id)
                        .collect(),
                });
            }
            Outcome::Rejected { .. } | Outcome::NoQuorum { .. } | Outcome::Busy => {
                let view = self.at.get(i).copied().flatten().unwrap_or_default();
                // Certain where the view that said so is one of the line.
                if self.views.get(&view).is_some_and(|n| n.exclusive) {
                    self.rejected.insert(token, view);
                }
            }
            Outcome::Done { .. } | Outcome::Unknown => {}
        }
        Ok(())
    }

    /// Whether a cluster of all machines need not have quorum: the votes of disks that forgot do not
    /// count as long as a voter is missing that may know more (R15.10).
    pub fn excused(&self, machines: &[Machine]) -> bool {
        let voter = |v: &Voter, i: usize| v.is(id(i), &format!("n{}", i + 1));
        let here = |v: &&Voter| (0..machines.len()).any(|i| voter(v, i));
        let sure = |v: &&Voter| {
            let forgot = |i: usize| self.forgotten.contains(&id(i)) && voter(v, i);
            !(0..machines.len()).any(forgot)
        };
        machines.iter().filter_map(Machine::group).any(|group| {
            let voters = &group.history().electorate.voters;
            let all: u64 = voters.iter().map(|v| v.votes).sum();
            let known: u64 = voters.iter().filter(here).filter(sure).map(|v| v.votes).sum();
            !voters.iter().all(|v| here(&v)) && known * 2 <= all
        })
    }

    /// L1: at the end everybody holds the same, with every acknowledged change exactly once in it.
    ///
    /// # Errors
    /// Somebody does not, or an acknowledged change is gone.
    pub fn all_equal(&self, machines: &[Machine]) -> Result<(), Violation> {
        let mut first: Option<&Cib> = None;
        for (i, m) in machines.iter().enumerate() {
            let Some(g) = m.group() else { continue };
            match first {
                None => first = Some(g.visible()),
                Some(other) if other == g.visible() => {}
                Some(_) => return Err(Violation::new("S3", format!("n{} differs at the end", i + 1))),
            }
            if g.config().id != id(i) {
                return Err(Violation::new("sim", "a machine with another's identity"));
            }
        }
        let Some(cib) = first else { return Ok(()) };
        once(cib)?;
        let present: BTreeSet<u64> = tokens(cib.root()).collect();
        for a in &self.acknowledged {
            if present.contains(&a.token) {
                continue;
            }
            let all: Vec<NodeId> = (0..machines.len()).map(id).collect();
            let kept = saved(a.token, machines) || !a.held_by(&all);
            if !kept || (a.exclusive && self.sure(a)) {
                return Err(Violation::new("S2", format!("change {} is gone at the end", a.token)));
            }
        }
        if self.forgotten.is_empty()
            && let Some((token, _)) = self.rejected.iter().find(|(token, view)| {
                present.contains(token) && self.views.get(view).is_some_and(|v| v.exclusive)
            })
        {
            return Err(Violation::new("C7", format!("change {token} was refused for certain and is there")));
        }
        Ok(())
    }
}

fn saved(token: u64, machines: &[Machine]) -> bool {
    machines.iter().any(|m| m.backups.iter().any(|b| b.contains(&token)))
}

/// Exactly once: a set counts the changes made in it, and no object is there twice. (An object made
/// again is refused, so that its client hears of a refusal: C7.)
fn once(cib: &Cib) -> Result<(), Violation> {
    if let Some((sum, there)) = counted(cib.root())
        && sum != there
    {
        return Err(Violation::new("C5", format!("{there} changes were applied {sum} times")));
    }
    Ok(())
}

/// What bus messages of the simulation begin with: in a whole core the product sends its own beside them, of any
/// bytes and length, and may send one twice.
const BUS: &[u8; 8] = b"sim bus\0";

/// A bus message of the simulation: which start of the sender, and its number there.
pub fn bus_message(boot: u64, number: u64) -> Vec<u8> {
    [*BUS, boot.to_le_bytes(), number.to_le_bytes()].concat()
}

fn read_bus(payload: &[u8]) -> Option<(u64, u64)> {
    let (boot, number) = payload.strip_prefix(BUS)?.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*boot), u64::from_le_bytes(number.try_into().ok()?)))
}
