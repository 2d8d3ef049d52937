//! What the DC has to do: the plan in execution or in the making, and why and when another one is wanted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::status::{Activity, TransitionStatus};
use crate::transition::Transition;

/// What the DC keeps for its duty.
#[derive(Debug, Default)]
pub(super) struct Duty {
    pub(super) number: u64,
    pub(super) transition: Option<Transition>,
    pub(super) planning: Option<u64>,
    pub(super) next_plan: u64,
    /// Why a new plan is wanted.
    pub(super) wanted: Option<String>,
    pub(super) last: Option<String>,
    pub(super) complaints: Arc<Vec<String>>,
    /// Plan again by time: the recheck interval, or what the last plan said.
    pub(super) recheck: Option<Duration>,
    /// Transitions in a row that were cut short by a failure.
    pub(super) failures: u32,
    /// No plan before.
    pub(super) brake: Option<Duration>,
    /// Failed fencing operations in a row, by target.
    pub(super) fence_failures: BTreeMap<String, u32>,
    /// The transition in execution met a target that could not be fenced too often.
    pub(super) gave_up: bool,
    /// Waits for the settling of an excluded node.
    pub(super) waiting: bool,
    /// Half of the votes have nobody to fence: the next plan is made without the quorum that fencing would give.
    pub(super) nobody_to_fence: bool,
    /// The present plan, or the one being made, takes quorum for granted that this side has to fence for.
    pub(super) assumes_quorum: bool,
}

impl Duty {
    pub(super) fn take_over(&mut self) {
        self.give_up();
        self.recheck = None;
    }

    pub(super) fn give_up(&mut self) {
        self.transition = None;
        self.planning = None;
        self.wanted = None;
        self.failures = 0;
        self.brake = None;
        self.waiting = false;
        self.nobody_to_fence = false;
        self.assumes_quorum = false;
    }

    pub(super) fn deadline(&self, settled: Duration) -> Option<Duration> {
        let transition = self.transition.as_ref().and_then(Transition::deadline);
        let idle = self.transition.is_none() && self.planning.is_none();
        let waits = self.wanted.is_some() && idle;
        let settle = (waits && self.waiting).then_some(settled);
        let brake = self.brake.filter(|_| waits);
        let recheck = self.recheck;
        [transition, settle, brake, recheck].into_iter().flatten().min()
    }

    pub(super) fn state(&self) -> &'static str {
        match (&self.transition, self.planning) {
            (Some(_), _) => "S_TRANSITION_ENGINE",
            (None, Some(_)) => "S_POLICY_ENGINE",
            (None, None) if self.wanted.is_some() => "S_POLICY_ENGINE",
            (None, None) => "S_IDLE",
        }
    }

    pub(super) fn status(&self) -> TransitionStatus {
        let pending = || self.transition.iter().flat_map(Transition::pending);
        let running: Vec<String> = pending()
            .take(TransitionStatus::SHOWN)
            .map(|a| match (&a.resource, &a.on_node) {
                (Some(r), Some(node)) => {
                    format!("{} of {} on {node}", a.operation, r.long_id.as_deref().unwrap_or(&r.id))
                }
                (None, Some(node)) => format!("{} of {node}", a.operation),
                _ => a.operation_key.to_string(),
            })
            .collect();
        TransitionStatus {
            number: self.number,
            activity: match self.state() {
                "S_IDLE" => Activity::Idle,
                "S_POLICY_ENGINE" => Activity::Planning,
                _ => Activity::Executing,
            },
            progress: self.transition.as_ref().map(Transition::progress),
            more: self.transition.as_ref().map_or(0, Transition::running) - running.len(),
            running,
            last: self.last.clone(),
            complaints: self.complaints.clone(),
        }
    }
}
