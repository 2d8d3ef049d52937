//! The DC's duties: plan when the members' state is complete, execute the plan, and plan again when
//! something changed.

use std::sync::Arc;
use std::time::Duration;

use ccm::bus::BusAddress;
use ccm::group::{Level, Visible};

use super::changes::{Change, changes};
use super::history::is_failure;
use super::{Controller, ControllerAction, TENGINE};
use crate::message::Message;
use crate::now::Now;
use crate::policy::Situation;
use crate::policy::graph::{ActionId, ActionKind, Graph, GraphAction};
use crate::transition::{
    Completion, Held, INFINITY, Key, Magic, Outcome, Transition, TransitionAction, TransitionEvent,
};

/// Plans in a row that ended in a failure before the next one waits a little, and the bounds of that.
const FREE_RETRIES: u32 = 5;
const BRAKE: Duration = Duration::from_millis(250);
const BRAKE_MAX: Duration = Duration::from_secs(15);

impl Controller {
    /// Asks for a new plan once the present one is over.
    pub(super) fn want_plan(&mut self, why: &str) {
        self.duty.wanted.get_or_insert_with(|| why.to_owned());
    }

    /// Something changed: give up the present plan where it is doubtful, and make a new one.
    pub(super) fn abort(&mut self, now: Now, why: String, out: &mut Vec<ControllerAction>) {
        if !self.is_dc() {
            return;
        }
        self.duty.wanted.get_or_insert_with(|| why.clone());
        self.duty.failures = 0;
        self.duty.brake = None;
        self.duty.nobody_to_fence = false;
        self.transition_step(
            now,
            TransitionEvent::Abort { priority: INFINITY, completion: Completion::Restart, reason: why },
            out,
        );
    }

    pub(super) fn hold_transition(&mut self, now: Now, out: &mut Vec<ControllerAction>) {
        self.transition_step(now, TransitionEvent::Hold(self.held()), out);
    }

    fn held(&self) -> Held {
        match (self.suspended || self.foreign, self.duty.assumes_quorum) {
            (true, _) => Held::All,
            (false, true) => Held::Starts,
            (false, false) => Held::Nothing,
        }
    }

    pub(super) fn membership_changed(&mut self, now: Now, gone: &[String], out: &mut Vec<ControllerAction>) {
        self.duty.fence_failures.clear();
        for name in gone {
            self.transition_step(now, TransitionEvent::NodeGone { name: name.clone() }, out);
        }
        self.abort(now, "Membership changed".into(), out);
        self.reconcile(now, out);
    }

    /// Looks in the CIB for results of what runs: those that were under way when a view ended came with
    /// the base of the next one, before it was active.
    fn reconcile(&mut self, now: Now, out: &mut Vec<ControllerAction>) {
        let Some(machine) = &self.duty.transition else { return };
        let number = i64::try_from(machine.number()).unwrap_or(i64::MAX);
        let pending: Vec<GraphAction> =
            machine.pending().filter(|a| a.kind == ActionKind::Resource).cloned().collect();
        for action in pending {
            let (Some(rsc), Some(node)) = (&action.resource, &action.on_node) else { continue };
            let key = Key {
                action: i64::from(action.id.0),
                transition: number,
                expected: expected_rc(&action),
                uuid: self.uuid.clone(),
            }
            .to_string();
            let found = self
                .cib
                .status()
                .into_iter()
                .flat_map(|s| s.children_named("node_state"))
                .filter(|s| s.attr("uname") == Some(node))
                .filter_map(|s| s.path(&["lrm", "lrm_resources"]))
                .flat_map(|l| l.children_named("lrm_resource"))
                .filter(|r| r.id() == Some(rsc.id.as_str()))
                .flat_map(|r| r.children_named("lrm_rsc_op"))
                .find(|op| {
                    op.attr("transition-key") == Some(key.as_str()) && op.attr("op-status") != Some("-1")
                })
                .cloned();
            if let Some(op) = found
                && let Some(magic) = op.attr("transition-magic").map(str::to_owned)
            {
                let change = Change { node: node.to_string(), resource: rsc.id.clone(), op };
                self.result(now, &change, &magic, out);
            }
        }
    }

