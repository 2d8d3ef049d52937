//! What if: changes are made on a copy, plans are made and carried out in thought until nothing is left to
//! do. Nothing is touched.

use std::collections::BTreeSet;

use cib::{Cib, Element};

use super::cause::Cause;
use super::edit;
use super::outcome::Outcome;
use super::remedy::differences;
use super::scene::Scene;
use super::tree::Tree;
use super::words;
use crate::policy::graph::ActionKind;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::simulate::{self, Failure};
use crate::policy::simulator::inject;
use crate::policy::state::NodeKind;
use crate::policy::{Plan, Situation};

/// Transitions in thought, at most: a cluster that has not come to rest by then never will.
const STEPS: usize = 12;

/// What becomes of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It vanishes without a word.
    Lost,
    /// It leaves cleanly.
    Stopped,
    Standby,
    Maintenance,
    /// It is back, without standby or maintenance.
    Active,
}

/// One assumption.
#[derive(Debug, Clone)]
pub enum Change {
    Node {
        name: String,
        fate: Fate,
    },
    /// A running resource fails its monitor with this result.
    Fails {
        resource: String,
        node: Option<String>,
        rc: i32,
    },
    /// Every start or stop of a resource (on a node) fails with this result.
    ActionFails {
        task: &'static str,
        resource: String,
        node: Option<String>,
        rc: i32,
    },
    Ticket {
        name: String,
        granted: bool,
    },
    Quorum(bool),
    /// A patch of either format.
    Patch(Box<Element>),
    /// Another configuration; it keeps the status there is, unless it has one of its own.
    Configuration(Box<Cib>),
}

/// Why a question cannot be answered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhatIfError {
    #[error(transparent)]
    Unknown(#[from] super::Unknown),
    #[error("{resource} does not run{place}, so its monitor cannot fail there")]
    NotRunning { resource: String, place: String },
    #[error("the patch cannot be applied: {0}")]
    Patch(String),
    #[error("the configuration that would result is no CIB: {0}")]
    Configuration(String),
}

/// One transition: what is done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub changes: Vec<Cause>,
    /// Actions that failed as assumed: `stop of db on node1 (rc 1)`.
    pub failed: Vec<String>,
    /// Nodes that were fenced.
    pub fenced: Vec<String>,
}

/// What would happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WhatIf {
    /// The assumptions in words.
    pub assumed: Vec<String>,
    /// What follows from them by itself, and what one should know.
    pub notes: Vec<String>,
    pub steps: Vec<Step>,
    /// What would be different in the end: `db would move from node1 to node2`.
    pub results: Vec<String>,
    /// Resources that ran before, or were to run, and run nowhere in the end.
    pub down: Vec<String>,
    /// The cluster comes to rest.
    pub settled: bool,
}

/// Answers a question about a snapshot.
///
/// # Errors
/// See [`WhatIfError`].
pub fn what_if(cib: &Cib, situation: &Situation, changes: &[Change]) -> Result<WhatIf, WhatIfError> {
    let present = Scene::new(cib, situation);
    let already: Vec<String> = present.causes(None).iter().map(|c| c.change.clone()).collect();
    let mut run = Run {
        cib: cib.clone(),
        situation: situation.clone(),
        failures: Vec::new(),
        stopped: BTreeSet::new(),
        out: WhatIf {
            assumed: Vec::new(),
            notes: Vec::new(),
            steps: Vec::new(),
            results: Vec::new(),
            down: Vec::new(),
            settled: false,
        },
    };
    // A change of the configuration first: the other assumptions may be about what it brings.
    let order = |c: &Change| !matches!(c, Change::Patch(_) | Change::Configuration(_));
    let (first, rest): (Vec<&Change>, Vec<&Change>) = changes.iter().partition(|c| !order(c));
    for change in first.into_iter().chain(rest) {
        run.assume(change)?;
    }
    if !already.is_empty() {
        let list = already.join("; ");
        run.out
            .notes
            .push(format!("the cluster is not at rest, it is about to do without any change: {list}"));
    }
    let explicit = changes.iter().any(|c| matches!(c, Change::Quorum(_)));
    if !explicit {
        run.count_members(&present);
    }
    run.play();
    run.conclude(&present);
    Ok(run.out)
}

