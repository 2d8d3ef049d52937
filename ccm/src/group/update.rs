//! Updates within a view: numbered by the DC, acknowledged when on disk, visible when committed
//! by every member (protocol §12).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use cib::Cib;

use super::disk::Job;
use super::message::{Answer, Install, Message, Request};
use super::record::entry_bytes;
use super::{Change, Group, GroupAction, GroupEvent, Level, Phase, Visible};
use crate::membership::info::Score;
use crate::membership::quorum::{Electorate, Voter};
use crate::replication::entry::{Entry, Op};
use crate::replication::table::Known;
use crate::sabotage::{self, Rule};
use crate::seam::{Incarnation, NodeId, RequestId, Stamp, ViewId};

use super::api::Member;

/// Entries of a view that are not committed yet (R12.12).
const WINDOW: usize = 256;
/// Requests of one origin waiting at the DC (R18.1).
const QUEUE_LIMIT: usize = 64;

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
    electorate: Option<Electorate>,
    since: Duration,
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
    commit_announced: u64,
    /// Last durable entry of this view known committed, else the end of its base.
    pub committed_durable: Stamp,
    pub committed_electorate: Option<Electorate>,
    pub tentative: VecDeque<Tentative>,
    /// Members whose state is not in the status section yet (R9.12).
    pub unannounced: BTreeSet<NodeId>,
    pub status_until: Duration,
    pub status_done: bool,
    /// Requests waiting for the DC's turn, by origin (R12.14).
    pub queue: BTreeMap<NodeId, VecDeque<Request>>,
    turn: NodeId,
    /// Refused in this view: the same answer to a repetition (R13.3).
    refused: BTreeMap<RequestId, Answer>,
    /// Refused repetitions whose answer waits for the commit of their Void (R13.3).
    voids: BTreeMap<u64, (RequestId, Answer)>,
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

    /// R15.1: the electorate is born in the first writable view; identities are filled in as nodes
    /// are seen, autojoin nodes get their vote.
    fn bind_electorate(&mut self) {
        let Some(view) = self.view.as_ref().filter(|v| v.writable) else { return };
        let present = &self.state.durable.electorate;
        let mut next = self.electorate();
        let mut changed = present.voters.is_empty();
        let mut renewed: Vec<String> = Vec::new();
        for m in &view.members {
            // R15.9: the node behind this name has lost its identity, and the old one is not here.
            if !next.voters.iter().any(|v| v.is(m.id, &m.name))
                && let Some(v) = next.voters.iter_mut().find(|v| replaces(v, m, &view.members))
            {
                v.id = Some(m.id);
                renewed.push(m.name.clone());
                changed = true;
            }
            match next.voters.iter_mut().find(|v| v.is(m.id, &m.name)) {
                Some(v) if v.id.is_none() => {
                    v.id = Some(m.id);
                    changed = true;
                }
                Some(_) => {}
                None if self.config.autojoin => {
                    next.voters.push(Voter { name: m.name.clone(), id: Some(m.id), votes: 1 });
                    changed = true;
                }
                None => {}
            }
        }
        if changed && view.held == 0 {
            next.voters.sort();
            next.number += 1;
            self.append(Op::Electorate(next), None);
            for name in renewed {
                let text = format!("node {name} has a new identity: it votes under this one from now on");
                self.log(Level::Warning, &text);
            }
        }
    }

    pub(super) fn on_request(&mut self, from: NodeId, view: ViewId, request: Request) {
        let Some(active) = self.view.as_mut() else { return };
        // R11.5: whoever addresses another view will ask again when it is in this one.
        if active.id != view || active.frozen || active.dc != self.config.id || request.rid.origin != from {
            return;
        }
        let queue = active.queue.entry(from).or_default();
        if queue.len() >= QUEUE_LIMIT {
            let rid = request.rid;
            self.send(from, Message::Reply { rid, answer: Answer::Busy });
            return;
        }
        queue.push_back(request);
    }

    /// The DC takes what waits, one of each origin in turn, as far as the window goes.
    fn sequence(&mut self) {
        for _ in 0..4096 {
            if !self.is_dc() {
                return; // not active, frozen, suspended or not the DC
            }
            let Some(view) = &mut self.view else { return };
            if view.tentative.len() >= WINDOW || view.broken.is_some() {
                return;
            }
            let next = view
                .queue
                .range((std::ops::Bound::Excluded(view.turn), std::ops::Bound::Unbounded))
                .chain(view.queue.iter())
                .find(|(_, q)| !q.is_empty())
                .map(|(origin, _)| *origin);
            let Some(origin) = next else { return };
            view.turn = origin;
            let Some(request) = view.queue.get_mut(&origin).and_then(VecDeque::pop_front) else { return };
            self.decide(request);
        }
    }

    /// R12.1, R13.3: sequence, or answer.
    fn decide(&mut self, request: Request) {
        let rid = request.rid;
        let Some(view) = &self.view else { return };
        if !sabotage::out(Rule::RequestTable) {
            let known = [self.state.durable.table.known(rid), self.state.volatile.known(rid)];
            for known in known {
                let answer = match known {
                    Known::At(stamp) => Answer::At(stamp),
                    Known::Refused(_) => refused_before(),
                    Known::Passed | Known::New => continue,
                };
                self.send(rid.origin, Message::Reply { rid, answer });
                return;
            }
        }
        if let Some(answer) = view.refused.get(&rid).cloned() {
            self.send(rid.origin, Message::Reply { rid, answer });
            return;
        }
        let passed = self.state.durable.table.known(rid) == Known::Passed;
        let ops = self.evaluate(&request);
        let writable = view.writable || request.options.force;
        let why = view.why.clone();
        match ops {
            Ok((None, None)) => self.append(
                Op::Status { delta: crate::replication::delta::Delta::Same, root: self.state.root.clone() },
                Some(&request),
            ),
            Ok((Some(_), _)) if passed => {
                // A later request of this origin is in the history and this one is not: it was
                // refused before, for certain.
                self.refuse(&request, refused_before());
            }
            Ok((Some(_), _)) if !writable => {
                let answer = Answer::NoQuorum { why };
                self.send(rid.origin, Message::Reply { rid, answer });
            }
            Ok((Some(durable), volatile)) => {
                self.append(durable, Some(&request));
                if let Some(op) = volatile {
                    self.append(op, None);
                }
            }
            Ok((None, Some(op))) => self.append(op, Some(&request)),
            Err((code, text)) => self.refuse(&request, Answer::Rejected { code: encode_code(code), text }),
        }
    }

    /// R13.3: an earlier DC may have sequenced a repetition; a Void makes the refusal certain.
    fn refuse(&mut self, request: &Request, answer: Answer) {
        let rid = request.rid;
        let writable = self.view.as_ref().is_some_and(|v| v.writable);
        if request.resent && writable && !sabotage::out(Rule::Void) {
            self.append(Op::Void, Some(request));
            if let Some(view) = &mut self.view {
                view.voids.insert(view.held, (rid, answer));
            }
            return;
        }
        if let Some(view) = &mut self.view {
            view.refused.insert(rid, answer.clone());
            if view.refused.len() > 1024 {
                view.refused.pop_first();
            }
        }
        self.send(rid.origin, Message::Reply { rid, answer });
    }

    fn evaluate(&self, request: &Request) -> Result<(Option<Op>, Option<Op>), (i32, String)> {
        match &request.change {
            Change::Cib(change) => {
                let cib = super::client::apply_change(&self.state.cib(), change)?;
                let (durable, volatile) = self.state.changes_to(cib.root());
                Ok((durable.map(|op| self.with_facts(op)), volatile.map(|op| self.with_facts(op))))
            }
            Change::AddNode { name, votes } => {
                let mut next = self.changeable_electorate()?;
                match next.voters.iter_mut().find(|v| v.name.eq_ignore_ascii_case(name)) {
                    Some(v) => v.votes = u64::from(*votes),
                    None => {
                        let id = self.edges.peers().find(|p| p.name.eq_ignore_ascii_case(name)).map(|p| p.id);
                        next.voters.push(Voter { name: name.clone(), id, votes: u64::from(*votes) });
                    }
                }
                self.electorate_op(next)
            }
            Change::RemoveNode { name } => {
                let mut next = self.changeable_electorate()?;
                let member = self
                    .view
                    .as_ref()
                    .is_some_and(|v| v.members.iter().any(|m| m.name.eq_ignore_ascii_case(name)));
                if member {
                    return Err((16, format!("node {name} is a member: stop the cluster there first")));
                }
                let before = next.voters.len();
                next.voters.retain(|v| !v.name.eq_ignore_ascii_case(name));
                if next.voters.len() == before {
                    return Err((6, format!("no node is called {name}")));
                }
                self.electorate_op(next)
            }
            Change::Conflict(conflict) => Ok((Some(Op::Conflict(conflict.clone())), None)),
            Change::DismissConflict { tip } => Ok((Some(Op::Dismiss(*tip)), None)),
        }
    }

    /// Facts of the view on the root are the group's own (R15.4).
    fn with_facts(&self, op: Op) -> Op {
        let keep = |root: Vec<(String, String)>| {
            let mut root: Vec<(String, String)> =
                root.into_iter().filter(|(k, _)| k == "num_updates").collect();
            root.extend(self.state.root.iter().filter(|(k, _)| k != "num_updates").cloned());
            root
        };
        match op {
            Op::Config { delta, root } => Op::Config { delta, root: keep(root) },
            Op::Status { delta, root } => Op::Status { delta, root: keep(root) },
            other => other,
        }
    }

    /// R15.8: one change at a time.
    fn changeable_electorate(&self) -> Result<Electorate, (i32, String)> {
        let view = self.view.as_ref();
        if view.is_some_and(|v| v.committed_electorate.as_ref() != Some(&self.electorate())) {
            return Err((16, "another change of the nodes is not finished".into()));
        }
        Ok(self.electorate())
    }

    /// R15.8: only when the view has quorum in the new electorate too.
    fn electorate_op(&self, mut next: Electorate) -> Result<(Option<Op>, Option<Op>), (i32, String)> {
        next.voters.sort();
        next.number += 1;
        let Some(view) = &self.view else { return Err((16, "no view".into())) };
        let votes: u64 = view.members.iter().filter_map(|m| next.voter(m.id, &m.name)).map(|v| v.votes).sum();
        if votes * 2 <= next.votes() {
            return Err((16, "the members present would have no majority among those nodes".into()));
        }
        Ok((Some(Op::Electorate(next)), None))
    }

    /// A new entry of this DC: applied here, on its way to the disk and to all members.
    fn append(&mut self, op: Op, request: Option<&Request>) {
        let Some(view) = &self.view else { return };
        let mut entry = Entry {
            stamp: Stamp { view: view.id, n: view.held + 1 },
            rid: request.map(|r| r.rid),
            acked_below: request.map_or(0, |r| r.acked_below),
            ident: request.and_then(|r| r.options.ident),
            forced: request.is_some_and(|r| r.options.force) && !view.writable,
            announce: request.is_some_and(|r| r.options.announce),
            exclusive: view.exclusive,
            op,
            h: [0; 32],
        };
        entry.h = entry.chain(&self.state.durable.lineage.h());
        if let Err(error) = self.hold(&entry) {
            self.log(Level::Error, format!("an own change does not apply: {error}"));
            return;
        }
        let commit = self.view.as_ref().map_or(0, |v| v.committed);
        if let Some(view) = &mut self.view {
            view.commit_announced = view.commit_announced.max(commit);
        }
        self.send_members(&Message::Update { entry: Box::new(entry), commit });
    }

    /// Applies an entry to the newest state and sends it to the disk.
    fn hold(&mut self, entry: &Entry) -> Result<(), crate::replication::entry::ApplyError> {
        self.state.apply(entry)?;
        let cib = self.state.cib();
        let durable = entry.op.durable();
        let Some(view) = &mut self.view else { return Ok(()) };
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
            since: self.now,
        });
        if durable {
            view.unsynced.push_back(entry.stamp.n);
            let bytes = entry_bytes(entry);
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
        if self.view.as_ref().is_some_and(|v| v.id == view && v.dc == from) {
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
    fn commit_to(&mut self, n: u64) {
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
            view.acks.iter().filter(|(id, acked)| **id != me && **acked < n).map(|(id, _)| *id).collect()
        } else if view.dc != me
            && self.now >= oldest.since + deadtime * 2
            && view.acknowledgeable() >= oldest.stamp.n
        {
            vec![view.dc]
        } else {
            return;
        };
        for id in late {
            self.hold_down(id);
            self.break_view(format!("the disk of {} does not keep up", self.name_of(id)));
        }
    }

    pub(super) fn update_deadline(&self) -> Option<Duration> {
        let view = self.view.as_ref().filter(|_| matches!(self.phase, Phase::Active))?;
        let status = (!view.status_done).then_some(view.status_until);
        let laggard = view
            .tentative
            .front()
            .filter(|_| view.broken.is_none())
            .map(|t| t.since + self.config.deadtime * if view.dc == self.config.id { 1 } else { 2 });
        let impaired = self.disk.impaired_at(self.config.deadtime).filter(|t| *t > self.now);
        [status, laggard, impaired].into_iter().flatten().min()
    }
}

/// Whether `member` is this voter under a new identity: of its name, and the old identity is not here. (The link lets
/// nobody in under the name of a node that is alive: R3.4.)
fn replaces(voter: &Voter, member: &Member, members: &[Member]) -> bool {
    let old = voter.id.filter(|old| *old != member.id);
    old.is_some_and(|old| members.iter().all(|m| m.id != old))
        && voter.name.eq_ignore_ascii_case(&member.name)
}

/// What an earlier DC refused; its words are not kept.
fn refused_before() -> Answer {
    Answer::Rejected { code: super::client::CODE_STALE, text: super::client::REFUSED_BEFORE.to_owned() }
}

/// Exit codes on the wire: as unsigned, two's complement.
fn encode_code(code: i32) -> u64 {
    u64::from(u32::from_ne_bytes(code.to_ne_bytes()))
}
