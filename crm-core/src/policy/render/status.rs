//! The status block: nodes, and every resource where it is.

use std::collections::BTreeMap;

use super::List;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::reference_order::compare_names;
use crate::policy::state::{HealthStrategy, Role, State, Variant, history_op, operation};
use crate::policy::values;

/// How much of the status is shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Show {
    /// Pending actions replace states (`Starting`, …).
    pub pending: bool,
    /// Node attributes (`-A`).
    pub attributes: bool,
    /// Fail counts (`-c`).
    pub fail_counts: bool,
    /// Failed actions; shown with either of the sections above.
    pub failures: bool,
    /// Only what is active somewhere (`crm_mon` without `-r`).
    pub active_only: bool,
}

/// Writes nodes and resources into an open list.
pub fn status(list: &mut List, st: &State, show: Show) {
    if nodes(list, st) {
        list.blank();
    }
    resources(list, st, show);
    if show.attributes {
        attributes(list, st);
    }
    if show.fail_counts {
        fail_counts(list, st);
    }
    if show.failures && !st.failed_ops.is_empty() {
        failures(list, st);
    }
}

/// Writes the resources under their heading.
pub fn resources(list: &mut List, st: &State, show: Show) {
    list.begin(if show.active_only { "Active Resources" } else { "Full List of Resources" });
    let mut any = false;
    for &r in &st.top {
        let active = st.is_active(r, false);
        // A collective of which only blocked or unmanaged parts are active, on nodes that are down, is not
        // counted as being on any node, and the reference leaves it out.
        let nowhere = active && st[r].running_on.is_empty();
        if (st[r].flags.orphan && !active && st[r].role <= Role::Stopped)
            || (show.active_only && !active)
            || nowhere
        {
            continue;
        }
        any = true;
        resource(list, st, r, show);
    }
    if !any {
        list.item(if show.active_only { "No active resources" } else { "No resources" });
    }
    list.end();
}

fn node_word(st: &State, n: NodeIx) -> &'static str {
    if st.is_guest_node(n) {
        "GuestNode"
    } else if st[n].is_remote_kind() {
        "RemoteNode"
    } else {
        "Node"
    }
}

/// Red (−1), yellow (0) or green (1); words decide before scores do.
pub(super) fn health(st: &State, n: NodeIx) -> i32 {
    if st.options.health_strategy == HealthStrategy::None {
        return 1;
    }
    let scores = &st.options.health;
    let one = |value: &str| {
        let is = |word: &str| value.eq_ignore_ascii_case(word);
        if is("red") {
            return -1;
        }
        if is("yellow") {
            return 0;
        }
        if is("green") {
            return 1;
        }
        let score = values::parse_score(Some(value), scores);
        if score <= scores.red {
            -1
        } else if score <= scores.yellow && scores.yellow != scores.green {
            0
        } else {
            1
        }
    };
    let attributes = st[n].attributes.iter().filter(|(name, _)| name.starts_with("#health"));
    attributes.map(|(_, value)| one(value)).min().unwrap_or(1)
}

fn node_state(st: &State, n: NodeIx) -> String {
    let node = &st[n];
    let text = if node.unclean {
        if node.online {
            "UNCLEAN (online)"
        } else if node.pending {
            "UNCLEAN (pending)"
        } else {
            "UNCLEAN (offline)"
        }
    } else if node.pending {
        "pending"
    } else if node.standby_onfail && node.online {
        "standby (on-fail)"
    } else if node.standby {
        if !node.online {
            "OFFLINE (standby)"
        } else if node.running.is_empty() {
            "standby"
        } else {
            "standby (with active resources)"
        }
    } else if node.maintenance {
        if node.online { "maintenance" } else { "OFFLINE (maintenance)" }
    } else if node.online {
        "online"
    } else {
        "OFFLINE"
    };
    let health = match health(st, n) {
        -1 => " (health is RED)",
        0 => " (health is YELLOW)",
        _ => "",
    };
    format!("{text}{health}")
}

