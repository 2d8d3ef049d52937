//! The status block as elements: nodes, and every resource with the nodes it is active on.

use super::Tag;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::render::status::extras::{Failing, Shown, failing, has_history, shown_attributes};
use crate::policy::render::status::failures::{long_time, shown_failures, shown_status, status_text};
use crate::policy::render::status::nodes::{feature_set, health};
use crate::policy::render::status::operations::{History, Operation, histories};
use crate::policy::render::status::resource::{has_provider, pending_state, printable_id, shown_role};
use crate::policy::render::status::{Ban, Show, found_bans};
use crate::policy::simulator::text::utc_time;
use crate::policy::state::{FailedOp, State, Ticket, Variant, history_op};
use crate::policy::values;

/// `<nodes>` and `<resources>` within `name` (`cluster_status`, `revised_cluster_status`).
pub fn status(name: &str, st: &State, show: Show) -> Tag {
    let mut tag = Tag::new(name);
    if !st.node_order.is_empty() {
        tag.push(nodes(st, show, &|_| true));
    }
    tag.push(resources(st, show, &|_| true));
    if show.attributes {
        tag = tag.with_children(node_attributes(st, &|_| true));
    }
    if show.fail_counts && has_history(st) {
        tag.push(fail_counts(st));
    }
    if show.failures {
        tag = tag.with_children(failures(st, &|_| true));
    }
    tag
}

/// `<nodes>`, each with what runs there where `show` says so.
pub fn nodes(st: &State, show: Show, wanted: &dyn Fn(NodeIx) -> bool) -> Tag {
    let nodes = st.node_order.iter().filter(|&&n| wanted(n)).map(|&n| {
        let tag = node(st, n);
        if !show.below_node {
            return tag;
        }
        tag.with_children(st[n].running.iter().map(|&r| primitive(st, r, show)))
    });
    Tag::new("nodes").with_children(nodes)
}

/// `<resources>`
pub fn resources(st: &State, show: Show, wanted: &dyn Fn(ResourceIx) -> bool) -> Tag {
    let mut list = Tag::new("resources");
    for &r in &st.top {
        let active = st.is_active(r, false);
        // What is known from history only and not active is left out; within a collective it is shown.
        // As in text, a collective of which nothing but blocked parts on dead nodes is active is not.
        if st[r].flags.orphan && !active || active && st[r].running_on.is_empty() || !wanted(r) {
            continue;
        }
        list.push(resource(st, r, show));
    }
    list
}

/// `<node_attributes>`, if there are any.
pub fn node_attributes(st: &State, wanted: &dyn Fn(NodeIx) -> bool) -> Option<Tag> {
    let nodes: Vec<Tag> =
        st.node_order.iter().filter(|&&n| wanted(n)).filter_map(|&n| attributes(st, n)).collect();
    (!nodes.is_empty()).then(|| Tag::new("node_attributes").with_children(nodes))
}

/// `<failures>`, if there are any.
pub fn failures(st: &State, wanted: &dyn Fn(NodeIx) -> bool) -> Option<Tag> {
    let failed: Vec<Tag> = shown_failures(st).filter(|f| wanted(f.node)).map(|f| failure(st, f)).collect();
    (!failed.is_empty()).then(|| Tag::new("failures").with_children(failed))
}

/// `<node_history>` with operations: what was done with each resource, by node; if some node is online.
pub fn history(st: &State, wanted: &dyn Fn(NodeIx) -> bool) -> Option<Tag> {
    let one = |own: History| {
        Tag::new("resource_history")
            .with("id", own.name)
            .with_flag("orphan", own.orphan)
            .with("migration-threshold", own.threshold.to_string())
            .with_some("fail-count", own.failed.as_ref().map(|failed| failed.count.to_string()))
            .with_some("last-failure", own.failed.and_then(|failed| failed.last))
            .with_children(own.operations.into_iter().map(operation))
    };
    let nodes: Vec<Tag> = histories(st)
        .into_iter()
        .filter(|(n, _)| wanted(*n))
        .map(|(n, own)| Tag::new("node").with("name", &st[n].name).with_children(own.into_iter().map(one)))
        .collect();
    has_history(st).then(|| Tag::new("node_history").with_children(nodes))
}

