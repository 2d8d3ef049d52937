//! Operation history: what happened to each resource on each node.

use std::collections::BTreeMap;

use cib::Element;

use super::draw::{Draw, Leaf, NOW, Node, NodeKind, Shape, el};
use super::results;

/// What happened to one resource on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Story {
    /// Which of the leaves.
    pub leaf: usize,
    /// The name in history.
    pub name: String,
    pub node: String,
    pub plot: Plot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plot {
    /// A probe found nothing.
    Probed,
    /// Started by the cluster, monitored.
    Running,
    Promoted,
    /// A probe found it running.
    Found,
    FoundPromoted,
    Stopped,
    Demoted,
    MonitorFailed,
    StartFailed,
    StopFailed,
    PromoteFailed,
    DemoteFailed,
    ProbeFailed,
    Pending,
    MigratedFrom,
    MigratedTo,
    MigratingFrom,
    MigrateToFailed,
    MigrateFromFailed,
    /// Operations that are no longer configured.
    OldOperation,
    Degraded,
    Reported,
    Cancelled,
}

/// Chooses who runs where.
pub fn stories(d: &mut Draw) -> Vec<Story> {
    let mut stories = Vec::new();
    let mut places: BTreeMap<usize, Vec<String>> = BTreeMap::new();
    for (at, leaf) in d.leaves.clone().iter().enumerate() {
        let hosts = hosts(d, leaf);
        if hosts.is_empty() {
            continue;
        }
        let names: Vec<String> = hosts.iter().map(|node| node.name.clone()).collect();
        let active = match places.get(&leaf.family) {
            Some(active) => active.clone(),
            None => {
                let active = active_nodes(d, leaf, &names);
                places.insert(leaf.family, active.clone());
                active
            }
        };
        let migration = leaf.shape == Shape::Single && d.themes.migration && d.percent(25);
        let mut instance = 0;
        let number_all = leaf.shape == Shape::Anonymous && d.percent(25);
        for node in &hosts {
            let runs = active.contains(&node.name) && d.percent(95);
            let Some(plot) = plot(d, leaf, runs, instance) else { continue };
            let name = match leaf.shape {
                Shape::Single => leaf.id.clone(),
                Shape::Anonymous if number_all => {
                    if runs {
                        instance += 1;
                        format!("{}:{}", leaf.id, instance - 1)
                    } else {
                        leaf.id.clone()
                    }
                }
                Shape::Anonymous => {
                    instance += usize::from(runs);
                    leaf.id.clone()
                }
                Shape::Bundled => leaf.id.clone(),
                Shape::Unique(max) => {
                    instance += 1;
                    let n =
                        if d.percent(90) { (instance as u64 - 1) % (max + 1) } else { d.between(0, max + 1) };
                    format!("{}:{n}", leaf.id)
                }
            };
            stories.push(Story { leaf: at, name, node: node.name.clone(), plot });
            if runs && matches!(leaf.shape, Shape::Unique(max) if max > 1) && d.percent(25) {
                let name = format!("{}:{}", leaf.id, instance);
                instance += 1;
                stories.push(Story { leaf: at, name, node: node.name.clone(), plot: Plot::Running });
            }
        }
        if migration && names.len() > 1 {
            migrate(d, at, leaf, &names, &mut stories);
        }
    }
    if d.themes.orphans {
        orphans(d, &mut stories);
    }
    stories
}

/// A past or present migration in place of the resource's other history.
fn migrate(d: &mut Draw, at: usize, leaf: &Leaf, names: &[String], stories: &mut Vec<Story>) {
    stories.retain(|s| s.leaf != at);
    let from = d.chance.index(names.len());
    let to = (from + 1 + d.chance.index(names.len() - 1)) % names.len();
    let (Some(from), Some(to)) = (names.get(from), names.get(to)) else { return };
    let plots: &[Plot] = match d.chance.below(5) {
        0 | 1 => &[Plot::MigratedFrom, Plot::MigratedTo],
        2 => &[Plot::MigratingFrom],
        3 => &[Plot::MigrateToFailed],
        _ => &[Plot::MigratedFrom, Plot::MigrateFromFailed],
    };
    for (plot, node) in plots.iter().zip([from, to]) {
        stories.push(Story { leaf: at, name: leaf.id.clone(), node: node.clone(), plot: *plot });
    }
    // Where source or target is written, the other node is needed: it is in the order of the stories.
    if plots.len() == 1 && d.percent(50) {
        stories.push(Story { leaf: at, name: leaf.id.clone(), node: to.clone(), plot: Plot::Probed });
    }
}

/// Nodes that can have history of a leaf.
fn hosts(d: &Draw, leaf: &Leaf) -> Vec<Node> {
    if let Some(bundle) = &leaf.bundle {
        let inside = |name: &str| name.rsplit_once('-').is_some_and(|(stem, _)| stem == bundle);
        let bundled = d.nodes.iter().filter(|n| n.kind == NodeKind::Bundled && inside(&n.name));
        return bundled.cloned().collect();
    }
    let everywhere = leaf.agent != "remote" && leaf.class != "stonith" && !leaf.id.starts_with("b-");
    let fits = |node: &&Node| match node.kind {
        NodeKind::Member => true,
        NodeKind::Remote | NodeKind::Guest => everywhere,
        NodeKind::Ping | NodeKind::Bundled => false,
    };
    d.nodes.iter().filter(fits).cloned().collect()
}

