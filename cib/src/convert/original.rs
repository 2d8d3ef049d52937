//! The document in the Heartbeat 2 dialect, and the original's way to print it.

use super::cluster::{Cluster, Constraint, Ids, Item, Primitive};
use super::write::nvpair;
use crate::Element;

pub(super) fn heartbeat_2(cluster: &Cluster) -> Element {
    let mut ids = cluster.ids.clone();
    let mut resources = Element::new("resources");
    for item in &cluster.items {
        resources.push(item_element(item, cluster.nodes, &mut ids));
    }
    let mut constraints = Element::new("constraints");
    for constraint in &cluster.constraints {
        constraints.push(constraint_element(constraint, &mut ids));
    }
    let configuration = Element::new("configuration")
        .with_child(crm_config(cluster, &mut ids))
        .with_child(Element::new("nodes"))
        .with_child(resources)
        .with_child(constraints);
    Element::new("cib")
        .with_attr("admin_epoch", "0")
        .with_attr("epoch", "0")
        .with_attr("num_updates", "0")
        .with_child(configuration)
        .with_child(Element::new("status"))
}

fn crm_config(cluster: &Cluster, ids: &mut Ids) -> Element {
    let stickiness = if cluster.stay { "INFINITY" } else { "0" };
    let stonith = if cluster.stonith { "true" } else { "false" };
    let options = [
        ("symmetric-cluster", "true"),
        ("no-quorum-policy", "stop"),
        ("default-resource-stickiness", stickiness),
        ("default-resource-failure-stickiness", "0"),
        ("stonith-enabled", stonith),
        ("stonith-action", "reboot"),
        ("startup-fencing", "true"),
        ("stop-orphan-resources", "true"),
        ("stop-orphan-actions", "true"),
        ("remove-after-stop", "false"),
        ("short-resource-names", "true"),
        ("transition-idle-timeout", "5min"),
        ("default-action-timeout", "15s"),
        ("is-managed-default", "true"),
        ("cluster-delay", "60s"),
        ("pe-error-series-max", "-1"),
        ("pe-warn-series-max", "-1"),
        ("pe-input-series-max", "-1"),
    ];
    let mut wrapper = Element::new("attributes");
    for (name, value) in options {
        wrapper.push(nvpair(ids, &format!("cib-bootstrap-options-{name}"), name, value));
    }
    let set =
        Element::new("cluster_property_set").with_attr("id", "cib-bootstrap-options").with_child(wrapper);
    Element::new("crm_config").with_child(set)
}

fn item_element(item: &Item, nodes: usize, ids: &mut Ids) -> Element {
    match item {
        Item::Primitive(primitive) => primitive_element(primitive, ids),
        Item::Group { id, members } => group_element(id, members, ids),
        Item::Clone { id, inner, members } => {
            let set_id = ids.take(&format!("{id}_inst_attr"));
            let max = nodes.max(1).to_string();
            let wrapper = Element::new("attributes")
                .with_child(nvpair(ids, &format!("{id}_attr_1"), "clone_max", &max))
                .with_child(nvpair(ids, &format!("{id}_attr_2"), "clone_node_max", "1"));
            let set = Element::new("instance_attributes").with_attr("id", set_id).with_child(wrapper);
            let body = match members.as_slice() {
                [primitive] if inner.is_empty() => primitive_element(primitive, ids),
                members => group_element(inner, members, ids),
            };
            Element::new("clone").with_attr("id", id).with_child(set).with_child(body)
        }
    }
}

fn group_element(id: &str, members: &[Primitive], ids: &mut Ids) -> Element {
    let mut group = Element::new("group").with_attr("id", id);
    for member in members {
        group.push(primitive_element(member, ids));
    }
    group
}

