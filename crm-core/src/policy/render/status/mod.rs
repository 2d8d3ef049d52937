//! The status block as text: nodes, every resource where it is, and on request attributes and failures.

mod clone;
pub mod extras;
pub mod failures;
pub mod nodes;
pub mod resource;

use super::List;
use crate::policy::state::State;

pub use extras::{attributes, fail_counts};
pub use failures::{failures, failures_in_words, long_time, shown_failures};
pub use nodes::nodes;
pub use resource::printable_id;
use resource::resource;

/// How much of the status is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Show {
    /// Pending actions replace states (`Starting`, …).
    pub pending: bool,
    /// Node attributes (`-A`).
    pub attributes: bool,
    /// Fail counts (`-c`).
    pub fail_counts: bool,
    /// Failed actions.
    pub failures: bool,
    /// Only what is active somewhere (`crm_mon` without `-r`).
    pub active_only: bool,
}

/// Writes nodes and resources into an open list.
pub fn status(list: &mut List, st: &State, show: Show) {
    if nodes(list, st) {
        list.blank();
    }
    resources(list, st, show);
    if show.attributes {
        attributes(list, st);
    }
    if show.fail_counts {
        fail_counts(list, st);
    }
    if show.failures {
        failures(list, st);
    }
}

/// Writes the resources under their heading.
pub fn resources(list: &mut List, st: &State, show: Show) {
    list.begin(if show.active_only { "Active Resources" } else { "Full List of Resources" });
    let mut any = false;
    for &r in &st.top {
        let active = st.is_active(r, false);
        // A collective of which only blocked or unmanaged parts are active, on nodes that are down, is not
        // counted as being on any node, and the reference leaves it out.
        let nowhere = active && st[r].running_on.is_empty();
        if !active && (st[r].flags.orphan || show.active_only) || nowhere {
            continue;
        }
        any = true;
        resource(list, st, r, show);
    }
    if !any {
        list.item(if show.active_only { "No active resources" } else { "No resources" });
    }
    list.end();
}
