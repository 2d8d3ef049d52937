//! Cores in one test: a link stand-in (in order, exactly once, cuts hold back), honest disks, agents
//! that do what they are told, and a clock that jumps to the next thing that happens.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use ccm::group::{GroupConfig, Loaded};
use ccm::seam::{Beat, BeatBody, Heard, Incarnation, LinkCommand, Record};
use lrm::{End, OpRequest, Outcome as AgentOutcome};

use super::super::*;
use crate::client::{Outcome, RequestError};

pub const LATENCY: Duration = Duration::from_millis(1);
pub const WRITE: Duration = Duration::from_millis(3);
/// What an agent takes for any operation.
pub const AGENT: Duration = Duration::from_millis(20);
pub const DEADTIME: Duration = Duration::from_secs(4);

#[derive(Default)]
pub struct Node {
    pub id: NodeId,
    pub name: String,
    pub core: Option<Core>,
    pub inc: Incarnation,
    pub loaded: Loaded,
    /// Resources that run here: what agents see.
    pub running: BTreeSet<String>,
    /// Operations that fail here: `RSC_OP`.
    pub broken: BTreeSet<String>,
    /// The nodes whose fencing works powers them off.
    pub log: Vec<(Duration, String)>,
    pub replies: BTreeMap<u64, Result<Outcome, RequestError>>,
    pub exit: Option<i32>,
    /// The next write fails.
    pub broken_disk: bool,
    /// Between an order and its execution so much time passes that the lease is gone.
    pub stalled: bool,
    /// While paused: what would have been handled.
    waiting: Option<Vec<CoreEvent>>,
    body: BeatBody,
    tick: u64,
    beats: u64,
    next_beat: Duration,
    heard: BTreeMap<NodeId, Heard>,
    heard_at: BTreeMap<NodeId, Duration>,
}

enum Due {
    Beat {
        from: usize,
        to: usize,
        beat: Box<Beat>,
    },
    Message {
        from: usize,
        to: usize,
        inc: Incarnation,
        payload: Vec<u8>,
    },
    Written {
        node: usize,
        inc: Incarnation,
        token: u64,
        record: Box<Record>,
    },
    Session {
        a: usize,
        b: usize,
    },
    Agent {
        node: usize,
        inc: Incarnation,
        exec: ExecId,
        op: Option<Box<OpRequest>>,
        command: Box<lrm::Command>,
    },
    Planned {
        node: usize,
        inc: Incarnation,
        token: u64,
        plan: Box<Planned>,
    },
}

type Backlog = VecDeque<(Incarnation, Vec<u8>)>;

pub struct Cluster {
    pub now: Duration,
    pub nodes: Vec<Node>,
    queue: BTreeMap<(Duration, u64), Due>,
    count: u64,
    pub cut: BTreeSet<(usize, usize)>,
    sessions: BTreeMap<(usize, usize), (Incarnation, Incarnation)>,
    backlog: BTreeMap<(usize, usize), Backlog>,
    next_client: u64,
    /// Every agent call: node, resource, operation, interval.
    pub calls: Vec<(Duration, usize, String, String, u64)>,
    /// Nodes that a fence agent has shot.
    pub shot: Vec<String>,
    /// Nodes that one has turned on.
    pub given_access: Vec<String>,
    pub fencing_works: bool,
    /// Fail when an agent starts what runs elsewhere.
    pub never_twice: bool,
    /// The configuration with which a blank node starts.
    pub config: String,
}

pub fn id(i: usize) -> NodeId {
    NodeId([u8::try_from(i + 1).unwrap(); 16])
}

impl Node {
    pub fn waiting(&self) -> Option<usize> {
        self.waiting.as_ref().map(Vec::len)
    }
}

impl Cluster {
    pub fn new(n: usize, config: &str) -> Self {
        let nodes =
            (0..n).map(|i| Node { id: id(i), name: format!("n{}", i + 1), ..Node::default() }).collect();
        Self {
            now: Duration::from_secs(10),
            nodes,
            queue: BTreeMap::new(),
            count: 0,
            cut: BTreeSet::new(),
            sessions: BTreeMap::new(),
            backlog: BTreeMap::new(),
            next_client: 0,
            calls: Vec::new(),
            shot: Vec::new(),
            given_access: Vec::new(),
            fencing_works: true,
            never_twice: false,
            config: config.to_owned(),
        }
    }

    pub fn clock(&self) -> Now {
        Now::utc(self.now, 1_700_000_000_000_000_000 + i64::try_from(self.now.as_nanos()).unwrap())
    }

