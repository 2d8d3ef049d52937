//! The DC's side of updates: requests in turn, evaluated, numbered, sent (R12.1, R12.14, R13.3).

use std::collections::VecDeque;

use super::message::{Answer, Request};
use super::*;
use crate::replication::entry::{Entry, Op};
use crate::replication::table::Known;
use crate::sabotage::{self, Rule};

/// Entries of a view that are not committed yet (R12.12).
const WINDOW: usize = 256;
const WINDOW_BYTES: usize = 4 << 20;
/// Requests of one origin waiting at the DC (R18.1).
const QUEUE_LIMIT: usize = 64;

impl Group {
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
    pub(super) fn sequence(&mut self) {
        for _ in 0..4096 {
            if !self.is_dc() {
                return; // not active, frozen, suspended or not the DC
            }
            let Some(view) = &mut self.view else { return };
            let bytes: usize = view.tentative.iter().map(|t| t.bytes).sum();
            if view.tentative.len() >= WINDOW || bytes >= WINDOW_BYTES || view.broken.is_some() {
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
    pub(super) fn decide(&mut self, request: Request) {
        let rid = request.rid;
        let Some(view) = &self.view else { return };
        for known in [self.state.durable.table.known(rid), self.state.volatile.known(rid)] {
            let answer = match known {
                Known::At(stamp) => Answer::At(stamp),
                Known::Refused(_) => refused_before(),
                Known::Passed | Known::New => continue,
            };
            self.send(rid.origin, Message::Reply { rid, answer });
            return;
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
    pub(super) fn refuse(&mut self, request: &Request, answer: Answer) {
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

    pub(super) fn evaluate(&self, request: &Request) -> Result<(Option<Op>, Option<Op>), (i32, String)> {
        match &request.change {
            Change::Cib(change) => {
                let cib = super::client::apply_change(&self.state.cib(), change)?;
                let (durable, volatile) = self.state.changes_to(cib.root());
                Ok((durable.map(|op| self.with_facts(op)), volatile.map(|op| self.with_facts(op))))
            }
            Change::AddNode { .. } | Change::RemoveNode { .. } => self.evaluate_nodes(&request.change),
            Change::Conflict(conflict) => Ok((Some(Op::Conflict(conflict.clone())), None)),
            Change::DismissConflict { tip } => Ok((Some(Op::Dismiss(*tip)), None)),
        }
    }

    /// Facts of the view on the root are the group's own (R15.4).
    pub(super) fn with_facts(&self, op: Op) -> Op {
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

    /// A new entry of this DC: applied here, on its way to the disk and to all members.
    pub(super) fn append(&mut self, op: Op, request: Option<&Request>) {
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
        let n = entry.stamp.n;
        self.send_members(&Message::Update { entry: Box::new(entry), commit });
        self.digest_after(n);
    }
}

/// What an earlier DC refused; its words are not kept.
pub(super) fn refused_before() -> Answer {
    Answer::Rejected { code: super::client::CODE_STALE, text: super::client::REFUSED_BEFORE.to_owned() }
}

/// Exit codes on the wire: as unsigned, two's complement.
pub(super) fn encode_code(code: i32) -> u64 {
    u64::from(u32::from_ne_bytes(code.to_ne_bytes()))
}
