//! Several groups in one test: a perfect link stand-in (FIFO, exactly once, cuts that hold back),
//! honest disks, and a clock that jumps to the next thing that happens. Deterministic.

#![allow(clippy::unwrap_used, clippy::type_complexity)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use cib::{Cib, Element, Operation, Request};

use super::*;
use crate::seam::{Heard, Record};

pub const LATENCY: Duration = Duration::from_millis(1);
pub const WRITE: Duration = Duration::from_millis(3);

/// What is on a disk.
#[derive(Debug, Clone, Default)]
pub struct Disk {
    pub loaded: Loaded,
    pub backups: Vec<(Element, String)>,
    pub generation: u64,
    /// View records written alone.
    pub metas: usize,
}

pub struct Node {
    pub id: NodeId,
    pub name: String,
    pub group: Option<Group>,
    pub inc: Incarnation,
    pub disk: Disk,
    pub write_time: Duration,
    /// Feature set of its next start, when it is not the default.
    pub feature: Option<String>,
    /// Every write ends with an error from now on.
    pub disk_fails: bool,
    /// The link of this incarnation has stopped.
    leaves: bool,
    /// The core does not run, though its beats go out: what it will find when it does.
    stuck: Option<VecDeque<GroupInput>>,
    /// It loses power right after it has sent so many messages of this kind.
    pub dies: Option<(String, usize)>,
    body: BeatBody,
    tick: u64,
    beats: u64,
    next_beat: Duration,
    heard: BTreeMap<NodeId, Heard>,
    heard_at: BTreeMap<NodeId, Duration>,
    /// Whose beats the link lets in, once it was told.
    admitted: Option<Vec<String>>,
    /// Everything but link and disk actions, oldest first.
    pub seen: Vec<GroupAction>,
}

enum Due {
    Beat { from: usize, to: usize, beat: Box<Beat> },
    Message { from: usize, to: usize, inc: [Incarnation; 2], payload: Vec<u8> },
    Written { node: usize, inc: Incarnation, token: u64, record: Box<Record> },
    Session { a: usize, b: usize },
}

pub struct Net {
    pub now: Duration,
    pub nodes: Vec<Node>,
    queue: BTreeMap<(Duration, u64), Due>,
    count: u64,
    /// Directed cuts.
    pub cut: BTreeSet<(usize, usize)>,
    sessions: BTreeMap<(usize, usize), (Incarnation, Incarnation)>,
    backlog: BTreeMap<(usize, usize), VecDeque<([Incarnation; 2], Vec<u8>)>>,
    pub tune: fn(&mut GroupConfig),
    next_token: u64,
    /// Bytes a second that messages (not beats) to and from a node go at, and until when its line is busy.
    pub rate: BTreeMap<usize, u64>,
    busy: BTreeMap<(usize, usize), Duration>,
    /// Longest time in which nobody was without a working view, see [`Net::watch`].
    pub watch: Option<Watch>,
}

/// How long nodes that were active together could not work: from `Frozen` to the next view.
#[derive(Debug, Clone, Default)]
pub struct Watch {
    frozen: BTreeMap<usize, Duration>,
    pub longest: Duration,
}

pub fn id(i: usize) -> NodeId {
    NodeId([u8::try_from(i + 1).unwrap(); 16])
}

impl Net {
    pub fn new(n: usize) -> Self {
        Self::tuned(n, |_| {})
    }

    pub fn tuned(n: usize, tune: fn(&mut GroupConfig)) -> Self {
        let nodes = (0..n)
            .map(|i| Node {
                id: id(i),
                name: format!("n{}", i + 1),
                group: None,
                inc: Incarnation::default(),
                disk: Disk::default(),
                write_time: WRITE,
                disk_fails: false,
                feature: None,
                leaves: false,
                stuck: None,
                dies: None,
                body: BeatBody::default(),
                tick: 0,
                beats: 0,
                next_beat: Duration::ZERO,
                heard: BTreeMap::new(),
                heard_at: BTreeMap::new(),
                admitted: None,
                seen: Vec::new(),
            })
            .collect();
        Self {
            now: Duration::ZERO,
            nodes,
            queue: BTreeMap::new(),
            count: 0,
            cut: BTreeSet::new(),
            sessions: BTreeMap::new(),
            backlog: BTreeMap::new(),
            tune,
            next_token: 0,
            rate: BTreeMap::new(),
            busy: BTreeMap::new(),
            watch: None,
        }
    }