struct Run {
    cib: Cib,
    situation: Situation,
    failures: Vec<Failure>,
    /// Stops that were executed: which resource, on which node.
    stopped: BTreeSet<(String, String)>,
    out: WhatIf,
}

impl Run {
    fn scene(&self) -> Scene {
        Scene::new(&self.cib, &self.situation)
    }

    fn assume(&mut self, change: &Change) -> Result<(), WhatIfError> {
        match change {
            Change::Node { name, fate } => self.node(name, *fate)?,
            Change::Fails { resource, node, rc } => self.fails(resource, node.as_deref(), *rc)?,
            Change::ActionFails { task, resource, node, rc } => {
                self.action_fails(task, resource, node.as_deref(), *rc)?;
            }
            Change::Ticket { name, granted } => {
                let word = if *granted { "granted" } else { "revoked" };
                self.out.assumed.push(format!("ticket {name} is {word}"));
                inject::set_ticket(
                    self.cib.root_mut(),
                    name,
                    "granted",
                    if *granted { "true" } else { "false" },
                );
            }
            Change::Quorum(quorum) => {
                let word = if *quorum { "has" } else { "has lost" };
                self.out.assumed.push(format!("the cluster {word} quorum"));
                self.set_quorum(*quorum);
            }
            Change::Patch(patch) => {
                let applied = cib::patch::apply_to(self.cib.root(), patch)
                    .map_err(|error| WhatIfError::Patch(error.to_string()))?;
                self.cib =
                    Cib::from_root(applied).map_err(|error| WhatIfError::Configuration(error.to_string()))?;
                self.out.assumed.push("the configuration is patched".to_owned());
            }
            Change::Configuration(new) => {
                let mut root = new.root().clone();
                let own = root.child("status").is_some_and(|s| s.children().next().is_some());
                if !own && let Some(status) = self.cib.root().child("status").cloned() {
                    root.retain_children(|e| e.name() != "status");
                    root.push(status);
                    for name in ["have-quorum", "dc-uuid", "no-quorum-panic"] {
                        if let Some(value) = self.cib.root().attr(name).map(str::to_owned) {
                            root.set_attr(name, value);
                        }
                    }
                }
                self.cib =
                    Cib::from_root(root).map_err(|error| WhatIfError::Configuration(error.to_string()))?;
                self.out.assumed.push("the configuration is replaced".to_owned());
            }
        }
        Ok(())
    }

    fn set_quorum(&mut self, quorum: bool) {
        self.situation.quorum = None;
        self.cib.root_mut().set_attr("have-quorum", if quorum { "1" } else { "0" });
    }

    fn known_node(&self, name: &str) -> Result<(String, NodeKind, bool), WhatIfError> {
        let scene = self.scene();
        let st = scene.st();
        let n = st.node_by_name(name).ok_or_else(|| super::Unknown::Node(name.to_owned()))?;
        Ok((st[n].name.clone(), st[n].kind, st[n].online))
    }

    fn node(&mut self, name: &str, fate: Fate) -> Result<(), WhatIfError> {
        let (name, kind, online) = self.known_node(name)?;
        let fencing = self.scene().st().options.stonith_enabled;
        let root = self.cib.root_mut();
        let id = inject::node_id(root, &name);
        let text = match fate {
            Fate::Lost => {
                if kind == NodeKind::Cluster && online {
                    inject::membership(root, &name, &id, ["false", "offline", "member", "member"]);
                }
                if kind == NodeKind::Cluster && !fencing {
                    self.out.notes.push(format!("fencing is off (stonith-enabled=false): {name} is taken for dead; if it is not, what ran there runs twice"));
                }
                format!("{name} is lost without a word")
            }
            Fate::Stopped => {
                inject::membership(root, &name, &id, ["false", "offline", "down", "down"]);
                if let Some(state) = edit::state_mut(root, &name) {
                    state.retain_children(|c| c.name() != "lrm" && c.name() != "transient_attributes");
                }
                format!("{name} is shut down cleanly")
            }
            Fate::Standby => {
                edit::set_node_attribute(root, &name, "standby", "on");
                format!("{name} is put in standby")
            }
            Fate::Maintenance => {
                edit::set_node_attribute(root, &name, "maintenance", "true");
                format!("{name} is put in maintenance mode")
            }
            Fate::Active => {
                if !online {
                    edit::bring_up(root, &name);
                }
                for attribute in ["standby", "maintenance"] {
                    edit::drop_node_attribute(root, &name, attribute);
                }
                format!("{name} is back and active")
            }
        };
        self.out.assumed.push(text);
        Ok(())
    }

