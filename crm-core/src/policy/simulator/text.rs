//! Small texts of the simulator.

use crate::policy::dates;
use crate::policy::simulate::Failure;
use crate::policy::state::Counts;

/// `2023-11-14 22:13:20Z`
pub fn utc_time(epoch: i64) -> String {
    let (year, month, day) = dates::civil_from_days(epoch.div_euclid(86_400));
    let seconds = epoch.rem_euclid(86_400);
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}

/// The line about instances that are disabled or blocked.
pub fn counts(counts: &Counts) -> String {
    let Counts { total, disabled, blocked } = *counts;
    format!(
        "{disabled} of {total} resource instances DISABLED and {blocked} BLOCKED from further action \
         due to failure"
    )
}

/// An action that fails: `RSC_TASK_INTERVAL@NODE=RC`.
pub fn failure(spec: &str) -> Option<Failure> {
    let (spec, rc) = spec.rsplit_once('=')?;
    Some(Failure { spec: spec.to_owned(), rc: rc.trim().parse().ok()? })
}