    pub fn start(&mut self, i: usize) {
        let names: Vec<String> = self.nodes.iter().map(|n| n.name.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let now = self.now;
        let node = &mut self.nodes[i];
        let generation = node.inc.generation + 1;
        node.inc = Incarnation { generation, boot: generation * 100 + i as u64 };
        let mut group = GroupConfig::new(node.id, &node.name, node.inc, &names);
        group.keepalive = DEADTIME / 8;
        group.deadtime = DEADTIME;
        group.initdead = DEADTIME;
        if node.loaded.document.is_none() && !self.config.is_empty() {
            let text = format!(
                "<cib crm_feature_set='3.16.1' validate-with='pacemaker-3.9' epoch='1' num_updates='0' admin_epoch='0'>\
                 <configuration>{}</configuration><status/></cib>",
                self.config
            );
            node.loaded.document = Some(Cib::parse(&text).unwrap().into_root());
        }
        let config = CoreConfig {
            group,
            loaded: node.loaded.clone(),
            roots: lrm::Roots::system(),
            operations: 8,
            life: 1,
            seed: i as u64,
        };
        node.core = Some(Core::new(config));
        (node.tick, node.beats, node.body) = (0, 0, BeatBody::default());
        node.next_beat = now;
        node.heard.clear();
        node.heard_at.clear();
        node.exit = None;
        for j in 0..self.nodes.len() {
            if j != i && self.nodes[j].core.is_some() {
                self.later(LATENCY * 3, Due::Session { a: i, b: j });
            }
        }
        self.event(i, CoreEvent::Wake);
    }

    pub fn start_all(&mut self) {
        for i in 0..self.nodes.len() {
            self.start(i);
        }
    }

    /// Power off: nothing runs any more, and what is not written is lost.
    pub fn crash(&mut self, i: usize) {
        self.nodes[i].core = None;
        self.nodes[i].waiting = None;
        self.nodes[i].running.clear();
        self.sessions.retain(|(a, b), _| *a != i && *b != i);
        self.backlog.retain(|(a, b), _| *a != i && *b != i);
    }

    /// Pulls all cables of a node.
    pub fn pull(&mut self, i: usize) {
        for j in 0..self.nodes.len() {
            if j != i {
                self.cut.insert((i, j));
                self.cut.insert((j, i));
            }
        }
        self.event(i, CoreEvent::Link(LinkEvent::Carrier { any: false }));
    }

    pub fn plug(&mut self, i: usize) {
        self.event(i, CoreEvent::Link(LinkEvent::Carrier { any: true }));
        self.heal();
    }

    pub fn heal(&mut self) {
        self.cut.clear();
        for ((from, to), messages) in std::mem::take(&mut self.backlog) {
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

    /// The machine stands still, its disk and agents with it.
    pub fn pause(&mut self, i: usize) {
        self.nodes[i].waiting = Some(Vec::new());
    }

    pub fn resume(&mut self, i: usize) {
        for event in self.nodes[i].waiting.take().unwrap() {
            self.event(i, event);
        }
    }

    /// The core dies and is started again by its executor; agents' work stays.
    pub fn restart_core(&mut self, i: usize) {
        let running = self.nodes[i].running.clone();
        self.crash(i);
        self.nodes[i].running = running;
        self.start(i);
    }

    pub fn event(&mut self, i: usize, event: CoreEvent) {
        if let Some(waiting) = &mut self.nodes[i].waiting {
            waiting.push(event);
            return;
        }
        let Some(mut core) = self.nodes[i].core.take() else { return };
        let mut actions = Vec::new();
        core.handle(self.clock(), event, &mut actions);
        self.nodes[i].core = Some(core);
        for action in actions {
            self.act(i, action);
        }
    }

    fn act(&mut self, i: usize, action: CoreAction) {
        let inc = self.nodes[i].inc;
        match action {
            CoreAction::Link(LinkCommand::SetBeat(body)) => {
                self.nodes[i].body = body;
                self.nodes[i].tick += 1;
            }
            CoreAction::Link(LinkCommand::BeatNow) => self.send_beat(i),
            CoreAction::Link(LinkCommand::Send { to, inc, payload, .. }) => {
                let to = self.nodes.iter().position(|n| n.id == to).unwrap();
                if self.cut.contains(&(i, to)) {
                    self.backlog.entry((i, to)).or_default().push_back((inc, payload));
                } else {
                    self.later(LATENCY, Due::Message { from: i, to, inc, payload });
                }
            }
            CoreAction::Link(LinkCommand::Leave | LinkCommand::Nodes(_)) => {}
            CoreAction::Persist { token, record } => {
                self.later(WRITE, Due::Written { node: i, inc, token, record: Box::new(record) });
            }
            CoreAction::Spawn { exec, until: Some(until), .. }
                if self.nodes[i].stalled || until <= self.clock().mono =>
            {
                let error = lrm::SpawnError::Late("late".into());
                let outcome = AgentOutcome::of(End::Failed(error), Duration::ZERO);
                self.event(i, CoreEvent::Exited { exec, outcome });
            }
            CoreAction::Spawn { exec, op, command, .. } => {
                self.later(AGENT, Due::Agent { node: i, inc, exec, op, command });
            }
            CoreAction::Kill { .. } | CoreAction::Confirm { .. } | CoreAction::Status => {}
            CoreAction::Plan { token, cib, situation } => {
                let plan = make_plan(&cib, &situation);
                self.later(
                    Duration::from_millis(2),
                    Due::Planned { node: i, inc, token, plan: Box::new(plan) },
                );
            }
            CoreAction::Reply { id, result } => {
                self.nodes[i].replies.insert(id, *result);
            }
            CoreAction::Log { level, target, text } => {
                let now = self.now;
                if std::env::var_os("TRACE").is_some() {
                    eprintln!("{:.3} {} {level:?} {target}: {text}", now.as_secs_f64(), self.nodes[i].name);
                }
                self.nodes[i].log.push((now, format!("{level:?} {target}: {text}")));
            }
            CoreAction::RaiseGeneration { known } => self.nodes[i].inc.generation = known,
            CoreAction::Exit { code, .. } => {
                self.nodes[i].exit = Some(code);
                self.nodes[i].core = None;
                self.sessions.retain(|(a, b), _| *a != i && *b != i);
            }
        }
    }

    fn send_beat(&mut self, i: usize) {
        let now = self.now;
        let node = &mut self.nodes[i];
        let Some(core) = &node.core else { return };
        node.beats += 1;
        let heard = node.heard.values().map(|h| Heard { age: now - node.heard_at[&h.id], ..*h }).collect();
        let beat = Beat {
            id: node.id,
            name: node.name.clone(),
            inc: node.inc,
            deadtime: core.group().config().deadtime,
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
                if node.core.is_none() || self.cut.contains(&(from, to)) {
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
                self.event(to, CoreEvent::Link(LinkEvent::Beat { at, beat: *beat }));
            }
            Due::Message { from, to, inc, payload } => {
                if self.cut.contains(&(from, to)) {
                    self.backlog.entry((from, to)).or_default().push_back((inc, payload));
                } else if self.nodes[to].inc == inc && self.nodes[from].core.is_some() {
                    let (from, inc) = (self.nodes[from].id, self.nodes[from].inc);
                    self.event(to, CoreEvent::Link(LinkEvent::Message { from, inc, payload }));
                }
            }
            Due::Written { node, inc, token, record } => {
                let n = &mut self.nodes[node];
                if n.inc != inc || n.core.is_none() {
                    return;
                }
                if n.broken_disk {
                    let error = "input/output error".to_owned();
                    self.event(node, CoreEvent::PersistFailed { token, error });
                    return;
                }
                match *record {
                    Record::Append(entries) => n.loaded.entries.extend(entries),
                    Record::Meta(meta) => n.loaded.meta = meta,
                    Record::Switch { document, meta, .. } => {
                        n.loaded = Loaded { document: Some(document), meta, ..Loaded::default() };
                    }
                }
                self.event(node, CoreEvent::Persisted { token });
            }
            Due::Session { a, b } => self.session(a, b),
            Due::Agent { node, inc, exec, op, command } => {
                if self.nodes[node].inc == inc && self.nodes[node].core.is_some() {
                    let code = match op {
                        Some(op) => self.agent(node, &op),
                        // These agents say nothing about themselves.
                        None if command.programs.iter().any(|p| p.args == ["meta-data"]) => 1,
                        None => self.fence_agent(&command),
                    };
                    let outcome = AgentOutcome::of(End::Code(code), AGENT);
                    self.event(node, CoreEvent::Exited { exec, outcome });
                }
            }
            Due::Planned { node, inc, token, plan } => {
                if self.nodes[node].inc == inc {
                    self.event(node, CoreEvent::Planned { token, plan: *plan });
                }
            }
        }
    }

    fn agent(&mut self, node: usize, op: &OpRequest) -> i32 {
        self.calls.push((self.now, node, op.rsc.clone(), op.action.clone(), op.interval_ms));
        let n = &mut self.nodes[node];
        if n.broken.contains(&format!("{}_{}", op.rsc, op.action)) {
            return 1;
        }
        if op.agent.class() == lrm::Class::Stonith {
            // A device is only tested where it is started.
            return 0;
        }
        match op.action.as_str() {
            "start" => {
                n.running.insert(op.rsc.clone());
                let places = self.places(&op.rsc);
                assert!(
                    !self.never_twice || places.len() == 1,
                    "{} runs on {places:?}\n{}",
                    op.rsc,
                    self.describe()
                );
                0
            }
            "stop" => {
                n.running.remove(&op.rsc);
                0
            }
            "monitor" if n.running.contains(&op.rsc) => 0,
            "monitor" => 7,
            _ => 0,
        }
    }

    fn fence_agent(&mut self, command: &lrm::Command) -> i32 {
        let input = String::from_utf8(command.stdin.clone()).unwrap();
        let target = input.lines().find_map(|l| l.strip_prefix("nodename=")).unwrap_or_default().to_owned();
        if !self.fencing_works {
            return 1;
        }
        if input.lines().any(|l| l == "action=on") {
            self.given_access.push(target);
            return 0;
        }
        self.shot.push(target.clone());
        if let Some(i) = self.nodes.iter().position(|n| n.name == target) {
            self.crash(i);
        }
        0
    }

    fn session(&mut self, a: usize, b: usize) {
        let (x, y) = (&self.nodes[a], &self.nodes[b]);
        let open = !self.cut.contains(&(a, b)) && !self.cut.contains(&(b, a));
        if x.core.is_none() || y.core.is_none() || !open {
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
            self.event(me, CoreEvent::Link(up));
        }
    }

    /// Runs for a span of time.
    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        loop {
            let queued = self.queue.keys().next().map(|(t, _)| *t);
            let timers = self.nodes.iter().filter_map(|n| {
                let core = n.core.as_ref().filter(|_| n.waiting.is_none())?;
                Some(core.deadline().unwrap_or(Duration::MAX).min(n.next_beat))
            });
            let next = queued.into_iter().chain(timers).min().unwrap_or(Duration::MAX);
            if next > end {
                self.now = end;
                return;
            }
            self.now = self.now.max(next);
            while let Some(entry) = self.queue.first_entry().filter(|e| e.key().0 <= self.now) {
                let due = entry.remove();
                self.due(due);
            }
            for i in 0..self.nodes.len() {
                let Some(core) = self.nodes[i].core.as_ref().filter(|_| self.nodes[i].waiting.is_none())
                else {
                    continue;
                };
                let beat = core.group().config().beat();
                if self.nodes[i].next_beat <= self.now {
                    self.nodes[i].next_beat = self.now + beat;
                    self.send_beat(i);
                }
                if self.nodes[i].core.as_ref().and_then(Core::deadline).is_some_and(|d| d <= self.now) {
                    self.event(i, CoreEvent::Wake);
                }
            }
        }
    }

    /// Runs until something holds; fails with everybody's log after `span`.
    pub fn until(&mut self, span: Duration, what: &str, done: impl Fn(&Self) -> bool) {
        let end = self.now + span;
        while self.now < end {
            if done(self) {
                return;
            }
            self.run(Duration::from_millis(10));
        }
        assert!(done(self), "{what}: not within {span:?}\n{}", self.describe());
    }

    pub fn seconds(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    /// The node keeps the score of its ping nodes.
    pub fn keep_connectivity(&mut self, i: usize, how: ccm::config::Connectivity) {
        self.nodes[i].core.as_mut().unwrap().keep_connectivity(how);
    }

    pub fn core(&self, i: usize) -> &Core {
        self.nodes[i].core.as_ref().unwrap()
    }

    /// Where a resource runs, as agents see it.
    pub fn places(&self, rsc: &str) -> Vec<usize> {
        (0..self.nodes.len()).filter(|i| self.nodes[*i].running.contains(rsc)).collect()
    }

    /// Whether exactly these nodes are in one complete view and the DC is idle.
    pub fn settled(&self, members: &[usize]) -> bool {
        let views: Vec<_> = members
            .iter()
            .map(|i| {
                self.nodes[*i]
                    .core
                    .as_ref()
                    .and_then(|c| c.controller().view())
                    .map(|v| (v.id, v.members.len()))
            })
            .collect();
        let Some(Some((view, count))) = views.first().copied() else { return false };
        views.iter().all(|v| *v == Some((view, count)))
            && count == members.len()
            && members.iter().any(|i| self.core(*i).controller().state() == "S_IDLE")
    }

    pub fn ask(&mut self, i: usize, request: ClientRequest) -> u64 {
        self.next_client += 1;
        let id = self.next_client;
        self.event(i, CoreEvent::Client { id, request });
        id
    }

    pub fn describe(&self) -> String {
        let mut text = String::new();
        for node in &self.nodes {
            let state = node.core.as_ref().map(|c| {
                format!(
                    "{} view {:?}",
                    c.controller().state(),
                    c.controller().view().map(|v| v.members.len())
                )
            });
            text.push_str(&format!("== {} {state:?} runs {:?}\n", node.name, node.running));
            for (at, line) in node.log.iter().rev().take(60).rev() {
                text.push_str(&format!("  {:.3} {line}\n", at.as_secs_f64()));
            }
        }
        text
    }
}
