//! Random changes of a CIB, as a living cluster and its administrator make them: results, fail counts, promotion
//! scores, histories that come and go, parameters, meta-attributes, resources and constraints; and now and then one
//! that concerns everybody.

use cib::Element;

use crate::differ::draw::el;
use crate::sim::chance::Chance;

/// What was done, in a few words.
pub type Done = String;

/// Makes one change. The document is shared with its earlier version but for what the change touches.
pub fn change(root: &mut Element, chance: &mut Chance, number: usize) -> Done {
    let done = match chance.below(27) {
        0..=4 => result(root, chance),
        5 => forget(root, chance),
        6 => copy(root, chance),
        7 | 8 => attribute(root, chance, number),
        9..=11 => meta(root, chance, number),
        12 | 13 => parameter(root, chance, number),
        14..=16 => new_constraint(root, chance, number),
        17 => remove(root, "constraints", chance),
        18 => new_resource(root, chance, number),
        19 => remove(root, "resources", chance),
        20 => swap(root, chance),
        21 => Some("nothing".to_owned()),
        22 => operation(root, chance),
        23 | 24 => moved(root, chance),
        25 => comment(root, chance),
        _ => for_all(root, chance, number),
    };
    root.set_attr("num_updates", number.to_string());
    done.unwrap_or_else(|| "nothing that could be changed".to_owned())
}

fn index(list: &Element, chance: &mut Chance, wanted: impl Fn(&Element) -> bool) -> Option<usize> {
    let places: Vec<usize> =
        list.nodes().enumerate().filter(|(_, e)| wanted(e)).map(|(place, _)| place).collect();
    places.get(chance.index(places.len())).copied()
}

/// A node's state, and its name.
fn state<'a>(root: &'a mut Element, chance: &mut Chance) -> Option<(String, &'a mut Element)> {
    let status = root.child_mut("status")?;
    let at = index(status, chance, |e| e.name() == "node_state")?;
    let state = status.node_at_mut(at)?;
    Some((state.attr("uname").unwrap_or_default().to_owned(), state))
}

fn histories(state: &mut Element) -> Option<&mut Element> {
    state.child_mut("lrm")?.child_mut("lrm_resources")
}

/// Another end of an operation, or of a later one.
fn result(root: &mut Element, chance: &mut Chance) -> Option<Done> {
    let (node, state) = state(root, chance)?;
    let list = histories(state)?;
    let at = index(list, chance, |e| e.name() == "lrm_resource")?;
    let history = list.node_at_mut(at)?;
    let id = history.id()?.to_owned();
    let greatest =
        history.children().filter_map(|op| op.attr("call-id")?.parse::<i64>().ok()).max().unwrap_or(0);
    let at = index(history, chance, |e| e.name() == "lrm_rsc_op")?;
    let op = history.node_at_mut(at)?;
    let rc = ["0", "7", "1", "8", "5", "9"].get(chance.index(6)).copied()?;
    op.set_attr("rc-code", rc);
    op.set_attr("op-status", if chance.percent(85) { "0" } else { "4" });
    op.set_attr("call-id", (greatest + 1).to_string());
    if let Some(digest) = chance.percent(5).then_some("0123456789abcdef0123456789abcdef") {
        op.set_attr("op-digest", digest);
    }
    Some(format!("{id} on {node}: {} ended with {rc}", op.attr("operation").unwrap_or_default()))
}

/// A history that is deleted.
fn forget(root: &mut Element, chance: &mut Chance) -> Option<Done> {
    let (node, state) = state(root, chance)?;
    let list = histories(state)?;
    let at = index(list, chance, |e| e.name() == "lrm_resource")?;
    let gone = list.remove_node(at)?;
    Some(format!("history of {} on {node} deleted", gone.id().unwrap_or_default()))
}

