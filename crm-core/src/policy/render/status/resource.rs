//! A resource in the status block: one line for a primitive, a list for what has parts.

use super::failures::masked_probe;
use super::nodes::bracketed;
use super::{Show, brief, clone};
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::render::List;
use crate::policy::state::failcount::base_name;
use crate::policy::state::{Role, State, Variant, history_op, operation};
use crate::policy::values;

pub(super) fn resource(list: &mut List, st: &State, r: ResourceIx, show: Show) {
    match st[r].variant() {
        // Connections that a guest brings with it are not the administrator's.
        Variant::Primitive if !show.detail && values::is_true(st[r].meta("internal_rsc")) => {}
        Variant::Primitive => {
            let line = primitive(st, r, printable_id(st, r), place(st, r, show), show);
            list.item_as(class(st, r), &line);
        }
        Variant::Group => {
            let shown = |m: &ResourceIx| !show.active_only || st.is_active(*m, false);
            let hidden = st[r].children.iter().filter(|m| !shown(m)).count();
            if hidden == st[r].children.len() && hidden > 0 {
                return;
            }
            let inactive = match hidden {
                0 => None,
                1 => Some("1 member inactive".to_owned()),
                n => Some(format!("{n} members inactive")),
            };
            let own: Vec<&str> = inactive.iter().map(String::as_str).collect();
            list.begin(&format!("Resource Group: {}{}", st[r].id, flags(st, r, &own)));
            if show.brief {
                brief::members(list, st, &st[r].children, show);
            } else {
                st[r].children.iter().filter(|m| shown(m)).for_each(|m| resource(list, st, *m, show));
            }
            list.end();
        }
        Variant::Clone => clone::clone(list, st, r, show),
        Variant::Bundle => bundle(list, st, r, show),
    }
}

/// `unmanaged` and `disabled` after what a kind of resource shows of its own.
pub(super) fn flags(st: &State, r: ResourceIx, own: &[&str]) -> String {
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
pub(super) fn target_role(st: &State, r: ResourceIx) -> Role {
    let own = st[r].meta("target-role");
    let word = own.or_else(|| st[r].children.first().and_then(|&c| st[c].meta("target-role")));
    word.map_or(Role::Unknown, Role::parse)
}

/// The configured name for anonymous instances, the numbered one for unique resources.
pub fn printable_id(st: &State, r: ResourceIx) -> &str {
    if st[r].flags.unique { &st[r].id } else { st[r].config_id() }
}

pub(in crate::policy::render) fn shown_role(st: &State, r: ResourceIx) -> Role {
    match st[r].role {
        Role::Started if st[st.top_of(r)].flags.promotable => Role::Unpromoted,
        role => role,
    }
}

/// What a resource that only history knows may lack.
fn word(text: &str) -> &str {
    if text.is_empty() { "unknown" } else { text }
}

/// The colour of a resource in HTML.
fn class(st: &State, r: ResourceIx) -> &'static str {
    let rsc = &st[r];
    if !rsc.flags.managed {
        "rsc-managed"
    } else if rsc.flags.failed {
        if rsc.flags.failure_ignored { "rsc-failure-ignored" } else { "rsc-failed" }
    } else if rsc.is_primitive() && (rsc.running_on.is_empty() || rsc.running_on.len() > 1) {
        if rsc.running_on.is_empty() { "rsc-failed" } else { "rsc-multiple" }
    } else {
        "rsc-ok"
    }
}

/// Where a resource is, or where an operation on it has not ended.
fn place(st: &State, r: ResourceIx, show: Show) -> Option<NodeIx> {
    st.current(r).or(st[r].pending_node.filter(|_| !show.below_node))
}

/// The line of a primitive that is on this node. A bundle's line for a replica names only where its container runs,
/// whatever has not ended elsewhere.
pub(super) fn primitive(st: &State, r: ResourceIx, name: &str, node: Option<NodeIx>, show: Show) -> String {
    let rsc = &st[r];
    let provider = match rsc.provider() {
        Some(p) if has_provider(rsc.class()) => format!(":{p}"),
        _ => String::new(),
    };
    let mut line = format!("{name}\t({}{provider}:{}):\t", word(rsc.class()), word(rsc.agent()));
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
    let at = node.or(rsc.lock_node).filter(|_| !several);
    if let Some(n) = at {
        if !show.below_node || Some(n) == rsc.lock_node {
            line.push(' ');
            line.push_str(&st[n].name);
        }
    }
    if role == Role::Stopped {
        // Below a clone the reference looks for what the clone has instances of, whatever this is.
        let top = st.top_of(r);
        let content = st[top].clone_info().and_then(|c| c.template.as_ref()).and_then(|t| t.id());
        if let Some(text) = failed_probe(st, content.unwrap_or(&st[r].id), at) {
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
    if several && !show.below_node {
        let names: Vec<&str> = rsc.running_on.iter().map(|&n| st[n].name.as_str()).collect();
        line.push(' ');
        line.push_str(&bracketed(&names));
    }
    line
}

pub(in crate::policy::render) fn has_provider(class: &str) -> bool {
    class.eq_ignore_ascii_case("ocf")
}

pub(in crate::policy::render) fn pending_state(st: &State, r: ResourceIx) -> Option<&'static str> {
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
pub(super) fn failed_probe(st: &State, id: &str, node: Option<NodeIx>) -> Option<&'static str> {
    let failed = st.failed_ops.iter().find(|f| {
        let key = f.op.attr("operation_key").or(f.op.id()).unwrap_or_default();
        // By the name without a number: instances of clones are in the lists of the clone, if anywhere.
        let named = operation::parse_key(key).is_some_and(|(name, _, _)| name == id && base_name(name) == id);
        // The entry itself has to say where it was run; without, the reference does not show it.
        let there =
            f.op.attr("on_node").is_some_and(|at| node.is_none_or(|n| st[n].name.eq_ignore_ascii_case(at)));
        masked_probe(&f.op) && there && named
    })?;
    let rc = failed.op.attr("rc-code").map_or(-1, |t| values::scan_or(t, -1));
    Some(history_op::rc_text(rc))
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
        if show.detail {
            // The parts of a single one stand as deep, without its number.
            if info.replicas.len() > 1 {
                list.begin_plain(&format!("Replica[{}]", replica.number));
            } else {
                list.nest();
            }
            let parts = [replica.ip, replica.child, Some(replica.container), replica.remote];
            for part in parts.into_iter().flatten() {
                let line = primitive(st, part, printable_id(st, part), place(st, part, show), show);
                list.item_as(class(st, part), &line);
            }
            list.end();
            continue;
        }
        let shown = replica.child.unwrap_or(replica.container);
        let named = replica.remote.unwrap_or(replica.container);
        let mut name = printable_id(st, named).to_owned();
        if let Some(ip) = &replica.ipaddr {
            name.push_str(&format!(" ({ip})"));
        }
        list.item_as(class(st, shown), &primitive(st, shown, &name, st.current(replica.container), show));
    }
    list.end();
}
