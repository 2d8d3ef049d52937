//! The part of fencing that runs agents on this node: check, delay, attempts.

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

/// The orders that this node is carrying out.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    jobs: BTreeMap<u64, Job>,
    next: u64,
}

#[derive(Debug)]
struct Job {
    device: Device,
    order: Order,
    phase: Phase,
    attempts: u32,
    began: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Listing,
    Asking,
    /// Waits for this time, then acts.
    Waiting(Duration),
    Acting,
}

/// To whom, under which number, result and reason.
type Answer = Option<(NodeId, u64, i32, String)>;

impl Jobs {
    pub(super) fn deadline(&self) -> Option<Duration> {
        self.jobs
            .values()
            .filter_map(|j| match j.phase {
                Phase::Waiting(until) => Some(until),
                Phase::Listing | Phase::Asking | Phase::Acting => None,
            })
            .min()
    }

    pub(super) fn begin(
        &mut self,
        now: Duration,
        device: Device,
        order: Order,
        out: &mut Vec<FencingAction>,
    ) -> Answer {
        let phase = match device.check(&order.target) {
            Check::Static(false) => {
                return Some((order.from, order.id, NO_DEVICE, "the device cannot fence that node".into()));
            }
            Check::Static(true) => Phase::Waiting(now + order.delay + device.delay(&order.target)),
            Check::List => Phase::Listing,
            Check::Status => Phase::Asking,
        };
        self.next += 1;
        let number = self.next;
        let timeout = device.timeout(&order.action, order.timeout);
        match phase {
            Phase::Listing => run(number, &device, FenceAction::List, None, timeout, out),
            Phase::Asking => run(number, &device, FenceAction::Status, Some(&order.target), timeout, out),
            Phase::Waiting(_) | Phase::Acting => {}
        }
        self.jobs.insert(number, Job { device, order, phase, attempts: 0, began: now });
        self.wake(now, out);
        self.unable(number)
    }

    /// Starts what has waited long enough.
    pub(super) fn wake(&mut self, now: Duration, out: &mut Vec<FencingAction>) {
        for (number, job) in &mut self.jobs {
            let Phase::Waiting(until) = job.phase else { continue };
            if until > now {
                continue;
            }
            let Some(action) = action_of(job.device.mapped_action(&job.order.action)) else { continue };
            job.phase = Phase::Acting;
            if job.attempts == 0 {
                job.began = now;
            }
            job.attempts += 1;
            let limit = job.device.timeout(&job.order.action, job.order.timeout);
            let left = limit.saturating_sub(now.saturating_sub(job.began)).max(Duration::from_millis(1));
            run(*number, &job.device, action, Some(&job.order.target), left, out);
        }
    }

    /// An action that no fence agent knows is answered, not waited for.
    fn unable(&mut self, number: u64) -> Answer {
        let job = self.jobs.get(&number)?;
        let mapped = job.device.mapped_action(&job.order.action);
        if action_of(mapped).is_some() {
            return None;
        }
        let reason = format!("no fence agent knows the action \"{mapped}\"");
        let job = self.jobs.remove(&number)?;
        Some((job.order.from, job.order.id, FAILED, reason))
    }

    pub(super) fn exited(
        &mut self,
        now: Duration,
        number: u64,
        outcome: &Outcome,
        out: &mut Vec<FencingAction>,
    ) -> Answer {
        let job = self.jobs.get_mut(&number)?;
        let wait = Phase::Waiting(now + job.order.delay + job.device.delay(&job.order.target));
        let code = match &outcome.end {
            End::Code(code) => Some(*code),
            End::Signal(_) | End::Timeout | End::Killed | End::Failed(_) => None,
        };
        let refuse = match job.phase {
            Phase::Listing => {
                let output = String::from_utf8_lossy(&outcome.stdout).into_owned();
                let plug = job.device.plug(&job.order.target);
                (code != Some(0) || !lists(&output, &plug)).then_some("the device does not list that node")
            }
            // 2: the agent says that the plug is off.
            Phase::Asking => (!matches!(code, Some(0 | 2))).then_some("the device does not know that node"),
            Phase::Waiting(_) => return None,
            Phase::Acting => {
                if code != Some(0) {
                    for line in String::from_utf8_lossy(&outcome.stderr).lines().take(20) {
                        let text = format!("{} stderr: [ {line} ]", job.device.id);
                        out.push(FencingAction::Log { level: Level::Warning, text });
                    }
                }
                let limit = job.device.timeout(&job.order.action, job.order.timeout);
                let early = now.saturating_sub(job.began) < limit.mul_f64(LATEST_RETRY);
                let again = job.attempts < job.device.attempts(&job.order.action) && early;
                if code != Some(0) && code.is_some() && again {
                    job.phase = Phase::Waiting(now + PAUSE);
                    return None;
                }
                let job = self.jobs.remove(&number)?;
                let (rc, reason) = verdict(outcome, limit);
                let text = format!(
                    "Operation '{}' targeting {} using {} returned {rc}",
                    job.order.action, job.order.target, job.device.id
                );
                out.push(FencingAction::Log { level: Level::Info, text });
                return Some((job.order.from, job.order.id, rc, reason));
            }
        };
        match refuse {
            Some(reason) => {
                let job = self.jobs.remove(&number)?;
                Some((job.order.from, job.order.id, NO_DEVICE, reason.to_owned()))
            }
            None => {
                job.phase = wait;
                self.wake(now, out);
                None
            }
        }
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