    /// The leaves of a resource that are active (on a node), with the name and node of each.
    fn active(
        scene: &Scene,
        resource: &str,
        node: Option<&str>,
    ) -> Result<(ResourceIx, Vec<(ResourceIx, NodeIx)>), WhatIfError> {
        let st = scene.st();
        let r = scene.find(resource).ok_or_else(|| super::Unknown::Resource(resource.to_owned()))?;
        let n = match node {
            Some(name) => Some(st.node_by_name(name).ok_or_else(|| super::Unknown::Node(name.to_owned()))?),
            None => None,
        };
        let mut found = Vec::new();
        for leaf in super::outcome::leaves(st, r) {
            for at in st[leaf].running_on.iter().copied().filter(|at| n.is_none_or(|n| n == *at)) {
                found.push((leaf, at));
            }
        }
        Ok((r, found))
    }

    fn fails(&mut self, resource: &str, node: Option<&str>, rc: i32) -> Result<(), WhatIfError> {
        let scene = self.scene();
        let (_, found) = Self::active(&scene, resource, node)?;
        let Some((leaf, at)) = found.first().copied() else {
            let place = node.map_or_else(String::new, |n| format!(" on {n}"));
            return Err(WhatIfError::NotRunning { resource: resource.to_owned(), place });
        };
        let node = scene.node(at);
        self.out.assumed.push(format!("the monitor of {} on {node} fails with rc {rc}", scene.id(leaf)));
        scene.fail_monitor(&mut self.cib, leaf, at, rc);
        Ok(())
    }

    fn action_fails(
        &mut self,
        task: &'static str,
        resource: &str,
        node: Option<&str>,
        rc: i32,
    ) -> Result<(), WhatIfError> {
        let scene = self.scene();
        let (r, _) = Self::active(&scene, resource, node)?;
        let st = scene.st();
        let place = node.map_or_else(String::new, |n| format!(" on {n}"));
        self.out.assumed.push(format!("every {task} of {}{place} fails with rc {rc}", scene.id(r)));
        for leaf in super::outcome::leaves(st, r) {
            for n in st.node_order.iter().copied() {
                if node.is_none_or(|name| st[n].name.eq_ignore_ascii_case(name)) {
                    for name in [st[leaf].name_in_history(), st[leaf].id.as_str(), scene.id(leaf)] {
                        self.failures.push(Failure { spec: format!("{name}_{task}_0@{}", st[n].name), rc });
                    }
                }
            }
        }
        Ok(())
    }

    /// Quorum by the majority of the configured cluster nodes, where nodes were lost or came back.
    fn count_members(&mut self, present: &Scene) {
        let count = |scene: &Scene| {
            let st = scene.st();
            let all = st.nodes.iter().filter(|n| n.kind == NodeKind::Cluster);
            (all.clone().filter(|n| n.online && !n.unclean).count(), all.count())
        };
        let scene = self.scene();
        let ((before, _), (after, total)) = (count(present), count(&scene));
        if before == after {
            return;
        }
        let had = scene.st().quorum;
        let of = format!("{after} of {total} nodes");
        if 2 * after > total && !had {
            self.set_quorum(true);
            self.out.notes.push(format!("with {of} the cluster has quorum again"));
        } else if 2 * after < total && had {
            self.set_quorum(false);
            self.out.notes.push(format!("quorum is lost: {of} remain"));
        } else if 2 * after == total && had {
            self.out.notes.push(format!("{of} remain, exactly half: quorum is assumed to be kept (it takes confirmed fencing or a ping node)"));
        }
    }

