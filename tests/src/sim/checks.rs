//! The promises of design.md, looked at after every event and written without looking at how they are
//! kept: S2 (acknowledged means kept), S3 (members of a view hold equal documents), S4 (one DC in a
//! view), L1 (progress when faults stop), and exactly-once.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use ccm::group::{GroupAction, GroupEvent, Outcome, View};
use ccm::seam::{NodeId, Stamp, ViewId};
use cib::Cib;

use super::machine::{Machine, id, keys_of};

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
}

/// What a view is: the same at everybody.
#[derive(Debug, Clone, PartialEq)]
struct Named {
    members: Vec<(NodeId, ccm::seam::Incarnation)>,
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

    pub fn crashed(&mut self, i: usize) {
        if let Some(at) = self.at.get_mut(i) {
            *at = None;
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
                    self.equal(v.at, &v.cib, i)?;
                } else if let Some(seen) = self.base_seen.get_mut(i) {
                    *seen = Some(v.cib.clone());
                }
                if v.durable { once(&v.cib) } else { Ok(()) }
            }
            GroupAction::Event(GroupEvent::ViewChanged(view)) => self.view_changed(i, view, machines),
            GroupAction::Reply { token, outcome } => self.replied(i, *token, outcome),
            _ => Ok(()),
        }
    }

    /// S3, entry by entry.
    fn equal(&mut self, at: Stamp, cib: &Cib, i: usize) -> Result<(), Violation> {
        match self.documents.get(&at) {
            None => {
                self.documents.insert(at, cib.clone());
            }
            Some(other) if other == cib => {}
            Some(_) => {
                return Err(Violation::new(
                    "S3",
                    format!("n{} holds another document after {}/{}", i + 1, at.view.epoch, at.n),
                ));
            }
        }
        Ok(())
    }

    fn view_changed(&mut self, i: usize, view: &View, machines: &[Machine]) -> Result<(), Violation> {
        let base = self.base_seen.get(i).cloned().flatten();
        let named = Named {
            members: view.members.iter().map(|m| (m.id, m.inc)).collect(),
            dc: view.dc,
            exclusive: view.exclusive,
            writable: view.writable,
            base: base.clone(),
        };
        match self.views.get(&view.id) {
            None => {
                self.views.insert(view.id, named);
            }
            Some(other) if *other == named => {}
            Some(other) => {
                let rule = if other.dc == named.dc { "S3" } else { "S4" };
                return Err(Violation::new(
                    rule,
                    format!("view {} is not the same at n{} as at others", view.id.epoch, i + 1),
                ));
            }
        }
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
        if view.writable {
            self.kept(view, &base, machines)?;
        }
        Ok(())
    }

    /// S2: what was acknowledged is in the base, or in the backup of a side that lost by policy.
    fn kept(&self, view: &View, base: &Option<Cib>, machines: &[Machine]) -> Result<(), Violation> {
        let Some(base) = base else { return Ok(()) };
        let present = keys_of(base.root());
        for a in &self.acknowledged {
            if present.contains_key(&a.token) || a.view >= view.id {
                continue;
            }
            let shared = view.members.iter().any(|m| a.members.contains(&m.id));
            if a.exclusive && view.exclusive {
                return Err(Violation::new(
                    "S2",
                    format!(
                        "change {} acknowledged with quorum in view {} is not in view {}",
                        a.token, a.view.epoch, view.id.epoch
                    ),
                ));
            }
            let saved = machines.iter().any(|m| m.backups.iter().any(|b| keys_of(b).contains_key(&a.token)));
            if shared && !saved {
                return Err(Violation::new(
                    "S2",
                    format!(
                        "change {} acknowledged in view {} is neither in view {} nor in a backup",
                        a.token, a.view.epoch, view.id.epoch
                    ),
                ));
            }
        }
        if view.exclusive {
            if let Some(token) = present.keys().find(|t| self.rejected.get(t).is_some_and(|v| *v < view.id)) {
                return Err(Violation::new(
                    "C7",
                    format!("change {token} was refused for certain and is in view {}", view.id.epoch),
                ));
            }
        }
        Ok(())
    }

    fn replied(&mut self, i: usize, token: u64, outcome: &Outcome) -> Result<(), Violation> {
        if !self.durable.contains(&token) {
            return Ok(());
        }
        match outcome {
            Outcome::Done { without_quorum: false, .. } => {
                let Some(view) = self.at.get(i).copied().flatten() else { return Ok(()) };
                let Some(named) = self.views.get(&view) else { return Ok(()) };
                self.acknowledged.push(Acknowledged {
                    token,
                    view,
                    members: named.members.iter().map(|(id, _)| *id).collect(),
                    exclusive: named.exclusive,
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

    /// L1: at the end everybody holds the same.
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
        let present = keys_of(cib.root());
        for a in &self.acknowledged {
            let saved = machines.iter().any(|m| m.backups.iter().any(|b| keys_of(b).contains_key(&a.token)));
            if !present.contains_key(&a.token) && (a.exclusive || !saved) {
                return Err(Violation::new("S2", format!("change {} is gone at the end", a.token)));
            }
        }
        Ok(())
    }
}

/// Exactly once: an object that is made by one request is there once.
fn once(cib: &Cib) -> Result<(), Violation> {
    match keys_of(cib.root()).into_iter().find(|(_, n)| *n > 1) {
        Some((token, n)) => Err(Violation::new("C5", format!("change {token} was applied {n} times"))),
        None => Ok(()),
    }
}