/// A history that another node has too.
fn copy(root: &mut Element, chance: &mut Chance) -> Option<Done> {
    let (from, one) = state(root, chance)?;
    let list = histories(one)?;
    let at = index(list, chance, |e| e.name() == "lrm_resource")?;
    let history = list.node_at(at)?.clone();
    let (to, other) = state(root, chance)?;
    let id = history.id()?.to_owned();
    let list = histories(other)?;
    if list.children().any(|e| e.id() == Some(&id)) {
        return None;
    }
    let at = chance.index(list.nodes().len() + 1);
    list.insert_node(at, history);
    Some(format!("history of {id} on {from} also on {to}"))
}

/// A fail count, the time of a failure or a promotion score, that comes, changes or goes.
fn attribute(root: &mut Element, chance: &mut Chance, number: usize) -> Option<Done> {
    let leaf = leaf(root, chance)?;
    let (node, state) = state(root, chance)?;
    if state.child("transient_attributes").is_none() {
        let set = el("instance_attributes", &[("id", &format!("drift-{number}"))]);
        let attributes = el("transient_attributes", &[("id", state.id().unwrap_or_default())]);
        state.push(attributes.with_child(set));
    }
    let set = state.child_mut("transient_attributes")?.child_mut("instance_attributes")?;
    if chance.percent(30)
        && let Some(at) = index(set, chance, |e| e.name() == "nvpair")
    {
        let gone = set.remove_node(at)?;
        return Some(format!("{} of {node} deleted", gone.attr("name").unwrap_or_default()));
    }
    let (name, value) = match chance.below(3) {
        0 => (
            format!("fail-count-{leaf}#monitor_10000"),
            ["1", "3", "INFINITY"].get(chance.index(3)).copied()?,
        ),
        1 => (format!("last-failure-{leaf}#monitor_10000"), "1699999990"),
        _ => (format!("master-{leaf}"), ["5", "10", "100", "-INFINITY"].get(chance.index(4)).copied()?),
    };
    let known = set.nodes().position(|e| e.attr("name") == Some(&name));
    match known.and_then(|at| set.node_at_mut(at)) {
        Some(pair) => pair.set_attr("value", value),
        None => {
            set.push(el("nvpair", &[("id", &format!("drift-a{number}")), ("name", &name), ("value", value)]))
        }
    }
    Some(format!("{name} of {node} is {value}"))
}

fn resources(root: &mut Element) -> Option<&mut Element> {
    root.child_mut("configuration")?.child_mut("resources")
}

fn constraints(root: &mut Element) -> Option<&mut Element> {
    root.child_mut("configuration")?.child_mut("constraints")
}

fn is_resource(e: &Element) -> bool {
    matches!(e.name(), "primitive" | "group" | "clone" | "master" | "bundle")
}

/// The id of some resource of the list.
fn named(root: &Element, chance: &mut Chance) -> Option<String> {
    let list = root.path(&["configuration", "resources"])?;
    let at = index(list, chance, is_resource)?;
    list.node_at(at)?.id().map(str::to_owned)
}

/// The id of some primitive.
fn leaf(root: &Element, chance: &mut Chance) -> Option<String> {
    let list = root.path(&["configuration", "resources"])?;
    let all: Vec<&str> =
        list.descendants().filter(|e| e.name() == "primitive").filter_map(Element::id).collect();
    all.get(chance.index(all.len())).map(|id| (*id).to_owned())
}

fn meta(root: &mut Element, chance: &mut Chance, number: usize) -> Option<Done> {
    const CHOICES: &[(&str, &[&str])] = &[
        ("target-role", &["Stopped", "Started", "Slave"]),
        ("is-managed", &["false", "true"]),
        ("priority", &["0", "5", "50", "-3"]),
        ("resource-stickiness", &["0", "1", "100", "INFINITY"]),
        ("migration-threshold", &["1", "3"]),
        ("failure-timeout", &["60", "100000"]),
        ("maintenance", &["true", "false"]),
        ("clone-max", &["1", "2"]),
        ("interleave", &["true", "false"]),
        ("multiple-active", &["block", "stop_only"]),
    ];
    let list = resources(root)?;
    let at = index(list, chance, is_resource)?;
    let resource = list.node_at_mut(at)?;
    let (name, values) = CHOICES.get(chance.index(CHOICES.len()))?;
    let value = values.get(chance.index(values.len()))?;
    let id = resource.id()?.to_owned();
    set_pair(resource, "meta_attributes", name, value, number);
    Some(format!("{name} of {id} is {value}"))
}

