//! What thinks on a machine: the group alone, or the whole core of a node. Both take the same
//! [`Task`]s and answer with the same [`Deed`]s, so that everything below them is one simulation.

use std::time::Duration;

use ccm::group::{Change, Group, GroupAction, GroupInput, Level, Outcome, RequestOptions};
use ccm::seam::{LinkCommand, LinkEvent, Record, Stamp};
use cib::Cib;
use crm_core::client::{ClientRequest, RequestError};
use crm_core::core::{Core, CoreAction, CoreEvent, Planned};
use crm_core::now::Now;
use crm_core::policy::Situation;
use lrm::{ExecId, OpRequest};

/// What happens to a brain.
#[derive(Debug)]
pub enum Task {
    Link(LinkEvent),
    Persisted(u64),
    PersistFailed(u64, String),
    /// A client asks for a change; the answer carries the number.
    Change(u64, Change),
    /// A client of the whole core asks for anything else.
    Client(u64, Box<ClientRequest>),
    /// A message for everybody over the bus.
    Bus(Vec<u8>),
    Exited(ExecId, lrm::Outcome),
    Planned(u64, Box<Planned>),
    Leave,
    Wake,
}

/// What a brain wants done.
pub enum Deed {
    Link(LinkCommand),
    Persist {
        token: u64,
        record: Record,
    },
    /// Something the checks look at.
    Said(GroupAction),
    Spawn {
        exec: ExecId,
        op: Option<Box<OpRequest>>,
        command: Box<lrm::Command>,
        /// Not begun after that time of the own clock.
        until: Option<Duration>,
    },
    Kill(ExecId),
    Plan {
        token: u64,
        cib: Cib,
        situation: Situation,
    },
    /// The disk was set back: start again above this generation.
    Again(u64),
    Exit(i32),
}

/// How long clients of the simulation wait for a certain answer.
const PATIENCE: Duration = Duration::from_secs(20);

pub enum Brain {
    Group(Box<Group>),
    Core(Box<Core>),
}

impl Brain {
    pub fn group(&self) -> &Group {
        match self {
            Self::Group(g) => g,
            Self::Core(c) => c.group(),
        }
    }

    pub fn core(&self) -> Option<&Core> {
        match self {
            Self::Group(_) => None,
            Self::Core(c) => Some(c),
        }
    }

    pub fn deadline(&self) -> Option<Duration> {
        match self {
            Self::Group(g) => g.deadline(),
            Self::Core(c) => c.deadline(),
        }
    }

    pub fn handle(&mut self, now: Now, task: Task, out: &mut Vec<Deed>) {
        match self {
            Self::Group(group) => think(group, now, task, out),
            Self::Core(core) => live(core, now, task, out),
        }
    }
}

fn think(group: &mut Group, now: Now, task: Task, out: &mut Vec<Deed>) {
    let input = match task {
        Task::Link(LinkEvent::OldGeneration { known }) => {
            out.push(Deed::Again(known));
            return;
        }
        Task::Link(event) => GroupInput::Link(event),
        Task::Persisted(token) => GroupInput::Persisted { token },
        Task::PersistFailed(token, error) => GroupInput::PersistFailed { token, error },
        Task::Change(token, change) => {
            let options = RequestOptions { patience: Some(PATIENCE), ..RequestOptions::default() };
            GroupInput::Request { token, change, options }
        }
        Task::Bus(payload) => GroupInput::Bus { to: ccm::bus::BusAddress::All, payload },
        Task::Leave => GroupInput::Leave,
        Task::Wake => GroupInput::Wake,
        Task::Client(..) | Task::Exited(..) | Task::Planned(..) => return,
    };
    let mut actions = Vec::new();
    group.handle(now.mono, input, &mut actions);
    out.extend(actions.into_iter().map(|action| match action {
        GroupAction::Link(command) => Deed::Link(command),
        GroupAction::Persist { token, record } => Deed::Persist { token, record },
        other => Deed::Said(other),
    }));
}

fn live(core: &mut Core, now: Now, task: Task, out: &mut Vec<Deed>) {
    let event = match task {
        Task::Link(event) => CoreEvent::Link(event),
        Task::Persisted(token) => CoreEvent::Persisted { token },
        Task::PersistFailed(token, error) => CoreEvent::PersistFailed { token, error },
        Task::Change(id, change) => {
            let options = crm_core::client::RequestOptions {
                patience: Some(PATIENCE),
                ..crm_core::client::RequestOptions::default()
            };
            let request = match change {
                Change::Cib(request) => ClientRequest::Cib { request: Box::new(request), options },
                Change::AddNode { name, votes } => ClientRequest::AddNode { name, votes },
                Change::RemoveNode { name } => ClientRequest::RemoveNode { name },
                Change::DismissConflict { .. } | Change::Conflict(_) => return,
            };
            CoreEvent::Client { id, request }
        }
        Task::Client(id, request) => CoreEvent::Client { id, request: *request },
        Task::Exited(exec, outcome) => CoreEvent::Exited { exec, outcome },
        Task::Planned(token, plan) => CoreEvent::Planned { token, plan: *plan },
        Task::Leave => CoreEvent::Stop,
        Task::Wake => CoreEvent::Wake,
        Task::Bus(_) => return,
    };
    let mut actions = Vec::new();
    core.handle(now, event, &mut actions);
    // What the group did comes first: an answer to a client is judged by the view it was given in.
    for action in core.take_watched() {
        if !matches!(action, GroupAction::Reply { .. }) {
            out.push(Deed::Said(action));
        }
    }
    for action in actions {
        out.push(match action {
            CoreAction::Link(command) => Deed::Link(command),
            CoreAction::Persist { token, record } => Deed::Persist { token, record },
            CoreAction::Spawn { exec, op, command, until } => Deed::Spawn { exec, op, command, until },
            CoreAction::Kill { exec } => Deed::Kill(exec),
            CoreAction::Plan { token, cib, situation } => Deed::Plan { token, cib, situation },
            CoreAction::Reply { id, result } => {
                let outcome = match *result {
                    Ok(done) => Outcome::Done {
                        stamp: Stamp::default(),
                        version: done.version,
                        without_quorum: done.without_quorum,
                    },
                    Err(RequestError::Rejected { code, text }) => Outcome::Rejected { code, text },
                    Err(RequestError::NoQuorum { why }) => Outcome::NoQuorum { why },
                    Err(RequestError::Busy) => Outcome::Busy,
                    Err(_) => Outcome::Unknown,
                };
                Deed::Said(GroupAction::Reply { token: id, outcome })
            }
            CoreAction::Log { level, target, text } => {
                let text = if level >= Level::Info { format!("{target}: {text}") } else { text };
                Deed::Said(GroupAction::Log { level, text })
            }
            CoreAction::RaiseGeneration { known } => Deed::Again(known),
            CoreAction::Exit { code, .. } => Deed::Exit(code),
            CoreAction::Confirm { .. } | CoreAction::Status => continue,
        });
    }
}
