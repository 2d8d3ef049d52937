//! A cluster in progress: time goes on, faults happen, machines act, checks look.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ccm::group::{Change, GroupAction, GroupEvent, Level, Outcome, Policy};
use crm_core::client::ClientRequest;

use super::brain::Task;
use super::chance::Chance;
use super::checks::{Checks, Violation};
use super::machine::{Common, Machine, Wish, id};
use super::net::Net;
use super::plan::{Fault, Plan};
use super::resources::Resources;
use super::{DEADTIME, Failure, Settings, Summary, World};

/// Lines kept of the timeline.
const TIMELINE: usize = 1500;
/// Steps without progress of time that no honest cluster needs.
const STANDSTILL: u32 = 100_000;

pub(super) struct Sim {
    pub(super) settings: Settings,
    pub(super) now: Duration,
    pub(super) chance: Chance,
    pub(super) machines: Vec<Machine>,
    /// When each machine is to be looked at next.
    due: Vec<Duration>,
    pub(super) net: Net,
    pub(super) plan: VecDeque<(Duration, Fault)>,
    faults: usize,
    pub(super) checks: Checks,
    pub(super) resources: Resources,
    /// Kept only when the story is to be told: most runs end well.
    timeline: Option<VecDeque<String>>,
    events: u64,
    reached: BTreeMap<&'static str, u64>,
    /// From one phase, or state of a controller, to another.
    steps: BTreeMap<(&'static str, &'static str), u64>,
    /// Phases of each machine, and states of its controller, as last seen.
    phases: Vec<[&'static str; 2]>,
    pub(super) next_request: Duration,
    pub(super) requests: u64,
    pub(super) bus: u64,
    pub(super) healed: bool,
    still: u32,
    /// Machines that an administrator, or the fencing device, brings up at that time.
    pub(super) boots: Vec<(Duration, usize)>,
    /// Machines whose disk failed.
    lost: Vec<usize>,
    /// The object asked for last.
    pub(super) last_object: Option<u64>,
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
            steps: BTreeMap::new(),
            phases: vec![["down", ""]; settings.nodes],
            next_request: Duration::ZERO,
            requests: 0,
            bus: 0,
            healed: false,
            still: 0,
            boots: Vec::new(),
            lost: Vec::new(),
            last_object: None,
            chance,
            settings,
        }
    }

    /// Plays to the end, with only so many faults.
    pub fn run(mut self, faults: Option<usize>) -> Result<Summary, Box<Failure>> {
        self.plan.truncate(faults.unwrap_or(usize::MAX));
        match self.play() {
            Ok(()) => {
                let reached = self.reached.into_iter().map(|(k, n)| (k.to_owned(), n));
                let steps =
                    self.steps.into_iter().map(|((from, to), n)| (format!("step: {from} -> {to}"), n));
                Ok(Summary {
                    runs: 1,
                    time: self.now,
                    events: self.events,
                    reached: reached.chain(steps).collect(),
                })
            }
            Err(violation) => Err(Box::new(Failure {
                settings: self.settings,
                violation,
                at: self.now,
                faults: self.faults,
                timeline: self.timeline.unwrap_or_default().into(),
            })),
        }
    }

    pub(super) fn note(&mut self, text: impl FnOnce() -> String) {
        if let Some(timeline) = &mut self.timeline {
            timeline.push_back(format!("{:9.4} {}", self.now.as_secs_f64(), text()));
            if timeline.len() > TIMELINE {
                timeline.pop_front();
            }
        }
    }

    pub(super) fn reach(&mut self, what: &'static str) {
        *self.reached.entry(what).or_default() += 1;
    }

    fn play(&mut self) -> Result<(), Violation> {
        for i in 0..self.machines.len() {
            self.start(i)?;
        }
        self.until(self.settings.span, &|_| false)?;
        self.heal()?;
        if !self.gather()? {
            self.reach("reached: no quorum after a lost disk");
            return Ok(());
        }
        self.reach("reached: healed");
        // Without quorum nothing is started, whoever is there.
        if self.settings.world == World::Whole && !self.checks.excused(&self.machines) {
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

    /// L1: ten dead times to one view with everybody, counted anew whenever machines that were taken out had to be
    /// added again. False where nobody can add them: without quorum the set of nodes does not change, and a lost disk
    /// may have taken that away.
    fn gather(&mut self) -> Result<bool, Violation> {
        let mut since = self.now;
        // Who stood still until now has not noticed yet that its view is old.
        self.until(since + DEADTIME, &|_| false)?;
        for _ in 0..60 {
            let outside = self.outside();
            if !outside.is_empty() {
                self.reach("reached: a machine outside is added again");
                since = self.now;
            }
            // Voters that do not exist may leave too few votes present for one more.
            let ghosts = if outside.is_empty() { Vec::new() } else { self.ghosts() };
            for i in 0..self.machines.len() {
                for name in &ghosts {
                    self.ask(i, Change::RemoveNode { name: name.clone() })?;
                }
                for name in &outside {
                    self.ask(i, Change::AddNode { name: name.clone(), votes: 1 })?;
                }
            }
            let end = (self.now + DEADTIME).min(since + DEADTIME * 10);
            if self.until(end, &Self::together)? {
                return Ok(true);
            }
            if self.now >= since + DEADTIME * 10 {
                break;
            }
        }
        let groups = || self.machines.iter().filter_map(Machine::group);
        // Taken out by somebody, whatever it holds itself.
        let taken_out = |i: usize| {
            let name = format!("n{}", i + 1);
            groups().any(|g| !g.history().electorate.voters.iter().any(|v| v.is(id(i), &name)))
        };
        let nobody_can_add = groups().all(|g| !g.info().score.writable);
        if nobody_can_add && (0..self.machines.len()).any(taken_out) && self.checks.excused(&self.machines) {
            return Ok(false);
        }
        Err(self.late("no common view within ten dead times"))
    }

    /// The voters of those with quorum that are no machines.
    fn ghosts(&self) -> Vec<String> {
        let mut names = Vec::new();
        for group in self.machines.iter().filter_map(Machine::group).filter(|g| g.info().score.writable) {
            for voter in &group.history().electorate.voters {
                let here = (0..self.machines.len()).any(|i| voter.is(id(i), &format!("n{}", i + 1)));
                if !here && !names.contains(&voter.name) {
                    names.push(voter.name.clone());
                }
            }
        }
        names
    }

    /// The machines that are no voters for those with quorum.
    fn outside(&self) -> Vec<String> {
        let mut names = Vec::new();
        for group in self.machines.iter().filter_map(Machine::group).filter(|g| g.info().score.writable) {
            let voters = &group.history().electorate.voters;
            for i in 0..self.machines.len() {
                let name = format!("n{}", i + 1);
                if !voters.iter().any(|v| v.is(id(i), &name)) && !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        names
    }

    /// L1 for resources: an administrator reads the failures and clears them, and then everything runs
    /// where the policy says.
    fn settle(&mut self) -> Result<(), Violation> {
        let wait = DEADTIME * 10 + self.resources.longest();
        // An agent that hangs is given up when its time is over, and that is a failure too.
        for patience in [DEADTIME, self.resources.longest_agent()] {
            let end = self.now + patience;
            self.until(end, &|_| false)?;
            // A fencing device that works again carries out what was ordered before: not everybody need be there, and
            // he asks one that is.
            self.until(end + DEADTIME * 5, &Self::together)?;
            let one = self.machines.iter().position(|m| m.active().is_some()).unwrap_or(0);
            self.requests += 1;
            let id = self.requests;
            self.feed(one, |m, now| {
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
    pub(super) fn feed(&mut self, i: usize, f: impl FnOnce(&mut Machine, Duration)) -> Result<(), Violation> {
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
        let machine = self.machines.get(i);
        let states = [machine.map_or("down", Machine::phase), machine.map_or("", Machine::state)];
        if let Some(last) = self.phases.get_mut(i) {
            for (last, now) in last.iter_mut().zip(states) {
                if *last != now {
                    *self.steps.entry((last, now)).or_default() += 1;
                    *last = now;
                }
            }
        }
        if self.settings.world == World::Whole {
            self.resources.once(&self.machines)?;
        }
        Ok(())
    }

    fn wish(&mut self, i: usize, wish: Wish) -> Result<(), Violation> {
        match wish {
            Wish::Operation { rsc, action, had } => {
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
                self.resources.begins(self.now, &self.machines, i, (&rsc, &action), had)
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
                    let ran = self.machines.get(victim).map(|m| m.agents.active.clone()).unwrap_or_default();
                    self.crash(victim)?;
                    self.resources.power_taken(victim, ran);
                    if action == "reboot" {
                        let later = Duration::from_millis(200 + self.chance.below(6000));
                        self.boots.push((self.now + later, victim));
                    }
                }
                self.feed(i, |m, now| m.fenced(now, exec, 0))
            }
            Wish::Planned { part, same } => {
                self.reach(if part { "plan: of a part" } else { "plan: of everything" });
                same.map_err(|text| Violation::new("plan", format!("n{}: {text}", i + 1)))
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
                self.resources.entered(i, v);
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
            GroupEvent::Frozen => {
                self.reach("event: frozen");
                self.resources.left(self.now, i);
            }
            GroupEvent::Suspended => self.reach("event: suspended"),
            GroupEvent::Resumed => self.reach("event: resumed"),
            GroupEvent::StatusComplete { .. } => self.reach("event: status complete"),
            GroupEvent::Deliver { .. } => self.reach("event: bus message delivered"),
            GroupEvent::Dropped { .. } => self.reach("event: bus message reported dropped"),
            GroupEvent::Evicted { .. } => self.reach("event: evicted"),
            GroupEvent::Silent { .. } => self.reach("event: an excluded node is silent"),
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

    pub(super) fn start(&mut self, i: usize) -> Result<(), Violation> {
        self.note(|| format!("n{} starts", i + 1));
        self.feed(i, Machine::start)
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
