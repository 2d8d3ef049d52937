//! The list of nodes.

use crate::policy::ix::NodeIx;
use crate::policy::render::List;
use crate::policy::state::{HealthStrategy, State};
use crate::policy::values;

fn node_word(st: &State, n: NodeIx) -> &'static str {
    if st.is_guest_node(n) {
        "GuestNode"
    } else if st[n].is_remote_kind() {
        "RemoteNode"
    } else {
        "Node"
    }
}

/// Red (−1), yellow (0) or green (1). The words red and yellow decide before scores do; green is a score like
/// others, red itself where `node-health-red` is not below it (Pacemaker 2.1.5 behaviour).
pub(in crate::policy::render) fn health(st: &State, n: NodeIx) -> i32 {
    if st.options.health_strategy == HealthStrategy::None {
        return 1;
    }
    let scores = &st.options.health;
    let one = |value: &str| {
        let is = |word: &str| value.eq_ignore_ascii_case(word);
        if is("red") {
            return -1;
        }
        if is("yellow") {
            return 0;
        }
        let score = values::parse_score(Some(value), scores);
        if score <= scores.red {
            -1
        } else if score <= scores.yellow && scores.yellow != scores.green {
            0
        } else {
            1
        }
    };
    let attributes = st[n].attributes.iter().filter(|(name, _)| name.starts_with("#health"));
    attributes.map(|(_, value)| one(value)).min().unwrap_or(1)
}

fn node_state(st: &State, n: NodeIx) -> String {
    let node = &st[n];
    let text = if node.unclean {
        if node.online {
            "UNCLEAN (online)"
        } else if node.pending {
            "UNCLEAN (pending)"
        } else {
            "UNCLEAN (offline)"
        }
    } else if node.pending {
        "pending"
    } else if node.standby_onfail && node.online {
        "standby (on-fail)"
    } else if node.standby {
        if !node.online {
            "OFFLINE (standby)"
        } else if node.running.is_empty() {
            "standby"
        } else {
            "standby (with active resources)"
        }
    } else if node.maintenance {
        if node.online { "maintenance" } else { "OFFLINE (maintenance)" }
    } else if node.online {
        "online"
    } else {
        "OFFLINE"
    };
    let health = match health(st, n) {
        -1 => " (health is RED)",
        0 => " (health is YELLOW)",
        _ => "",
    };
    format!("{text}{health}")
}

/// Writes the node list; false if there are no nodes.
pub fn nodes(list: &mut List, st: &State) -> bool {
    if st.node_order.is_empty() {
        return false;
    }
    list.begin("Node List");
    let mut groups: [Vec<&str>; 5] = Default::default();
    for &n in &st.node_order {
        let node = &st[n];
        let special = node.unclean
            || node.pending
            || node.standby_onfail && node.online
            || node.standby
            || node.maintenance
            || health(st, n) <= 0;
        if special {
            list.item(&format!("{} {}: {}", node_word(st, n), node.name, node_state(st, n)));
            continue;
        }
        let (up, down) = match node_word(st, n) {
            "GuestNode" => (4, None),
            "RemoteNode" => (2, Some(3)),
            _ => (0, Some(1)),
        };
        let at = if node.online { Some(up) } else { down };
        if let Some(group) = at.and_then(|at| groups.get_mut(at)) {
            group.push(&node.name);
        }
    }
    let titles = ["Online", "OFFLINE", "RemoteOnline", "RemoteOFFLINE", "GuestOnline"];
    for (title, names) in titles.iter().zip(&groups) {
        if !names.is_empty() {
            list.labelled(title, &bracketed(names));
        }
    }
    list.end();
    true
}

pub(super) fn bracketed(names: &[&str]) -> String {
    format!("[ {} ]", names.join(" "))
}
