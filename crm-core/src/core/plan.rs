//! The planner as the drivers call it.

use cib::Cib;

use super::Planned;
use crate::policy::Situation;

/// Makes a plan of a CIB. Pure, and possibly long: call it outside of the core's thread.
pub fn make_plan(_cib: &Cib, _situation: &Situation) -> Planned {
    Planned { graph: Err("the policy engine makes no plans yet".to_owned()), complaints: Vec::new() }
}
