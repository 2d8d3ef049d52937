//! Executes one plan: decides which of its actions may start now, waits for their results, gives up
//! on the rest when something changed, and says how it ended.
//!
//! ```text
//!            ┌── inputs confirmed, limits leave room, priority ≥ abort priority ──┐
//!  Waiting ──┤                                                                    ├─▶ Pending ─▶ Confirmed
//!            └── pseudo: at once ─────────────────────────────────▶ Confirmed     │        └───▶ Failed
//!                                                                                 └ timer ────▶ Failed (lost)
//! ```
//!
//! The machine starts nothing itself: it emits [`TransitionAction::Fire`] and whoever drives it carries
//! the action out and answers with [`TransitionEvent::Result`]. It keeps no wall clock; `now` is the
//! monotonic clock.
//!
//! Source: specification `membership.md` §11 and `scheduler-3-transition.md` §13.1.

mod key;
mod ready;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::policy::graph::{ActionId, ActionKind, Graph, GraphAction};

pub use key::{Key, KeyError, Magic};
use ready::{Ready, is_migration};

/// A priority above every resource's: an abort with it stops all but pseudo actions.
pub const INFINITY: i32 = 1_000_000;

/// What to do when nothing of the plan runs any more; the strongest that was asked for counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Completion {
    /// The plan ran to its end.
    Done,
    /// Stop here and wait for something to change.
    Stop,
    /// Make a new plan.
    Restart,
}

/// How an action ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// As expected: what waits for it may start.
    Ok,
    /// Otherwise than expected: what waits for it is held back.
    Failed,
}

/// What is held back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Held {
    #[default]
    Nothing,
    /// What makes a resource active: this side fences for the right to do that, and does not have it yet. Fence
    /// devices are not meant.
    Starts,
    /// All but stops: the lease lapsed (protocol R6.3).
    All,
}

/// What the machine is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransitionEvent {
    /// Begin, or look again whether something may start.
    Go,
    /// An action that was fired has ended.
    Result { action: ActionId, outcome: Outcome },
    /// Something changed that makes the rest of the plan doubtful. Actions of a priority below are not
    /// started any more; what runs is waited for.
    Abort { priority: i32, completion: Completion, reason: String },
    /// A node left: what ran on it will not be confirmed any more.
    NodeGone { name: String },
    /// Hold some actions back from now on, or go on.
    Hold(Held),
    /// The time of [`Transition::deadline`] has come.
    Wake,
}

/// What the driver of the machine must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransitionAction {
    /// Carry this action out and answer with its result. The number counts within the plan.
    Fire(ActionId),
    /// This action was not confirmed in time (its own time-out plus the cluster delay); the machine
    /// has given it up. `waited` is for the log and for the synthetic result.
    Lost { action: ActionId, waited: Duration },
    /// The plan was given up, or more strongly than before. Said once for each step of strength.
    Aborted { reason: String },
    /// Nothing runs any more and nothing will be started: the machine is done.
    Finished(Report),
}

/// How a plan ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub number: u64,
    pub complete: usize,
    pub pending: usize,
    pub fired: usize,
    pub skipped: usize,
    pub incomplete: usize,
    /// What to do next.
    pub completion: Completion,
    /// Why it was aborted, if it was: the first reason given.
    pub reason: Option<String>,
}

impl Report {
    /// `Complete`, `Stopped` (something was skipped) or `Terminated` (something can never start).
    pub fn verdict(&self) -> &'static str {
        if self.skipped > 0 {
            "Stopped"
        } else if self.incomplete > 0 && self.reason.is_none() {
            "Terminated"
        } else if self.incomplete > 0 {
            "Stopped"
        } else {
            "Complete"
        }
    }
}

impl std::fmt::Display for Report {
    /// The line administrators look for at the end of each transition.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Transition {} (Complete={}, Pending={}, Fired={}, Skipped={}, Incomplete={}): {}",
            self.number,
            self.complete,
            self.pending,
            self.fired,
            self.skipped,
            self.incomplete,
            self.verdict()
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Waiting,
    Pending { since: Duration, deadline: Option<Duration> },
    Confirmed,
    Failed,
}

#[derive(Debug, Clone)]
struct Abort {
    priority: i32,
    completion: Completion,
    reason: String,
}

