//! Fencing: the DC decides who uses which device against whom, the node chosen runs the agent, and
//! everybody keeps the history.
//!
//! ```text
//!  Fence ─▶ ways (topology levels, or one device after the other)
//!             └▶ device ─▶ node that may use it ── Fence ─▶ check (list, status) ─▶ delay ─▶ agent
//!                  ▲  next node, next device, next level ◀── FenceResult, rc ≠ 0 ──────┘
//!                  └──────────────── rc 0 of all devices of one way ─▶ Ended (success)
//! ```
//!
//! Nobody is taken for dead because something timed out: only an agent's success counts, or the word of
//! an administrator (specification `agents.md` §6.3.12).

mod devices;
mod interface;
mod local;
mod operation;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ccm::bus::BusAddress;
use ccm::group::Level;
use ccm::seam::{Incarnation, NodeId};
use cib::Cib;

use crate::message::{FenceRecord, Message};
use crate::now::Now;

pub use devices::{Check, Device, Registry};
pub use interface::{Call, FencingAction, FencingEvent, Members, Requester};
use local::Jobs;
use operation::Operation;

/// Result codes as the commands show them (specification `agents.md` §6.3.14).
pub const NO_DEVICE: i32 = 105;
pub const TIMED_OUT: i32 = 124;
pub const FAILED: i32 = 1;

/// Answers remembered, in case the end of a view swallows them.
const SENT: usize = 32;
/// Entries that newcomers are told.
const NEWEST: usize = 100;
/// Why a node does not use a device.
const LEFT_BEHIND: &str = "this node may have been left behind";
/// History entries kept; beyond, half of them go.
const HISTORY: usize = 500;

/// The machine.
#[derive(Debug)]
pub struct Fencing {
    id: NodeId,
    inc: Incarnation,
    name: String,
    seed: u64,
    cib: Cib,
    registry: Registry,
    members: Option<Members>,
    suspended: bool,
    operations: BTreeMap<u64, Operation>,
    next: u64,
    jobs: Jobs,
    /// Answers given lately: to whom, number, result, reason.
    sent: VecDeque<(NodeId, u64, i32, String)>,
    /// Answers that the end of a view swallowed.
    unsent: Vec<(NodeId, u64, i32, String)>,
    /// The members of the view before.
    told: BTreeMap<String, Incarnation>,
    /// News that the end of a view swallowed.
    unsent_news: Vec<FenceRecord>,
    /// The last known start of every node that was ever a member.
    known: BTreeMap<String, Incarnation>,
    history: Arc<Vec<FenceRecord>>,
    /// What the DC last said it has under way.
    pending: Arc<Vec<FenceRecord>>,
}

impl Fencing {
    /// `seed` decides about random delays.
    pub fn new(id: NodeId, inc: Incarnation, name: &str, seed: u64) -> Self {
        Self {
            id,
            inc,
            name: name.to_owned(),
            seed,
            cib: Cib::empty(),
            registry: Registry::default(),
            members: None,
            suspended: false,
            operations: BTreeMap::new(),
            // Another beginning in every start: an answer to this node before its restart is none to it now.
            next: inc.boot >> 1,
            jobs: Jobs::default(),
            sent: VecDeque::new(),
            unsent: Vec::new(),
            told: BTreeMap::new(),
            unsent_news: Vec::new(),
            known: BTreeMap::new(),
            history: Arc::new(Vec::new()),
            pending: Arc::new(Vec::new()),
        }
    }

    /// Operations that have ended, oldest first.
    pub fn history(&self) -> Arc<Vec<FenceRecord>> {
        self.history.clone()
    }

    /// Operations that the DC has under way, with result and time 0; a delegate where one was asked.
    pub fn pending(&self) -> Arc<Vec<FenceRecord>> {
        self.pending.clone()
    }

