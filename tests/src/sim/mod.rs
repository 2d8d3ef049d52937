//! A deterministic cluster: real link machines, real group machines, real stores over disks in memory,
//! one virtual clock, and a seed that decides everything else.
//!
//! Start with [`run`]. One seed gives one history. After every event the invariants of
//! [`checks`] are looked at; a failure is a value with the seed, the time and what was seen.
//!
//! ```text
//!  plan (faults from the seed) ─▶ Sim ─▶ Machine: Link ⇄ Group ⇄ CibStore<MemoryStore>
//!                                  │ ▲        │ packets
//!                                  │ └────────┴── net: loss, delay, repetition, cuts, clogs
//!                                  └─▶ checks: S2, S3, S4, L1, and what the machines promise on the way
//! ```

pub mod chance;
pub mod checks;
pub mod machine;
pub mod net;
pub mod plan;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use ccm::group::{Change, GroupAction, GroupEvent, GroupInput, Level, Outcome, RequestOptions};
use cib::{Element, Operation, Request};

use chance::Chance;
use checks::{Checks, Violation};
use machine::Machine;
use net::Net;
use plan::{Fault, Plan};

pub use plan::Profile;

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub seed: u64,
    pub nodes: usize,
    pub profile: Profile,
    /// Faults happen for this long; then everything heals and progress is demanded.
    pub span: Duration,
}

/// Times of the simulated clusters: short, so that much happens in a minute.
pub const KEEPALIVE: Duration = Duration::from_millis(250);
pub const DEADTIME: Duration = Duration::from_secs(2);

/// What a run came to.
#[derive(Debug, Clone, Default)]
pub struct Summary {
    /// Simulated time.
    pub time: Duration,
    pub events: u64,
    /// Faults by kind, and situations reached by name: a generator that never tries something is seen.
    pub reached: BTreeMap<&'static str, u64>,
}

impl Summary {
    pub fn add(&mut self, other: &Self) {
        self.time += other.time;
        self.events += other.events;
        for (name, n) in &other.reached {
            *self.reached.entry(name).or_default() += n;
        }
    }
}

/// A run that broke a promise.
#[derive(Debug, Clone)]
pub struct Failure {
    pub settings: Settings,
    pub violation: Violation,
    pub at: Duration,
    /// Faults applied before it: the shortest prefix that still fails ends with the last of them.
    pub faults: usize,
    pub timeline: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {} ({} nodes, {}): {} at {:.3} s, after {} faults",
            self.settings.seed,
            self.settings.nodes,
            self.settings.profile,
            self.violation,
            self.at.as_secs_f64(),
            self.faults
        )?;
        for line in &self.timeline {
            writeln!(f, "  {line}")?;
        }
        write!(
            f,
            "replay: everbeat-simulate --seeds {0}..{1} --nodes {2} --profile {3} --seconds {4}",
            self.settings.seed,
            self.settings.seed + 1,
            self.settings.nodes,
            self.settings.profile,
            self.settings.span.as_secs()
        )
    }
}

/// Lines kept of the timeline.
const TIMELINE: usize = 400;

/// A cluster in progress.
pub struct Sim {
    settings: Settings,
    pub now: Duration,
    chance: Chance,
    machines: Vec<Machine>,
    net: Net,
    plan: VecDeque<(Duration, Fault)>,
    faults: usize,
    checks: Checks,
    timeline: VecDeque<String>,
    summary: Summary,
    next_request: Duration,
    requests: u64,
    healed: bool,
    /// Steps since time moved.
    still: u32,
    /// Machines whose disk failed.
    lost: Vec<usize>,
}

/// Steps without progress of time that no honest cluster needs.
const STANDSTILL: u32 = 100_000;

/// Runs one seed to its end.
///
/// # Errors
/// The first violation.
pub fn run(settings: Settings) -> Result<Summary, Box<Failure>> {
    let mut sim = Sim::new(settings);
    sim.play().map_err(|violation| Box::new(sim.failure(violation)))?;
    sim.summary.time = sim.now;
    Ok(sim.summary)
}

