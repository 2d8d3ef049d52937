//! The local operation queue: one operation at a time per resource.
//!
//! ```text
//!             Submit                    due              free
//!   (nothing) ──────► delayed ────────► in line ────────► running ──► reported, gone
//!                        ▲   start delay   (FIFO per          │
//!                        │                  resource)         │ recurring
//!                        └────────────────────────────────────┘ after its interval
//! ```
//!
//! * Operations of one resource run one after the other, in the order in which they became ready.
//! * At most `limit` run at once over all resources; fence devices do not count. Where operations compete,
//!   recurring ones count as ten seconds younger than they are, so that a start never waits for a
//!   monitor, and no monitor waits for ever.
//! * A recurring operation is reported the first time and whenever its rc or status changes.
//! * An operation that runs once, other than `monitor` and `notify`, ends the recurring ones first.
//! * `stop` gets the instance parameters of the last successful start, so that what was started is what is
//!   stopped after the configuration has changed.
//!
//! Source: agents.md 5.3 to 5.8.

mod resource;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use self::resource::{Resource, log_result};
use crate::class::{self, Prepared, Reading, Roots};
use crate::op::rc;
use crate::{CallId, Class, Command, End, ExecId, Now, OpRequest, OpResult, OpStatus, Outcome, Verdict};

/// What happens to the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A recurring operation that is there already keeps its state and gets the new request's key,
    /// parameters and limit; its next result is reported whatever it is.
    Submit(OpRequest),
    /// End an operation: one that waits goes, a recurring one that runs is killed; one that runs once is
    /// let finish. Answered by a `Report` with [`OpStatus::Cancelled`] or by [`Action::NotCancelled`].
    Cancel { rsc: String, action: String, interval_ms: u64 },
    /// The end of what [`Action::Spawn`] asked for.
    Exited { exec: ExecId, outcome: Outcome },
    /// Forget a resource and all its operations; one that runs is let finish. Answered by
    /// [`Action::Flushed`].
    Flush { rsc: String },
    /// The orders that were given are void: what has not begun and could do harm when it begins late
    /// ([`OpRequest::is_harmless`]) is reported as not begun ([`OpStatus::Invalid`]).
    Void,
    /// An earlier life of the core spawned this, and its end is not known yet.
    Adopt { exec: ExecId, op: OpRequest },
    /// The deadline has come.
    Wake,
}

/// What the queue wants done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// `op` is what runs, its parameters included; its note ([`OpRequest::to_note`]) goes with the
    /// command to the executor.
    Spawn {
        exec: ExecId,
        op: OpRequest,
        command: Command,
    },
    Kill {
        exec: ExecId,
    },
    Report(OpResult),
    Confirm(ExecId),
    NotCancelled {
        rsc: String,
        action: String,
        interval_ms: u64,
        why: Refusal,
    },
    Flushed {
        rsc: String,
    },
}

/// Why an operation was not cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// There is none, any more: as good as cancelled.
    Unknown,
    /// It runs, runs only once, and its result will be reported.
    Running,
}

/// How much younger than it is a recurring operation counts when operations compete.
const DEFER: Duration = Duration::from_secs(10);
/// From this many waiting operations of a resource on, the log says so (agents.md 5.3.2).
const LONG_LINE: usize = 4;
/// From this time in the line on, the log says so.
const LONG_WAIT: Duration = Duration::from_secs(10);

/// The machine. See the module.
#[derive(Debug)]
pub struct Queue {
    roots: Roots,
    limit: usize,
    next_call: u64,
    next_exec: u64,
    ops: BTreeMap<CallId, Op>,
    resources: BTreeMap<String, Resource>,
    execs: BTreeMap<ExecId, CallId>,
    /// Operations that wait for a time: start delays and intervals.
    sleeping: BTreeSet<(Duration, CallId)>,
    /// Running operations whose state has not settled, to be looked at again.
    polling: BTreeSet<(Duration, CallId)>,
    /// The first in line of each resource of which nothing runs, by urgency.
    ready: BTreeSet<(Duration, CallId)>,
    /// Running operations that count against the limit.
    busy: usize,
}

#[derive(Debug)]
struct Op {
    request: OpRequest,
    /// The number shown; a merged request brings a new one.
    shown: CallId,
    /// What the agent was given in the run in progress.
    run: Option<Run>,
    /// When it became ready to run.
    since: Duration,
    /// What was reported last, and since when it is so.
    last: Option<(i32, OpStatus, i64)>,
    /// The next result is to be reported even if nothing has changed.
    owed: bool,
    /// A cancel came while it ran.
    cancelled: bool,
}