/// One plan in execution.
#[derive(Debug, Clone)]
pub struct Transition {
    number: u64,
    graph: Graph,
    steps: Vec<Step>,
    /// Inputs of each synapse that are not confirmed yet.
    waiting: Vec<usize>,
    /// Synapses that wait for the action of a synapse.
    dependants: Vec<Vec<usize>>,
    index: BTreeMap<ActionId, usize>,
    timers: BTreeSet<(Duration, usize)>,
    ready: Ready,
    /// What was fired and has no result.
    pending: BTreeSet<usize>,
    /// How many steps are over.
    done: usize,
    abort: Option<Abort>,
    held: Held,
    finished: bool,
    fired: usize,
    delay: Duration,
    batch_limit: usize,
    migration_limit: usize,
}

impl Transition {
    /// Takes a plan; nothing is fired before the first [`TransitionEvent::Go`].
    /// An input that the graph does not contain can never be confirmed and keeps its synapse back.
    /// A node is given at most `jobs` operations of resources at one time (0: any number): its executor would let
    /// more of them wait, and their time would pass meanwhile.
    pub fn new(number: u64, graph: Graph, jobs: usize) -> Self {
        let count = graph.synapses.len();
        let index: BTreeMap<ActionId, usize> =
            graph.synapses.iter().enumerate().map(|(i, s)| (s.action.id, i)).collect();
        let mut dependants = vec![Vec::new(); count];
        let mut waiting = vec![0; count];
        for (i, synapse) in graph.synapses.iter().enumerate() {
            let inputs: BTreeSet<ActionId> = synapse.inputs.iter().copied().collect();
            if let Some(slot) = waiting.get_mut(i) {
                *slot = inputs.len();
            }
            for input in inputs {
                if let Some(list) = index.get(&input).and_then(|&at| dependants.get_mut(at)) {
                    list.push(i);
                }
            }
        }
        let mut ready = Ready::new(graph.synapses.iter().map(|s| &*s.action), jobs);
        for (at, (synapse, inputs)) in graph.synapses.iter().zip(&waiting).enumerate() {
            if *inputs == 0 {
                ready.add(at, &synapse.action);
            }
        }
        let delay = graph.delay().unwrap_or(Duration::from_secs(60));
        let batch_limit = graph.batch_limit.trim().parse().unwrap_or(0);
        let migration_limit =
            graph.migration_limit.as_deref().and_then(|l| l.trim().parse().ok()).unwrap_or(0);
        Self {
            number,
            graph,
            steps: vec![Step::Waiting; count],
            waiting,
            dependants,
            index,
            timers: BTreeSet::new(),
            ready,
            pending: BTreeSet::new(),
            done: 0,
            abort: None,
            held: Held::Nothing,
            finished: false,
            fired: 0,
            delay,
            batch_limit,
            migration_limit,
        }
    }

    /// Number of this transition, as in transition keys.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The plan being executed.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// An action of the plan.
    pub fn action(&self, id: ActionId) -> Option<&GraphAction> {
        self.index.get(&id).and_then(|&i| self.graph.synapses.get(i)).map(|s| &*s.action)
    }

    /// Whether this action was fired and has no result yet.
    pub fn is_pending(&self, id: ActionId) -> bool {
        matches!(self.index.get(&id).and_then(|&i| self.steps.get(i)), Some(Step::Pending { .. }))
    }

    /// Actions that run now, in the order of the graph.
    pub fn pending(&self) -> impl Iterator<Item = &GraphAction> {
        self.pending.iter().filter_map(|&at| self.graph.synapses.get(at)).map(|synapse| &*synapse.action)
    }

    /// How many actions run now.
    pub fn running(&self) -> usize {
        self.pending.len()
    }

    /// How many actions are confirmed, and how many there are.
    pub fn progress(&self) -> (usize, usize) {
        (self.done, self.steps.len())
    }

    /// Whether the rest of the plan was given up.
    pub fn is_aborted(&self) -> bool {
        self.abort.is_some()
    }

    /// When [`TransitionEvent::Wake`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// One step of the machine.
    pub fn handle(&mut self, now: Duration, event: TransitionEvent, actions: &mut Vec<TransitionAction>) {
        if self.finished {
            return;
        }
        match event {
            TransitionEvent::Go => {}
            TransitionEvent::Result { action, outcome } => {
                if let Some(&at) = self.index.get(&action) {
                    self.settle(at, outcome, actions);
                }
            }
            TransitionEvent::Abort { priority, completion, reason } => {
                self.abort(priority, completion, reason, actions);
            }
            TransitionEvent::NodeGone { name } => self.node_gone(&name, actions),
            TransitionEvent::Hold(held) => self.held = held,
            TransitionEvent::Wake => self.expire(now, actions),
        }
        self.pass(now, actions);
    }

