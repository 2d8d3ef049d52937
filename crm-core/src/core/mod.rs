//! One node's machines, wired into one: the group (membership, replication), the controller, fencing
//! and the local operation queue. No I/O, no clock, no thread: whoever drives it (the run-time in
//! [`crate::node`], the simulator) hands in events and carries out actions.
//!
//! ```text
//!  link ─▶ ┌───────┐ Visible, View, Deliver ┌────────────┐ Submit, Cancel ┌───────┐ Spawn ─▶ executor
//!  disk ─▶ │ group │ ─────────────────────▶ │ controller │ ─────────────▶ │ queue │ Kill
//!          │       │ ◀───────────────────── │            │ ◀───────────── │       │ ◀─ Exited
//!          └───────┘ Request, Bus           └─────┬──────┘ Reported       └───────┘
//!             ▲  ▲                          Fence │ ▲ Fenced                  ▲
//!             │  └──── Bus, FenceConfirmed ── ┌───▼─┴───┐ ── Run ─────────────┘
//!  clients ───┘                               │ fencing │
//!                                             └─────────┘
//! ```
//!
//! # Duties of a driver
//!
//! 1. Carry out actions in the order given. What must wait for a disk is emitted after
//!    [`CoreEvent::Persisted`].
//! 2. [`CoreAction::Persist`]: make the record durable, then say so; never more than one is outstanding.
//! 3. [`CoreAction::Spawn`]: answer with [`CoreEvent::Exited`] exactly once.
//! 4. [`CoreAction::Plan`]: call [`make_plan`], anywhere, and answer with [`CoreEvent::Planned`].
//! 5. [`CoreEvent::Wake`] at [`Core::deadline`], never much later.
//! 6. [`CoreAction::Status`]: [`Core::status`] has changed; publish it when convenient.

mod clients;
mod connectivity;
mod plan;
mod status;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ccm::bus::BusAddress;
use ccm::group::{
    Group, GroupAction, GroupConfig, GroupEvent, GroupInput, Level, Loaded, Outcome as ChangeOutcome,
    ReadAnswer,
};
use ccm::seam::{DuplicateWhat, LinkCommand, LinkEvent, NodeId, Record};
use cib::Cib;
use lrm::class::stonith::{FenceCall, FenceTarget};
use lrm::{ExecId, OpRequest, Queue};

use crate::client::{ClientRequest, Outcome, RequestError};
use crate::controller::agents::AgentFacts;
use crate::controller::{Asker, Controller, ControllerAction, ControllerConfig, ControllerEvent, options};
use crate::fencing::{self, Fencing, FencingAction, FencingEvent, Members, Requester};
use crate::message::{Ask, Message};
use crate::now::Now;
use crate::policy::Situation;
use crate::policy::graph::Graph;

pub use plan::make_plan;

/// What a core is made from.
#[derive(Debug, Clone)]
pub struct CoreConfig {
    pub group: GroupConfig,
    /// What the disk held at start.
    pub loaded: Loaded,
    /// Where agents lie.
    pub roots: lrm::Roots,
    /// Operations that run at one time.
    pub operations: usize,
    /// Which life of the core this is under its executor.
    pub life: u32,
    /// Feeds random back-off: the same seed and events give the same actions.
    pub seed: u64,
}

/// What happens to a core.
#[derive(Debug, Clone)]
pub enum CoreEvent {
    Link(LinkEvent),
    Persisted {
        token: u64,
    },
    PersistFailed {
        token: u64,
        error: String,
    },
    /// An operation of an earlier life of the core that still runs, or whose result still waits.
    Adopted {
        exec: ExecId,
        op: OpRequest,
    },
    /// What [`CoreAction::Spawn`] asked for has ended.
    Exited {
        exec: ExecId,
        outcome: lrm::Outcome,
    },
    /// The answer to [`CoreAction::Plan`].
    Planned {
        token: u64,
        plan: Planned,
    },
    /// A client asks; answered by [`CoreAction::Reply`] with the same number.
    Client {
        id: u64,
        request: ClientRequest,
    },
    /// The deadline has come.
    Wake,
    /// Stop cleanly: resources first.
    Stop,
    /// The executor has ended: nothing can be run any more.
    ExecutorGone,
}