fn active_nodes(d: &mut Draw, leaf: &Leaf, names: &[String]) -> Vec<String> {
    if leaf.shape != Shape::Single {
        return names.iter().filter(|_| d.percent(70)).cloned().collect();
    }
    let first = d.chance.index(names.len());
    let mut active: Vec<String> = Vec::new();
    if d.percent(68) {
        active.extend(names.get(first).cloned());
        if names.len() > 1 && d.percent(7) {
            active.extend(names.get((first + 1) % names.len()).cloned());
            if names.len() > 2 && d.percent(20) {
                active.extend(names.get((first + 2) % names.len()).cloned());
            }
        }
    }
    active
}

fn plot(d: &mut Draw, leaf: &Leaf, runs: bool, nth: usize) -> Option<Plot> {
    if !runs {
        if d.percent(30) {
            return None;
        }
        return Some(match d.chance.below(20) {
            0..=13 => Plot::Probed,
            14..=16 => Plot::Stopped,
            17 if d.themes.failures => Plot::ProbeFailed,
            18 if d.themes.failures => Plot::StopFailed,
            _ => Plot::Probed,
        });
    }
    if d.themes.demotes && leaf.promotable && nth == 0 {
        return Some(Plot::MonitorFailed);
    }
    if d.themes.failures && d.percent(28) {
        return Some(match d.chance.below(12) {
            0..=4 if leaf.promotable && d.percent(25) => Plot::PromoteFailed,
            0..=4 => Plot::MonitorFailed,
            5 | 6 => Plot::StartFailed,
            7 => Plot::StopFailed,
            8 if leaf.promotable => Plot::DemoteFailed,
            10 => Plot::Degraded,
            11 => Plot::Reported,
            _ => Plot::ProbeFailed,
        });
    }
    if d.themes.pending && d.percent(20) {
        return Some(Plot::Pending);
    }
    if d.percent(4) {
        return Some(if d.percent(70) { Plot::OldOperation } else { Plot::Cancelled });
    }
    if leaf.promotable {
        return Some(match (nth, d.chance.below(10)) {
            (0, 0..=5) | (_, 0) => Plot::Promoted,
            (_, 1) => Plot::Demoted,
            (_, 2) => Plot::FoundPromoted,
            _ => Plot::Running,
        });
    }
    Some(if d.percent(12) { Plot::Found } else { Plot::Running })
}

/// Resources that are no longer configured, and instances beyond the number of a clone.
fn orphans(d: &mut Draw, stories: &mut Vec<Story>) {
    let members: Vec<Node> = d.nodes.iter().filter(|n| n.kind == NodeKind::Member).cloned().collect();
    for _ in 0..d.between(1, 2) {
        let Some(node) = d.one_of(&members) else { return };
        let beyond: Vec<usize> = (0..d.leaves.len())
            .filter(|at| d.leaves.get(*at).is_some_and(|l| l.shape != Shape::Single))
            .collect();
        let (leaf, name) = match d.one_of(&beyond) {
            Some(at) if d.percent(40) => {
                let id = d.leaves.get(at).map(|l| l.id.clone()).unwrap_or_default();
                (at, format!("{id}:{}", d.between(0, 9)))
            }
            _ if d.leaves.is_empty() => return,
            _ => (d.chance.index(d.leaves.len()), d.pick(&["gone-1", "gone-2", "gone:0"]).to_owned()),
        };
        if stories.iter().any(|s| s.node == node.name && s.name == name) {
            continue;
        }
        let plot = d
            .one_of(&[Plot::Running, Plot::Running, Plot::Probed, Plot::Stopped, Plot::MonitorFailed])
            .unwrap_or(Plot::Running);
        stories.push(Story { leaf, name, node: node.name, plot });
    }
}

/// Fail counts of a node, mostly for what failed there.
pub fn fail_counts(d: &mut Draw, node: &Node, stories: &[Story]) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for story in stories.iter().filter(|s| s.node == node.name) {
        let failed = match story.plot {
            Plot::MonitorFailed => Some("monitor_10000"),
            Plot::StartFailed => Some("start_0"),
            Plot::StopFailed => Some("stop_0"),
            Plot::PromoteFailed => Some("promote_0"),
            Plot::DemoteFailed => Some("demote_0"),
            Plot::MigrateToFailed => Some("migrate_to_0"),
            _ if d.themes.failures && d.percent(8) => Some("monitor_20000"),
            _ => None,
        };
        let Some(key) = failed else { continue };
        if d.percent(25) {
            continue;
        }
        let name = story.name.split(':').next().unwrap_or_default().to_owned();
        let value = d.pick(&["1", "1", "2", "3", "INFINITY", "0", "1000000"]);
        pairs.push((format!("fail-count-{name}#{key}"), value.to_owned()));
        if d.percent(85) {
            let ago = d.one_of(&[5, 15, 300, 100_000]).unwrap_or(5);
            pairs.push((format!("last-failure-{name}#{key}"), (NOW - ago).to_string()));
        }
    }
    // The same name twice on a node: the first stands.
    let mut seen = std::collections::BTreeSet::new();
    pairs.retain(|(name, _)| seen.insert(name.clone()));
    pairs
}

/// The `lrm` of a node.
pub fn lrm(d: &mut Draw, node: &Node, stories: &[Story]) -> Option<Element> {
    let mut list = Element::new("lrm_resources");
    for story in stories.iter().filter(|s| s.node == node.name) {
        if list.children().any(|c| c.id() == Some(story.name.as_str())) {
            continue;
        }
        let Some(leaf) = d.leaves.get(story.leaf).cloned() else { continue };
        let peer = stories
            .iter()
            .find(|s| s.leaf == story.leaf && s.node != story.node)
            .map(|s| s.node.clone())
            .or_else(|| d.nodes.iter().find(|n| n.name != story.node).map(|n| n.name.clone()));
        list.push(results::history(d, &leaf, story, peer));
    }
    if list.children().next().is_none() && d.percent(60) {
        return None;
    }
    Some(el("lrm", &[("id", &node.id)]).with_child(list))
}