    fn settle(&mut self, at: usize, outcome: Outcome, actions: &mut Vec<TransitionAction>) {
        let Some(step) = self.steps.get_mut(at) else { return };
        match *step {
            Step::Pending { deadline, .. } => {
                if let Some(deadline) = deadline {
                    self.timers.remove(&(deadline, at));
                }
            }
            // A result before the action was fired, or a second one, changes nothing.
            Step::Waiting | Step::Confirmed | Step::Failed => return,
        }
        *step = match outcome {
            Outcome::Ok => Step::Confirmed,
            Outcome::Failed => Step::Failed,
        };
        self.done += 1;
        self.pending.remove(&at);
        if let Some(synapse) = self.graph.synapses.get(at) {
            self.ready.end(at, &synapse.action);
        }
        self.release_dependants(at, outcome);
        if outcome == Outcome::Failed {
            let priority = self.graph.synapses.get(at).map_or(0, |s| s.priority);
            self.abort(priority.saturating_add(1), Completion::Restart, "Event failed".into(), actions);
        }
    }

    /// A failed input holds its dependants back, unless it may fail or they are of the highest priority.
    fn release_dependants(&mut self, at: usize, outcome: Outcome) {
        let can_fail = self.graph.synapses.get(at).is_some_and(|s| {
            s.action.attribute("CRM_meta_can_fail").is_some_and(|v| v.eq_ignore_ascii_case("true"))
        });
        let Some(list) = self.dependants.get(at) else { return };
        for &dependant in list {
            let Some(synapse) = self.graph.synapses.get(dependant) else { continue };
            if !(outcome == Outcome::Ok || can_fail || synapse.priority >= INFINITY) {
                continue;
            }
            let Some(count) = self.waiting.get_mut(dependant) else { continue };
            *count = count.saturating_sub(1);
            let given_up = self.abort.as_ref().is_some_and(|a| synapse.priority < a.priority);
            if *count == 0 && (!given_up || synapse.action.kind == ActionKind::Pseudo) {
                self.ready.add(dependant, &synapse.action);
            }
        }
    }

    fn abort(
        &mut self,
        priority: i32,
        completion: Completion,
        reason: String,
        actions: &mut Vec<TransitionAction>,
    ) {
        match &mut self.abort {
            None => {
                actions.push(TransitionAction::Aborted { reason: reason.clone() });
                self.abort = Some(Abort { priority, completion, reason });
            }
            Some(abort) => {
                let stronger = priority > abort.priority || completion > abort.completion;
                abort.priority = abort.priority.max(priority);
                abort.completion = abort.completion.max(completion);
                if stronger {
                    actions.push(TransitionAction::Aborted { reason });
                }
            }
        }
        // No abort is ever taken back.
        let least = self.abort.as_ref().map_or(i32::MIN, |a| a.priority);
        let synapses = &self.graph.synapses;
        self.ready.keep(|at| synapses.get(at).is_some_and(|s| s.priority >= least));
    }

    fn node_gone(&mut self, name: &str, actions: &mut Vec<TransitionAction>) {
        let lost: Vec<usize> = self
            .pending
            .iter()
            .filter(|&&at| {
                // A fencing operation is about that node and done by others.
                self.graph.synapses.get(at).is_some_and(|s| {
                    !(s.action.kind == ActionKind::Cluster && s.action.operation == "stonith")
                        && s.action.router_node.as_deref().or(s.action.on_node.as_deref()) == Some(name)
                })
            })
            .copied()
            .collect();
        for at in lost {
            self.settle(at, Outcome::Failed, actions);
        }
        self.abort(INFINITY, Completion::Restart, format!("Node failure: {name}"), actions);
    }

    fn expire(&mut self, now: Duration, actions: &mut Vec<TransitionAction>) {
        while let Some(&(at_time, at)) = self.timers.first() {
            if at_time > now {
                break;
            }
            self.timers.remove(&(at_time, at));
            let Some(Step::Pending { since, .. }) = self.steps.get(at).copied() else { continue };
            let Some(id) = self.graph.synapses.get(at).map(|s| s.action.id) else { continue };
            actions.push(TransitionAction::Lost { action: id, waited: now.saturating_sub(since) });
            self.settle(at, Outcome::Failed, actions);
            self.abort(INFINITY, Completion::Restart, "Action lost".into(), actions);
        }
    }

    /// Fires what may start, in the order of the graph, until a pass fires nothing; then looks
    /// whether all is over.
    fn pass(&mut self, now: Duration, actions: &mut Vec<TransitionAction>) {
        loop {
            let mut cursor = 0;
            while let Some(at) = self.ready.next(cursor, |at| self.may_start(at)) {
                self.start(now, at, actions);
                cursor = at + 1;
            }
            if cursor == 0 {
                break;
            }
        }
        self.finish_if_over(actions);
    }