/// What the planner made of a CIB.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The plan, or why there is none.
    pub graph: Result<Graph, String>,
    /// What is wrong with the configuration, one sentence each.
    pub complaints: Vec<String>,
}

/// What a core wants done, in this order.
#[derive(Debug, Clone)]
pub enum CoreAction {
    Link(LinkCommand),
    Persist {
        token: u64,
        record: Record,
    },
    /// Run a process. `op`, where there is one, goes with it to the executor and comes back as
    /// [`CoreEvent::Adopted`] in a later life of the core. `until`: not to be begun at or after this time,
    /// when the lease has lapsed (R6.4); looked at right before, and answered with
    /// [`lrm::SpawnError::Late`].
    Spawn {
        exec: ExecId,
        op: Option<Box<OpRequest>>,
        command: Box<lrm::Command>,
        until: Option<Duration>,
    },
    Kill {
        exec: ExecId,
    },
    /// The result was taken; the executor may forget it.
    Confirm {
        exec: ExecId,
    },
    Plan {
        token: u64,
        cib: Cib,
        situation: Situation,
    },
    Reply {
        id: u64,
        result: Box<Result<Outcome, RequestError>>,
    },
    /// [`Core::status`] has changed.
    Status,
    Log {
        level: Level,
        target: &'static str,
        text: String,
    },
    /// Write a generation above this one, and that the disk went back in time (protocol R3.2).
    RaiseGeneration {
        known: u64,
    },
    /// The node has left cleanly (0), or cannot go on: stop driving it. [`EXIT_AGAIN`]: start anew.
    Exit {
        code: i32,
        reason: String,
    },
}

const CCM: &str = "ccm";

/// Exit status of a core that wants to be started again at once.
pub const EXIT_AGAIN: i32 = 75;
/// Exit status of a core that must not be started again without an administrator.
pub const EXIT_STAY_DOWN: i32 = 100;

/// How long an agent may take to describe itself (specification `agents.md` §1.9.5).
const METADATA: Duration = Duration::from_secs(5);

fn read_facts(agent: &lrm::AgentRef, outcome: &lrm::Outcome) -> Result<AgentFacts, String> {
    match &outcome.end {
        lrm::End::Code(0) => AgentFacts::read(agent, &String::from_utf8_lossy(&outcome.stdout)),
        lrm::End::Code(code) => Err(format!("it exits with status {code}")),
        lrm::End::Timeout => Err(format!("it takes longer than {} s", METADATA.as_secs())),
        lrm::End::Signal(signal) => Err(format!("it was ended by signal {signal}")),
        lrm::End::Killed => Err("it was ended".to_owned()),
        lrm::End::Failed(error) => Err(error.text().to_owned()),
    }
}

/// One node.
#[derive(Debug)]
pub struct Core {
    id: NodeId,
    name: String,
    group: Group,
    controller: Controller,
    fencing: Fencing,
    /// Fence agents that run here: process → job.
    fence_runs: BTreeMap<ExecId, u64>,
    /// Agents that describe themselves at the moment.
    descriptions: BTreeMap<ExecId, lrm::AgentRef>,
    queue: Queue,
    /// Operations at one time where `node-action-limit` does not say.
    operations: usize,
    steps: VecDeque<Step>,
    next_token: u64,
    /// Whom the group's answers are for.
    owners: BTreeMap<u64, Owner>,
    /// What clients wait for that other nodes do.
    asks: BTreeMap<u64, clients::Pending>,
    collected: BTreeMap<u64, clients::Collected>,
    next_ask: u64,
    peers: status::Peers,
    connectivity: Option<ccm::config::Connectivity>,
    foreign: BTreeSet<String>,
    changed: bool,
    exited: bool,
    /// What the group did, while somebody watches.
    watched: Option<Vec<GroupAction>>,
}

