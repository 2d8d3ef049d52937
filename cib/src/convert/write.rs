//! The modern document.

use super::cluster::{Cluster, Constraint, Ids, Item, Primitive};
use crate::{Element, SCHEMA_NEWEST};

/// Ids of the fixed parts.
pub(super) const RESERVED_IDS: &[&str] = &["cib-bootstrap-options", "rsc-options", "op-options"];

pub(super) fn modern(cluster: &Cluster) -> Element {
    let mut ids = cluster.ids.clone();
    // v1 had no quorum: of two nodes the one that is left goes on.
    let quorum = if cluster.nodes == 2 { "ignore" } else { "stop" };
    let stonith = if cluster.stonith { "true" } else { "false" };
    let mut options = Element::new("cluster_property_set").with_attr("id", "cib-bootstrap-options");
    for (name, value) in
        [("symmetric-cluster", "true"), ("no-quorum-policy", quorum), ("stonith-enabled", stonith)]
    {
        options.push(nvpair(&mut ids, &format!("cib-bootstrap-options-{name}"), name, value));
    }
    let mut resources = Element::new("resources");
    for item in &cluster.items {
        resources.push(write_item(item, cluster.nodes, &mut ids));
    }
    let mut constraints = Element::new("constraints");
    for constraint in &cluster.constraints {
        constraints.push(write_constraint(constraint, &mut ids));
    }
    let stickiness = if cluster.stay { "INFINITY" } else { "0" };
    let mut defaults = |set: &str, name: &str, value: &str| {
        Element::new("meta_attributes").with_attr("id", set).with_child(nvpair(
            &mut ids,
            &format!("{set}-{name}"),
            name,
            value,
        ))
    };
    let rsc_defaults = defaults("rsc-options", "resource-stickiness", stickiness);
    let op_defaults = defaults("op-options", "timeout", "20s");
    let configuration = Element::new("configuration")
        .with_child(Element::new("crm_config").with_child(options))
        .with_child(Element::new("nodes"))
        .with_child(resources)
        .with_child(constraints)
        .with_child(Element::new("rsc_defaults").with_child(rsc_defaults))
        .with_child(Element::new("op_defaults").with_child(op_defaults));
    Element::new("cib")
        .with_attr("validate-with", SCHEMA_NEWEST)
        .with_attr("admin_epoch", "0")
        .with_attr("epoch", "1")
        .with_attr("num_updates", "0")
        .with_child(configuration)
        .with_child(Element::new("status"))
}

pub(super) fn nvpair(ids: &mut Ids, id: &str, name: &str, value: &str) -> Element {
    Element::new("nvpair").with_attr("id", ids.take(id)).with_attr("name", name).with_attr("value", value)
}

fn write_item(item: &Item, nodes: usize, ids: &mut Ids) -> Element {
    match item {
        Item::Primitive(primitive) => write_primitive(primitive, ids),
        Item::Group { id, members } => write_group(id, members, ids),
        Item::Clone { id, inner, members } => {
            let mut meta =
                Element::new("meta_attributes").with_attr("id", ids.take(&format!("{id}_meta_attr")));
            let max = nodes.max(1).to_string();
            meta.push(nvpair(ids, &format!("{id}_clone-max"), "clone-max", &max));
            meta.push(nvpair(ids, &format!("{id}_clone-node-max"), "clone-node-max", "1"));
            let body = match members.as_slice() {
                [primitive] if inner.is_empty() => write_primitive(primitive, ids),
                members => write_group(inner, members, ids),
            };
            Element::new("clone").with_attr("id", id).with_child(meta).with_child(body)
        }
    }
}

fn write_group(id: &str, members: &[Primitive], ids: &mut Ids) -> Element {
    let mut group = Element::new("group").with_attr("id", id);
    for member in members {
        group.push(write_primitive(member, ids));
    }
    group
}

fn write_primitive(primitive: &Primitive, ids: &mut Ids) -> Element {
    let id = &primitive.id;
    let mut element = Element::new("primitive").with_attr("id", id).with_attr("class", primitive.class);
    if let Some(provider) = primitive.provider {
        element.set_attr("provider", provider);
    }
    element.set_attr("type", &primitive.kind);
    if !primitive.parameters.is_empty() {
        let mut set =
            Element::new("instance_attributes").with_attr("id", ids.take(&format!("{id}_inst_attr")));
        for parameter in &primitive.parameters {
            set.push(nvpair(
                ids,
                &format!("{id}_attr_{}", parameter.number),
                &parameter.name,
                &parameter.value,
            ));
        }
        element.push(set);
    }
    if !primitive.operations.is_empty() {
        let mut operations = Element::new("operations");
        for operation in &primitive.operations {
            operations.push(
                Element::new("op")
                    .with_attr("id", ids.take(&format!("{id}_{}", operation.suffix)))
                    .with_attr("name", operation.name)
                    .with_attr("interval", operation.interval.unwrap_or("0s"))
                    .with_attr("timeout", operation.timeout),
            );
        }
        element.push(operations);
    }
    element
}

fn write_constraint(constraint: &Constraint, ids: &mut Ids) -> Element {
    match constraint {
        Constraint::Location { rsc, node } => Element::new("rsc_location")
            .with_attr("id", ids.take(&format!("rsc_location_{rsc}")))
            .with_attr("rsc", rsc)
            .with_attr("node", node)
            .with_attr("score", "100"),
        Constraint::Order { from, action, before, to } => {
            let (first, then) = if *before { (from, to) } else { (to, from) };
            Element::new("rsc_order")
                .with_attr("id", ids.take(&format!("rsc_order_{from}_{to}")))
                .with_attr("first", first)
                .with_attr("then", then)
                .with_attr("first-action", action)
                .with_attr("then-action", action)
                .with_attr("symmetrical", "true")
        }
        Constraint::Colocation { from, to, score } => Element::new("rsc_colocation")
            .with_attr("id", ids.take(&format!("rsc_colocation_{from}_{to}")))
            .with_attr("rsc", from)
            .with_attr("with-rsc", to)
            .with_attr("score", score),
    }
}
