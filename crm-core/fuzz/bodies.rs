//! What the fuzz target does with an input; shared with the test `policy_fuzz`, which runs in CI.
//!
//! Longer runs by hand: `cargo +nightly fuzz run plan ../shared/conformance/scheduler/xml` in `crm-core`.

use cib::Cib;
use crm_core::policy::{Situation, plan};

/// Text in, nothing but an answer out: whatever parses is planned, twice the same.
pub fn plan_text(text: &str) {
    let Ok(cib) = Cib::parse(text) else { return };
    let situation = Situation { now: 1_795_176_000, scores: true, ..Situation::default() };
    let once = plan(&cib, &situation);
    let again = plan(&cib, &situation);
    assert_eq!(once.graph, again.graph, "the same input gave two plans");
}
