//! Updates within a view: numbered by the DC, acknowledged when on disk, visible when committed
//! by every member (protocol §12).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use cib::Cib;

use super::disk::Job;
use super::message::{Answer, Install, Message, Request};
use super::record::entry_bytes;
use super::{Group, GroupAction, GroupEvent, Phase, Visible};
use crate::membership::info::Score;
use crate::membership::quorum::Electorate;
use crate::replication::entry::{Entry, Op};
use crate::sabotage::{self, Rule};
use crate::seam::{Incarnation, NodeId, RequestId, Stamp, ViewId};

use super::api::Member;

/// Why a member was put out (R16.6).
pub const SLOW_DISK: &str = "its disk does not keep up";

/// An entry that is held and not yet known committed, with the document it leads to.
#[derive(Debug, Clone)]
pub struct Tentative {
    pub stamp: Stamp,
    pub cib: Cib,
    pub rid: Option<RequestId>,
    pub durable: bool,
    pub announce: bool,
    pub forced: bool,
    pub void: bool,
    pub electorate: Option<Electorate>,
    /// Length of a durable entry.
    pub bytes: usize,
    pub since: Duration,
}

/// An active view, or the last one of this incarnation.
#[derive(Debug, Clone)]
pub struct Active {
    pub id: ViewId,
    pub members: Vec<Member>,
    pub dc: NodeId,
    pub exclusive: bool,
    pub writable: bool,
    pub why: String,
    pub score: Score,
    /// R7.2; sticky.
    pub broken: Option<String>,
    /// A promise was given (R7.8).
    pub frozen: bool,
    /// R6.3.
    pub suspended: bool,
    /// Number of the last entry held.
    pub held: u64,
    /// Numbers of durable entries held but not yet on disk.
    pub unsynced: VecDeque<u64>,
    pub acked: u64,
    /// Of each member; used by the DC.
    pub acks: BTreeMap<NodeId, u64>,
    pub committed: u64,
    pub commit_announced: u64,
    /// Last durable entry of this view known committed, else the end of its base.
    pub committed_durable: Stamp,
    pub committed_electorate: Option<Electorate>,
    pub tentative: VecDeque<Tentative>,
    /// When the DC last said how far things are committed: it says so too while a long update is on its way.
    pub dc_alive: Duration,
    /// Members whose state is not in the status section yet (R9.12).
    pub unannounced: BTreeSet<NodeId>,
    pub status_until: Duration,
    pub status_done: bool,
    /// Requests waiting for the DC's turn, by origin (R12.14).
    pub queue: BTreeMap<NodeId, VecDeque<Request>>,
    pub turn: NodeId,
    /// Refused in this view: the same answer to a repetition (R13.3).
    pub refused: BTreeMap<RequestId, Answer>,
    /// Refused repetitions whose answer waits for the commit of their Void (R13.3).
    pub voids: BTreeMap<u64, (RequestId, Answer)>,
}

impl Active {
    pub fn new(install: &Install, now: Duration, electorate: Electorate) -> Self {
        Self {
            id: install.p,
            members: install.members.clone(),
            dc: install.dc,
            exclusive: install.exclusive,
            writable: install.writable,
            why: install.why.clone(),
            score: install.score,
            broken: None,
            frozen: false,
            suspended: false,
            held: 0,
            unsynced: VecDeque::new(),
            acked: 0,
            acks: install.members.iter().map(|m| (m.id, 0)).collect(),
            committed: 0,
            commit_announced: 0,
            committed_durable: install.lineage.head(),
            committed_electorate: Some(electorate),
            tentative: VecDeque::new(),
            dc_alive: now,
            unannounced: install.status.not_carried.iter().copied().collect(),
            status_until: now,
            status_done: false,
            queue: BTreeMap::new(),
            turn: NodeId::default(),
            refused: BTreeMap::new(),
            voids: BTreeMap::new(),
        }
    }

    pub fn is_member(&self, id: NodeId, inc: Incarnation) -> bool {
        self.members.iter().any(|m| m.id == id && m.inc == inc)
    }

    /// R12.5: greatest n such that all entries up to it are held and the durable ones on disk.
    fn acknowledgeable(&self) -> u64 {
        if sabotage::out(Rule::AckAfterPersist) {
            return self.held;
        }
        self.unsynced.front().map_or(self.held, |n| n - 1)
    }
}

