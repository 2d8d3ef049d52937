//! The node's own clients: requests until their outcome, reads, the clean leave (§13, §14, R16.8).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cib::Cib;

use super::message::{Answer, Message, Request};
use super::update::Tentative;
use super::{
    Change, Conflict, Group, GroupAction, Level, Outcome, Phase, ReadAnswer, ReadMode, RequestOptions,
};
use crate::replication::table::Known;
use crate::sabotage::{self, Rule};
use crate::seam::{LinkCommand, NodeId, RequestId, Stamp, ViewId};

/// Requests without outcome at one node (R18.1).
const PENDING_LIMIT: usize = 256;
/// Requests of this node on their way to the DC at a time: what its queue per origin holds.
const IN_FLIGHT: usize = 64;
/// Reads that wait (R18.1).
const READ_LIMIT: usize = 1024;
/// Client tokens of requests remembered beyond their outcome.
const DEFAULT_PATIENCE: Duration = Duration::from_secs(60);
/// Exit code of "the update was older than the configuration".
pub const CODE_STALE: u64 = 103;
pub const REFUSED_BEFORE: &str = "refused by an earlier leader of the cluster";

#[derive(Debug, Clone)]
struct Pending {
    /// `None`: the group's own, nobody waits for it.
    token: Option<u64>,
    change: Change,
    options: RequestOptions,
    /// View of this node when it was asked, where it is of no use in another.
    only: Option<ViewId>,
    /// View it was sent in last.
    sent: Option<ViewId>,
    resent: bool,
    /// Where it is in the history, once known.
    at: Option<Stamp>,
    deadline: Duration,
}

#[derive(Debug, Clone)]
struct Waiting {
    token: u64,
    mode: ReadMode,
    until: Duration,
    /// For a confirmed read: number that must be visible, in which view, and who answered the probe.
    probe: Option<Probe>,
}

#[derive(Debug, Clone)]
struct Probe {
    view: ViewId,
    k: u64,
    acked: u64,
    missing: BTreeSet<NodeId>,
}

/// What this node's clients wait for.
#[derive(Debug, Clone, Default)]
pub struct Client {
    seq: u64,
    pending: BTreeMap<u64, Pending>,
    reads: Vec<Waiting>,
    probes: u64,
}

impl Group {
    pub(super) fn on_client_request(&mut self, token: u64, change: Change, options: RequestOptions) {
        if matches!(self.phase, Phase::DiskFailed) {
            let outcome = Outcome::NoQuorum { why: "the disk of this node failed".into() };
            self.out.push(GroupAction::Reply { token, outcome });
            return;
        }
        if self.client.pending.len() >= PENDING_LIMIT
            || matches!(self.phase, Phase::Leaving { .. } | Phase::Gone)
        {
            self.out.push(GroupAction::Reply { token, outcome: Outcome::Busy });
            return;
        }
        self.submit(Some(token), change, options);
    }

    /// R9.9: the merge that this node lost is made known to everybody.
    pub(super) fn submit_report(&mut self, conflict: Conflict) {
        let waiting =
            self.client.pending.values().any(|p| matches!(&p.change, Change::Conflict(c) if *c == conflict));
        let known =
            self.state.durable.conflicts.iter().any(|c| c.tip == conflict.tip && c.holder == conflict.holder);
        if known {
            self.report = None;
        } else if !waiting {
            self.submit(None, Change::Conflict(conflict), RequestOptions::default());
        }
    }

    fn submit(&mut self, token: Option<u64>, change: Change, options: RequestOptions) {
        self.client.seq += 1;
        let deadline = self.now + options.patience.unwrap_or(DEFAULT_PATIENCE);
        let only = options.this_view.then(|| self.view.as_ref().map(|v| v.id).unwrap_or_default());
        self.client.pending.insert(
            self.client.seq,
            Pending { token, change, options, only, sent: None, resent: false, at: None, deadline },
        );
        self.send_pending();
    }

