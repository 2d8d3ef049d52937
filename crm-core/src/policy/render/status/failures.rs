//! Failed actions, in the long form of `crm_simulate -c` and in words.

use cib::Element;

use crate::policy::ix::NodeIx;
use crate::policy::render::List;
use crate::policy::state::{FailedOp, State, history_op, operation};
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
    if shown_failures(st).next().is_some() {
        list.blank();
    }
    failures_of(list, st, true, &|_| true);
}

/// Writes the failed actions of some nodes, if there are any: in detail, or in `crm_mon`'s short form
/// (`RSC 10s-interval monitor on NODE returned 'TEXT' (REASON) at TIME after 5ms`).
pub fn failures_of(list: &mut List, st: &State, detail: bool, wanted: &dyn Fn(NodeIx) -> bool) {
    let mut found = shown_failures(st).filter(|failed| wanted(failed.node)).peekable();
    if found.peek().is_none() {
        return;
    }
    list.begin("Failed Resource Actions");
    for failed in found {
        if !detail {
            list.item(&failure_in_words(st, failed));
            continue;
        }
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

fn failure_in_words(st: &State, failed: &FailedOp) -> String {
    let op = &failed.op;
    let node = &st[failed.node].name;
    // The name as history has it, which for an instance may differ from the one it has now.
    let key = op.attr("operation_key").or(op.id()).and_then(operation::parse_key);
    let resource = key.map_or(failed.resource.as_str(), |(name, _, _)| name);
    let interval = values::history_ms(op.attr("interval"));
    let task = match op.attr("operation").unwrap_or_default() {
        "monitor" if interval == 0 => "probe",
        task => task,
    };
    let every = if interval > 0 { format!("{}-interval ", human_ms(interval.into())) } else { String::new() };
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

/// `1m30s`, `10s`, `15.200s`, `5ms`. As the reference writes it, a unit is used only for more than one of
/// it: one minute is `60s`, one second `1000ms` (Pacemaker 2.1.5 behaviour).
fn human_ms(ms: u64) -> String {
    let mut rest = ms;
    let mut text = String::new();
    for (unit, size) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000)] {
        if rest > size {
            text.push_str(&format!("{}{unit}", rest / size));
            rest %= size;
        }
    }
    match rest {
        0 if text.is_empty() => text.push_str("0s"),
        0 => {}
        1..=1000 => text.push_str(&format!("{rest}ms")),
        _ if rest.is_multiple_of(1000) => text.push_str(&format!("{}s", rest / 1000)),
        _ => text.push_str(&format!("{}.{:03}s", rest / 1000, rest % 1000)),
    }
    text
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