#[derive(Debug)]
struct Run {
    exec: ExecId,
    op: OpRequest,
    started: Now,
    /// Of all processes of this run, where a state has to settle.
    spent: Duration,
    queue: Duration,
}

impl Queue {
    /// `limit`: processes at once, at least 1. `generation`: which life of the core this is, as the
    /// executor counts them; keeps [`ExecId`]s apart.
    pub fn new(roots: Roots, limit: usize, generation: u32) -> Queue {
        Queue {
            roots,
            limit: limit.max(1),
            next_call: 1,
            next_exec: (u64::from(generation) << 32) + 1,
            ops: BTreeMap::new(),
            resources: BTreeMap::new(),
            execs: BTreeMap::new(),
            sleeping: BTreeSet::new(),
            polling: BTreeSet::new(),
            ready: BTreeSet::new(),
            busy: 0,
        }
    }

    /// Changes the number of processes at once (`node-action-limit`); those that run are let run.
    pub fn set_limit(&mut self, limit: usize) {
        self.limit = limit.max(1);
    }

    /// An id for a process the queue does not know of, such as a call of `meta-data`. The queue ignores
    /// its end.
    pub fn next_exec(&mut self) -> ExecId {
        let exec = ExecId(self.next_exec);
        self.next_exec += 1;
        exec
    }

    /// Where agents are looked for.
    pub fn roots(&self) -> &Roots {
        &self.roots
    }

    /// When [`Event::Wake`] is due, on the monotonic clock.
    pub fn deadline(&self) -> Option<Duration> {
        let first = |set: &BTreeSet<(Duration, CallId)>| set.first().map(|(at, _)| *at);
        [first(&self.sleeping), first(&self.polling)].into_iter().flatten().min()
    }

    /// Whether nothing runs or waits for its turn; operations between two intervals do not count.
    pub fn is_idle(&self) -> bool {
        self.resources.values().all(|r| r.running.is_none() && r.line.is_empty())
    }

    /// The recurring operations of a resource: action and interval in milliseconds.
    pub fn recurring(&self, rsc: &str) -> Vec<(String, u64)> {
        self.ops
            .values()
            .filter(|op| op.request.rsc == rsc && op.request.interval_ms > 0 && !op.cancelled)
            .map(|op| (op.request.action.clone(), op.request.interval_ms))
            .collect()
    }

    /// Instance parameters of the last successful start of a resource.
    pub fn remembered(&self, rsc: &str) -> Option<&BTreeMap<String, String>> {
        self.resources.get(rsc)?.remembered.as_ref()
    }

    /// Takes one event; what is to be done is added to `out`.
    pub fn handle(&mut self, now: Now, event: Event, out: &mut Vec<Action>) {
        match event {
            Event::Submit(request) => self.submit(now, request, out),
            Event::Cancel { rsc, action, interval_ms } => self.cancel(now, &rsc, &action, interval_ms, out),
            Event::Exited { exec, outcome } => self.exited(now, exec, &outcome, out),
            Event::Flush { rsc } => self.flush(now, rsc, out),
            Event::Void => self.void(now, out),
            Event::Adopt { exec, op } => self.adopt(now, exec, op, out),
            Event::Wake => {}
        }
        self.advance(now, out);
    }

    fn submit(&mut self, now: Now, mut request: OpRequest, out: &mut Vec<Action>) {
        if request.interval_ms > 0 && matches!(request.action.as_str(), "start" | "stop") {
            tracing::error!("the interval of {} makes no sense and is ignored", request.operation_key());
            request.interval_ms = 0;
        }
        if request.interval_ms == 0 && !matches!(request.action.as_str(), "monitor" | "status" | "notify") {
            self.end_recurring(now, &request.rsc, out);
        }
        let shown = self.call();
        if let Some(id) = self.find(&request.rsc, &request.action, request.interval_ms)
            && request.interval_ms > 0
            && self.merge(now, id, shown, &request)
        {
            return;
        }
        let delay = Duration::from_millis(request.start_delay_ms);
        let op = Op {
            shown,
            run: None,
            since: now.mono.saturating_add(delay),
            last: None,
            owed: true,
            cancelled: false,
            request,
        };
        self.resources.entry(op.request.rsc.clone()).or_default();
        self.sleeping.insert((op.since, shown));
        self.ops.insert(shown, op);
    }