fn operation(op: Operation) -> Tag {
    let ms = |text: String| format!("{text}ms");
    Tag::new("operation_history")
        .with("call", op.call.to_string())
        .with("task", op.task)
        .with("rc", op.rc.to_string())
        .with("rc_text", history_op::rc_text(op.rc))
        .with_some("interval", (op.interval_ms > 0).then(|| format!("{}ms", op.interval_ms)))
        .with_some("last-rc-change", op.changed)
        .with_some("exec-time", op.exec.map(ms))
        .with_some("queue-time", op.queued.map(ms))
}

/// `<tickets>`, if there are any.
pub fn tickets(st: &State) -> Option<Tag> {
    let one = |(name, ticket): (&String, &Ticket)| {
        Tag::new("ticket")
            .with("id", name)
            .with("status", if ticket.granted { "granted" } else { "revoked" })
            .with_flag("standby", ticket.standby)
            .with_some(
                "last-granted",
                (ticket.last_granted > -1).then(|| long_time(ticket.last_granted, st.utc_offset)),
            )
    };
    (!st.tickets.is_empty()).then(|| Tag::new("tickets").with_children(st.tickets.iter().map(one)))
}

/// `<bans>`, if there are any whose id begins with `prefix`.
pub fn bans(st: &State, prefix: &str) -> Option<Tag> {
    let one = |ban: Ban| {
        Tag::new("ban")
            .with("id", ban.id())
            .with("resource", &st[ban.location.resource].id)
            .with("node", &st[ban.node].name)
            .with("weight", ban.score.to_string())
            .with_flag("promoted-only", ban.promoted_only())
            // The old name of the same.
            .with_flag("master_only", ban.promoted_only())
    };
    let found: Vec<Tag> = found_bans(st, prefix).map(one).collect();
    (!found.is_empty()).then(|| Tag::new("bans").with_children(found))
}

/// The attributes of a node that is online, by name; nothing for a node without any.
fn attributes(st: &State, n: NodeIx) -> Option<Tag> {
    let own = shown_attributes(st, n);
    let one = |own: Shown<'_>| {
        let tag = Tag::new("attribute").with("name", own.name).with("value", own.value);
        tag.with_some("expected", own.expected.map(|value| value.to_string()))
    };
    let tag = Tag::new("node").with("name", &st[n].name);
    (!own.is_empty()).then(|| tag.with_children(own.into_iter().map(one)))
}

/// `<node_history>`: resources with failures, by node.
fn fail_counts(st: &State) -> Tag {
    let one = |own: Failing| {
        Tag::new("resource_history")
            .with("id", own.name)
            // Whatever history brought into the state counts as known.
            .with_flag("orphan", false)
            .with("migration-threshold", own.threshold.to_string())
            .with("fail-count", own.count.to_string())
            .with_some("last-failure", own.last)
    };
    let nodes = failing(st)
        .into_iter()
        .map(|(n, own)| Tag::new("node").with("name", &st[n].name).with_children(own.into_iter().map(one)));
    Tag::new("node_history").with_children(nodes)
}

/// One failed action.
fn failure(st: &State, failed: &FailedOp) -> Tag {
    let op = &failed.op;
    let rc = op.attr("rc-code").map_or(-1, |t| values::scan_or(t, -1));
    let status = shown_status(op);
    let tag = match op.attr("operation_key") {
        Some(key) => Tag::new("failure").with("op_key", key),
        None => Tag::new("failure").with("id", op.id().unwrap_or_default()),
    };
    let tag = tag
        .with("node", &st[failed.node].name)
        .with("exitstatus", history_op::rc_text(rc))
        .with("exitreason", op.attr("exit-reason").unwrap_or("none"))
        .with("exitcode", rc.to_string())
        .with("call", op.attr("call-id").unwrap_or("0"))
        .with("status", status_text(status));
    let Some(at) = op.attr("last-rc-change").map(|t| values::scan_or(t, 0)) else { return tag };
    tag.with("last-rc-change", utc_time(at))
        .with_some("queued", op.attr("queue-time"))
        .with_some("exec", op.attr("exec-time"))
        .with("interval", values::history_ms(op.attr("interval")).to_string())
        .with("task", op.attr("operation").unwrap_or_default())
}

