//! The part of fencing that runs agents on this node: check, delay, attempts, and one command at a time for
//! each device.

use std::collections::BTreeMap;
use std::time::Duration;

use ccm::group::Level;
use ccm::seam::NodeId;
use lrm::class::stonith::FenceAction;
use lrm::{End, Outcome};

use super::devices::{Check, Device, lists};
use super::{Call, FAILED, FencingAction, NO_DEVICE, TIMED_OUT};

/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(1);
/// A further attempt only if no more than this part of the time has passed.
const LATEST_RETRY: f64 = 0.7;
/// An order that has not begun after its delay and so many times its limit is not carried out any more: whoever
/// gave it has given up, and the target may be well by then.
const PATIENCE: f64 = 1.2;
/// Characters of an agent's complaint that go into a reason.
const LONGEST: usize = 200;

/// What a node was ordered to do.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub from: NodeId,
    pub id: u64,
    pub target: String,
    pub action: String,
    pub timeout: Duration,
    pub delay: Duration,
}

/// The orders that this node is carrying out, oldest first.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    jobs: BTreeMap<u64, Job>,
    next: u64,
    /// There is no view: nothing begins that was ordered in one (R14.2).
    pub(super) held: bool,
}

#[derive(Debug)]
struct Job {
    device: Device,
    order: Order,
    /// The delay before the node is shot, drawn once.
    delay: Duration,
    phase: Phase,
    attempts: u32,
    /// When the first attempt began.
    began: Option<Duration>,
    expires: Duration,
    /// Nobody wants it any more: nothing follows what the agent does at this moment.
    given_up: Option<String>,
}

/// A call of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    List,
    Status,
    Act,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Not before this time, and not before the device is free.
    Due(Step, Duration),
    Running(Step),
}

/// To whom, under which number, result and reason.
pub(super) type Answer = (NodeId, u64, i32, String);

