//! Changes, scores, the plan and its execution as elements.

use super::Tag;
use crate::policy::graph::{ActionKind, GraphAction};
use crate::policy::ix::NodeIx;
use crate::policy::placement::lines::ScoreLine;
use crate::policy::render::actions::shown;
use crate::policy::simulate::Event;
use crate::policy::simulator::inject::Change;
use crate::policy::state::{Role, State};
use crate::policy::transition::summary::{ResourceChange, Summary};
use crate::policy::values::ShowScore;

/// `<modifications>`: what was changed before planning.
pub fn modifications(changes: &[Change]) -> Tag {
    let mut tag = Tag::new("modifications");
    for change in changes {
        tag = match change {
            Change::Quorum(value) => tag.with("quorum", value),
            Change::Watchdog(value) => tag.with("watchdog", value),
            Change::NodeUp(node) => tag.with_child(node_change("Online", node)),
            Change::NodeDown(node) => tag.with_child(node_change("Offline", node)),
            Change::NodeFail(node) => tag.with_child(node_change("Failing", node)),
            Change::TicketGrant(ticket) => tag.with_child(ticket_change("Granting", ticket)),
            Change::TicketRevoke(ticket) => tag.with_child(ticket_change("Revoking", ticket)),
            Change::TicketStandby(ticket) => tag.with_child(ticket_change("Standby", ticket)),
            Change::TicketActivate(ticket) => tag.with_child(ticket_change("Activating", ticket)),
            Change::Operation(spec) => tag.with_child(Tag::new("inject_spec").with("spec", spec)),
            Change::Attribute { name, value, node } => tag.with_child(attribute(name, value, node)),
        };
    }
    tag
}

fn node_change(action: &str, node: &str) -> Tag {
    Tag::new("modify_node").with("action", action).with("node", node)
}

fn ticket_change(action: &str, ticket: &str) -> Tag {
    Tag::new("modify_ticket").with("action", action).with("ticket", ticket)
}

fn attribute(name: &str, value: &str, node: &str) -> Tag {
    let tag = Tag::new("inject_attr").with("name", name).with("value", value);
    tag.with("node_path", "/node_state").with("cib_node", node)
}

/// One score or capacity.
pub fn score_line(st: &State, line: &ScoreLine) -> Tag {
    let values = |list: &[(String, String)]| -> Vec<Tag> {
        list.iter().map(|(name, value)| Tag::new(name).with_text(value)).collect()
    };
    match line {
        ScoreLine::Allocation { function, resource, node, score } => Tag::new("node_weight")
            .with("function", *function)
            .with("node", &st[*node].name)
            .with("score", ShowScore(*score).to_string())
            .with("id", &st[*resource].id),
        ScoreLine::Promotion { resource, node, score } => Tag::new("promotion_score")
            .with("id", &st[*resource].id)
            .with("score", ShowScore(*score).to_string())
            .with_some("node", node.map(|n| &st[n].name)),
        ScoreLine::Capacity { comment, node, values: list } => Tag::new("capacity")
            .with("node", &st[*node].name)
            .with("comment", *comment)
            .with_children(values(list)),
        ScoreLine::Utilization { resource, node, values: list } => Tag::new("utilization")
            .with("resource", &st[*resource].id)
            .with("node", &st[*node].name)
            .with("function", "pcmk__finalize_assignment")
            .with_children(values(list)),
    }
}

/// `<actions>`: what the plan does, in a person's words.
pub fn summary(st: &State, summary: &Summary) -> Tag {
    let mut tag = Tag::new("actions");
    for node in &summary.nodes {
        if let Some(reason) = &node.reason {
            let action = Tag::new("node_action").with("task", &node.what).with("node", &node.shown);
            tag.push(action.with("reason", reason));
        }
    }
    tag.with_children(summary.resources.iter().map(|change| resource(st, change)))
}

fn resource(st: &State, change: &ResourceChange) -> Tag {
    let tag = Tag::new("rsc_action")
        .with("action", change.what.to_lowercase())
        .with("resource", &st[change.resource].id);
    let (role, next) = (change.role, change.next_role);
    let need_role = role > Role::Started || next > Role::Unpromoted;
    let same_role = role == next;
    let name = |n: NodeIx| st[n].name.as_str();
    let both = |tag: Tag| tag.with("role", role.word()).with("next-role", next.word());
    let one = |tag: Tag| if need_role { tag.with("role", role.word()) } else { tag };
    let tag = match (change.from.map(name), change.to.map(name)) {
        (None, None) => tag,
        (None, Some(to)) if need_role => both(tag).with("dest", to),
        (None, Some(to)) => tag.with("node", to),
        (Some(from), None) if need_role => tag.with("role", role.word()).with("node", from),
        (Some(from), None) => tag.with("node", from),
        (Some(from), Some(to)) if same_role && from == to => one(tag).with("source", from),
        (Some(from), Some(to)) if same_role => one(tag.with("source", from).with("dest", to)),
        (Some(from), Some(to)) if from == to => both(tag).with("source", from),
        (Some(from), Some(to)) => {
            let tag = tag.with("role", role.word()).with("source", from);
            tag.with("next-role", next.word()).with("dest", to)
        }
    };
    let tag = tag.with_some("reason", change.reason.as_ref());
    if change.blocked { tag.with_flag("blocked", true) } else { tag }
}

/// What happened to one action; an injected failure has no element of its own.
pub fn event(st: &State, event: &Event) -> Option<Tag> {
    match event {
        Event::Ran(action) => Some(ran(st, action)),
        Event::Failed { .. } => None,
        Event::Attribute { name, value, node } => Some(attribute(name, value, node)),
    }
}

fn ran(st: &State, action: &GraphAction) -> Tag {
    let node = action.on_node.as_deref();
    match action.kind {
        ActionKind::Pseudo => {
            Tag::new("pseudo_action").with("task", action.operation_key.as_str()).with_some("node", node)
        }
        ActionKind::Cluster if action.operation == "stonith" => Tag::new("fencing_action")
            .with("target", node.unwrap_or_default())
            .with("op", action.attribute("CRM_meta_stonith_action").unwrap_or("reboot")),
        ActionKind::Cluster => Tag::new("cluster_action")
            .with("task", action.operation.as_str())
            .with("node", node.unwrap_or_default())
            .with_some("id", action.resource.as_ref().map(|r| &r.id)),
        ActionKind::Resource => Tag::new("rsc_action")
            .with("resource", shown(st, action))
            .with("op", action.operation.as_str())
            .with("node", node.unwrap_or_default())
            .with_some("interval", action.attribute("CRM_meta_interval").filter(|i| *i != "0")),
    }
}
