//! What a new CIB means for the plan in execution: which results arrived, and what makes the plan
//! doubtful. Equal parts of two documents are shared, so that comparing costs what changed.

use std::collections::{HashMap, HashSet};

use cib::{Cib, Element};

/// The difference that the controller cares about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Changes {
    /// Anything outside of the status section, versions and time stamps aside.
    pub configuration: bool,
    /// History entries that are new or different, in document order.
    pub results: Vec<Change>,
    /// Resources whose history is gone: node name and resource.
    pub forgotten: Vec<(String, String)>,
    /// Transient attributes that were set, changed or removed: node name and attribute.
    pub attributes: Vec<(String, String)>,
    /// Tickets were granted, revoked or changed.
    pub tickets: bool,
}

/// A history entry that is new or different.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    pub node: String,
    pub resource: String,
    pub op: Element,
}

/// Compares two documents.
pub fn changes(before: &Cib, after: &Cib) -> Changes {
    let mut found =
        Changes { configuration: !same(before.configuration(), after.configuration()), ..Changes::default() };
    if same(before.status(), after.status()) {
        return found;
    }
    let (old_states, new_states) = (states(before), states(after));
    for new in &new_states {
        let old = old_states.iter().find(|o| o.id() == new.id()).copied();
        if old.is_some_and(|old| old.ptr_eq(new)) {
            continue;
        }
        let node = new.attr("uname").or(new.id()).unwrap_or_default();
        compare_history(node, old, new, &mut found);
        compare_attributes(node, old, new, &mut found);
    }
    for old in &old_states {
        if !new_states.iter().any(|n| n.id() == old.id()) {
            let node = old.attr("uname").or(old.id()).unwrap_or_default();
            compare_history(node, Some(old), &Element::new("node_state"), &mut found);
        }
    }
    let tickets = |cib: &Cib| cib.status().and_then(|s| s.child("tickets")).cloned();
    found.tickets = tickets(before) != tickets(after);
    found
}

fn same(a: Option<&Element>, b: Option<&Element>) -> bool {
    match (a, b) {
        (None, None) => true,
        (Some(a), Some(b)) => a.ptr_eq(b) || a == b,
        _ => false,
    }
}

fn states(cib: &Cib) -> Vec<&Element> {
    cib.status().map(|s| s.children_named("node_state").collect()).unwrap_or_default()
}

fn histories(state: &Element) -> Vec<&Element> {
    state
        .path(&["lrm", "lrm_resources"])
        .map(|l| l.children_named("lrm_resource").collect())
        .unwrap_or_default()
}

/// Two lists without what is the same at both ends.
fn between<'a, 'b>(old: &'a [&'b Element], new: &'a [&'b Element]) -> (&'a [&'b Element], &'a [&'b Element]) {
    let begin = old.iter().zip(new).take_while(|(a, b)| a.ptr_eq(b)).count();
    let (old, new) = (old.get(begin..).unwrap_or_default(), new.get(begin..).unwrap_or_default());
    let end = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a.ptr_eq(b)).count();
    (old.get(..old.len() - end).unwrap_or_default(), new.get(..new.len() - end).unwrap_or_default())
}

fn compare_history(node: &str, old: Option<&Element>, new: &Element, found: &mut Changes) {
    let (old_list, new_list) = (old.map(histories).unwrap_or_default(), histories(new));
    // One change of thousands of histories is looked for at every change: what did not move is passed over, and
    // the rest is found by name.
    let (old_list, new_list) = between(&old_list, &new_list);
    let mut known_before: HashMap<Option<&str>, &Element> = HashMap::new();
    for resource in old_list {
        known_before.entry(resource.id()).or_insert(resource);
    }
    for resource in new_list {
        let before = known_before.get(&resource.id());
        if before.is_some_and(|b| b.ptr_eq(resource)) {
            continue;
        }
        for op in resource.children_named("lrm_rsc_op") {
            let known = before.and_then(|b| b.find("lrm_rsc_op", op.id().unwrap_or_default()));
            if !known.is_some_and(|k| k.ptr_eq(op) || k == op) {
                found.results.push(Change {
                    node: node.to_owned(),
                    resource: resource.id().unwrap_or_default().to_owned(),
                    op: op.clone(),
                });
            }
        }
    }
    let known_now: HashSet<Option<&str>> = new_list.iter().map(|resource| resource.id()).collect();
    for resource in old_list {
        if !known_now.contains(&resource.id()) {
            found.forgotten.push((node.to_owned(), resource.id().unwrap_or_default().to_owned()));
        }
    }
}

fn compare_attributes(node: &str, old: Option<&Element>, new: &Element, found: &mut Changes) {
    let pairs = |state: &Element| -> Vec<(String, String)> {
        state
            .children_named("transient_attributes")
            .flat_map(Element::descendants)
            .filter(|e| e.name() == "nvpair")
            .filter_map(|e| {
                Some((e.attr("name")?.to_owned(), e.attr("value").unwrap_or_default().to_owned()))
            })
            .collect()
    };
    let (was, is) = (old.map(pairs).unwrap_or_default(), pairs(new));
    for pair in &is {
        if !was.contains(pair) {
            found.attributes.push((node.to_owned(), pair.0.clone()));
        }
    }
    for (name, _) in &was {
        if !is.iter().any(|(n, _)| n == name) {
            found.attributes.push((node.to_owned(), name.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn cib(configuration: &str, status: &str) -> Cib {
        Cib::parse(&format!(
            "<cib><configuration>{configuration}</configuration><status>{status}</status></cib>"
        ))
        .unwrap()
    }

    #[test]
    fn a_result_an_attribute_and_a_forgotten_history_are_told_apart() {
        let before = cib(
            "<nodes/>",
            "<node_state id='1' uname='a'><lrm id='1'><lrm_resources><lrm_resource id='x'>\
             <lrm_rsc_op id='x_last_0' call-id='1'/></lrm_resource><lrm_resource id='y'/></lrm_resources></lrm>\
             </node_state>",
        );
        let after = cib(
            "<nodes/>",
            "<node_state id='1' uname='a'><lrm id='1'><lrm_resources><lrm_resource id='x'>\
             <lrm_rsc_op id='x_last_0' call-id='2'/></lrm_resource></lrm_resources></lrm>\
             <transient_attributes id='1'><instance_attributes id='s'><nvpair id='n' name='pingd' value='1'/>\
             </instance_attributes></transient_attributes></node_state>",
        );
        let found = changes(&before, &after);
        assert!(!found.configuration);
        assert_eq!(found.results.len(), 1);
        assert_eq!(found.forgotten, [("a".to_owned(), "y".to_owned())]);
        assert_eq!(found.attributes, [("a".to_owned(), "pingd".to_owned())]);
        assert_eq!(changes(&after, &after), Changes::default());
        assert!(changes(&before, &cib("<nodes><node id='1'/></nodes>", "")).configuration);
    }
}