    /// When [`FencingEvent::Wake`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        let operations = self.operations.values().map(|o| o.deadline).min();
        [operations, self.jobs.deadline()].into_iter().flatten().min()
    }

    /// One step.
    pub fn handle(&mut self, now: Now, event: FencingEvent, out: &mut Vec<FencingAction>) {
        let new_view = matches!(event, FencingEvent::View(_));
        self.step(now, event, out);
        self.tell_pending(new_view, out);
    }

    fn step(&mut self, now: Now, event: FencingEvent, out: &mut Vec<FencingAction>) {
        match event {
            FencingEvent::Visible(cib) => {
                let same = match (self.cib.configuration(), cib.configuration()) {
                    (Some(a), Some(b)) => a.ptr_eq(b),
                    _ => false,
                };
                if !same {
                    self.registry = Registry::read(&cib);
                }
                self.cib = cib;
            }
            FencingEvent::View(members) => self.enter(now, members, out),
            FencingEvent::Suspended(suspended) => {
                self.suspended = suspended;
                if suspended {
                    let answers = self.jobs.forget(|_| false, LEFT_BEHIND);
                    self.answer(now, answers, out);
                }
            }
            FencingEvent::Fence { requester, target, action, timeout, delay } => {
                self.begin(now, requester, target, action, timeout, delay, out);
            }
            FencingEvent::Confirm { asker, target } => {
                let record = FenceRecord {
                    inc: self.known.get(&target).copied(),
                    target,
                    action: "off".into(),
                    delegate: "a human".into(),
                    origin: self.name.clone(),
                    client: "stonith_admin".into(),
                    rc: 0,
                    reason: String::new(),
                    completed: now.wall,
                };
                let text = format!("an administrator vouches that {} is down", record.target);
                out.push(FencingAction::Log { level: Level::Warning, text });
                self.conclude(vec![Requester::Client(asker)], record, out);
            }
            FencingEvent::Message { from, message } => self.message(now, from, message, out),
            FencingEvent::Dropped { message } => match message {
                Message::Fence { id, .. } => {
                    self.result(now, id, FAILED, "the membership changed before the node answered", out);
                }
                Message::FenceResult { id, rc, reason } => {
                    let known =
                        self.sent.iter().rev().find(|(_, i, r, why)| (*i, *r, why) == (id, rc, &reason));
                    self.unsent.extend(known.cloned());
                }
                Message::FenceNews(record) => self.unsent_news.push(record),
                // Sent anew after every view.
                Message::FenceHistory(_) | Message::FencePending(_) => {}
                _ => {}
            },
            FencingEvent::Exited { job, outcome } => {
                let answers = self.jobs.exited(now.mono, job, &outcome, out);
                self.answer(now, answers, out);
            }
            FencingEvent::Wake => {
                let answers = self.jobs.wake(now.mono, out);
                self.answer(now, answers, out);
                let late: Vec<u64> =
                    self.operations.iter().filter(|(_, o)| o.deadline <= now.mono).map(|(n, _)| *n).collect();
                for id in late {
                    if let Some(operation) = self.operations.get_mut(&id) {
                        operation.rc = TIMED_OUT;
                        operation.reason = "timed out".into();
                        operation.ways.clear();
                        operation.steps.clear();
                    }
                    self.finish(now, id, out);
                }
            }
        }
    }

    fn enter(&mut self, now: Now, members: Option<Members>, out: &mut Vec<FencingAction>) {
        let gone: Vec<(u64, String)> = match &members {
            None => Vec::new(),
            Some(members) => self
                .operations
                .iter()
                .filter_map(|(id, o)| o.asked.clone().map(|node| (*id, node)))
                .filter(|(_, node)| !members.nodes.contains_key(node))
                .collect(),
        };
        if let Some(members) = &members {
            for (to, id, rc, reason) in std::mem::take(&mut self.unsent) {
                if to == members.dc {
                    let message = Message::FenceResult { id, rc, reason };
                    out.push(FencingAction::Send { to: BusAddress::Node(to), message });
                }
            }
        }
        // Who was away when it was ordered and is a member again is there to answer for itself: it is planned for anew.
        let back = members.as_ref().map(|m| self.back(m)).unwrap_or_default();
        let is_back = |target: &str| back.iter().any(|name| name.eq_ignore_ascii_case(target));
        if let Some(members) = &members {
            // A DC that is one no more has given up what it asked for, and waits for no answer.
            let spared = |order: &local::Order| order.action != "on" && is_back(&order.target);
            self.jobs.forget(|order| order.from == members.dc && !spared(order), LEFT_BEHIND);
            self.tell_history(members, out);
        }
        self.jobs.held = members.is_none();
        let was_dc = self.members.as_ref().is_some_and(|m| m.dc == self.id);
        let is_dc = members.as_ref().is_none_or(|m| m.dc == self.id);
        self.members = members;
        if was_dc && !is_dc {
            // The new DC decides anew; what an agent does at this moment cannot be taken back.
            let ids: Vec<u64> = self.operations.keys().copied().collect();
            for id in ids {
                if let Some(operation) = self.operations.get_mut(&id) {
                    operation.reason = "another node is the DC now".into();
                    operation.rc = FAILED;
                }
                self.finish(now, id, out);
            }
            return;
        }
        for (id, node) in gone {
            self.result(now, id, FAILED, &format!("{node} left the membership"), out);
        }
        let spared = self.operations.iter().filter(|(_, o)| o.takes_power() && is_back(&o.target));
        let spared: Vec<u64> = spared.map(|(id, _)| *id).collect();
        for id in spared {
            if let Some(operation) = self.operations.get_mut(&id) {
                operation.reason = format!("{} is a member again", operation.target);
                operation.rc = FAILED;
            }
            self.finish(now, id, out);
        }
    }

    /// The members that were none in the view before, or in another start. At the first view nobody has come back.
    fn back(&self, members: &Members) -> Vec<String> {
        let before = |(name, inc): &(&String, &Incarnation)| self.told.get(*name) == Some(inc);
        let new = members.incs.iter().filter(|member| !self.told.is_empty() && !before(member));
        new.map(|(name, _)| name.clone()).collect()
    }

    fn conclude(&mut self, requesters: Vec<Requester>, record: FenceRecord, out: &mut Vec<FencingAction>) {
        let result = if record.rc == 0 { "OK".to_owned() } else { record.reason.clone() };
        let text = format!(
            "Operation '{}' targeting {} by {} for {}@{}: {result} (complete)",
            record.action, record.target, record.delegate, record.client, record.origin
        );
        let level = if record.rc == 0 { Level::Info } else { Level::Error };
        out.push(FencingAction::Log { level, text });
        if record.rc == 0 && record.action != "on" {
            out.push(FencingAction::Down { target: record.target.clone() });
        }
        out.push(FencingAction::Send { to: BusAddress::All, message: Message::FenceNews(record.clone()) });
        for requester in requesters {
            out.push(FencingAction::Ended { requester, record: record.clone() });
        }
    }

    fn message(&mut self, now: Now, from: NodeId, message: Message, out: &mut Vec<FencingAction>) {
        match message {
            Message::Fence { id, device, target, action, timeout_ms, delay_ms } => {
                let dc = self.members.as_ref().map(|m| m.dc);
                let refusal = if dc != Some(from) {
                    Some("only the DC may order that")
                } else if self.suspended {
                    Some(LEFT_BEHIND)
                } else if target.eq_ignore_ascii_case(&self.name) {
                    Some("a node does not fence itself")
                } else {
                    None
                };
                let device = self.registry.device(&device).cloned();
                let answers = match (refusal, device) {
                    (Some(reason), _) => vec![(from, id, FAILED, reason.to_owned())],
                    (None, None) => vec![(from, id, NO_DEVICE, "no such device".to_owned())],
                    (None, Some(device)) => {
                        let order = local::Order {
                            from,
                            id,
                            target,
                            action,
                            timeout: Duration::from_millis(timeout_ms),
                            delay: Duration::from_millis(delay_ms),
                        };
                        let chance = self.chance();
                        self.jobs.begin(now.mono, device, order, chance, out)
                    }
                };
                self.answer(now, answers, out);
            }
            Message::FenceResult { id, rc, reason } => self.result(now, id, rc, &reason, out),
            Message::FenceNews(record) => self.learn(record, true, out),
            Message::FencePending(records) => {
                if self.members.as_ref().is_some_and(|m| m.dc == from && m.dc != self.id) {
                    self.pending = Arc::new(records);
                }
            }
            Message::FenceHistory(records) => {
                for record in records {
                    self.learn(record, false, out);
                }
            }
            _ => {}
        }
    }

    /// The DC says what it has under way, when that has changed and in every new view; elsewhere a new view
    /// begins with nothing known.
    fn tell_pending(&mut self, new_view: bool, out: &mut Vec<FencingAction>) {
        let Some(members) = &self.members else { return };
        if members.dc != self.id {
            if new_view {
                self.pending = Arc::default();
            }
            return;
        }
        let pending: Vec<FenceRecord> = self.operations.values().map(|o| o.record(&self.name)).collect();
        let told = !new_view || pending.is_empty();
        if told && pending == *self.pending {
            return;
        }
        self.pending = Arc::new(pending.clone());
        if members.nodes.len() > 1 {
            out.push(FencingAction::Send { to: BusAddress::All, message: Message::FencePending(pending) });
        }
    }

    /// Takes a record into the history, once. Late news of an earlier start of this node concern it no more.
    fn learn(&mut self, record: FenceRecord, live: bool, out: &mut Vec<FencingAction>) {
        if self.history.contains(&record) {
            return;
        }
        let this_start = record.inc.map_or(live, |inc| inc == self.inc);
        if record.rc == 0
            && record.action != "on"
            && record.target.eq_ignore_ascii_case(&self.name)
            && record.delegate != "a human"
            && this_start
        {
            out.push(FencingAction::FencedMyself { by: record.delegate.clone() });
        }
        let history = Arc::make_mut(&mut self.history);
        let at = history.partition_point(|known| known.completed <= record.completed);
        history.insert(at, record);
        if history.len() > HISTORY {
            history.drain(..HISTORY / 2);
        }
    }

    /// In a new view: what the last one swallowed, and for members that were not in it the newest of what is
    /// known; one of those who were in it together says that.
    fn tell_history(&mut self, members: &Members, out: &mut Vec<FencingAction>) {
        let before = std::mem::replace(&mut self.told, members.incs.clone());
        self.known.extend(members.incs.clone());
        let stayed = |name: &String| before.get(name) == members.incs.get(name);
        let first = members.incs.keys().find(|name| stayed(name)).is_none_or(|name| *name == self.name);
        let newcomers = members.incs.keys().any(|name| !stayed(name));
        let mut records = std::mem::take(&mut self.unsent_news);
        if newcomers && first {
            let newest = self.history.len().saturating_sub(NEWEST);
            records.extend(self.history.iter().skip(newest).cloned());
        }
        if !records.is_empty() && members.incs.len() > 1 {
            out.push(FencingAction::Send { to: BusAddress::All, message: Message::FenceHistory(records) });
        } else {
            for record in records {
                self.learn(record, false, out);
            }
        }
    }

    /// Tells the DC how it went. A DC that used its own device needs no bus for that, which is closed
    /// between views.
    fn answer(&mut self, now: Now, answers: Vec<local::Answer>, out: &mut Vec<FencingAction>) {
        for (to, id, rc, reason) in answers {
            if to == self.id {
                self.result(now, id, rc, &reason, out);
                continue;
            }
            self.sent.push_back((to, id, rc, reason.clone()));
            if self.sent.len() > SENT {
                self.sent.pop_front();
            }
            let message = Message::FenceResult { id, rc, reason };
            out.push(FencingAction::Send { to: BusAddress::Node(to), message });
        }
    }

    /// The next of the machine's random numbers (splitmix64).
    fn chance(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