fn set_pair(resource: &mut Element, set: &str, name: &str, value: &str, number: usize) {
    if resource.child(set).is_none() {
        resource.insert_node(0, el(set, &[("id", &format!("drift-s{number}"))]));
    }
    let Some(set) = resource.child_mut(set) else { return };
    let known = set.nodes().position(|e| e.attr("name") == Some(name));
    match known.and_then(|at| set.node_at_mut(at)) {
        Some(pair) => pair.set_attr("value", value),
        None => {
            set.push(el("nvpair", &[("id", &format!("drift-p{number}")), ("name", name), ("value", value)]))
        }
    }
}

fn parameter(root: &mut Element, chance: &mut Chance, number: usize) -> Option<Done> {
    let list = resources(root)?;
    let at = index(list, chance, |e| e.name() == "primitive")?;
    let resource = list.node_at_mut(at)?;
    set_pair(resource, "instance_attributes", "fake", &number.to_string(), number);
    Some(format!("parameter fake of {} is {number}", resource.id().unwrap_or_default()))
}

/// The interval of a configured operation.
fn operation(root: &mut Element, chance: &mut Chance) -> Option<Done> {
    let list = resources(root)?;
    let at = index(list, chance, |e| e.name() == "primitive" && e.child("operations").is_some())?;
    let resource = list.node_at_mut(at)?;
    let id = resource.id()?.to_owned();
    let operations = resource.child_mut("operations")?;
    let at = index(operations, chance, |e| e.name() == "op")?;
    operations.node_at_mut(at)?.set_attr("interval", "7s");
    Some(format!("an operation of {id} every 7 s"))
}

fn new_constraint(root: &mut Element, chance: &mut Chance, number: usize) -> Option<Done> {
    let (one, two) = (named(root, chance)?, named(root, chance)?);
    let id = format!("drift-c{number}");
    let node = {
        let nodes = root.path(&["configuration", "nodes"])?;
        let at = index(nodes, chance, |e| e.name() == "node")?;
        nodes.node_at(at)?.attr("uname")?.to_owned()
    };
    let score = ["INFINITY", "-INFINITY", "100", "-100", "1"].get(chance.index(5)).copied()?;
    let kind = ["Mandatory", "Optional", "Serialize"].get(chance.index(3)).copied()?;
    let e = match chance.below(if one == two { 1 } else { 4 }) {
        0 => el("rsc_location", &[("id", &id), ("rsc", &one), ("node", &node), ("score", score)]),
        1 => el("rsc_colocation", &[("id", &id), ("rsc", &one), ("with-rsc", &two), ("score", score)]),
        2 => el("rsc_order", &[("id", &id), ("first", &one), ("then", &two), ("kind", kind)]),
        _ => {
            let member = |id: &str| el("resource_ref", &[("id", id)]);
            let members = el("resource_set", &[("id", &format!("{id}-s"))]);
            el("rsc_colocation", &[("id", &id), ("score", score)])
                .with_child(members.with_child(member(&one)).with_child(member(&two)))
        }
    };
    let list = constraints(root)?;
    let at = chance.index(list.nodes().len() + 1);
    let text = e.to_xml_compact();
    list.insert_node(at, e);
    Some(format!("new: {text}"))
}

fn new_resource(root: &mut Element, chance: &mut Chance, number: usize) -> Option<Done> {
    let id = format!("drift-r{number}");
    let list = resources(root)?;
    let at = chance.index(list.nodes().len() + 1);
    let class = [("class", "ocf"), ("provider", "heartbeat"), ("type", "Dummy")];
    let mut e = el("primitive", &[("id", &id)]);
    if chance.percent(15) {
        e.set_attr("class", "stonith");
        e.set_attr("type", "fence_dummy");
    } else {
        class.iter().for_each(|(name, value)| e.set_attr(name, value));
    }
    list.insert_node(at, e);
    Some(format!("new resource {id}"))
}

