//! One simulated machine: the real link machine and the real group or core, a disk that forgets what
//! was not synced, a clock of its own that runs a little fast or slow, and what runs beside the node.

mod disk;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use ccm::group::{Group, GroupAction, GroupConfig, Policy};
use ccm::link::{Link, LinkAction, LinkConfig, LinkInput, PingTarget};
use ccm::membership::info::PhaseName;
use ccm::seam::{Incarnation, LinkCommand, NodeId, Record, ViewId};
use ccm::wire::{Keys, Method};
use cib::Element;
use cib::disk::{CibStore, Failure, MemoryStore};
use crm_core::core::{Core, CoreConfig, PlanMaker, Planned, make_plan};
use crm_core::policy::incremental::How;
use lrm::ExecId;

use super::agents::{Agents, Job, Running as Operation};
use super::brain::{Brain, Deed, Task};
use super::chance::Chance;
use super::clock::Clock;
use super::net::{Arrived, Sent, address};
use super::{DEADTIME, KEEPALIVE, World};
use disk::{backup_of, execute};

/// A write on its way.
struct Write {
    due: Duration,
    token: u64,
    record: Record,
}

/// What runs while the machine is up.
struct Running {
    link: Link,
    brain: Brain,
    store: CibStore<MemoryStore>,
    write: Option<Write>,
    /// Inputs for a core that does not run at the moment.
    queued: VecDeque<Task>,
    /// Packets for a machine that stands still.
    packets: VecDeque<Arrived>,
    gone: bool,
    /// The link was woken and named the same time again: it is asked once more a little later.
    link_again: Duration,
}

/// What all machines of a cluster have in common.
#[derive(Debug, Clone)]
pub struct Common {
    pub world: World,
    pub names: Vec<String>,
    pub quorum: Vec<Policy>,
    /// Whether there is a ping node.
    pub ping: bool,
    /// The document that an administrator puts on every disk before the first start.
    pub document: Option<Element>,
}

/// Something a machine does to the world beside sending packets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A fence agent of this machine has done its work.
    Fence { exec: ExecId, action: String, target: String },
    /// A fence agent of this machine begins.
    Fences { action: String, target: String },
    /// An operation of an agent begins; whether the resource was active before, and promoted.
    Operation { rsc: String, action: String, had: Option<bool> },
    /// The node has ended and its machine runs on: its resources are stopped or lost.
    Ended(i32),
    /// A plan was made, of a part of the cluster or of all of it, and what it has else than one made from nothing.
    Planned { part: bool, same: Result<(), String> },
}

/// A machine with its disk, which outlives what runs on it.
pub struct Machine {
    index: usize,
    common: Arc<Common>,
    chance: Chance,
    disk: MemoryStore,
    /// A copy of the disk, and the generation of its time.
    image: Option<(MemoryStore, u64)>,
    generation: u64,
    /// The next start knows that the disk went back in time: until the group's own record says so.
    marked: bool,
    pub inc: Incarnation,
    running: Option<Running>,
    /// The core deals with something at this moment.
    at_work: bool,
    clock: Clock,
    pub write_time: Duration,
    core_paused: Duration,
    all_paused: Duration,
    /// Tokens of the changes in each document that this disk holds as the loser of a merge.
    pub backups: Vec<BTreeSet<u64>>,
    pub agents: Agents,
    planner: PlanMaker,
    pub ping: bool,
    /// Since when nothing was wrong with the machine itself.
    pub well_since: Option<Duration>,
    /// Packets, words and wishes for the simulation to take.
    pub sent: Vec<Sent>,
    pub said: Vec<GroupAction>,
    pub wishes: Vec<Wish>,
}

/// Identity of the machine with this index.
pub fn id(i: usize) -> NodeId {
    let mut bytes = [0x11; 16];
    bytes[0] = u8::try_from(i + 1).unwrap_or(0xff);
    NodeId(bytes)
}

/// A time that never comes.
const NEVER: Duration = Duration::MAX;

impl Machine {
    pub fn new(index: usize, common: &Arc<Common>, chance: &mut Chance) -> Self {
        Self {
            index,
            common: Arc::clone(common),
            disk: MemoryStore::new(),
            image: None,
            generation: 0,
            marked: false,
            inc: Incarnation::default(),
            running: None,
            at_work: false,
            clock: Clock::new(chance),
            write_time: Duration::from_millis(1 + chance.below(40)),
            core_paused: Duration::ZERO,
            all_paused: Duration::ZERO,
            backups: Vec::new(),
            agents: Agents::default(),
            planner: small_planner(),
            ping: true,
            well_since: None,
            sent: Vec::new(),
            said: Vec::new(),
            wishes: Vec::new(),
            chance: Chance::new(chance.next()),
        }
    }