    /// R13.1, R13.4: in the order of their numbers, each once in a view.
    fn send_pending(&mut self) {
        let Some(view) = self.view.as_ref().filter(|v| matches!(self.phase, Phase::Active) && !v.frozen)
        else {
            return;
        };
        let (view_id, dc) = (view.id, view.dc);
        let stale = |p: &Pending| p.at.is_none() && p.only.is_some_and(|only| only != view_id);
        let stale: Vec<u64> = self.client.pending.iter().filter(|(_, p)| stale(p)).map(|(s, _)| *s).collect();
        for seq in stale {
            self.finish_pending(seq, Outcome::Unknown);
        }
        let acked_below = self.client.pending.keys().next().copied().unwrap_or(self.client.seq + 1);
        let mut flying = self.client.pending.values().filter(|p| p.sent == Some(view_id)).count();
        let mut ready = Vec::new();
        for (seq, p) in &mut self.client.pending {
            if p.sent == Some(view_id) || p.at.is_some() {
                continue;
            }
            if flying >= IN_FLIGHT {
                break;
            }
            p.resent |= p.sent.is_some();
            p.sent = Some(view_id);
            flying += 1;
            ready.push(Request {
                rid: RequestId { origin: self.config.id, boot: self.config.incarnation.boot, seq: *seq },
                change: p.change.clone(),
                options: p.options,
                acked_below,
                resent: p.resent,
            });
        }
        for request in ready {
            self.send(dc, Message::Request { view: view_id, request: Box::new(request) });
        }
    }

    /// R13.4: after an activation, the base is asked first.
    pub(super) fn resolve_pending(&mut self) {
        let Some(view) = &self.view else { return };
        let writable = view.writable || sabotage::out(Rule::InheritedWithQuorum);
        let seqs: Vec<u64> = self.client.pending.keys().copied().collect();
        for seq in seqs {
            let rid = RequestId { origin: self.config.id, boot: self.config.incarnation.boot, seq };
            let durable = self.state.durable.table.known(rid);
            let volatile = self.state.volatile.known(rid);
            match (durable, volatile) {
                // R12.8: what was inherited is committed by the activation of a writable view.
                (Known::At(stamp), _) if writable => self.finish_pending(seq, self.done(stamp, false)),
                (Known::At(stamp), _) => {
                    if let Some(p) = self.client.pending.get_mut(&seq) {
                        p.at = Some(stamp);
                    }
                }
                (Known::Refused(_), _) if writable => {
                    let text = REFUSED_BEFORE.to_owned();
                    self.finish_pending(seq, Outcome::Rejected { code: 103, text });
                }
                (_, Known::At(stamp)) => self.finish_pending(seq, self.done(stamp, false)),
                (Known::Refused(_) | Known::Passed | Known::New, _) => {
                    if let Some(p) = self.client.pending.get_mut(&seq) {
                        p.at = None;
                    }
                }
            }
        }
        self.send_pending();
    }

    fn done(&self, stamp: Stamp, without_quorum: bool) -> Outcome {
        Outcome::Done { stamp, version: self.visible.version(), without_quorum }
    }

    fn finish_pending(&mut self, seq: u64, outcome: Outcome) {
        if let Some(p) = self.client.pending.remove(&seq) {
            if let Some(token) = p.token {
                self.out.push(GroupAction::Reply { token, outcome });
            } else if matches!(p.change, Change::Conflict(_)) && matches!(outcome, Outcome::Done { .. }) {
                self.report = None;
            }
        }
    }

    /// An entry of this node's own request is committed in the active view.
    pub(super) fn on_own_committed(&mut self, rid: RequestId, entry: &Tentative) {
        let Some(view) = &self.view else { return };
        // R12.8: acknowledged only where the view may write, or by order.
        if entry.durable && !view.writable && !entry.forced {
            if let Some(p) = self.client.pending.get_mut(&rid.seq) {
                p.at = Some(entry.stamp);
            }
            return;
        }
        if rid.boot == self.config.incarnation.boot {
            let outcome = Outcome::Done {
                stamp: entry.stamp,
                version: entry.cib.version(),
                without_quorum: entry.forced,
            };
            // A Void of this request is committed too: its refusal is on the way (R13.3).
            if !entry.void {
                self.finish_pending(rid.seq, outcome);
            }
        }
    }

