//! What the machine is told and what it wants done.

use std::collections::BTreeMap;
use std::time::Duration;

use ccm::bus::BusAddress;
use ccm::group::Level;
use ccm::seam::{Incarnation, NodeId};
use cib::Cib;
use lrm::AgentRef;
use lrm::class::stonith::FenceAction;

use crate::controller::Asker;
use crate::message::{FenceRecord, Message};
use crate::policy::graph::ActionId;

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
