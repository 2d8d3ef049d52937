//! A cluster in progress: time goes on, faults happen, machines act, checks look.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ccm::group::{Change, GroupAction, GroupEvent, Level, Outcome, Policy};
use cib::{Element, Operation, Request};
use crm_core::client::ClientRequest;

use super::brain::Task;
use super::chance::Chance;
use super::checks::{Checks, Violation, bus_message};
use super::machine::{Common, KEYS, Machine, Wish, counted};
use super::net::Net;
use super::plan::{Fault, Plan};
use super::resources::Resources;
use super::{DEADTIME, Failure, Settings, Summary, World};

/// Lines kept of the timeline.
const TIMELINE: usize = 1500;
/// Steps without progress of time that no honest cluster needs.
const STANDSTILL: u32 = 100_000;

pub(super) struct Sim {
    settings: Settings,
    now: Duration,
    chance: Chance,
    machines: Vec<Machine>,
    /// When each machine is to be looked at next.
    due: Vec<Duration>,
    net: Net,
    plan: VecDeque<(Duration, Fault)>,
    faults: usize,
    checks: Checks,
    resources: Resources,
    /// Kept only when the story is to be told: most runs end well.
    timeline: Option<VecDeque<String>>,
    events: u64,
    reached: BTreeMap<&'static str, u64>,
    /// Phases of each machine, as last seen.
    phases: Vec<&'static str>,
    next_request: Duration,
    requests: u64,
    bus: u64,
    healed: bool,
    still: u32,
    /// Machines that an administrator, or the fencing device, brings up at that time.
    boots: Vec<(Duration, usize)>,
    /// Machines whose disk failed.
    lost: Vec<usize>,
}

impl Sim {
    pub fn new(settings: Settings, told: bool) -> Self {
        let mut chance = Chance::new(settings.seed);
        let plan = Plan::draw(&mut chance, settings);
        let names: Vec<String> = (0..settings.nodes).map(|i| format!("n{}", i + 1)).collect();
        let ping = chance.percent(40);
        let mut quorum = vec![Policy::Majority, Policy::Fenced];
        quorum.push(if ping { Policy::Ping } else { Policy::TwoNodes });
        let resources = Resources::draw(&mut chance, settings);
        let blank = settings.world == World::Agreement && chance.percent(12);
        let document = (!blank).then(|| resources.document());
        let common = Arc::new(Common { world: settings.world, names, quorum, ping, document });
        let machines = (0..settings.nodes).map(|i| Machine::new(i, &common, &mut chance)).collect();
        Self {
            now: Duration::ZERO,
            machines,
            due: vec![Duration::ZERO; settings.nodes],
            net: Net::new(settings.profile),
            plan: plan.faults.into(),
            faults: 0,
            checks: Checks::new(settings.nodes),
            resources,
            timeline: told.then(VecDeque::new),
            events: 0,
            reached: BTreeMap::new(),
            phases: vec!["down"; settings.nodes],
            next_request: Duration::ZERO,
            requests: 0,
            bus: 0,
            healed: false,
            still: 0,
            boots: Vec::new(),
            lost: Vec::new(),
            chance,
            settings,
        }
    }

    /// Plays to the end, with only so many faults.
    pub fn run(mut self, faults: Option<usize>) -> Result<Summary, Box<Failure>> {
        self.plan.truncate(faults.unwrap_or(usize::MAX));
        match self.play() {
            Ok(()) => Ok(Summary {
                runs: 1,
                time: self.now,
                events: self.events,
                reached: self.reached.into_iter().map(|(k, n)| (k.to_owned(), n)).collect(),
            }),
            Err(violation) => Err(Box::new(Failure {
                settings: self.settings,
                violation,
                at: self.now,
                faults: self.faults,
                timeline: self.timeline.unwrap_or_default().into(),
            })),
        }
    }

    fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(timeline) = &mut self.timeline {
            timeline.push_back(format!("{:9.4} {}", self.now.as_secs_f64(), text()));
            if timeline.len() > TIMELINE {
                timeline.pop_front();
            }
        }
    }

    fn reach(&mut self, what: &'static str) {
        *self.reached.entry(what).or_default() += 1;
    }

    fn play(&mut self) -> Result<(), Violation> {
        for i in 0..self.machines.len() {
            self.start(i)?;
        }
        self.until(self.settings.span, &|_| false)?;
        self.heal()?;
        // L1: ten dead times to one view with everybody.
        let end = self.now + DEADTIME * 10;
        if !self.until(end, &Self::together)? {
            return Err(self.late("no common view within ten dead times"));
        }
        self.reach("reached: healed");
        if self.settings.world == World::Whole {
            self.settle()?;
        }
        // And it works: a change of every node is acknowledged and at all.
        let before = self.checks.acknowledged();
        for i in 0..self.machines.len() {
            self.change(i)?;
        }
        let end = self.now + DEADTIME * 2;
        self.until(end, &|_| false)?;
        if self.checks.excused(&self.machines) {
            self.reach("reached: no quorum after a lost disk");
        } else if self.checks.acknowledged() < before + self.machines.len() {
            return Err(self.late("changes asked after the healing are not acknowledged"));
        }
        self.checks.all_equal(&self.machines)
    }

    /// L1 for resources: an administrator reads the failures and clears them, and then everything runs
    /// where the policy says.
    fn settle(&mut self) -> Result<(), Violation> {
        let wait = DEADTIME * 10 + self.resources.longest();
        for _ in 0..2 {
            let end = self.now + DEADTIME;
            self.until(end, &|_| false)?;
            self.requests += 1;
            let id = self.requests;
            self.feed(0, |m, now| {
                m.task(now, Task::Client(id, Box::new(ClientRequest::Cleanup(Default::default()))))
            })?;
        }
        let end = self.now + wait;
        let settled = |sim: &Self| sim.together() && sim.resources.unsettled(&sim.machines).is_none();
        if !self.until(end, &settled)? {
            let why = self.resources.unsettled(&self.machines).unwrap_or_default();
            return Err(self.late(&format!("resources are not where they should be: {why}")));
        }
        self.reach("reached: every resource in its place");
        Ok(())
    }

    fn late(&self, what: &str) -> Violation {
        let states: Vec<String> = self.machines.iter().map(Machine::describe).collect();
        Violation::new("L1", format!("{what}: {}", states.join("; ")))
    }

    fn together(&self) -> bool {
        let first = self.machines.first().and_then(Machine::active);
        first.is_some()
            && self.machines.iter().all(|m| m.active() == first && m.members() == self.machines.len())
    }

    /// Runs until `end`, or until `done`. Whether that was so.
    fn until(&mut self, end: Duration, done: &dyn Fn(&Self) -> bool) -> Result<bool, Violation> {
        loop {
            if done(self) {
                return Ok(true);
            }
            let mut next = self.due.iter().copied().min().unwrap_or(end);
            if let Some((at, _)) = self.plan.front() {
                next = next.min(*at);
            }
            if let Some(at) = self.boots.iter().map(|(at, _)| *at).min() {
                next = next.min(at);
            }
            if !self.healed {
                next = next.min(self.next_request);
            }
            next = next.min(self.net.next().unwrap_or(end));
            if next >= end {
                self.now = end;
                return Ok(done(self));
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
                self.net.survey(self.now, self.settings.nodes);
            }
        }
        if !self.healed && self.now >= self.next_request {
            let most = u64::try_from(self.settings.profile.requests().as_millis()).unwrap_or(1000);
            self.next_request = self.now + Duration::from_millis(20 + self.chance.below(most));
            let i = self.chance.index(self.machines.len());
            if self.chance.percent(15) {
                self.bus_message(i)?;
            } else {
                self.change(i)?;
            }
        }
        // Its administrator turns a machine with a failed disk off, when he has seen it.
        for i in std::mem::take(&mut self.lost) {
            self.note(|| format!("n{} is turned off: its disk failed", i + 1));
            self.crash(i)?;
            if self.healed {
                self.boots.push((self.now, i));
            }
        }
        while let Some(at) = self.boots.iter().position(|(at, _)| *at <= self.now) {
            let (_, i) = self.boots.swap_remove(at);
            if self.machines.get(i).is_some_and(|m| !m.running()) {
                self.start(i)?;
            }
        }
        while let Some(packet) = self.net.take(self.now) {
            self.events += 1;
            self.feed(packet.to, |m, now| m.packet(now, &packet))?;
        }
        for i in 0..self.machines.len() {
            if self.due.get(i).is_some_and(|t| *t <= self.now) {
                self.events += 1;
                self.feed(i, Machine::wake)?;
            }
        }
        Ok(())
    }

    /// Lets a machine do something and deals with what it sends, says and wishes.
    fn feed(&mut self, i: usize, f: impl FnOnce(&mut Machine, Duration)) -> Result<(), Violation> {
        let now = self.now;
        let Some(machine) = self.machines.get_mut(i) else { return Ok(()) };
        f(machine, now);
        if let Some(due) = self.due.get_mut(i) {
            *due = machine.next(now);
        }
        if !machine.sent.is_empty() {
            for packet in std::mem::take(&mut machine.sent) {
                self.net.send(&mut self.chance, now, i, packet, self.settings.nodes);
            }
        }
        if machine.said.is_empty() && machine.wishes.is_empty() {
            return Ok(());
        }
        let said = std::mem::take(&mut machine.said);
        let wishes = std::mem::take(&mut machine.wishes);
        for action in said {
            self.said(i, action)?;
        }
        for wish in wishes {
            self.wish(i, wish)?;
        }
        self.look(i)
    }

    /// What a machine does changes what runs where.
    fn look(&mut self, i: usize) -> Result<(), Violation> {
        let phase = self.machines.get(i).map_or("down", Machine::phase);
        if let Some(last) = self.phases.get_mut(i)
            && *last != phase
        {
            *last = phase;
            self.reach(phase);
        }
        if self.settings.world == World::Whole {
            self.resources.once(&self.machines)?;
        }
        Ok(())
    }

    fn wish(&mut self, i: usize, wish: Wish) -> Result<(), Violation> {
        match wish {
            Wish::Operation { rsc, action } => {
                self.note(|| format!("n{} {action} {rsc}", i + 1));
                self.reach(match action.as_str() {
                    "start" => "agent: start",
                    "stop" => "agent: stop",
                    "promote" => "agent: promote",
                    "demote" => "agent: demote",
                    "monitor" => "agent: monitor",
                    "notify" => "agent: notify",
                    _ => "agent: other",
                });
                self.resources.begins(&self.machines, i, &rsc, &action)
            }
            Wish::Fences { action, target } => {
                let victim = self.machines.iter().position(|m| m.name() == target);
                match victim {
                    Some(victim) if matches!(action.as_str(), "off" | "reboot") => {
                        self.resources.fenced(self.now, &self.net, &self.machines, i, victim)
                    }
                    _ => Ok(()),
                }
            }
            Wish::Fence { exec, action, target } => {
                let victim = self.machines.iter().position(|m| m.name() == target);
                let works = self.now >= self.resources.fencing_down;
                self.note(|| format!("n{} fences {target} ({action}): {works}", i + 1));
                let (Some(victim), true) = (victim, works) else {
                    self.reach("fence agent: fails");
                    return self.feed(i, |m, now| m.fenced(now, exec, i32::from(!works)));
                };
                if matches!(action.as_str(), "off" | "reboot") {
                    self.reach("fence agent: power off");
                    self.crash(victim)?;
                    if action == "reboot" {
                        let later = Duration::from_millis(200 + self.chance.below(6000));
                        self.boots.push((self.now + later, victim));
                    }
                }
                self.feed(i, |m, now| m.fenced(now, exec, 0))
            }
            Wish::Ended(code) => {
                self.note(|| format!("n{} ends with {code}", i + 1));
                self.reach(match code {
                    0 => "node: left",
                    75 => "node: starts again, its disk was set back",
                    _ => "node: stays down",
                });
                self.checks.crashed(i, self.machines.get(i))?;
                if code == 75 {
                    self.boots.push((self.now, i));
                } else if code != 0 || self.healed {
                    // Whatever it left running goes with the power.
                    self.crash(i)?;
                    self.boots.push((self.now + DEADTIME, i));
                }
                Ok(())
            }
        }
    }

    fn said(&mut self, i: usize, action: GroupAction) -> Result<(), Violation> {
        match &action {
            GroupAction::Log { level, text } if *level >= Level::Info => {
                self.note(|| format!("n{} {text}", i + 1));
            }
            GroupAction::Event(GroupEvent::ViewChanged(v)) => {
                self.reach(if v.exclusive {
                    "view: exclusive"
                } else if v.writable {
                    "view: writable by a tie-breaker"
                } else {
                    "view: not writable"
                });
                if v.conflicts.iter().any(|c| c.holder == v.dc) {
                    self.reach("view: with a reported conflict");
                }
                for out in &v.out {
                    self.reach(match out.reason {
                        ccm::group::OutReason::Left => "out: left",
                        ccm::group::OutReason::Restarted => "out: restarted",
                        ccm::group::OutReason::Silent => "out: silent",
                        ccm::group::OutReason::Excluded => "out: excluded",
                        ccm::group::OutReason::Ejected => "out: ejected",
                        ccm::group::OutReason::Fenced => "out: fenced",
                    });
                }
                self.note(|| {
                    format!("n{} VIEW {}.{} of {}", i + 1, v.id.epoch, v.id.boot % 1000, v.members.len())
                });
            }
            GroupAction::Event(event) => self.event(i, event),
            GroupAction::Reply { token, outcome } => {
                self.reach(match outcome {
                    Outcome::Done { .. } => "answer: done",
                    Outcome::Rejected { .. } => "answer: rejected",
                    Outcome::Busy => "answer: busy",
                    Outcome::NoQuorum { .. } => "answer: no quorum",
                    Outcome::Unknown => "answer: unknown",
                });
                self.note(|| {
                    let outcome = match outcome {
                        Outcome::Done { stamp, .. } => format!("done at {}/{}", stamp.view.epoch, stamp.n),
                        other => format!("{other:?}"),
                    };
                    format!("n{} request {token}: {outcome}", i + 1)
                });
            }
            _ => {}
        }
        self.checks.said(i, &action, &self.machines)
    }

    fn event(&mut self, i: usize, event: &GroupEvent) {
        match event {
            GroupEvent::Frozen => self.reach("event: frozen"),
            GroupEvent::Suspended => self.reach("event: suspended"),
            GroupEvent::Resumed => self.reach("event: resumed"),
            GroupEvent::StatusComplete { .. } => self.reach("event: status complete"),
            GroupEvent::Deliver { .. } => self.reach("event: bus message delivered"),
            GroupEvent::Dropped { .. } => self.reach("event: bus message reported dropped"),
            GroupEvent::Evicted { .. } => self.reach("event: evicted"),
            GroupEvent::Duplicate { .. } => self.reach("event: duplicate"),
            GroupEvent::Foreign { .. } => self.reach("event: foreign"),
            GroupEvent::StorageLost { .. } => {
                self.reach("event: disk given up");
                if self.settings.world == World::Agreement || self.healed {
                    self.lost.push(i);
                } else {
                    // The node stops what it runs; then somebody comes.
                    self.broken(i);
                }
            }
            GroupEvent::ViewChanged(_) => {}
        }
    }

    /// Somebody comes for a machine with a failed disk, after a while.
    fn broken(&mut self, i: usize) {
        for (after, fault) in [(DEADTIME * 4, Fault::Crash(i)), (DEADTIME * 5, Fault::Restart(i))] {
            let at = self.now + after;
            let place = self.plan.iter().position(|(t, _)| *t > at).unwrap_or(self.plan.len());
            self.plan.insert(place, (at, fault));
        }
    }

    fn start(&mut self, i: usize) -> Result<(), Violation> {
        self.note(|| format!("n{} starts", i + 1));
        self.feed(i, Machine::start)
    }

    fn bus_message(&mut self, i: usize) -> Result<(), Violation> {
        self.bus += 1;
        let boot = self.machines.get(i).map_or(0, |m| m.inc.boot);
        let payload = bus_message(boot, self.bus);
        self.feed(i, |m, now| m.task(now, Task::Bus(payload)))
    }

    /// One change of the document: an object of its own, a pair of the set that counts, sometimes on
    /// condition of a version, sometimes the volatile state of the node.
    fn change(&mut self, i: usize) -> Result<(), Violation> {
        let Some(machine) = self.machines.get(i) else { return Ok(()) };
        let Some(group) = machine.group() else { return Ok(()) };
        let (version, set) = (group.visible().version(), counted(group.visible().root()).is_some());
        self.requests += 1;
        let token = self.requests;
        let kind = if self.healed { 0 } else { self.chance.below(10) };
        let (change, what) = match kind {
            _ if !set => (first_set(), "the set"),
            0..=2 => (object(token), "an object"),
            3 | 4 => (pair(token), "a pair"),
            5 | 6 => (pair(token).if_version(version), "a pair, if the version is still the same"),
            7 => (object(token).if_version(version), "an object, if the version is still the same"),
            _ => (state(i, token), "its status"),
        };
        self.checks.asked(token, set && kind < 8);
        self.note(|| format!("n{} asks for change {token}: {what}", i + 1));
        self.feed(i, |m, now| m.task(now, Task::Change(token, Change::Cib(change))))
    }

    /// A request whose outcome no check follows.
    fn ask(&mut self, i: usize, change: Change) -> Result<(), Violation> {
        self.requests += 1;
        let token = self.requests;
        self.feed(i, |m, now| m.task(now, Task::Change(token, change)))
    }

    fn fault(&mut self, fault: Fault) -> Result<(), Violation> {
        self.reach(fault.name());
        self.note(|| format!("FAULT {fault:?}"));
        let now = self.now;
        match fault {
            Fault::Crash(i) => self.crash(i)?,
            Fault::CrashAll => {
                for i in 0..self.machines.len() {
                    self.crash(i)?;
                }
            }
            Fault::Restart(i) => {
                if self.machines.get(i).is_some_and(|m| !m.running()) {
                    self.crash(i)?;
                    self.start(i)?;
                }
            }
            Fault::Leave(i) => self.feed(i, |m, now| m.task(now, Task::Leave))?,
            Fault::PauseCore(i, span) => self.feed(i, |m, now| m.pause_core(now + span))?,
            Fault::PauseAll(i, span) => self.feed(i, |m, now| m.pause_all(now + span))?,
            Fault::Freeze(i, span) => self.feed(i, |m, now| m.freeze(now, now + span))?,
            Fault::Drift(i, rate) => self.feed(i, |m, now| m.drift(now, rate))?,
            Fault::WallJump(i, by) => self.feed(i, |m, now| m.wall_jump(now, by))?,
            Fault::SlowDisk(i, delay) => self.feed(i, |m, now| m.slow(now, delay))?,
            Fault::FailDisk(i) => self.feed(i, |m, _| m.fail_disk(false))?,
            Fault::FullDisk(i) => self.feed(i, |m, _| m.fail_disk(true))?,
            Fault::Image(i) => self.feed(i, |m, _| m.take_image())?,
            Fault::SetBack(i) => self.forget(i, Machine::set_back, "reached: a disk was set back")?,
            Fault::Wipe(i) => self.forget(i, |m| m.wipe(now), "reached: a disk was wiped")?,
            Fault::ReadError(i, at) => self.forget(i, |m| m.damage(at), "reached: a disk was damaged")?,
            Fault::Cut { from, to } => self.net.cut(from, to),
            Fault::Split(side) => self.net.split(side, self.settings.nodes),
            Fault::Unplug(i) => {
                self.net.unplug(i);
                self.feed(i, |m, now| m.carrier(now, false))?;
            }
            Fault::Plug(i) => {
                self.net.plug(i);
                self.feed(i, |m, now| m.carrier(now, true))?;
            }
            Fault::Clog { from, to, delay } => self.net.clog(from, to, delay),
            Fault::ClogAll(delay) => {
                for a in 0..self.settings.nodes {
                    for b in 0..self.settings.nodes {
                        let part = u32::try_from(self.chance.below(1000)).unwrap_or(0);
                        self.net.clog(a, b, delay * part / 1000);
                    }
                }
            }
            Fault::Loss(percent) => self.net.lose(Some(percent)),
            Fault::Quiet => self.net.lose(None),
            Fault::HealLinks => self.net.heal(),
            Fault::HealOne => {
                if let Some(what) = self.net.heal_one(&mut self.chance) {
                    self.reach(what);
                }
            }
            Fault::PingLost(i) => self.feed(i, |m, _| m.ping = false)?,
            Fault::PingBack(i) => self.feed(i, |m, _| m.ping = true)?,
            Fault::AddNode(n) => self.electorate(Change::AddNode { name: format!("g{n}"), votes: 1 })?,
            Fault::RemoveNode(n) => {
                // A machine that was taken out stays out until it is added again (R15.8), and could not be
                // in the view that everything ends in: only voters without a machine are taken out.
                let name = format!("g{}", n.checked_sub(self.machines.len()).unwrap_or(n % 3));
                self.electorate(Change::RemoveNode { name })?;
            }
            Fault::Votes(i, votes) => {
                self.electorate(Change::AddNode { name: format!("n{}", i + 1), votes })?
            }
            Fault::Burst(i, count) => {
                for _ in 0..count {
                    self.change(i)?;
                }
            }
            Fault::Ill(i, ill) => self.feed(i, |m, _| {
                m.agents.ill.insert(ill);
            })?,
            Fault::Dies(i, which) => self.feed(i, |m, _| {
                let at = usize::try_from(which % m.agents.active.len().max(1) as u64).unwrap_or(0);
                if let Some(name) = m.agents.active.keys().nth(at).cloned() {
                    m.agents.active.remove(&name);
                }
            })?,
            Fault::FencingDown(span) => self.resources.fencing_down = now + span,
            Fault::AskFence(i, j) => {
                self.resources.ordered(j);
                let (id, target) = (self.requests + 1, format!("n{}", j + 1));
                self.requests = id;
                let request = ClientRequest::Fence { target, action: "reboot".into(), timeout: DEADTIME * 4 };
                self.feed(i, |m, now| m.task(now, Task::Client(id, Box::new(request))))?;
            }
        }
        Ok(())
    }

    fn electorate(&mut self, change: Change) -> Result<(), Violation> {
        let i = self.chance.index(self.machines.len());
        self.ask(i, change)
    }

    fn crash(&mut self, i: usize) -> Result<(), Violation> {
        self.boots.retain(|(_, b)| *b != i);
        self.feed(i, Machine::crash)?;
        self.checks.crashed(i, self.machines.get(i))
    }

    /// A crash after which the disk is not what it was.
    fn forget<T: Into<Forgot>>(
        &mut self,
        i: usize,
        how: impl FnOnce(&mut Machine) -> T,
        what: &'static str,
    ) -> Result<(), Violation> {
        self.crash(i)?;
        let done: Option<Forgot> = self.machines.get_mut(i).map(|m| how(m).into());
        if done.is_some_and(|d| d.0) {
            self.reach(what);
            self.checks.forgot(i);
        }
        self.boots.push((self.now + DEADTIME / 2, i));
        Ok(())
    }

    fn heal(&mut self) -> Result<(), Violation> {
        self.note(|| "HEAL".into());
        self.healed = true;
        self.plan.clear();
        self.net.calm();
        self.resources.fencing_down = Duration::ZERO;
        self.net.survey(self.now, self.settings.nodes);
        for i in 0..self.machines.len() {
            self.feed(i, Machine::calm)?;
            self.feed(i, |m, now| m.carrier(now, true))?;
            if self.machines.get(i).is_some_and(|m| !m.running()) {
                self.crash(i)?;
                self.start(i)?;
            } else if self.machines.get(i).is_some_and(Machine::disk_failed) {
                self.lost.push(i);
            }
        }
        Ok(())
    }
}