fn remove(root: &mut Element, section: &str, chance: &mut Chance) -> Option<Done> {
    let list = root.child_mut("configuration")?.child_mut(section)?;
    let at = index(list, chance, |e| e.name() != "template")?;
    let gone = list.remove_node(at)?;
    let id = gone.id()?.to_owned();
    if section == "resources" {
        let mut ids: Vec<String> = gone.descendants().filter_map(|e| e.id().map(str::to_owned)).collect();
        ids.push(id.clone());
        let named = |e: &Element| {
            let ends = ["rsc", "with-rsc", "first", "then"].iter().filter_map(|name| e.attr(name));
            let refs = e.descendants().filter(|e| e.name() == "resource_ref").filter_map(Element::id);
            ends.chain(refs).any(|end| ids.iter().any(|id| id == end))
        };
        if let Some(list) = constraints(root) {
            list.retain_children(|e| !named(e));
        }
    }
    Some(format!("{id} removed"))
}

/// Two resources that change places.
fn swap(root: &mut Element, chance: &mut Chance) -> Option<Done> {
    let list = resources(root)?;
    let (a, b) = (index(list, chance, is_resource)?, index(list, chance, is_resource)?);
    let (one, two) = (list.node_at(a)?.clone(), list.node_at(b)?.clone());
    let done = format!("{} and {} change places", one.id()?, two.id()?);
    *list.node_at_mut(a)? = two;
    *list.node_at_mut(b)? = one;
    Some(done)
}

/// A resource, constraint or history in another place of its list.
fn moved(root: &mut Element, chance: &mut Chance) -> Option<Done> {
    let list = match chance.below(3) {
        0 => resources(root)?,
        1 => constraints(root)?,
        _ => histories(state(root, chance)?.1)?,
    };
    let at = index(list, chance, |e| e.name() != "template")?;
    let e = list.remove_node(at)?;
    let to = chance.index(list.nodes().len() + 1);
    let done = format!("{} from {at} to {to}", e.id().unwrap_or("a comment"));
    list.insert_node(to, e);
    Some(done)
}

/// A comment that comes or goes: everything behind it is in another place.
fn comment(root: &mut Element, chance: &mut Chance) -> Option<Done> {
    let list = if chance.percent(50) { resources(root)? } else { constraints(root)? };
    let known = list.nodes().position(Element::is_comment);
    match known.filter(|_| chance.percent(60)) {
        Some(at) => drop(list.remove_node(at)),
        None => {
            let at = chance.index(list.nodes().len() + 1);
            list.insert_node(at, Element::comment("drift"));
        }
    }
    Some("a comment".to_owned())
}

/// What is about nodes or the cluster.
fn for_all(root: &mut Element, chance: &mut Chance, number: usize) -> Option<Done> {
    if chance.percent(50) {
        let config = root.child_mut("configuration")?.child_mut("crm_config")?;
        let (name, value) =
            [("symmetric-cluster", "false"), ("maintenance-mode", "true"), ("batch-limit", "3")]
                .get(chance.index(3))
                .copied()?;
        let id = format!("drift-o{number}");
        let pair = el("nvpair", &[("id", &format!("{id}-v")), ("name", name), ("value", value)]);
        config.push(el("cluster_property_set", &[("id", &id)]).with_child(pair));
        return Some(format!("option {name} is {value}"));
    }
    let (node, state) = state(root, chance)?;
    let there = state.attr("crmd") == Some("online");
    state.set_attr("crmd", if there { "offline" } else { "online" });
    state.set_attr("in_ccm", if there { "false" } else { "true" });
    state.set_attr("join", if there { "down" } else { "member" });
    state.set_attr("expected", if there { "down" } else { "member" });
    Some(format!("{node} {}", if there { "leaves" } else { "joins" }))
}
