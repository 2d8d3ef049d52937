//! The planner as the drivers call it.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cib::Cib;

use super::Planned;
use crate::policy::{self, Situation};

/// Makes a plan of a CIB. Pure, and possibly long: call it outside of the core's thread.
///
/// A configuration that brings the policy engine down makes no plan, and says so: the cluster keeps what
/// runs, and goes on when the configuration changes.
pub fn make_plan(cib: &Cib, situation: &Situation) -> Planned {
    match catch_unwind(AssertUnwindSafe(|| policy::plan(cib, situation))) {
        Ok(plan) => Planned {
            complaints: plan.complaints.iter().map(ToString::to_string).collect(),
            graph: Ok(plan.graph),
        },
        Err(panic) => {
            let what = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "unknown".to_owned());
            Planned {
                graph: Err(format!("the policy engine failed on this configuration: {what}")),
                complaints: Vec::new(),
            }
        }
    }
}
