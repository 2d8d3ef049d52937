//! Nodes and their attributes.

use cib::Element;

use super::draw::{Draw, Node, NodeKind, el};
use super::rules::{self, Use};

/// Names that sort differently by number, by letter and by byte.
const NAMES: &[&[&str]] = &[
    &["n1", "n2", "n3", "n4", "n5"],
    &["node9", "node10", "node11", "Node12", "node007"],
    &["beta", "alpha", "gamma", "delta", "Eta"],
    &["a.b", "a-b", "a1b", "a02b", "a2b"],
];

/// The `nodes` section.
pub fn nodes(d: &mut Draw) -> Element {
    let count = usize::try_from(d.between(1, 5)).unwrap_or(2);
    let names = d.one_of(NAMES).unwrap_or(NAMES[0]);
    let numbering = d.chance.below(4);
    for (at, name) in names.iter().take(count).enumerate() {
        let id = match numbering {
            0 => (*name).to_owned(),
            1 => (10 + at * 7).to_string(),
            2 => format!("{}", count - at),
            _ => (at + 1).to_string(),
        };
        let kind = if at > 0 && d.percent(2) { NodeKind::Ping } else { NodeKind::Member };
        d.nodes.push(Node { id, name: (*name).to_owned(), kind });
    }
    let mut section = Element::new("nodes");
    for node in d.nodes.clone() {
        let element = node_element(d, &node);
        section.push(element);
    }
    section
}

/// One `node`.
pub fn node_element(d: &mut Draw, node: &Node) -> Element {
    let mut e = el("node", &[("id", &node.id), ("uname", &node.name)]);
    match node.kind {
        NodeKind::Ping => e.set_attr("type", "ping"),
        NodeKind::Remote => e.set_attr("type", "remote"),
        _ => {
            if d.percent(20) {
                e.set_attr("type", "member");
            }
        }
    }
    if d.percent(4) {
        let score = d.pick(&["100", "-100", "-INFINITY", "5"]);
        e.set_attr("score", score);
    }
    let mut pairs: Vec<(String, String)> = Vec::new();
    for (name, percent, values) in [
        ("zone", 50, &["a", "b", "1", "10"][..]),
        ("cpu", 20, &["2", "9", "10"][..]),
        ("weight", 15, &["50", "-20", "INFINITY", "abc"][..]),
        ("site-name", 4, &["north"][..]),
        ("standby", 7, &["on", "true", "off"][..]),
        ("maintenance", 4, &["true", "false"][..]),
    ] {
        if d.percent(percent) {
            pairs.push((name.into(), d.pick(values).into()));
        }
    }
    if d.themes.health {
        for name in ["#health-smart", "#health-cpu"] {
            if d.percent(35) {
                let value = d.pick(&["red", "yellow", "green", "-50", "20"]);
                pairs.push((name.into(), value.into()));
            }
        }
    }
    if let Some(mut set) = d.set("instance_attributes", &pairs) {
        if d.themes.rules && d.percent(8) {
            let rule = rules::rule(d, Use::Options, 0);
            set.insert_node(0, rule);
        }
        e.push(set);
    }
    if d.themes.utilization && node.kind != NodeKind::Ping && d.percent(85) {
        let mut pairs = vec![("cpu".to_owned(), d.between(0, 8).to_string())];
        if d.percent(50) {
            pairs.push(("memory".into(), (d.between(0, 8) * 512).to_string()));
        }
        if let Some(set) = d.set("utilization", &pairs) {
            e.push(set);
        }
    }
    e
}
