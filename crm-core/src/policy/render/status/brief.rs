//! Primitives counted by their agents (`-b`).

use std::collections::BTreeMap;

use super::Show;
use super::resource::has_provider;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::render::List;
use crate::policy::state::{State, Variant};

/// `ocf:heartbeat:IPaddr2`.
pub(super) fn agent_of(st: &State, r: ResourceIx) -> String {
    let rsc = &st[r];
    let provider = rsc.provider().filter(|_| has_provider(rsc.class()));
    let provider = provider.map(|p| format!(":{p}")).unwrap_or_default();
    format!("{}{provider}:{}", rsc.class(), rsc.agent())
}

/// Every node that has it and is up, or is to be fenced and may still have it.
fn places(st: &State, r: ResourceIx) -> Vec<NodeIx> {
    let counts = |n: &NodeIx| st[*n].online || st[*n].unclean && !st[*n].is_remote_kind();
    st[r].running_on.iter().copied().filter(counts).collect()
}

/// Writes a line for each agent and node; `found` is where each resource is active. With
/// `totals` the lines say of how many.
pub(super) fn counted(
    list: &mut List,
    st: &State,
    found: impl Iterator<Item = (String, Vec<NodeIx>)>,
    totals: bool,
    show: Show,
) {
    // Agents by name, their nodes by name: active there, and how many of them there are in all.
    let mut agents: BTreeMap<String, (usize, BTreeMap<&str, usize>)> = BTreeMap::new();
    for (agent, nodes) in found {
        let (all, active) = agents.entry(agent).or_default();
        *all += 1;
        for n in nodes {
            *active.entry(&st[n].name).or_default() += 1;
        }
    }
    for (agent, (all, active)) in agents {
        let total = if totals { format!("/{all}") } else { String::new() };
        if active.is_empty() && totals {
            list.item(&format!("0{total}\t({agent}):\tActive"));
        }
        for (name, count) in active {
            let name = if show.below_node { "" } else { name };
            list.item(&format!("{count}{total}\t({agent}):\tActive {name}"));
        }
    }
}

/// Writes the primitives among `resources` as counts; the others are returned.
pub(super) fn primitives(
    list: &mut List,
    st: &State,
    resources: &[ResourceIx],
    show: Show,
) -> Vec<ResourceIx> {
    let (counts, rest): (Vec<ResourceIx>, Vec<ResourceIx>) =
        resources.iter().partition(|&&r| st[r].variant() == Variant::Primitive);
    let found = counts.into_iter().map(|r| (agent_of(st, r), places(st, r)));
    let totals = !show.active_only;
    counted(list, st, found.filter(|(_, nodes)| totals || !nodes.is_empty()), totals, show);
    rest
}

/// Writes the members of a group as counts, active or not.
pub(super) fn members(list: &mut List, st: &State, members: &[ResourceIx], show: Show) {
    let found = members.iter().map(|&r| (agent_of(st, r), places(st, r)));
    counted(list, st, found, true, show);
}
