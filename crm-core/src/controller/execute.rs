//! Carrying out the DC's orders on this node, and reporting what came of them.

use std::collections::BTreeMap;
use std::time::Duration;

use ccm::bus::BusAddress;
use ccm::group::Level;
use ccm::seam::NodeId;
use lrm::{AgentRef, CallId, OpRequest, OpResult, OpStatus, rc};

use super::history::is_recorded;
use super::{Asker, Controller, ControllerAction, LRMD, Leaving};
use crate::attributes::AttributeEvent;
use crate::message::Message;
use crate::now::Now;
use crate::policy::graph::{ActionKind, GraphAction};
use crate::transition::Key;

/// Controllers answer for an operation with a longer start delay at once, so that the transition goes
/// on (specification `agents.md` §5.7).
const LONGEST_START_DELAY_MS: u64 = 300_000;
/// Answers kept for the next view: far more than a node is ever asked to do at a time.
const UNSENT_LIMIT: usize = 1024;
/// Starts of DCs whose orders are remembered as theirs.
const ORDERERS: usize = 16;

impl Controller {
    pub(super) fn message(
        &mut self,
        now: Now,
        from: NodeId,
        message: Message,
        out: &mut Vec<ControllerAction>,
    ) {
        let sender = self.view().and_then(|v| v.member(from)).map(|m| m.name.clone());
        let Some(sender) = sender else { return };
        match message {
            Message::Execute { key, action, fatal_start } => {
                if self.view().is_some_and(|v| v.dc == from) {
                    self.execute(now, from, key, &action, fatal_start, out);
                } else {
                    self.log(
                        Level::Warning,
                        LRMD,
                        format!("an order of {sender} is ignored: it is not the DC"),
                        out,
                    );
                }
            }
            Message::Done { key, ok, reason, .. } => self.order_done(now, &sender, &key, ok, &reason, out),
            Message::Written => self.written_by(from),
            Message::Ask { id, ask } => self.asked(now, Asker::Node(from, id), ask, out),
            Message::Flush { name } => {
                if from != self.config.id {
                    self.attribute_step(now, AttributeEvent::Flush { name }, out);
                }
            }
            // Answered to the core, or for the fencing machine.
            Message::Answer { .. }
            | Message::Fence { .. }
            | Message::FenceResult { .. }
            | Message::FenceNews(_)
            | Message::FenceHistory(_)
            | Message::FencePending(_) => {}
        }
    }

    pub(super) fn dropped(&mut self, now: Now, message: Message, out: &mut Vec<ControllerAction>) {
        match message {
            Message::Execute { key, .. } => self.order_dropped(now, &key, out),
            // Not at once: a bus that is full would drop it again.
            message @ Message::Done { .. } => self.keep_for_the_next_view(message),
            _ => {}
        }
    }

    fn keep_for_the_next_view(&mut self, answer: Message) {
        if self.unsent.len() >= UNSENT_LIMIT {
            self.unsent.remove(0);
        }
        self.unsent.push(answer);
    }

    /// Tells who gave an order what became of it, for its plan waits for the answer. Where it is no member at this
    /// moment it is told when it is one again: it may be the DC still, having been in another view meanwhile.
    pub(super) fn answer_order(&mut self, message: Message, out: &mut Vec<ControllerAction>) {
        let by = match &message {
            Message::Done { key, .. } => self.orderers.iter().find(|(uuid, _)| *uuid == key.uuid),
            _ => None,
        };
        let by = by.map(|(_, by)| *by);
        let to = self.view().and_then(|view| match by {
            Some(by) => view.members.iter().any(|m| m.id == by).then_some(by),
            None => Some(view.dc),
        });
        match to {
            Some(to) => out.push(ControllerAction::Send { to: BusAddress::Node(to), message }),
            None => self.keep_for_the_next_view(message),
        }
    }