    fn play(&mut self) {
        for _ in 0..STEPS {
            let scene = self.scene();
            let changes = scene.causes(None);
            if quiet(&scene.plan) {
                self.out.settled = true;
                return;
            }
            let outcome = simulate::run(&self.cib, &scene.plan, &self.failures, self.situation.now);
            let mut step = Step { changes, failed: Vec::new(), fenced: Vec::new() };
            let mut fatal = Vec::new();
            let by_id = |id| scene.plan.graph.synapses.iter().find(|s| s.action.id == id);
            for event in &outcome.events {
                match event {
                    simulate::Event::Failed { id, rc } => {
                        let Some(action) = by_id(*id).map(|s| &s.action) else { continue };
                        let resource = action.resource.as_ref().map_or("", |r| r.id.as_str());
                        let node = action.on_node.as_deref().unwrap_or_default();
                        step.failed.push(format!("{} of {resource} on {node} (rc {rc})", action.operation));
                        let is_fatal = action.operation == "stop"
                            || action.operation == "start" && scene.st().options.start_failure_fatal;
                        if is_fatal {
                            let id = action.on_node_uuid.as_deref().unwrap_or(node).to_owned();
                            let name = format!("fail-count-{resource}#{}_0", action.operation);
                            fatal.push((node.to_owned(), id, name));
                        }
                    }
                    simulate::Event::Ran(action)
                        if action.kind == ActionKind::Cluster && action.operation == "stonith" =>
                    {
                        if action.attribute("CRM_meta_stonith_action") != Some("on") {
                            step.fenced.extend(action.on_node.as_ref().map(ToString::to_string));
                        }
                    }
                    simulate::Event::Ran(action)
                        if action.kind == ActionKind::Resource && action.operation == "stop" =>
                    {
                        let resource = action.resource.as_ref().map(|r| r.id.to_string());
                        let node = action.on_node.as_ref().map(ToString::to_string);
                        self.stopped.extend(resource.zip(node));
                    }
                    _ => {}
                }
            }
            self.cib = outcome.cib;
            sign(&mut self.cib, &self.situation);
            // As the controller does it: such a failure counts for ever.
            for (node, id, name) in fatal {
                simulate::set_transient(self.cib.root_mut(), &node, &id, &name, "INFINITY");
            }
            let idle = step.changes.is_empty() && step.failed.is_empty() && step.fenced.is_empty();
            if !idle {
                self.out.steps.push(step);
            }
        }
    }

    fn conclude(&mut self, present: &Scene) {
        let end = self.scene();
        // What the present plan does anyway is no consequence.
        let before = Outcome::of(&present.plan);
        let after = Outcome::alive(&end.plan);
        self.unfenced(&end);
        self.out.results = differences(&before, &after, &BTreeSet::new());
        for (id, places) in &before.places {
            if !places.is_empty() && after.places.get(id).is_none_or(Vec::is_empty) {
                self.out.down.push(id.clone());
            }
        }
        for (id, places) in &after.places {
            let new = !before.places.contains_key(id);
            if places.is_empty() && new {
                self.out.down.push(id.clone());
            }
        }
        let gone = |node: &str| end.st().node_by_name(node).is_some_and(|n| !end.st()[n].online);
        for id in &self.out.down {
            let nodes = before.nodes(id);
            // What was stopped before its node went is not lost with it.
            let stopped = self.stopped.iter().any(|(r, n)| r == id && nodes.contains(&n.as_str()));
            if !nodes.is_empty() && !stopped && nodes.iter().all(|n| gone(n)) {
                let on = words::list(&nodes);
                for result in &mut self.out.results {
                    if *result == format!("{id} would stop on {on}") {
                        *result = format!("{id} would be lost with {on}");
                    }
                }
            }
        }
        let restarted: Vec<(String, String)> = self
            .out
            .steps
            .iter()
            .flat_map(|s| &s.changes)
            .filter(|c| matches!(c.what.as_str(), "restart" | "recover" | "reload"))
            .filter_map(|c| Some((c.resource.clone()?, c.to.clone().or(c.from.clone())?)))
            .filter(|(id, _)| before.places.get(id) == after.places.get(id))
            .collect();
        let mut ids: Vec<&String> = restarted.iter().map(|(id, _)| id).collect();
        let mut seen = BTreeSet::new();
        ids.retain(|id| seen.insert(*id));
        for id in ids {
            let nodes: BTreeSet<&str> =
                restarted.iter().filter(|(of, _)| of == id).map(|(_, node)| node.as_str()).collect();
            let on = words::list(&nodes.into_iter().collect::<Vec<_>>());
            self.out.results.push(format!("{id} would be restarted on {on}"));
        }
        let fenced = self.out.steps.iter().flat_map(|s| &s.fenced);
        let mut results: Vec<String> = fenced.map(|n| format!("{n} would be fenced")).collect();
        results.append(&mut self.out.results);
        self.out.results = results;
    }

