//! Applies a plan to a CIB: what would be, if every action did what the plan expects of it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use cib::{Cib, Element};

use super::Plan;
use super::graph::{ActionId, ActionKind, Graph, GraphAction, Synapse};
use super::record::{Entry, Places};
use super::render::actions::shown;
use super::simulator::version::{Counter, count, counted};
use super::state::{State as Working, digest};

/// An action that fails in a simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `NAME_TASK_INTERVAL@NODE`, compared without regard to case.
    pub spec: String,
    pub rc: i32,
}

/// The classes that a result is made up for where there is no history yet.
const CLASSES: [&str; 6] = ["ocf", "stonith", "service", "systemd", "upstart", "lsb"];

/// One thing that happened, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The action was carried out.
    Ran(Arc<GraphAction>),
    /// The action failed as asked for.
    Failed { id: ActionId, rc: i32 },
    /// A node attribute was set: name, value, node id.
    Attribute { name: String, value: String, node: String },
}

/// A simulated transition.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub events: Vec<Event>,
    /// Everything that could run ran; false for a graph whose inputs form a circle.
    pub complete: bool,
    /// Lines for standard error.
    pub errors: Vec<String>,
    pub cib: Cib,
}

/// Runs a graph against a CIB.
pub fn run(cib: &Cib, plan: &Plan, failures: &[Failure], now: i64) -> Outcome {
    let mut events = Vec::new();
    let turns = Turns::new(&plan.graph);
    let take = |at| plan.graph.synapses.get(at).map(|s: &Synapse| (s.priority, Arc::clone(&s.action)));
    let outcome = run_turns(cib, &plan.state, turns, take, failures, now, &mut |event| events.push(event));
    Outcome { events, ..outcome }
}

/// [`run`] that uses its graph up: an action is gone when it has run and `seen` has let go of its event, so that a graph
/// and what comes of it are not both there in full.
pub fn consume(
    cib: &Cib,
    state: &Working,
    graph: Graph,
    failures: &[Failure],
    now: i64,
    seen: &mut dyn FnMut(Event),
) -> Outcome {
    let turns = Turns::new(&graph);
    let mut left: Vec<Option<Synapse>> = graph.synapses.into_iter().map(Some).collect();
    let take = |at| left.get_mut(at).and_then(Option::take).map(|s: Synapse| (s.priority, s.action));
    run_turns(cib, state, turns, take, failures, now, seen)
}

/// `take` gives the priority and the action whose turn it is.
fn run_turns(
    cib: &Cib,
    state: &Working,
    mut turns: Turns,
    mut take: impl FnMut(usize) -> Option<(i32, Arc<GraphAction>)>,
    failures: &[Failure],
    now: i64,
    seen: &mut dyn FnMut(Event),
) -> Outcome {
    let mut run = Run {
        state,
        cib: cib.clone(),
        places: Places::default(),
        seen,
        errors: Vec::new(),
        done: vec![State::Waiting; turns.missing.len()],
        abort_priority: 0,
        now,
    };
    while let Some(at) = turns.next() {
        let Some((priority, action)) = take(at) else { continue };
        let pseudo = action.kind == ActionKind::Pseudo;
        if !pseudo && priority < run.abort_priority {
            continue;
        }
        let state = run.fire(&action, failures);
        if let Some(slot) = run.done.get_mut(at) {
            *slot = state;
        }
        if state == State::Confirmed {
            turns.confirm(at);
        }
    }
    let incomplete = run.done.contains(&State::Waiting);
    Outcome {
        complete: !incomplete || run.abort_priority > 0,
        events: Vec::new(),
        errors: run.errors,
        cib: run.cib,
    }
}

/// Whose turn it is: the reference goes through its graph from front to back, again and again, and fires
/// what has all its inputs by then. The same order, without looking at what waits.
struct Turns {
    /// Inputs not confirmed yet; for an input that is not in the graph, for ever.
    missing: Vec<usize>,
    /// Who waits for this one, once for each time it is named.
    waiting: Vec<Vec<usize>>,
    /// What is ready: in this walk through the graph, and in the one after it.
    now: BinaryHeap<Reverse<usize>>,
    later: BinaryHeap<Reverse<usize>>,
}

