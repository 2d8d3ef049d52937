//! One simulated machine: link, group and store, wired as the run-time wires them, with a clock of its
//! own that runs a little fast or slow.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use ccm::group::{Group, GroupAction, GroupConfig, GroupInput, Loaded};
use ccm::link::{Link, LinkAction, LinkConfig, LinkInput};
use ccm::seam::{Incarnation, LinkCommand, NodeId, Record, ViewId};
use ccm::wire::{Keys, Method};
use cib::Element;
use cib::disk::{Backup, CibStore, Failure, MemoryStore, Origin};

use super::chance::Chance;
use super::net::Sent;
use super::{DEADTIME, KEEPALIVE};

/// A write on its way.
struct Write {
    due: Duration,
    token: u64,
    record: Record,
}

/// What runs while the machine is up.
struct Running {
    link: Link,
    group: Group,
    store: CibStore<MemoryStore>,
    write: Option<Write>,
    /// Inputs for a core that does not run at the moment.
    queued: VecDeque<GroupInput>,
    /// Packets for a machine that stands still.
    packets: VecDeque<(SocketAddr, Vec<u8>)>,
    gone: bool,
    /// The link was woken and named the same time again: it is asked once more a little later.
    link_again: Duration,
}

/// A machine with its disk, which outlives what runs on it.
pub struct Machine {
    index: usize,
    names: Vec<String>,
    disk: MemoryStore,
    generation: u64,
    pub inc: Incarnation,
    running: Option<Running>,
    /// Rate of the own clock in parts per thousand, and what it showed at zero.
    rate: u64,
    start: Duration,
    pub write_time: Duration,
    core_paused: Duration,
    all_paused: Duration,
    /// Backups this disk holds: documents that lost a merge.
    pub backups: Vec<Element>,
    /// Packets and actions for the simulation to take.
    pub sent: Vec<Sent>,
    pub said: Vec<GroupAction>,
}

/// Identity of the machine with this index.
pub fn id(i: usize) -> NodeId {
    let mut bytes = [0x11; 16];
    bytes[0] = u8::try_from(i + 1).unwrap_or(0xff);
    NodeId(bytes)
}

impl Machine {
    pub fn new(index: usize, names: &[String], chance: &mut Chance) -> Self {
        Self {
            index,
            names: names.to_vec(),
            disk: MemoryStore::new(),
            generation: 0,
            inc: Incarnation::default(),
            running: None,
            rate: 980 + chance.below(41),
            start: Duration::from_millis(1000 + chance.below(100_000)),
            write_time: Duration::from_millis(1 + chance.below(40)),
            core_paused: Duration::ZERO,
            all_paused: Duration::ZERO,
            backups: Vec::new(),
            sent: Vec::new(),
            said: Vec::new(),
        }
    }

    pub fn name(&self) -> &str {
        self.names.get(self.index).map_or("", String::as_str)
    }

    /// What the own clock shows.
    fn clock(&self, now: Duration) -> Duration {
        self.start + now.mul_f64(self.rate as f64 / 1000.0)
    }

    /// When the own clock shows `at`.
    fn when(&self, at: Duration) -> Duration {
        at.saturating_sub(self.start).mul_f64(1000.0 / self.rate as f64) + Duration::from_micros(1)
    }

    pub fn running(&self) -> bool {
        self.running.as_ref().is_some_and(|r| !r.gone)
    }