/// As [`run`]; a failure is shortened to the fewest faults, counted from the start, that still fail.
///
/// # Errors
/// The violation of the shortened run.
pub fn run_shrunk(settings: Settings) -> Result<Summary, Box<Failure>> {
    let Err(mut failure) = run(settings) else { return run(settings) };
    let (mut low, mut high) = (0, failure.faults);
    while low < high {
        let middle = (low + high) / 2;
        let mut sim = Sim::new(settings);
        sim.plan.truncate(middle);
        match sim.play() {
            Err(violation) => {
                failure = Box::new(sim.failure(violation));
                high = middle;
            }
            Ok(()) => low = middle + 1,
        }
    }
    Err(failure)
}

impl Sim {
    pub fn new(settings: Settings) -> Self {
        let mut chance = Chance::new(settings.seed);
        let plan = Plan::draw(&mut chance, settings);
        let names: Vec<String> = (0..settings.nodes).map(|i| format!("n{}", i + 1)).collect();
        let machines = (0..settings.nodes).map(|i| Machine::new(i, &names, &mut chance)).collect();
        Self {
            now: Duration::ZERO,
            machines,
            net: Net::new(settings.profile),
            plan: plan.faults.into(),
            faults: 0,
            checks: Checks::new(settings.nodes),
            timeline: VecDeque::new(),
            summary: Summary::default(),
            next_request: Duration::ZERO,
            requests: 0,
            healed: false,
            still: 0,
            lost: Vec::new(),
            chance,
            settings,
        }
    }

    fn failure(&mut self, violation: Violation) -> Failure {
        Failure {
            settings: self.settings,
            violation,
            at: self.now,
            faults: self.faults,
            timeline: self.timeline.drain(..).collect(),
        }
    }

    fn note(&mut self, text: String) {
        self.timeline.push_back(format!("{:9.4} {text}", self.now.as_secs_f64()));
        if self.timeline.len() > TIMELINE {
            self.timeline.pop_front();
        }
    }

    fn reach(&mut self, what: &'static str) {
        *self.summary.reached.entry(what).or_default() += 1;
    }

    fn play(&mut self) -> Result<(), Violation> {
        for i in 0..self.machines.len() {
            self.start(i)?;
        }
        self.until(self.settings.span, false)?;
        self.heal()?;
        // L1: ten dead times to one view with everybody.
        let end = self.now + DEADTIME * 10;
        let done = self.until(end, true)?;
        if !done {
            return Err(self.not_together());
        }
        // And it works: a change of every node is acknowledged and at all.
        self.reach("healed");
        let before = self.checks.acknowledged();
        for i in 0..self.machines.len() {
            self.change(i)?;
        }
        let end = self.now + DEADTIME * 2;
        self.until(end, false)?;
        if self.checks.acknowledged() < before + self.machines.len() {
            return Err(Violation::new("L1", "changes asked after the healing are not acknowledged"));
        }
        self.checks.all_equal(&self.machines)
    }

    fn not_together(&self) -> Violation {
        let states: Vec<String> = self.machines.iter().map(Machine::describe).collect();
        Violation::new("L1", format!("no common view within ten dead times: {}", states.join("; ")))
    }

    fn together(&self) -> bool {
        let first = self.machines.first().and_then(Machine::active);
        first.is_some()
            && self.machines.iter().all(|m| m.active() == first && m.members() == self.machines.len())
    }

    /// Runs until `end`; with `together`, until everybody is in one view. Whether that was so.
    fn until(&mut self, end: Duration, together: bool) -> Result<bool, Violation> {
        loop {
            if together && self.together() {
                return Ok(true);
            }
            let mut next = end;
            if let Some((at, _)) = self.plan.front() {
                next = next.min(*at);
            }
            if !self.healed {
                next = next.min(self.next_request);
            }
            next = next.min(self.net.next().unwrap_or(end));
            for m in &self.machines {
                next = next.min(m.next(self.now).unwrap_or(end));
            }
            if next >= end {
                self.now = end;
                return Ok(together && self.together());
            }
            if next > self.now {
                (self.now, self.still) = (next, 0);
            } else {
                self.still += 1;
                if self.still > STANDSTILL {
                    let busy: Vec<String> = self.machines.iter().filter_map(|m| m.busy(self.now)).collect();
                    return Err(Violation::new("sim", format!("time stands still: {}", busy.join("; "))));
                }
            }
            self.step()?;
        }
    }