impl Turns {
    fn new(graph: &Graph) -> Self {
        let count = graph.synapses.len();
        let position: HashMap<ActionId, usize> =
            graph.synapses.iter().enumerate().map(|(at, synapse)| (synapse.action.id, at)).collect();
        let mut missing = vec![0; count];
        let mut waiting = vec![Vec::new(); count];
        for ((at, synapse), missing) in graph.synapses.iter().enumerate().zip(&mut missing) {
            *missing = synapse.inputs.len();
            for input in &synapse.inputs {
                if let Some(list) = position.get(input).and_then(|input| waiting.get_mut(*input)) {
                    list.push(at);
                }
            }
        }
        let ready = missing.iter().enumerate().filter(|(_, missing)| **missing == 0);
        let now = ready.map(|(at, _)| Reverse(at)).collect();
        Turns { missing, waiting, now, later: BinaryHeap::new() }
    }

    fn next(&mut self) -> Option<usize> {
        if self.now.is_empty() {
            std::mem::swap(&mut self.now, &mut self.later);
        }
        self.now.pop().map(|Reverse(at)| at)
    }

    /// What waited for nothing else comes in this walk if it stands behind, else in the next.
    fn confirm(&mut self, done: usize) {
        for at in self.waiting.get_mut(done).map(std::mem::take).unwrap_or_default() {
            let Some(missing) = self.missing.get_mut(at) else { continue };
            *missing -= 1;
            if *missing == 0 {
                let walk = if at > done { &mut self.now } else { &mut self.later };
                walk.push(Reverse(at));
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    Confirmed,
    Failed,
}

struct Run<'a> {
    state: &'a Working,
    cib: Cib,
    places: Places,
    seen: &'a mut dyn FnMut(Event),
    errors: Vec<String>,
    done: Vec<State>,
    abort_priority: i32,
    now: i64,
}

impl Run<'_> {
    fn fire(&mut self, action: &Arc<GraphAction>, failures: &[Failure]) -> State {
        match action.kind {
            ActionKind::Pseudo => (self.seen)(Event::Ran(action.clone())),
            ActionKind::Cluster => {
                (self.seen)(Event::Ran(action.clone()));
                let off = action.attribute("CRM_meta_stonith_action") != Some("on");
                if action.operation == "stonith" && off {
                    if let Some(node) = &action.on_node {
                        self.fence(node, action.on_node_uuid.as_deref());
                    }
                }
            }
            ActionKind::Resource => return self.operation(action, failures),
        }
        State::Confirmed
    }

    fn fence(&mut self, node: &str, uuid: Option<&str>) {
        let root = self.cib.root_mut();
        counted(root, Counter::Status, |root| {
            node_state(root, node, uuid);
        });
        counted(root, Counter::Status, |root| {
            let Some(state) = node_state(root, node, uuid) else { return };
            for (name, value) in [
                ("in_ccm", "false"),
                ("crmd", "offline"),
                ("join", "down"),
                ("expected", "down"),
                ("crm-debug-origin", "simulate_fencing_action"),
            ] {
                state.set_attr(name, value);
            }
        });
        let at = node_state_at(root.child_or_insert("status"), node, uuid);
        self.places.forget(at);
        forget(root, node, uuid);
    }

    fn operation(&mut self, action: &Arc<GraphAction>, failures: &[Failure]) -> State {
        if action.operation == "probe_again" {
            return State::Confirmed;
        }
        let (Some(node), Some(resource)) = (&action.on_node, &action.resource) else {
            return State::Confirmed;
        };
        if matches!(action.operation.as_str(), "delete" | "meta-data") {
            (self.seen)(Event::Ran(action.clone()));
            return State::Confirmed;
        }
        let named = [shown(self.state, action), resource.id.as_str()];
        if !CLASSES.contains(&resource.class.as_str()) && !self.has_history(node, &named) {
            self.errors.push(format!("Invalid class for {}: {}", resource.id, resource.class));
            self.abort_priority = super::values::INFINITY;
            return State::Failed;
        }
        (self.seen)(Event::Ran(action.clone()));
        let expected = action.attribute("CRM_meta_op_target_rc").and_then(|rc| rc.parse().ok()).unwrap_or(0);
        let uuid = match &action.router_node {
            Some(_) => node.clone(),
            None => action.on_node_uuid.clone().unwrap_or_else(|| node.clone()),
        };
        let names = [Some(resource.id.as_str()), resource.long_id.as_deref()];
        let interval = action.attribute("CRM_meta_interval").unwrap_or("0");
        // Under the name by which it was asked for, the failure is counted.
        let failure = failures.iter().find_map(|failure| {
            let asked = |name: &&str| {
                format!("{name}_{}_{interval}@{node}", action.operation).eq_ignore_ascii_case(&failure.spec)
            };
            Some((failure, names.into_iter().flatten().find(asked)?))
        });
        let mut entry = Entry {
            task: &action.operation,
            interval_ms: interval.parse().unwrap_or(0),
            target_rc: expected,
            rc: expected,
            exit_reason: None,
            notify: action
                .attribute("CRM_meta_notify_type")
                .zip(action.attribute("CRM_meta_notify_operation")),
            migrate: action
                .attribute("CRM_meta_migrate_source")
                .zip(action.attribute("CRM_meta_migrate_target")),
            key: &action.operation_key,
            digest: Some(digest::of_action(&action.attributes, interval)),
            now: self.now,
        };
        if let Some((failure, name)) = failure {
            entry.rc = failure.rc;
            entry.exit_reason = Some("User-injected result");
            (self.seen)(Event::Failed { id: action.id, rc: failure.rc });
            self.abort_priority = super::values::INFINITY;
            self.count_failure(name, node, &uuid, &entry);
        }
        let agent = (resource.class.as_str(), resource.provider.as_deref(), resource.agent.as_str());
        let root = self.cib.root_mut();
        let states = |root: &Element| root.child("status").map_or(0, |status| status.nodes().len());
        let before = states(root);
        self.places.record(root, (node, &uuid), &named, agent, &entry);
        // The state of a node that had none is a change of its own.
        for _ in before..=states(root) {
            count(root, Counter::Status);
        }
        if failure.is_some() { State::Failed } else { State::Confirmed }
    }

    /// Whether a history goes by one of these names, and only one.
    fn has_history(&self, node: &str, names: &[&str]) -> bool {
        let states = self.cib.root().children_named("status").flat_map(Element::children);
        let here = states.filter(|e| e.attr("uname").is_some_and(|name| name.eq_ignore_ascii_case(node)));
        let lists =
            here.flat_map(|e| e.children_named("lrm")).flat_map(|e| e.children_named("lrm_resources"));
        let histories: Vec<&Element> = lists.flat_map(Element::children).collect();
        names.iter().any(|name| histories.iter().filter(|e| e.id() == Some(name)).count() == 1)
    }

    fn count_failure(&mut self, resource: &str, node: &str, uuid: &str, entry: &Entry<'_>) {
        let root = self.cib.root_mut();
        for (name, value) in failure_attributes(resource, entry) {
            set_transient(root, node, uuid, &name, &value);
            (self.seen)(Event::Attribute { name, value, node: uuid.to_owned() });
        }
    }
}

/// The fail count attributes that a failed operation raises.
pub fn failure_attributes(resource: &str, entry: &Entry<'_>) -> Vec<(String, String)> {
    if entry.rc == 0 || entry.rc == 7 && entry.interval_ms == 0 {
        return Vec::new();
    }
    let tail = format!("{resource}#{}_{}", entry.task, entry.interval_ms);
    vec![
        (format!("fail-count-{tail}"), "value++".to_owned()),
        (format!("last-failure-{tail}"), entry.now.to_string()),
    ]
}

/// The `node_state` of a node, made if it is missing.
pub fn node_state<'a>(root: &'a mut Element, node: &str, uuid: Option<&str>) -> Option<&'a mut Element> {
    let status = root.child_or_insert("status");
    let at = node_state_at(status, node, uuid);
    status.node_at_mut(at)
}

