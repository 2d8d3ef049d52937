//! The list of nodes.

use super::Show;
use super::brief::{agent_of, counted};
use super::resource::{primitive, printable_id};
use crate::policy::ix::NodeIx;
use crate::policy::render::{Form, List};
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

/// Whether a node has a line of its own in the list.
fn is_special(st: &State, n: NodeIx) -> bool {
    let node = &st[n];
    node.unclean
        || node.pending
        || node.standby_onfail && node.online
        || node.standby
        || node.maintenance
        || health(st, n) <= 0
}

/// `Node alpha (1): online, feature set 3.16.1`, the last part only in detail.
fn node_line(st: &State, n: NodeIx, detail: bool) -> (String, String) {
    let mut state = node_state(st, n);
    if detail && st[n].online && !st[n].is_remote_kind() {
        state.push_str(&format!(", feature set {}", feature_set(st, n)));
    }
    (format!("{} {}", node_word(st, n), node_name(st, n, detail)), state)
}

/// The name; in detail with the id where that is another, and for a guest with its host.
pub fn node_name(st: &State, n: NodeIx, detail: bool) -> String {
    let node = &st[n];
    let mut name = node.name.clone();
    if !detail {
        return name;
    }
    if st.is_guest_node(n) {
        let host = st.container_of_node(n).and_then(|container| st.current(container));
        name.push_str(&format!("@{}", host.map_or("", |host| st[host].name.as_str())));
    } else if !node.is_remote_kind() && node.id != node.name {
        name.push_str(&format!(" ({})", node.id));
    }
    name
}

/// The feature set that a node has announced; nodes without a word of it are older than the word.
pub(in crate::policy::render) fn feature_set(st: &State, n: NodeIx) -> &str {
    let version = st[n].attributes.iter().find(|(name, _)| name.as_str() == "#feature-set");
    version.map_or("<3.15.1", |(_, value)| value.as_str())
}

/// Writes the node list; false if there are no nodes.
pub fn nodes(list: &mut List, st: &State) -> bool {
    list_nodes(list, st, Show::default(), &|_| true)
}

/// [`nodes`] of those that `wanted` lets through, in detail or with the resources below each.
pub fn list_nodes(list: &mut List, st: &State, show: Show, wanted: &dyn Fn(NodeIx) -> bool) -> bool {
    let shown: Vec<NodeIx> = st.node_order.iter().copied().filter(|&n| wanted(n)).collect();
    if shown.is_empty() {
        return false;
    }
    list.begin("Node List");
    let mut groups: [Vec<&str>; 5] = Default::default();
    for &n in &shown {
        let node = &st[n];
        if list.form() == Form::Html && !show.below_node {
            let (name, state) = node_line(st, n, show.detail);
            let name = name.strip_prefix("Node ").unwrap_or(&name);
            list.pair(name, Some(class(st, n)), &state);
            continue;
        }
        if show.below_node {
            let (name, state) = node_line(st, n, show.detail);
            below(list, st, n, &format!("{name}: {state}"), show);
            continue;
        }
        if show.detail || is_special(st, n) {
            let (name, state) = node_line(st, n, show.detail);
            list.item(&format!("{name}: {state}"));
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

/// What runs on a node, below its line.
fn below(list: &mut List, st: &State, n: NodeIx, title: &str, show: Show) {
    list.begin(title);
    list.begin("Resources");
    if show.brief {
        let there = st[n].running.iter().map(|&r| (agent_of(st, r), vec![n]));
        counted(list, st, there, false, show);
    } else {
        for &r in &st[n].running {
            // Connections that a guest brings with it are not the administrator's.
            if !values::is_true(st[r].meta("internal_rsc")) {
                list.item(&primitive(st, r, printable_id(st, r), None, show));
            }
        }
    }
    list.end();
    list.end();
}

/// The colour of a node in HTML.
fn class(st: &State, n: NodeIx) -> &'static str {
    let node = &st[n];
    match health(st, n) {
        _ if node.unclean || !node.online => "offline",
        _ if node.standby || node.standby_onfail => "standby",
        _ if node.maintenance => "maint",
        -1 => "health_red",
        0 => "health_yellow",
        _ => "online",
    }
}

pub(super) fn bracketed(names: &[&str]) -> String {
    format!("[ {} ]", names.join(" "))
}