/// Something to be handled before this call ends.
#[derive(Debug)]
enum Step {
    Group(GroupInput),
    Controller(ControllerEvent),
    Queue(lrm::Event),
    Fencing(FencingEvent),
    Client(u64, ClientRequest),
}

#[derive(Debug)]
enum Owner {
    Controller(u64),
    Client {
        id: u64,
        what: clients::Waiting,
    },
    /// Nobody waits for it.
    Nobody,
}

impl Core {
    /// A node that has just been started. Nothing happens before the first event: give it
    /// [`CoreEvent::Adopted`] for each operation the executor knows, then [`CoreEvent::Wake`].
    pub fn new(config: CoreConfig) -> Self {
        let CoreConfig { group, loaded, roots, operations, life, seed } = config;
        let cib = loaded
            .document
            .clone()
            .and_then(|document| Cib::from_root(document).ok())
            .unwrap_or_else(Cib::empty);
        let controller = Controller::new(
            ControllerConfig {
                id: group.id,
                inc: group.incarnation,
                name: group.name.clone(),
                deadtime: group.deadtime,
                configured: group.nodes.len(),
            },
            cib,
        );
        Self {
            id: group.id,
            name: group.name.clone(),
            peers: status::Peers::new(&group),
            controller,
            fencing: Fencing::new(group.id, group.incarnation, &group.name),
            fence_runs: BTreeMap::new(),
            descriptions: BTreeMap::new(),
            queue: Queue::new(roots, operations, life),
            operations,
            group: Group::new(group, loaded, seed),
            steps: VecDeque::new(),
            next_token: 1,
            owners: BTreeMap::new(),
            asks: BTreeMap::new(),
            collected: BTreeMap::new(),
            next_ask: 1,
            connectivity: None,
            foreign: BTreeSet::new(),
            changed: true,
            exited: false,
            watched: None,
        }
    }

