//! Groups, clones, bundles.

use cib::Element;

use super::draw::{Draw, Kind, Leaf, Named, Node, NodeKind, Recurring, Shape, el};
use super::resources::{Around, meta, meta_set, name, primitive};

pub fn group(d: &mut Draw) -> Element {
    let around = Around::plain(d);
    let group = group_of(d, around);
    name(d, &group, Kind::Group);
    group
}

fn group_of(d: &mut Draw, around: Around) -> Element {
    let id = d.id("g");
    let mut group = el("group", &[("id", &id)]);
    let mut pairs = if d.percent(40) { meta(d, false) } else { Vec::new() };
    for option in ["ordered", "collocated"] {
        if d.percent(5) {
            pairs.push((option.into(), "false".into()));
        }
    }
    if let Some(set) = meta_set(d, &pairs) {
        group.push(set);
    }
    for _ in 0..d.between(1, 3) {
        let member = primitive(d, around);
        let member_id = member.id().unwrap_or_default().to_owned();
        if around.shape == Shape::Single {
            d.named.push(Named { id: member_id, kind: Kind::Primitive, rare: true });
        }
        group.push(member);
    }
    group
}

/// A clone of a primitive or of a group, promotable or not.
pub fn clone(d: &mut Draw) -> Element {
    let promotable = d.themes.promotable && d.percent(60);
    let unique = d.percent(15);
    let nodes = d.nodes.len() as u64;
    let max = if d.percent(30) { d.between(0, nodes + 2) } else { nodes };
    let id = d.id("c");
    d.families += 1;
    let shape = if unique { Shape::Unique(max.max(1)) } else { Shape::Anonymous };
    // Agents of some classes may be neither unique nor promotable: it is an error, or is ignored.
    let ocf = (unique || promotable) && d.percent(95);
    let around = Around { shape, promotable, family: d.families, ocf };
    let mut pairs = if d.percent(50) { meta(d, promotable) } else { Vec::new() };
    if max != nodes || d.percent(20) {
        pairs.push(("clone-max".into(), max.to_string()));
    }
    if unique {
        pairs.push(("globally-unique".into(), "true".into()));
        if d.percent(50) {
            pairs.push(("clone-node-max".into(), d.between(0, 3).to_string()));
        }
    } else if d.percent(4) {
        pairs.push(("clone-node-max".into(), "2".into()));
    }
    if d.percent(30) {
        pairs.push(("interleave".into(), d.pick(&["true", "true", "false"]).into()));
    }
    if d.percent(15) {
        pairs.push(("ordered".into(), "true".into()));
    }
    if d.percent(8) {
        pairs.push(("clone-min".into(), d.between(1, 2).to_string()));
    }
    if d.themes.notify && d.percent(60) {
        pairs.push(("notify".into(), "true".into()));
    }
    let legacy = promotable && d.percent(8);
    if promotable {
        if !legacy {
            pairs.push(("promotable".into(), "true".into()));
        }
        for (name, old) in [("promoted-max", "master-max"), ("promoted-node-max", "master-node-max")] {
            if d.percent(15) {
                let name = if d.percent(25) { old } else { name };
                pairs.push((name.into(), d.between(0, 2).to_string()));
            }
        }
    }
    let mut clone = el(if legacy { "master" } else { "clone" }, &[("id", &id)]);
    if let Some(set) = meta_set(d, &pairs) {
        clone.push(set);
    }
    let child = if d.percent(22) { group_of(d, around) } else { primitive(d, around) };
    let child_id = child.id().unwrap_or_default().to_owned();
    clone.push(child);
    let kind = if promotable { Kind::Promotable } else { Kind::Clone };
    name(d, &clone, kind);
    if d.percent(15) {
        d.named.push(Named { id: child_id, kind: Kind::Primitive, rare: true });
    }
    clone
}

