//! Where everything is once a plan has been carried out, and what two plans disagree in.

use std::collections::BTreeMap;

use crate::policy::Plan;
use crate::policy::graph::{ActionKind, Graph};
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::state::{Role, State};
use crate::policy::transition::summary::ResourceChange;

/// A resource on a node, in a role.
pub type Place = (NodeIx, Role);

/// Where a leaf is now.
pub fn now(state: &State, r: ResourceIx) -> Vec<Place> {
    let rsc = &state[r];
    if rsc.role == Role::Stopped && rsc.next_role == Role::Stopped && rsc.running_on.is_empty() {
        return Vec::new();
    }
    rsc.running_on.iter().map(|n| (*n, rsc.role.max(Role::Started))).collect()
}

/// Where a leaf is once the plan has been carried out as far as it can be.
pub fn after(plan: &Plan, r: ResourceIx) -> Vec<Place> {
    after_changes(&plan.state, r, plan.summary.resources.iter().filter(|c| c.resource == r))
}

/// [`after`], for who has found already what changes.
fn after_changes<'a>(
    state: &State,
    r: ResourceIx,
    entries: impl Iterator<Item = &'a ResourceChange>,
) -> Vec<Place> {
    let rsc = &state[r];
    if !rsc.flags.managed {
        return now(state, r);
    }
    let role = |n: NodeIx| vec![(n, rsc.next_role.max(Role::Started))];
    let mut entries = entries.peekable();
    if entries.peek().is_none() {
        // Nothing to do: it stays where it is, if it is meant to be anywhere.
        return match rsc.assigned_node() {
            Some(n) if rsc.running_on.contains(&n) => role(n),
            _ => Vec::new(),
        };
    }
    let mut places = Vec::new();
    for change in entries {
        match (change.what, change.blocked) {
            ("Stop", false) => {}
            ("Start", true) => {}
            ("Promote" | "Demote" | "Reload" | "Re-promote", true) => places.extend(now(state, r)),
            (_, true) => places.extend(change.from.into_iter().map(|n| (n, rsc.role.max(Role::Started)))),
            // Recovered where it is.
            ("Recover", false) => places.extend(change.to.or(change.from).into_iter().flat_map(role)),
            (_, false) => places.extend(change.to.into_iter().flat_map(role)),
        }
    }
    places
}

/// The leaves of a resource, itself if it is one.
pub fn leaves(state: &State, r: ResourceIx) -> Vec<ResourceIx> {
    if state[r].is_primitive() {
        return vec![r];
    }
    state[r].children.iter().flat_map(|c| leaves(state, *c)).collect()
}

/// Every resource, of whatever kind.
pub fn all(state: &State) -> impl Iterator<Item = ResourceIx> + use<> {
    (0..state.resources.len()).map(ResourceIx::new)
}

/// What a plan leads to, by names: comparable between plans of different CIBs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// Node names and roles of each primitive; instances of anonymous clones count together.
    pub places: BTreeMap<String, Vec<(String, Role)>>,
}

impl Outcome {
    /// Where everything is after the plan.
    pub fn of(plan: &Plan) -> Outcome {
        let mut changes: BTreeMap<ResourceIx, Vec<&ResourceChange>> = BTreeMap::new();
        for change in &plan.summary.resources {
            changes.entry(change.resource).or_default().push(change);
        }
        Self::collect(&plan.state, |r| {
            after_changes(&plan.state, r, changes.get(&r).into_iter().flatten().copied())
        })
    }

    /// Where everything is before it.
    pub fn before(plan: &Plan) -> Outcome {
        Self::collect(&plan.state, |r| now(&plan.state, r))
    }

    /// Where everything is before it, leaving out nodes that are gone or not to be trusted.
    pub fn alive(plan: &Plan) -> Outcome {
        let state = &plan.state;
        Self::collect(state, |r| {
            let places = now(state, r).into_iter();
            places.filter(|(n, _)| state[*n].online && !state[*n].unclean).collect()
        })
    }

