//! The status block as text: nodes, every resource where it is, and on request attributes and failures.

mod bans;
mod brief;
mod clone;
pub mod extras;
pub mod failures;
pub mod nodes;
pub mod operations;
pub mod resource;
mod tickets;

use super::List;
use crate::policy::ix::ResourceIx;
use crate::policy::state::State;

pub use bans::{Ban, bans, found_bans};
pub use extras::{attributes, fail_counts};
pub use failures::{failures, failures_of, long_time, shown_failures};
pub use nodes::{list_nodes, node_name, nodes};
pub use operations::operations;
pub use resource::printable_id;
use resource::resource;
pub use tickets::tickets;

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
    /// Ids and versions of nodes, each instance, each part of a bundle (`-R`).
    pub detail: bool,
    /// Nodes are not named: lines stand below their node (`-n`).
    pub below_node: bool,
    /// Primitives are counted by agent (`-b`).
    pub brief: bool,
}

/// Writes nodes and resources into an open list.
pub fn status(list: &mut List, st: &State, show: Show) {
    if nodes(list, st) {
        list.blank();
    }
    resources(list, st, show);
    if show.attributes {
        attributes(list, st, show.detail, &|_| true);
    }
    if show.fail_counts {
        fail_counts(list, st, show.detail, &|_| true);
    }
    if show.failures {
        failures(list, st);
    }
}

/// Which resources a list is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// What is active somewhere.
    Active,
    All,
    /// What is not wholly active: what remains when the rest is shown below its nodes.
    Inactive,
}

impl Which {
    fn title(self) -> &'static str {
        match self {
            Which::Active => "Active Resources",
            Which::All => "Full List of Resources",
            Which::Inactive => "Inactive Resources",
        }
    }

    fn none(self) -> &'static str {
        match self {
            Which::Active => "No active resources",
            Which::All => "No resources",
            Which::Inactive => "No inactive resources",
        }
    }

    fn holds(self, st: &State, r: ResourceIx) -> bool {
        let active = st.is_active(r, false);
        if st[r].flags.orphan && !active {
            return false;
        }
        // A collective of which only blocked or unmanaged parts are active, on nodes that are down, is not
        // counted as being on any node, and the reference leaves it out.
        let nowhere = active && st[r].running_on.is_empty();
        match self {
            Which::Active => active && !nowhere,
            Which::All => !nowhere,
            Which::Inactive => !st.is_active(r, true),
        }
    }
}

/// Writes the resources under their heading.
pub fn resources(list: &mut List, st: &State, show: Show) {
    let which = if show.active_only { Which::Active } else { Which::All };
    list_resources(list, st, which, show, &|_| true);
}

/// Writes those of the resources that `wanted` lets through, and says so where there are none.
pub fn list_resources(
    list: &mut List,
    st: &State,
    which: Which,
    show: Show,
    wanted: &dyn Fn(ResourceIx) -> bool,
) {
    list.begin(which.title());
    let shown = st.top.iter().copied().filter(|&r| which.holds(st, r) && wanted(r));
    let shown: Vec<ResourceIx> = shown.collect();
    if shown.is_empty() {
        list.item(which.none());
    }
    let shown = if show.brief { brief::primitives(list, st, &shown, show) } else { shown };
    for r in shown {
        resource(list, st, r, show);
    }
    list.end();
}