/// A bundle, with or without a resource in it.
pub fn bundle(d: &mut Draw) -> Element {
    let id = d.id("b");
    let mut bundle = el("bundle", &[("id", &id)]);
    let pairs = if d.percent(40) { meta(d, false) } else { Vec::new() };
    if let Some(set) = meta_set(d, &pairs) {
        bundle.push(set);
    }
    let engine = d.pick(&["docker", "podman", "podman", "rkt"]);
    let mut container = el(engine, &[("image", "web:latest")]);
    let replicas = d.between(1, 3);
    container.set_attr("replicas", replicas.to_string());
    let inside = d.percent(75);
    let promoted = inside && d.percent(35);
    if promoted {
        container.set_attr("promoted-max", "1");
    }
    let per_host = d.percent(15);
    if per_host {
        container.set_attr("replicas-per-host", "2");
    }
    if d.percent(15) {
        let network = d.pick(&["host", "bridge"]);
        container.set_attr("network", network);
    }
    if d.percent(10) {
        container.set_attr("options", "--log-driver=journald");
    }
    if d.percent(10) {
        container.set_attr("run-command", "/bin/run");
    }
    bundle.push(container);
    let range = d.percent(60);
    let port = !range || d.percent(20);
    let mut network = Element::new("network");
    if range {
        let start = d.pick(&["192.168.122.131", "192.168.122.252", "10.0.3.10"]);
        network.set_attr("ip-range-start", start);
        if d.percent(40) {
            network.set_attr("host-netmask", "24");
            network.set_attr("host-interface", "eth0");
        }
    }
    if port {
        network.set_attr("control-port", "3121");
    }
    if d.percent(10) {
        network.set_attr("add-host", "false");
    }
    if d.percent(25) {
        let mapping = d.id("port");
        network.push(el("port-mapping", &[("id", &mapping), ("port", "80")]));
    }
    bundle.push(network);
    if d.percent(40) {
        let mut storage = Element::new("storage");
        let mapping = d.id("storage");
        let source = d.pick(&["source-dir", "source-dir-root"]);
        let mut e =
            el("storage-mapping", &[("id", &mapping), (source, "/srv/a"), ("target-dir", "/var/www")]);
        if d.percent(40) {
            e.set_attr("options", "rw");
        }
        storage.push(e);
        bundle.push(storage);
    }
    d.families += 1;
    let family = d.families;
    if inside {
        let shape = Shape::Bundled;
        let around = Around { shape, promotable: promoted, family, ocf: true };
        let child = primitive(d, around);
        if let Some(leaf) = d.leaves.last_mut() {
            leaf.bundle = Some(id.clone());
        }
        let mut child = child;
        if d.percent(25) {
            let pairs = [("container-attribute-target".to_owned(), "host".to_owned())];
            if let Some(set) = d.set("meta_attributes", &pairs) {
                child.push(set);
            }
        }
        bundle.push(child);
    }
    parts(d, &id, engine, replicas, inside, family);
    let kind = if promoted { Kind::PromotableBundle } else { Kind::Bundle };
    name(d, &bundle, kind);
    bundle
}

/// Containers and connections that a bundle implies, for history, and its nodes.
fn parts(d: &mut Draw, id: &str, engine: &str, replicas: u64, inside: bool, family: usize) {
    for replica in 0..replicas {
        let mut part = |id: String, provider: &str, agent: &str, family: usize, ms: u64| {
            d.leaves.push(Leaf {
                id,
                class: "ocf".into(),
                provider: Some(provider.into()),
                agent: agent.into(),
                parameters: Vec::new(),
                recurring: vec![Recurring { name: "monitor".into(), ms, role: None, timeout_ms: ms }],
                shape: Shape::Single,
                promotable: false,
                family,
                bundle: None,
            });
        };
        let together = family * 1000 + usize::try_from(replica).unwrap_or(0);
        part(format!("{id}-{engine}-{replica}"), "heartbeat", engine, together, 60_000);
        if inside {
            part(format!("{id}-{replica}"), "pacemaker", "remote", together, 30_000);
            let name = format!("{id}-{replica}");
            d.nodes.push(Node { id: name.clone(), name, kind: NodeKind::Bundled });
        }
    }
}
