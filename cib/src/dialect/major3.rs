//! pacemaker-2.10 → pacemaker-3.0: cluster options, nodes, resources.

use super::change::{Change, Level, Notes, place};
use super::names::option;
use crate::Element;

const OLD_STACKS: &[&str] =
    &["heartbeat", "openais", "classic openais", "classic openais (with plugin)", "cman"];

pub(super) fn upgrade(root: &mut Element, changes: &mut Vec<Change>) {
    let Some(configuration) = root.child_mut("configuration") else { return };
    let mut defaults = Defaults::default();
    if let Some(config) = configuration.child_mut("crm_config") {
        for set in config.children_mut() {
            let mut notes = Notes { place: place(set), changes: &mut *changes };
            options(set, &mut defaults, &mut notes);
        }
    }
    defaults.write(configuration);
    if let Some(nodes) = configuration.child_mut("nodes") {
        for node in nodes.children_mut().filter(|node| node.attr("type") == Some("normal")) {
            node.set_attr("type", "member");
        }
    }
    if let Some(resources) = configuration.child_mut("resources") {
        resources.children_mut().for_each(|child| resource(child, changes));
    }
    if let Some(constraints) = configuration.child_mut("constraints") {
        for constraint in constraints.children_mut().filter(|c| c.name() == "rsc_colocation") {
            for name in ["score-attribute", "score-attribute-mangle"] {
                if constraint.attr(name).is_some() {
                    let text = format!("dropping {name}");
                    changes.push(Change { level: Level::Warning, place: place(constraint), text });
                    constraint.remove_attr(name);
                }
            }
        }
    }
}

/// Options that move from the cluster's to the defaults of operations and resources.
#[derive(Default)]
struct Defaults {
    op: Vec<(Element, Option<Element>)>,
    rsc: Vec<(Element, Option<Element>)>,
}

impl Defaults {
    fn write(self, configuration: &mut Element) {
        write_defaults(configuration, "op_defaults", "_2TO3_-op-defaults", self.op);
        write_defaults(configuration, "rsc_defaults", "_2TO3_-rsc-defaults", self.rsc);
    }
}

fn write_defaults(
    configuration: &mut Element,
    section: &str,
    id: &str,
    pairs: Vec<(Element, Option<Element>)>,
) {
    for (index, (pair, rule)) in pairs.into_iter().enumerate() {
        let defaults = configuration.child_or_insert(section);
        if let Some(rule) = rule {
            let id = format!("{id}-{index}");
            let set = Element::new("meta_attributes").with_attr("id", id);
            defaults.push(set.with_child(rule).with_child(pair));
            continue;
        }
        let name = pair.attr("name").unwrap_or_default().to_owned();
        let plain =
            defaults.children_mut().find(|set| set.child("rule").is_none() && set.attr("id-ref").is_none());
        match plain {
            Some(set) => {
                if !set.children_named("nvpair").any(|known| known.attr("name") == Some(&name)) {
                    set.push(pair);
                }
            }
            None => defaults.push(Element::new("meta_attributes").with_attr("id", id).with_child(pair)),
        }
    }
}