    /// Whether the operation that is there could take over the new request.
    fn merge(&mut self, now: Now, id: CallId, shown: CallId, request: &OpRequest) -> bool {
        let Some(op) = self.ops.get_mut(&id).filter(|op| !op.cancelled) else {
            return false;
        };
        op.request = request.clone();
        op.shown = shown;
        op.owed = true;
        if self.sleeping.remove(&(op.since, id)) {
            op.since = now.mono;
            self.sleeping.insert((op.since, id));
        }
        true
    }

    /// An operation that is there and not on its way out.
    fn find(&self, rsc: &str, action: &str, interval_ms: u64) -> Option<CallId> {
        let same = |op: &Op| {
            op.request.rsc == rsc
                && op.request.action == action
                && op.request.interval_ms == interval_ms
                && !op.cancelled
        };
        self.ops.iter().find(|(_, op)| same(op)).map(|(id, _)| *id)
    }

    fn cancel(&mut self, now: Now, rsc: &str, action: &str, interval_ms: u64, out: &mut Vec<Action>) {
        let refuse =
            |why| Action::NotCancelled { rsc: rsc.to_owned(), action: action.to_owned(), interval_ms, why };
        match self.find(rsc, action, interval_ms) {
            None => out.push(refuse(Refusal::Unknown)),
            Some(id) if interval_ms == 0 && self.ops.get(&id).is_some_and(|op| op.run.is_some()) => {
                out.push(refuse(Refusal::Running));
            }
            Some(id) => self.end(now, id, out),
        }
    }

