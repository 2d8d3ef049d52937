//! Ids that the modern language takes: valid names, unique in the whole document.

use std::collections::{BTreeMap, BTreeSet};

use super::change::{Change, Level, place};
use crate::Element;

/// Elements that others refer to: their ids are kept before all others.
const REFERRED: &[&str] =
    &["primitive", "group", "clone", "master", "master_slave", "rsc_location", "rsc_order", "rsc_colocation"];

/// What resource ids became, so that constraints can follow.
pub(super) type Renamed = BTreeMap<String, String>;

/// An id as the modern language takes it: `:` and what is no part of a name become `-`.
pub(super) fn valid(id: &str) -> String {
    let fixed: String = id
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '-' })
        .collect();
    if fixed.starts_with(|c: char| c.is_alphabetic() || c == '_') { fixed } else { String::new() }
}

/// Repairs the ids of the configuration; returns what resources were renamed to.
pub(super) fn repair(configuration: &mut Element, changes: &mut Vec<Change>) -> Renamed {
    let mut taken = BTreeSet::new();
    let mut renamed = Renamed::new();
    let mut counter = 0;
    for referred in [true, false] {
        walk(configuration, referred, &mut |element| {
            if !element_has_id(element) {
                return;
            }
            let old = element.id().unwrap_or_default().to_owned();
            let mut new = valid(&old);
            if new.is_empty() || taken.contains(&new) {
                loop {
                    counter += 1;
                    new = format!("{}.auto-{counter}", element.name());
                    if !taken.contains(&new) {
                        break;
                    }
                }
            }
            taken.insert(new.clone());
            if new != old {
                let text = format!("id \"{old}\" becomes \"{new}\"");
                changes.push(Change { level: Level::Info, place: place(element), text });
                element.set_attr("id", new.clone());
                // Where the first of several kept the id, references mean that one.
                if referred && !taken.contains(&old) {
                    renamed.entry(old).or_insert(new);
                }
            }
        });
    }
    renamed
}

fn element_has_id(element: &Element) -> bool {
    // Nodes have free ids; sections and wrappers none.
    !matches!(
        element.name(),
        "configuration"
            | "crm_config"
            | "nodes"
            | "node"
            | "resources"
            | "constraints"
            | "operations"
            | "attributes"
            | "lifetime"
    )
}

fn walk(element: &mut Element, referred: bool, each: &mut dyn FnMut(&mut Element)) {
    if REFERRED.contains(&element.name()) == referred {
        each(element);
    }
    for child in element.children_mut() {
        walk(child, referred, each);
    }
}