/// Whether a disk has forgotten something.
struct Forgot(bool);

impl From<bool> for Forgot {
    fn from(done: bool) -> Self {
        Self(done)
    }
}

impl From<()> for Forgot {
    fn from((): ()) -> Self {
        Self(true)
    }
}

fn nvpair(id: &str, value: &str) -> Element {
    Element::new("nvpair").with_attr("id", id).with_attr("name", id).with_attr("value", value)
}

/// The set that counts, where there is none yet.
fn first_set() -> Request {
    let set = Element::new("cluster_property_set").with_attr("id", KEYS).with_child(nvpair("sum", "0"));
    Request::new(Operation::Create).section("crm_config").input(set)
}

/// An object that nobody else makes, and that can be made only once.
fn object(token: u64) -> Request {
    let set = Element::new("cluster_property_set").with_attr("id", format!("c-{token}"));
    Request::new(Operation::Create).section("crm_config").input(set)
}

/// A pair of the set that counts: made twice, the sum is wrong.
fn pair(token: u64) -> Request {
    let set = Element::new("cluster_property_set")
        .with_attr("id", KEYS)
        .with_child(nvpair(&format!("k-{token}"), "1"))
        .with_child(Element::new("nvpair").with_attr("id", "sum").with_attr("value", "value++"));
    Request::new(Operation::Modify).section("crm_config").input(set)
}

fn state(i: usize, token: u64) -> Request {
    let state = Element::new("node_state")
        .with_attr("id", format!("x{}", i + 1))
        .with_attr("uname", format!("x{}", i + 1))
        .with_attr("crmd", token.to_string());
    Request::new(Operation::Modify)
        .section("status")
        .input(Element::new("status").with_child(state))
        .allow_create()
}