    fn step(&mut self) -> Result<(), Violation> {
        while self.plan.front().is_some_and(|(at, _)| *at <= self.now) {
            if let Some((_, fault)) = self.plan.pop_front() {
                self.faults += 1;
                self.fault(fault)?;
            }
        }
        if !self.healed && self.now >= self.next_request {
            self.next_request = self.now + Duration::from_millis(20 + self.chance.below(400));
            let i = self.chance.index(self.machines.len());
            self.change(i)?;
        }
        // Its administrator turns a machine with a failed disk off.
        for i in std::mem::take(&mut self.lost) {
            self.note(format!("n{} is turned off: its disk failed", i + 1));
            self.crash(i);
        }
        // Who was about to leave when everything healed starts again like the others.
        if self.healed {
            for i in 0..self.machines.len() {
                if self.machines.get(i).is_some_and(|m| !m.running()) {
                    self.start(i)?;
                }
            }
        }
        while let Some((to, from, bytes)) = self.net.take(self.now) {
            self.summary.events += 1;
            self.feed(to, |m, now| m.packet(now, from, bytes))?;
        }
        for i in 0..self.machines.len() {
            if self.machines.get(i).is_some_and(|m| m.next(self.now).is_some_and(|t| t <= self.now)) {
                self.summary.events += 1;
                self.feed(i, Machine::wake)?;
            }
        }
        Ok(())
    }

    /// Lets a machine do something and deals with what it sends and says.
    fn feed(&mut self, i: usize, f: impl FnOnce(&mut Machine, Duration)) -> Result<(), Violation> {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(i) else { return Ok(()) };
        f(machine, now);
        let sent = std::mem::take(&mut machine.sent);
        let said = std::mem::take(&mut machine.said);
        for packet in sent {
            self.net.send(&mut self.chance, now, i, packet, self.settings.nodes);
        }
        for action in said {
            self.said(i, action)?;
        }
        Ok(())
    }

    fn said(&mut self, i: usize, action: GroupAction) -> Result<(), Violation> {
        let name = format!("n{}", i + 1);
        match &action {
            GroupAction::Log { level, text } if *level >= Level::Info => self.note(format!("{name} {text}")),
            GroupAction::Event(GroupEvent::ViewChanged(v)) => {
                self.reach(if v.exclusive {
                    "view, exclusive"
                } else if v.writable {
                    "view, writable by a tie-breaker"
                } else {
                    "view, not writable"
                });
                if v.conflicts.iter().any(|c| c.holder == v.dc) {
                    self.reach("view with a reported conflict");
                }
                self.note(format!("{name} VIEW {}.{} of {}", v.id.epoch, v.id.boot % 1000, v.members.len()));
            }
            GroupAction::Event(GroupEvent::Suspended) => self.reach("suspended"),
            GroupAction::Event(GroupEvent::Resumed) => self.reach("resumed"),
            GroupAction::Event(GroupEvent::StorageLost { .. }) => {
                self.reach("disk given up");
                self.lost.push(i);
            }
            GroupAction::Event(GroupEvent::Dropped { .. }) => self.reach("bus message reported dropped"),
            GroupAction::Reply { token, outcome } => {
                self.reach(match outcome {
                    Outcome::Done { .. } => "done",
                    Outcome::Rejected { .. } => "rejected",
                    Outcome::Busy => "busy",
                    Outcome::NoQuorum { .. } => "no quorum",
                    Outcome::Unknown => "unknown",
                });
                let outcome = match outcome {
                    Outcome::Done { stamp, .. } => format!("done at {}/{}", stamp.view.epoch, stamp.n),
                    other => format!("{other:?}"),
                };
                self.note(format!("{name} request {token}: {outcome}"));
            }
            _ => {}
        }
        let machines = &self.machines;
        self.checks.said(i, &action, machines)
    }

    fn start(&mut self, i: usize) -> Result<(), Violation> {
        let boot = self.chance.next();
        let delay = self.chance.below(20);
        self.note(format!("n{} starts", i + 1));
        self.feed(i, |m, now| m.start(now, boot, delay))?;
        Ok(())
    }