/// Writes the node list; false if there are no nodes.
pub fn nodes(list: &mut List, st: &State) -> bool {
    if st.node_order.is_empty() {
        return false;
    }
    list.begin("Node List");
    let mut groups: [Vec<&str>; 5] = Default::default();
    for &n in &st.node_order {
        let node = &st[n];
        let special = node.unclean
            || node.pending
            || node.standby_onfail && node.online
            || node.standby
            || node.maintenance
            || health(st, n) <= 0;
        if special {
            list.item(&format!("{} {}: {}", node_word(st, n), node.name, node_state(st, n)));
            continue;
        }
        let (up, down) = match node_word(st, n) {
            "GuestNode" => (4, None),
            "RemoteNode" => (2, Some(3)),
            _ => (0, Some(1)),
        };
        let at = if node.online { Some(up) } else { down };
        if let Some(group) = at.and_then(|at| groups.get_mut(at)) {
            group.push(&node.name);
        }
    }
    let titles = ["Online", "OFFLINE", "RemoteOnline", "RemoteOFFLINE", "GuestOnline"];
    for (title, names) in titles.iter().zip(&groups) {
        if !names.is_empty() {
            list.labelled(title, &bracketed(names));
        }
    }
    list.end();
    true
}

fn bracketed(names: &[&str]) -> String {
    format!("[ {} ]", names.join(" "))
}

fn resource(list: &mut List, st: &State, r: ResourceIx, show: Show) {
    match st[r].variant() {
        // Connections that a guest brings with it are not the administrator's.
        Variant::Primitive if values::is_true(st[r].meta("internal_rsc")) => {}
        Variant::Primitive => {
            let line = primitive(st, r, printable_id(st, r), st.current(r), show);
            list.item(&line);
        }
        Variant::Group => {
            let shown = |m: &ResourceIx| !show.active_only || st.is_active(*m, false);
            let hidden = st[r].children.iter().filter(|m| !shown(m)).count();
            let inactive = match hidden {
                0 => None,
                1 => Some("1 member inactive".to_owned()),
                n => Some(format!("{n} members inactive")),
            };
            let own: Vec<&str> = inactive.iter().map(String::as_str).collect();
            list.begin(&format!("Resource Group: {}{}", st[r].id, flags(st, r, &own)));
            for &m in st[r].children.iter().filter(|m| shown(m)) {
                resource(list, st, m, show);
            }
            list.end();
        }
        Variant::Clone => clone(list, st, r, show),
        Variant::Bundle => bundle(list, st, r, show),
    }
}

/// `unmanaged` and `disabled` after what a kind of resource shows of its own.
fn flags(st: &State, r: ResourceIx, own: &[&str]) -> String {
    let mut words = own.to_vec();
    if !st[r].flags.managed {
        words.push("unmanaged");
    }
    if st[r].is_disabled() {
        words.push("disabled");
    }
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(", ")) }
}

/// The configured role; of a collective without one, that of its first part.
fn target_role(st: &State, r: ResourceIx) -> Role {
    let own = st[r].meta("target-role");
    let word = own.or_else(|| st[r].children.first().and_then(|&c| st[c].meta("target-role")));
    word.map_or(Role::Unknown, Role::parse)
}

/// The configured name for anonymous instances, the numbered one for unique resources.
pub fn printable_id(st: &State, r: ResourceIx) -> &str {
    if st[r].flags.unique { &st[r].id } else { st[r].config_id() }
}

pub(super) fn shown_role(st: &State, r: ResourceIx) -> Role {
    match st[r].role {
        Role::Started if st[st.top_of(r)].flags.promotable => Role::Unpromoted,
        role => role,
    }
}

