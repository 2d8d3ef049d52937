//! One node's life in the cluster: announces its state to each view that asks for it, carries out the
//! DC's orders, keeps the history of what it did, lets go when it is cut off, leaves cleanly; and, as
//! DC, plans, has plans executed, and keeps the records of nodes that are gone.
//!
//! ```text
//!              ViewChanged         all state is written        Planned            all confirmed
//!  S_PENDING ───────────▶ S_INTEGRATION ─────────▶ S_POLICY_ENGINE ─────▶ S_TRANSITION_ENGINE ──▶ S_IDLE
//!      ▲  └──(not the DC)──▶ S_NOT_DC                   ▲                        │ aborted            │
//!      │                                                └────────────────────────┘◀── something changed
//!      └──────────────── Frozen: the view decides nothing any more
//! ```
//!
//! The machine does no I/O: see [`ControllerEvent`] and [`ControllerAction`].
//!
//! Source: protocol §6, §14–16, §19; specification `membership.md` §4–11, `agents.md` §5.9, §5.13.

mod agenda;
pub mod agents;
pub mod changes;
mod complete;
mod duty;
mod execute;
mod fenced;
pub mod history;
mod interface;
mod let_go;
pub mod options;
mod requests;
mod states;
#[cfg(test)]
mod testing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ccm::group::{Level, OutReason, View};
use ccm::seam::{Incarnation, NodeId};
use cib::Cib;

use crate::attributes::{AttributeEvent, Attributes};
use crate::message::Message;
use crate::now::Now;
use crate::status::{Activity, TransitionStatus};
use crate::transition::Key;

use agenda::Duty;
use agents::Agents;
use complete::Completion;
use execute::Running;
use history::History;
pub use interface::{Asker, ControllerAction, ControllerConfig, ControllerEvent};
use let_go::LetGo;

/// Log targets: the words of the classic daemons.
pub(crate) const CRMD: &str = "crm_core";
pub(crate) const TENGINE: &str = "crm_core::transition";
pub(crate) const LRMD: &str = "crm_core::lrm";

/// What an own change of the CIB was for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Purpose {
    /// The complete state of this node.
    Announce,
    /// A part of the state of this node.
    Status,
    /// Records of other nodes, as DC.
    Records,
    /// Who is not a member of the present view, as DC.
    Members,
}

/// How far the clean stop is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaving {
    No,
    /// The DC was asked to take everything away from here.
    Asked {
        since: Duration,
    },
    /// Nobody can be asked: this node stops everything itself.
    Alone,
    /// Goodbye was said.
    Gone,
}

/// The machine.
#[derive(Debug)]
pub struct Controller {
    config: ControllerConfig,
    /// In transition keys made here.
    uuid: String,
    cib: Cib,
    settings: options::Settings,
    view: Option<View>,
    frozen: bool,
    suspended: bool,
    /// All that is to be known of the members is in the status section: the DC may plan.
    complete: bool,
    completion: Completion,
    /// Excluded nodes have let go by then (R7.18).
    settled: Duration,
    /// After being cut off: who took over may be heard by then.
    hold_until: Duration,
    history: History,
    agents: Agents,
    attributes: Attributes,
    pending: BTreeMap<u64, Purpose>,
    next_token: u64,
    /// Part of our state may not be in the CIB: announce again at this time.
    repair: Option<Duration>,
    duty: Duty,
    /// Operations of this node that were ordered and have not ended, see [`execute::slot`].
    running: BTreeMap<(String, String), Running>,
    /// Orders whose results stand in the history, by resource: the last one, and those for monitors since.
    answered: BTreeMap<String, Vec<Key>>,
    /// Cancels that were ordered: what, and the key to confirm.
    cancels: BTreeMap<(String, String, u64), Key>,
    /// Answers to orders that found no view to be sent in, or no way before it ended: for the next one.
    unsent: Vec<Message>,
    /// By the UUID in the keys of their plans: the DCs that gave orders.
    orderers: Vec<(String, NodeId)>,
    greatest_call: u64,
    no_carrier_since: Option<Duration>,
    /// Since when quorum is about to be lost.
    risk_since: Option<Duration>,
    /// Since when the others go on without this node.
    evicted_since: Option<Duration>,
    storage_lost: bool,
    foreign: bool,
    let_go: Option<LetGo>,
    /// Cut off for so long that its resources belong to somebody else.
    let_go_began: bool,
    /// Something could not be stopped, and is not tried again before the cause has passed.
    gave_up: bool,
    leaving: Leaving,
    fencing: Option<bool>,
    state: &'static str,
    dc_said: Option<String>,
    /// Every member ever seen: name → identity.
    known: BTreeMap<String, (NodeId, Incarnation)>,
}

