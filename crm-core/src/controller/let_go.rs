//! Letting go: a node that is cut off at its own end, or that must leave without a DC, stops what it
//! runs by itself, the last started first.
//!
//! A node without carrier on any medium cannot be heard by anybody: its peers take its resources over
//! when the dead time is up, so it must have stopped them by then (design: Two nodes). It begins after
//! half of the dead time without carrier, or at once when its lease lapses, whichever is first; a
//! cable that is out for less than that harms nothing.
//!
//! The same holds for a node that hears too few others for quorum when its lease lapses: they may have
//! quorum without it, and take over when the dead time is up. It begins a twentieth of the dead time
//! after the lease, unless `no-quorum-policy` says to go on. And the same for a node that hears that the
//! others are in a view without it: they wait a dead time for it to let go (R7.18).
//!
//! A suspended node that will have quorum keeps its resources.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ccm::group::Level;
use lrm::{OpRequest, OpResult, rc};

use super::history::Active;
use super::{CRMD, Controller, ControllerAction, Leaving, options};
use crate::message::Message;
use crate::now::Now;
use crate::transition::Key;

/// Default time-out of an operation.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What is being let go.
#[derive(Debug)]
pub(super) struct LetGo {
    rest: VecDeque<Active>,
    current: Option<String>,
}

impl Controller {
    pub(super) fn carrier(&mut self, now: Now, any: bool, out: &mut Vec<ControllerAction>) {
        match (any, self.no_carrier_since) {
            (false, None) => {
                self.no_carrier_since = Some(now.mono);
                self.log(Level::Error, CRMD, "no medium has carrier: this node is cut off".into(), out);
            }
            (true, Some(_)) => {
                self.no_carrier_since = None;
                self.log(Level::Info, CRMD, "a medium has carrier again".into(), out);
            }
            _ => {}
        }
    }

    /// When this node must let go, if it has no carrier or is about to lose quorum, and is not alone by
    /// configuration.
    pub(super) fn cut_off_at(&self) -> Option<Duration> {
        if self.config.configured <= 1 {
            return None;
        }
        let carrier = self
            .no_carrier_since
            .map(|since| if self.suspended { since } else { since + self.config.deadtime / 2 });
        // The lease lapsed at 0.7 of the dead time; what is left is for stopping.
        let left = [self.risk_since, self.evicted_since].into_iter().flatten().min();
        let risk = left
            .filter(|_| self.settings.stops_without_quorum)
            .map(|since| since + self.config.deadtime / 20);
        [carrier, risk].into_iter().flatten().min()
    }

    /// Whether it is cut off for so long that its resources belong to somebody else.
    pub(super) fn is_cut_off(&self) -> bool {
        self.let_go_began
    }

    pub(super) fn check_let_go(&mut self, now: Now, out: &mut Vec<ControllerAction>) {
        let cause = self.no_carrier_since.or(self.risk_since).or(self.evicted_since);
        if cause.is_none() && self.let_go_began {
            self.let_go_began = false;
            // Whoever took over is about to be heard: a ping node within reach, or carrier, says nothing
            // about that. An edge that was lost may be held down for twice the dead time (R5.4).
            if self.view.as_ref().is_none_or(|v| v.members.len() < self.config.configured) {
                self.hold_until = now.mono + self.config.deadtime * 3;
            }
            self.abort(now, "No longer cut off".into(), out);
        }
        let cut_off = self.cut_off_at().is_some_and(|at| at <= now.mono);
        if cut_off && !self.let_go_began {
            self.let_go_began = true;
            self.log(Level::Error, CRMD, "cut off: letting all resources go".into(), out);
        }
        let wanted = cut_off || self.storage_lost || self.leaving == Leaving::Alone;
        if wanted && self.let_go.is_none() {
            let rest: VecDeque<Active> = self.history.active().into();
            if !rest.is_empty() && !self.gave_up {
                self.let_go = Some(LetGo { rest, current: None });
                self.next_let_go(out);
            } else if self.leaving == Leaving::Alone {
                self.leave(out);
            }
        }
        if !wanted {
            self.gave_up = false;
        }
    }

    fn next_let_go(&mut self, out: &mut Vec<ControllerAction>) {
        let Some(state) = &mut self.let_go else { return };
        let Some(active) = state.rest.pop_front() else {
            self.let_go = None;
            // What could not be stopped is not tried for ever.
            self.gave_up = !self.history.active().is_empty();
            let text = if self.gave_up {
                "not all resources could be stopped"
            } else {
                "All HA resources relinquished."
            };
            let level = if self.gave_up { Level::Error } else { Level::Info };
            self.log(level, CRMD, text.into(), out);
            if self.leaving == Leaving::Alone {
                self.leave(out);
            }
            return;
        };
        state.current = Some(active.id.clone());
        let timeout = options::operation_timeout(&self.cib, &active.id, "stop").unwrap_or(TIMEOUT);
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let mut params: BTreeMap<String, String> = active
            .params
            .iter()
            .filter(|(n, _)| !n.starts_with("CRM_meta_"))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect();
        params.insert("CRM_meta_timeout".into(), timeout_ms.to_string());
        params.insert("CRM_meta_name".into(), "stop".into());
        let call = i64::try_from(self.greatest_call).unwrap_or(i64::MAX);
        self.log(Level::Warning, CRMD, format!("stopping {} without an order", active.id), out);
        out.push(ControllerAction::Submit(OpRequest {
            rsc: active.id,
            agent: active.agent,
            action: "stop".into(),
            interval_ms: 0,
            timeout_ms,
            start_delay_ms: 0,
            params,
            key: Key::unplanned(call, 0).to_string(),
            expected_rc: 0,
        }));
    }

    /// The result of a stop that was part of letting go: the next one follows, whatever it was.
    pub(super) fn let_go_result(&mut self, _now: Now, result: &OpResult, out: &mut Vec<ControllerAction>) {
        let Some(state) = &mut self.let_go else { return };
        if result.action == "stop" && state.current.as_deref() == Some(result.rsc.as_str()) {
            state.current = None;
            // The stop took the place of the results of what was ordered before. Had the DC not seen one, for there
            // was no view or nobody to write it, its plan would wait for it until the time-out.
            for key in self.answered.remove(&result.rsc).unwrap_or_default() {
                let reason = "it was let go since".to_owned();
                self.answer_order(Message::Done { key, ok: false, rc: rc::ERROR, reason }, out);
            }
            self.next_let_go(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ControllerEvent;
    use super::super::testing::{DEADTIME, ORDER, One};

    /// The stop takes the place of the start's result: a plan that has not seen that one would wait for it.
    #[test]
    fn who_lets_go_tells_the_dc_that_what_it_ordered_is_over() {
        let mut member = One::new(2);
        member.view();
        member.running("start", ORDER);
        member.result();
        member.give(ControllerEvent::Carrier(false));
        member.now += DEADTIME / 2;
        member.give(ControllerEvent::Wake);
        assert_eq!(member.refused(ORDER), 0);
        member.ended("stop", "3:-1:0:xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx");
        assert_eq!(member.refused(ORDER), 1);
    }
}
