//! The transition graph: what the planner hands to whoever executes a plan.
//!
//! A typed mirror of Pacemaker 2.1.5's `transition_graph` document: one synapse for each action, with
//! the actions that must be confirmed before it may start.

use std::sync::Arc;
use std::time::Duration;

use cib::Text;

pub use super::graph_attributes::Attributes;

/// Number of an action within one plan; unique, and printed in transition keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ActionId(pub u32);

/// Who carries an action out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ActionKind {
    /// An operation of a resource, run by the local resource manager of `node` (`rsc_op`).
    Resource,
    /// A marker that is confirmed as soon as its inputs are (`pseudo_event`).
    Pseudo,
    /// Something the cluster itself does: fencing, shutdown, clearing a fail count (`crm_event`).
    Cluster,
}

/// The resource an action is for, under the names the agent and the history know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphResource {
    /// The name the operation history uses (no instance number for anonymous clones).
    pub id: String,
    /// The instance, where it differs from `id`.
    pub long_id: Option<String>,
    pub class: String,
    pub provider: Option<String>,
    pub agent: String,
}

/// One action of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GraphAction {
    pub id: ActionId,
    pub kind: ActionKind,
    /// The task: `start`, `stop`, `monitor`, `promote`, `stonith`, `do_shutdown`, …
    pub operation: Text,
    /// `RSC_TASK_INTERVALMS`, as in the history.
    pub operation_key: Text,
    /// The key under the instance's own name, where it differs.
    pub internal_key: Option<Text>,
    /// Name of the node the action runs on, or is about (fencing).
    pub on_node: Option<Text>,
    pub on_node_uuid: Option<Text>,
    /// The cluster node that acts for a remote or guest node.
    pub router_node: Option<Text>,
    pub resource: Option<Arc<GraphResource>>,
    /// Parameters and `CRM_meta_…` values.
    pub attributes: Attributes,
    /// Ids of nodes this action takes down when it succeeds.
    pub downed: Vec<String>,
    /// Remote nodes whose maintenance mode this action announces: id and whether it is on.
    pub maintenance: Vec<(String, bool)>,
    /// Epoch seconds, for actions on a node that holds a shutdown lock.
    pub shutdown_lock: Option<u64>,
}

impl GraphAction {
    /// A parameter or `CRM_meta_…` value by name.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name)
    }
}

/// An action and what must be confirmed before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synapse {
    pub id: u32,
    /// 0 unless the resource or the action has a priority; greater goes first.
    pub priority: i32,
    pub action: Arc<GraphAction>,
    pub inputs: Vec<ActionId>,
}

/// One plan, ready to be executed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Graph {
    /// Option strings as the reference prints them.
    pub cluster_delay: String,
    pub stonith_timeout: String,
    pub failed_stop_offset: String,
    pub failed_start_offset: String,
    /// Actions in flight in the cluster, 0 for no limit of the planner's.
    pub batch_limit: String,
    /// Live migrations in flight on a node, where limited.
    pub migration_limit: Option<String>,
    /// Epoch seconds at which the plan may change by time alone.
    pub recheck_by: Option<u64>,
    pub synapses: Vec<Synapse>,
    /// Actions that something waits for although they are not in the graph: it never starts.
    pub absent: Vec<GraphAction>,
}

impl Graph {
    /// The same graph with actions numbered from 1 in the order of their numbers: two plans that do the same in the
    /// same order are equal then, however many actions they have thought of that need not be done.
    pub fn renumbered(&self) -> Graph {
        let actions = self.synapses.iter().map(|s| &*s.action).chain(&self.absent);
        let mut known: Vec<ActionId> = actions.map(|action| action.id).collect();
        known.sort_unstable();
        known.dedup();
        let number = |id: ActionId| {
            let at = known.partition_point(|other| *other < id);
            ActionId(u32::try_from(at).map_or(u32::MAX, |at| at.saturating_add(1)))
        };
        let action = |action: &GraphAction| GraphAction { id: number(action.id), ..action.clone() };
        let synapse = |synapse: &Synapse| Synapse {
            action: Arc::new(action(&synapse.action)),
            inputs: synapse.inputs.iter().map(|id| number(*id)).collect(),
            ..synapse.clone()
        };
        Graph {
            synapses: self.synapses.iter().map(synapse).collect(),
            absent: self.absent.iter().map(action).collect(),
            ..self.clone()
        }
    }

    /// How long one action may take to be confirmed beyond its own time-out.
    pub fn delay(&self) -> Option<Duration> {
        super::values::parse_duration_ms(&self.cluster_delay).map(Duration::from_millis)
    }
}
