//! What runs on a machine beside its node: resources, and the agents that start and stop them. They
//! outlive nothing but the node's process: when the power goes, everything here is gone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crm_core::core::Planned;
use lrm::{Class, End, ExecId, OpRequest};

use super::chance::Chance;

/// Something that ends at a time.
pub enum Job {
    Agent(Box<OpRequest>),
    /// A fence agent: what it does and to whom.
    Fence {
        action: String,
        target: String,
    },
    Plan(Box<Planned>),
    /// An agent that prints its meta-data.
    Describes,
}

/// A job under way.
pub struct Running {
    pub exec: ExecId,
    pub began: Duration,
    pub limit: Option<Duration>,
    pub job: Job,
    /// It does not end by itself.
    hangs: bool,
}

/// Why an agent behaves badly next time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Ill {
    Start,
    Stop,
    Monitor,
    /// Any of them takes longer than it may.
    Hang,
}

/// The machine's resources and agents at work.
#[derive(Default)]
pub struct Agents {
    /// What is active, and whether it is promoted.
    pub active: BTreeMap<String, bool>,
    /// What the next operation of a kind meets.
    pub ill: BTreeSet<Ill>,
    jobs: BTreeMap<(Duration, u64), Running>,
    count: u64,
    /// A stop failed since the power came: who fences for that is right.
    pub stop_failed: bool,
}

impl Agents {
    /// The power is gone.
    pub fn off(&mut self) {
        *self = Self { ill: std::mem::take(&mut self.ill), count: self.count, ..Self::default() };
    }

    /// When the next job ends.
    pub fn next(&self) -> Option<Duration> {
        self.jobs.keys().next().map(|(at, _)| *at)
    }

    /// Whether a fence agent is at work. One whose order was given up goes on, and nobody waits for it.
    pub fn fencing(&self) -> bool {
        self.jobs.values().any(|running| matches!(running.job, Job::Fence { .. }))
    }

    pub fn plan(&mut self, now: Duration, chance: &mut Chance, token: u64, plan: Planned) {
        let job = Running {
            exec: ExecId(token),
            began: now,
            limit: None,
            job: Job::Plan(Box::new(plan)),
            hangs: false,
        };
        self.put(now + Duration::from_millis(1 + chance.below(30)), job);
    }

    fn put(&mut self, at: Duration, job: Running) {
        self.count += 1;
        self.jobs.insert((at, self.count), job);
    }

    /// An operation begins. A start has the resource active from here on: nobody knows when in its
    /// course it is. Of a fence agent: what it will do, and to whom.
    pub fn spawn(
        &mut self,
        now: Duration,
        chance: &mut Chance,
        exec: ExecId,
        op: Option<Box<OpRequest>>,
        command: &lrm::Command,
    ) -> Option<(String, String)> {
        let limit = command.timeout;
        let took = Duration::from_millis(5 + chance.below(50));
        let Some(op) = op else {
            let input = String::from_utf8_lossy(&command.stdin).into_owned();
            let word = |key: &str| {
                input
                    .lines()
                    .find_map(|l| l.strip_prefix(key)?.strip_prefix('='))
                    .unwrap_or_default()
                    .to_owned()
            };
            let (action, target) = (word("action"), word("nodename"));
            if action.is_empty() {
                // An agent that is asked for its meta-data has none to give.
                self.put(now + took, Running { exec, began: now, limit, job: Job::Describes, hangs: false });
                return None;
            }
            let job = Job::Fence { action: action.clone(), target: target.clone() };
            let took = took + Duration::from_millis(chance.below(1000));
            self.put(now + took, Running { exec, began: now, limit, job, hangs: false });
            return Some((action, target));
        };
        if op.agent.class() != Class::Stonith && op.action == "start" {
            self.active.entry(op.rsc.clone()).or_insert(false);
        }
        let hangs = op.agent.class() != Class::Stonith && !op.is_probe() && self.ill.remove(&Ill::Hang);
        let took = match limit {
            Some(limit) if hangs => limit,
            _ if hangs => Duration::from_secs(20),
            // Now and then a slow one.
            _ if chance.percent(3) => took + Duration::from_millis(chance.below(1500)),
            _ => took,
        };
        self.put(now + took, Running { exec, began: now, limit, job: Job::Agent(op), hangs });
        None
    }

    /// What has ended by now, the oldest first.
    pub fn take(&mut self, now: Duration) -> Option<Running> {
        let first = self.jobs.first_entry().filter(|e| e.key().0 <= now)?;
        Some(first.remove())
    }

    pub fn kill(&mut self, exec: ExecId) -> Option<Running> {
        let key = self.jobs.iter().find(|(_, j)| j.exec == exec && !matches!(j.job, Job::Plan(_)));
        let key = key.map(|(k, _)| *k)?;
        self.jobs.remove(&key)
    }

    /// How an agent's operation ends.
    pub fn end(&mut self, running: &Running, op: &OpRequest) -> End {
        if op.agent.class() == Class::Stonith {
            return End::Code(0);
        }
        if running.hangs {
            if op.action == "stop" {
                self.stop_failed = true;
            }
            return End::Timeout;
        }
        let code = match op.action.as_str() {
            "start" if self.ill.remove(&Ill::Start) => 1,
            "start" => {
                self.active.entry(op.rsc.clone()).or_insert(false);
                0
            }
            "stop" if self.active.contains_key(&op.rsc) && self.ill.remove(&Ill::Stop) => {
                self.stop_failed = true;
                1
            }
            "stop" => {
                self.active.remove(&op.rsc);
                0
            }
            "promote" => match self.active.get_mut(&op.rsc) {
                Some(promoted) => {
                    *promoted = true;
                    0
                }
                None => 7,
            },
            "demote" => match self.active.get_mut(&op.rsc) {
                Some(promoted) => {
                    *promoted = false;
                    0
                }
                None => 7,
            },
            "monitor" | "status" => match self.active.get(&op.rsc) {
                Some(_) if op.interval_ms > 0 && self.ill.remove(&Ill::Monitor) => 1,
                Some(true) => 8,
                Some(false) => 0,
                None => 7,
            },
            _ => 0,
        };
        End::Code(code)
    }
}