fn primitive(st: &State, r: ResourceIx, name: &str, node: Option<NodeIx>, show: Show) -> String {
    let rsc = &st[r];
    let provider = match rsc.provider() {
        Some(p) if has_provider(rsc.class()) => format!(":{p}"),
        _ => String::new(),
    };
    let mut line = format!("{name}\t({}{provider}:{}):\t", rsc.class(), rsc.agent());
    if rsc.flags.orphan {
        line.push_str(" ORPHANED");
    }
    let role = shown_role(st, r);
    if rsc.flags.failed {
        line.push_str(" FAILED");
        if role > Role::Unpromoted {
            line.push(' ');
            line.push_str(role.word());
        }
    } else {
        line.push(' ');
        let pending = if show.pending { pending_state(st, r) } else { None };
        line.push_str(pending.unwrap_or(role.word()));
    }
    let several = rsc.running_on.len() > 1;
    let at = node.or(rsc.pending_node).or(rsc.lock_node).filter(|_| !several);
    if let Some(n) = at {
        line.push(' ');
        line.push_str(&st[n].name);
    }
    if role == Role::Stopped {
        if let Some(text) = failed_probe(st, printable_id(st, r), at) {
            line.push_str(&format!(" ({text}) "));
        }
    }
    let mut words: Vec<String> = Vec::new();
    if at.is_some_and(|n| !st[n].online && st[n].unclean) {
        words.push("UNCLEAN".to_owned());
    }
    if at.is_some() && at == rsc.lock_node {
        words.push("LOCKED".to_owned());
    }
    if show.pending && rsc.pending_task.as_deref() == Some("monitor") {
        words.push("Monitoring".to_owned());
    }
    match target_role(st, r) {
        Role::Stopped => words.push("disabled".to_owned()),
        Role::Unpromoted if st[st.top_of(r)].flags.promotable => {
            words.push(format!("target-role:{}", rsc.meta("target-role").unwrap_or_default()));
        }
        _ => {}
    }
    if rsc.flags.blocked {
        words.push("blocked".to_owned());
    } else if !rsc.flags.managed {
        words.push("unmanaged".to_owned());
    }
    if rsc.flags.failure_ignored {
        words.push("failure ignored".to_owned());
    }
    if !words.is_empty() {
        line.push_str(&format!(" ({})", words.join(", ")));
    }
    if several {
        let names: Vec<&str> = rsc.running_on.iter().map(|&n| st[n].name.as_str()).collect();
        line.push(' ');
        line.push_str(&bracketed(&names));
    }
    line
}

pub(super) fn has_provider(class: &str) -> bool {
    class.eq_ignore_ascii_case("ocf")
}

pub(super) fn pending_state(st: &State, r: ResourceIx) -> Option<&'static str> {
    Some(match st[r].pending_task.as_deref()? {
        "start" => "Starting",
        "stop" => "Stopping",
        "migrate_to" | "migrate_from" => "Migrating",
        "promote" => "Promoting",
        "demote" => "Demoting",
        _ => return None,
    })
}

/// The result of a probe that counts as "not running" although it failed.
fn failed_probe(st: &State, id: &str, node: Option<NodeIx>) -> Option<&'static str> {
    let failed = st.failed_ops.iter().find(|f| {
        let probe =
            f.op.attr("operation") == Some("monitor") && values::history_ms(f.op.attr("interval")) == 0;
        let masked = matches!(f.op.attr("rc-code"), Some("2" | "5")) || f.op.attr("op-status") == Some("7");
        let key = f.op.attr("operation_key").or(f.op.id()).unwrap_or_default();
        let named = operation::parse_key(key).is_some_and(|(name, _, _)| name == id);
        // The entry itself has to say where it was run; without, the reference does not show it.
        let there =
            f.op.attr("on_node").is_some_and(|at| node.is_none_or(|n| st[n].name.eq_ignore_ascii_case(at)));
        probe && masked && there && named
    })?;
    let rc = failed.op.attr("rc-code").map_or(-1, |t| values::scan_or(t, -1));
    Some(history_op::rc_text(rc))
}

fn any_below(st: &State, r: ResourceIx, test: &impl Fn(ResourceIx) -> bool) -> bool {
    test(r) || st[r].children.iter().any(|&c| any_below(st, c, test))
}

fn highest_role(st: &State, r: ResourceIx) -> Role {
    let below = st[r].children.iter().map(|&c| highest_role(st, c)).max();
    below.unwrap_or(st[r].role)
}

fn current_nodes(st: &State, r: ResourceIx, out: &mut Vec<NodeIx>) {
    if st[r].is_primitive() {
        for &n in &st[r].running_on {
            if !out.contains(&n) {
                out.push(n);
            }
        }
    }
    for &c in &st[r].children {
        current_nodes(st, c, out);
    }
}