impl Group {
    /// What a fresh view begins with.
    pub(super) fn after_activation(&mut self) {
        let deadline = self.now + self.config.deadtime;
        if let Some(view) = &mut self.view {
            view.status_until = deadline;
        }
        self.resolve_pending();
        if self.is_dc() {
            self.bind_electorate();
        }
        if let Some(conflict) = self.report.clone() {
            self.submit_report(conflict);
        }
    }

    /// Applies an entry to the newest state and sends it to the disk.
    pub(super) fn hold(&mut self, entry: &Entry) -> Result<(), crate::replication::entry::ApplyError> {
        self.state.apply(entry)?;
        let cib = self.state.cib();
        let durable = entry.op.durable();
        let bytes = if durable { entry_bytes(entry) } else { Vec::new() };
        let Some(view) = &mut self.view else { return Ok(()) };
        match &entry.op {
            Op::Dismiss(None) => self.record.kept.clear(),
            Op::Dismiss(Some(tip)) => self.record.kept.retain(|t| t != tip),
            _ => {}
        }
        view.held = entry.stamp.n;
        view.tentative.push_back(Tentative {
            stamp: entry.stamp,
            cib,
            rid: entry.rid,
            durable,
            announce: entry.announce,
            forced: entry.forced,
            void: entry.op == Op::Void,
            electorate: match &entry.op {
                Op::Electorate(e) => Some(e.clone()),
                _ => None,
            },
            bytes: bytes.len(),
            since: self.now,
        });
        if durable {
            view.unsynced.push_back(entry.stamp.n);
            self.transfers.note(entry, bytes.len());
            self.disk.push(Job::Append { entries: vec![bytes], upto: entry.stamp });
        }
        Ok(())
    }

    pub(super) fn on_update(&mut self, from: NodeId, entry: Entry, commit: u64) {
        let Some(view) = &self.view else { return };
        // R11.5, R7.8: only of the DC of the active view, nothing after a promise.
        let frozen = view.frozen && !sabotage::out(Rule::FreezeOnPromise);
        if view.id != entry.stamp.view || view.dc != from || frozen {
            return;
        }
        if view.broken.is_some() && entry.stamp.n != view.held + 1 {
            return;
        }
        if entry.stamp.n != view.held + 1 && !sabotage::out(Rule::GapCheck) {
            let (n, held) = (entry.stamp.n, view.held);
            self.break_view(format!("update {n} came after {held}")); // R12.4
            return;
        }
        if let Err(error) = self.hold(&entry) {
            if !sabotage::out(Rule::GapCheck) {
                self.break_view(format!("update {} does not apply: {error}", entry.stamp.n));
            }
            return;
        }
        self.commit_to(commit);
    }

    pub(super) fn on_appended(&mut self, upto: Stamp) {
        if let Some(view) = self.view.as_mut().filter(|v| v.id == upto.view) {
            while view.unsynced.front().is_some_and(|n| *n <= upto.n) {
                view.unsynced.pop_front();
            }
        }
    }

    pub(super) fn on_ack(&mut self, from: NodeId, view: ViewId, upto: u64) {
        let Some(active) = self.view.as_mut().filter(|v| v.id == view && v.dc == self.config.id) else {
            return;
        };
        // R7.8: a late Ack decides nothing after the freeze.
        if active.frozen && !sabotage::out(Rule::FreezeOnPromise) {
            return;
        }
        if let Some(n) = active.acks.get_mut(&from) {
            *n = (*n).max(upto.min(active.held));
        }
    }

    pub(super) fn on_commit(&mut self, from: NodeId, view: ViewId, n: u64) {
        let now = self.now;
        if let Some(v) = self.view.as_mut().filter(|v| v.id == view && v.dc == from) {
            v.dc_alive = now;
            self.commit_to(n);
        }
    }

    /// Acknowledges, commits, sequences: what follows from everything that came in.
    pub(super) fn poll_updates(&mut self) {
        if matches!(self.phase, Phase::Active | Phase::Leaving { .. }) {
            self.sequence();
        }
        let me = self.config.id;
        let Some(view) = &mut self.view else { return };
        let frozen = view.frozen && !sabotage::out(Rule::FreezeOnPromise);
        if !frozen {
            let upto = view.acknowledgeable();
            if view.dc == me {
                if let Some(own) = view.acks.get_mut(&me) {
                    *own = upto;
                }
                let n = if sabotage::out(Rule::CommitWithAll) {
                    let mut acks: Vec<u64> = view.acks.values().copied().collect();
                    acks.sort_unstable();
                    acks.get((acks.len() - 1) / 2).copied().unwrap_or(0)
                } else {
                    view.acks.values().copied().min().unwrap_or(0) // R12.6
                };
                self.commit_to(n);
                if let Some(view) = &mut self.view
                    && view.committed > view.commit_announced
                {
                    view.commit_announced = view.committed;
                    let message = Message::Commit { view: view.id, n: view.committed };
                    self.send_members(&message);
                }
                // The window may have opened.
                self.sequence();
            } else if upto > view.acked {
                view.acked = upto;
                let (dc, id) = (view.dc, view.id);
                self.send(dc, Message::Ack { view: id, upto });
            }
        }
        self.poll_status();
        self.poll_laggards();
    }

