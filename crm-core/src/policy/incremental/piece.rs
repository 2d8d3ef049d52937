//! What is kept of a plan to go on from.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Why;
use super::names::plain;
use crate::policy::complaint::Complaint;
use crate::policy::graph::{ActionId, Graph};
use crate::policy::ix::{ActionIx, ResourceIx};
use crate::policy::placement::turns::Turn;
use crate::policy::plan::Plan;
use crate::policy::state::{Discovery, Node, NodeKind, Placement, Resource, State};

/// More actions than this are a reason to look at everything again.
const BUSY: usize = 2000;

/// A plan of a document, or of an excerpt of one.
#[derive(Debug)]
pub(super) struct Piece {
    pub graph: Graph,
    pub complaints: Vec<Complaint>,
    pub turns: Vec<Arc<Turn>>,
    pub nodes: Vec<NodeFacts>,
    /// Names of top-level resources that something is to be done for.
    pub busy: BTreeSet<String>,
    /// Those that every plan has to look at: fence devices, what only histories know, and whose failures end by time.
    pub always: BTreeSet<String>,
}

/// What plans of different resources know of one and the same node: all of it has to be equal, or one of them has
/// done something to the node that concerns the other.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NodeFacts {
    name: String,
    kind: NodeKind,
    score: i32,
    discovery: Discovery,
    flags: [bool; 14],
}

impl NodeFacts {
    fn of(node: &Node) -> NodeFacts {
        let flags = [
            node.online,
            node.unclean,
            node.unseen,
            node.pending,
            node.standby,
            node.standby_onfail,
            node.maintenance,
            node.shutdown,
            node.expected_up,
            node.is_dc,
            node.discovery_enabled,
            node.requires_reset,
            node.unpacked,
            node.state_xml.is_some(),
        ];
        NodeFacts {
            name: node.name.clone(),
            kind: node.kind,
            score: node.score,
            discovery: node.discovery,
            flags,
        }
    }
}

impl Piece {
    /// What a plan leaves behind, if its resources touch each other by constraints and loads alone.
    pub fn of(plan: Plan) -> Result<Piece, Why> {
        let state = &plan.state;
        plain_cluster(state)?;
        if state.options.placement != Placement::Default {
            return Err(Why::Unclear("placement by names".to_owned()));
        }
        let turns = turns_of(state)?;
        let ids =
            plan.graph.synapses.iter().map(|s| s.action.id).chain(plan.graph.absent.iter().map(|a| a.id));
        if plan.graph.synapses.len() + plan.graph.absent.len() > BUSY {
            return Err(Why::Busy);
        }
        let mut busy = BTreeSet::new();
        for ActionId(id) in ids {
            let ix = ActionIx(id.saturating_sub(1));
            let action = &plan.actions[ix];
            match action.resource {
                Some(r) => busy.insert(top(state, r)),
                None => return Err(Why::Unclear("an action for no resource".to_owned())),
            };
        }
        let always = special(state);
        let nodes = state.nodes.iter().map(NodeFacts::of).collect();
        Ok(Piece { graph: plan.graph, complaints: plan.complaints, turns, nodes, busy, always })
    }
}

/// The name of a resource's top-level one.
fn top(state: &State, r: ResourceIx) -> String {
    plain(&state[state.top_with_bundle(r)].id).to_owned()
}

/// The turns that a plan noted, if they can be used; none where they have nothing to do with each other.
pub(super) fn turns_of(state: &State) -> Result<Vec<Arc<Turn>>, Why> {
    let turns = state.turns.as_ref().ok_or(Why::First)?;
    if state.options.placement == Placement::Minimal {
        // Nobody looks at loads.
        return Ok(Vec::new());
    }
    if turns.out_of_order {
        return Err(Why::Unclear("the order of resources".to_owned()));
    }
    if turns.late.get() {
        return Err(Why::Unclear("instances ordered by the load of nodes".to_owned()));
    }
    Ok(turns.done.clone())
}

/// Names of what every part has to look at.
pub(super) fn special(state: &State) -> BTreeSet<String> {
    let all = (0..state.resources.len()).map(ResourceIx::new);
    let special = all.filter(|r| {
        let rsc = &state[*r];
        rsc.flags.fence_device || rsc.flags.orphan || rsc.flags.timed || rsc.lock_node.is_some()
    });
    special.map(|r| top(state, r)).collect()
}

/// Nothing in the cluster but constraints and loads joins resources.
pub(super) fn plain_cluster(state: &State) -> Result<(), Why> {
    let unclear = |what: &str| Err(Why::Unclear(what.to_owned()));
    if !matches!(state.options.placement, Placement::Default | Placement::Minimal) {
        return unclear("placement by utilization");
    }
    if state.have_remote_nodes || state.nodes.iter().any(Node::is_remote_kind) {
        return unclear("remote or guest nodes");
    }
    if state.has_twin_nodes {
        return unclear("two nodes with one id");
    }
    if state.unfencing {
        return unclear("unfencing");
    }
    let contained = |rsc: &Resource| rsc.container.is_some() || rsc.xml.attr("container").is_some();
    if state.resources.iter().any(contained) {
        return unclear("a container");
    }
    match state.nodes.iter().find(|node| node.unclean || node.shutdown || node.requires_reset) {
        Some(node) => Err(Why::Node(node.name.clone())),
        None => Ok(()),
    }
}