fn clone(list: &mut List, st: &State, r: ResourceIx, show: Show) {
    let rsc = &st[r];
    let content = rsc.clone_info().and_then(|c| c.template.as_ref()).and_then(|t| t.id());
    let mut own = Vec::new();
    if rsc.flags.promotable {
        own.push("promotable");
    }
    if rsc.flags.unique {
        own.push("unique");
    }
    list.begin(&format!("Clone Set: {} [{}]{}", rsc.id, content.unwrap_or_default(), flags(st, r, &own)));
    let mut promoted = Vec::new();
    let mut started = Vec::new();
    for &i in &rsc.children {
        let active = st.is_active(i, false);
        if active && st[i].running_on.is_empty() {
            continue; // blocked or unmanaged on a node that is down: not counted as being anywhere
        }
        let shown = !show.active_only || active;
        if shown && printed_alone(st, r, i, show, &mut promoted, &mut started) {
            resource(list, st, i, show);
        }
    }
    let active = promoted.len() + started.len();
    let names = |nodes: &mut Vec<NodeIx>| {
        nodes.sort_by(|a, b| compare_names(&st[*a].name, &st[*b].name));
        let names: Vec<&str> = nodes.iter().map(|&n| st[n].name.as_str()).collect();
        bracketed(&names)
    };
    if !promoted.is_empty() {
        let text = names(&mut promoted);
        list.labelled("Promoted", &text);
    }
    if !started.is_empty() {
        let text = names(&mut started);
        if !rsc.flags.promotable {
            list.labelled("Started", &text);
        } else if target_role(st, r) == Role::Unpromoted {
            list.labelled("Unpromoted (target-role)", &text);
        } else {
            list.labelled("Unpromoted", &text);
        }
    }
    let max = rsc.clone_info().map_or(0, |c| c.max);
    if !show.active_only && !rsc.flags.unique && i64::from(max) > i64::try_from(active).unwrap_or(i64::MAX) {
        stopped(list, st, r);
    }
    list.end();
}

/// Whether an instance has a line of its own; if not, its node goes to one of the lists.
fn printed_alone(
    st: &State,
    r: ResourceIx,
    i: ResourceIx,
    show: Show,
    promoted: &mut Vec<NodeIx>,
    started: &mut Vec<NodeIx>,
) -> bool {
    let partly = st.is_active(i, false);
    if st[r].flags.unique {
        return partly || !st[i].flags.orphan;
    }
    let pending = st[i].pending_task.as_deref();
    if show.pending && pending.is_some_and(|t| t != "probe") {
        return true;
    }
    if !partly {
        return false;
    }
    let odd = any_below(st, i, &|x| st[x].flags.orphan)
        || any_below(st, i, &|x| !st[x].flags.managed)
        || any_below(st, i, &|x| st[x].flags.failed);
    if odd || !st.is_active(i, true) {
        return true;
    }
    let mut nodes = Vec::new();
    current_nodes(st, i, &mut nodes);
    let [node] = nodes.as_slice() else { return true };
    if !st[*node].online && st[*node].unclean {
        return true;
    }
    if highest_role(st, i) > Role::Unpromoted {
        promoted.push(*node);
    } else {
        started.push(*node);
    }
    false
}

/// Where an anonymous clone has no instance.
fn stopped(list: &mut List, st: &State, r: ResourceIx) {
    let rsc = &st[r];
    let allowed = !rsc.table.is_empty();
    let mut states: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    // By the clone's own list: it lacks nodes that are down where the instance is blocked or unmanaged.
    let on = &rsc.running_on;
    for &n in &st.node_order {
        let listed = if allowed { rsc.table.contains(n) } else { rsc.known_on.contains(&n) };
        if !listed || on.contains(&n) {
            continue;
        }
        let mut state = "Stopped".to_owned();
        if target_role(st, r) == Role::Stopped {
            state = "Stopped (disabled)".to_owned();
        }
        let content = rsc.clone_info().and_then(|c| c.template.as_ref()).and_then(|t| t.id());
        if let Some(text) = content.and_then(|id| failed_probe(st, id, Some(n))) {
            state = format!("Stopped ({text})");
        }
        states.entry(state).or_default().push(&st[n].name);
    }
    for (state, names) in states {
        list.labelled(&state, &bracketed(&names));
    }
}