fn primitive_element(primitive: &Primitive, ids: &mut Ids) -> Element {
    let id = &primitive.id;
    let mut element = Element::new("primitive").with_attr("class", primitive.class).with_attr("id", id);
    if let Some(provider) = primitive.provider {
        element.set_attr("provider", provider);
    }
    element.set_attr("type", &primitive.kind);
    if !primitive.operations.is_empty() {
        let mut operations = Element::new("operations");
        for operation in &primitive.operations {
            let mut op = Element::new("op")
                .with_attr("id", ids.take(&format!("{id}_{}", operation.suffix)))
                .with_attr("name", operation.name)
                .with_attr("timeout", operation.timeout);
            if let Some(interval) = operation.interval {
                op.set_attr("interval", interval);
            }
            if operation.unconditional {
                op.set_attr("prereq", "nothing");
            }
            operations.push(op);
        }
        element.push(operations);
    }
    if !primitive.parameters.is_empty() {
        let set_id = ids.take(&format!("{id}_inst_attr"));
        let mut wrapper = Element::new("attributes");
        for parameter in &primitive.parameters {
            wrapper.push(nvpair(
                ids,
                &format!("{id}_attr_{}", parameter.number),
                &parameter.name,
                &parameter.value,
            ));
        }
        element.push(Element::new("instance_attributes").with_attr("id", set_id).with_child(wrapper));
    }
    element
}

fn constraint_element(constraint: &Constraint, ids: &mut Ids) -> Element {
    match constraint {
        Constraint::Location { rsc, node } => {
            let rule = format!("prefered_location_{rsc}");
            let id = ids.take(&format!("rsc_location_{rsc}"));
            let rule_id = ids.take(&rule);
            let expression = Element::new("expression")
                .with_attr("id", ids.take(&format!("{rule}_expr")))
                .with_attr("attribute", "#uname")
                .with_attr("operation", "eq")
                .with_attr("value", node);
            let rule = Element::new("rule")
                .with_attr("id", rule_id)
                .with_attr("score", "100")
                .with_child(expression);
            Element::new("rsc_location").with_attr("id", id).with_attr("rsc", rsc).with_child(rule)
        }
        Constraint::Order { from, action, before, to } => Element::new("rsc_order")
            .with_attr("id", ids.take(&format!("rsc_order_{from}_{to}")))
            .with_attr("from", from)
            .with_attr("action", action)
            .with_attr("type", if *before { "before" } else { "after" })
            .with_attr("to", to)
            .with_attr("symmetrical", "true"),
        Constraint::Colocation { from, to, score } => Element::new("rsc_colocation")
            .with_attr("id", ids.take(&format!("rsc_colocation_{from}_{to}")))
            .with_attr("from", from)
            .with_attr("to", to)
            .with_attr("score", score),
    }
}

/// The original's layout: XML declaration, one tab a level, attributes in alphabetical order, empty
/// elements closed at once.
pub(super) fn print(root: &Element) -> String {
    let mut out = String::from("<?xml version=\"1.0\" ?>\n");
    print_element(root, 0, &mut out);
    out
}

fn print_element(element: &Element, level: usize, out: &mut String) {
    out.extend(std::iter::repeat_n('\t', level));
    out.push('<');
    out.push_str(element.name());
    let mut attrs: Vec<(&str, &str)> = element.attrs().collect();
    attrs.sort_unstable();
    for (name, value) in attrs {
        out.push(' ');
        out.push_str(name);
        out.push_str("=\"");
        for c in value.chars() {
            match c {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                '"' => out.push_str("&quot;"),
                '\n' => out.push_str("&#10;"),
                '\t' => out.push_str("&#9;"),
                c => out.push(c),
            }
        }
        out.push('"');
    }
    if element.is_leaf() {
        out.push_str("/>\n");
        return;
    }
    out.push_str(">\n");
    for child in element.children() {
        print_element(child, level + 1, out);
    }
    out.extend(std::iter::repeat_n('\t', level));
    out.push_str("</");
    out.push_str(element.name());
    out.push_str(">\n");
}
