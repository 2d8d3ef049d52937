//! Primitives, their operations, and templates.

use cib::Element;

use super::collections;
use super::draw::{Draw, Kind, Leaf, Named, Node, NodeKind, Recurring, Shape, el};
use super::rules::{self, Use};

const AGENTS: &[(&str, Option<&str>, &str)] = &[
    ("ocf", Some("heartbeat"), "Dummy"),
    ("ocf", Some("pacemaker"), "Dummy"),
    ("ocf", Some("heartbeat"), "IPaddr2"),
    ("lsb", None, "apache"),
    ("systemd", None, "nginx"),
    ("service", None, "cron"),
];

/// Rare ones. Debian's reference is built without the classes nagios and upstart: it stops simulating at them.
const RARE_AGENTS: &[(&str, Option<&str>, &str)] = &[("ocf", Some("custom"), "thing"), ("lsb", None, "job")];

const PROMOTABLE: (&str, Option<&str>, &str) = ("ocf", Some("pacemaker"), "Stateful");

/// What the caller of [`primitive`] knows.
#[derive(Debug, Clone, Copy)]
pub struct Around {
    pub shape: Shape,
    pub promotable: bool,
    pub family: usize,
    /// Agents of other classes may be unique or promotable nowhere.
    pub ocf: bool,
}

impl Around {
    pub fn plain(d: &mut Draw) -> Self {
        d.families += 1;
        Self { shape: Shape::Single, promotable: false, family: d.families, ocf: false }
    }
}

/// The `resources` section.
pub fn resources(d: &mut Draw) -> Element {
    let mut section = Element::new("resources");
    if d.themes.templates {
        for _ in 0..d.between(1, 2) {
            let template = template(d);
            section.push(template);
        }
    }
    if d.themes.fencing && d.percent(90) {
        for _ in 0..d.between(1, 2) {
            let device = fence_device(d);
            section.push(device);
        }
    }
    for _ in 0..d.between(1, 6) {
        let element = match d.chance.below(20) {
            0..=8 => {
                let around = Around::plain(d);
                let p = primitive(d, around);
                name(d, &p, Kind::Primitive);
                p
            }
            9..=12 => collections::group(d),
            13..=17 => collections::clone(d),
            _ => {
                if d.themes.bundles {
                    collections::bundle(d)
                } else {
                    let around = Around::plain(d);
                    let p = primitive(d, around);
                    name(d, &p, Kind::Primitive);
                    p
                }
            }
        };
        section.push(element);
    }
    if d.themes.bundles && d.percent(70) {
        let bundle = collections::bundle(d);
        section.push(bundle);
    }
    if d.themes.remotes {
        for _ in 0..d.between(1, 2) {
            let remote = remote(d);
            section.push(remote);
        }
    }
    section
}

pub fn name(d: &mut Draw, element: &Element, kind: Kind) {
    let id = element.id().unwrap_or_default().to_owned();
    d.named.push(Named { id, kind, rare: false });
}

fn parameters(d: &mut Draw) -> Vec<(String, String)> {
    let mut list = Vec::new();
    if d.percent(60) {
        list.push(("state".to_owned(), d.pick(&["/run/a", "/run/b"]).to_owned()));
    }
    if d.percent(20) {
        list.push(("fake".to_owned(), d.between(1, 9).to_string()));
    }
    if d.percent(10) {
        list.push(("passwd".to_owned(), "secret".to_owned()));
    }
    list
}

