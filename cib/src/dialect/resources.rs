//! Resources of the Heartbeat 2.x dialect.

use super::change::{Change, Level, Notes, place};
use super::heartbeat2::set;
use super::names::{attributes_only, hyphens, milliseconds, renamed, role};
use crate::Element;

/// Options that stood among instance attributes (the old graphical interface wrote them there) and
/// are no agent's parameters.
const MISPLACED: &[&str] = &[
    "resource_stickiness",
    "resource_failure_stickiness",
    "allow_migrate",
    "globally_unique",
    "target_role",
    "clone_max",
    "clone_node_max",
    "master_max",
    "master_node_max",
    "priority",
    "is_managed",
    "notify",
    "ordered",
    "interleave",
    "collocated",
    "multiple_active",
    "restart_type",
];

/// XML attributes that are no options and mean nothing today.
const FORGOTTEN: &[&str] = &["generated", "crm-debug-origin", "start_prereq"];

pub(super) fn convert(old: &Element, changes: &mut Vec<Change>) -> Element {
    let mut new = Element::new("resources");
    old.children().for_each(|child| new.push(resource(child, changes)));
    new
}

fn resource(old: &Element, changes: &mut Vec<Change>) -> Element {
    let tag = if old.name() == "master_slave" { "master" } else { old.name() };
    let is_primitive = tag == "primitive";
    let is_clone = matches!(tag, "clone" | "master");
    let of_ocf = old.attr("class") == Some("ocf");
    let mut new = attributes_only(old, tag, |name, value| {
        let kept = matches!(name, "id" | "description")
            || (is_primitive && matches!(name, "class" | "type"))
            || (name == "provider" && of_ocf);
        kept.then(|| (name.to_owned(), value.to_owned()))
    });
    if is_primitive && of_ocf && old.attr("provider").is_none() {
        // What Heartbeat assumed.
        new.set_attr("provider", "heartbeat");
    }
    let mut notes = Notes { place: place(old), changes: &mut *changes };
    if tag == "master" {
        notes.note(Level::Debug, "renaming master_slave as master".into());
    }
    let meta = gathered(old, is_primitive, is_clone, &mut notes);
    if meta.children().next().is_some() {
        new.push(meta);
    }
    for child in old.children() {
        match child.name() {
            "meta_attributes" => new.push(modern_meta(&set(child, "meta_attributes", changes))),
            "instance_attributes" => {
                let mut attributes = set(child, "instance_attributes", changes);
                attributes.retain_children(|pair| !misplaced(pair));
                new.push(attributes);
            }
            "operations" => new.push(operations(child, changes)),
            _ => new.push(resource(child, changes)),
        }
    }
    new
}

fn misplaced(pair: &Element) -> bool {
    pair.attr("name")
        .is_some_and(|name| MISPLACED.contains(&name) || MISPLACED.contains(&name.replace('-', "_").as_str()))
}

/// The new first set of options: what stood as XML attributes, then what stood among instance
/// attributes, unless a meta attribute says it already.
fn gathered(old: &Element, is_primitive: bool, is_clone: bool, notes: &mut Notes<'_>) -> Element {
    let set_id = format!("{}-{}.meta", old.name(), old.id().unwrap_or_default());
    let mut meta = Element::new("meta_attributes").with_attr("id", set_id.as_str());
    let mut have: Vec<String> = Vec::new();
    let mut add = |meta: &mut Element, name: &str, value: &str, notes: &mut Notes<'_>| {
        let name = hyphens(name);
        if have.contains(&name) {
            return;
        }
        if let Some(value) = meta_value(&name, value) {
            notes.note(Level::Info, format!("moving {name}={value} under meta_attributes"));
            let id = format!("{set_id}.{name}");
            meta.push(
                Element::new("nvpair")
                    .with_attr("id", id)
                    .with_attr("name", name.as_str())
                    .with_attr("value", value),
            );
        }
        have.push(name);
    };
    for (name, value) in old.attrs() {
        let own = matches!(name, "id" | "description" | "provider")
            || (is_primitive && matches!(name, "class" | "type"))
            || FORGOTTEN.contains(&name);
        if !own {
            add(&mut meta, name, value, notes);
        }
    }
    let pairs = |tag: &'static str| {
        old.children_named(tag).flat_map(|set| {
            set.children_named("attributes").flat_map(Element::children).chain(set.children_named("nvpair"))
        })
    };
    let said: Vec<String> =
        pairs("meta_attributes").filter_map(|pair| pair.attr("name").map(hyphens)).collect();
    for pair in pairs("instance_attributes").filter(|pair| misplaced(pair)) {
        let name = pair.attr("name").unwrap_or_default();
        if !said.contains(&hyphens(name)) {
            add(&mut meta, name, pair.attr("value").unwrap_or_default(), notes);
        }
    }
    if is_clone && !said.iter().any(|name| name == "globally-unique") {
        // It was unique unless it said otherwise; today it is the other way round.
        add(&mut meta, "globally_unique", "true", notes);
    }
    meta
}

/// The modern value of an option; `None` where it says nothing.
fn meta_value(name: &str, value: &str) -> Option<String> {
    if name == "target-role" { role(value) } else { Some(value.to_owned()) }
}

fn modern_meta(old: &Element) -> Element {
    let mut new = renamed(old, "meta_attributes");
    new.retain_children(|pair| {
        pair.attr("name")
            .map(hyphens)
            .is_none_or(|name| meta_value(&name, pair.attr("value").unwrap_or_default()).is_some())
    });
    for pair in new.children_mut().filter(|child| child.name() == "nvpair") {
        let name = pair.attr("name").map(hyphens).unwrap_or_default();
        if let Some(value) = pair.attr("value").and_then(|value| meta_value(&name, value)) {
            pair.set_attr("value", value);
        }
        pair.set_attr("name", name);
    }
    new
}

fn operations(old: &Element, changes: &mut Vec<Change>) -> Element {
    let mut new = Element::new("operations");
    for op in old.children_named("op") {
        new.push(operation(op, changes));
    }
    new
}

fn operation(old: &Element, changes: &mut Vec<Change>) -> Element {
    let mut new = attributes_only(old, "op", |name, value| {
        let value = value.to_owned();
        match name {
            "id" | "name" | "description" | "role" => Some((name.to_owned(), value)),
            "interval" | "timeout" => Some((name.to_owned(), milliseconds(&value))),
            "start_delay" if value == "0" => None,
            "start_delay" => Some(("start-delay".into(), milliseconds(&value))),
            "prereq" => Some(("requires".into(), value)),
            "on_fail" => Some(("on-fail".into(), value)),
            "disabled" => {
                let disabled = matches!(value.as_str(), "true" | "1" | "yes" | "on" | "y");
                Some(("enabled".into(), (!disabled).to_string()))
            }
            _ => None,
        }
    });
    if new.attr("interval").is_none_or(str::is_empty) {
        new.set_attr("interval", "0");
    }
    for (name, value) in old.attrs() {
        if matches!(name, "interval" | "timeout") && milliseconds(value) != value {
            let text = format!("{name}={value} meant milliseconds, redefined as {}", milliseconds(value));
            changes.push(Change { level: Level::Info, place: place(old), text });
        }
    }
    for child in old.children() {
        match child.name() {
            "meta_attributes" => new.push(modern_meta(&set(child, "meta_attributes", changes))),
            "instance_attributes" => new.push(set(child, "instance_attributes", changes)),
            _ => {}
        }
    }
    new
}
