//! Applies a plan to a CIB: what would be, if every action did what the plan expects of it.

use std::collections::BTreeMap;

use cib::{Cib, Element};

use super::Plan;
use super::graph::{ActionId, ActionKind, Graph, GraphAction, Synapse};
use super::render::actions::shown;
use super::simulator::version::{Counter, count, counted};
use super::state::{State as Working, digest};
use super::twins;

/// An action that fails in a simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// `NAME_TASK_INTERVAL@NODE`, compared without regard to case.
    pub spec: String,
    pub rc: i32,
}

/// One thing that happened, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The action was carried out.
    Ran(Box<GraphAction>),
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
    pub cib: Cib,
}

/// Runs a graph against a CIB.
pub fn run(cib: &Cib, plan: &Plan, failures: &[Failure], now: i64) -> Outcome {
    let graph = &plan.graph;
    let mut run = Run {
        state: &plan.state,
        cib: cib.clone(),
        events: Vec::new(),
        done: vec![State::Waiting; graph.synapses.len()],
        abort_priority: 0,
        twins: BTreeMap::new(),
        now,
    };
    let position = positions(graph);
    loop {
        let mut fired = false;
        for (at, synapse) in graph.synapses.iter().enumerate() {
            if run.done.get(at) != Some(&State::Waiting) {
                continue;
            }
            let ready = synapse.inputs.iter().all(|input| {
                let done = position(*input).and_then(|i| run.done.get(i));
                matches!(done, Some(State::Confirmed))
            });
            if !ready {
                continue;
            }
            let pseudo = synapse.action.kind == ActionKind::Pseudo;
            if !pseudo && synapse.priority < run.abort_priority {
                continue;
            }
            fired = true;
            let state = run.fire(synapse, failures);
            if let Some(slot) = run.done.get_mut(at) {
                *slot = state;
            }
        }
        if !fired {
            break;
        }
    }
    let incomplete = run.done.contains(&State::Waiting);
    Outcome { complete: !incomplete || run.abort_priority > 0, events: run.events, cib: run.cib }
}

