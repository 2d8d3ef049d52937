//! What a core takes and what it wants done: all of the outside, as values.

use std::time::Duration;

use ccm::group::{GroupConfig, Level, Loaded};
use ccm::seam::{LinkCommand, LinkEvent, Record};
use cib::Cib;
use lrm::{ExecId, OpRequest};

use crate::client::{ClientRequest, Outcome, RequestError};
use crate::policy::Situation;
use crate::policy::graph::Graph;

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

impl CoreEvent {
    /// What kind of event it is, for a log line.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Link(_) => "link",
            Self::Persisted { .. } => "persisted",
            Self::PersistFailed { .. } => "persist failed",
            Self::Adopted { .. } => "adopted",
            Self::Exited { .. } => "exited",
            Self::Planned { .. } => "planned",
            Self::Client { .. } => "client",
            Self::Wake => "wake",
            Self::Stop => "stop",
            Self::ExecutorGone => "executor gone",
        }
    }
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

/// Exit status of a core that wants to be started again at once.
pub const EXIT_AGAIN: i32 = 75;
/// Exit status of a core that must not be started again without an administrator.
pub const EXIT_STAY_DOWN: i32 = 100;
