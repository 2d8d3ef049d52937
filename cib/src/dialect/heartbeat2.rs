//! The Heartbeat 2.x dialect → pacemaker-1.0.

use super::change::{Change, Level, Notes, place};
use super::names::{attributes_only, hyphens, option, score};
use super::{constraints, ids, resources};
use crate::Element;

const KEPT: &[&str] = &["admin_epoch", "epoch", "num_updates", "crm_feature_set", "cib-last-written"];

/// The modern document. What the old one says is kept where the modern language can say it; what it
/// cannot is noted.
pub(super) fn convert(root: &Element, changes: &mut Vec<Change>) -> Element {
    let mut cib = attributes_only(root, "cib", |name, value| {
        KEPT.contains(&name).then(|| (name.to_owned(), value.to_owned()))
    });
    cib.set_attr("validate-with", "pacemaker-1.0");
    for counter in ["admin_epoch", "epoch", "num_updates"] {
        let number = root.attr(counter).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        cib.set_attr(counter, number.to_string());
    }
    let either = |old: &str, new: &str| root.attr(old).or_else(|| root.attr(new));
    let quorum = matches!(either("have_quorum", "have-quorum"), Some("true" | "1" | "yes" | "on"));
    cib.set_attr("have-quorum", quorum.to_string());
    cib.set_attr("dc-uuid", either("dc_uuid", "dc-uuid").unwrap_or("0"));
    if let Some(port) = root.attr("remote_access_port").and_then(|text| text.parse::<u16>().ok()) {
        cib.set_attr("remote-tls-port", port.to_string());
    }
    let mut configuration =
        root.child("configuration").cloned().unwrap_or_else(|| Element::new("configuration"));
    let renamed = ids::repair(&mut configuration, changes);
    cib.push(configured(&configuration, &renamed, changes));
    if let Some(status) = root.child("status") {
        cib.push(modern_status(status));
    }
    cib
}

fn configured(old: &Element, renamed: &ids::Renamed, changes: &mut Vec<Change>) -> Element {
    let mut new = Element::new("configuration");
    for section in ["crm_config", "nodes", "resources", "constraints"] {
        let empty = Element::new(section);
        let from = old.child(section).unwrap_or(&empty);
        new.push(match section {
            "crm_config" => crm_config(from, changes),
            "nodes" => nodes(from, changes),
            "resources" => resources::convert(from, changes),
            _ => constraints::convert(from, renamed, changes),
        });
    }
    new
}

fn crm_config(old: &Element, changes: &mut Vec<Change>) -> Element {
    let mut new = Element::new("crm_config");
    let mut direct = Element::new("cluster_property_set").with_attr("id", "cib-bootstrap-options");
    for child in old.children() {
        match child.name() {
            "nvpair" => direct.push(child.clone()),
            _ => new.push(set(child, "cluster_property_set", changes)),
        }
    }
    if direct.children().next().is_some() {
        let taken = new.children().any(|set| set.id() == direct.id());
        if taken {
            direct.set_attr("id", "cib-bootstrap-options-direct");
        }
        new.push(direct);
    }
    let mut fencing_known = false;
    for set in new.children_mut() {
        let mut notes = Notes { place: place(set), changes: &mut *changes };
        for pair in set.children_mut() {
            if let Some(name) = pair.attr("name").and_then(option) {
                notes.note(
                    Level::Debug,
                    format!("renaming {} as {name}", pair.attr("name").unwrap_or_default()),
                );
                pair.set_attr("name", name);
            }
            fencing_known |= pair.attr("name") == Some("stonith-enabled");
        }
    }
    if !fencing_known {
        explicit_fencing(&mut new, changes);
    }
    new
}

/// Fencing was off unless it was switched on; today it is on unless it is switched off.
fn explicit_fencing(config: &mut Element, changes: &mut Vec<Change>) {
    let id = "cib-bootstrap-options-stonith-enabled";
    let pair = Element::new("nvpair")
        .with_attr("id", id)
        .with_attr("name", "stonith-enabled")
        .with_attr("value", "false");
    changes.push(Change {
        level: Level::Info,
        place: "crm_config".into(),
        text: "writing stonith-enabled=false, which was the default".into(),
    });
    let ruleless = config.children_mut().find(|set| set.child("rule").is_none());
    match ruleless {
        Some(set) => set.push(pair),
        None => {
            let set = Element::new("cluster_property_set").with_attr("id", "cib-bootstrap-options");
            config.push(set.with_child(pair));
        }
    }
}

fn nodes(old: &Element, changes: &mut Vec<Change>) -> Element {
    let mut new = Element::new("nodes");
    for node in old.children_named("node") {
        let mut modern = attributes_only(node, "node", |name, value| {
            matches!(name, "id" | "uname" | "type" | "description")
                .then(|| (name.to_owned(), value.to_owned()))
        });
        for child in node.children_named("instance_attributes") {
            modern.push(set(child, "instance_attributes", changes));
        }
        new.push(modern);
    }
    new
}

/// A set of attributes without the wrapper, its rules after its pairs, at most one of them.
pub(super) fn set(old: &Element, name: &str, changes: &mut Vec<Change>) -> Element {
    let mut new = attributes_only(old, name, |name, value| match name {
        "id" => Some((name.to_owned(), value.to_owned())),
        "score" => Some((name.to_owned(), score(value))),
        _ => None,
    });
    let wrapped = old.children_named("attributes").flat_map(Element::children);
    for pair in wrapped.chain(old.children_named("nvpair")).filter(|child| child.name() == "nvpair") {
        new.push(attributes_only(pair, "nvpair", |name, value| {
            matches!(name, "id" | "name" | "value").then(|| (name.to_owned(), value.to_owned()))
        }));
    }
    let mut rules: Vec<Element> = old.children_named("rule").map(constraints::rule).collect();
    if rules.len() > 1 {
        let id = format!("{}-rules", old.id().unwrap_or("set"));
        let mut all =
            Element::new("rule").with_attr("id", id).with_attr("score", "0").with_attr("boolean-op", "and");
        rules.drain(..).for_each(|rule| all.push(rule));
        changes.push(Change {
            level: Level::Info,
            place: place(old),
            text: "joining its rules under one that wants all of them".into(),
        });
        rules.push(all);
    }
    rules.into_iter().for_each(|rule| new.push(rule));
    new
}

/// The status section: hyphens in the names of operation results.
fn modern_status(old: &Element) -> Element {
    const NAMES: &[&str] = &[
        "op_status",
        "rc_code",
        "call_id",
        "op_digest",
        "op_restart_digest",
        "op_force_restart",
        "transition_key",
        "transition_magic",
        "last_run",
        "last_rc_change",
        "exec_time",
        "queue_time",
    ];
    let mut new = attributes_only(old, old.name(), |name, value| {
        let modern = if NAMES.contains(&name) { hyphens(name) } else { name.to_owned() };
        Some((modern, value.to_owned()))
    });
    for child in old.children() {
        if child.name() == "attributes" {
            child.children().for_each(|pair| new.push(modern_status(pair)));
        } else {
            new.push(modern_status(child));
        }
    }
    new
}