    /// Plans if a plan is wanted and everything needed for one is there.
    pub(super) fn advance_duty(&mut self, now: Now, out: &mut Vec<ControllerAction>) {
        if self.duty.transition.as_ref().and_then(Transition::deadline).is_some_and(|at| at <= now.mono) {
            self.transition_step(now, TransitionEvent::Wake, out);
        }
        // Times that have passed are taken note of whatever the state: no timer may stay in the past.
        self.duty.waiting = now.mono < self.settled.max(self.hold_until);
        if self.duty.brake.is_some_and(|at| at <= now.mono) {
            self.duty.brake = None;
        }
        if self.duty.recheck.is_some_and(|at| at <= now.mono) {
            self.duty.recheck = None;
            self.want_plan("time");
        }
        if !self.is_dc()
            || !self.complete
            || self.suspended
            || self.is_cut_off()
            || self.storage_lost
            || self.foreign
        {
            return;
        }
        if self.duty.transition.is_some() || self.duty.planning.is_some() {
            return;
        }
        if self.duty.wanted.is_none() {
            return;
        }
        // What this node itself has asked to be written must be seen by the planner.
        if self.duty.waiting || !self.pending.is_empty() || self.duty.brake.is_some() {
            return;
        }
        self.duty.wanted = None;
        self.duty.brake = None;
        self.duty.recheck = None;
        self.duty.next_plan += 1;
        let token = self.duty.next_plan;
        self.duty.planning = Some(token);
        let cib = self.cib();
        let tie = self.view.as_ref().is_some_and(|v| v.tie && !v.writable);
        // For this plan only, whatever else speaks against it: later there may be somebody.
        let nobody = std::mem::take(&mut self.duty.nobody_to_fence);
        let assumes_quorum = tie && self.settings.stonith_enabled && !nobody;
        self.duty.assumes_quorum = assumes_quorum;
        let situation = Situation {
            now: now.seconds(),
            utc_offset: now.utc_offset,
            // Half of the votes may fence the other half; the group grants the rest when that is done.
            quorum: assumes_quorum.then_some(true),
            ..Situation::default()
        };
        out.push(ControllerAction::Plan { token, cib, situation });
    }

    pub(super) fn planned(
        &mut self,
        now: Now,
        token: u64,
        graph: Result<Graph, String>,
        mut complaints: Vec<String>,
        out: &mut Vec<ControllerAction>,
    ) {
        if self.duty.planning != Some(token) {
            return;
        }
        self.duty.planning = None;
        if !self.is_dc() || self.duty.wanted.is_some() {
            // Something changed while it was made: make another one.
            return;
        }
        // One plan finds them in another order than the next.
        complaints.sort();
        if *self.duty.complaints != complaints {
            for complaint in &complaints {
                self.log(Level::Warning, "crm_core::policy", complaint.clone(), out);
            }
            self.duty.complaints = Arc::new(complaints);
        }
        let graph = match graph {
            Ok(graph) => graph,
            Err(error) => {
                self.log(Level::Error, "crm_core::policy", format!("no plan could be made: {error}"), out);
                self.duty.last = Some(format!("no plan could be made: {error}"));
                return;
            }
        };
        if self.duty.assumes_quorum && !fences(&graph) {
            self.duty.nobody_to_fence = true;
            self.want_plan("there is nobody to fence for quorum");
            return;
        }
        let every = self.settings.recheck_interval;
        let by_interval = (!every.is_zero()).then(|| now.mono + every);
        let by_plan = graph.recheck_by.map(|at| {
            let seconds = i64::try_from(at).unwrap_or(i64::MAX).saturating_sub(now.seconds()).max(0);
            now.mono + Duration::from_secs(u64::try_from(seconds).unwrap_or(0)) + Duration::from_millis(500)
        });
        self.duty.recheck = [by_interval, by_plan].into_iter().flatten().min();
        self.duty.number += 1;
        let number = self.duty.number;
        let count = graph.synapses.len();
        if count > 0 {
            self.log(
                Level::Info,
                TENGINE,
                format!("Unpacked transition {number}: {count} actions in {count} synapses"),
                out,
            );
        }
        self.duty.transition = Some(Transition::new(number, graph, self.operations()));
        self.hold_transition(now, out);
    }

