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
mod local;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ccm::bus::BusAddress;
use ccm::group::Level;
use ccm::seam::{Incarnation, NodeId};
use cib::{Cib, Element};
use lrm::AgentRef;
use lrm::class::stonith::FenceAction;

use crate::controller::Asker;
use crate::message::{FenceRecord, Message};
use crate::now::Now;
use crate::policy::graph::ActionId;

pub use devices::{Check, Device, Registry};
use local::Jobs;

/// Result codes as the commands show them (specification `agents.md` §6.3.14).
pub const NO_DEVICE: i32 = 105;
pub const TIMED_OUT: i32 = 124;
pub const FAILED: i32 = 1;

/// Answers remembered, in case the end of a view swallows them.
const SENT: usize = 32;
/// Entries that newcomers are told.
const NEWEST: usize = 100;
/// History entries kept; beyond, half of them go.
const HISTORY: usize = 500;

/// Who wants somebody fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Requester {
    /// An action of the plan in execution.
    Plan(ActionId),
    /// A client, of this node or another.
    Client(Asker),
}

/// What happens to the machine.
#[derive(Debug, Clone)]
pub enum FencingEvent {
    /// Another document is visible.
    Visible(Cib),
    /// A view is active: its members by name, and its DC. `None`: the old one decides nothing any more.
    View(Option<Members>),
    /// The lease lapsed, or came back (G10).
    Suspended(bool),
    Fence {
        requester: Requester,
        target: String,
        action: String,
        timeout: Duration,
        delay: Duration,
    },
    /// An administrator vouches that a node is down.
    Confirm {
        asker: Asker,
        target: String,
    },
    Message {
        from: NodeId,
        message: Message,
    },
    Dropped {
        message: Message,
    },
    /// What [`FencingAction::Run`] asked for has ended.
    Exited {
        job: u64,
        outcome: lrm::Outcome,
    },
    Wake,
}

/// The view as fencing needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Members {
    pub nodes: BTreeMap<String, NodeId>,
    /// Which start of each node it is.
    pub incs: BTreeMap<String, Incarnation>,
    pub dc: NodeId,
}

/// What the machine wants done.
#[derive(Debug, Clone)]
pub enum FencingAction {
    Send {
        to: BusAddress,
        message: Message,
    },
    /// Run a fence agent here; answer with [`FencingEvent::Exited`].
    Run {
        job: u64,
        call: Box<Call>,
    },
    /// An operation of this DC has ended.
    Ended {
        requester: Requester,
        record: FenceRecord,
    },
    /// A node is certainly down.
    Down {
        target: String,
    },
    /// Everybody's history says that this node was fenced, and yet it lives.
    FencedMyself {
        by: String,
    },
    Log {
        level: Level,
        text: String,
    },
}

/// One call of a fence agent, with everything it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    pub agent: AgentRef,
    pub action: FenceAction,
    pub params: BTreeMap<String, String>,
    /// Node, key and plug.
    pub target: Option<(String, Option<String>, String)>,
    pub timeout: Duration,
}

/// The machine.
#[derive(Debug)]
pub struct Fencing {
    id: NodeId,
    inc: Incarnation,
    name: String,
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
}

/// An operation this DC has decided on.
#[derive(Debug)]
struct Operation {
    requesters: Vec<Requester>,
    target: String,
    /// As it was asked for; `reboot` with several devices is done as `off`, then `on`.
    action: String,
    timeout: Duration,
    delay: Duration,
    deadline: Duration,
    ways: VecDeque<Vec<String>>,
    /// The devices of the present way that are still to be used, with their actions.
    steps: VecDeque<Step>,
    /// Nodes that were asked for the present step.
    tried: BTreeSet<String>,
    asked: Option<String>,
    delegate: String,
    reason: String,
    rc: i32,
}

#[derive(Debug, Clone)]
struct Step {
    device: String,
    action: String,
    /// Errors of the second half of a reboot do not count.
    must: bool,
}

impl Fencing {
    pub fn new(id: NodeId, inc: Incarnation, name: &str) -> Self {
        Self {
            id,
            inc,
            name: name.to_owned(),
            cib: Cib::empty(),
            registry: Registry::default(),
            members: None,
            suspended: false,
            operations: BTreeMap::new(),
            next: 1,
            jobs: Jobs::default(),
            sent: VecDeque::new(),
            unsent: Vec::new(),
            told: BTreeMap::new(),
            unsent_news: Vec::new(),
            known: BTreeMap::new(),
            history: Arc::new(Vec::new()),
        }
    }

    /// Operations that have ended, oldest first.
    pub fn history(&self) -> Arc<Vec<FenceRecord>> {
        self.history.clone()
    }