    /// Remembers whose plan a key belongs to.
    fn ordered_by(&mut self, uuid: &str, from: NodeId) {
        if self.orderers.iter().any(|(known, _)| known == uuid) {
            return;
        }
        if self.orderers.len() >= ORDERERS {
            self.orderers.remove(0);
        }
        self.orderers.push((uuid.to_owned(), from));
    }

    fn execute(
        &mut self,
        now: Now,
        from: NodeId,
        key: Key,
        action: &GraphAction,
        fatal_start: bool,
        out: &mut Vec<ControllerAction>,
    ) {
        let done = |ok: bool, rc: i32, reason: &str| ControllerAction::Send {
            to: BusAddress::Node(from),
            message: Message::Done { key: key.clone(), ok, rc, reason: reason.to_owned() },
        };
        self.ordered_by(&key.uuid, from);
        let stopping = matches!(action.operation.as_str(), "stop" | "demote" | "cancel" | "do_shutdown");
        if (self.suspended || self.is_cut_off() || self.storage_lost || self.foreign) && !stopping {
            out.push(done(false, rc::ERROR, "Controller cannot attempt actions at this time"));
            return;
        }
        if matches!(self.leaving, Leaving::Alone | Leaving::Gone) && action.operation == "start" {
            out.push(done(false, rc::ERROR, "Not attempting start due to shutdown in progress"));
            return;
        }
        let rsc = action.resource.as_ref().map(|r| r.id.clone()).unwrap_or_default();
        match (action.kind, action.operation.as_str()) {
            (ActionKind::Cluster, "do_shutdown") => {
                out.push(done(true, rc::OK, ""));
                if self.leaving == Leaving::No {
                    self.leaving = Leaving::Asked { since: now.mono };
                }
                self.leave(out);
            }
            (ActionKind::Cluster, "clear_failcount") => {
                self.clear_failures(now, &rsc, None, None, out);
                out.push(done(true, rc::OK, ""));
            }
            (_, "lrm_delete" | "delete") => {
                self.forget(&rsc, out);
                out.push(done(true, rc::OK, ""));
            }
            (ActionKind::Cluster, _) => out.push(done(true, rc::OK, "")),
            (_, "cancel") => self.cancel(&rsc, action, key, out),
            _ => match self.request(&rsc, action, &key) {
                Ok(request) => self.begin_when_known(now, from, request, key, fatal_start, out),
                Err(reason) => {
                    self.log(Level::Error, LRMD, format!("{}: {reason}", action.operation_key), out);
                    self.refuse_for_good(now, action, &key, &reason, out);
                    out.push(done(false, rc::NOT_CONFIGURED, &reason));
                }
            },
        }
    }

    fn request(&self, rsc: &str, action: &GraphAction, key: &Key) -> Result<OpRequest, String> {
        let resource = action.resource.as_ref().ok_or("the order names no resource")?;
        let agent = AgentRef::from_cib(&resource.class, resource.provider.as_deref(), &resource.agent)
            .map_err(|e| e.to_string())?;
        let number = |name: &str| action.attribute(name).and_then(|v| v.parse::<u64>().ok()).unwrap_or(0);
        let params: BTreeMap<String, String> =
            action.attributes.iter().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        Ok(OpRequest {
            rsc: rsc.to_owned(),
            agent,
            action: action.operation.to_string(),
            interval_ms: number("CRM_meta_interval"),
            timeout_ms: number("CRM_meta_timeout"),
            start_delay_ms: number("CRM_meta_start_delay"),
            params,
            key: key.to_string(),
            expected_rc: key.expected,
        })
    }

