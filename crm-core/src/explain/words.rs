//! Numbers, times and lists in words.

use cib::Element;

use crate::policy::dates::{Moment, civil_from_days};
use crate::policy::state::State;
use crate::policy::state::history_op::rc_text;
use crate::policy::values::{self, INFINITY};

/// A score as it is written in a configuration.
pub fn score(score: i32) -> String {
    if score >= INFINITY {
        "INFINITY".to_owned()
    } else if score <= -INFINITY {
        "-INFINITY".to_owned()
    } else {
        score.to_string()
    }
}

/// A score with its sign.
pub fn signed(number: i32) -> String {
    if number > 0 { format!("+{}", score(number)) } else { score(number) }
}

/// `a`, `a and b`, `a, b and c`.
pub fn list<S: AsRef<str>>(names: &[S]) -> String {
    match names {
        [] => String::new(),
        [one] => one.as_ref().to_owned(),
        [rest @ .., last] => {
            let rest: Vec<&str> = rest.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", rest.join(", "), last.as_ref())
        }
    }
}

/// `1 time`, `3 times`.
pub fn count(number: impl Into<i64>, one: &str, many: &str) -> String {
    let number = number.into();
    if number == 1 { format!("1 {one}") } else { format!("{number} {many}") }
}

/// A moment in local time: `12:03:11` on the day of `now`, else with the date.
pub fn time(state: &State, epoch: i64) -> String {
    let local = Moment { epoch, offset: state.utc_offset };
    let seconds = (local.epoch + i64::from(local.offset)).rem_euclid(86_400);
    let day = (local.epoch + i64::from(local.offset)).div_euclid(86_400);
    let today = (state.now + i64::from(state.utc_offset)).div_euclid(86_400);
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if day == today {
        return clock;
    }
    let (year, month, day) = civil_from_days(day);
    format!("{year:04}-{month:02}-{day:02} {clock}")
}

/// The result of an operation: `rc 7 (not running)`, `no answer in time`.
pub fn result(op: &Element) -> String {
    let rc = op.attr("rc-code").map_or(-1, |t| values::scan_or(t, -1));
    match op.attr("op-status") {
        Some("2") => "timed out".to_owned(),
        Some("7") => "the agent is not installed".to_owned(),
        _ => format!("rc {rc}: {}", rc_text(rc)),
    }
}

/// Reasons that a simulation invents.
const SIMULATED: [&str; 2] = ["Simulated action result", "User-injected result"];

/// What an operation that failed was, and how: `its monitor failed on node1 (rc 7: not running) at 12:03:11`.
pub fn failure(state: &State, op: &Element, node: &str) -> String {
    let task = op.attr("operation").unwrap_or("operation");
    let probe = task == "monitor" && op.attr("interval").is_none_or(|i| i == "0");
    let task = if probe { "probe" } else { task };
    let mut text = format!("its {task} failed on {node} ({})", result(op));
    if let Some(at) = op.attr("last-rc-change").map(|t| values::scan_or(t, 0)).filter(|at| *at > 0) {
        text.push_str(&format!(" at {}", time(state, at)));
    }
    if let Some(why) = op.attr("exit-reason").filter(|t| !t.is_empty() && !SIMULATED.contains(t)) {
        text.push_str(&format!(", saying \"{why}\""));
    }
    text
}