    fn collect(state: &State, place: impl Fn(ResourceIx) -> Vec<Place>) -> Outcome {
        let mut places: BTreeMap<String, Vec<(String, Role)>> = BTreeMap::new();
        for r in all(state).filter(|r| state[*r].is_primitive()) {
            let list = places.entry(printed(state, r).to_owned()).or_default();
            list.extend(place(r).into_iter().map(|(n, role)| (state[n].name.clone(), role)));
            list.sort();
        }
        Outcome { places }
    }

    /// The nodes of a primitive.
    pub fn nodes(&self, id: &str) -> Vec<&str> {
        self.places.get(id).into_iter().flatten().map(|(n, _)| n.as_str()).collect()
    }
}

/// The id that people know: an instance of an anonymous clone has that of its configuration.
pub fn printed(state: &State, r: ResourceIx) -> &str {
    let rsc = &state[r];
    if rsc.flags.unique { &rsc.id } else { rsc.config_id() }
}

/// A graph in a form that does not depend on numbers: each action with its parameters and the actions it
/// waits for.
pub fn canonical(graph: &Graph) -> Vec<String> {
    let name = |at: usize| {
        let Some(synapse) = graph.synapses.get(at) else { return String::new() };
        let action = &synapse.action;
        let kind = match action.kind {
            ActionKind::Resource => "rsc",
            ActionKind::Pseudo => "pseudo",
            ActionKind::Cluster => "crm",
        };
        format!("{kind} {} {}", action.operation_key, action.on_node.as_deref().unwrap_or(""))
    };
    let by_id: BTreeMap<_, usize> =
        graph.synapses.iter().enumerate().map(|(at, s)| (s.action.id, at)).collect();
    let mut lines: Vec<String> = (0..graph.synapses.len())
        .filter_map(|at| {
            let synapse = graph.synapses.get(at)?;
            let mut inputs: Vec<String> =
                synapse.inputs.iter().filter_map(|id| by_id.get(id)).map(|i| name(*i)).collect();
            inputs.sort();
            inputs.dedup();
            Some(format!("{} {:?} after {inputs:?}", name(at), synapse.action.attributes))
        })
        .collect();
    lines.sort();
    lines
}

/// Whether two plans do the same and put everything in the same places.
pub fn same(a: &Plan, b: &Plan) -> bool {
    Outcome::of(a) == Outcome::of(b) && canonical(&a.graph) == canonical(&b.graph)
}

/// The keys of actions that wait for each other, or for such: a transition never gets to them.
pub fn stuck(graph: &Graph) -> Vec<String> {
    let by_id: BTreeMap<_, usize> =
        graph.synapses.iter().enumerate().map(|(at, s)| (s.action.id, at)).collect();
    let mut open: Vec<usize> = Vec::new();
    let mut waits: Vec<usize> = Vec::new();
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); graph.synapses.len()];
    for (at, synapse) in graph.synapses.iter().enumerate() {
        let inputs: Vec<usize> = synapse.inputs.iter().filter_map(|id| by_id.get(id).copied()).collect();
        waits.push(inputs.len());
        if inputs.is_empty() {
            open.push(at);
        }
        for input in inputs {
            if let Some(list) = after.get_mut(input) {
                list.push(at);
            }
        }
    }
    while let Some(at) = open.pop() {
        for next in after.get(at).into_iter().flatten().copied() {
            if let Some(left) = waits.get_mut(next) {
                *left = left.saturating_sub(1);
                if *left == 0 {
                    open.push(next);
                }
            }
        }
    }
    let never = graph.synapses.iter().zip(&waits).filter(|(_, left)| **left > 0);
    never
        .map(|(s, _)| s.action.internal_key.as_ref().unwrap_or(&s.action.operation_key).to_string())
        .collect()
}