    /// When [`CoreEvent::Wake`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        [
            self.group.deadline(),
            self.controller.deadline(),
            self.fencing.deadline(),
            self.queue.deadline(),
            self.peers.deadline(),
            clients::deadline(&self.asks),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Takes one event; what is to be done is added to `out`, in order.
    pub fn handle(&mut self, now: Now, event: CoreEvent, out: &mut Vec<CoreAction>) {
        if self.exited {
            return;
        }
        // A node that slept must find out before it acts on anything that waited (R6.4).
        if self.group.deadline().is_some_and(|at| at <= now.mono) {
            self.steps.push_back(Step::Group(GroupInput::Wake));
            self.run(now, out);
        }
        match event {
            CoreEvent::Link(event) => {
                self.changed |= self.peers.observe(now.mono, &event);
                match &event {
                    LinkEvent::Carrier { any } => {
                        self.steps.push_back(Step::Controller(ControllerEvent::Carrier(*any)));
                    }
                    LinkEvent::Foreign { name, alive } => self.foreign(name.clone(), *alive),
                    LinkEvent::PingNode { .. } => self.ping_changed(),
                    LinkEvent::OldGeneration { known } => return self.set_back(*known, out),
                    _ => {}
                }
                self.steps.push_back(Step::Group(GroupInput::Link(event)));
            }
            CoreEvent::Persisted { token } => {
                self.steps.push_back(Step::Group(GroupInput::Persisted { token }))
            }
            CoreEvent::PersistFailed { token, error } => {
                self.steps.push_back(Step::Group(GroupInput::PersistFailed { token, error }));
            }
            CoreEvent::Adopted { exec, op } => {
                self.steps.push_back(Step::Queue(lrm::Event::Adopt { exec, op }))
            }
            CoreEvent::Exited { exec, outcome } if self.fence_runs.contains_key(&exec) => {
                if let Some(job) = self.fence_runs.remove(&exec) {
                    out.push(CoreAction::Confirm { exec });
                    self.steps.push_back(Step::Fencing(FencingEvent::Exited { job, outcome }));
                }
            }
            CoreEvent::Exited { exec, outcome } if self.descriptions.contains_key(&exec) => {
                if let Some(agent) = self.descriptions.remove(&exec) {
                    out.push(CoreAction::Confirm { exec });
                    let facts = read_facts(&agent, &outcome);
                    self.steps.push_back(Step::Controller(ControllerEvent::Described { agent, facts }));
                }
            }
            CoreEvent::Exited { exec, outcome } => {
                self.steps.push_back(Step::Queue(lrm::Event::Exited { exec, outcome }));
            }
            CoreEvent::Planned { token, plan } => {
                self.steps.push_back(Step::Controller(ControllerEvent::Planned {
                    token,
                    graph: plan.graph,
                    complaints: plan.complaints,
                }));
            }
            CoreEvent::Client { id, request } => self.steps.push_back(Step::Client(id, request)),
            CoreEvent::ExecutorGone => {
                let reason = "the executor has gone away".to_owned();
                self.exited = true;
                out.push(CoreAction::Exit { code: 1, reason });
                return;
            }
            CoreEvent::Stop => self.steps.push_back(Step::Controller(ControllerEvent::Shutdown)),
            CoreEvent::Wake => {
                self.steps.push_back(Step::Group(GroupInput::Wake));
                if self.controller.deadline().is_some_and(|at| at <= now.mono) {
                    self.steps.push_back(Step::Controller(ControllerEvent::Wake));
                }
                if self.queue.deadline().is_some_and(|at| at <= now.mono) {
                    self.steps.push_back(Step::Queue(lrm::Event::Wake));
                }
                if self.fencing.deadline().is_some_and(|at| at <= now.mono) {
                    self.steps.push_back(Step::Fencing(FencingEvent::Wake));
                }
                self.changed |= self.peers.expire(now.mono);
                self.expire_asks(now, out);
            }
        }
        self.run(now, out);
        if std::mem::take(&mut self.changed) {
            out.push(CoreAction::Status);
        }
    }

    fn run(&mut self, now: Now, out: &mut Vec<CoreAction>) {
        while let Some(step) = self.steps.pop_front() {
            match step {
                Step::Group(input) => {
                    let mut actions = Vec::new();
                    self.group.handle(now.mono, input, &mut actions);
                    if let Some(watched) = &mut self.watched {
                        let told =
                            |a: &&GroupAction| matches!(a, GroupAction::Event(_) | GroupAction::Visible(_));
                        watched.extend(actions.iter().filter(told).cloned());
                    }
                    for action in actions {
                        self.group_action(now, action, out);
                    }
                }
                Step::Controller(event) => {
                    let before = self.controller.transition_status();
                    let state = self.controller.state();
                    let mut actions = Vec::new();
                    self.controller.handle(now, event, &mut actions);
                    self.changed |=
                        state != self.controller.state() || before != self.controller.transition_status();
                    for action in actions {
                        self.controller_action(action, out);
                    }
                }
                Step::Queue(event) => {
                    let mut actions = Vec::new();
                    self.queue.handle(now.for_queue(), event, &mut actions);
                    for action in actions {
                        self.queue_action(action, out);
                    }
                }
                Step::Fencing(event) => {
                    let mut actions = Vec::new();
                    self.fencing.handle(now, event, &mut actions);
                    for action in actions {
                        self.fencing_action(action, out);
                    }
                }
                Step::Client(id, request) => self.client(now, id, request, out),
            }
        }
    }

