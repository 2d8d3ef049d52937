//! Operation history: what happened to each resource on each node.

use std::collections::BTreeMap;

use cib::Element;

use super::draw::{Draw, Leaf, NOW, Node, NodeKind, Recurring, Shape, el};

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
        let history = Writer { d, leaf: &leaf, story, peer, call: 0 }.history();
        list.push(history);
    }
    if list.children().next().is_none() && d.percent(60) {
        return None;
    }
    Some(el("lrm", &[("id", &node.id)]).with_child(list))
}

struct Writer<'a> {
    d: &'a mut Draw,
    leaf: &'a Leaf,
    story: &'a Story,
    peer: Option<String>,
    call: u64,
}

/// One result.
struct Result {
    id: String,
    task: &'static str,
    ms: u64,
    rc: i32,
    expected: i32,
    status: i32,
    timeout_ms: u64,
}

impl Writer<'_> {
    fn history(mut self) -> Element {
        let mut e = el("lrm_resource", &[("id", &self.story.name)]);
        let changed = self.d.themes.changes && self.d.percent(4);
        e.set_attr("class", if changed { "lsb" } else { &self.leaf.class });
        if let (Some(provider), false) = (&self.leaf.provider, changed) {
            e.set_attr("provider", provider.as_str());
        }
        e.set_attr("type", self.leaf.agent.as_str());
        if self.d.themes.locks && self.d.percent(20) {
            let at = self.d.one_of(&[20, 400, 9000]).unwrap_or(20);
            e.set_attr("shutdown-lock", (super::draw::NOW - at).to_string());
        }
        if self.story.name.starts_with("gone") && self.d.percent(25) {
            let hosts: Vec<String> = self.d.leaves.iter().map(|l| l.id.clone()).collect();
            if let Some(host) = self.d.one_of(&hosts) {
                e.set_attr("container", host);
            }
        }
        self.call = self.d.between(1, 40);
        let mut ops = self.operations();
        if self.d.themes.notify && self.leaf.shape != Shape::Single && self.d.percent(8) {
            let key = format!("{}_post_notify_start_0", self.story.name);
            let mut op = self.result(Result::new(key.clone(), "notify", 0, 0, 0));
            op.set_attr("operation_key", key);
            ops.push(op);
        }
        // A result takes the place of the one before it that has its id.
        let ids: Vec<String> = ops.iter().map(|op| op.id().unwrap_or_default().to_owned()).collect();
        let mut at = 0;
        ops.retain(|_| {
            at += 1;
            !ids.iter().skip(at).any(|later| Some(later) == ids.get(at - 1))
        });
        if self.d.percent(10) {
            ops.reverse();
        }
        ops.into_iter().for_each(|op| e.push(op));
        e
    }

    fn operations(&mut self) -> Vec<Element> {
        match self.story.plot {
            Plot::Probed => vec![self.last("monitor", 7, 7)],
            Plot::Found => {
                let mut list = vec![self.last("monitor", 0, 7)];
                list.extend(self.monitors(None));
                list
            }
            Plot::FoundPromoted => vec![self.last("monitor", 8, 7)],
            Plot::Running => {
                let mut list = vec![self.last("start", 0, 0)];
                list.extend(self.monitors(Some("Unpromoted")));
                list
            }
            Plot::Promoted => {
                let mut list = vec![self.last("promote", 0, 0)];
                list.extend(self.monitors(Some("Promoted")));
                list
            }
            Plot::Stopped => {
                let mut list = if self.d.percent(40) { self.monitors(None) } else { Vec::new() };
                list.push(self.last("stop", 0, 0));
                list
            }
            Plot::Demoted => {
                let mut list = vec![self.last("demote", 0, 0)];
                list.extend(self.monitors(Some("Unpromoted")));
                list
            }
            Plot::MonitorFailed => self.monitor_failed(),
            Plot::StartFailed => {
                let rc = self.d.one_of(&[1, 1, 1, 5, 2, 6, 3, 4]).unwrap_or(1);
                self.failed("start", rc)
            }
            Plot::StopFailed => {
                let rc = self.d.one_of(&[1, 1, 5, 6]).unwrap_or(1);
                self.failed("stop", rc)
            }
            Plot::PromoteFailed => {
                let rc = self.d.one_of(&[1, 1, 9, 5]).unwrap_or(1);
                self.failed("promote", rc)
            }
            Plot::DemoteFailed => {
                let rc = self.d.one_of(&[1, 1, 7, 9]).unwrap_or(1);
                self.failed("demote", rc)
            }
            Plot::ProbeFailed => {
                let rc = self.d.one_of(&[1, 5, 2, 6, 3, 4, 9]).unwrap_or(1);
                let status = self.d.one_of(&[0, 0, 0, 4, 7]).unwrap_or(0);
                let id = if self.d.percent(50) { "last_failure_0" } else { "last_0" };
                vec![self.result(Result::new(format!("{}_{id}", self.story.name), "monitor", rc, 7, status))]
            }
            Plot::Pending => self.pending(),
            Plot::OldOperation => {
                let mut list = vec![self.last("start", 0, 0)];
                let mut old = Result::new(format!("{}_monitor_7000", self.story.name), "monitor", 0, 0, 0);
                old.ms = 7000;
                list.push(self.result(old));
                list
            }
            Plot::Degraded => {
                let promoted = self.leaf.promotable && self.d.percent(50);
                let mut list = vec![self.last(if promoted { "promote" } else { "start" }, 0, 0)];
                let (rc, expected) = if promoted { (191, 8) } else { (190, 0) };
                let id = format!("{}_monitor_10000", self.story.name);
                let mut result = Result::new(id, "monitor", rc, expected, 0);
                result.ms = 10_000;
                list.push(self.result(result));
                list
            }
            Plot::Reported => {
                let status = self.d.one_of(&[2, 3, 4, 5, 6, 7, 8, 9, 10, 11]).unwrap_or(2);
                let id = format!("{}_last_failure_0", self.story.name);
                let task = self.d.one_of(&["start", "monitor", "stop"]).unwrap_or("start");
                vec![self.result(Result::new(id, task, 1, 0, status))]
            }
            Plot::Cancelled => {
                let mut list = vec![self.last("start", 0, 0)];
                let id = format!("{}_monitor_10000", self.story.name);
                let mut result = Result::new(id, "monitor", 0, 0, 1);
                result.ms = 10_000;
                list.push(self.result(result));
                list
            }
            Plot::MigratedFrom | Plot::MigratingFrom | Plot::MigrateToFailed => self.source(),
            Plot::MigratedTo | Plot::MigrateFromFailed => self.target(),
        }
    }

    fn last(&mut self, task: &'static str, rc: i32, expected: i32) -> Element {
        self.result(Result::new(format!("{}_last_0", self.story.name), task, rc, expected, 0))
    }

    fn failed(&mut self, task: &'static str, rc: i32) -> Vec<Element> {
        let status = self.d.one_of(&[0, 0, 0, 2, 4]).unwrap_or(0);
        let mut list = Vec::new();
        if self.d.percent(30) && task != "start" {
            list.extend(self.monitors(None));
        }
        self.call += 1;
        let call = self.call;
        for id in ["last_failure_0", "last_0"] {
            if id == "last_0" && self.d.percent(30) {
                continue;
            }
            self.call = call - 1;
            list.push(self.result(Result::new(format!("{}_{id}", self.story.name), task, rc, 0, status)));
        }
        list
    }

    fn monitor_failed(&mut self) -> Vec<Element> {
        let promoted = self.leaf.promotable && (self.d.themes.demotes || self.d.percent(50));
        let mut list = vec![self.last(if promoted { "promote" } else { "start" }, 0, 0)];
        let expected = if promoted { 8 } else { 0 };
        let rc = self.d.one_of(&[1, 7, 7, 7, 5, 9, 8, 0, 6]).unwrap_or(1);
        let status = self.d.one_of(&[0, 0, 0, 2, 4]).unwrap_or(0);
        let of_role = |r: &&Recurring| promoted == matches!(r.role.as_deref(), Some("Promoted" | "Master"));
        let failed = self.leaf.recurring.iter().find(of_role).or(self.leaf.recurring.first());
        let (ms, timeout_ms) = failed.map_or((10_000, 20_000), |r| (r.ms, r.timeout_ms));
        let key = format!("{}_monitor_{ms}", self.story.name);
        if self.d.percent(75) {
            list.push(self.recurring("monitor", ms, expected, timeout_ms));
        }
        let id = if self.d.percent(80) { format!("{}_last_failure_0", self.story.name) } else { key };
        let mut result = Result::new(id, "monitor", rc, expected, status);
        result.ms = ms;
        result.timeout_ms = timeout_ms;
        list.push(self.result(result));
        list
    }

    fn pending(&mut self) -> Vec<Element> {
        let task = self
            .d
            .one_of(&["start", "start", "stop", "monitor", "promote", "demote", "migrate_to"])
            .unwrap_or("start");
        let promotes = matches!(task, "promote" | "demote");
        if promotes && !self.leaf.promotable {
            return vec![self.last("start", 0, 0)];
        }
        let mut list = Vec::new();
        if task != "start" && self.d.percent(60) {
            list.extend(self.monitors(None));
        }
        let expected = if task == "monitor" { 7 } else { 0 };
        let (id, ms) = match task {
            "monitor" if self.d.percent(40) => (format!("{}_monitor_10000", self.story.name), 10_000),
            "migrate_to" => (format!("{}_migrate_to_0", self.story.name), 0),
            _ => (format!("{}_last_0", self.story.name), 0),
        };
        let mut result = Result::new(id, task, 193, expected, -1);
        result.ms = ms;
        let mut op = self.result(result);
        op.set_attr("call-id", "-1");
        if task == "migrate_to" {
            let target = self.peer.clone().unwrap_or_else(|| "n1".into());
            op.set_attr("migrate_source", self.story.node.as_str());
            op.set_attr("migrate_target", target);
        }
        list.push(op);
        list
    }

    fn migration(&mut self, task: &'static str, source: &str, target: &str, rc: i32) -> Element {
        let id = format!("{}_{task}_0", self.story.name);
        let mut op = self.result(Result::new(id, task, rc, 0, 0));
        op.set_attr("migrate_source", source);
        op.set_attr("migrate_target", target);
        op
    }

    fn source(&mut self) -> Vec<Element> {
        let (here, there) = (self.story.node.clone(), self.peer.clone().unwrap_or_default());
        let mut list = if self.d.percent(70) { self.monitors(None) } else { Vec::new() };
        if self.d.percent(40) {
            list.insert(0, self.last("start", 0, 0));
        }
        let rc = i32::from(self.story.plot == Plot::MigrateToFailed);
        list.push(self.migration("migrate_to", &here, &there, rc));
        if self.story.plot == Plot::MigratedFrom && self.d.percent(50) {
            list.push(self.last("stop", 0, 0));
        }
        list
    }

    fn target(&mut self) -> Vec<Element> {
        let (here, there) = (self.story.node.clone(), self.peer.clone().unwrap_or_default());
        self.call += 30;
        let rc = i32::from(self.story.plot == Plot::MigrateFromFailed);
        let mut list = vec![self.migration("migrate_from", &there, &here, rc)];
        if rc == 0 {
            list.extend(self.monitors(None));
        }
        list
    }

    /// Results of the configured monitors that run in a role.
    fn monitors(&mut self, role: Option<&str>) -> Vec<Element> {
        let mut list = Vec::new();
        let configured: Vec<Recurring> = self.leaf.recurring.clone();
        for recurring in configured {
            let promoted = matches!(recurring.role.as_deref(), Some("Promoted" | "Master"));
            if recurring.role.as_deref() == Some("Stopped")
                || promoted != (role == Some("Promoted")) && recurring.role.is_some()
            {
                continue;
            }
            if self.d.percent(8) {
                continue;
            }
            let expected = if promoted { 8 } else { 0 };
            let op = self.recurring("monitor", recurring.ms, expected, recurring.timeout_ms);
            list.push(op);
        }
        list
    }

    fn recurring(&mut self, task: &'static str, ms: u64, rc: i32, timeout_ms: u64) -> Element {
        let mut result = Result::new(format!("{}_{task}_{ms}", self.story.name), task, rc, rc, 0);
        result.ms = ms;
        result.timeout_ms = timeout_ms;
        self.result(result)
    }

    fn result(&mut self, result: Result) -> Element {
        self.call += 1;
        let d = &mut *self.d;
        let key = format!("{}_{}_{}", self.story.name, result.task, result.ms);
        let transition = format!(
            "{}:{}:{}:0a5e8a3c-6d1b-4f4e-9d57-2f6b1c3d4e5f",
            self.call,
            d.between(1, 3),
            result.expected
        );
        let ago = d.one_of(&[5, 20, 300, 4000, 100_000]).unwrap_or(20);
        let mut op =
            el("lrm_rsc_op", &[("id", &result.id), ("operation_key", &key), ("operation", result.task)]);
        op.set_attr("crm_feature_set", "3.16.1");
        op.set_attr("transition-key", transition.as_str());
        op.set_attr("transition-magic", format!("{}:{};{transition}", result.status, result.rc));
        op.set_attr("call-id", self.call.to_string());
        op.set_attr("rc-code", result.rc.to_string());
        op.set_attr("op-status", result.status.to_string());
        op.set_attr("interval", result.ms.to_string());
        if d.percent(90) {
            op.set_attr("on_node", self.story.node.as_str());
        }
        if d.percent(96) {
            op.set_attr("last-rc-change", (NOW - ago - 50 + self.call).to_string());
        }
        op.set_attr("exec-time", "15");
        op.set_attr("queue-time", "0");
        if d.percent(10) {
            op.set_attr("exit-reason", "it said so");
        }
        self.digests(&mut op, &result);
        op
    }

    fn digests(&mut self, op: &mut Element, result: &Result) {
        let changes = self.d.themes.changes;
        if self.d.percent(if changes { 10 } else { 2 }) {
            return;
        }
        let mut parameters = Element::new("parameters");
        for (name, value) in &self.leaf.parameters {
            parameters.set_attr(name, value.as_str());
        }
        if result.ms > 0 {
            parameters.set_attr("CRM_meta_timeout", result.timeout_ms.to_string());
        }
        if changes && self.d.percent(15) {
            parameters.set_attr("state", "/run/other");
        }
        op.set_attr("op-digest", cib::digest::parameters(&parameters));
        if changes && self.d.percent(20) {
            op.set_attr("op-force-restart", self.d.pick(&[" state ", " fake ", ""]));
            let mut some = Element::new("parameters");
            for (name, value) in parameters.attrs() {
                if op.attr("op-force-restart").is_some_and(|l| l.contains(&format!(" {name} "))) {
                    some.set_attr(name, value);
                }
            }
            op.set_attr("op-restart-digest", cib::digest::parameters(&some));
        }
        if changes && self.d.percent(20) {
            op.set_attr("op-secure-params", " passwd ");
            parameters.remove_attr("passwd");
            op.set_attr("op-secure-digest", cib::digest::parameters(&parameters));
        }
    }
}

impl Result {
    fn new(id: String, task: &'static str, rc: i32, expected: i32, status: i32) -> Self {
        Self { id, task, ms: 0, rc, expected, status, timeout_ms: 20_000 }
    }
}
