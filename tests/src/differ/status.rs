//! The status section: states of nodes, transient attributes.

use cib::Element;

use super::draw::{Draw, Leaf, NOW, Node, NodeKind, Shape, el};
use super::{history, options};

/// What a cluster node is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Condition {
    Member,
    Left,
    Lost,
    Joining,
    Leaving,
    Crashed,
    Banned,
    Terminated,
    Odd,
    Unseen,
}

fn condition(d: &mut Draw, first: bool) -> Condition {
    let percent = if d.themes.node_trouble { 35 } else { 4 };
    if !d.percent(if first { percent / 2 } else { percent }) {
        return Condition::Member;
    }
    match d.chance.below(14) {
        0 | 1 => Condition::Left,
        2..=5 => Condition::Lost,
        6 => Condition::Joining,
        7 | 8 => Condition::Leaving,
        9 => Condition::Crashed,
        10 => Condition::Banned,
        11 => Condition::Terminated,
        12 => Condition::Odd,
        _ => Condition::Unseen,
    }
}

/// Gives each leaf a story on each node, then writes all of them.
pub fn status(d: &mut Draw) -> Element {
    let mut section = Element::new("status");
    let stories = history::stories(d);
    let nodes = d.nodes.clone();
    for (at, node) in nodes.iter().enumerate() {
        let mut state = match node.kind {
            NodeKind::Remote | NodeKind::Guest | NodeKind::Bundled => {
                if d.percent(25) {
                    continue;
                }
                let mut e =
                    el("node_state", &[("remote_node", "true"), ("id", &node.id), ("uname", &node.name)]);
                for (name, percent) in [("node_fenced", 15), ("node_in_maintenance", 10)] {
                    if d.percent(percent) {
                        e.set_attr(name, "1");
                    }
                }
                transient(d, node, None, &stories, &mut e);
                e
            }
            NodeKind::Member | NodeKind::Ping => {
                let condition = condition(d, at == 0);
                if condition == Condition::Unseen {
                    continue;
                }
                let mut e = cluster_node(d, node, condition);
                transient(d, node, Some(condition), &stories, &mut e);
                e
            }
        };
        if let Some(lrm) = history::lrm(d, node, &stories) {
            // Attributes come before or after history.
            if d.percent(50) { state.insert_node(0, lrm) } else { state.push(lrm) }
        }
        section.push(state);
    }
    if let Some(tickets) = options::tickets(d) {
        section.push(tickets);
    }
    section
}

fn cluster_node(d: &mut Draw, node: &Node, condition: Condition) -> Element {
    let (in_ccm, crmd, join, expected) = match condition {
        Condition::Left => ("false", "offline", "down", "down"),
        Condition::Lost => ("false", "offline", "down", "member"),
        Condition::Joining => ("true", "online", "pending", "member"),
        Condition::Crashed => ("true", "offline", "down", "member"),
        Condition::Banned => ("true", "online", "banned", "member"),
        Condition::Odd => (
            d.pick(&["true", "false"]),
            d.pick(&["online", "offline"]),
            d.pick(&["member", "down", "pending"]),
            d.pick(&["member", "down"]),
        ),
        _ => ("true", "online", "member", "member"),
    };
    let mut e = el(
        "node_state",
        &[
            ("id", &node.id),
            ("uname", &node.name),
            ("in_ccm", in_ccm),
            ("crmd", crmd),
            ("join", join),
            ("expected", expected),
        ],
    );
    if d.percent(3) {
        e.remove_attr("expected");
    }
    e
}

/// Transient attributes: requests, promotion scores, fail counts, fencing notes.
fn transient(
    d: &mut Draw,
    node: &Node,
    condition: Option<Condition>,
    stories: &[history::Story],
    state: &mut Element,
) {
    let mut pairs: Vec<(String, String)> = Vec::new();
    match condition {
        Some(Condition::Leaving) => pairs.push(("shutdown".into(), (NOW - 20).to_string())),
        Some(Condition::Terminated) => pairs.push(("terminate".into(), "true".into())),
        _ => {}
    }
    for (name, percent, values) in [
        ("standby", 3, &["on", "off"][..]),
        ("maintenance", 2, &["true"][..]),
        ("zone", 5, &["b"][..]),
        ("probe_complete", 2, &["true", "false"][..]),
        ("resource-discovery-enabled", 2, &["false"][..]),
    ] {
        if d.percent(percent) {
            pairs.push((name.into(), d.pick(values).into()));
        }
    }
    if condition.is_none() && d.percent(6) {
        pairs.push(("shutdown".into(), (NOW - 20).to_string()));
    }
    if d.themes.health && d.percent(25) {
        pairs.push(("#health-disk".into(), d.pick(&["red", "yellow", "-30"]).into()));
    }
    if d.themes.unfencing {
        if d.percent(60) {
            pairs.push(("#node-unfenced".into(), d.pick(&["1699990000", "0"]).into()));
        }
        if d.percent(40) {
            let device = d.leaves.iter().find(|l| l.class == "stonith").map(|l| l.id.clone());
            let digest = d.pick(&["f2317cad3d54cec5d7d7aa7d0bf35cf8", "0123456789abcdef0123456789abcdef"]);
            for name in ["#digests-all", "#digests-secure"] {
                let value = format!("{}:fence_xvm:{digest},", device.clone().unwrap_or_default());
                pairs.push((name.into(), value));
            }
        }
    }
    for leaf in d.leaves.clone().iter().filter(|leaf| leaf.promotable) {
        let percent = if leaf.shape == Shape::Bundled { 60 } else { 75 };
        if d.percent(percent) {
            let name = promotion_name(d, leaf);
            pairs.push((name, d.pick(&["5", "10", "10", "100", "-1", "0", "INFINITY", "-INFINITY"]).into()));
        }
    }
    pairs.extend(history::fail_counts(d, node, stories));
    if pairs.is_empty() {
        return;
    }
    let Some(set) = d.set("instance_attributes", &pairs) else { return };
    state.push(el("transient_attributes", &[("id", &node.id)]).with_child(set));
}

fn promotion_name(d: &mut Draw, leaf: &Leaf) -> String {
    match leaf.shape {
        Shape::Unique(max) => format!("master-{}:{}", leaf.id, d.between(0, max.saturating_sub(1))),
        _ if d.percent(8) => format!("master-{}:0", leaf.id),
        _ => format!("master-{}", leaf.id),
    }
}