/// One primitive; it is entered among the leaves, not among what constraints name.
pub fn primitive(d: &mut Draw, around: Around) -> Element {
    let id = d.id("p");
    let promotable_agent = around.promotable || d.percent(4);
    let (class, provider, agent) = if promotable_agent {
        PROMOTABLE
    } else if around.ocf {
        d.one_of(&AGENTS[..3]).unwrap_or(AGENTS[0])
    } else if d.percent(3) {
        d.one_of(RARE_AGENTS).unwrap_or(AGENTS[0])
    } else {
        d.one_of(AGENTS).unwrap_or(AGENTS[0])
    };
    let mut leaf = Leaf {
        id: id.clone(),
        class: class.into(),
        provider: provider.map(Into::into),
        agent: agent.into(),
        parameters: Vec::new(),
        recurring: Vec::new(),
        shape: around.shape,
        promotable: around.promotable,
        family: around.family,
        bundle: None,
    };
    let templates = d.templates.clone();
    let template = if around.promotable { None } else { d.one_of(&templates) };
    let mut e = match template {
        Some((template, model)) if d.percent(60) => {
            leaf.class = model.class;
            leaf.provider = model.provider;
            leaf.agent = model.agent;
            leaf.parameters = model.parameters;
            leaf.recurring = model.recurring;
            el("primitive", &[("id", &id), ("template", &template)])
        }
        _ => {
            let mut e = el("primitive", &[("id", &id), ("class", class)]);
            if let Some(provider) = provider {
                e.set_attr("provider", provider);
            }
            e.set_attr("type", agent);
            e
        }
    };
    contents(d, &mut e, &mut leaf);
    let hosts: Vec<String> = d
        .leaves
        .iter()
        .filter(|l| l.shape == Shape::Single && l.agent != "remote")
        .map(|l| l.id.clone())
        .collect();
    if d.themes.guests && around.shape == Shape::Single && d.percent(12) {
        if let Some(host) = d.one_of(&hosts) {
            let pairs = [("container".to_owned(), host)];
            if let Some(set) = d.set("meta_attributes", &pairs) {
                e.push(set);
            }
        }
    }
    d.leaves.push(leaf);
    if d.themes.guests && around.shape == Shape::Single && d.percent(30) {
        guest(d, &mut e);
    }
    e
}

/// Sets and operations of a primitive or template.
fn contents(d: &mut Draw, e: &mut Element, leaf: &mut Leaf) {
    let own = parameters(d);
    if let Some(mut set) = d.set("instance_attributes", &own) {
        if d.themes.rules && d.percent(25) {
            let rule = rules::rule(d, Use::Parameters, 0);
            set.insert_node(0, rule);
        }
        e.push(set);
        leaf.parameters.extend(own);
    }
    d.shared_set(e, "instance_attributes");
    let pairs = meta(d, false);
    if let Some(set) = meta_set(d, &pairs) {
        e.push(set);
    }
    d.shared_set(e, "meta_attributes");
    if let Some(operations) = operations(d, leaf) {
        e.push(operations);
    }
    if d.themes.utilization && d.percent(70) {
        let mut pairs = vec![("cpu".to_owned(), d.between(0, 5).to_string())];
        if d.percent(40) {
            pairs.push(("memory".into(), (d.between(0, 4) * 512).to_string()));
        }
        if let Some(set) = d.set("utilization", &pairs) {
            e.push(set);
        }
        d.shared_set(e, "utilization");
    }
}

/// A set of meta attributes, sometimes with a rule or a score.
pub fn meta_set(d: &mut Draw, pairs: &[(String, String)]) -> Option<Element> {
    let mut set = d.set("meta_attributes", pairs)?;
    if d.themes.rules && d.percent(15) {
        let rule = rules::rule(d, Use::Meta, 0);
        set.insert_node(0, rule);
    }
    if d.percent(5) {
        let score = d.score();
        set.set_attr("score", score);
    }
    Some(set)
}