fn bundle(list: &mut List, st: &State, r: ResourceIx, show: Show) {
    let Some(info) = st[r].bundle_info() else { return };
    list.begin(&format!(
        "Container bundle{}: {} [{}]{}{}",
        if info.replicas.len() > 1 { " set" } else { "" },
        st[r].id,
        info.image,
        if st[r].flags.unique { " (unique)" } else { "" },
        if st[r].flags.managed { "" } else { " (unmanaged)" },
    ));
    for replica in &info.replicas {
        let shown = replica.child.unwrap_or(replica.container);
        let named = replica.remote.unwrap_or(replica.container);
        let mut name = printable_id(st, named).to_owned();
        if let Some(ip) = &replica.ipaddr {
            name.push_str(&format!(" ({ip})"));
        }
        list.item(&primitive(st, shown, &name, st.current(replica.container), show));
    }
    list.end();
}

/// Node attributes that are the cluster's own business.
pub(super) fn hidden(name: &str) -> bool {
    name.starts_with('#')
        || ["fail-count-", "last-failure-"].iter().any(|p| name.starts_with(p))
        || matches!(
            name,
            "shutdown" | "terminate" | "standby" | "maintenance" | "resource-discovery-enabled" | "site-name"
        )
}

pub fn attributes(list: &mut List, st: &State) {
    list.blank();
    list.begin("Node Attributes");
    for &n in &st.node_order {
        if !st[n].online {
            continue;
        }
        let mut own: Vec<(&String, &String)> =
            st[n].attributes.iter().filter(|(name, _)| !hidden(name)).collect();
        if own.is_empty() {
            continue;
        }
        own.sort();
        list.begin(&format!("Node: {}", st[n].name));
        for (name, value) in own {
            list.item(&format!("{name:<32}\t: {value:<10}"));
        }
        list.end();
    }
    list.end();
}

pub fn fail_counts(list: &mut List, st: &State) {
    let mut st = st.clone();
    let mut lines: Vec<(NodeIx, Vec<String>)> = Vec::new();
    for n in st.node_order.clone() {
        let mut own = Vec::new();
        for r in st.top.clone() {
            collect_fail_counts(&mut st, n, r, &mut own);
        }
        if !own.is_empty() {
            lines.push((n, own));
        }
    }
    list.blank();
    list.begin("Migration Summary");
    for (n, own) in lines {
        list.begin(&format!("Node: {}", st[n].name));
        for line in own {
            list.item(&line);
        }
        list.end();
    }
    list.end();
}

fn collect_fail_counts(st: &mut State, n: NodeIx, r: ResourceIx, out: &mut Vec<String>) {
    for c in st[r].children.clone() {
        collect_fail_counts(st, n, c, out);
    }
    if !st[r].is_primitive() {
        return;
    }
    let count = st.fail_count(n, r, false, false, None);
    if count.count <= 0 {
        return;
    }
    let rsc = &st[r];
    let mut line = format!(
        "{}: migration-threshold={} fail-count={}",
        printable_id(st, r),
        rsc.migration_threshold,
        values::ShowScore(count.count)
    );
    if count.last > 0 {
        line.push_str(&format!(" last-failure='{}'", long_time(count.last, st.utc_offset)));
    }
    out.push(line);
}

pub fn failures(list: &mut List, st: &State) {
    list.blank();
    list.begin("Failed Resource Actions");
    for failed in &st.failed_ops {
        let op = &failed.op;
        let key = op.attr("operation_key").or(op.id()).unwrap_or_default();
        let rc = op.attr("rc-code").map_or(-1, |t| values::scan_or(t, -1));
        let status = op.attr("op-status").map_or(0, |t| values::scan_or(t, 0));
        let mut line = format!(
            "{key} on {} '{}' ({rc}): call={}, status='{}'",
            st[failed.node].name,
            history_op::rc_text(rc),
            op.attr("call-id").unwrap_or("0"),
            status_text(status),
        );
        if let Some(reason) = op.attr("exit-reason").filter(|r| !r.is_empty()) {
            line.push_str(&format!(", exitreason='{reason}'"));
        }
        if let Some(at) = op.attr("last-rc-change").map(|t| values::scan_or(t, 0)) {
            line.push_str(&format!(", last-rc-change='{}'", long_time(at, st.utc_offset)));
        }
        for (label, name) in [("queued", "queue-time"), ("exec", "exec-time")] {
            if let Some(ms) = op.attr(name) {
                line.push_str(&format!(", {label}={ms}ms"));
            }
        }
        list.item(&line);
    }
    list.end();
}