    pub fn name(&self) -> &str {
        self.common.names.get(self.index).map_or("", String::as_str)
    }

    pub fn id(&self) -> NodeId {
        id(self.index)
    }

    /// The wall clock is set.
    pub fn wall_jump(&mut self, now: Duration, seconds: i64) {
        let wall_at_zero = self.clock.jump(seconds);
        self.link_input(now, LinkInput::Surroundings { load: "0.10 0.10 0.10 1/1 1".into(), wall_at_zero });
    }

    pub fn running(&self) -> bool {
        self.running.as_ref().is_some_and(|r| !r.gone)
    }

    /// Whether it stands still, or its core does.
    pub fn paused(&self, now: Duration) -> bool {
        now < self.all_paused || now < self.core_paused
    }

    fn brain(&self) -> Option<&Brain> {
        self.running.as_ref().filter(|r| !r.gone).map(|r| &r.brain)
    }

    pub fn group(&self) -> Option<&Group> {
        self.brain().map(Brain::group)
    }

    pub fn core(&self) -> Option<&Core> {
        self.brain().and_then(Brain::core)
    }

    pub fn active(&self) -> Option<ViewId> {
        self.group().and_then(Group::active)
    }

    pub fn members(&self) -> usize {
        self.group().map_or(0, |g| g.info().members.len())
    }

    pub fn visible_version(&self) -> Option<cib::Version> {
        self.group().map(|g| g.visible().version())
    }

    pub fn describe(&self) -> String {
        match self.group() {
            None => format!("{} is down", self.name()),
            Some(g) => {
                let i = g.info();
                let controller = self.core().map(Core::controller);
                let state = self.state();
                let running =
                    controller.map(|c| c.transition_status().running.join(", ")).unwrap_or_default();
                let (name, members) = (self.name(), i.members.len());
                format!("{name} {:?} view {} of {members} {state} {running}", i.phase, i.view.epoch)
            }
        }
    }

    fn config(&self) -> GroupConfig {
        let names: Vec<&str> = self.common.names.iter().map(String::as_str).collect();
        let mut config = GroupConfig::new(id(self.index), self.name(), self.inc, &names);
        (config.keepalive, config.deadtime, config.initdead) = (KEEPALIVE, DEADTIME, DEADTIME * 2);
        config.quorum = self.common.quorum.clone();
        if self.common.ping {
            config.pings = vec![PING.to_owned()];
        }
        config
    }

    pub fn start(&mut self, now: Duration) {
        // What ended by itself lets go of its disk.
        self.running = None;
        self.planner = small_planner();
        self.generation += 1;
        self.inc = Incarnation { generation: self.generation, boot: self.chance.next() };
        let Some((store, loaded)) = self.open(self.disk.clone()) else {
            // The disk fails at the start: somebody tries again.
            self.wishes.push(Wish::Ended(1));
            return;
        };
        let seed = self.chance.next();
        let config = self.config();
        let brain = match self.common.world {
            World::Agreement => Brain::Group(Box::new(Group::new(config, loaded, seed))),
            World::Whole => {
                let mut core = Core::new(CoreConfig {
                    group: config,
                    loaded,
                    roots: lrm::Roots::system(),
                    operations: 8,
                    life: u32::try_from(self.generation).unwrap_or(1),
                    seed,
                });
                core.watch();
                Brain::Core(Box::new(core))
            }
        };
        let Ok(keys) = Keys::single(Method::Crc, b"") else { return };
        let names: Vec<&str> = self.common.names.iter().map(String::as_str).collect();
        let mut link = LinkConfig::simple(id(self.index), self.name(), self.inc, keys, &names);
        (link.keepalive, link.deadtime, link.initdead) = (KEEPALIVE, DEADTIME, DEADTIME * 2);
        (link.warntime, link.deadping) = (DEADTIME / 2, DEADTIME);
        if self.common.ping {
            link.ping = vec![PingTarget { name: PING.to_owned(), hosts: 1 }];
        }
        self.running = Some(Running {
            link: Link::new(link, seed ^ 1),
            brain,
            store,
            write: None,
            queued: VecDeque::new(),
            packets: VecDeque::new(),
            gone: false,
            link_again: Duration::ZERO,
        });
        self.core_paused = now + Duration::from_millis(self.chance.below(20));
        self.well_since = Some(now);
        self.link_input(now, LinkInput::MediumUp { medium: 0 });
        self.task(now, Task::Wake);
    }

