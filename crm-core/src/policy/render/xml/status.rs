//! The status block as elements: nodes, and every resource with the nodes it is active on.

use super::Tag;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::render::status::Show;
use crate::policy::render::status::extras::{Failing, Shown, failing, has_history, shown_attributes};
use crate::policy::render::status::failures::{shown_failures, shown_status, status_text};
use crate::policy::render::status::nodes::health;
use crate::policy::render::status::resource::{has_provider, pending_state, printable_id, shown_role};
use crate::policy::simulator::text::utc_time;
use crate::policy::state::{FailedOp, State, Variant, history_op};
use crate::policy::values;

/// `<nodes>` and `<resources>` within `name` (`cluster_status`, `revised_cluster_status`).
pub fn status(name: &str, st: &State, show: Show) -> Tag {
    let nodes = st.node_order.iter().map(|&n| node(st, n));
    let mut tag = Tag::new(name);
    if !st.node_order.is_empty() {
        tag.push(Tag::new("nodes").with_children(nodes));
    }
    let mut list = Tag::new("resources");
    for &r in &st.top {
        let active = st.is_active(r, false);
        // What is known from history only and not active is left out; within a collective it is shown.
        // As in text, a collective of which nothing but blocked parts on dead nodes is active is not.
        if st[r].flags.orphan && !active || active && st[r].running_on.is_empty() {
            continue;
        }
        list.push(resource(st, r, show));
    }
    tag.push(list);
    if show.attributes {
        let nodes: Vec<Tag> = st.node_order.iter().filter_map(|&n| attributes(st, n)).collect();
        if !nodes.is_empty() {
            tag.push(Tag::new("node_attributes").with_children(nodes));
        }
    }
    if show.fail_counts && has_history(st) {
        tag.push(fail_counts(st));
    }
    if show.failures && shown_failures(st).next().is_some() {
        tag.push(Tag::new("failures").with_children(shown_failures(st).map(|f| failure(st, f))));
    }
    tag
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
        let version = node.attributes.iter().find(|(name, _)| name.as_str() == "#feature-set");
        tag = tag.with("feature_set", version.map_or("<3.15.1", |(_, value)| value.as_str()));
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
