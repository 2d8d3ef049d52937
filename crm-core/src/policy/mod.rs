//! The policy engine: which resource runs where, and what has to be done for it.
//!
//! [`plan`] is a pure function of a CIB and a [`Situation`]. It reads the CIB into a working state
//! ([`state`]), decides where everything goes ([`placement`]), and makes the transition to that
//! ([`transition`]).

mod circles;
pub mod complaint;
pub mod dates;
pub mod graph;
mod graph_attributes;
pub mod incremental;
pub mod ix;
pub mod ledger;
pub mod placement;
pub mod plan;
pub mod record;
pub mod reference_order;
mod remedy;
pub mod render;
pub mod simulate;
pub mod simulator;
pub mod state;
pub mod transition;
mod twins;
pub mod values;
mod words;

pub use complaint::{Complaint, Complaints, Severity};
pub use incremental::Planner;
pub use ledger::{Book, Ledger, NoLedger};
pub use plan::{Plan, keep_memory, plan, plan_with};

/// What a plan depends on beside the CIB.
#[derive(Debug, Clone, Default)]
pub struct Situation {
    /// Epoch seconds that count as now. A CIB's `execution-date` is for the caller to honour.
    pub now: i64,
    /// Seconds east of UTC of local time at `now`.
    pub utc_offset: i32,
    /// Overrides `cib/@have-quorum`.
    pub quorum: Option<bool>,
    /// Collect the lines of `crm_simulate -s` and `-U`.
    pub scores: bool,
    /// The input may have had its secrets removed: a matching digest of the other parameters is enough.
    pub sanitized: bool,
}