    pub fn start(&mut self, i: usize) {
        let names: Vec<String> = self.nodes.iter().map(|n| n.name.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let now = self.now;
        let node = &mut self.nodes[i];
        node.disk.generation += 1;
        node.inc =
            Incarnation { generation: node.disk.generation, boot: node.disk.generation * 100 + i as u64 };
        let mut config = GroupConfig::new(node.id, &node.name, node.inc, &names);
        (self.tune)(&mut config);
        if let Some(feature) = &node.feature {
            config.feature.clone_from(feature);
        }
        let loaded = node.disk.loaded.clone();
        node.disk.loaded.import = None;
        node.group = Some(Group::new(config, loaded, i as u64));
        (node.tick, node.beats, node.body) = (0, 0, BeatBody::default());
        node.next_beat = now;
        node.heard.clear();
        node.heard_at.clear();
        node.admitted = None;
        for j in 0..self.nodes.len() {
            if j != i && self.nodes[j].group.is_some() {
                self.later(LATENCY * 3, Due::Session { a: i, b: j });
            }
        }
        self.input(i, GroupInput::Wake);
    }

    pub fn start_all(&mut self) {
        for i in 0..self.nodes.len() {
            self.start(i);
        }
    }

    /// Power off: what is not written is lost.
    pub fn crash(&mut self, i: usize) {
        self.nodes[i].group = None;
        (self.nodes[i].stuck, self.nodes[i].dies) = (None, None);
        self.sessions.retain(|(a, b), _| *a != i && *b != i);
        self.backlog.retain(|(a, b), _| *a != i && *b != i);
    }

    pub fn cut_off(&mut self, side: &[usize]) {
        for a in 0..self.nodes.len() {
            for b in 0..self.nodes.len() {
                if side.contains(&a) != side.contains(&b) {
                    self.cut.insert((a, b));
                }
            }
        }
    }

    pub fn heal(&mut self) {
        self.cut.clear();
        let backlog = std::mem::take(&mut self.backlog);
        for ((from, to), messages) in backlog {
            for (inc, payload) in messages {
                self.later(LATENCY, Due::Message { from, to, inc, payload });
            }
        }
        for a in 0..self.nodes.len() {
            for b in 0..a {
                self.later(LATENCY, Due::Session { a, b });
            }
        }
    }

    fn later(&mut self, after: Duration, due: Due) {
        self.count += 1;
        self.queue.insert((self.now + after, self.count), due);
    }

    pub fn input(&mut self, i: usize, input: GroupInput) {
        if let Some(queue) = &mut self.nodes[i].stuck {
            queue.push_back(input);
            return;
        }
        let Some(mut group) = self.nodes[i].group.take() else { return };
        let mut actions = Vec::new();
        group.handle(self.now, input, &mut actions);
        self.nodes[i].group = Some(group);
        for action in actions {
            // What had not left it when it died is lost.
            if self.nodes[i].group.is_some() {
                self.act(i, action);
            }
        }
        if std::mem::take(&mut self.nodes[i].leaves) {
            self.crash(i);
        }
    }

    fn act(&mut self, i: usize, action: GroupAction) {
        match action {
            GroupAction::Link(LinkCommand::SetBeat(body)) => {
                self.nodes[i].body = body;
                self.nodes[i].tick += 1;
            }
            GroupAction::Link(LinkCommand::BeatNow) => self.send_beat(i),
            GroupAction::Link(LinkCommand::Send { to, inc, payload, .. }) => {
                let to = self.nodes.iter().position(|n| n.id == to).unwrap();
                let inc = [self.nodes[i].inc, inc];
                let last = self.nodes[i].dies.as_mut().is_some_and(|(kind, left)| {
                    let sent = format!("{:?}", Message::decode(&payload).unwrap());
                    *left -= usize::from(sent.split(|c: char| !c.is_alphabetic()).next() == Some(kind));
                    *left == 0
                });
                if self.cut.contains(&(i, to)) {
                    self.backlog.entry((i, to)).or_default().push_back((inc, payload));
                } else {
                    let rate = self.rate.get(&i).or(self.rate.get(&to)).copied();
                    let takes = rate
                        .map_or(Duration::ZERO, |r| Duration::from_secs_f64(payload.len() as f64 / r as f64));
                    let free = self.busy.get(&(i, to)).copied().unwrap_or_default().max(self.now) + takes;
                    self.busy.insert((i, to), free);
                    self.later(free - self.now + LATENCY, Due::Message { from: i, to, inc, payload });
                }
                if last {
                    self.crash(i);
                }
            }
            GroupAction::Link(LinkCommand::Leave) => self.nodes[i].leaves = true,
            GroupAction::Link(LinkCommand::Nodes(names)) => self.nodes[i].admitted = Some(names),
            GroupAction::Persist { token, record } => {
                let node = &self.nodes[i];
                let due = Due::Written { node: i, inc: node.inc, token, record: Box::new(record) };
                self.later(node.write_time, due);
            }
            other => {
                let now = self.now;
                if let Some(watch) = &mut self.watch {
                    match &other {
                        GroupAction::Event(GroupEvent::Frozen) => {
                            watch.frozen.insert(i, now);
                        }
                        GroupAction::Event(GroupEvent::ViewChanged(_)) => {
                            if let Some(since) = watch.frozen.remove(&i) {
                                watch.longest = watch.longest.max(now - since);
                            }
                        }
                        _ => {}
                    }
                }
                self.nodes[i].seen.push(other);
            }
        }
    }

    fn send_beat(&mut self, i: usize) {
        let now = self.now;
        let node = &mut self.nodes[i];
        let Some(group) = &node.group else { return };
        node.beats += 1;
        let heard = node.heard.values().map(|h| Heard { age: now - node.heard_at[&h.id], ..*h }).collect();
        let beat = Beat {
            id: node.id,
            name: node.name.clone(),
            inc: node.inc,
            deadtime: group.config().deadtime,
            beat: node.beats,
            tick: node.tick,
            heard,
            body: node.body.clone(),
        };
        for to in 0..self.nodes.len() {
            if to != i && !self.cut.contains(&(i, to)) {
                self.later(LATENCY, Due::Beat { from: i, to, beat: Box::new(beat.clone()) });
            }
        }
    }

    fn due(&mut self, due: Due) {
        match due {
            Due::Beat { from, to, beat } => {
                let node = &mut self.nodes[to];
                let autojoin = node.group.as_ref().is_some_and(|g| g.config().autojoin);
                let admitted = |names: &Vec<String>| names.iter().any(|n| n.eq_ignore_ascii_case(&beat.name));
                let stranger = !autojoin && node.admitted.as_ref().is_some_and(|names| !admitted(names));
                if node.group.is_none() || self.cut.contains(&(from, to)) {
                    return;
                }
                if stranger {
                    // As the link does: whoever is dropped is told so.
                    if !self.cut.contains(&(to, from)) {
                        let (by, name) = (node.id, node.name.clone());
                        self.input(from, GroupInput::Link(LinkEvent::TakenOut { by, name }));
                    }
                    return;
                }
                let h = node.heard.entry(beat.id).or_default();
                if h.inc != beat.inc {
                    *h = Heard { id: beat.id, inc: beat.inc, ..Heard::default() };
                }
                h.beat = beat.beat;
                if beat.tick > h.tick {
                    h.tick = beat.tick;
                    node.heard_at.insert(beat.id, self.now);
                }
                node.heard_at.entry(beat.id).or_insert(self.now);
                let at = self.now;
                self.input(to, GroupInput::Link(LinkEvent::Beat { at, beat: *beat }));
            }
            Due::Message { from, to, inc, payload } => {
                if self.cut.contains(&(from, to)) {
                    self.backlog.entry((from, to)).or_default().push_back((inc, payload));
                } else if self.nodes[to].inc == inc[1] {
                    // What a node sent before it died arrives.
                    let (from, inc) = (self.nodes[from].id, inc[0]);
                    self.input(to, GroupInput::Link(LinkEvent::Message { from, inc, payload }));
                }
            }
            Due::Written { node, inc, token, record } => {
                let n = &mut self.nodes[node];
                if n.inc != inc || n.group.is_none() {
                    return;
                }
                if n.disk_fails {
                    let error = "input/output error".to_owned();
                    self.input(node, GroupInput::PersistFailed { token, error });
                    return;
                }
                match *record {
                    Record::Append(entries) => n.disk.loaded.entries.extend(entries),
                    Record::Meta(meta) => {
                        n.disk.metas += 1;
                        n.disk.loaded.meta = meta;
                    }
                    Record::Switch { document, meta, backup } => {
                        n.disk.loaded = Loaded { document: Some(document), meta, ..Loaded::default() };
                        n.disk.backups.extend(backup);
                    }
                }
                self.input(node, GroupInput::Persisted { token });
            }
            Due::Session { a, b } => {
                let (x, y) = (&self.nodes[a], &self.nodes[b]);
                let open = !self.cut.contains(&(a, b)) && !self.cut.contains(&(b, a));
                if x.group.is_none() || y.group.is_none() || !open {
                    return;
                }
                let key = (a.min(b), a.max(b));
                let incs = (self.nodes[key.0].inc, self.nodes[key.1].inc);
                if self.sessions.insert(key, incs) == Some(incs) {
                    return;
                }
                for (me, peer) in [(a, b), (b, a)] {
                    let p = &self.nodes[peer];
                    let (peer, inc, name) = (p.id, p.inc, p.name.clone());
                    let up = LinkEvent::SessionUp { peer, inc, name, address: "test".into() };
                    self.input(me, GroupInput::Link(up));
                }
            }
        }
    }

    /// Runs for `span`, calling `check` after every step.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let queued = self.queue.keys().next().map(|(t, _)| *t);
            let timers = self.nodes.iter().filter_map(|n| {
                let g = n.group.as_ref()?;
                let wake = g.deadline().filter(|_| n.stuck.is_none());
                Some(wake.unwrap_or(Duration::MAX).min(n.next_beat))
            });
            let next = queued.into_iter().chain(timers).min().unwrap_or(end);
            if next >= end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            while let Some(entry) = self.queue.first_entry().filter(|e| e.key().0 <= self.now) {
                let due = entry.remove();
                self.due(due);
            }
            for i in 0..self.nodes.len() {
                let n = &self.nodes[i];
                let Some(g) = &n.group else { continue };
                let beat = g.config().beat();
                if n.next_beat <= self.now {
                    self.nodes[i].next_beat = self.now + beat;
                    self.send_beat(i);
                }
                let n = &self.nodes[i];
                let wake = n.group.as_ref().and_then(Group::deadline).is_some_and(|d| d <= self.now);
                if wake && n.stuck.is_none() {
                    self.input(i, GroupInput::Wake);
                }
            }
        }
    }

    /// The session of two nodes ends, with what was on its way in it, and another one is opened.
    pub fn new_session(&mut self, a: usize, b: usize) {
        self.sessions.remove(&(a.min(b), a.max(b)));
        self.queue.retain(|_, due| {
            !matches!(due, Due::Message { from, to, .. } if (*from, *to) == (a, b) || (*from, *to) == (b, a))
        });
        for (me, peer) in [(a, b), (b, a)] {
            let (peer, inc) = (self.nodes[peer].id, self.nodes[peer].inc);
            let why = "overrun";
            self.input(me, GroupInput::Link(LinkEvent::SessionLost { peer, inc, why }));
        }
        self.later(LATENCY, Due::Session { a, b });
    }

    /// The core of this node does not run any more; its beats go out.
    pub fn stick(&mut self, i: usize) {
        self.nodes[i].stuck = Some(VecDeque::new());
    }

    /// It runs again, and finds what came meanwhile.
    pub fn unstick(&mut self, i: usize) {
        for input in self.nodes[i].stuck.take().unwrap_or_default() {
            self.input(i, input);
        }
    }

    /// Memory of this node lies: its document is another one from now on.
    pub fn corrupt(&mut self, i: usize) {
        let group = self.nodes[i].group.as_mut().unwrap();
        group.state.durable.document.set_attr("corrupt", "yes");
    }

    /// Its disk is replaced by a blank one, and its next start knows (R16.5b).
    pub fn wipe(&mut self, i: usize) {
        self.crash(i);
        let disk = &mut self.nodes[i].disk;
        disk.loaded = Loaded { regressed: true, ..Loaded::default() };
        disk.backups.clear();
    }

    /// An administrator gives a stopped node another document to be put in force.
    pub fn edit(&mut self, i: usize, name: &str, value: &str) {
        let disk = &mut self.nodes[i].disk;
        let mut root = disk.loaded.document.clone().unwrap_or_else(|| Cib::empty().into_root());
        root.push(Element::new("status"));
        let cib = Cib::from_root(root).unwrap();
        let Change::Cib(request) = option(name, value) else { panic!("an option is a change of the CIB") };
        disk.loaded.import = Some(client::apply_change(&cib, &request).unwrap().into_root());
    }

    /// Runs in small steps until `done`, at most `span`.
    pub fn run_until(&mut self, span: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + span;
        while self.now < end {
            if done(self) {
                return true;
            }
            self.run(Duration::from_millis(20));
        }
        done(self)
    }

    pub fn group(&self, i: usize) -> &Group {
        self.nodes[i].group.as_ref().unwrap()
    }

    /// Last view announced at this node.
    pub fn view(&self, i: usize) -> Option<&View> {
        self.nodes[i].seen.iter().rev().find_map(|a| match a {
            GroupAction::Event(GroupEvent::ViewChanged(v)) => Some(v),
            _ => None,
        })
    }

    /// Whether exactly these nodes are active together.
    pub fn together(&self, members: &[usize]) -> bool {
        let first = self.group(members[0]).active();
        first.is_some()
            && members.iter().all(|i| {
                self.group(*i).active() == first
                    && self.view(*i).is_some_and(|v| {
                        Some(v.id) == first
                            && v.members.len() == members.len()
                            && members.iter().all(|m| v.member(id(*m)).is_some())
                    })
            })
    }

    pub fn form(&mut self, members: &[usize]) {
        let ok = self.run_until(Duration::from_secs(300), |n| n.together(members));
        assert!(ok, "no view of {members:?}:\n{}", self.describe());
    }

    pub fn describe(&self) -> String {
        self.nodes
            .iter()
            .map(|n| {
                let log: Vec<String> = n
                    .seen
                    .iter()
                    .filter_map(|a| match a {
                        GroupAction::Log { text, .. } => Some(text.clone()),
                        GroupAction::Event(GroupEvent::ViewChanged(v)) => {
                            Some(format!("VIEW {}", v.id.epoch))
                        }
                        GroupAction::Event(e) => Some(format!("{e:?}").chars().take(60).collect()),
                        _ => None,
                    })
                    .collect();
                let phase = n.group.as_ref().map(|g| format!("{:?} want {:?}", g.info().phase, g.want));
                format!("{} {phase:?}\n  {}\n", n.name, log.join("\n  "))
            })
            .collect()
    }

    /// Asks node `i` for a change; the token comes back in its reply.
    pub fn request(&mut self, i: usize, change: Change) -> u64 {
        self.request_with(i, change, RequestOptions::default())
    }

    pub fn request_with(&mut self, i: usize, change: Change, options: RequestOptions) -> u64 {
        self.next_token += 1;
        let token = self.next_token;
        self.input(i, GroupInput::Request { token, change, options });
        token
    }

    pub fn outcome(&self, i: usize, token: u64) -> Option<&Outcome> {
        self.nodes[i].seen.iter().find_map(|a| match a {
            GroupAction::Reply { token: t, outcome } if *t == token => Some(outcome),
            _ => None,
        })
    }

    /// Asks for a change and waits until it is done.
    pub fn done(&mut self, i: usize, change: Change) {
        let token = self.request(i, change);
        let ok = self.run_until(Duration::from_secs(60), |n| n.outcome(i, token).is_some());
        assert!(ok, "no answer:\n{}", self.describe());
        assert!(matches!(self.outcome(i, token), Some(Outcome::Done { .. })), "{:?}", self.outcome(i, token));
    }
}

/// A durable change: an option of the cluster.
pub fn option(name: &str, value: &str) -> Change {
    let nvpair = Element::new("nvpair")
        .with_attr("id", format!("opt-{name}"))
        .with_attr("name", name)
        .with_attr("value", value);
    let set = Element::new("cluster_property_set").with_attr("id", "opts").with_child(nvpair);
    let config = Element::new("crm_config").with_child(set);
    Change::Cib(Request::new(Operation::Modify).section("crm_config").input(config).allow_create())
}

/// A volatile change: the state of a node.
pub fn node_state(i: usize, value: &str) -> Change {
    let state = Element::new("node_state")
        .with_attr("id", id(i).to_string())
        .with_attr("uname", format!("n{}", i + 1))
        .with_attr("crmd", value);
    let status = Element::new("status").with_child(state);
    Change::Cib(Request::new(Operation::Modify).section("status").input(status).allow_create())
}

/// Value of an option in a document.
pub fn value(cib: &Cib, name: &str) -> Option<String> {
    let set = cib.crm_config()?.children().find(|c| c.id() == Some("opts"))?;
    let pair = set.children().find(|c| c.attr("name") == Some(name))?;
    pair.attr("value").map(str::to_owned)
}
