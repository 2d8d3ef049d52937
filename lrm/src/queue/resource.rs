//! What the queue knows of one resource, and how it tells of results.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::op::{is_instance_param, rc};
use crate::{CallId, OpRequest, OpResult, OpStatus, Verdict};

#[derive(Debug, Default)]
pub(super) struct Resource {
    pub running: Option<CallId>,
    pub line: VecDeque<CallId>,
    pub ready: Option<(Duration, CallId)>,
    /// Instance parameters of the last successful start, reload or probe.
    pub remembered: Option<BTreeMap<String, String>>,
    /// A device of class stonith that was started here.
    pub registered: bool,
    pub flushing: bool,
}

impl Resource {
    /// What a result says about later operations.
    pub fn learn(&mut self, op: &OpRequest, verdict: &Verdict) {
        if verdict.status != OpStatus::Done {
            return;
        }
        let runs = matches!(verdict.rc, rc::OK | rc::PROMOTED | rc::DEGRADED | rc::DEGRADED_PROMOTED);
        match op.action.as_str() {
            "start" if runs => {
                self.registered = true;
                self.remembered = Some(op.instance_params());
            }
            "reload" | "reload-agent" | "migrate_from" if runs => {
                self.remembered = Some(op.instance_params())
            }
            // A probe that finds the resource active adopts it with the parameters it was found by.
            "monitor" | "status" if op.interval_ms == 0 && runs => {
                self.remembered = Some(op.instance_params())
            }
            "stop" if verdict.rc == rc::OK => {
                self.registered = false;
                self.remembered = None;
            }
            _ => {}
        }
    }

    /// A `stop` has the instance parameters of the last successful start, and all else of its request.
    pub fn with_remembered(&self, request: &OpRequest) -> OpRequest {
        let mut request = request.clone();
        if request.action == "stop"
            && let Some(remembered) = &self.remembered
        {
            request.params.retain(|name, _| !is_instance_param(name));
            request.params.extend(remembered.clone());
        }
        request
    }
}

/// The line administrators know from the reference (agents.md 5.14).
pub(super) fn log_result(r: &OpResult) {
    let what = if r.interval_ms == 0 && r.action == "monitor" { "probe" } else { r.action.as_str() };
    match r.status {
        OpStatus::Done => tracing::info!(
            "Result of {what} operation for {}: {} | call={} key={} rc={}",
            r.rsc,
            rc::text(r.rc),
            r.call_id.0,
            r.operation_key(),
            r.rc
        ),
        OpStatus::Cancelled => tracing::info!(
            "Result of {what} operation for {}: Cancelled | call={} key={}",
            r.rsc,
            r.call_id.0,
            r.operation_key()
        ),
        status => tracing::warn!(
            "Result of {what} operation for {}: {status} ({}) | call={} key={}",
            r.rsc,
            r.reason,
            r.call_id.0,
            r.operation_key()
        ),
    }
}