    pub(super) fn on_answer(&mut self, rid: RequestId, answer: Answer) {
        if rid.origin != self.config.id || rid.boot != self.config.incarnation.boot {
            return;
        }
        let Some(p) = self.client.pending.get_mut(&rid.seq) else { return };
        match answer {
            Answer::At(stamp) => {
                p.at = Some(stamp);
                let view = self.view.as_ref();
                let committed = view
                    .is_some_and(|v| if stamp.view == v.id { stamp.n <= v.committed } else { v.writable });
                if committed {
                    self.finish_pending(rid.seq, self.done(stamp, false));
                }
            }
            Answer::Rejected { code, text } => {
                let code = i32::try_from(u32::try_from(code).unwrap_or(1)).unwrap_or(1);
                self.finish_pending(rid.seq, Outcome::Rejected { code, text });
            }
            // Certain only if no earlier DC can have taken it; otherwise it waits for a view that
            // may write, or for its deadline.
            Answer::NoQuorum { why } => {
                if !p.resent {
                    self.finish_pending(rid.seq, Outcome::NoQuorum { why });
                }
            }
            Answer::Busy => {
                if p.resent {
                    p.sent = None;
                } else {
                    self.finish_pending(rid.seq, Outcome::Busy);
                }
            }
        }
    }

    /// R13.5: by token.
    pub(super) fn on_outcome(&mut self, token: u64, ident: [u8; 16]) {
        let writable = self.live().is_some_and(|v| v.writable);
        let found =
            self.state.durable.table.ident(ident).filter(|s| {
                writable && self.view.as_ref().is_some_and(|v| s.view != v.id || s.n <= v.committed)
            });
        let outcome = found.map_or(Outcome::Unknown, |stamp| self.done(stamp, false));
        self.out.push(GroupAction::Reply { token, outcome });
    }

    pub(super) fn on_read(&mut self, token: u64, mode: ReadMode) {
        if matches!(mode, ReadMode::Local) {
            let answer = self.read_now();
            self.out.push(GroupAction::Read { token, answer });
            return;
        }
        if self.client.reads.len() >= READ_LIMIT {
            let answer = ReadAnswer::Unavailable { why: "too many reads are waiting" };
            self.out.push(GroupAction::Read { token, answer });
            return;
        }
        let until = self.now + self.config.deadtime;
        self.client.reads.push(Waiting { token, mode, until, probe: None });
        self.poll_reads();
    }

    fn read_now(&self) -> ReadAnswer {
        let live = self.live();
        ReadAnswer::Is {
            cib: self.visible.clone(),
            at: self.visible_at,
            leased: live.is_some(),
            writable: live.is_some_and(|v| v.writable),
        }
    }

    /// R14.1.
    fn poll_reads(&mut self) {
        if self.client.reads.is_empty() {
            return;
        }
        let now = self.now;
        let live = self.live().map(|v| (v.id, v.acked.max(v.committed), v.committed));
        let others: BTreeSet<NodeId> = self
            .view
            .as_ref()
            .map(|v| v.members.iter().map(|m| m.id).filter(|id| *id != self.config.id).collect())
            .unwrap_or_default();
        let mut reads = std::mem::take(&mut self.client.reads);
        let mut probes = Vec::new();
        let mut answered = Vec::new();
        reads.retain_mut(|read| {
            if let Some((view, acked, committed)) = live {
                match read.mode {
                    ReadMode::Local | ReadMode::Leased => {
                        answered.push(read.token);
                        return false;
                    }
                    ReadMode::Confirmed => {
                        let probe = read.probe.get_or_insert_with(|| Probe {
                            view: ViewId::default(),
                            k: 0,
                            acked: 0,
                            missing: BTreeSet::new(),
                        });
                        if probe.view != view {
                            self.client.probes += 1;
                            let k = self.client.probes;
                            *probe = Probe { view, k, acked, missing: others.clone() };
                            probes.push((view, k));
                        }
                        if probe.missing.is_empty() && committed >= probe.acked {
                            answered.push(read.token);
                            return false;
                        }
                    }
                }
            }
            if now >= read.until {
                self.out.push(GroupAction::Read {
                    token: read.token,
                    answer: ReadAnswer::Unavailable { why: "this node is not in touch with the others" },
                });
                return false;
            }
            true
        });
        self.client.reads = reads;
        for token in answered {
            let answer = self.read_now();
            self.out.push(GroupAction::Read { token, answer });
        }
        for (view, k) in probes {
            self.send_members(&Message::Probe { view, k });
        }
    }