impl Controller {
    pub fn new(config: ControllerConfig, cib: Cib) -> Self {
        let uuid = key_uuid(config.id, config.inc);
        Self {
            config,
            uuid,
            settings: options::Settings::of(&cib),
            cib,
            view: None,
            frozen: true,
            suspended: false,
            complete: false,
            completion: Completion::default(),
            settled: Duration::ZERO,
            hold_until: Duration::ZERO,
            history: History::default(),
            agents: Agents::default(),
            attributes: Attributes::default(),
            pending: BTreeMap::new(),
            next_token: 1,
            repair: None,
            duty: Duty::default(),
            running: BTreeMap::new(),
            answered: BTreeMap::new(),
            cancels: BTreeMap::new(),
            unsent: Vec::new(),
            orderers: Vec::new(),
            greatest_call: 0,
            no_carrier_since: None,
            risk_since: None,
            evicted_since: None,
            storage_lost: false,
            foreign: false,
            let_go: None,
            let_go_began: false,
            gave_up: false,
            leaving: Leaving::No,
            fencing: None,
            state: "S_STARTING",
            dc_said: None,
            known: BTreeMap::new(),
        }
    }

    /// One step.
    pub fn handle(&mut self, now: Now, event: ControllerEvent, out: &mut Vec<ControllerAction>) {
        match event {
            ControllerEvent::Frozen => {
                self.frozen = true;
                self.complete = false;
                self.duty.planning = None;
            }
            ControllerEvent::Suspended(suspended) => self.suspend(now, suspended, out),
            ControllerEvent::Evicted => {
                self.evicted_since.get_or_insert(now.mono);
            }
            ControllerEvent::Silent { id, inc } => self.silent(now, id, inc),
            ControllerEvent::QuorumAtRisk(risk) => {
                self.risk_since = risk.then(|| self.risk_since.unwrap_or(now.mono));
            }
            ControllerEvent::View(view) => self.enter(now, *view, out),
            ControllerEvent::StatusComplete(view) => {
                self.completion.carried |= self.view.as_ref().is_some_and(|v| v.id == view);
            }
            ControllerEvent::Voided => self.completion.voided = true,
            ControllerEvent::Visible(visible) => self.look(now, *visible, out),
            ControllerEvent::Carrier(any) => self.carrier(now, any, out),
            ControllerEvent::Attribute { name, value, delay } => {
                self.set_attribute(now, &name, value, delay, out);
            }
            ControllerEvent::Message { from, message } => self.message(now, from, message, out),
            ControllerEvent::Dropped { message } => self.dropped(now, message, out),
            ControllerEvent::Reported(result) => self.reported(now, result, out),
            ControllerEvent::NotCancelled { rsc, action, interval_ms, gone } => {
                self.not_cancelled(&rsc, &action, interval_ms, gone, out);
            }
            ControllerEvent::Planned { token, graph, complaints } => {
                self.planned(now, token, graph, complaints, out);
            }
            ControllerEvent::Described { agent, facts } => self.described(now, agent, facts, out),
            ControllerEvent::Changed { token, outcome } => self.changed(now, token, outcome, out),
            ControllerEvent::Fenced { action, record } => self.fenced(now, action, record, out),
            ControllerEvent::Asked { asker, ask } => self.asked(now, asker, ask, out),
            ControllerEvent::StorageLost { error } => {
                self.storage_lost = true;
                self.frozen = true;
                self.complete = false;
                self.log(Level::Error, CRMD, format!("the disk of this node failed: {error}"), out);
            }
            ControllerEvent::Foreign(names) => {
                if names.is_empty() {
                    self.want_plan("The foreign nodes are gone");
                } else {
                    let text = format!(
                        "{} speaks Heartbeat but not this program's protocol: starting nothing while it is there",
                        names.join(", ")
                    );
                    self.log(Level::Error, CRMD, text, out);
                }
                self.foreign = !names.is_empty();
                self.hold_transition(now, out);
            }
            ControllerEvent::Shutdown => self.shut_down(now, out),
            ControllerEvent::Wake => {}
        }
        self.advance(now, out);
    }