    pub(super) fn begin(
        &mut self,
        now: Now,
        from: NodeId,
        request: OpRequest,
        key: Key,
        fatal_start: bool,
        out: &mut Vec<ControllerAction>,
    ) {
        let operation_key = request.operation_key();
        self.log(
            Level::Info,
            LRMD,
            format!(
                "Requesting local execution of {} operation for {} on {} | transition_key={key} op_key={operation_key}",
                request.action, request.rsc, self.config.name
            ),
            out,
        );
        let record =
            request.params.get("CRM_meta_record_pending").is_none_or(|v| v.eq_ignore_ascii_case("true"));
        let pending = self.history.pending(&self.config.name, &request, now.seconds());
        if record && request.interval_ms == 0 {
            self.write_status(pending, &[], out);
        }
        if request.start_delay_ms > LONGEST_START_DELAY_MS {
            out.push(ControllerAction::Send {
                to: BusAddress::Node(from),
                message: Message::Done { key: key.clone(), ok: true, rc: rc::OK, reason: String::new() },
            });
        }
        let slot = slot(operation_key, request.interval_ms, &request.key);
        self.running.insert(slot, Running { key, fatal_start, answered: false });
        out.push(ControllerAction::Submit(request));
    }

    /// An order that can never be carried out here is a result of its own: without one, the planner
    /// would give it again and again.
    fn refuse_for_good(
        &mut self,
        now: Now,
        action: &GraphAction,
        key: &Key,
        reason: &str,
        out: &mut Vec<ControllerAction>,
    ) {
        self.log(
            Level::Error,
            LRMD,
            format!(
                "{} cannot be carried out on {}: {reason} ({key})",
                action.operation_key, self.config.name
            ),
            out,
        );
        self.record_lost(now, action, out);
    }

    fn cancel(&mut self, rsc: &str, action: &GraphAction, key: Key, out: &mut Vec<ControllerAction>) {
        let operation = action.attribute("CRM_meta_operation").unwrap_or("monitor").to_owned();
        let interval_ms =
            action.attribute("CRM_meta_interval").and_then(|v| v.parse::<u64>().ok()).unwrap_or_default();
        self.cancels.insert((rsc.to_owned(), operation.clone(), interval_ms), key);
        out.push(ControllerAction::Cancel { rsc: rsc.to_owned(), action: operation, interval_ms });
    }

    pub(super) fn not_cancelled(
        &mut self,
        rsc: &str,
        action: &str,
        interval_ms: u64,
        gone: bool,
        out: &mut Vec<ControllerAction>,
    ) {
        if gone {
            self.delete_ops(rsc, &[format!("{rsc}_{action}_{interval_ms}")], out);
        }
        self.cancel_done(rsc, action, interval_ms, out);
    }

    fn cancel_done(&mut self, rsc: &str, action: &str, interval_ms: u64, out: &mut Vec<ControllerAction>) {
        let what = (rsc.to_owned(), action.to_owned(), interval_ms);
        if let Some(key) = self.cancels.remove(&what) {
            self.answer_order(Message::Done { key, ok: true, rc: rc::OK, reason: String::new() }, out);
        }
    }

    /// An operation of this node has ended.
    pub(super) fn reported(&mut self, now: Now, result: OpResult, out: &mut Vec<ControllerAction>) {
        self.greatest_call = self.greatest_call.max(result.call_id.0);
        if result.status == OpStatus::Invalid {
            self.not_begun(&result, out);
            self.let_go_result(now, &result, out);
            return;
        }
        let slot = slot(result.operation_key(), result.interval_ms, &result.key);
        let running = if result.status == OpStatus::Cancelled || result.interval_ms == 0 {
            self.running.remove(&slot)
        } else {
            let running = self.running.get_mut(&slot);
            running.map(|r| std::mem::replace(r, Running { answered: true, ..r.clone() }))
        };
        self.say_result(&result, out);
        if result.status == OpStatus::Cancelled {
            self.cancel_done(&result.rsc, &result.action, result.interval_ms, out);
            // Its history is gone, or goes: whoever ordered it would wait for a result in vain.
            if let Some(running) = running.as_ref().filter(|r| !r.answered) {
                let (key, reason) =
                    (running.key.clone(), "it was cancelled before it had a result".to_owned());
                self.answer_order(Message::Done { key, ok: false, rc: rc::ERROR, reason }, out);
            }
        }
        let facts = self.facts(&result.agent).cloned();
        let recorded = self.history.record(&self.config.name, &result, facts.as_ref());
        self.ask_again(&result, out);
        let mut writes = Vec::new();
        if recorded.failed {
            let fatal_start = running.as_ref().is_none_or(|r| r.fatal_start);
            writes = self.count_failure(now, &result, fatal_start, out);
        }
        self.write_status(recorded.update, &writes, out);
        self.delete_ops(&result.rsc, &recorded.removed, out);
        if let Some(running) = running {
            if !is_recorded(&result.action) {
                // A notification that fails changes nothing (specification `agents.md` §1.8).
                let (rc, reason) = (result.rc, result.reason.clone());
                self.answer_order(Message::Done { key: running.key, ok: true, rc, reason }, out);
            } else if result.interval_ms == 0 {
                self.answered.insert(result.rsc.clone(), vec![running.key]);
            } else if !running.answered {
                self.answered.entry(result.rsc.clone()).or_default().push(running.key);
            }
        }
        self.let_go_result(now, &result, out);
    }

