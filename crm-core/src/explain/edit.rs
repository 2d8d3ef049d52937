//! Changes of a CIB that an explanation tries out on a copy.

use cib::{Cib, Element};

use super::scene::Scene;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::simulator::inject;
use crate::policy::state::Role;
use crate::policy::state::failcount::base_name;
use crate::policy::values;

/// The element of this id below `root`, whatever its name.
pub fn find_mut<'a>(root: &'a mut Element, id: &str) -> Option<&'a mut Element> {
    if !root.descendants().any(|e| e.id() == Some(id)) {
        return None;
    }
    if root.id() == Some(id) {
        return Some(root);
    }
    root.children_mut()
        .find(|child| child.id() == Some(id) || child.descendants().any(|e| e.id() == Some(id)))
        .and_then(|child| find_mut(child, id))
}

fn section<'a>(root: &'a mut Element, path: &[&str]) -> Option<&'a mut Element> {
    let mut at = root;
    for name in path {
        at = at.child_mut(name)?;
    }
    Some(at)
}

/// The constraint of this id.
pub fn constraint_mut<'a>(root: &'a mut Element, id: &str) -> Option<&'a mut Element> {
    let list = section(root, &["configuration", "constraints"])?;
    list.children_mut().find(|e| e.id() == Some(id))
}

/// Removes constraints; whether any was there.
pub fn remove_constraint(root: &mut Element, id: &str) -> bool {
    let Some(list) = section(root, &["configuration", "constraints"]) else { return false };
    let before = list.nodes().len();
    list.retain_children(|e| e.id() != Some(id));
    list.nodes().len() != before
}

/// Moves a constraint to the place before another one.
pub fn move_constraint(root: &mut Element, id: &str, before: &str) {
    let Some(list) = section(root, &["configuration", "constraints"]) else { return };
    let place = |list: &Element, id: &str| list.nodes().position(|e| e.id() == Some(id));
    let Some(moved) = place(list, id).and_then(|at| list.remove_node(at)) else { return };
    let at = place(list, before).unwrap_or(list.nodes().len());
    list.insert_node(at, moved);
}

/// Adds a constraint.
pub fn add_constraint(root: &mut Element, constraint: Element) {
    root.child_or_insert("configuration").child_or_insert("constraints").push(constraint);
}

/// The configured resource of this id.
pub fn resource_mut<'a>(root: &'a mut Element, id: &str) -> Option<&'a mut Element> {
    find_mut(section(root, &["configuration", "resources"])?, id)
}

/// Sets a name in a set of name-value pairs of a kind, in whichever set has it, else in a new one.
pub fn set_pair(owner: &mut Element, kind: &str, name: &str, value: &str) {
    let owner_id = owner.id().unwrap_or("x").to_owned();
    for set in owner.children_mut().filter(|e| e.name() == kind) {
        for pair in set.children_mut() {
            if pair.attr("name") == Some(name) {
                pair.set_attr("value", value);
                return;
            }
        }
    }
    let set_id = format!("{owner_id}-{kind}");
    let pair = Element::new("nvpair")
        .with_attr("id", format!("{set_id}-{name}"))
        .with_attr("name", name)
        .with_attr("value", value);
    if owner.child(kind).is_some() {
        if let Some(set) = owner.child_mut(kind) {
            set.push(pair);
        }
        return;
    }
    owner.push(Element::new(kind).with_attr("id", set_id).with_child(pair));
}

/// Sets a meta attribute of a resource, and takes it away from what is inside it.
pub fn set_meta(root: &mut Element, resource: &str, name: &str, value: &str) -> bool {
    let Some(owner) = resource_mut(root, resource) else { return false };
    set_pair(owner, "meta_attributes", name, value);
    true
}

/// Takes a meta attribute away, on a resource and in the defaults.
pub fn set_default(root: &mut Element, name: &str, value: &str) -> bool {
    let Some(defaults) = section(root, &["configuration", "rsc_defaults"]) else { return false };
    let mut any = false;
    for set in defaults.children_mut() {
        for pair in set.children_mut().filter(|p| p.attr("name") == Some(name)) {
            pair.set_attr("value", value);
            any = true;
        }
    }
    any
}

/// Sets a cluster option.
pub fn set_option(root: &mut Element, name: &str, value: &str) {
    inject::set_option(root, name, value);
}

/// Grants a ticket, or ends its standby.
pub fn grant(root: &mut Element, ticket: &str) {
    inject::set_ticket(root, ticket, "granted", "true");
    inject::set_ticket(root, ticket, "standby", "false");
}

/// Revokes a ticket.
pub fn revoke(root: &mut Element, ticket: &str) {
    inject::set_ticket(root, ticket, "granted", "false");
}

/// The `node_state` of a node.
pub fn state_mut<'a>(root: &'a mut Element, node: &str) -> Option<&'a mut Element> {
    let status = root.child_mut("status")?;
    status
        .children_mut()
        .find(|e| e.name() == "node_state" && e.attr("uname").is_some_and(|u| u.eq_ignore_ascii_case(node)))
}

/// The `node` entry of a node.
pub fn node_mut<'a>(root: &'a mut Element, node: &str) -> Option<&'a mut Element> {
    let nodes = section(root, &["configuration", "nodes"])?;
    nodes.children_mut().find(|e| e.attr("uname").is_some_and(|u| u.eq_ignore_ascii_case(node)))
}

