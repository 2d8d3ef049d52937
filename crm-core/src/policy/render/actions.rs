//! What a plan does, line by line.

use super::List;
use crate::policy::graph::{ActionKind, GraphAction};
use crate::policy::ix::NodeIx;
use crate::policy::simulate::Event;
use crate::policy::state::{Role, State};
use crate::policy::transition::summary::{ResourceChange, Summary};

/// Writes the items of the "Transition Summary".
///
/// Column widths grow over all lines first: the reference has the lines once in its log before it shows
/// them.
pub fn summary(list: &mut List, st: &State, summary: &Summary) {
    for node in &summary.nodes {
        if let Some(reason) = &node.reason {
            list.item(&format!("{} {} '{reason}'", node.what, node.shown));
        }
    }
    let lines: Vec<(&ResourceChange, String)> =
        summary.resources.iter().map(|change| (change, details(st, change))).collect();
    let (mut id_width, mut width) = (5, 5);
    for (change, details) in &lines {
        let len = st[change.resource].id.len();
        if len > id_width {
            id_width = len + 2;
        }
        width = width.max(details.len());
    }
    for (change, details) in &lines {
        let note = match (&change.reason, change.blocked) {
            (Some(reason), true) => format!("  due to {reason} (blocked)"),
            (Some(reason), false) => format!("  due to {reason}"),
            (None, true) => "  blocked".to_owned(),
            (None, false) => String::new(),
        };
        let (what, id) = (change.what, &st[change.resource].id);
        list.item(&format!("{what:<8}   {id:<id_width$}   ( {details:>width$} ){note}"));
    }
}

/// Where, and in which role.
fn details(st: &State, change: &ResourceChange) -> String {
    let (role, next) = (change.role, change.next_role);
    let need_role = role > Role::Started || next > Role::Unpromoted;
    let same_role = role == next;
    let (role, next) = (role.word(), next.word());
    let name = |n: NodeIx| st[n].name.as_str();
    match (change.from.map(name), change.to.map(name)) {
        (None, None) => String::new(),
        (None, Some(to)) if need_role => format!("{role} -> {next} {to}"),
        (None, Some(to)) => to.to_owned(),
        (Some(from), None) if need_role => format!("{role} {from}"),
        (Some(from), None) => from.to_owned(),
        (Some(from), Some(to)) if same_role && from == to => {
            if need_role {
                format!("{role} {from}")
            } else {
                from.to_owned()
            }
        }
        (Some(from), Some(to)) if same_role && need_role => format!("{from} -> {to} {role}"),
        (Some(from), Some(to)) if same_role => format!("{from} -> {to}"),
        (Some(from), Some(to)) if from == to => format!("{role} -> {next} {from}"),
        (Some(from), Some(to)) => format!("{role} {from} -> {next} {to}"),
    }
}

/// Writes what happened to one action.
pub fn event(list: &mut List, st: &State, event: &Event) {
    match event {
        Event::Ran(action) => list.item(&ran(st, action)),
        Event::Failed { id, rc } => {
            list.line(&format!("Pretending action {} failed with rc={rc}", id.0));
        }
        Event::Attribute { name, value, node } => {
            list.item(&format!("Injecting attribute {name}={value} into /node_state '{node}'"));
        }
    }
}

fn ran(st: &State, action: &GraphAction) -> String {
    let node = action.on_node.as_deref();
    match action.kind {
        ActionKind::Pseudo => match node {
            Some(node) => format!("Pseudo action:   {} on {node}", action.operation_key),
            None => format!("Pseudo action:   {}", action.operation_key),
        },
        ActionKind::Cluster if action.operation == "stonith" => {
            let kind = action.attribute("CRM_meta_stonith_action").unwrap_or("reboot");
            format!("Fencing {} ({kind})", node.unwrap_or_default())
        }
        ActionKind::Cluster => {
            let node = node.unwrap_or_default();
            match &action.resource {
                Some(resource) => {
                    format!("Cluster action:  {} for {} on {node}", action.operation, resource.id)
                }
                None => format!("Cluster action:  {} on {node}", action.operation),
            }
        }
        ActionKind::Resource => {
            let task = match action.attribute("CRM_meta_interval") {
                Some(interval) if interval != "0" => format!("{}={interval}", action.operation),
                _ => action.operation.to_string(),
            };
            format!("Resource action: {:<15} {task} on {}", shown(st, action), node.unwrap_or_default())
        }
    }
}

/// The name a resource action is shown under.
pub fn shown<'a>(st: &'a State, action: &'a GraphAction) -> &'a str {
    let Some(resource) = &action.resource else { return "" };
    let known = |name: &str| st.find(name).is_some();
    match resource.long_id.as_deref() {
        Some(long) if !known(&resource.id) && known(long) => long,
        _ => &resource.id,
    }
}