    fn group_action(&mut self, now: Now, action: GroupAction, out: &mut Vec<CoreAction>) {
        match action {
            GroupAction::Link(command) => out.push(CoreAction::Link(command)),
            GroupAction::Persist { token, record } => out.push(CoreAction::Persist { token, record }),
            GroupAction::Event(event) => self.group_event(now, event, out),
            GroupAction::Reply { token, outcome } => self.replied(token, outcome, out),
            GroupAction::Read { token, answer } => self.read(token, answer, out),
            GroupAction::Visible(visible) => {
                self.changed = true;
                let limit = usize::try_from(options::of(&visible.cib).node_action_limit);
                self.queue.set_limit(limit.ok().filter(|limit| *limit > 0).unwrap_or(self.operations));
                self.steps.push_back(Step::Fencing(FencingEvent::Visible(visible.cib.clone())));
                self.steps.push_back(Step::Controller(ControllerEvent::Visible(Box::new(visible))));
            }
            GroupAction::Log { level, text } => out.push(CoreAction::Log { level, target: CCM, text }),
            GroupAction::Left => {
                self.exited = true;
                out.push(CoreAction::Exit { code: 0, reason: String::new() });
            }
        }
    }

    fn group_event(&mut self, now: Now, event: GroupEvent, out: &mut Vec<CoreAction>) {
        self.changed = true;
        let event = match event {
            GroupEvent::Frozen => {
                self.steps.push_back(Step::Fencing(FencingEvent::View(None)));
                ControllerEvent::Frozen
            }
            GroupEvent::Suspended => {
                self.steps.push_back(Step::Fencing(FencingEvent::Suspended(true)));
                let members: Vec<String> = self
                    .controller
                    .view()
                    .map(|v| v.members.iter().map(|m| m.name.clone()).collect())
                    .unwrap_or_default();
                let configured = self.group.config().nodes.len();
                let risk = self.peers.quorum_at_risk(now.mono, configured, &members);
                self.steps.push_back(Step::Controller(ControllerEvent::QuorumAtRisk(risk)));
                ControllerEvent::Suspended(true)
            }
            GroupEvent::Resumed => {
                self.steps.push_back(Step::Fencing(FencingEvent::Suspended(false)));
                self.steps.push_back(Step::Controller(ControllerEvent::QuorumAtRisk(false)));
                ControllerEvent::Suspended(false)
            }
            GroupEvent::ViewChanged(view) => {
                self.peers.enter(now.mono, &view);
                let nodes = view.members.iter().map(|m| (m.name.clone(), m.id)).collect();
                let incs = view.members.iter().map(|m| (m.name.clone(), m.inc)).collect();
                let members = Members { nodes, incs, dc: view.dc };
                self.steps.push_back(Step::Fencing(FencingEvent::View(Some(members))));
                ControllerEvent::View(Box::new(view))
            }
            GroupEvent::StatusComplete { view } => ControllerEvent::StatusComplete(view),
            GroupEvent::Deliver { from, payload } => return self.deliver(from, &payload, out),
            GroupEvent::Dropped { payload, .. } => return self.dropped(&payload, out),
            GroupEvent::Evicted { reason } => {
                let text = format!("put out of the membership by the others: {reason}");
                out.push(CoreAction::Log { level: Level::Error, target: CCM, text });
                ControllerEvent::Evicted
            }
            GroupEvent::StorageLost { error } => ControllerEvent::StorageLost { error },
            GroupEvent::Duplicate { what, name, addresses: [first, second] } => {
                let text = match what {
                    DuplicateWhat::Uuid => format!(
                        "two machines with the same hb_uuid: {name}, at {first} and at {second}; one is a copy of \
                         the other: stop that one and remove its hb_uuid, it gets its own at the next start"
                    ),
                    DuplicateWhat::Name => format!(
                        "two machines with the same name: {name}, at {first} and at {second}; give one of them \
                         another (if one has just lost its hb_uuid, it is let in after the dead time)"
                    ),
                };
                out.push(CoreAction::Log { level: Level::Error, target: CCM, text });
                return;
            }
            GroupEvent::Foreign { name, alive } => return self.foreign(name, alive),
        };
        self.steps.push_back(Step::Controller(event));
    }