/// Meta attributes of any resource.
pub fn meta(d: &mut Draw, promotable: bool) -> Vec<(String, String)> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    let more = if d.themes.meta { 3 } else { 1 };
    let roles: &[&str] = if promotable {
        &["Started", "Stopped", "Unpromoted", "Promoted", "Slave", "Master"]
    } else {
        &["Started", "Stopped", "Stopped", "default", "Promoted"]
    };
    for (name, percent, values) in [
        ("priority", 7, &["10", "1", "-10", "INFINITY"][..]),
        ("resource-stickiness", 7, &["0", "1", "100", "INFINITY", "-10", "default", "#default"][..]),
        ("target-role", 4, roles),
        ("is-managed", 3, &["false", "false", "true", "default", "#default"][..]),
        ("maintenance", 2, &["true", "false"][..]),
        ("migration-threshold", 5, &["0", "1", "2", "3", "-1", "INFINITY"][..]),
        ("failure-timeout", 4, &["10s", "10min", "PT1H", "20d"][..]),
        ("multiple-active", 5, &["block", "stop_only", "stop_start", "stop_unexpected"][..]),
        ("requires", 5, &["nothing", "quorum", "fencing"][..]),
        ("critical", 4, &["true", "false"][..]),
        ("allow-unhealthy-nodes", 2, &["true", "false"][..]),
        ("restart-type", 2, &["restart", "ignore"][..]),
    ] {
        if d.percent(percent * more) {
            pairs.push((name.into(), d.pick(values).into()));
        }
    }
    if d.themes.migration && d.percent(60) {
        pairs.push(("allow-migrate".into(), "true".into()));
    }
    if d.themes.unfencing && d.percent(25) {
        pairs.retain(|(name, _)| name != "requires");
        pairs.push(("requires".into(), "unfencing".into()));
    }
    pairs
}

const ON_FAIL: &[&str] =
    &["ignore", "block", "stop", "restart", "standby", "fence", "demote", "restart-container"];

/// The operations of a primitive.
fn operations(d: &mut Draw, leaf: &mut Leaf) -> Option<Element> {
    if d.percent(12) {
        return None;
    }
    let earlier = d.operations.clone();
    if d.percent(4)
        && let Some((id, recurring)) = d.one_of(&earlier)
    {
        leaf.recurring = recurring;
        return Some(el("operations", &[("id-ref", &id)]));
    }
    let mut list: Vec<Element> = Vec::new();
    let mut monitors: Vec<(u64, Option<&str>)> = Vec::new();
    if leaf.promotable {
        monitors.push((10_000, Some(d.pick(&["Promoted", "Master"]))));
        monitors.push((11_000, Some(d.pick(&["Unpromoted", "Slave"]))));
    } else {
        monitors.push((d.pick(&["10", "20"]).parse::<u64>().unwrap_or(10) * 1000, None));
    }
    if d.percent(8) {
        monitors.push((30_000, Some("Stopped")));
    }
    if d.percent(6) {
        monitors.push((15_000, Some("Started")));
    }
    if d.percent(3) {
        // The same name and interval twice, which is not allowed.
        monitors.push((10_000, None));
    }
    for (ms, role) in monitors {
        if d.percent(10) {
            continue;
        }
        let id = d.id("op");
        let text = match d.chance.below(20) {
            0..=3 => format!("{ms}ms"),
            4 => format!("PT{}S", ms / 1000),
            _ => format!("{}s", ms / 1000),
        };
        let mut op = el("op", &[("id", &id), ("name", "monitor"), ("interval", &text)]);
        if let Some(role) = role {
            op.set_attr("role", role);
        }
        let timeout_ms = decorate(d, &mut op, true);
        if d.themes.failures
            && matches!(role, Some("Promoted" | "Master"))
            && (d.themes.demotes || d.percent(45))
        {
            op.set_attr("on-fail", "demote");
        }
        let enabled = op.attr("enabled") != Some("false");
        if enabled && !leaf.recurring.iter().any(|r| r.ms == ms) {
            leaf.recurring.push(Recurring {
                name: "monitor".into(),
                ms,
                role: role.map(Into::into),
                timeout_ms,
            });
        }
        list.push(op);
    }
    for name in ["start", "stop", "promote", "demote", "migrate_to", "migrate_from", "notify", "monitor"] {
        if d.percent(12) {
            let id = d.id("op");
            let interval = d.pick(&["0", "0s"]);
            let mut op = el("op", &[("id", &id), ("name", name), ("interval", interval)]);
            decorate(d, &mut op, false);
            list.push(op);
        }
    }
    for (name, interval, percent) in [("backup", "1h", 2), ("start", "25s", 2)] {
        // What no agent is asked for by itself; and a start that repeats, which is not allowed.
        if d.percent(percent) {
            let id = d.id("op");
            let mut op = el("op", &[("id", &id), ("name", name), ("interval", interval)]);
            decorate(d, &mut op, true);
            list.push(op);
        }
    }
    if list.is_empty() {
        return None;
    }
    let mut operations = Element::new("operations");
    if d.percent(20) {
        let id = d.id("ops");
        operations.set_attr("id", id.as_str());
        d.operations.push((id, leaf.recurring.clone()));
    }
    list.into_iter().for_each(|op| operations.push(op));
    Some(operations)
}