    fn end_recurring(&mut self, now: Now, rsc: &str, out: &mut Vec<Action>) {
        let ids: Vec<CallId> = self
            .ops
            .iter()
            .filter(|(_, op)| op.request.rsc == rsc && op.request.interval_ms > 0 && !op.cancelled)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.end(now, id, out);
        }
    }

    /// Ends one operation: at once if it waits, by its process if it runs.
    fn end(&mut self, now: Now, id: CallId, out: &mut Vec<Action>) {
        let Some(op) = self.ops.get_mut(&id) else {
            return;
        };
        match &op.run {
            // Between two looks at a state that has to settle, no process is there to end.
            Some(run) if self.execs.contains_key(&run.exec) => {
                op.cancelled = true;
                out.push(Action::Kill { exec: run.exec });
            }
            Some(_) | None => self.finish(now, id, &Verdict::new(rc::OK, OpStatus::Cancelled, ""), None, out),
        }
    }

    fn void(&mut self, now: Now, out: &mut Vec<Action>) {
        let late = |op: &Op| op.run.is_none() && !op.cancelled && !op.request.is_harmless();
        let ids: Vec<CallId> = self.ops.iter().filter(|(_, op)| late(op)).map(|(id, _)| *id).collect();
        for id in ids {
            let verdict = Verdict::new(rc::ERROR, OpStatus::Invalid, "the order is void");
            self.finish(now, id, &verdict, None, out);
        }
    }

    fn flush(&mut self, now: Now, rsc: String, out: &mut Vec<Action>) {
        let ids: Vec<CallId> = self
            .ops
            .iter()
            .filter(|(_, op)| op.request.rsc == rsc && !op.cancelled)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            if self.ops.get(&id).is_some_and(|op| op.run.is_none() || op.request.interval_ms > 0) {
                self.end(now, id, out);
            }
        }
        match self.resources.get_mut(&rsc) {
            Some(resource) if resource.running.is_some() => resource.flushing = true,
            _ => {
                self.resources.remove(&rsc);
                out.push(Action::Flushed { rsc });
            }
        }
    }

    fn adopt(&mut self, now: Now, exec: ExecId, request: OpRequest, out: &mut Vec<Action>) {
        let resource = self.resources.entry(request.rsc.clone()).or_default();
        // The executor never ran two of one resource; if notes say so, the second is only waited for.
        if resource.running.is_some() {
            return;
        }
        let id = CallId(self.next_call);
        self.next_call += 1;
        resource.running = Some(id);
        if request.agent.class() != Class::Stonith {
            self.busy += 1;
        }
        self.execs.insert(exec, id);
        // Nobody waits for a monitor of a former life, and it would only keep the resource busy.
        let cancelled = request.interval_ms > 0;
        if cancelled {
            out.push(Action::Kill { exec });
        }
        self.ops.insert(
            id,
            Op {
                shown: id,
                run: Some(Run {
                    exec,
                    op: request.clone(),
                    started: now,
                    spent: Duration::ZERO,
                    queue: Duration::ZERO,
                }),
                since: now.mono,
                last: None,
                owed: true,
                cancelled,
                request,
            },
        );
    }

    fn exited(&mut self, now: Now, exec: ExecId, outcome: &Outcome, out: &mut Vec<Action>) {
        let Some(id) = self.execs.remove(&exec) else {
            out.push(Action::Confirm(exec));
            return;
        };
        let Some(op) = self.ops.get_mut(&id) else {
            return;
        };
        let Some(run) = op.run.as_mut() else { return };
        run.spent += outcome.ran;
        let verdict = if op.cancelled {
            Verdict::new(rc::OK, OpStatus::Cancelled, "")
        } else {
            match class::read(&run.op, &self.roots, outcome) {
                Reading::Final(verdict) => verdict,
                Reading::Again(pause) => match run.op.limit() {
                    Some(limit) if run.spent + pause >= limit => {
                        let late = Outcome::of(End::Timeout, run.spent);
                        class::unless_exited(&run.op, &late, "Resource agent").unwrap_or_else(Verdict::done)
                    }
                    _ => {
                        run.spent += pause;
                        self.polling.insert((now.mono.saturating_add(pause), id));
                        out.push(Action::Confirm(exec));
                        return;
                    }
                },
            }
        };
        self.finish(now, id, &verdict, Some(outcome), out);
        out.push(Action::Confirm(exec));
    }

    /// Ends a run, or a wait, with a verdict: reports it, and lays a recurring operation to sleep.
    fn finish(
        &mut self,
        now: Now,
        id: CallId,
        verdict: &Verdict,
        outcome: Option<&Outcome>,
        out: &mut Vec<Action>,
    ) {
        let Some(mut op) = self.ops.remove(&id) else {
            return;
        };
        let run = op.run.take();
        self.sleeping.remove(&(op.since, id));
        self.polling.retain(|(_, polled)| *polled != id);
        let ran = run.as_ref().map_or(&op.request, |run| &run.op);
        if let Some(resource) = self.resources.get_mut(&op.request.rsc) {
            resource.line.retain(|waiting| *waiting != id);
            if resource.running == Some(id) {
                resource.running = None;
                if op.request.agent.class() != Class::Stonith {
                    self.busy = self.busy.saturating_sub(1);
                }
            }
            resource.learn(ran, verdict);
        }
        let cancelled = verdict.status == OpStatus::Cancelled;
        let changed_wall_s = match op.last {
            Some((rc, status, since)) if (rc, status) == (verdict.rc, verdict.status) => since,
            _ => now.wall_s,
        };
        let changed = op.last.is_none_or(|(rc, status, _)| (rc, status) != (verdict.rc, verdict.status));
        if changed || op.owed || op.request.interval_ms == 0 {
            let result = OpResult {
                call_id: op.shown,
                rsc: op.request.rsc.clone(),
                agent: op.request.agent.clone(),
                action: op.request.action.clone(),
                interval_ms: op.request.interval_ms,
                timeout_ms: ran.timeout_ms,
                rc: verdict.rc,
                status: verdict.status,
                expected_rc: op.request.expected_rc,
                reason: verdict.reason.clone(),
                output: outcome.map(Outcome::output).unwrap_or_default(),
                exec_ms: run.as_ref().map_or(0, |run| millis(run.spent)),
                queue_ms: run.as_ref().map_or(0, |run| millis(run.queue)),
                started_wall_s: run.as_ref().map_or(0, |run| run.started.wall_s),
                changed_wall_s,
                key: op.request.key.clone(),
                params: ran.params.clone(),
            };
            log_result(&result);
            out.push(Action::Report(result));
            op.owed = false;
        }
        let rsc = op.request.rsc.clone();
        let flushing = self.resources.get(&rsc).is_some_and(|r| r.flushing);
        if op.request.interval_ms > 0 && !cancelled && !flushing {
            op.last = Some((verdict.rc, verdict.status, changed_wall_s));
            op.since = now.mono.saturating_add(Duration::from_millis(op.request.interval_ms));
            self.sleeping.insert((op.since, id));
            self.ops.insert(id, op);
        }
        self.refresh(&rsc);
        if flushing && self.resources.get(&rsc).is_some_and(|r| r.running.is_none()) {
            // What was submitted since the flush goes on, in a resource that remembers nothing.
            if self.ops.values().any(|op| op.request.rsc == rsc) {
                if let Some(resource) = self.resources.get_mut(&rsc) {
                    resource.flushing = false;
                    resource.remembered = None;
                    resource.registered = false;
                }
            } else {
                self.resources.remove(&rsc);
            }
            out.push(Action::Flushed { rsc });
        }
    }

    /// Lets everything happen whose time has come.
    fn advance(&mut self, now: Now, out: &mut Vec<Action>) {
        while let Some((at, id)) = self.polling.first().copied().filter(|(at, _)| *at <= now.mono) {
            self.polling.remove(&(at, id));
            self.spawn_again(now, id, out);
        }
        while let Some((at, id)) = self.sleeping.first().copied().filter(|(at, _)| *at <= now.mono) {
            self.sleeping.remove(&(at, id));
            self.join_line(id);
        }
        loop {
            let full = self.busy >= self.limit;
            let next = self.ready.iter().copied().find(|(_, id)| {
                !full || self.ops.get(id).is_some_and(|op| op.request.agent.class() == Class::Stonith)
            });
            let Some((_, id)) = next else { break };
            self.run(now, id, out);
        }
    }

    fn join_line(&mut self, id: CallId) {
        let Some(op) = self.ops.get(&id) else { return };
        let rsc = op.request.rsc.clone();
        let resource = self.resources.entry(rsc.clone()).or_default();
        resource.line.push_back(id);
        if resource.line.len() >= LONG_LINE {
            tracing::warn!("operations list for {rsc} is suspiciously long [{}]", resource.line.len());
        }
        self.refresh(&rsc);
    }

    /// Brings `ready` up to date for one resource.
    fn refresh(&mut self, rsc: &str) {
        let Some(resource) = self.resources.get_mut(rsc) else {
            return;
        };
        if let Some(old) = resource.ready.take() {
            self.ready.remove(&old);
        }
        if resource.running.is_some() {
            return;
        }
        let Some(id) = resource.line.front().copied() else {
            return;
        };
        let Some(op) = self.ops.get(&id) else { return };
        let defer = if op.request.interval_ms > 0 { DEFER } else { Duration::ZERO };
        let entry = (op.since.saturating_add(defer), id);
        resource.ready = Some(entry);
        self.ready.insert(entry);
    }

    /// Runs the first in line of a resource of which nothing runs.
    fn run(&mut self, now: Now, id: CallId, out: &mut Vec<Action>) {
        let Some(op) = self.ops.get(&id) else { return };
        let rsc = op.request.rsc.clone();
        let Some(resource) = self.resources.get_mut(&rsc) else {
            return;
        };
        resource.line.retain(|waiting| *waiting != id);
        resource.running = Some(id);
        let request = resource.with_remembered(&op.request);
        let registered = resource.registered;
        self.refresh(&rsc);
        if request.agent.class() != Class::Stonith {
            self.busy += 1;
        }
        let exec = self.next_exec();
        let queue = now.mono.saturating_sub(self.ops.get(&id).map_or(now.mono, |op| op.since));
        if queue > LONG_WAIT {
            tracing::warn!(
                "operation {}[{}] on {rsc} stayed in operation list for {} ms (longer than {} ms)",
                request.action,
                id.0,
                queue.as_millis(),
                LONG_WAIT.as_millis()
            );
        }
        let prepared = match request.agent.class() {
            Class::Stonith if request.is_probe() && !registered => {
                Prepared::Answer(Verdict::done(rc::NOT_RUNNING))
            }
            _ => class::prepare(&request, &self.roots),
        };
        if let Some(op) = self.ops.get_mut(&id) {
            op.run = Some(Run { exec, op: request.clone(), started: now, spent: Duration::ZERO, queue });
        }
        match prepared {
            Prepared::Run(command) => {
                tracing::debug!("executing - rsc:{rsc} action:{} call_id:{}", request.action, id.0);
                self.execs.insert(exec, id);
                out.push(Action::Spawn { exec, op: request, command });
            }
            Prepared::Answer(verdict) => self.finish(now, id, &verdict, None, out),
        }
    }

    /// Looks again at a state that had not settled, within what is left of the operation's time.
    fn spawn_again(&mut self, now: Now, id: CallId, out: &mut Vec<Action>) {
        let exec = self.next_exec();
        let Some(run) = self.ops.get_mut(&id).and_then(|op| op.run.as_mut()) else {
            return;
        };
        match class::prepare(&run.op, &self.roots) {
            Prepared::Run(mut command) => {
                command.timeout = run.op.limit().map(|limit| limit.saturating_sub(run.spent));
                run.exec = exec;
                let op = run.op.clone();
                self.execs.insert(exec, id);
                out.push(Action::Spawn { exec, op, command });
            }
            Prepared::Answer(verdict) => self.finish(now, id, &verdict, None, out),
        }
    }

    fn call(&mut self) -> CallId {
        let id = CallId(self.next_call);
        self.next_call += 1;
        id
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
