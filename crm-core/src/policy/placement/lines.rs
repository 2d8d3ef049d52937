//! What `crm_simulate -s` and `-U` print, as values.

use crate::policy::ix::{NodeIx, ResourceIx};

/// One line, in the order in which the reference prints it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScoreLine {
    /// `FUNCTION: RESOURCE allocation score on NODE: SCORE`
    Allocation { function: &'static str, resource: ResourceIx, node: NodeIx, score: i32 },
    /// `RESOURCE promotion score on NODE|none: SCORE`
    Promotion { resource: ResourceIx, node: Option<NodeIx>, score: i32 },
    /// `Original: NODE capacity: k=v …` or `Remaining: …`
    Capacity { comment: &'static str, node: NodeIx, values: Vec<(String, String)> },
    /// `pcmk__finalize_assignment: RESOURCE utilization on NODE: k=v …`
    Utilization { resource: ResourceIx, node: NodeIx, values: Vec<(String, String)> },
}