    /// When [`FencingEvent::Wake`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        let operations = self.operations.values().map(|o| o.deadline).min();
        [operations, self.jobs.deadline()].into_iter().flatten().min()
    }

    /// One step.
    pub fn handle(&mut self, now: Now, event: FencingEvent, out: &mut Vec<FencingAction>) {
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
            FencingEvent::Suspended(suspended) => self.suspended = suspended,
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
                Message::FenceHistory(_) => {}
                _ => {}
            },
            FencingEvent::Exited { job, outcome } => {
                let answer = self.jobs.exited(now.mono, job, &outcome, out);
                self.answer(now, answer, out);
            }
            FencingEvent::Wake => {
                self.jobs.wake(now.mono, out);
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
        if let Some(members) = &members {
            self.tell_history(members, out);
        }
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
    }

    #[allow(clippy::too_many_arguments)] // one request, taken apart by its only caller
    fn begin(
        &mut self,
        now: Now,
        requester: Requester,
        target: String,
        action: String,
        timeout: Duration,
        delay: Duration,
        out: &mut Vec<FencingAction>,
    ) {
        let action = if action == "poweroff" { "off".to_owned() } else { action };
        let client = match requester {
            Requester::Plan(_) => "controller",
            Requester::Client(_) => "stonith_admin",
        };
        let text = format!("Client {client} wants to fence ({action}) {target} using any device");
        out.push(FencingAction::Log { level: Level::Info, text });
        // The same against the same node is under way already: one result for both.
        if let Some(same) = self.operations.values_mut().find(|o| o.target == target && o.action == action) {
            same.requesters.push(requester);
            return;
        }
        let (topology, ways) = self.registry.ways(&target, &action);
        let id = self.next;
        self.next += 1;
        self.operations.insert(
            id,
            Operation {
                requesters: vec![requester],
                deadline: now.mono
                    + timeout.mul_f64(1.2) * u32::try_from(ways.len().max(1)).unwrap_or(1)
                    + delay,
                target: target.clone(),
                action: action.clone(),
                timeout,
                delay,
                ways: ways.into(),
                steps: VecDeque::new(),
                tried: BTreeSet::new(),
                asked: None,
                delegate: String::new(),
                reason: "no fence device can fence it".into(),
                rc: NO_DEVICE,
            },
        );
        let how = if topology { " by topology" } else { "" };
        let text = format!("Requesting peer fencing ({action}) targeting {target}{how}");
        out.push(FencingAction::Log { level: Level::Info, text });
        self.next_way(now, id, out);
    }

    /// Goes on with the next set of devices.
    fn next_way(&mut self, now: Now, id: u64, out: &mut Vec<FencingAction>) {
        let Some(operation) = self.operations.get_mut(&id) else { return };
        let Some(devices) = operation.ways.pop_front() else {
            self.finish(now, id, out);
            return;
        };
        let step = |device: &String, action: &str, must: bool| Step {
            device: device.clone(),
            action: action.to_owned(),
            must,
        };
        operation.steps = if operation.action == "reboot" && devices.len() > 1 {
            let off = devices.iter().map(|d| step(d, "off", true));
            off.chain(devices.iter().map(|d| step(d, "on", false))).collect()
        } else {
            devices.iter().map(|d| step(d, &operation.action, true)).collect()
        };
        operation.tried.clear();
        self.next_step(now, id, out);
    }

    /// Asks a node for the first step that is left.
    fn next_step(&mut self, now: Now, id: u64, out: &mut Vec<FencingAction>) {
        let Some(operation) = self.operations.get(&id) else { return };
        let Some(step) = operation.steps.front().cloned() else {
            if let Some(operation) = self.operations.get_mut(&id) {
                operation.rc = 0;
                operation.reason = String::new();
                operation.ways.clear();
            }
            self.finish(now, id, out);
            return;
        };
        let node = self.choose(&step, &operation.target, &operation.tried);
        let Some((name, node)) = node else {
            if step.must {
                self.next_way(now, id, out);
            } else {
                self.step_done(now, id, out);
            }
            return;
        };
        let timeout = operation.timeout;
        let delay = operation.delay;
        let Some(operation) = self.operations.get_mut(&id) else { return };
        operation.tried.insert(name.clone());
        operation.asked = Some(name.clone());
        operation.delegate.clone_from(&name);
        // A requested delay is for the first device alone.
        operation.delay = Duration::ZERO;
        let text = format!(
            "Requesting that {name} perform '{}' action targeting {} using {}",
            step.action, operation.target, step.device
        );
        out.push(FencingAction::Log { level: Level::Info, text });
        out.push(FencingAction::Send {
            to: BusAddress::Node(node),
            message: Message::Fence {
                id,
                device: step.device,
                target: operation.target.clone(),
                action: step.action,
                timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
                delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
            },
        });
    }

    /// Who uses a device: where it is running, else this node, else the first by name; never the
    /// target itself, except that a node registers its own key with what it is given access to.
    fn choose(&self, step: &Step, target: &str, tried: &BTreeSet<String>) -> Option<(String, NodeId)> {
        let members = self.members.as_ref()?;
        let device = step.device.as_str();
        let known = self.registry.device(device)?;
        if step.action == "on"
            && known.unfences
            && known.may_run_on(target)
            && !tried.contains(target)
            && let Some(id) = members.nodes.get(target)
        {
            return Some((target.to_owned(), *id));
        }
        let mut able: Vec<(&String, &NodeId)> = members
            .nodes
            .iter()
            .filter(|(name, _)| *name != target && !tried.contains(*name) && known.may_run_on(name))
            .collect();
        able.sort_by_key(|(name, _)| (!is_running(&self.cib, device, name), **name != self.name));
        able.first().map(|(name, id)| ((*name).clone(), **id))
    }

    fn result(&mut self, now: Now, id: u64, rc: i32, reason: &str, out: &mut Vec<FencingAction>) {
        let Some(operation) = self.operations.get_mut(&id) else { return };
        let Some(node) = operation.asked.take() else { return };
        if rc == 0 {
            self.step_done(now, id, out);
            return;
        }
        operation.rc = rc;
        operation.reason = format!("{node}: {reason}");
        let text = format!("fencing {} by {node} failed: {reason}", operation.target);
        out.push(FencingAction::Log { level: Level::Warning, text });
        self.next_step(now, id, out);
    }

    fn step_done(&mut self, now: Now, id: u64, out: &mut Vec<FencingAction>) {
        if let Some(operation) = self.operations.get_mut(&id) {
            operation.steps.pop_front();
            operation.tried.clear();
        }
        self.next_step(now, id, out);
    }

    fn finish(&mut self, now: Now, id: u64, out: &mut Vec<FencingAction>) {
        let Some(operation) = self.operations.remove(&id) else { return };
        if operation.rc == NO_DEVICE {
            let text = format!(
                "Couldn't find anyone to fence ({}) {} using any device",
                operation.action, operation.target
            );
            out.push(FencingAction::Log { level: Level::Warning, text });
        }
        let client = match operation.requesters.first() {
            Some(Requester::Client(_)) => "stonith_admin",
            _ => "controller",
        };
        let record = FenceRecord {
            inc: self.known.get(&operation.target).copied(),
            target: operation.target,
            action: operation.action,
            delegate: operation.delegate,
            origin: self.name.clone(),
            client: client.to_owned(),
            rc: operation.rc,
            reason: operation.reason,
            completed: now.wall,
        };
        self.conclude(operation.requesters, record, out);
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
                    Some("this node may have been left behind")
                } else if target.eq_ignore_ascii_case(&self.name) {
                    Some("a node does not fence itself")
                } else {
                    None
                };
                let device = self.registry.device(&device).cloned();
                let answer = match (refusal, device) {
                    (Some(reason), _) => Some((from, id, FAILED, reason.to_owned())),
                    (None, None) => Some((from, id, NO_DEVICE, "no such device".to_owned())),
                    (None, Some(device)) => {
                        let order = local::Order {
                            from,
                            id,
                            target,
                            action,
                            timeout: Duration::from_millis(timeout_ms),
                            delay: Duration::from_millis(delay_ms),
                        };
                        self.jobs.begin(now.mono, device, order, out)
                    }
                };
                self.answer(now, answer, out);
            }
            Message::FenceResult { id, rc, reason } => self.result(now, id, rc, &reason, out),
            Message::FenceNews(record) => self.learn(record, true, out),
            Message::FenceHistory(records) => {
                for record in records {
                    self.learn(record, false, out);
                }
            }
            _ => {}
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
    fn answer(&mut self, now: Now, answer: Option<(NodeId, u64, i32, String)>, out: &mut Vec<FencingAction>) {
        let Some((to, id, rc, reason)) = answer else { return };
        if to == self.id {
            self.result(now, id, rc, &reason, out);
            return;
        }
        self.sent.push_back((to, id, rc, reason.clone()));
        if self.sent.len() > SENT {
            self.sent.pop_front();
        }
        let message = Message::FenceResult { id, rc, reason };
        out.push(FencingAction::Send { to: BusAddress::Node(to), message });
    }
}

/// Whether the history says that a device is running on a node: it was tested there.
fn is_running(cib: &Cib, device: &str, node: &str) -> bool {
    let Some(status) = cib.status() else { return false };
    let state = status.children_named("node_state").find(|s| s.attr("uname") == Some(node));
    let resource = state
        .and_then(|s| s.path(&["lrm", "lrm_resources"]))
        .and_then(|l| l.children_named("lrm_resource").find(|r| r.id() == Some(device)));
    let last = resource.and_then(|r: &Element| r.find("lrm_rsc_op", &format!("{device}_last_0")));
    last.is_some_and(|op| op.attr("rc-code") == Some("0") && op.attr("operation") != Some("stop"))
}