fn options(set: &mut Element, defaults: &mut Defaults, notes: &mut Notes<'_>) {
    let rule = set.child("rule").cloned();
    let mut kept = Vec::new();
    for child in set.nodes() {
        let name = child.attr("name").filter(|_| child.name() == "nvpair").unwrap_or_default().to_owned();
        let value = child.attr("value").unwrap_or_default();
        let moved = |name: &str, value: &str| {
            (child.clone().with_attr("name", name).with_attr("value", value), rule.clone())
        };
        match name.replace('_', "-").as_str() {
            "default-action-timeout" => {
                notes.note(
                    Level::Info,
                    format!("moving {name} under op_defaults as timeout unless already defined there"),
                );
                defaults.op.push(moved("timeout", value));
            }
            "default-resource-stickiness" => {
                notes.note(
                    Level::Info,
                    format!(
                        "moving {name} under rsc_defaults as resource-stickiness unless already defined there"
                    ),
                );
                defaults.rsc.push(moved("resource-stickiness", value));
            }
            "is-managed-default" => {
                notes.note(
                    Level::Info,
                    format!("moving {name} under rsc_defaults as is-managed unless already defined there"),
                );
                defaults.rsc.push(moved("is-managed", value));
            }
            "default-resource-failure-stickiness" if value == "-INFINITY" => {
                notes.note(
                    Level::Info,
                    format!("moving {name} under rsc_defaults as migration-threshold, redefined as 1"),
                );
                defaults.rsc.push(moved("migration-threshold", "1"));
            }
            "default-resource-failure-stickiness"
            | "default-migration-threshold"
            | "expected-quorum-votes"
            | "notification-agent"
            | "notification-recipient" => notes.note(Level::Info, format!("dropping {name}")),
            "cluster-infrastructure" if OLD_STACKS.contains(&value) => {
                notes.note(Level::Info, format!("dropping {name} for matching {value}"));
            }
            _ => match option(&name) {
                Some(modern) => {
                    notes.note(Level::Debug, format!("renaming {name} as {modern}"));
                    kept.push(child.clone().with_attr("name", modern));
                }
                None => kept.push(child.clone()),
            },
        }
    }
    set.clear_nodes();
    kept.into_iter().for_each(|node| set.push_node(node));
}

fn resource(element: &mut Element, changes: &mut Vec<Change>) {
    match element.name() {
        "primitive" | "template" => primitive(element, changes),
        "group" | "clone" | "master" | "bundle" => {
            meta_sets(element, changes);
            for child in element.children_mut() {
                resource(child, changes);
            }
        }
        _ => {}
    }
}

fn primitive(element: &mut Element, changes: &mut Vec<Change>) {
    meta_sets(element, changes);
    if element.attr("class") == Some("stonith") {
        let mut notes = Notes { place: place(element), changes: &mut *changes };
        for set in element.children_mut().filter(|set| set.name() == "instance_attributes") {
            device_parameters(set, &mut notes);
        }
    }
    let id = element.id().unwrap_or_default().to_owned();
    let mut requires = Element::new("meta_attributes").with_attr("id", format!("_2TO3_{id}-meta"));
    if let Some(operations) = element.child_mut("operations") {
        for op in operations.children_mut().filter(|op| op.name() == "op") {
            operation(op, &mut requires, changes);
        }
    }
    if requires.children().next().is_some() {
        let after = element
            .nodes()
            .take_while(|node| node.name() != "operations" && node.name() != "utilization")
            .count();
        element.insert_node(after, requires);
    }
}

/// Options that mean nothing any more, or something else.
fn meta_sets(element: &mut Element, changes: &mut Vec<Change>) {
    let mut notes = Notes { place: place(element), changes };
    for set in element.children_mut().filter(|set| set.name() == "meta_attributes") {
        let mut kept = Vec::new();
        for node in set.nodes() {
            let name = node.attr("name").unwrap_or_default();
            match name {
                "isolation" | "isolation-host" | "isolation-instance" | "isolation-wrapper" => {
                    notes.note(
                        Level::Warning,
                        format!("renaming {name} as target-role, redefined as Stopped"),
                    );
                    kept.push(node.clone().with_attr("name", "target-role").with_attr("value", "Stopped"));
                }
                "resource-failure-stickiness" | "resource_failure_stickiness" => {
                    if node.attr("value") == Some("-INFINITY") {
                        notes.note(
                            Level::Info,
                            format!("renaming {name} as migration-threshold, redefined as 1"),
                        );
                        kept.push(
                            node.clone().with_attr("name", "migration-threshold").with_attr("value", "1"),
                        );
                    } else {
                        notes.note(Level::Warning, format!("dropping {name}"));
                    }
                }
                _ => kept.push(node.clone()),
            }
        }
        set.clear_nodes();
        kept.into_iter().for_each(|node| set.push_node(node));
    }
}