    /// The others know a later start of this node: its disk went back in time (R3.2).
    fn set_back(&mut self, known: u64, out: &mut Vec<CoreAction>) {
        let reason = format!("the others know generation {known} of this node, which is higher");
        self.exited = true;
        out.push(CoreAction::RaiseGeneration { known });
        out.push(CoreAction::Exit { code: EXIT_AGAIN, reason });
    }

    fn foreign(&mut self, name: String, alive: bool) {
        let was = !self.foreign.is_empty();
        if alive {
            self.foreign.insert(name);
        } else {
            self.foreign.remove(&name);
        }
        let is = !self.foreign.is_empty();
        if was != is {
            self.changed = true;
            let names = self.foreign.iter().cloned().collect();
            self.steps.push_back(Step::Controller(ControllerEvent::Foreign(names)));
        }
    }

    fn deliver(&mut self, from: NodeId, payload: &[u8], out: &mut Vec<CoreAction>) {
        let message = match Message::decode(payload) {
            Ok(message) => message,
            Err(error) => {
                let text = format!("a message of {from} is ignored: {error}");
                out.push(CoreAction::Log { level: Level::Warning, target: "crm_core", text });
                return;
            }
        };
        match message {
            Message::Answer { id, error } => self.answered(id, Some(from), error, out),
            message @ (Message::Fence { .. }
            | Message::FenceResult { .. }
            | Message::FenceNews(_)
            | Message::FenceHistory(_)) => {
                self.changed = true;
                self.steps.push_back(Step::Fencing(FencingEvent::Message { from, message }));
            }
            Message::Ask { id, ask: ask @ (Ask::Fence { .. } | Ask::ConfirmFenced { .. }) } => {
                self.asked_to_fence(Asker::Node(from, id), ask);
            }
            message => self.steps.push_back(Step::Controller(ControllerEvent::Message { from, message })),
        }
    }

    fn dropped(&mut self, payload: &[u8], out: &mut Vec<CoreAction>) {
        match Message::decode(payload) {
            Ok(Message::Ask { id, .. }) => {
                self.answered(id, None, "the membership changed before the node answered".into(), out);
            }
            Ok(
                message @ (Message::Fence { .. }
                | Message::FenceResult { .. }
                | Message::FenceNews(_)
                | Message::FenceHistory(_)),
            ) => {
                self.steps.push_back(Step::Fencing(FencingEvent::Dropped { message }));
            }
            Ok(message) => self.steps.push_back(Step::Controller(ControllerEvent::Dropped { message })),
            Err(_) => {}
        }
    }

    fn controller_action(&mut self, action: ControllerAction, out: &mut Vec<CoreAction>) {
        match action {
            ControllerAction::Change { token, request, announce } => {
                let options =
                    ccm::group::RequestOptions { announce, ..ccm::group::RequestOptions::default() };
                let change = ccm::group::Change::Cib(request);
                self.ask_group(Owner::Controller(token), change, options);
            }
            ControllerAction::Send { to, message } => self.send(to, &message),
            ControllerAction::Submit(request) => {
                self.steps.push_back(Step::Queue(lrm::Event::Submit(request)))
            }
            ControllerAction::Cancel { rsc, action, interval_ms } => {
                self.steps.push_back(Step::Queue(lrm::Event::Cancel { rsc, action, interval_ms }));
            }
            ControllerAction::Describe(agent) => self.describe(agent, out),
            ControllerAction::Flush { rsc } => self.steps.push_back(Step::Queue(lrm::Event::Flush { rsc })),
            ControllerAction::Plan { token, cib, situation } => {
                out.push(CoreAction::Plan { token, cib, situation });
            }
            ControllerAction::Fence { action, target, operation, timeout, delay } => {
                let requester = Requester::Plan(action);
                self.steps.push_back(Step::Fencing(FencingEvent::Fence {
                    requester,
                    target,
                    action: operation,
                    timeout,
                    delay,
                }));
            }
            ControllerAction::Fencing(enabled) => {
                self.steps.push_back(Step::Group(GroupInput::Fencing { enabled }));
            }
            ControllerAction::Answer { asker, error } => match asker {
                Asker::Local(id) => self.answered(id, Some(self.id), error, out),
                Asker::Node(node, id) => self.send(BusAddress::Node(node), &Message::Answer { id, error }),
            },
            ControllerAction::Leave => self.steps.push_back(Step::Group(GroupInput::Leave)),
            ControllerAction::Log { level, target, text } => {
                out.push(CoreAction::Log { level, target, text })
            }
        }
    }

