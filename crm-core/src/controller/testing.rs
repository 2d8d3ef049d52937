//! A controller of its own, driven by hand: what tests of the controller share.

#![allow(clippy::unwrap_used)]

use std::time::Duration;

use ccm::bus::BusAddress;
use ccm::group::{Member, Out, OutReason, Outcome, View};
use ccm::seam::{Incarnation, NodeId, Stamp, ViewId};
use cib::Cib;
use lrm::{AgentRef, CallId, OpResult, OpStatus};

use super::execute::{Running, slot};
use super::{Controller, ControllerAction, ControllerConfig, ControllerEvent};
use crate::message::Message;
use crate::now::Now;

pub const DEADTIME: Duration = Duration::from_secs(4);

pub fn id(n: u8) -> NodeId {
    NodeId([n; 16])
}

fn inc(n: u8) -> Incarnation {
    Incarnation { generation: 1, boot: u64::from(n) }
}

/// Of n1, the DC, and n2, with quorum.
pub fn view() -> View {
    let member = |n: u8| Member {
        id: id(n),
        inc: inc(n),
        name: format!("n{n}"),
        born: ViewId::default(),
        feature: "3.19.0".into(),
        impaired: false,
    };
    View {
        id: ViewId { epoch: 7, proposer: id(1), boot: 1 },
        members: vec![member(1), member(2)],
        joined: Vec::new(),
        out: Vec::new(),
        dc: id(1),
        exclusive: true,
        writable: true,
        tie: false,
        why: String::new(),
        feature: "3.19.0".into(),
        announce: false,
        conflicts: Vec::new(),
    }
}

/// One that was in the view before.
pub fn gone(n: u8, reason: OutReason, settled_at: Duration) -> Out {
    Out { id: id(n), name: format!("n{n}"), inc: inc(n), reason, settled_at }
}

pub struct One {
    pub controller: Controller,
    pub now: Duration,
    pub done: Vec<ControllerAction>,
}

impl One {
    pub fn new(n: u8) -> Self {
        let config = ControllerConfig {
            id: id(n),
            inc: inc(n),
            name: format!("n{n}"),
            deadtime: DEADTIME,
            configured: 3,
            operations: 4,
        };
        let controller = Controller::new(config, Cib::empty());
        Self { controller, now: Duration::from_secs(10), done: Vec::new() }
    }

    pub fn give(&mut self, event: ControllerEvent) {
        let now = Now::utc(self.now, 1_700_000_000_000_000_000);
        self.controller.handle(now, event, &mut self.done);
    }

    /// A view of n1, the DC, and n2.
    pub fn view(&mut self) {
        self.enter(view());
    }

    /// A view begins, and all is known.
    pub fn enter(&mut self, view: View) {
        let id = view.id;
        self.give(ControllerEvent::View(Box::new(view)));
        self.give(ControllerEvent::StatusComplete(id));
        self.give(ControllerEvent::Voided);
    }

    /// All own changes under way have this outcome.
    pub fn answer(&mut self, outcome: &Outcome) {
        let tokens: Vec<u64> = self.controller.pending.keys().copied().collect();
        for token in tokens {
            self.give(ControllerEvent::Changed { token, outcome: outcome.clone() });
        }
    }

    /// An operation that began in an earlier view has ended.
    pub fn result(&mut self) {
        self.ended("start", ORDER);
    }

    /// An operation for the resource `ip` has ended well.
    pub fn ended(&mut self, action: &str, key: &str) {
        self.reported(action, key, OpStatus::Done);
    }

    pub fn reported(&mut self, action: &str, key: &str, status: OpStatus) {
        self.give(ControllerEvent::Reported(OpResult {
            call_id: CallId(3),
            rsc: "ip".into(),
            agent: AgentRef::from_cib("ocf", Some("heartbeat"), "Dummy").unwrap(),
            action: action.into(),
            interval_ms: 0,
            timeout_ms: 20_000,
            rc: 0,
            status,
            expected_rc: 0,
            reason: String::new(),
            output: String::new(),
            exec_ms: 5,
            queue_ms: 0,
            started_wall_s: 1_700_000_000,
            changed_wall_s: 1_700_000_000,
            key: key.into(),
            params: Default::default(),
        }));
    }

    /// Answers that say that the order with this key is over, and was not carried out.
    pub fn refused(&self, key: &str) -> usize {
        let refused = |a: &&ControllerAction| match a {
            ControllerAction::Send { message: Message::Done { key: of, ok, .. }, .. } => {
                of.to_string() == key && !ok
            }
            _ => false,
        };
        self.done.iter().filter(refused).count()
    }

    /// An order for an operation of the resource `ip` is being carried out.
    pub fn running(&mut self, action: &str, key: &str) {
        let running = Running { key: key.parse().unwrap(), fatal_start: true, answered: false };
        self.controller.running.insert(slot(format!("ip_{action}_0"), 0, key), running);
    }

    pub fn plans(&self) -> usize {
        self.done.iter().filter(|a| matches!(a, ControllerAction::Plan { .. })).count()
    }

    pub fn said(&self) -> usize {
        let said = |a: &&ControllerAction| matches!(a, ControllerAction::Send { to, message: Message::Written } if *to == BusAddress::Node(id(1)));
        self.done.iter().filter(said).count()
    }
}

/// The key of an order.
pub const ORDER: &str = "1:1:0:01010101-0101-0101-0101-010101010101";

pub const DONE: Outcome =
    Outcome::Done { stamp: STAMP, version: cib::Version::new(0, 1, 1), without_quorum: false };
pub const STAMP: Stamp = Stamp { view: ViewId { epoch: 7, proposer: NodeId([1; 16]), boot: 1 }, n: 1 };