impl Jobs {
    /// When [`Jobs::wake`] has something to do.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let due = |job: &Job| match job.phase {
            Phase::Due(_, at) if !self.held && self.is_free(&job.device) => Some(at),
            Phase::Due(..) => Some(job.expires),
            Phase::Running(_) => None,
        };
        self.jobs.values().filter_map(due).min()
    }

    fn is_free(&self, device: &Device) -> bool {
        let busy = |job: &&Job| job.device.id == device.id && matches!(job.phase, Phase::Running(_));
        device.parallel().is_none_or(|limit| self.jobs.values().filter(busy).count() < limit)
    }

    /// `chance` decides about a random part of the delay.
    pub(super) fn begin(
        &mut self,
        now: Duration,
        device: Device,
        order: Order,
        chance: u64,
        out: &mut Vec<FencingAction>,
    ) -> Vec<Answer> {
        let refused = |rc: i32, reason: String| vec![(order.from, order.id, rc, reason)];
        let mapped = device.mapped_action(&order.action);
        if action_of(mapped).is_none() {
            return refused(FAILED, format!("no fence agent knows the action \"{mapped}\""));
        }
        let delay = order.delay + device.delay(&order.target, &order.action, chance);
        let phase = match device.check(&order.target) {
            Check::Static(false) => return refused(NO_DEVICE, "the device cannot fence that node".into()),
            Check::Static(true) => Phase::Due(Step::Act, now + delay),
            Check::List => Phase::Due(Step::List, now),
            Check::Status => Phase::Due(Step::Status, now),
        };
        let patience = device.timeout(&order.action, order.timeout).mul_f64(PATIENCE);
        let expires = now + delay + patience;
        self.next += 1;
        self.jobs.insert(
            self.next,
            Job { device, order, delay, phase, attempts: 0, began: None, expires, given_up: None },
        );
        self.wake(now, out)
    }

    /// Gives up orders that are not `wanted` any more: what is not running at once, what is after this call of the
    /// agent. Whoever still waits for the answer can ask another node.
    pub(super) fn forget(&mut self, wanted: impl Fn(&Order) -> bool, reason: &str) -> Vec<Answer> {
        let mut waiting = Vec::new();
        for (number, job) in self.jobs.iter_mut().filter(|(_, job)| !wanted(&job.order)) {
            match job.phase {
                Phase::Due(..) => waiting.push(*number),
                Phase::Running(_) => job.given_up = Some(reason.to_owned()),
            }
        }
        waiting.into_iter().filter_map(|number| self.end(number, FAILED, reason)).collect()
    }

    /// Ends an order with this answer.
    fn end(&mut self, number: u64, rc: i32, reason: impl Into<String>) -> Option<Answer> {
        let order = self.jobs.remove(&number)?.order;
        Some((order.from, order.id, rc, reason.into()))
    }

    /// Starts what has waited long enough and gives up what has waited too long.
    pub(super) fn wake(&mut self, now: Duration, out: &mut Vec<FencingAction>) -> Vec<Answer> {
        let mut answers = Vec::new();
        let numbers: Vec<u64> = self.jobs.keys().copied().collect();
        for number in numbers {
            let Some(job) = self.jobs.get(&number) else { continue };
            let Phase::Due(step, at) = job.phase else { continue };
            // First: a device that is free too late shoots nobody.
            if job.expires <= now {
                answers.extend(self.end(number, TIMED_OUT, "the device was not free in time"));
            } else if at <= now && !self.held && self.is_free(&job.device) {
                self.call(now, number, step, out);
            }
        }
        answers
    }

    fn call(&mut self, now: Duration, number: u64, step: Step, out: &mut Vec<FencingAction>) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        job.phase = Phase::Running(step);
        let (device, order) = (&job.device, &job.order);
        let limit = device.timeout(&order.action, order.timeout);
        match step {
            Step::List => run(number, device, FenceAction::List, None, limit, out),
            Step::Status => run(number, device, FenceAction::Status, Some(&order.target), limit, out),
            Step::Act => {
                let began = *job.began.get_or_insert(now);
                job.attempts += 1;
                let left = limit.saturating_sub(now.saturating_sub(began)).max(Duration::from_millis(1));
                if let Some(action) = action_of(device.mapped_action(&order.action)) {
                    run(number, device, action, Some(&order.target), left, out);
                }
            }
        }
    }

    /// A call has ended. What waited for the device is begun.
    pub(super) fn exited(
        &mut self,
        now: Duration,
        number: u64,
        outcome: &Outcome,
        out: &mut Vec<FencingAction>,
    ) -> Vec<Answer> {
        let mut answers = Vec::from_iter(self.ended(now, number, outcome, out));
        answers.extend(self.wake(now, out));
        answers
    }

    fn ended(
        &mut self,
        now: Duration,
        number: u64,
        outcome: &Outcome,
        out: &mut Vec<FencingAction>,
    ) -> Option<Answer> {
        let job = self.jobs.get_mut(&number)?;
        let Phase::Running(step) = job.phase else { return None };
        let good = matches!(outcome.end, End::Code(0));
        let act = Phase::Due(Step::Act, now + job.delay);
        if step != Step::Act
            && let Some(reason) = job.given_up.take()
        {
            return self.end(number, FAILED, reason);
        }
        let refusal = match step {
            Step::List if good => {
                let output = String::from_utf8_lossy(&outcome.stdout);
                let listed = lists(&output, &job.device.plug(&job.order.target));
                (!listed).then_some("the device does not list that node")
            }
            // An agent without a list may know the node all the same.
            Step::List if job.device.may_ask_instead() => {
                job.phase = Phase::Due(Step::Status, now);
                return None;
            }
            Step::List => Some("the device does not list that node"),
            // 2: the agent says that the plug is off.
            Step::Status => {
                let known = matches!(outcome.end, End::Code(0 | 2));
                (!known).then_some("the device does not know that node")
            }
            Step::Act => return self.acted(now, number, outcome, out),
        };
        let Some(reason) = refusal else {
            job.expires = now + job.delay + job.device.timeout(&job.order.action, job.order.timeout);
            job.phase = act;
            return None;
        };
        self.end(number, NO_DEVICE, reason)
    }

    fn acted(
        &mut self,
        now: Duration,
        number: u64,
        outcome: &Outcome,
        out: &mut Vec<FencingAction>,
    ) -> Option<Answer> {
        let job = self.jobs.get_mut(&number)?;
        let answered = match &outcome.end {
            End::Code(code) => Some(*code),
            End::Signal(_) | End::Timeout | End::Killed | End::Failed(_) => None,
        };
        if answered != Some(0) {
            for line in String::from_utf8_lossy(&outcome.stderr).lines().take(20) {
                let text = format!("{} stderr: [ {line} ]", job.device.id);
                out.push(FencingAction::Log { level: Level::Warning, text });
            }
        }
        let limit = job.device.timeout(&job.order.action, job.order.timeout);
        let passed = now.saturating_sub(job.began.unwrap_or(now));
        let again = job.given_up.is_none()
            && job.attempts < job.device.attempts(&job.order.action)
            && passed < limit.mul_f64(LATEST_RETRY);
        if answered.is_some_and(|code| code != 0) && again {
            job.phase = Phase::Due(Step::Act, now + PAUSE);
            job.expires = now + limit;
            return None;
        }
        let (rc, reason) = verdict(outcome, limit);
        let text = format!(
            "Operation '{}' targeting {} using {} returned {rc}",
            job.order.action, job.order.target, job.device.id
        );
        out.push(FencingAction::Log { level: Level::Info, text });
        self.end(number, rc, reason)
    }
}

fn verdict(outcome: &Outcome, limit: Duration) -> (i32, String) {
    match &outcome.end {
        End::Code(0) => (0, String::new()),
        End::Code(code) => {
            let said = last_words(&outcome.stderr);
            (FAILED, format!("the fence agent failed with exit status {code}{said}"))
        }
        End::Signal(signal) => (FAILED, format!("the fence agent was ended by signal {signal}")),
        End::Timeout => (TIMED_OUT, format!("Fence agent did not complete within {}s", limit.as_secs())),
        End::Killed => (FAILED, "the fence agent was ended".to_owned()),
        End::Failed(error) => (FAILED, error.text().to_owned()),
    }
}

/// The last line of what an agent complained about: agents name the cause there.
fn last_words(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let Some(line) = text.lines().map(str::trim).rfind(|line| !line.is_empty()) else { return String::new() };
    let line: String = line.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    format!(": {line}")
}

fn action_of(word: &str) -> Option<FenceAction> {
    Some(match word {
        "reboot" => FenceAction::Reboot,
        "off" | "poweroff" => FenceAction::Off,
        "on" => FenceAction::On,
        _ => return None,
    })
}

fn run(
    job: u64,
    device: &Device,
    action: FenceAction,
    target: Option<&str>,
    timeout: Duration,
    out: &mut Vec<FencingAction>,
) {
    let target =
        target.map(|node| (node.to_owned(), device.argument().map(str::to_owned), device.plug(node)));
    out.push(FencingAction::Run {
        job,
        call: Box::new(Call {
            agent: device.agent.clone(),
            action,
            params: device.params.clone(),
            target,
            timeout,
        }),
    });
}