/// Attributes and sets of an operation; its timeout in milliseconds.
fn decorate(d: &mut Draw, op: &mut Element, recurring: bool) -> u64 {
    let mut timeout = 20_000;
    if d.percent(50) {
        let (text, ms) =
            d.one_of(&[("30s", 30_000), ("1min", 60_000), ("45000ms", 45_000)]).unwrap_or(("30", 30_000));
        op.set_attr("timeout", text);
        timeout = ms;
    }
    let often = if d.themes.failures { 22 } else { 8 };
    if d.percent(often) {
        let value = d.pick(ON_FAIL);
        op.set_attr("on-fail", value);
    }
    if d.percent(5) {
        let value = d.pick(&["false", "false", "true"]);
        op.set_attr("enabled", value);
    }
    if recurring && d.percent(4) {
        op.set_attr("start-delay", "5s");
    } else if recurring && d.percent(4) {
        op.set_attr("interval-origin", "2023-11-14T22:13:03Z");
    }
    if d.percent(4) {
        let value = d.pick(&["true", "false"]);
        op.set_attr("record-pending", value);
    }
    if d.percent(4) {
        let pairs = [("depth".to_owned(), "1".to_owned())];
        if let Some(set) = d.set("instance_attributes", &pairs) {
            op.push(set);
        }
    }
    if d.percent(5) {
        let value = d.pick(&["50s", "51s"]).to_owned();
        if let Some(mut set) = d.set("meta_attributes", &[("timeout".to_owned(), value)]) {
            if d.themes.rules && d.percent(50) {
                let rule = rules::rule(d, Use::Operation, 0);
                set.insert_node(0, rule);
            }
            op.push(set);
        }
    }
    timeout
}

fn template(d: &mut Draw) -> Element {
    let id = d.id("tmpl");
    let (class, provider, agent) = d.one_of(&AGENTS[..3]).unwrap_or(AGENTS[0]);
    let mut e = el("template", &[("id", &id), ("class", class)]);
    if let Some(provider) = provider {
        e.set_attr("provider", provider);
    }
    e.set_attr("type", agent);
    let mut leaf = Leaf {
        id: id.clone(),
        class: class.into(),
        provider: provider.map(Into::into),
        agent: agent.into(),
        parameters: Vec::new(),
        recurring: Vec::new(),
        shape: Shape::Single,
        promotable: false,
        family: 0,
        bundle: None,
    };
    contents(d, &mut e, &mut leaf);
    d.templates.push((id, leaf));
    e
}

fn fence_device(d: &mut Draw) -> Element {
    let id = d.id("fence");
    let mut e = el("primitive", &[("id", &id), ("class", "stonith"), ("type", "fence_xvm")]);
    let mut pairs: Vec<(String, String)> = Vec::new();
    if d.themes.unfencing {
        pairs.push(("provides".into(), "unfencing".into()));
    }
    if d.percent(10) {
        pairs.push(("target-role".into(), "Stopped".into()));
    }
    if let Some(set) = d.set("meta_attributes", &pairs) {
        e.push(set);
    }
    let mut parameters = Vec::new();
    if d.percent(15) {
        parameters.push(("pcmk_monitor_timeout".to_owned(), "77s".to_owned()));
    }
    if let Some(set) = d.set("instance_attributes", &parameters) {
        e.push(set);
    }
    let mut recurring = Vec::new();
    if d.percent(60) {
        let op_id = d.id("op");
        let op = el("op", &[("id", &op_id), ("name", "monitor"), ("interval", "1h"), ("timeout", "60s")]);
        e.push(Element::new("operations").with_child(op));
        recurring.push(Recurring { name: "monitor".into(), ms: 3_600_000, role: None, timeout_ms: 60_000 });
    }
    d.families += 1;
    let family = d.families;
    d.leaves.push(Leaf {
        id: id.clone(),
        class: "stonith".into(),
        provider: None,
        agent: "fence_xvm".into(),
        parameters,
        recurring,
        shape: Shape::Single,
        promotable: false,
        family,
        bundle: None,
    });
    d.named.push(Named { id, kind: Kind::Primitive, rare: true });
    e
}

