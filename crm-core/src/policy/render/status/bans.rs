//! Location constraints that forbid nodes (`-L`).

use super::nodes::node_name;
use crate::policy::ix::NodeIx;
use crate::policy::render::List;
use crate::policy::state::{Location, Role, State};

/// A constraint with a node that it keeps a resource away from.
#[derive(Debug, Clone, Copy)]
pub struct Ban<'a> {
    pub location: &'a Location,
    pub node: NodeIx,
    pub score: i32,
}

impl Ban<'_> {
    /// The rule's id where the constraint has rules, else its own.
    pub fn id(&self) -> &str {
        self.location.rule.as_deref().unwrap_or(&self.location.id)
    }

    /// Whether it forbids the promoted role alone.
    pub fn promoted_only(&self) -> bool {
        self.location.role == Role::Promoted
    }
}

/// Every location constraint with a negative score whose id begins with `prefix`, those read last
/// first. The constraints have to have been read into the state.
pub fn found_bans<'a>(st: &'a State, prefix: &'a str) -> impl Iterator<Item = Ban<'a>> {
    let bans = st.locations.iter().rev().flat_map(|location| {
        let nodes = location.nodes.iter().filter(|(_, score)| *score < 0);
        nodes.map(move |&(node, score)| Ban { location, node, score })
    });
    bans.filter(move |ban| ban.id().starts_with(prefix))
}

/// Writes them, if there are any.
pub fn bans(list: &mut List, st: &State, prefix: &str, detail: bool) -> bool {
    if found_bans(st, prefix).next().is_none() {
        return false;
    }
    list.begin("Negative Location Constraints");
    for ban in found_bans(st, prefix) {
        let role = if ban.promoted_only() { "in Promoted role " } else { "" };
        list.item(&format!(
            "{}\tprevents {} from running {role}on {}",
            ban.id(),
            st[ban.location.resource].id,
            node_name(st, ban.node, detail),
        ));
    }
    list.end();
    true
}