    fn fencing_action(&mut self, action: FencingAction, out: &mut Vec<CoreAction>) {
        match action {
            FencingAction::Send { to, message } => self.send(to, &message),
            FencingAction::Run { job, call } => self.run_fence_agent(job, &call, out),
            FencingAction::Ended { requester, record } => {
                let action = match requester {
                    Requester::Plan(action) => Some(action),
                    Requester::Client(asker) => {
                        let error = if record.rc == 0 { String::new() } else { record.reason.clone() };
                        self.controller_action(ControllerAction::Answer { asker, error }, out);
                        None
                    }
                };
                self.steps.push_back(Step::Controller(ControllerEvent::Fenced { action, record }));
            }
            FencingAction::Down { target } => {
                if let Some((node, inc)) = self.controller.identity(&target) {
                    self.steps.push_back(Step::Group(GroupInput::FenceConfirmed { node, inc }));
                }
            }
            FencingAction::FencedMyself { by } => {
                let reason = format!("We were allegedly just fenced by {by}!");
                out.push(CoreAction::Log {
                    level: Level::Error,
                    target: "crm_core::fencing",
                    text: reason.clone(),
                });
                self.exited = true;
                out.push(CoreAction::Exit { code: EXIT_STAY_DOWN, reason });
            }
            FencingAction::Log { level, text } => {
                out.push(CoreAction::Log { level, target: "crm_core::fencing", text });
            }
        }
    }

    fn run_fence_agent(&mut self, job: u64, call: &fencing::Call, out: &mut Vec<CoreAction>) {
        let target = call.target.as_ref().map(|(node, argument, plug)| FenceTarget {
            node,
            argument: argument.as_deref(),
            plug,
        });
        let fence = FenceCall {
            agent: &call.agent,
            action: call.action,
            params: &call.params,
            target,
            timeout: Some(call.timeout),
        };
        match lrm::class::stonith::fence(&fence, self.queue.roots()) {
            Ok(command) => {
                let exec = self.queue.next_exec();
                self.fence_runs.insert(exec, job);
                let until = self.group.leased_until();
                out.push(CoreAction::Spawn { exec, op: None, command: Box::new(command), until });
            }
            Err(error) => {
                let end = lrm::End::Failed(lrm::SpawnError::Other(error.to_string()));
                let outcome = lrm::Outcome::of(end, Duration::ZERO);
                self.steps.push_back(Step::Fencing(FencingEvent::Exited { job, outcome }));
            }
        }
    }

    /// Has an agent print its meta-data.
    fn describe(&mut self, agent: lrm::AgentRef, out: &mut Vec<CoreAction>) {
        match lrm::class::prepare(&OpRequest::meta_data(&agent, METADATA), self.queue.roots()) {
            lrm::class::Prepared::Run(command) => {
                let exec = self.queue.next_exec();
                self.descriptions.insert(exec, agent);
                let command = Box::new(command);
                out.push(CoreAction::Spawn { exec, op: None, command, until: None });
            }
            lrm::class::Prepared::Answer(_) => {
                let facts = Err("its class knows no meta-data".to_owned());
                self.steps.push_back(Step::Controller(ControllerEvent::Described { agent, facts }));
            }
        }
    }