    /// The power fails; of a write on its way anything may be on the disk.
    pub fn crash(&mut self, now: Duration) {
        self.agents.off();
        self.well_since = None;
        self.clock.thaw(now);
        (self.core_paused, self.all_paused) = (Duration::ZERO, Duration::ZERO);
        let Some(mut r) = self.running.take() else { return };
        if let Some(write) = r.write.take() {
            if self.chance.percent(60) {
                let call = self.disk.counts().calls + self.chance.below(6);
                self.disk.fail_at(call, Failure::Torn);
                // Its outcome is nobody's business: the process that would hear of it is gone.
                if execute(&mut r.store, &write.record).is_ok() {
                    self.backups.extend(backup_of(&write.record));
                }
            }
        }
        let chance = &mut self.chance;
        self.disk.crash(|n| chance.index(n));
        self.disk.heal();
    }

    pub fn pause_core(&mut self, until: Duration) {
        self.core_paused = self.core_paused.max(until);
        self.well_since = None;
    }

    pub fn pause_all(&mut self, until: Duration) {
        self.all_paused = self.all_paused.max(until);
        self.well_since = None;
    }

    /// The clock stands still too.
    pub fn freeze(&mut self, now: Duration, until: Duration) {
        if now >= self.all_paused && self.clock.freeze(now, until) {
            self.pause_all(until);
        }
    }

    /// From now on its clock runs at this rate.
    pub fn drift(&mut self, now: Duration, rate: u64) {
        self.clock.drift(now, rate);
    }

