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
//! 4. [`CoreAction::Plan`]: have a [`PlanMaker`] make it, in another thread, and answer with [`CoreEvent::Planned`].
//! 5. [`CoreEvent::Wake`] at [`Core::deadline`], never much later.
//! 6. [`CoreAction::Status`]: [`Core::status`] has changed; publish it when convenient.

mod clients;
mod connectivity;
mod from_group;
mod interface;
mod plan;
mod status;
#[cfg(test)]
mod tests;
mod work;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ccm::group::{Group, GroupAction, GroupInput};
use ccm::seam::{LinkEvent, NodeId};
use cib::Cib;
use lrm::{ExecId, Queue};

use crate::client::ClientRequest;
use crate::controller::{Controller, ControllerConfig, ControllerEvent};
use crate::fencing::{Fencing, FencingEvent};
use crate::now::Now;

pub use interface::{CoreAction, CoreConfig, CoreEvent, EXIT_AGAIN, EXIT_STAY_DOWN, Planned};
pub use plan::{PlanMaker, make_plan};
use work::read_facts;

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
                operations,
            },
            cib,
        );
        Self {
            id: group.id,
            name: group.name.clone(),
            peers: status::Peers::new(&group),
            controller,
            fencing: Fencing::new(group.id, group.incarnation, &group.name, seed),
            fence_runs: BTreeMap::new(),
            descriptions: BTreeMap::new(),
            queue: Queue::new(roots, operations, life),
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
                    self.queue.set_limit(self.controller.operations());
                    self.changed |=
                        state != self.controller.state() || before != self.controller.transition_status();
                    for action in actions {
                        self.controller_action(action, out);
                    }
                }
                Step::Queue(event) => {
                    let void = matches!(event, lrm::Event::Void);
                    let mut actions = Vec::new();
                    self.queue.handle(now.for_queue(), event, &mut actions);
                    for action in actions {
                        self.queue_action(action, out);
                    }
                    if void {
                        self.steps.push_back(Step::Controller(ControllerEvent::Voided));
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
