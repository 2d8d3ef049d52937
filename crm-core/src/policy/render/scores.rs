//! The lines of `crm_simulate -s` and `-U`.

use std::fmt::Write as _;

use crate::policy::placement::lines::ScoreLine;
use crate::policy::state::State;
use crate::policy::values::ShowScore;

/// One line of scores or capacities, without its end.
pub fn score_line(st: &State, line: &ScoreLine) -> String {
    let values = |text: &mut String, values: &[(String, String)]| {
        for (name, value) in values {
            let _ = write!(text, " {name}={value}");
        }
    };
    match line {
        ScoreLine::Allocation { function, resource, node, score } => format!(
            "{function}: {} allocation score on {}: {}",
            st[*resource].id,
            st[*node].name,
            ShowScore(*score)
        ),
        ScoreLine::Promotion { resource, node, score } => format!(
            "{} promotion score on {}: {}",
            st[*resource].id,
            node.map_or("none", |n| st[n].name.as_str()),
            ShowScore(*score)
        ),
        ScoreLine::Capacity { comment, node, values: list } => {
            let mut text = format!("{comment}: {} capacity:", st[*node].name);
            values(&mut text, list);
            text
        }
        ScoreLine::Utilization { resource, node, values: list } => {
            let mut text =
                format!("pcmk__finalize_assignment: {} utilization on {}:", st[*resource].id, st[*node].name);
            values(&mut text, list);
            text
        }
    }
}