/// Where in the status section the `node_state` of a node is, made if it is missing.
pub(super) fn node_state_at(status: &mut Element, node: &str, uuid: Option<&str>) -> usize {
    let fits = |e: &Element| {
        e.name() == "node_state"
            && (e.attr("uname").is_some_and(|u| u.eq_ignore_ascii_case(node))
                || uuid.is_some() && e.id() == uuid)
    };
    let found = status.nodes().position(fits);
    found.unwrap_or_else(|| {
        let state = Element::new("node_state").with_attr("id", uuid.unwrap_or(node)).with_attr("uname", node);
        status.push(state);
        status.nodes().len() - 1
    })
}

/// The first child that fits, for writing.
pub(super) fn first_child(parent: &mut Element, fits: impl Fn(&Element) -> bool) -> Option<&mut Element> {
    parent.children_mut().find(|child| fits(child))
}

/// Sets a transient attribute of a node; `value++` adds one.
pub fn set_transient(root: &mut Element, node: &str, uuid: &str, name: &str, value: &str) {
    let Some(state) = node_state(root, node, Some(uuid)) else { return };
    let transient = state.child_or_insert("transient_attributes");
    if transient.id().is_none() {
        transient.set_attr("id", uuid);
    }
    let set = transient.child_or_insert("instance_attributes");
    if set.id().is_none() {
        set.set_attr("id", uuid);
    }
    let id = format!("{}-{}", set.id().unwrap_or(uuid), name.replace([':', '#'], "."));
    let fits = |e: &Element| e.id() == Some(id.as_str());
    if !set.children().any(fits) {
        set.push(Element::new("nvpair").with_attr("id", id.as_str()).with_attr("name", name));
    }
    let Some(pair) = first_child(set, fits) else { return };
    let old = super::values::scan_or(pair.attr("value").unwrap_or("0"), 0);
    let value = match value {
        "value++" => (old + 1).to_string(),
        other => other.to_owned(),
    };
    pair.set_attr("value", value);
}