/// Failed actions in `crm_mon`'s short form: `RSC 10s-interval monitor on NODE returned 'TEXT' (REASON)
/// at TIME after 5ms`.
pub fn failures_in_words(list: &mut List, st: &State) {
    list.begin("Failed Resource Actions");
    for failed in &st.failed_ops {
        list.item(&failure_in_words(st, &failed.op, &failed.resource, &st[failed.node].name));
    }
    list.end();
}

fn failure_in_words(st: &State, op: &cib::Element, resource: &str, node: &str) -> String {
    let interval = values::history_ms(op.attr("interval"));
    let task = match op.attr("operation").unwrap_or_default() {
        "monitor" if interval == 0 => "probe",
        task => task,
    };
    let every = if interval > 0 { format!("{}-interval ", human_ms(interval)) } else { String::new() };
    let rc = op.attr("rc-code").map_or(-1, |t| values::scan_or(t, -1));
    let status = op.attr("op-status").map_or(0, |t| values::scan_or(t, 0));
    let reason = op.attr("exit-reason").filter(|r| !r.is_empty());
    let mut line = format!("{resource} {every}{task} on {node} ");
    if status == 0 {
        line.push_str(&format!("returned '{}'", history_op::rc_text(rc)));
        if let Some(reason) = reason {
            line.push_str(&format!(" ({reason})"));
        }
    } else {
        let reason = reason.map(|r| format!(": {r}")).unwrap_or_default();
        line.push_str(&format!("could not be executed ({}{reason})", status_text(status)));
    }
    if let Some(at) = op.attr("last-rc-change").map(|t| values::scan_or(t, 0)).filter(|at| *at > 0) {
        line.push_str(&format!(" at {}", long_time(at, st.utc_offset)));
    }
    let took = op.attr("exec-time").map_or(0, |t| values::scan_or(t, 0));
    if let Ok(took @ 1..) = u64::try_from(took) {
        line.push_str(&format!(" after {}", human_ms(took)));
    }
    line
}

/// `1m30s`, `10s`, `5ms`.
fn human_ms(ms: impl Into<u64>) -> String {
    let ms = ms.into();
    let parts = [
        (ms / 86_400_000, "d"),
        (ms / 3_600_000 % 24, "h"),
        (ms / 60_000 % 60, "m"),
        (ms / 1000 % 60, "s"),
        (ms % 1000, "ms"),
    ];
    let text: String = parts.iter().filter(|(n, _)| *n > 0).map(|(n, unit)| format!("{n}{unit}")).collect();
    if text.is_empty() { "0s".to_owned() } else { text }
}

pub(super) fn status_text(status: i64) -> &'static str {
    match status {
        -1 => "pending",
        0 => "complete",
        1 => "Cancelled",
        2 => "Timed Out",
        3 => "NOT SUPPORTED",
        4 => "Error",
        5 => "Hard error",
        6 => "Fatal error",
        7 => "Not installed",
        8 => "Internal communication failure",
        9 => "Cannot execute now",
        10 => "No fence device",
        11 => "CIB secrets unavailable",
        _ => "UNKNOWN!",
    }
}

/// `Fri Nov 20 14:26:59 2026` in local time.
pub fn long_time(epoch: i64, utc_offset: i32) -> String {
    let local = epoch.saturating_add(i64::from(utc_offset));
    let days = local.div_euclid(86_400);
    let seconds = local.rem_euclid(86_400);
    let (year, month, day) = crate::policy::dates::civil_from_days(days);
    let names = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let at = |i: i64, n: &[&'static str]| {
        usize::try_from(i).ok().and_then(|i| n.get(i).copied()).unwrap_or_default()
    };
    format!(
        "{} {} {day:>2} {:02}:{:02}:{:02} {year}",
        at(days.rem_euclid(7), &names),
        at(month - 1, &months),
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60,
    )
}