/// A connection to a remote node.
fn remote(d: &mut Draw) -> Element {
    let id = d.id("remote");
    let mut e =
        el("primitive", &[("id", &id), ("class", "ocf"), ("provider", "pacemaker"), ("type", "remote")]);
    let mut parameters = vec![("server".to_owned(), "10.0.0.1".to_owned())];
    if d.percent(30) {
        parameters.push(("reconnect_interval".into(), "60s".into()));
    }
    if let Some(set) = d.set("instance_attributes", &parameters) {
        e.push(set);
    }
    let pairs = meta(d, false);
    if let Some(set) = meta_set(d, &pairs) {
        e.push(set);
    }
    let mut recurring = Vec::new();
    if d.percent(80) {
        let op_id = d.id("op");
        let op = el("op", &[("id", &op_id), ("name", "monitor"), ("interval", "30s"), ("timeout", "15s")]);
        e.push(Element::new("operations").with_child(op));
        recurring.push(Recurring { name: "monitor".into(), ms: 30_000, role: None, timeout_ms: 15_000 });
    }
    d.families += 1;
    let family = d.families;
    d.leaves.push(Leaf {
        id: id.clone(),
        class: "ocf".into(),
        provider: Some("pacemaker".into()),
        agent: "remote".into(),
        parameters,
        recurring,
        shape: Shape::Single,
        promotable: false,
        family,
        bundle: None,
    });
    d.named.push(Named { id: id.clone(), kind: Kind::Primitive, rare: true });
    d.nodes.push(Node { id: id.clone(), name: id, kind: NodeKind::Remote });
    e
}

/// Makes a primitive the host of a guest node.
fn guest(d: &mut Draw, e: &mut Element) {
    let name = d.id("guest");
    let mut pairs = vec![("remote-node".to_owned(), name.clone())];
    if d.percent(40) {
        pairs.push(("remote-addr".into(), "10.0.0.9".into()));
    }
    if d.percent(15) {
        pairs.push(("remote-port".into(), "3122".into()));
    }
    if d.percent(15) {
        pairs.push(("remote-connect-timeout".into(), "90s".into()));
    }
    if d.percent(15) {
        pairs.push(("remote-allow-migrate".into(), "false".into()));
    }
    if let Some(set) = d.set("meta_attributes", &pairs) {
        e.push(set);
    }
    let mut parameters = Vec::new();
    if pairs.iter().any(|(n, _)| n == "remote-addr") {
        parameters.push(("addr".to_owned(), "10.0.0.9".to_owned()));
    }
    if pairs.iter().any(|(n, _)| n == "remote-port") {
        parameters.push(("port".to_owned(), "3122".to_owned()));
    }
    let family = d.families;
    d.leaves.push(Leaf {
        id: name.clone(),
        class: "ocf".into(),
        provider: Some("pacemaker".into()),
        agent: "remote".into(),
        parameters,
        recurring: vec![Recurring { name: "monitor".into(), ms: 30_000, role: None, timeout_ms: 30_000 }],
        shape: Shape::Single,
        promotable: false,
        family,
        bundle: None,
    });
    d.nodes.push(Node { id: name.clone(), name, kind: NodeKind::Guest });
}