/// Sets a node attribute wherever the node has it, permanent or transient; if nowhere, permanently.
pub fn set_node_attribute(root: &mut Element, node: &str, name: &str, value: &str) {
    let mut found = false;
    if let Some(transient) = state_mut(root, node).and_then(|s| s.child_mut("transient_attributes")) {
        for set in transient.children_mut() {
            for pair in set.children_mut().filter(|p| p.attr("name") == Some(name)) {
                pair.set_attr("value", value);
                found = true;
            }
        }
    }
    if let Some(entry) = node_mut(root, node) {
        let there = entry.descendants().any(|p| p.name() == "nvpair" && p.attr("name") == Some(name));
        if there || !found {
            set_pair(entry, "instance_attributes", name, value);
        }
    }
}

/// Removes a node attribute, permanent and transient.
pub fn drop_node_attribute(root: &mut Element, node: &str, name: &str) {
    let drop = |owner: &mut Element| {
        for set in owner.children_mut().filter(|e| e.name() == "instance_attributes") {
            set.retain_children(|p| p.attr("name") != Some(name));
        }
    };
    if let Some(transient) = state_mut(root, node).and_then(|s| s.child_mut("transient_attributes")) {
        drop(transient);
    }
    if let Some(entry) = node_mut(root, node) {
        drop(entry);
    }
}

/// Marks a node as a member that is up and has done nothing yet.
pub fn bring_up(root: &mut Element, node: &str) {
    let id = inject::node_id(root, node);
    inject::membership(root, node, &id, ["true", "online", "member", "member"]);
    drop_node_attribute(root, node, "shutdown");
    drop_node_attribute(root, node, "terminate");
}

/// Whether an entry of the history is a failure.
fn is_failure(op: &Element) -> bool {
    let target =
        op.attr("transition-key").and_then(|k| k.split(':').nth(2)).and_then(|rc| rc.parse::<i64>().ok());
    let rc = op.attr("rc-code").and_then(|rc| rc.parse::<i64>().ok());
    let failed_status = op.attr("op-status").is_some_and(|s| !matches!(s, "0" | "-1"));
    let probe = op.attr("operation") == Some("monitor") && op.attr("interval").is_none_or(|i| i == "0");
    let unexpected = rc.is_some() && target.is_some() && rc != target;
    op.id().is_some_and(|id| id.ends_with("_last_failure_0"))
        || failed_status
        || (unexpected && !(probe && matches!(rc, Some(0 | 7 | 8))))
}

/// Forgets the failures of a resource on a node, as `crm_resource --cleanup` does.
pub fn cleanup(root: &mut Element, resource: &str, node: &str) -> bool {
    let Some(state) = state_mut(root, node) else { return false };
    let mut any = false;
    let base = base_name(resource).to_owned();
    let of_resource = |attribute: &str| {
        let rest = attribute.strip_prefix("fail-count-").or_else(|| attribute.strip_prefix("last-failure-"));
        rest.is_some_and(|rest| base_name(rest.split('#').next().unwrap_or(rest)) == base)
    };
    if let Some(transient) = state.child_mut("transient_attributes") {
        for set in transient.children_mut() {
            let before = set.nodes().len();
            set.retain_children(|p| !p.attr("name").is_some_and(of_resource));
            any |= set.nodes().len() != before;
        }
    }
    let Some(list) = state.child_mut("lrm").and_then(|l| l.child_mut("lrm_resources")) else { return any };
    for history in list.children_mut() {
        if history.id().map(base_name) == Some(base.as_str()) {
            let before = history.nodes().len();
            history.retain_children(|op| !is_failure(op));
            any |= history.nodes().len() != before;
        }
    }
    list.retain_children(|h| h.children().next().is_some());
    any
}

impl Scene {
    /// Has the history of a CIB of this scene say that the monitor of a resource failed on a node, with this result.
    pub(super) fn fail_monitor(&self, cib: &mut Cib, leaf: ResourceIx, at: NodeIx, rc: i32) {
        let rsc = &self.st()[leaf];
        let fits = |op: &&Element| {
            op.attr("name") == Some("monitor")
                && op.attr("role").is_none_or(|r| match Role::parse(r) {
                    Role::Started => rsc.role <= Role::Unpromoted,
                    r => r == rsc.role,
                })
        };
        let interval = rsc
            .ops
            .iter()
            .filter(fits)
            .map(|op| values::interval_ms(op.attr("interval")))
            .find(|ms| *ms > 0)
            .unwrap_or(10_000);
        let spec = format!("{}_monitor_{interval}@{}={rc}", rsc.name_in_history(), self.node(at));
        let injections = inject::Injections { operations: vec![spec], ..inject::Injections::default() };
        let find = |_: &str| Some(rsc.xml.clone());
        inject::apply(cib, &injections, self.situation.now, &find, &mut |_| {});
    }
}

/// Lets go of the shutdown locks of a resource.
pub fn unlock(root: &mut Element, resource: &str) -> bool {
    let Some(status) = root.child_mut("status") else { return false };
    let mut any = false;
    let base = base_name(resource).to_owned();
    for state in status.children_mut() {
        let Some(list) = state.child_mut("lrm").and_then(|l| l.child_mut("lrm_resources")) else { continue };
        for history in list.children_mut() {
            if history.id().map(base_name) == Some(base.as_str()) && history.attr("shutdown-lock").is_some() {
                history.remove_attr("shutdown-lock");
                any = true;
            }
        }
    }
    any
}