    fn start(&mut self, now: Duration, at: usize, actions: &mut Vec<TransitionAction>) {
        let Some(synapse) = self.graph.synapses.get(at) else { return };
        let action = &synapse.action;
        let pseudo = action.kind == ActionKind::Pseudo;
        let waits = !pseudo && !is_set(action, "CRM_meta_op_no_wait");
        let deadline = waits.then(|| now + self.time_for(action));
        if !pseudo {
            self.fired += 1;
            actions.push(TransitionAction::Fire(action.id));
        }
        self.ready.begin(at, action);
        self.pending.insert(at);
        if let Some(slot) = self.steps.get_mut(at) {
            *slot = Step::Pending { since: now, deadline };
        }
        match deadline {
            Some(deadline) => _ = self.timers.insert((deadline, at)),
            None => self.settle(at, Outcome::Ok, actions),
        }
    }

    /// Its own time-out (fencing: the cluster's) and the cluster delay on top.
    fn time_for(&self, action: &GraphAction) -> Duration {
        let own = milliseconds(action, "CRM_meta_timeout").unwrap_or_else(|| {
            crate::policy::values::parse_duration_ms(&self.graph.stonith_timeout)
                .map_or(Duration::from_secs(60), Duration::from_millis)
        });
        let start_delay = milliseconds(action, "CRM_meta_start_delay").unwrap_or_default();
        own + start_delay + self.delay
    }

    /// Whether limits and lease let this action start, which is no pseudo action.
    fn may_start(&self, at: usize) -> bool {
        let Some(synapse) = self.graph.synapses.get(at) else { return false };
        let free = match self.held {
            Held::Nothing => true,
            Held::Starts => !makes_active(&synapse.action),
            Held::All => synapse.action.operation == "stop",
        };
        if !free {
            return false;
        }
        if self.batch_limit > 0 && self.pending.len() >= self.batch_limit {
            return false;
        }
        self.migration_limit == 0
            || !is_migration(&synapse.action)
            || self.ready.migrations(&synapse.action) < self.migration_limit
    }

    fn finish_if_over(&mut self, actions: &mut Vec<TransitionAction>) {
        // Held back by the lease, not by the plan: it is not over.
        let may_go_on = self.held == Held::All && self.abort.is_none() && !self.ready.is_empty();
        if self.finished || !self.pending.is_empty() || may_go_on {
            return;
        }
        self.finished = true;
        let abort_priority = self.abort.as_ref().map_or(i32::MIN, |a| a.priority);
        let mut complete = 0;
        let mut skipped = 0;
        let mut incomplete = 0;
        for (i, (synapse, step)) in self.graph.synapses.iter().zip(&self.steps).enumerate() {
            match step {
                Step::Confirmed | Step::Failed => complete += 1,
                Step::Pending { .. } => {}
                Step::Waiting => {
                    let ready = self.waiting.get(i).is_some_and(|&n| n == 0);
                    if ready && synapse.priority < abort_priority {
                        skipped += 1;
                    } else {
                        incomplete += 1;
                    }
                }
            }
        }
        let completion = match &self.abort {
            Some(abort) => abort.completion,
            None if skipped + incomplete == 0 => Completion::Done,
            // Something waits for what can never be: no new plan would change that by itself.
            None => Completion::Stop,
        };
        actions.push(TransitionAction::Finished(Report {
            number: self.number,
            complete,
            pending: 0,
            fired: self.fired,
            skipped,
            incomplete,
            completion,
            reason: self.abort.as_ref().map(|a| a.reason.clone()),
        }));
    }
}

fn is_set(action: &GraphAction, name: &str) -> bool {
    action.attribute(name).is_some_and(|v| v.eq_ignore_ascii_case("true"))
}

/// Whether a resource other than a fence device may be active or promoted after it that was not before.
fn makes_active(action: &GraphAction) -> bool {
    let device = action.resource.as_ref().is_some_and(|r| r.class == "stonith");
    !device && matches!(action.operation.as_str(), "start" | "promote" | "migrate_to" | "migrate_from")
}

/// A time in a graph: milliseconds without a unit.
fn milliseconds(action: &GraphAction, name: &str) -> Option<Duration> {
    action.attribute(name).and_then(|v| v.parse().ok()).map(Duration::from_millis)
}

#[cfg(test)]
mod tests;