    /// An operation was not begun, because this node may have been left behind (R6.4): no failure of the
    /// resource, and nothing but the order that was given has changed.
    fn not_begun(&mut self, result: &OpResult, out: &mut Vec<ControllerAction>) {
        self.say_result(result, out);
        let slot = slot(result.operation_key(), result.interval_ms, &result.key);
        if let Some(running) = self.running.remove(&slot) {
            let reason = "Controller cannot attempt actions at this time".to_owned();
            self.answer_order(Message::Done { key: running.key, ok: false, rc: rc::ERROR, reason }, out);
        }
        let withdrawn = self.history.withdraw(&result.rsc);
        self.write_status(withdrawn.update, &[], out);
        self.delete_ops(&result.rsc, &withdrawn.removed, out);
    }

    fn say_result(&self, result: &OpResult, out: &mut Vec<ControllerAction>) {
        let what = if result.interval_ms == 0 && result.action == "monitor" {
            "probe"
        } else {
            result.action.as_str()
        };
        let ended = match result.status {
            OpStatus::Done => rc::text(result.rc).to_owned(),
            OpStatus::Timeout => format!("{} after {}", result.status, show_ms(result.timeout_ms)),
            status => status.to_string(),
        };
        let level = match result.status {
            OpStatus::Done | OpStatus::Cancelled => Level::Info,
            _ => Level::Error,
        };
        let mut text =
            format!("Result of {what} operation for {} on {}: {ended}", result.rsc, self.config.name);
        if !result.reason.is_empty() {
            text.push_str(&format!(" ({})", result.reason));
        }
        text.push_str(&format!(" | call={} key={}", result.call_id.0, result.operation_key()));
        if result.status == OpStatus::Done {
            text.push_str(&format!(" rc={}", result.rc));
        }
        self.log(level, LRMD, text, out);
        let failed = result.status != OpStatus::Cancelled && result.rc != result.expected_rc;
        if failed {
            for line in result.output.lines().take(20) {
                let text = format!(
                    "{}_{}_{}@{} output [ {line} ]",
                    result.rsc, result.action, result.interval_ms, self.config.name
                );
                self.log(Level::Info, LRMD, text, out);
            }
        }
    }

    /// Counts a failure in this node's attributes (specification `membership.md` §10).
    fn count_failure(
        &mut self,
        now: Now,
        result: &OpResult,
        fatal_start: bool,
        out: &mut Vec<ControllerAction>,
    ) -> Vec<(String, String)> {
        let counted = result.interval_ms > 0
            || matches!(result.action.as_str(), "start" | "stop" | "promote" | "demote" | "asyncmon");
        if !counted {
            return Vec::new();
        }
        let ignored = result.params.get("CRM_meta_on_fail").is_some_and(|v| v == "ignore");
        let what = format!("{}#{}_{}", result.rsc, result.action, result.interval_ms);
        let mut writes = Vec::new();
        if !ignored {
            let value = match result.action.as_str() {
                "stop" => "INFINITY",
                "start" if fatal_start => "INFINITY",
                _ => "value++",
            };
            let set = AttributeEvent::Set {
                name: format!("fail-count-{what}"),
                value: Some(value.to_owned()),
                delay: Some(Duration::ZERO),
            };
            writes.extend(self.attribute_writes(now, set, out));
        }
        let set = AttributeEvent::Set {
            name: format!("last-failure-{what}"),
            value: Some(now.seconds().to_string()),
            delay: Some(Duration::ZERO),
        };
        writes.extend(self.attribute_writes(now, set, out));
        writes.into_iter().filter_map(|(name, value)| value.map(|v| (name, v))).collect()
    }