/// Takes away what a node that is down has lost: history and transient attributes, a change each.
pub fn forget(root: &mut Element, node: &str, uuid: Option<&str>) {
    for name in ["lrm", "transient_attributes"] {
        counted(root, Counter::Status, |root| {
            if let Some(state) = node_state(root, node, uuid) {
                state.retain_children(|child| child.name() != name);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::graph::{Attributes, GraphAction};
    use cib::Text;
    use proptest::prelude::*;

    fn synapse(id: u32, inputs: Vec<u32>) -> Synapse {
        let action = GraphAction {
            id: ActionId(id),
            kind: ActionKind::Pseudo,
            operation: Text::default(),
            operation_key: Text::default(),
            internal_key: None,
            on_node: None,
            on_node_uuid: None,
            router_node: None,
            resource: None,
            attributes: Attributes::default(),
            downed: Vec::new(),
            maintenance: Vec::new(),
            shutdown_lock: None,
        };
        Synapse {
            id,
            priority: 0,
            action: Arc::new(action),
            inputs: inputs.into_iter().map(ActionId).collect(),
        }
    }

    /// The reference's way: walks through the whole graph until one of them fires nothing.
    fn walked(graph: &Graph) -> Vec<u32> {
        let mut done: Vec<u32> = Vec::new();
        loop {
            let before = done.len();
            for s in &graph.synapses {
                let id = s.action.id.0;
                if !done.contains(&id) && s.inputs.iter().all(|input| done.contains(&input.0)) {
                    done.push(id);
                }
            }
            if done.len() == before {
                return done;
            }
        }
    }

    proptest! {
        #[test]
        fn turns_come_in_the_order_of_walks(
            inputs in prop::collection::vec(prop::collection::vec(0u32..24, 0..4), 1..20)
        ) {
            // Numbers run against the order of the list; some inputs are in no graph, some twice in a list,
            // some wait in circles.
            let count = inputs.len() as u32;
            let all = inputs.into_iter().enumerate();
            let synapses = all.map(|(at, inputs)| synapse(count - at as u32, inputs)).collect();
            let graph = Graph { synapses, ..Graph::default() };
            let mut turns = Turns::new(&graph);
            let mut order = Vec::new();
            while let Some(at) = turns.next() {
                order.extend(graph.synapses.get(at).map(|s| s.action.id.0));
                turns.confirm(at);
            }
            prop_assert_eq!(order, walked(&graph));
        }
    }
}
