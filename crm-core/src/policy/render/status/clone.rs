//! A clone in the status block: instances that need a line of their own, and lists of nodes for the rest.

use std::collections::BTreeMap;

use super::Show;
use super::nodes::bracketed;
use super::resource::{failed_probe, flags, resource, target_role};
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::reference_order::compare_names;
use crate::policy::render::List;
use crate::policy::state::{Role, State};

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

pub(super) fn clone(list: &mut List, st: &State, r: ResourceIx, show: Show) {
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
        // What has a number of its own is shown wherever it is.
        let shown = !show.active_only || active || rsc.flags.unique || show.detail;
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
        list.item(&format!("Promoted: {text}"));
    }
    if !started.is_empty() {
        let text = names(&mut started);
        if !rsc.flags.promotable {
            list.item(&format!("Started: {text}"));
        } else if target_role(st, r) == Role::Unpromoted {
            list.item(&format!("Unpromoted (target-role): {text}"));
        } else {
            list.item(&format!("Unpromoted: {text}"));
        }
    }
    let max = rsc.clone_info().map_or(0, |c| c.max);
    if !show.active_only
        && !rsc.flags.unique
        && !show.detail
        && i64::from(max) > i64::try_from(active).unwrap_or(i64::MAX)
    {
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
        return partly || !st[r].flags.orphan;
    }
    if show.detail {
        return true;
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
        list.item(&format!("{state}: {}", bracketed(&names)));
    }
}