    /// Forgets a resource everywhere on this node.
    pub(super) fn forget(&mut self, rsc: &str, out: &mut Vec<ControllerAction>) {
        out.push(ControllerAction::Flush { rsc: rsc.to_owned() });
        self.history.forget(rsc);
        self.answered.remove(rsc);
        let name = self.config.name.clone();
        self.forget_for(&name, rsc, out);
    }

    pub(super) fn cleanup(
        &mut self,
        now: Now,
        rsc: &str,
        operation: Option<&str>,
        interval_ms: Option<u64>,
        out: &mut Vec<ControllerAction>,
    ) {
        let known: Vec<String> = self
            .history
            .known()
            .filter(|known| *known == rsc || known.split(':').next() == Some(rsc))
            .map(str::to_owned)
            .collect();
        // Counts first: a plan made in between must not see a clean history with old counts.
        self.clear_failures(now, rsc, operation, interval_ms, out);
        for name in known {
            self.forget(&name, out);
        }
    }

    /// Records a failure that nobody observed (`crm_resource --fail`). False if the resource has no
    /// history here.
    pub(super) fn fail(&mut self, now: Now, rsc: &str, out: &mut Vec<ControllerAction>) -> bool {
        let Some(agent) = self.history.agent(rsc).cloned() else { return false };
        let result = OpResult {
            call_id: CallId(self.greatest_call),
            rsc: rsc.to_owned(),
            agent,
            action: "asyncmon".into(),
            interval_ms: 0,
            timeout_ms: 0,
            rc: rc::ERROR,
            status: OpStatus::Done,
            expected_rc: rc::OK,
            reason: "Simulated failure".into(),
            output: String::new(),
            exec_ms: 0,
            queue_ms: 0,
            started_wall_s: now.seconds(),
            changed_wall_s: now.seconds(),
            key: Key::unplanned(i64::try_from(self.greatest_call).unwrap_or(0), 0).to_string(),
            params: BTreeMap::new(),
        };
        self.reported(now, result, out);
        true
    }
}

/// Under what an operation is remembered until it ends: its operation key, and the key of the order. Two DCs may have
/// ordered the same, one after the other, and each waits for its own answer; a monitor that recurs is there once.
pub(super) fn slot(operation_key: String, interval_ms: u64, key: &str) -> (String, String) {
    (operation_key, if interval_ms == 0 { key.to_owned() } else { String::new() })
}

/// An operation that was ordered and has not ended.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Running {
    pub key: Key,
    pub fatal_start: bool,
    /// A recurring one has had a first result: whoever ordered it knows.
    pub answered: bool,
}

fn show_ms(ms: u64) -> String {
    match ms {
        0 => "0s".into(),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use lrm::OpStatus;

    use super::super::testing::{ORDER, One};

    /// A DC and the one after it may have ordered the same: what becomes of one order says nothing about the other.
    #[test]
    fn each_of_two_orders_for_the_same_has_its_own_answer() {
        let second = "7:2:0:02020202-0202-0202-0202-020202020202";
        let mut member = One::new(2);
        member.view();
        member.running("start", ORDER);
        member.running("start", second);
        member.ended("start", ORDER);
        member.reported("start", second, OpStatus::Invalid);
        assert_eq!((member.refused(ORDER), member.refused(second)), (0, 1));
    }
}