/// Looks synapses up by the number of their action.
fn positions(graph: &Graph) -> impl Fn(ActionId) -> Option<usize> {
    let mut by_id: Vec<(ActionId, usize)> =
        graph.synapses.iter().enumerate().map(|(at, s)| (s.action.id, at)).collect();
    by_id.sort_unstable();
    move |id| {
        let at = by_id.binary_search_by_key(&id, |(id, _)| *id).ok()?;
        by_id.get(at).map(|(_, at)| *at)
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
    events: Vec<Event>,
    done: Vec<State>,
    abort_priority: i32,
    /// By node id: whether its state has elements of one name and id. Results add none.
    twins: BTreeMap<String, bool>,
    now: i64,
}

impl Run<'_> {
    fn fire(&mut self, synapse: &Synapse, failures: &[Failure]) -> State {
        let action = &synapse.action;
        match action.kind {
            ActionKind::Pseudo => self.events.push(Event::Ran(Box::new(action.clone()))),
            ActionKind::Cluster => {
                self.events.push(Event::Ran(Box::new(action.clone())));
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
        counted(root, Counter::Status, |root| {
            let Some(state) = node_state(root, node, uuid) else { return };
            state.retain_children(|child| child.name() != "lrm" && child.name() != "transient_attributes");
        });
    }

    fn operation(&mut self, action: &GraphAction, failures: &[Failure]) -> State {
        if action.operation == "probe_again" {
            return State::Confirmed;
        }
        let (Some(node), Some(resource)) = (&action.on_node, &action.resource) else {
            return State::Confirmed;
        };
        self.events.push(Event::Ran(Box::new(action.clone())));
        if matches!(action.operation.as_str(), "delete" | "meta-data") {
            return State::Confirmed;
        }
        let expected = action.attribute("CRM_meta_op_target_rc").and_then(|rc| rc.parse().ok()).unwrap_or(0);
        let uuid = match &action.router_node {
            Some(_) => node.clone(),
            None => action.on_node_uuid.clone().unwrap_or_else(|| node.clone()),
        };
        let names = [Some(resource.id.as_str()), resource.long_id.as_deref()];
        let interval = action.attribute("CRM_meta_interval").unwrap_or("0");
        let failure = failures.iter().find(|failure| {
            names.into_iter().flatten().any(|name| {
                let spec = format!("{name}_{}_{interval}@{node}", action.operation);
                spec.eq_ignore_ascii_case(&failure.spec)
            })
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
        if let Some(failure) = failure {
            entry.rc = failure.rc;
            entry.exit_reason = Some("User-injected result");
            self.events.push(Event::Failed { id: action.id, rc: failure.rc });
            self.abort_priority = super::values::INFINITY;
            self.count_failure(&resource.id, node, &uuid, &entry);
        }
        let names = [shown(self.state, action), &resource.id];
        let agent = (resource.class.as_str(), resource.provider.as_deref(), resource.agent.as_str());
        let root = self.cib.root_mut();
        let twins = *self.twins.entry(uuid.clone()).or_insert_with(|| has_twins(root, node, &uuid));
        record(root, (node, &uuid), &names, agent, &entry, twins);
        count(self.cib.root_mut(), Counter::Status);
        if failure.is_some() { State::Failed } else { State::Confirmed }
    }

    fn count_failure(&mut self, resource: &str, node: &str, uuid: &str, entry: &Entry<'_>) {
        let root = self.cib.root_mut();
        for (name, value) in failure_attributes(resource, entry) {
            set_transient(root, node, uuid, &name, &value);
            self.events.push(Event::Attribute { name, value, node: uuid.to_owned() });
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

/// One operation to be recorded.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    pub task: &'a str,
    pub interval_ms: u32,
    pub target_rc: i32,
    pub rc: i32,
    pub exit_reason: Option<&'a str>,
    /// Kind and operation of a notification.
    pub notify: Option<(&'a str, &'a str)>,
    /// Source and target of a migration.
    pub migrate: Option<(&'a str, &'a str)>,
    pub key: &'a str,
    /// Of the parameters that the operation had; none for a result that was put in.
    pub digest: Option<String>,
    pub now: i64,
}

/// The `node_state` of a node, made if it is missing.
pub fn node_state<'a>(root: &'a mut Element, node: &str, uuid: Option<&str>) -> Option<&'a mut Element> {
    let status = root.child_or_insert("status");
    let fits = |e: &Element| {
        e.name() == "node_state"
            && (e.attr("uname").is_some_and(|u| u.eq_ignore_ascii_case(node))
                || uuid.is_some() && e.id() == uuid)
    };
    if !status.children().any(fits) {
        let state = Element::new("node_state").with_attr("id", uuid.unwrap_or(node)).with_attr("uname", node);
        status.push(state);
    }
    first_child(status, fits)
}

fn first_child(parent: &mut Element, fits: impl Fn(&Element) -> bool) -> Option<&mut Element> {
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

/// Whether the state of a node has elements of one name and id.
pub fn has_twins(root: &mut Element, node: &str, uuid: &str) -> bool {
    node_state(root, node, Some(uuid)).is_some_and(|state| twins::has_twins(state))
}

/// Records the result of an operation in the history of a resource on a node.
///
/// The history is the one under the first of `names` that has exactly one, made under the last name if
/// there is none. The reference does so in a copy of the node's state, and writes the copy back over it; that makes
/// a difference if the state has twins.
pub fn record(
    root: &mut Element,
    (node, uuid): (&str, &str),
    names: &[&str],
    agent: (&str, Option<&str>, &str),
    entry: &Entry<'_>,
    twins: bool,
) {
    let Some(state) = node_state(root, node, Some(uuid)) else { return };
    let before = twins.then(|| state.clone());
    let lrm = state.child_or_insert("lrm");
    if lrm.id().is_none() {
        lrm.set_attr("id", uuid);
    }
    let list = lrm.child_or_insert("lrm_resources");
    let count = |list: &Element, name: &str| list.children().filter(|e| e.id() == Some(name)).count();
    let known = names.iter().copied().find(|name| count(list, name) == 1);
    let name = known.or(names.last().copied()).unwrap_or_default().to_owned();
    if known.is_none() {
        let mut history =
            Element::new("lrm_resource").with_attr("id", name.as_str()).with_attr("class", agent.0);
        if let Some(provider) = agent.1 {
            history = history.with_attr("provider", provider);
        }
        list.push(history.with_attr("type", agent.2));
    }
    let Some(history) = list.children_mut().filter(|e| e.id() == Some(name.as_str())).last() else { return };
    let call = if known.is_some() { 1 + last_call(history) } else { 1 };
    add_result(history, names.last().copied().unwrap_or(&name), call, entry);
    if let Some(before) = before {
        let update = std::mem::replace(state, before);
        twins::merge(state, &update);
    }
}

/// The highest number of a call in a history, 0 if there is none.
fn last_call(history: &Element) -> i64 {
    let calls = history.children_named("lrm_rsc_op").filter_map(|op| op.attr("call-id")?.parse().ok());
    calls.max().unwrap_or(0).max(0)
}

fn add_result(resource: &mut Element, name: &str, call: i64, entry: &Entry<'_>) {
    let mut task = entry.task;
    let mut interval = entry.interval_ms;
    let (mut rc, failed) = (entry.rc, entry.rc != entry.target_rc);
    if matches!(task, "reload" | "reload-agent") {
        task = if failed { "monitor" } else { "start" };
    }
    let key = match entry.notify {
        Some((kind, op)) if task == "notify" => format!("{name}_{kind}_notify_{op}_0"),
        _ => format!("{name}_{task}_{interval}"),
    };
    let mut ids = Vec::new();
    if task == "notify" {
        ids.push(key.clone());
        rc = 0;
    } else if matches!(task, "migrate_to" | "migrate_from") {
        ids.push(key.clone());
    } else if failed {
        ids.push(format!("{name}_last_failure_0"));
        if interval == 0 {
            ids.push(format!("{name}_last_0"));
        }
    } else if interval > 0 {
        ids.push(key.clone());
    } else {
        ids.push(format!("{name}_last_0"));
    }
    if task == "notify" {
        interval = 0;
    }
    let key = if task == "notify" { format!("{name}_notify_0") } else { key };
    let uuid = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    let transition = format!("{call}:-1:{}:{uuid}", entry.target_rc);
    for id in ids {
        let mut op = Element::new("lrm_rsc_op")
            .with_attr("id", id.as_str())
            .with_attr("operation_key", key.as_str())
            .with_attr("operation", task)
            .with_attr("crm-debug-origin", "crm_simulate")
            .with_attr("crm_feature_set", cib::FEATURE_SET)
            .with_attr("transition-key", transition.as_str())
            .with_attr("transition-magic", format!("0:{rc};{transition}"));
        op.set_attr("exit-reason", entry.exit_reason.filter(|_| failed).unwrap_or(""));
        op.set_attr("call-id", call.to_string());
        op.set_attr("rc-code", rc.to_string());
        op.set_attr("op-status", "0");
        op.set_attr("interval", interval.to_string());
        op.set_attr("last-rc-change", entry.now.to_string());
        op.set_attr("exec-time", "0");
        op.set_attr("queue-time", "0");
        if let (Some((source, target)), true) = (entry.migrate, matches!(task, "migrate_to" | "migrate_from"))
        {
            op.set_attr("migrate_source", source);
            op.set_attr("migrate_target", target);
        }
        if let Some(digest) = &entry.digest {
            op.set_attr("op-digest", digest.as_str());
        }
        // What an earlier entry of this name had besides stays, and so does its place.
        match first_child(resource, |e| e.id() == Some(id.as_str())) {
            Some(old) => op.attrs().for_each(|(name, value)| old.set_attr(name, value)),
            None => resource.push(op),
        }
    }
}