    /// Where it is in the life of views.
    pub fn phase(&self) -> &'static str {
        match self.group().map(|g| g.info().phase) {
            None => "down",
            Some(PhaseName::Boot) => "boot",
            Some(PhaseName::Seeking) => "seeking",
            Some(PhaseName::Proposing) => "proposing",
            Some(PhaseName::Promised) => "promised",
            Some(PhaseName::Installing) => "installing",
            Some(PhaseName::Active) => "active",
            Some(PhaseName::Leaving) => "leaving",
            Some(PhaseName::Gone) => "gone",
            Some(PhaseName::DiskFailed) => "disk failed",
        }
    }

    /// Where its controller is, if there is one.
    pub fn state(&self) -> &'static str {
        self.core().map_or("", |c| c.controller().state())
    }

    pub fn calm(&mut self, now: Duration) {
        self.clock.thaw(now);
        self.core_paused = self.core_paused.min(now);
        self.all_paused = self.all_paused.min(now);
        self.write_time = Duration::from_millis(2);
        self.ping = true;
        self.agents.ill.clear();
        self.disk.heal();
        if let Some(w) = self.running.as_mut().and_then(|r| r.write.as_mut()) {
            w.due = w.due.min(now);
        }
    }

    pub fn carrier(&mut self, now: Duration, carrier: bool) {
        self.link_input(now, LinkInput::Carrier { medium: 0, carrier });
    }

    /// When something is to be done here next; [`NEVER`] if nothing is.
    pub fn next(&self, now: Duration) -> Duration {
        let agents = self.agents.next().map_or(NEVER, |t| t.max(self.all_paused));
        let Some(r) = self.running.as_ref().filter(|r| !r.gone) else { return agents };
        if now < self.all_paused {
            return self.all_paused;
        }
        if !r.packets.is_empty() {
            return now;
        }
        let link = r.link.deadline().map_or(NEVER, |t| self.clock.when(t).max(r.link_again));
        let write = r.write.as_ref().map_or(NEVER, |w| w.due);
        let brain = if now < self.core_paused {
            self.core_paused
        } else if r.queued.is_empty() {
            r.brain.deadline().map_or(NEVER, |t| self.clock.when(t))
        } else {
            now
        };
        link.min(write).min(brain).min(agents).max(now)
    }

    /// What is due here at this moment, for the report of a standstill.
    pub fn busy(&self, now: Duration) -> Option<String> {
        let r = self.running.as_ref().filter(|r| !r.gone)?;
        (self.next(now) <= now).then(|| {
            format!(
                "{}: clock {:?}, link {:?}, brain {:?}, queued {}, packets {}, write {:?}",
                self.name(),
                self.clock.at(now),
                r.link.deadline(),
                r.brain.deadline(),
                r.queued.len(),
                r.packets.len(),
                r.write.as_ref().map(|w| w.due)
            )
        })
    }

    pub fn wake(&mut self, now: Duration) {
        if now < self.all_paused {
            return;
        }
        self.clock.awake();
        while let Some(packet) = self.running.as_mut().and_then(|r| r.packets.pop_front()) {
            self.packet(now, &packet);
        }
        while let Some(ended) = self.agents.take(now) {
            self.ended(now, ended);
        }
        let clock = self.clock.at(now);
        let Some(r) = &mut self.running else { return };
        let written = r.write.take_if(|w| w.due <= now);
        if let Some(write) = written {
            let result = execute(&mut r.store, &write.record);
            let token = write.token;
            let task = match result {
                Ok(()) => {
                    self.backups.extend(backup_of(&write.record));
                    self.marked &= matches!(write.record, Record::Append(_));
                    Task::Persisted(token)
                }
                Err(error) => {
                    self.well_since = None;
                    Task::PersistFailed(token, error)
                }
            };
            self.task(now, task);
        }
        let due = |r: &Running| r.link.deadline().is_some_and(|t| t <= clock) && now >= r.link_again;
        if self.running.as_ref().is_some_and(due) {
            self.link_input(now, LinkInput::Wake);
            if let Some(r) = self.running.as_mut().filter(|r| r.link.deadline().is_some_and(|t| t <= clock)) {
                r.link_again = now + Duration::from_millis(10);
            }
        }
        if now >= self.core_paused {
            self.work(now);
            if self.running.as_ref().is_some_and(|r| r.brain.deadline().is_some_and(|t| t <= clock)) {
                self.task(now, Task::Wake);
            }
        }
    }

    /// An agent, a fence agent or the planner has finished.
    fn ended(&mut self, now: Duration, mut running: Operation) {
        let ran = now.saturating_sub(running.began);
        match std::mem::replace(&mut running.job, Job::Fence { action: String::new(), target: String::new() })
        {
            Job::Agent(op) => {
                let end = self.agents.end(&running, &op);
                self.task(now, Task::Exited(running.exec, lrm::Outcome::of(end, ran)));
            }
            Job::Fence { action, target } => {
                self.wishes.push(Wish::Fence { exec: running.exec, action, target });
            }
            Job::Describes => {
                self.task(now, Task::Exited(running.exec, lrm::Outcome::of(lrm::End::Code(0), ran)));
            }
            Job::Plan(plan) => self.task(now, Task::Planned(running.exec.0, plan)),
        }
    }

    /// The fence agent of this machine ends with this code.
    pub fn fenced(&mut self, now: Duration, exec: ExecId, code: i32) {
        let outcome = lrm::Outcome::of(lrm::End::Code(code), Duration::from_millis(500));
        self.task(now, Task::Exited(exec, outcome));
    }

    pub fn packet(&mut self, now: Duration, packet: &Arrived) {
        if now < self.all_paused {
            if let Some(r) = &mut self.running {
                // A socket buffer holds so much.
                if r.packets.len() < 200 {
                    r.packets.push_back(packet.clone());
                }
            }
            return;
        }
        let from = Some(address(packet.from));
        self.link_input(now, LinkInput::Packet { medium: 0, from, bytes: packet.bytes.to_vec() });
    }

    /// Gives the core something to deal with: in its turn, never in the middle of something else. What it
    /// does is carried out in the order in which it said so.
    pub fn task(&mut self, now: Duration, task: Task) {
        let Some(r) = self.running.as_mut().filter(|r| !r.gone) else { return };
        r.queued.push_back(task);
        self.work(now);
    }

    fn work(&mut self, now: Duration) {
        if self.at_work || now < self.core_paused || now < self.all_paused {
            return;
        }
        self.at_work = true;
        while let Some(task) = self.running.as_mut().and_then(|r| r.queued.pop_front()) {
            self.handle(now, task);
        }
        self.at_work = false;
    }

    fn link_input(&mut self, now: Duration, input: LinkInput) {
        let clock = self.clock.at(now);
        let Some(r) = self.running.as_mut().filter(|r| !r.gone) else { return };
        let mut out = Vec::new();
        r.link.handle(clock, input, &mut out);
        for action in out {
            match action {
                LinkAction::Transmit { to, bytes, .. } => self.sent.push(Sent { to, bytes }),
                LinkAction::Event(event) => self.task(now, Task::Link(event)),
                LinkAction::Ping { target } if self.ping => {
                    self.link_input(now, LinkInput::Pong { target, host: 0 });
                }
                LinkAction::Ping { .. } | LinkAction::Log(_) => {}
            }
        }
    }

    fn handle(&mut self, now: Duration, task: Task) {
        let clock = self.clock.now(now);
        let Some(r) = self.running.as_mut().filter(|r| !r.gone) else { return };
        let mut deeds = Vec::new();
        r.brain.handle(clock, task, &mut deeds);
        for deed in deeds {
            match deed {
                Deed::Link(command) => {
                    let leave = command == LinkCommand::Leave;
                    self.link_input(now, LinkInput::Command(command));
                    if leave && self.common.world == World::Agreement {
                        self.end(0);
                    }
                }
                Deed::Persist { token, record } => {
                    let due = now + self.write_time;
                    if let Some(r) = &mut self.running {
                        r.write = Some(Write { due, token, record });
                    }
                }
                Deed::Said(action) => self.said.push(action),
                // As the executor does: what comes too late is not begun.
                Deed::Spawn { exec, until: Some(until), .. } if clock.mono >= until => {
                    let late = lrm::End::Failed(lrm::SpawnError::Late("the lease has lapsed".to_owned()));
                    self.task(now, Task::Exited(exec, lrm::Outcome::of(late, Duration::ZERO)));
                }
                Deed::Spawn { exec, op, command, .. } => {
                    if let Some(op) = &op {
                        let (rsc, action) = (op.rsc.clone(), op.action.clone());
                        let had = self.agents.active.get(&rsc).copied();
                        self.wishes.push(Wish::Operation { rsc, action, had });
                    }
                    if let Some((action, target)) =
                        self.agents.spawn(now, &mut self.chance, exec, op, &command)
                    {
                        self.wishes.push(Wish::Fences { action, target });
                    }
                }
                Deed::Kill(exec) => {
                    if let Some(job) = self.agents.kill(exec) {
                        let ran = now.saturating_sub(job.began);
                        self.task(now, Task::Exited(exec, lrm::Outcome::of(lrm::End::Killed, ran)));
                    }
                }
                Deed::Plan { token, cib, situation } => {
                    let plan = self.planner.make(&cib, &situation);
                    let part = matches!(self.planner.how(), Some(How::Part(1..)));
                    let same = same_plan(&make_plan(&cib, &situation), &plan);
                    self.wishes.push(Wish::Planned { part, same });
                    // Nothing is drawn for it: what a seed stands for does not change.
                    if token % 2 == 0 {
                        self.planner.prepare();
                    }
                    self.agents.plan(now, &mut self.chance, token, plan);
                }
                Deed::Again(known) => {
                    self.generation = self.generation.max(known);
                    self.marked = true;
                    self.end(75);
                    return;
                }
                Deed::Exit(code) => {
                    self.end(code);
                    return;
                }
            }
        }
    }

    fn end(&mut self, code: i32) {
        if let Some(r) = &mut self.running {
            r.gone = true;
        }
        self.well_since = None;
        self.wishes.push(Wish::Ended(code));
    }
}

/// Goes on from its last plan however much of a cluster of a few resources is concerned.
fn small_planner() -> PlanMaker {
    PlanMaker::with_share(1)
}

/// A plan that went on from the last one is the one that is made from nothing, whatever its actions' numbers.
fn same_plan(whole: &Planned, made: &Planned) -> Result<(), String> {
    let plain = |plan: &Planned| {
        let mut complaints = plan.complaints.clone();
        complaints.sort();
        (plan.graph.as_ref().map(|graph| graph.renumbered()).map_err(Clone::clone), complaints)
    };
    let (whole, made) = (plain(whole), plain(made));
    if whole == made { Ok(()) } else { Err(format!("from nothing {whole:?}, from the last one {made:?}")) }
}

/// Name of the ping node.
const PING: &str = "gateway";