    /// Nodes that are gone and could not be fenced: what ran there is not taken over.
    fn unfenced(&mut self, end: &Scene) {
        let st = end.st();
        for n in st.node_order.iter().copied().filter(|n| st[*n].unclean) {
            let there: Vec<&str> = st[n].running.iter().map(|r| end.id(*r)).collect();
            let what = match there.is_empty() {
                true => String::new(),
                false => {
                    format!("; what ran there may still run and is not taken over: {}", there.join(", "))
                }
            };
            self.out.notes.push(format!("{} would have to be fenced and cannot be{what}", st[n].name));
        }
    }
}

/// Gives results of simulated operations the digest of their parameters, as real ones have it; without one
/// the next plan would take them for results of another configuration.
fn sign(cib: &mut Cib, situation: &Situation) {
    let state = crate::policy::state::build::build(cib, situation, &mut crate::policy::NoLedger);
    let Some(status) = cib.root_mut().child_mut("status") else { return };
    for node_state in status.children_mut() {
        let node = node_state.attr("uname").and_then(|name| state.node_by_name(name));
        let Some(list) = node_state.child_mut("lrm").and_then(|l| l.child_mut("lrm_resources")) else {
            continue;
        };
        for history in list.children_mut() {
            let simulated = |op: &cib::Element| op.attr("crm-debug-origin") == Some("crm_simulate");
            if !history.children().any(simulated) {
                continue;
            }
            let name = history.id().unwrap_or_default().to_owned();
            let named = |r: &ResourceIx| {
                state[*r].is_primitive()
                    && (state[*r].name_in_history() == name || state[*r].config_id() == name)
            };
            let Some(r) = super::outcome::all(&state).find(named) else { continue };
            for op in history.children_mut() {
                // The digest of an earlier run of the operation says nothing about this one.
                if !simulated(op) {
                    continue;
                }
                let task = op.attr("operation").unwrap_or_default().to_owned();
                let interval = crate::policy::values::history_ms(op.attr("interval"));
                let digests =
                    state.digests(r, &task, interval, node, None, &crate::policy::state::Table::default());
                op.set_attr("op-digest", digests.all.to_string());
            }
        }
    }
}

/// Nothing is left to do that a person would call an action.
fn quiet(plan: &Plan) -> bool {
    let acts = |s: &crate::policy::graph::Synapse| s.action.kind != ActionKind::Pseudo;
    !plan.graph.synapses.iter().any(acts)
}

impl WhatIf {
    /// The answer for people.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |pad: &str, text: &str| {
            out.push_str(pad);
            out.push_str(&super::fact::sentence(text));
            out.push('\n');
        };
        line("", &format!("If {}", words::list(&self.assumed)));
        for note in &self.notes {
            line("  ", &format!("Note: {note}"));
        }
        for (at, step) in self.steps.iter().enumerate() {
            line("", &if at == 0 { "Then:".to_owned() } else { format!("Then (transition {}):", at + 1) });
            for cause in &step.changes {
                line("  ", &cause.text());
            }
            for failed in &step.failed {
                line("  ", &format!("the {failed} fails, as assumed"));
            }
        }
        if self.results.is_empty() {
            line("", "In the end nothing is different");
        } else {
            line("", "In the end:");
            for result in &self.results {
                line("  ", result);
            }
        }
        if !self.down.is_empty() {
            line("", &format!("Without a node: {}", self.down.join(", ")));
        }
        if !self.settled {
            line(
                "",
                &format!(
                    "The cluster would not come to rest: after {STEPS} transitions there is still something to do"
                ),
            );
        }
        out
    }

    /// The answer for programs.
    pub fn tree(&self) -> Tree {
        let steps = self.steps.iter().map(|step| {
            Tree::map()
                .with("actions", Tree::List("action", step.changes.iter().map(Cause::tree).collect()))
                .with("failed", Tree::texts("action", &step.failed))
                .with("fenced", Tree::texts("node", &step.fenced))
        });
        Tree::map()
            .with("assumed", Tree::texts("assumption", &self.assumed))
            .with("notes", Tree::texts("note", &self.notes))
            .with("settled", self.settled)
            .with("transitions", Tree::List("transition", steps.collect()))
            .with("results", Tree::texts("result", &self.results))
            .with("down", Tree::texts("resource", &self.down))
    }
}