    pub(super) fn transition_step(
        &mut self,
        now: Now,
        event: TransitionEvent,
        out: &mut Vec<ControllerAction>,
    ) {
        // Events that the answers cause are handled after the answers: a queue, not a recursion.
        let mut events = std::collections::VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            let Some(machine) = &mut self.duty.transition else { return };
            let mut actions = Vec::new();
            machine.handle(now.mono, event, &mut actions);
            for action in actions {
                match action {
                    TransitionAction::Fire(id) => {
                        if let Some(reply) = self.fire(id, out) {
                            events.push_back(reply);
                        }
                    }
                    TransitionAction::Lost { action, waited } => self.lost(now, action, waited, out),
                    TransitionAction::Aborted { reason } => {
                        let number = self.duty.number;
                        self.log(Level::Info, TENGINE, format!("Transition {number} aborted: {reason}"), out);
                    }
                    TransitionAction::Finished(report) => {
                        let level = if report.fired > 0 { Level::Info } else { Level::Debug };
                        self.log(level, TENGINE, report.to_string(), out);
                        self.duty.last = Some(report.to_string());
                        self.duty.transition = None;
                        if std::mem::take(&mut self.duty.gave_up) {
                            self.duty.failures = 0;
                        } else if report.completion == Completion::Restart {
                            self.want_plan(report.reason.as_deref().unwrap_or("transition was cut short"));
                            if report.reason.as_deref() == Some("Event failed") {
                                self.duty.failures += 1;
                                self.duty.brake = brake(self.duty.failures).map(|d| now.mono + d);
                            }
                        } else {
                            self.duty.failures = 0;
                        }
                        if std::mem::take(&mut self.duty.assumes_quorum) && self.duty.wanted.is_none() {
                            // The view that says so comes, and makes a plan; if not, there is no quorum.
                            self.want_plan("fencing gave no quorum");
                            self.duty.brake = Some(now.mono + self.config.deadtime);
                        }
                    }
                }
            }
        }
    }

    /// Has an action carried out. What comes back is its result, where that is known at once.
    fn fire(&mut self, id: ActionId, out: &mut Vec<ControllerAction>) -> Option<TransitionEvent> {
        let machine = self.duty.transition.as_ref()?;
        let action = machine.action(id)?.clone();
        let number = machine.number();
        let fatal_start = machine.graph().failed_start_offset != "1";
        let stonith_timeout = crate::policy::values::parse_duration_ms(&machine.graph().stonith_timeout)
            .map_or(Duration::from_secs(60), Duration::from_millis);
        let expected = expected_rc(&action);
        let key = Key {
            action: i64::from(id.0),
            transition: i64::try_from(number).unwrap_or(i64::MAX),
            expected,
            uuid: self.uuid.clone(),
        };
        let failed = Some(TransitionEvent::Result { action: id, outcome: Outcome::Failed });
        if action.kind == ActionKind::Cluster && action.operation == "stonith" {
            let target = action.on_node.as_ref()?.to_string();
            if self.fence_attempts_exhausted(&target) {
                self.log(
                    Level::Warning,
                    TENGINE,
                    format!("Too many failures to fence {target}: giving up until something changes"),
                    out,
                );
                self.duty.gave_up = true;
                return failed;
            }
            let operation = action.attribute("CRM_meta_stonith_action").unwrap_or("reboot").to_owned();
            let delay = action
                .attribute("CRM_meta_priority_fencing_delay")
                .and_then(crate::policy::values::parse_duration_ms)
                .map_or(Duration::ZERO, Duration::from_millis);
            self.log(
                Level::Info,
                TENGINE,
                format!("Executing fencing operation ({operation}) on {target}"),
                out,
            );
            let timeout = stonith_timeout;
            out.push(ControllerAction::Fence { action: id, target, operation, timeout, delay });
            return None;
        }
        let node = action.router_node.as_deref().or(action.on_node.as_deref()).unwrap_or_default().to_owned();
        let member = self.view().and_then(|v| v.members.iter().find(|m| m.name == node)).map(|m| m.id);
        let Some(member) = member else {
            if action.kind == ActionKind::Cluster && action.on_node.is_none() {
                return Some(TransitionEvent::Result { action: id, outcome: Outcome::Ok });
            }
            self.log(
                Level::Warning,
                TENGINE,
                format!("{} cannot be done: {node} is not a member", action.operation_key),
                out,
            );
            return failed;
        };
        let what =
            if action.kind == ActionKind::Cluster { "Executing crm-event" } else { "Initiating action" };
        self.log(
            Level::Info,
            TENGINE,
            format!("{what} {}: {} {} on {node}", id.0, action.operation, action.operation_key),
            out,
        );
        out.push(ControllerAction::Send {
            to: BusAddress::Node(member),
            message: Message::Execute { key, action: Box::new(action), fatal_start },
        });
        None
    }

    /// No answer in time: the result is unknown, and written so, unless the node says otherwise later.
    fn lost(&mut self, now: Now, id: ActionId, waited: Duration, out: &mut Vec<ControllerAction>) {
        let Some(action) = self.duty.transition.as_ref().and_then(|t| t.action(id)).cloned() else { return };
        let node = action.on_node.clone().unwrap_or_default();
        self.log(
            Level::Error,
            TENGINE,
            format!(
                "Node {node} did not send {} result (via {}) within {}ms (action timeout plus cluster-delay)",
                action.operation,
                action.router_node.as_deref().unwrap_or(&node),
                waited.as_millis()
            ),
            out,
        );
        if action.kind == ActionKind::Resource {
            self.record_lost(now, &action, out);
        }
    }

    /// An order that the bus could not deliver will have no answer.
    pub(super) fn order_dropped(&mut self, now: Now, key: &Key, out: &mut Vec<ControllerAction>) {
        if let Some(action) = self.own_action(key) {
            self.transition_step(now, TransitionEvent::Result { action, outcome: Outcome::Failed }, out);
        }
    }

    /// The answer to an order whose result the history does not show.
    pub(super) fn order_done(
        &mut self,
        now: Now,
        from: &str,
        key: &Key,
        ok: bool,
        reason: &str,
        out: &mut Vec<ControllerAction>,
    ) {
        let Some(id) = self.own_action(key) else { return };
        let Some(machine) = &self.duty.transition else { return };
        let (action, waited_for) = (machine.action(id).cloned(), machine.is_pending(id));
        if !ok && waited_for {
            let what = action.as_ref().map(|a| a.operation_key.clone()).unwrap_or_default();
            self.log(Level::Warning, TENGINE, format!("{from} refused {what}: {reason}"), out);
        }
        if ok && action.as_ref().is_some_and(|a| a.operation == "do_shutdown") {
            self.record_expected_down(from, out);
        }
        let outcome = if ok { Outcome::Ok } else { Outcome::Failed };
        self.transition_step(now, TransitionEvent::Result { action: id, outcome }, out);
    }

    /// The action of the present plan that a key names.
    fn own_action(&self, key: &Key) -> Option<ActionId> {
        let machine = self.duty.transition.as_ref()?;
        let number = i64::try_from(machine.number()).ok()?;
        if key.uuid != self.uuid || key.transition != number {
            return None;
        }
        u32::try_from(key.action).ok().map(ActionId)
    }

    /// Another document is visible.
    pub(super) fn look(&mut self, now: Now, visible: Visible, out: &mut Vec<ControllerAction>) {
        let before = std::mem::replace(&mut self.cib, visible.cib);
        self.settings.look(&self.cib);
        let fencing = self.settings.stonith_enabled;
        if self.fencing != Some(fencing) {
            self.fencing = Some(fencing);
            out.push(ControllerAction::Fencing(fencing));
        }
        if self.is_taken_for_gone() {
            self.repair = Some(now.mono);
        }
        if !self.is_dc() {
            return;
        }
        if !visible.by_entry {
            self.abort(now, "Another configuration was taken over".into(), out);
        }
        // A new base may hold results too, which were under way when the view ended.
        let found = changes(&before, &self.cib);
        if found.configuration {
            self.duty.fence_failures.clear();
            self.abort(now, "Configuration change".into(), out);
        }
        if found.tickets {
            self.abort(now, "Ticket change".into(), out);
        }
        let mut seen = Vec::new();
        for change in &found.results {
            let Some(text) = change.op.attr("transition-magic") else { continue };
            // A failure stands in two entries; it is one result.
            let this = (change.node.clone(), text.to_owned(), change.op.attr("call-id").map(str::to_owned));
            if !seen.contains(&this) {
                seen.push(this);
                self.result(now, change, text, out);
            }
        }
        for (node, resource) in &found.forgotten {
            if self.view().is_some_and(|v| v.members.iter().any(|m| m.name == *node)) {
                self.abort(now, format!("Resource history of {resource} on {node} was removed"), out);
            }
        }
        let counted: Vec<&str> = found.results.iter().map(|c| c.node.as_str()).collect();
        for (node, name) in &found.attributes {
            // Counts come together with the failure that they count.
            let of_failure = name.starts_with("fail-count-") || name.starts_with("last-failure-");
            if !(of_failure && counted.contains(&node.as_str())) {
                self.abort(now, format!("Transient attribute change: {name} of {node}"), out);
            }
        }
    }

    fn result(&mut self, now: Now, change: &Change, text: &str, out: &mut Vec<ControllerAction>) {
        let Ok(magic) = text.parse::<Magic>() else {
            self.abort(now, format!("Bad transition-magic \"{text}\" of {}", change.resource), out);
            return;
        };
        if magic.status == lrm::OpStatus::Pending.code() {
            return;
        }
        let status = lrm::OpStatus::of(magic.status).unwrap_or(lrm::OpStatus::Error);
        let failed = is_failure(status, magic.rc, magic.key.expected);
        let what = change.op.attr("operation_key").unwrap_or_default();
        if failed {
            self.log(
                Level::Warning,
                TENGINE,
                format!(
                    "Action {} ({what}) on {} failed (target: {} vs. rc: {}): Error",
                    magic.key.action, change.node, magic.key.expected, magic.rc
                ),
                out,
            );
        }
        match self.own_action(&magic.key) {
            Some(id) if self.duty.transition.as_ref().is_some_and(|t| t.is_pending(id)) => {
                let outcome = if failed { Outcome::Failed } else { Outcome::Ok };
                self.transition_step(now, TransitionEvent::Result { action: id, outcome }, out);
            }
            Some(_) if !failed => {}
            Some(_) => {
                self.abort(now, format!("Inactive or unexpected event: {what} on {}", change.node), out)
            }
            None if magic.key.uuid == self.uuid => {
                self.abort(now, format!("Old event: {what} on {}", change.node), out);
            }
            None => self.abort(now, format!("Foreign event: {what} on {}", change.node), out),
        }
    }
}

/// Whether a plan fences anybody.
fn fences(graph: &Graph) -> bool {
    let fence = |a: &GraphAction| a.kind == ActionKind::Cluster && a.operation == "stonith";
    graph.synapses.iter().any(|s| fence(&s.action))
}

fn brake(failures: u32) -> Option<Duration> {
    let beyond = failures.checked_sub(FREE_RETRIES)?;
    Some((BRAKE * 2u32.saturating_pow(beyond.min(10))).min(BRAKE_MAX))
}

/// The result an action must have.
pub(super) fn expected_rc(action: &GraphAction) -> i32 {
    action.attribute("CRM_meta_op_target_rc").and_then(|v| v.parse().ok()).unwrap_or(0)
}