    /// When [`ControllerEvent::Wake`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        let duty = self.duty.deadline(self.settled.max(self.hold_until));
        let cut_off = self.cut_off_at().filter(|_| !self.let_go_began);
        let repair = self.repair.filter(|_| self.view().is_some());
        let alone = match self.leaving {
            Leaving::Asked { since } => Some(self.escalation_at(since)),
            _ => None,
        };
        let complete = self.completion_deadline();
        [duty, cut_off, alone, repair, complete, self.attributes.deadline()].into_iter().flatten().min()
    }

    /// The document that is visible now, with what the present view says of quorum and DC. The marks
    /// follow from the view and are therefore equal at all members without being replicated.
    pub fn cib(&self) -> Cib {
        let mut cib = self.cib.clone();
        let (quorum, dc) = match &self.view {
            Some(view) if !self.frozen => (
                view.writable,
                view.member(view.dc)
                    .map(|m| options::node_id(&self.cib, &m.name, &m.id.to_string()))
                    .unwrap_or_default(),
            ),
            _ => (false, String::new()),
        };
        let root = cib.root_mut();
        root.set_attr("have-quorum", if quorum { "1" } else { "0" });
        if dc.is_empty() {
            root.remove_attr("dc-uuid");
        } else {
            root.set_attr("dc-uuid", dc);
        }
        cib
    }

    /// How many operations of resources an executor has under way at one time.
    pub fn operations(&self) -> usize {
        self.settings.operations(self.config.operations)
    }

    pub fn view(&self) -> Option<&View> {
        self.view.as_ref().filter(|_| !self.frozen)
    }

    pub fn is_dc(&self) -> bool {
        self.view().is_some_and(|v| v.dc == self.config.id)
    }

    /// Name of the DC of the present view.
    pub fn dc(&self) -> Option<&str> {
        self.view().and_then(|v| v.member(v.dc)).map(|m| m.name.as_str())
    }

    pub fn is_complete(&self) -> bool {
        self.complete
    }

    pub fn is_suspended(&self) -> bool {
        self.suspended
    }

    pub fn is_storage_lost(&self) -> bool {
        self.storage_lost
    }

    pub fn is_leaving(&self) -> bool {
        self.leaving != Leaving::No
    }

    /// The classic name of the state, `S_IDLE` and the like.
    pub fn state(&self) -> &'static str {
        self.state
    }

    /// Identity of a node that is or was a member, by name.
    pub fn identity(&self, name: &str) -> Option<(NodeId, Incarnation)> {
        self.known.get(name).copied()
    }

    /// What this node has done with its resources.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What the controller is doing, for the status.
    pub fn transition_status(&self) -> TransitionStatus {
        let mut status = self.duty.status();
        if !self.is_dc() {
            status.activity = if self.running.is_empty() { Activity::Idle } else { Activity::Executing };
            let keys = self.running.keys().map(|(operation, _)| operation.clone());
            status.running = keys.take(TransitionStatus::SHOWN).collect();
            status.more = self.running.len() - status.running.len();
        } else if !self.complete {
            status.activity = Activity::Waiting;
        }
        status
    }

    /// What the operator should know, one sentence each.
    pub fn warnings(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.storage_lost {
            found.push("the disk of this node failed; it has left the cluster".to_owned());
        }
        if self.no_carrier_since.is_some() {
            found.push("no medium has carrier: this node is cut off at its own end".to_owned());
        }
        if let Some(view) = &self.view
            && !view.writable
        {
            found.push(format!("no quorum: {}", view.why));
        }
        found
    }

    // --- view, lease ---------------------------------------------------------------------------

    /// When everybody who is not in this view has let go, or is to be fenced.
    fn settled_at(&self, now: Now, view: &View) -> Duration {
        // A node that was started anew may still run what its former core started: it is about to join
        // and to be probed, and nothing of it is started elsewhere before that, or before it had time to.
        let settled = |out: &ccm::group::Out| match out.reason {
            OutReason::Restarted => out.settled_at.max(now.mono + self.config.deadtime),
            _ => out.settled_at,
        };
        // Half of the votes fences the other half for quorum. Where nobody was lost, who is missing may be about to
        // come: at a start, or because it has just been given its vote.
        let tied = view.tie && !view.writable && self.settings.stonith_enabled;
        let come = if tied && view.out.is_empty() { now.mono + self.config.deadtime } else { Duration::ZERO };
        view.out.iter().map(settled).max().unwrap_or_default().max(come)
    }

    /// A node that was excluded while it was heard is silent now, like one that died.
    fn silent(&mut self, now: Now, id: NodeId, inc: Incarnation) {
        let Some(view) = &mut self.view else { return };
        for out in
            view.out.iter_mut().filter(|o| o.id == id && o.inc == inc && o.reason == OutReason::Excluded)
        {
            (out.reason, out.settled_at) = (OutReason::Silent, now.mono);
        }
        let waits = |o: &ccm::group::Out| {
            matches!(o.reason, OutReason::Excluded | OutReason::Ejected | OutReason::Restarted)
        };
        if !view.out.iter().any(waits) {
            self.settled = self.settled.min(now.mono);
        }
    }

    fn enter(&mut self, now: Now, view: View, out: &mut Vec<ControllerAction>) {
        let was_dc = self.view.as_ref().is_some_and(|v| v.dc == self.config.id);
        self.frozen = false;
        self.complete = false;
        self.completion = Completion::new(self.owed(), now.mono + self.config.deadtime);
        // What could not be written while there was no view can be now.
        self.repair = self.repair.map(|_| now.mono);
        self.settled = self.settled_at(now, &view);
        if view.members.len() >= self.config.configured {
            self.hold_until = Duration::ZERO;
        }
        for member in &view.members {
            self.known.insert(member.name.clone(), (member.id, member.inc));
        }
        for gone in &view.out {
            self.known.entry(gone.name.clone()).or_insert((gone.id, gone.inc));
        }
        let dc = view.member(view.dc).map(|m| m.name.clone());
        if dc != self.dc_said {
            if let Some(old) = &self.dc_said {
                self.log(Level::Info, CRMD, format!("Unset DC (was {old})"), out);
            }
            if let Some(new) = &dc {
                self.log(Level::Info, CRMD, format!("Set DC to {new} ({})", view.feature), out);
            }
            self.dc_said = dc;
        }
        let names: Vec<&str> = view.members.iter().map(|m| m.name.as_str()).collect();
        let quorum = if view.writable { "with quorum" } else { "WITHOUT quorum" };
        self.log(Level::Info, CRMD, format!("Membership: {} ({quorum}: {})", names.join(" "), view.why), out);
        // What was feared has happened, or not: the planner decides from now on.
        self.risk_since = None;
        self.evicted_since = None;
        let is_dc = view.dc == self.config.id;
        let announce = view.announce;
        let gone: Vec<String> = view.out.iter().map(|o| o.name.clone()).collect();
        self.view = Some(view);
        if is_dc {
            if was_dc {
                self.membership_changed(now, &gone, out);
            } else {
                self.duty.take_over();
            }
            self.record_nodes(true, out);
            self.want_plan("Membership changed");
        } else {
            self.duty.give_up();
        }
        if announce {
            self.announce(true, out);
        }
        for message in std::mem::take(&mut self.unsent) {
            self.answer_order(message, out);
        }
        // A view without us being asked still deserves the shutdown request again.
        if let Leaving::Asked { .. } = self.leaving {
            self.log(Level::Info, CRMD, "(Re)Issuing shutdown request now that we have a new DC".into(), out);
        }
    }

    fn suspend(&mut self, now: Now, suspended: bool, out: &mut Vec<ControllerAction>) {
        if self.suspended == suspended {
            return;
        }
        self.suspended = suspended;
        if suspended {
            self.log(
                Level::Warning,
                CRMD,
                "not heard by every member for too long: starting nothing until that is clear".into(),
                out,
            );
        }
        self.hold_transition(now, out);
    }

    // --- leaving -------------------------------------------------------------------------------

    fn shut_down(&mut self, now: Now, out: &mut Vec<ControllerAction>) {
        if self.leaving != Leaving::No {
            return;
        }
        self.log(Level::Info, CRMD, "Shutdown requested: stopping all resources of this node".into(), out);
        if self.view().is_none() && self.history.active().is_empty() && self.running.is_empty() {
            self.leave(out);
            return;
        }
        self.leaving = Leaving::Asked { since: now.mono };
        let value = Some(now.seconds().to_string());
        self.set_attribute(now, "shutdown", value, None, out);
    }

    /// After this the node stops its resources without asking anybody: the escalation time, or a
    /// dead time if there is nobody who would plan for it.
    fn escalation_at(&self, since: Duration) -> Duration {
        // A node that is not in the configuration is in nobody's plan: so it is where there never was a quorum.
        // While a foreign node is there, nobody plans.
        let mut nodes = self.cib.nodes().into_iter().flat_map(|nodes| nodes.children_named("node"));
        let known = nodes.any(|n| n.attr("uname").is_some_and(|n| n.eq_ignore_ascii_case(&self.config.name)));
        let unled = self.view().is_none() || self.suspended || self.foreign;
        let nobody = unled || self.storage_lost || !known;
        let wait = if nobody { self.config.deadtime } else { self.settings.shutdown_escalation };
        since + wait
    }

    fn leave(&mut self, out: &mut Vec<ControllerAction>) {
        if self.leaving == Leaving::Gone {
            return;
        }
        for (key, _) in self.running.keys() {
            let text = format!("pending LRM operation at shutdown: {key}");
            out.push(ControllerAction::Log { level: Level::Error, target: CRMD, text });
        }
        for active in self.history.active() {
            let text = format!("resource {} may still be active at shutdown", active.id);
            out.push(ControllerAction::Log { level: Level::Error, target: CRMD, text });
        }
        if self.running.is_empty() && self.history.active().is_empty() {
            self.log(Level::Info, CRMD, "All HA resources relinquished.".into(), out);
        }
        self.leaving = Leaving::Gone;
        self.duty.give_up();
        out.push(ControllerAction::Leave);
    }

    // --- every step ----------------------------------------------------------------------------

    fn advance(&mut self, now: Now, out: &mut Vec<ControllerAction>) {
        if self.repair.is_some_and(|at| at <= now.mono) && self.view().is_some() {
            self.announce(false, out);
        }
        self.advance_completion(now, out);
        if self.attributes.deadline().is_some_and(|at| at <= now.mono) {
            self.attribute_step(now, AttributeEvent::Wake, out);
        }
        self.check_let_go(now, out);
        if let Leaving::Asked { since } = self.leaving
            && now.mono >= self.escalation_at(since)
        {
            self.log(
                Level::Warning,
                CRMD,
                "nobody took the resources away from here: stopping them without being told".into(),
                out,
            );
            self.leaving = Leaving::Alone;
            self.check_let_go(now, out);
        }
        self.advance_duty(now, out);
        self.say_state(out);
    }

    fn say_state(&mut self, out: &mut Vec<ControllerAction>) {
        let state = match self.leaving {
            Leaving::Gone => "S_TERMINATE",
            _ if self.view.is_none() => "S_STARTING",
            _ if self.view().is_none() => "S_PENDING",
            _ if !self.is_dc() => "S_NOT_DC",
            _ if !self.complete => "S_INTEGRATION",
            _ => self.duty.state(),
        };
        if state != self.state {
            let text = format!("State transition {} -> {state}", self.state);
            self.log(Level::Info, CRMD, text, out);
            self.state = state;
        }
    }

    fn log(&self, level: Level, target: &'static str, text: String, out: &mut Vec<ControllerAction>) {
        out.push(ControllerAction::Log { level, target, text });
    }

    /// The complaints of the last plan.
    pub fn complaints(&self) -> Arc<Vec<String>> {
        self.duty.complaints.clone()
    }
}

/// 36 characters that no other incarnation uses.
fn key_uuid(id: NodeId, inc: Incarnation) -> String {
    let mut bytes = id.0;
    let salt = inc.boot ^ inc.generation.rotate_left(32);
    for (byte, salt) in bytes.iter_mut().skip(8).zip(salt.to_be_bytes()) {
        *byte ^= salt;
    }
    NodeId(bytes).to_string()
}