    pub(super) fn on_probe(&mut self, from: NodeId, view: ViewId, k: u64) {
        let unpromised = matches!(self.phase, Phase::Active)
            && self.view.as_ref().is_some_and(|v| v.id == view && !v.frozen);
        if unpromised {
            self.send(from, Message::ProbeOk { view, k });
        }
    }

    pub(super) fn on_probe_ok(&mut self, from: NodeId, view: ViewId, k: u64) {
        for read in &mut self.client.reads {
            if let Some(probe) = read.probe.as_mut().filter(|p| p.view == view && p.k == k) {
                probe.missing.remove(&from);
            }
        }
    }

    pub(super) fn poll_client(&mut self) {
        self.send_pending();
        let now = self.now;
        let late: Vec<(u64, Outcome)> = self
            .client
            .pending
            .iter()
            .filter(|(_, p)| p.token.is_some() && now >= p.deadline)
            // Never sent: certainly not applied.
            .map(|(seq, p)| (*seq, if p.sent.is_some() { Outcome::Unknown } else { Outcome::Busy }))
            .collect();
        for (seq, outcome) in late {
            self.finish_pending(seq, outcome);
        }
        self.poll_reads();
    }

    pub(super) fn client_deadline(&self) -> Option<Duration> {
        let pending = self.client.pending.values().filter(|p| p.token.is_some()).map(|p| p.deadline);
        pending.chain(self.client.reads.iter().map(|r| r.until)).min()
    }

    /// R16.8: what this node led is finished first, then everybody is told.
    pub(super) fn on_leave(&mut self) {
        if matches!(self.phase, Phase::Leaving { .. } | Phase::Gone) {
            return;
        }
        self.log(Level::Info, "leaving the cluster");
        let until = self.now + self.config.deadtime * 2;
        if let Phase::Proposing(_) = self.phase {
            self.phase = Phase::Seeking;
        }
        self.phase = Phase::Leaving { until, handed_over: false };
        self.beat_now = true;
        self.poll_leaving();
    }

    /// The tail is committed, or cannot be: say goodbye, and go when the others went on.
    pub(super) fn poll_leaving(&mut self) {
        let Phase::Leaving { handed_over, .. } = &mut self.phase else { return };
        let done =
            self.view.as_ref().is_none_or(|v| v.tentative.is_empty() || v.frozen || v.broken.is_some());
        if !*handed_over && done {
            *handed_over = true;
            let members: Vec<NodeId> = self
                .view
                .as_ref()
                .map(|v| v.members.iter().map(|m| m.id).filter(|id| *id != self.config.id).collect())
                .unwrap_or_default();
            let last = members.is_empty();
            self.record.clean = true;
            self.record.was_alone = last && self.view.as_ref().is_some_and(|v| v.writable);
            self.disk.push(super::disk::Job::Meta { ceiling: self.record.ceiling });
            for peer in self.edges.peers().filter(|p| p.session).map(|p| p.id).collect::<Vec<_>>() {
                self.send(peer, Message::Bye { reason: super::BYE_LEFT.into() });
            }
        }
        let Phase::Leaving { handed_over: true, .. } = &self.phase else { return };
        let mine = self.view.as_ref().map(|v| v.id).unwrap_or_default();
        let gone_on = self.view.as_ref().is_none_or(|v| {
            v.members
                .iter()
                .filter(|m| m.id != self.config.id)
                .all(|m| self.edges.peer(m.id).is_none_or(|p| p.info.view > mine || !self.edges.up(m.id)))
        });
        if gone_on && self.disk.idle() {
            self.finish_leaving();
        }
    }

    pub(super) fn finish_leaving(&mut self) {
        self.give_up_view();
        self.phase = Phase::Gone;
        let tokens: Vec<u64> = self.client.pending.values().filter_map(|p| p.token).collect();
        self.client.pending.clear();
        for token in tokens {
            self.out.push(GroupAction::Reply { token, outcome: Outcome::Unknown });
        }
        self.out.push(GroupAction::Link(LinkCommand::Leave));
        self.out.push(GroupAction::Left);
    }
}

/// Evaluates a change of the CIB.
/// # Errors
/// Exit code and sentence; nothing changed.
pub fn apply_change(cib: &Cib, change: &cib::Request) -> Result<Cib, (i32, String)> {
    cib::apply(cib, change).map(|a| a.cib).map_err(|e| (i32::from(e.code.exit()), e.to_string()))
}
