//! What the controller is told and what it wants done.

use std::time::Duration;

use ccm::bus::BusAddress;
use ccm::group::{Level, Outcome as ChangeOutcome, View, Visible};
use ccm::seam::{Incarnation, NodeId, ViewId};
use cib::Cib;
use lrm::{AgentRef, OpRequest, OpResult};

use super::agents::AgentFacts;
use crate::message::{Ask, FenceRecord, Message, Reply};
use crate::policy::Situation;
use crate::policy::graph::{ActionId, Graph};

/// What the controller needs to know from the start.
#[derive(Debug, Clone)]
pub struct ControllerConfig {
    pub id: NodeId,
    pub inc: Incarnation,
    pub name: String,
    /// D of this node.
    pub deadtime: Duration,
    /// How many nodes are configured; a node that is alone by configuration has nobody to leave its
    /// resources to.
    pub configured: usize,
    /// Operations an executor has under way at one time where `node-action-limit` does not say.
    pub operations: usize,
}

/// What happens to the controller.
#[derive(Debug, Clone, PartialEq)]
pub enum ControllerEvent {
    /// The old view decides nothing any more (G11).
    Frozen,
    /// The lease lapsed, or came back (R6.3).
    Suspended(bool),
    /// The others are well and go on without this node (R6.6, R16.6). What it runs is theirs a dead time
    /// from now (R7.18).
    Evicted,
    /// A node that was left out of this view while it was heard is silent now: nobody waits for it (R7.18).
    Silent {
        id: NodeId,
        inc: Incarnation,
    },
    /// The members still heard, and what else counts, do not suffice for quorum: if nothing changes,
    /// the next view will not decide.
    QuorumAtRisk(bool),
    View(Box<View>),
    /// What was ordered before the view, and not begun, is void: each such operation has been reported.
    Voided,
    /// The group has the state of every member, or waited for it long enough.
    StatusComplete(ViewId),
    /// Another document is visible.
    Visible(Box<Visible>),
    /// Whether any medium has carrier.
    Carrier(bool),
    /// From the bus.
    Message {
        from: NodeId,
        message: Message,
    },
    /// A message of ours that may not have arrived before its view ended.
    Dropped {
        message: Message,
    },
    /// An operation of this node has ended.
    Reported(OpResult),
    /// There was nothing to cancel (`gone`), or it can only be waited for.
    NotCancelled {
        rsc: String,
        action: String,
        interval_ms: u64,
        gone: bool,
    },
    /// The planner has answered. `error`: it could not plan at all.
    Planned {
        token: u64,
        graph: Result<Graph, String>,
        complaints: Vec<String>,
    },
    /// The answer to [`ControllerAction::Describe`]; an error says why there is none.
    Described {
        agent: AgentRef,
        facts: Result<AgentFacts, String>,
    },
    /// One of our own changes has an outcome.
    Changed {
        token: u64,
        outcome: ChangeOutcome,
    },
    /// A fencing operation has ended. `action`: the one of our plan it was for.
    Fenced {
        action: Option<ActionId>,
        record: FenceRecord,
    },
    /// A client of this node, or of another one, asks something of this node.
    Asked {
        asker: Asker,
        ask: Ask,
    },
    /// The disk failed: this node is in no view and cannot come back by itself.
    StorageLost {
        error: String,
    },
    /// A transient attribute of this node that the node itself keeps.
    Attribute {
        name: String,
        value: Option<String>,
        delay: Option<Duration>,
    },
    /// Nodes that speak Heartbeat but no views are there: two managers must not share resources.
    Foreign(Vec<String>),
    /// Stop cleanly.
    Shutdown,
    Wake,
}

/// Who waits for the answer to an [`Ask`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asker {
    /// A client of this node.
    Local(u64),
    /// Another node, under its own number.
    Node(NodeId, u64),
}

/// What the controller wants done, in this order.
#[derive(Debug, Clone)]
pub enum ControllerAction {
    /// Change the CIB; the outcome comes back as [`ControllerEvent::Changed`].
    Change {
        token: u64,
        request: cib::Request,
        announce: bool,
        /// It follows from the present view, and says nothing in another.
        this_view: bool,
    },
    Send {
        to: BusAddress,
        message: Message,
    },
    /// Run an operation here.
    Submit(OpRequest),
    /// End an operation here.
    Cancel {
        rsc: String,
        action: String,
        interval_ms: u64,
    },
    /// Ask an agent for its meta-data; answer with [`ControllerEvent::Described`].
    Describe(AgentRef),
    /// Forget a resource in the queue.
    Flush {
        rsc: String,
    },
    /// Make a plan; answer with [`ControllerEvent::Planned`].
    Plan {
        token: u64,
        cib: Cib,
        situation: Situation,
    },
    /// Fence a node for an action of the plan.
    Fence {
        action: ActionId,
        target: String,
        operation: String,
        timeout: Duration,
        delay: Duration,
    },
    /// Whether this cluster fences at all.
    Fencing(bool),
    /// Answer an [`ControllerEvent::Asked`].
    Answer {
        asker: Asker,
        reply: Reply,
    },
    /// Everything here is stopped: say goodbye.
    Leave,
    Log {
        level: Level,
        target: &'static str,
        text: String,
    },
}
