//! Failed actions, in the long form of `crm_simulate -c` and in words.

use cib::Element;

use crate::policy::render::List;
use crate::policy::state::{FailedOp, State, history_op};
use crate::policy::values;

/// A probe that found no agent, or one that refused its parameters: the resource simply cannot run there.
pub(in crate::policy::render) fn masked_probe(op: &Element) -> bool {
    let probe = op.attr("operation") == Some("monitor") && values::history_ms(op.attr("interval")) == 0;
    probe && (matches!(op.attr("rc-code"), Some("2" | "5")) || op.attr("op-status") == Some("7"))
}

/// The failed actions that are shown: all but probes that found nothing to run.
pub fn shown_failures(st: &State) -> impl Iterator<Item = &FailedOp> {
    st.failed_ops.iter().filter(|failed| !masked_probe(&failed.op))
}

/// Writes failed actions with every detail, if there are any.
pub fn failures(list: &mut List, st: &State) {
    if shown_failures(st).next().is_none() {
        return;
    }
    list.blank();
    list.begin("Failed Resource Actions");
    for failed in shown_failures(st) {
        let op = &failed.op;
        let key = op.attr("operation_key").or(op.id()).unwrap_or_default();
        let rc = op.attr("rc-code").map_or(-1, |t| values::scan_or(t, -1));
        let status = shown_status(op);
        let mut line = format!(
            "{key} on {} '{}' ({rc}): call={}, status='{}'",
            st[failed.node].name,
            history_op::rc_text(rc),
            op.attr("call-id").unwrap_or("0"),
            status_text(status),
        );
        if let Some(reason) = op.attr("exit-reason").filter(|r| !r.is_empty()) {
            line.push_str(&format!(", exitreason='{reason}'"));
        }
        if let Some(at) = op.attr("last-rc-change").map(|t| values::scan_or(t, 0)) {
            line.push_str(&format!(", last-rc-change='{}'", long_time(at, st.utc_offset)));
        }
        for (label, name) in [("queued", "queue-time"), ("exec", "exec-time")] {
            if let Some(ms) = op.attr(name) {
                line.push_str(&format!(", {label}={ms}ms"));
            }
        }
        list.item(&line);
    }
    list.end();
}

/// Failed actions in `crm_mon`'s short form: `RSC 10s-interval monitor on NODE returned 'TEXT' (REASON)
/// at TIME after 5ms`.
pub fn failures_in_words(list: &mut List, st: &State) {
    list.begin("Failed Resource Actions");
    for failed in shown_failures(st) {
        list.item(&failure_in_words(st, &failed.op, &failed.resource, &st[failed.node].name));
    }
    list.end();
}

fn failure_in_words(st: &State, op: &Element, resource: &str, node: &str) -> String {
    let interval = values::history_ms(op.attr("interval"));
    let task = match op.attr("operation").unwrap_or_default() {
        "monitor" if interval == 0 => "probe",
        task => task,
    };
    let every = if interval > 0 { format!("{}-interval ", human_ms(interval)) } else { String::new() };
    let rc = op.attr("rc-code").map_or(-1, |t| values::scan_or(t, -1));
    let status = shown_status(op);
    let reason = op.attr("exit-reason").filter(|r| !r.is_empty());
    let mut line = format!("{resource} {every}{task} on {node} ");
    if status == 0 {
        line.push_str(&format!("returned '{}'", history_op::rc_text(rc)));
        if let Some(reason) = reason {
            line.push_str(&format!(" ({reason})"));
        }
    } else {
        let reason = reason.map(|r| format!(": {r}")).unwrap_or_default();
        line.push_str(&format!("could not be executed ({}{reason})", status_text(status)));
    }
    if let Some(at) = op.attr("last-rc-change").map(|t| values::scan_or(t, 0)).filter(|at| *at > 0) {
        line.push_str(&format!(" at {}", long_time(at, st.utc_offset)));
    }
    let took = op.attr("exec-time").map_or(0, |t| values::scan_or(t, 0));
    if let Ok(took @ 1..) = u64::try_from(took) {
        line.push_str(&format!(" after {}", human_ms(took)));
    }
    line
}

/// `1m30s`, `10s`, `5ms`.
fn human_ms(ms: impl Into<u64>) -> String {
    let ms = ms.into();
    let parts = [
        (ms / 86_400_000, "d"),
        (ms / 3_600_000 % 24, "h"),
        (ms / 60_000 % 60, "m"),
        (ms / 1000 % 60, "s"),
        (ms % 1000, "ms"),
    ];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// The status of a failed operation; one that is still pending shows as complete, as the reference has it.
pub(in crate::policy::render) fn shown_status(op: &Element) -> i64 {
    op.attr("op-status").map_or(0, |t| values::scan_or(t, 0)).max(0)
}

pub(in crate::policy::render) fn status_text(status: i64) -> &'static str {
    match status {
        0 => "complete",
        1 => "Cancelled",
        2 => "Timed Out",
        3 => "NOT SUPPORTED",
        4 => "Error",
        5 => "Hard error",
        6 => "Fatal error",
        7 => "Not installed",
        8 => "Internal communication failure",
        9 => "Cannot execute now",
        10 => "No fence device",
        11 => "CIB secrets unavailable",
        _ => "UNKNOWN!",
    }
}

/// `Fri Nov 20 14:26:59 2026` in local time.
pub fn long_time(epoch: i64, utc_offset: i32) -> String {
    let local = epoch.saturating_add(i64::from(utc_offset));
    let days = local.div_euclid(86_400);
    let seconds = local.rem_euclid(86_400);
    let (year, month, day) = crate::policy::dates::civil_from_days(days);
    let names = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let at = |i: i64, n: &[&'static str]| {
        usize::try_from(i).ok().and_then(|i| n.get(i).copied()).unwrap_or_default()
    };
    format!(
        "{} {} {day:>2} {:02}:{:02}:{:02} {year}",
        at(days.rem_euclid(7), &names),
        at(month - 1, &months),
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
    )
}