    pub fn group(&self) -> Option<&Group> {
        self.running.as_ref().filter(|r| !r.gone).map(|r| &r.group)
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
                format!("{} {:?} view {} of {}", self.name(), i.phase, i.view.epoch, i.members.len())
            }
        }
    }

    pub fn start(&mut self, now: Duration, boot: u64, delay: u64) {
        self.generation += 1;
        self.inc = Incarnation { generation: self.generation, boot };
        let names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        let Ok((store, loaded)) = CibStore::open(self.disk.clone()) else { return };
        let fresh = loaded.origin == Origin::Empty;
        let loaded = Loaded {
            document: (!fresh).then_some(loaded.document),
            meta: loaded.meta,
            entries: loaded.entries,
            regressed: loaded.regressed,
            import: None,
        };
        let mut config = GroupConfig::new(id(self.index), self.name(), self.inc, &names);
        (config.keepalive, config.deadtime, config.initdead) = (KEEPALIVE, DEADTIME, DEADTIME * 2);
        let Ok(keys) = Keys::single(Method::Crc, b"") else { return };
        let mut link = LinkConfig::simple(id(self.index), self.name(), self.inc, keys, &names);
        (link.keepalive, link.deadtime, link.initdead) = (KEEPALIVE, DEADTIME, DEADTIME * 2);
        link.warntime = DEADTIME / 2;
        self.running = Some(Running {
            link: Link::new(link, boot),
            group: Group::new(config, loaded, boot),
            store,
            write: None,
            queued: VecDeque::new(),
            packets: VecDeque::new(),
            gone: false,
            link_again: Duration::ZERO,
        });
        self.core_paused = now + Duration::from_millis(delay);
        self.link_input(now, LinkInput::MediumUp { medium: 0 });
        self.group_input(now, GroupInput::Wake);
    }

    /// The power fails; of a write on its way anything may be on the disk.
    pub fn crash(&mut self, chance: &mut Chance) {
        let Some(mut r) = self.running.take() else { return };
        if let Some(write) = r.write.take() {
            if chance.percent(60) {
                let call = self.disk.counts().calls + chance.below(6);
                self.disk.fail_at(call, Failure::Torn);
                // Its outcome is nobody's business: the process that would hear of it is gone.
                if execute(&mut r.store, &write.record).is_ok() {
                    self.backups.extend(backup_of(&write.record));
                }
            }
        }
        self.disk.crash(|n| chance.index(n));
        self.disk.heal();
    }

    /// The next write fails; its outcome on the disk is open.
    pub fn fail_disk(&mut self) {
        self.disk.fail_at(self.disk.counts().calls, Failure::Torn);
    }

    pub fn pause_core(&mut self, until: Duration) {
        self.core_paused = self.core_paused.max(until);
    }

    pub fn pause_all(&mut self, until: Duration) {
        self.all_paused = self.all_paused.max(until);
    }

    pub fn calm(&mut self, now: Duration) {
        self.core_paused = self.core_paused.min(now);
        self.all_paused = self.all_paused.min(now);
        self.write_time = Duration::from_millis(2);
        self.disk.heal();
        if let Some(w) = self.running.as_mut().and_then(|r| r.write.as_mut()) {
            w.due = w.due.min(now);
        }
    }

    /// When something is to be done here next.
    pub fn next(&self, now: Duration) -> Option<Duration> {
        let r = self.running.as_ref().filter(|r| !r.gone)?;
        if now < self.all_paused {
            return Some(self.all_paused);
        }
        if !r.packets.is_empty() {
            return Some(now);
        }
        let link = r.link.deadline().map(|t| self.when(t).max(r.link_again));
        let write = r.write.as_ref().map(|w| w.due);
        let group = if now < self.core_paused {
            Some(self.core_paused)
        } else if r.queued.is_empty() {
            r.group.deadline().map(|t| self.when(t))
        } else {
            Some(now)
        };
        [link, write, group].into_iter().flatten().min().map(|t| t.max(now))
    }

    /// What is due here at this moment, for the report of a standstill.
    pub fn busy(&self, now: Duration) -> Option<String> {
        let r = self.running.as_ref().filter(|r| !r.gone)?;
        let clock = self.clock(now);
        self.next(now).filter(|t| *t <= now).map(|_| {
            format!(
                "{}: clock {clock:?}, link {:?}, group {:?}, queued {}, packets {}, write {:?}",
                self.name(),
                r.link.deadline(),
                r.group.deadline(),
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
        while let Some((from, bytes)) = self.running.as_mut().and_then(|r| r.packets.pop_front()) {
            self.link_input(now, LinkInput::Packet { medium: 0, from: Some(from), bytes });
        }
        let clock = self.clock(now);
        let Some(r) = &mut self.running else { return };
        let written = r.write.take_if(|w| w.due <= now);
        if let Some(write) = written {
            let result = execute(&mut r.store, &write.record);
            let token = write.token;
            let input = match result {
                Ok(()) => {
                    self.backups.extend(backup_of(&write.record));
                    GroupInput::Persisted { token }
                }
                Err(error) => GroupInput::PersistFailed { token, error },
            };
            self.group_input(now, input);
        }
        let due = |r: &Running| r.link.deadline().is_some_and(|t| t <= clock) && now >= r.link_again;
        if self.running.as_ref().is_some_and(due) {
            self.link_input(now, LinkInput::Wake);
            if let Some(r) = self.running.as_mut().filter(|r| r.link.deadline().is_some_and(|t| t <= clock)) {
                r.link_again = now + Duration::from_millis(10);
            }
        }
        if now >= self.core_paused {
            while let Some(input) = self.running.as_mut().and_then(|r| r.queued.pop_front()) {
                self.handle(now, input);
            }
            if self.running.as_ref().is_some_and(|r| r.group.deadline().is_some_and(|t| t <= clock)) {
                self.handle(now, GroupInput::Wake);
            }
        }
    }

    pub fn packet(&mut self, now: Duration, from: SocketAddr, bytes: Vec<u8>) {
        if now < self.all_paused {
            if let Some(r) = &mut self.running {
                // A socket buffer holds so much.
                if r.packets.len() < 200 {
                    r.packets.push_back((from, bytes));
                }
            }
            return;
        }
        self.link_input(now, LinkInput::Packet { medium: 0, from: Some(from), bytes });
    }

    pub fn group_input(&mut self, now: Duration, input: GroupInput) {
        let paused = now < self.core_paused || now < self.all_paused;
        let Some(r) = self.running.as_mut().filter(|r| !r.gone) else { return };
        if paused || !r.queued.is_empty() {
            r.queued.push_back(input);
        } else {
            self.handle(now, input);
        }
    }

    fn link_input(&mut self, now: Duration, input: LinkInput) {
        let clock = self.clock(now);
        let Some(r) = self.running.as_mut().filter(|r| !r.gone) else { return };
        let mut out = Vec::new();
        r.link.handle(clock, input, &mut out);
        for action in out {
            match action {
                LinkAction::Transmit { to, bytes, .. } => self.sent.push(Sent { to, bytes }),
                LinkAction::Event(event) => self.group_input(now, GroupInput::Link(event)),
                LinkAction::Ping { .. } | LinkAction::Log(_) => {}
            }
        }
    }

    fn handle(&mut self, now: Duration, input: GroupInput) {
        let clock = self.clock(now);
        let Some(r) = self.running.as_mut().filter(|r| !r.gone) else { return };
        let mut actions = Vec::new();
        r.group.handle(clock, input, &mut actions);
        for action in actions {
            match action {
                GroupAction::Link(command) => {
                    let leave = command == LinkCommand::Leave;
                    self.link_input(now, LinkInput::Command(command));
                    if leave {
                        if let Some(r) = &mut self.running {
                            r.gone = true;
                        }
                    }
                }
                GroupAction::Persist { token, record } => {
                    let due = now + self.write_time;
                    if let Some(r) = &mut self.running {
                        r.write = Some(Write { due, token, record });
                    }
                }
                other => self.said.push(other),
            }
        }
    }
}

fn execute(store: &mut CibStore<MemoryStore>, record: &Record) -> Result<(), String> {
    let result = match record {
        Record::Append(entries) => store.append(entries),
        Record::Meta(meta) => store.meta(meta),
        Record::Switch { document, meta, backup } => {
            let backup = backup.as_ref().map(|(document, why)| Backup { document, why });
            store.switch(document, meta, backup)
        }
    };
    result.map_err(|e| e.to_string())
}

fn backup_of(record: &Record) -> Option<Element> {
    match record {
        Record::Switch { backup: Some((document, _)), .. } => Some(document.clone()),
        Record::Append(_) | Record::Meta(_) | Record::Switch { .. } => None,
    }
}

/// The keys in a document, with how often each occurs.
pub fn keys_of(root: &Element) -> BTreeMap<u64, usize> {
    let mut keys = BTreeMap::new();
    let set = root
        .path(&["configuration", "crm_config"])
        .and_then(|c| c.children().find(|s| s.id() == Some("keys")));
    for pair in set.into_iter().flat_map(Element::children) {
        if let Some(n) = pair.attr("value").and_then(|v| v.parse().ok()) {
            *keys.entry(n).or_default() += 1;
        }
    }
    keys
}