    /// Everything up to `n` is committed: visible, and done for those who asked for it here.
    pub(super) fn commit_to(&mut self, n: u64) {
        loop {
            let Some(view) = &mut self.view else { return };
            let n = n.min(view.held);
            if view.committed >= n || view.tentative.front().is_none_or(|t| t.stamp.n > n) {
                view.committed = view.committed.max(n);
                return;
            }
            let Some(t) = view.tentative.pop_front() else { return };
            view.committed = t.stamp.n;
            if t.announce
                && let Some(rid) = t.rid
            {
                view.unannounced.remove(&rid.origin);
            }
            let void = view.voids.remove(&t.stamp.n);
            if let Some(e) = &t.electorate {
                view.committed_electorate = Some(e.clone());
                self.dirty = true;
            }
            if t.durable {
                if let Some(view) = &mut self.view {
                    view.committed_durable = t.stamp;
                }
                self.record.commit = t.stamp;
                self.record.admin_epoch = t.cib.version().admin_epoch;
            }
            self.visible_at = t.stamp;
            if t.cib != self.visible || t.durable {
                let before = std::mem::replace(&mut self.visible, t.cib.clone());
                self.out.push(GroupAction::Visible(Visible {
                    cib: t.cib.clone(),
                    before,
                    at: t.stamp,
                    by_entry: true,
                    by: t.rid,
                    durable: t.durable,
                }));
            }
            if let Some((rid, answer)) = void {
                self.send(rid.origin, Message::Reply { rid, answer });
            } else if let Some(rid) = t.rid.filter(|r| r.origin == self.config.id) {
                self.on_own_committed(rid, &t);
            }
        }
    }

    /// R9.12: everybody's state is there, or has had a dead time to come.
    fn poll_status(&mut self) {
        if !matches!(self.phase, Phase::Active) {
            return;
        }
        let Some(view) = &mut self.view else { return };
        if !view.status_done && (view.unannounced.is_empty() || self.now >= view.status_until) {
            view.status_done = true;
            let id = view.id;
            self.event(GroupEvent::StatusComplete { view: id });
        }
    }

    /// R16.6: a member whose disk does not keep up is left out rather than waited for.
    fn poll_laggards(&mut self) {
        let deadtime = self.config.deadtime;
        let me = self.config.id;
        let Some(view) = self.view.as_ref().filter(|v| !v.frozen && v.broken.is_none()) else { return };
        if !matches!(self.phase, Phase::Active) {
            return;
        }
        let Some(oldest) = view.tentative.front() else { return };
        let late: Vec<NodeId> = if view.dc == me && self.now >= oldest.since + deadtime {
            let n = oldest.stamp.n;
            let late = view.acks.iter().filter(|(id, acked)| **id != me && **acked < n).map(|(id, _)| *id);
            // A long update that is still getting on to it is no fault of its disk.
            late.filter(|id| !self.still_sending(*id)).collect()
        } else if view.dc != me
            && self.now >= oldest.since.max(view.dc_alive) + deadtime * 2
            && view.acknowledgeable() >= oldest.stamp.n
        {
            vec![view.dc]
        } else {
            return;
        };
        for id in late {
            self.hold_down(id, SLOW_DISK);
            self.break_view(format!("the disk of {} does not keep up", self.name_of(id)));
        }
    }

    pub(super) fn update_deadline(&self) -> Option<Duration> {
        let view = self.view.as_ref().filter(|_| matches!(self.phase, Phase::Active))?;
        let status = (!view.status_done).then_some(view.status_until);
        let laggard = view.tentative.front().filter(|_| view.broken.is_none()).map(|t| {
            let dc = view.dc == self.config.id;
            let at = if dc { t.since } else { t.since.max(view.dc_alive) };
            at + self.config.deadtime * if dc { 1 } else { 2 }
        });
        let impaired = self.disk.impaired_at(self.config.deadtime).filter(|t| *t > self.now);
        [status, laggard, impaired].into_iter().flatten().min()
    }
}