    /// One change of the document: a key of its own, sometimes on condition of a version, sometimes
    /// the volatile state of the node.
    fn change(&mut self, i: usize) -> Result<(), Violation> {
        let Some(machine) = self.machines.get(i) else { return Ok(()) };
        let Some(version) = machine.visible_version() else { return Ok(()) };
        self.requests += 1;
        let token = self.requests;
        let kind = if self.healed { 0 } else { self.chance.below(8) };
        let change = match kind {
            0..=3 => Change::Cib(key(token)),
            4 | 5 => Change::Cib(key(token).if_version(version)),
            _ => Change::Cib(state(i, token)),
        };
        self.checks.asked(token, kind < 6);
        self.note(format!("n{} asks for change {token}{}", i + 1, if kind > 5 { " (status)" } else { "" }));
        let options = RequestOptions { patience: Some(Duration::from_secs(20)), ..RequestOptions::default() };
        self.feed(i, |m, now| m.group_input(now, GroupInput::Request { token, change, options }))
    }

    fn fault(&mut self, fault: Fault) -> Result<(), Violation> {
        self.reach(fault.name());
        self.note(format!("FAULT {fault:?}"));
        match fault {
            Fault::Crash(i) => self.crash(i),
            Fault::CrashAll => (0..self.machines.len()).for_each(|i| self.crash(i)),
            Fault::Restart(i) => {
                if self.machines.get(i).is_some_and(|m| !m.running()) {
                    self.start(i)?;
                }
            }
            Fault::Leave(i) => self.feed(i, |m, now| m.group_input(now, GroupInput::Leave))?,
            Fault::PauseCore(i, span) => {
                if let Some(m) = self.machines.get_mut(i) {
                    m.pause_core(self.now + span);
                }
            }
            Fault::PauseAll(i, span) => {
                if let Some(m) = self.machines.get_mut(i) {
                    m.pause_all(self.now + span);
                }
            }
            Fault::SlowDisk(i, delay) => {
                if let Some(m) = self.machines.get_mut(i) {
                    m.write_time = delay;
                }
            }
            Fault::FailDisk(i) => {
                if let Some(m) = self.machines.get_mut(i) {
                    m.fail_disk();
                }
            }
            Fault::Cut { from, to } => self.net.cut(from, to),
            Fault::Split(side) => self.net.split(side, self.settings.nodes),
            Fault::Clog { from, to, delay } => self.net.clog(from, to, delay),
            Fault::Loss(percent) => self.net.loss = percent,
            Fault::HealLinks => self.net.heal(),
            Fault::HealOne => self.net.heal_one(&mut self.chance),
        }
        Ok(())
    }

    fn crash(&mut self, i: usize) {
        let chance = &mut self.chance;
        if let Some(m) = self.machines.get_mut(i) {
            m.crash(chance);
        }
        self.checks.crashed(i);
    }

    fn heal(&mut self) -> Result<(), Violation> {
        self.note("HEAL".into());
        self.healed = true;
        self.plan.clear();
        self.net.calm();
        for i in 0..self.machines.len() {
            if let Some(m) = self.machines.get_mut(i) {
                m.calm(self.now);
            }
            if self.machines.get(i).is_some_and(|m| !m.running()) {
                self.start(i)?;
            }
        }
        Ok(())
    }
}

/// The durable change numbered `token`: an object that nobody else makes.
pub fn key(token: u64) -> Request {
    let pair = Element::new("nvpair")
        .with_attr("id", format!("k-{token}"))
        .with_attr("name", format!("k{token}"))
        .with_attr("value", token.to_string());
    let set = Element::new("cluster_property_set").with_attr("id", "keys").with_child(pair);
    Request::new(Operation::Modify)
        .section("crm_config")
        .input(Element::new("crm_config").with_child(set))
        .allow_create()
}

fn state(i: usize, token: u64) -> Request {
    let state = Element::new("node_state")
        .with_attr("id", format!("n{}", i + 1))
        .with_attr("uname", format!("n{}", i + 1))
        .with_attr("crmd", token.to_string());
    Request::new(Operation::Modify)
        .section("status")
        .input(Element::new("status").with_child(state))
        .allow_create()
}