fn device_parameters(set: &mut Element, notes: &mut Notes<'_>) {
    set.retain_children(|pair| {
        let dropped = pair.attr("name") == Some("pcmk_arg_map")
            && pair.attr("value").and_then(|value| value.strip_prefix("port:")).is_none();
        if dropped {
            notes.note(Level::Warning, "dropping pcmk_arg_map".into());
        }
        !dropped
    });
    for pair in set.children_mut().filter(|pair| pair.name() == "nvpair") {
        let name = pair.attr("name").unwrap_or_default().to_owned();
        if name == "pcmk_arg_map" {
            let argument = pair
                .attr("value")
                .and_then(|value| value.strip_prefix("port:"))
                .unwrap_or_default()
                .to_owned();
            notes.note(
                Level::Info,
                format!("renaming pcmk_arg_map as pcmk_host_argument, redefined as {argument}"),
            );
            pair.set_attr("name", "pcmk_host_argument");
            pair.set_attr("value", argument);
            continue;
        }
        let action = name.strip_prefix("pcmk_").and_then(|rest| rest.strip_suffix("_cmd"));
        if let Some(action @ ("list" | "monitor" | "off" | "on" | "reboot" | "status")) = action {
            notes.note(Level::Info, format!("renaming {name} as pcmk_{action}_action"));
            pair.set_attr("name", format!("pcmk_{action}_action"));
        }
    }
}

const OP_OPTIONS: &[&str] = &[
    "interval-origin",
    "start-delay",
    "enabled",
    "on-fail",
    "record-pending",
    "role",
    "timeout",
    "name",
    "interval",
];

fn operation(op: &mut Element, requires: &mut Element, changes: &mut Vec<Change>) {
    let op_id = op.id().unwrap_or_default().to_owned();
    let mut notes = Notes { place: place(op), changes };
    let starting = matches!(op.attr("name"), Some("start" | "promote"));
    let mut wanted = op.attr("requires").map(str::to_owned);
    op.remove_attr("requires");
    for set in op.children_mut().filter(|set| matches!(set.name(), "meta_attributes" | "instance_attributes"))
    {
        set.retain_children(|pair| {
            let is = pair.attr("name") == Some("requires");
            if is {
                wanted = wanted.take().or_else(|| pair.attr("value").map(str::to_owned));
            }
            !is
        });
    }
    match wanted {
        Some(value) if starting => {
            notes.note(Level::Info, format!("moving requires={value} under the resource's meta_attributes"));
            if requires.children().next().is_none() {
                let id = format!("_2TO3_{op_id}-meta-requires");
                let pair = Element::new("nvpair").with_attr("id", id).with_attr("name", "requires");
                requires.push(pair.with_attr("value", value));
            }
        }
        Some(value) => {
            notes.note(Level::Warning, format!("dropping requires={value}: only start and promote need it"))
        }
        None => {}
    }
    let mut moved = Vec::new();
    for set in op.children_mut().filter(|set| set.name() == "instance_attributes") {
        let options: Vec<Element> = set
            .children()
            .filter(|pair| pair.attr("name").is_some_and(|name| OP_OPTIONS.contains(&name)))
            .cloned()
            .collect();
        if options.is_empty() {
            continue;
        }
        set.retain_children(|pair| !pair.attr("name").is_some_and(|name| OP_OPTIONS.contains(&name)));
        let id = format!("_2TO3_{}", set.id().unwrap_or(op_id.as_str()));
        let mut meta = Element::new("meta_attributes").with_attr("id", id);
        for pair in options {
            notes.note(
                Level::Info,
                format!("moving {} under meta_attributes", pair.attr("name").unwrap_or_default()),
            );
            meta.push(pair);
        }
        moved.push(meta);
    }
    moved.into_iter().for_each(|meta| op.push(meta));
}