fn node(st: &State, n: NodeIx) -> Tag {
    let node = &st[n];
    let health = match health(st, n) {
        -1 => "red",
        0 => "yellow",
        _ => "green",
    };
    let mut tag = Tag::new("node").with("name", &node.name).with("id", &node.id);
    for (name, value) in [
        ("online", node.online),
        ("standby", node.standby),
        ("standby_onfail", node.standby_onfail),
        ("maintenance", node.maintenance),
        ("pending", node.pending),
        ("unclean", node.unclean),
    ] {
        tag = tag.with_flag(name, value);
    }
    tag = tag.with("health", health);
    if node.online && !node.is_remote_kind() {
        tag = tag.with("feature_set", feature_set(st, n));
    }
    tag.with_flag("shutdown", node.shutdown)
        .with_flag("expected_up", node.expected_up)
        .with_flag("is_dc", node.is_dc)
        .with("resources_running", node.running.len().to_string())
        .with("type", if node.is_remote_kind() { "remote" } else { "member" })
        .with_some("id_as_resource", st.container_of_node(n).map(|container| &st[container].id))
}

/// A resource with its parts; unlike in text, that includes the connections that guests bring with them.
fn resource(st: &State, r: ResourceIx, show: Show) -> Tag {
    let rsc = &st[r];
    let parts = || rsc.children.iter().map(|&c| resource(st, c, show));
    match rsc.variant() {
        Variant::Primitive => primitive(st, r, show),
        Variant::Group => Tag::new("group")
            .with("id", &rsc.id)
            .with("number_resources", rsc.children.len().to_string())
            .with_flag("managed", rsc.flags.managed)
            .with_flag("disabled", rsc.is_disabled())
            .with_children(parts()),
        Variant::Clone => Tag::new("clone")
            .with("id", &rsc.id)
            .with_flag("multi_state", rsc.flags.promotable)
            .with_flag("unique", rsc.flags.unique)
            .with_flag("managed", rsc.flags.managed)
            .with_flag("disabled", rsc.is_disabled())
            .with_flag("failed", rsc.flags.failed)
            .with_flag("failure_ignored", rsc.flags.failure_ignored)
            .with_some("target_role", target_role(st, r))
            .with_children(parts()),
        Variant::Bundle => bundle(st, r, show),
    }
}

/// As configured; of a collective without one, that of its first part.
fn target_role(st: &State, r: ResourceIx) -> Option<&str> {
    let own = st[r].meta("target-role");
    own.or_else(|| st[r].children.first().and_then(|&c| st[c].meta("target-role")))
}

fn bundle(st: &State, r: ResourceIx, show: Show) -> Tag {
    let rsc = &st[r];
    let Some(info) = rsc.bundle_info() else { return Tag::new("bundle").with("id", &rsc.id) };
    let mut tag = Tag::new("bundle")
        .with("id", &rsc.id)
        .with("type", &info.agent)
        .with("image", &info.image)
        .with_flag("unique", rsc.flags.unique)
        .with_flag("managed", rsc.flags.managed)
        .with_flag("failed", rsc.flags.failed);
    for replica in &info.replicas {
        let parts = [replica.ip, replica.child, Some(replica.container), replica.remote];
        let parts = parts.into_iter().flatten().map(|part| primitive(st, part, show));
        tag.push(Tag::new("replica").with("id", replica.number.to_string()).with_children(parts));
    }
    tag
}

fn primitive(st: &State, r: ResourceIx, show: Show) -> Tag {
    let rsc = &st[r];
    let provider = match rsc.provider() {
        Some(p) if has_provider(rsc.class()) => format!(":{p}"),
        _ => String::new(),
    };
    let pending = if show.pending { pending_state(st, r) } else { None };
    let mut tag = Tag::new("resource")
        .with("id", printable_id(st, r))
        .with("resource_agent", format!("{}{provider}:{}", rsc.class(), rsc.agent()))
        .with("role", pending.unwrap_or(shown_role(st, r).word()))
        .with_some("target_role", target_role(st, r));
    for (name, value) in [
        ("active", st.is_active(r, true)),
        ("orphaned", rsc.flags.orphan),
        ("blocked", rsc.flags.blocked),
        ("managed", rsc.flags.managed),
        ("failed", rsc.flags.failed),
        ("failure_ignored", rsc.flags.failure_ignored),
    ] {
        tag = tag.with_flag(name, value);
    }
    let monitoring = show.pending && rsc.pending_task.as_deref() == Some("monitor");
    let tag = tag
        .with("nodes_running_on", rsc.running_on.len().to_string())
        .with_some("pending", monitoring.then_some("Monitoring"))
        .with_some("locked_to", rsc.lock_node.map(|n| &st[n].name));
    tag.with_children(rsc.running_on.iter().map(|&n| {
        let node = Tag::new("node").with("name", &st[n].name).with("id", &st[n].id);
        node.with_flag("cached", st[n].online)
    }))
}