    /// A client of this node or another wants a node fenced, or vouches that it is down.
    fn asked_to_fence(&mut self, asker: Asker, ask: Ask) {
        let event = match ask {
            Ask::Fence { target, action, timeout_ms } => FencingEvent::Fence {
                requester: Requester::Client(asker),
                target,
                action,
                timeout: Duration::from_millis(timeout_ms),
                delay: Duration::ZERO,
            },
            Ask::ConfirmFenced { target } => FencingEvent::Confirm { asker, target },
            Ask::SetAttribute { .. } | Ask::Cleanup { .. } | Ask::Fail { .. } => return,
        };
        self.steps.push_back(Step::Fencing(event));
    }

    fn queue_action(&mut self, action: lrm::Action, out: &mut Vec<CoreAction>) {
        match action {
            lrm::Action::Spawn { exec, op, command } => {
                let harmless =
                    matches!(op.action.as_str(), "stop" | "demote" | "monitor" | "status" | "notify");
                let until = if harmless { None } else { self.group.leased_until() };
                let (op, command) = (Some(Box::new(op)), Box::new(command));
                out.push(CoreAction::Spawn { exec, op, command, until });
            }
            lrm::Action::Kill { exec } => out.push(CoreAction::Kill { exec }),
            lrm::Action::Confirm(exec) => out.push(CoreAction::Confirm { exec }),
            lrm::Action::Report(result) => {
                self.steps.push_back(Step::Controller(ControllerEvent::Reported(result)));
            }
            lrm::Action::NotCancelled { rsc, action, interval_ms, why } => {
                let gone = why == lrm::Refusal::Unknown;
                self.steps.push_back(Step::Controller(ControllerEvent::NotCancelled {
                    rsc,
                    action,
                    interval_ms,
                    gone,
                }));
            }
            lrm::Action::Flushed { .. } => {}
        }
    }

    fn send(&mut self, to: BusAddress, message: &Message) {
        self.steps.push_back(Step::Group(GroupInput::Bus { to, payload: message.encode() }));
    }

    fn token(&mut self, owner: Owner) -> u64 {
        let token = self.next_token;
        self.next_token += 1;
        self.owners.insert(token, owner);
        token
    }

    fn ask_group(&mut self, owner: Owner, change: ccm::group::Change, options: ccm::group::RequestOptions) {
        let token = self.token(owner);
        self.steps.push_back(Step::Group(GroupInput::Request { token, change, options }));
    }

    fn replied(&mut self, token: u64, outcome: ChangeOutcome, out: &mut Vec<CoreAction>) {
        match self.owners.remove(&token) {
            Some(Owner::Controller(token)) => {
                self.steps.push_back(Step::Controller(ControllerEvent::Changed { token, outcome }));
            }
            Some(Owner::Client { id, what }) => self.client_outcome(id, what, outcome, out),
            Some(Owner::Nobody) | None => {}
        }
    }

    fn read(&mut self, token: u64, answer: ReadAnswer, out: &mut Vec<CoreAction>) {
        if let Some(Owner::Client { id, what }) = self.owners.remove(&token) {
            self.client_read(id, what, answer, out);
        }
    }

    /// Whether this node may have been left behind: nothing new is started.
    pub fn is_suspended(&self) -> bool {
        self.controller.is_suspended()
    }

    /// The visible document, marked with quorum and DC of the present view.
    pub fn cib(&self) -> Cib {
        self.controller.cib()
    }

    /// The controller, for checks and tests.
    pub fn controller(&self) -> &Controller {
        &self.controller
    }

    /// From now on, what the group tells its listeners is kept for [`Core::take_watched`]: the simulator
    /// checks the promises of the group below a whole core as well.
    pub fn watch(&mut self) {
        self.watched.get_or_insert_with(Vec::new);
    }

    /// What the group told since the last call.
    pub fn take_watched(&mut self) -> Vec<GroupAction> {
        self.watched.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The group, for checks and tests.
    pub fn group(&self) -> &Group {
        &self.group
    }
}
