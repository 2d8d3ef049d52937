//! One node's group machine: membership and replication, wired.
//!
//! Give it what happens ([`GroupInput`]) with the time, do what it says ([`GroupAction`]) in the
//! order said, call it again at [`Group::deadline`]. It reads no clock, opens nothing, and the same
//! seed and inputs give the same actions.
//!
//! ```text
//!  Boot ──all heard / initdead──▶ Seeking ◀──── release, time-out, view broken ────┐
//!                                   │  ▲                                           │
//!                        my turn    │  │ refused, higher seen                      │
//!                                   ▼  │                                           │
//!                              Proposing ──all answered──▶ Installing ─────────────┤
//!        Propose acceptable ──▶ Promised ──Install───────▶ Installing ──Activate─▶ Active ─▶ Leaving ─▶ Gone
//!                                                          any ─▶ DiskFailed
//! ```
//!
//! Duties of the driver:
//! 1. Actions in the order emitted; a `Send` after a `Persist` does not wait for it (R2.7).
//! 2. `Persist` completes with `Persisted` only when the record survives a power loss; after
//!    `PersistFailed` the store is not used again.
//! 3. Link commands reach the link of this incarnation only; each `SetBeat` advances its tick.
//! 4. After [`GroupAction::Left`] nothing of this incarnation is executed.

pub mod api;
mod change;
mod client;
mod disk;
mod install;
mod message;
mod record;
mod round;
mod transfer;
mod update;
mod want;

#[cfg(test)]
mod conversations;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use cib::Cib;

pub use api::*;

use crate::bus::{Bus, BusOut};
use crate::codec::Wire;
use crate::membership::edges::{EdgeChange, Edges};
use crate::membership::info::{BEAT_VERSION, BeatInfo, PROTO_MAX, PROTO_MIN, PhaseName, Score};
use crate::membership::quorum::{Electorate, Facts, Voter};
use crate::membership::witness::Witnesses;
use crate::replication::entry::State;
use crate::seam::{Beat, BeatBody, Incarnation, LinkCommand, LinkEvent, NodeId, Stamp, ViewId};
use client::Client;
use disk::Disk;
use install::{Activation, Installing, StatusPart};
use message::{Install, Message, Propose};
use record::ViewRecord;
use round::Round;
use transfer::Transfers;
use update::Active;
use want::Want;

/// Where this node is in the life of views; data that exists only there lives there.
#[derive(Debug, Clone)]
enum Phase {
    /// Since the start, before the first promise (R7.17).
    Boot {
        until: Duration,
    },
    Seeking,
    Proposing(Box<Round>),
    /// Waits for the Install of `p`.
    Promised {
        p: ViewId,
        until: Duration,
    },
    Installing(Box<Installing>),
    Active,
    /// A clean leave; gone at the latest then (R16.8).
    Leaving {
        until: Duration,
        handed_over: bool,
    },
    Gone,
    DiskFailed,
}

/// Small generator for back-off (splitmix64): the only chance in the machine, and it is seeded.
#[derive(Debug, Clone)]
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A fraction in [0, 1) in steps of 1/1024.
    fn fraction(&mut self) -> f64 {
        f64::from(u32::try_from(self.next() % 1024).unwrap_or(0)) / 1024.0
    }
}

/// The group machines of one node.
#[derive(Debug, Clone)]
pub struct Group {
    config: GroupConfig,
    rng: Rng,
    now: Duration,
    out: Vec<GroupAction>,
    loopback: VecDeque<Message>,

    edges: Edges,
    phase: Phase,
    /// Greatest view promised; only grows, beyond this incarnation too (R7.7, R4.3).
    promised: ViewId,
    /// Highest epoch seen anywhere (R7.1).
    seen: u64,
    want: Option<Want>,
    /// Something that the wanted set depends on changed.
    dirty: bool,
    backoff_until: Duration,
    failures: u32,
    /// First time an active view was heard while booting (R7.17).
    heard_active: Option<Duration>,
    /// Nodes not invited until then, for their disks (R16.6), with the number of ejections.
    held_down: BTreeMap<NodeId, (Duration, u32)>,
    /// The next end of a hold-down, as of the last look at the wish.
    hold_ends: Option<Duration>,
    /// A proposal that waits for the disk: a Switch under way or a ceiling to raise.
    deferred: Option<(NodeId, Box<Propose>)>,

    state: State,
    record: ViewRecord,
    disk: Disk,
    transfers: Transfers,

    /// The active view, or the last one of this incarnation.
    view: Option<Active>,
    /// Switched to, not yet active.
    installed: Option<Install>,
    activation: Option<Activation>,
    /// Volatile half of the view switched to, taken when it is active.
    pending_status: Option<(ViewId, StatusPart)>,
    last_dc_logged: Option<NodeId>,
    /// `Installed` that came before its Install was here (R7.11).
    early: BTreeMap<ViewId, BTreeMap<NodeId, [u8; 32]>>,
    /// View in which this incarnation entered (R11.1).
    born: ViewId,

    bus: Bus,
    client: Client,
    visible: Cib,
    visible_at: Stamp,

    together: BTreeSet<NodeId>,
    fenced: BTreeMap<NodeId, Incarnation>,
    witnesses: Witnesses,
    foreign: BTreeSet<String>,
    /// Merge conflict to report once active (R9.9).
    report: Option<Conflict>,

    next_beat: Duration,
    last_info: BeatInfo,
    beat_now: bool,
    dropped_messages: u64,
}

impl Group {
    /// `seed` feeds the random back-off. A start emits its first actions at the first `handle`.
    pub fn new(config: GroupConfig, loaded: Loaded, seed: u64) -> Self {
        let (state, record, reports) = record::load(&config, loaded);
        let beat = config.beat();
        let visible = state.cib();
        let ceiling =
            if crate::sabotage::out(crate::sabotage::Rule::CeilingSurvives) { 0 } else { record.ceiling };
        let me = config.id;
        let mut group = Self {
            rng: Rng(seed),
            now: Duration::ZERO,
            out: Vec::new(),
            loopback: VecDeque::new(),
            edges: Edges::new(me, config.incarnation, config.deadtime, beat),
            phase: Phase::Boot { until: Duration::MAX },
            // R4.3: whatever the dead incarnation promised is still honoured.
            promised: if ceiling == 0 {
                ViewId::default()
            } else {
                ViewId { epoch: ceiling, proposer: NodeId([0xff; 16]), boot: u64::MAX }
            },
            seen: ceiling,
            want: None,
            dirty: true,
            backoff_until: Duration::ZERO,
            failures: 0,
            heard_active: None,
            held_down: BTreeMap::new(),
            hold_ends: None,
            deferred: None,
            state,
            record,
            disk: Disk::default(),
            transfers: Transfers::default(),
            view: None,
            installed: None,
            activation: None,
            pending_status: None,
            last_dc_logged: None,
            early: BTreeMap::new(),
            born: ViewId::default(),
            bus: Bus::new(me),
            client: Client::default(),
            visible_at: Stamp::default(),
            visible,
            together: BTreeSet::new(),
            fenced: BTreeMap::new(),
            witnesses: Witnesses::default(),
            foreign: BTreeSet::new(),
            report: None,
            next_beat: Duration::ZERO,
            last_info: BeatInfo::default(),
            beat_now: false,
            dropped_messages: 0,
            config,
        };
        for text in reports {
            group.log(Level::Warning, text);
        }
        // One write at start, off every critical path: the first promise needs none (R4.3).
        group.start_record();
        group
    }

    /// Takes one input at `now` (monotonic, the same clock as the `at` of link events) and appends
    /// what is to be done, in order.
    pub fn handle(&mut self, now: Duration, input: GroupInput, actions: &mut Vec<GroupAction>) {
        self.now = self.now.max(now);
        if let Phase::Boot { until } = &mut self.phase
            && *until == Duration::MAX
        {
            *until = self.now + self.config.initdead;
        }
        // R6.4: a node that slept finds out before it acts on anything queued.
        self.check_lease();
        self.dirty |= self.witnesses.advance(self.now);
        match input {
            GroupInput::Link(event) => self.on_link(event),
            GroupInput::Persisted { token } => self.on_persisted(token),
            GroupInput::PersistFailed { token, error } => self.on_persist_failed(token, &error),
            GroupInput::Request { token, change, options } => self.on_client_request(token, change, options),
            GroupInput::Read { token, mode } => self.on_read(token, mode),
            GroupInput::Outcome { token, ident } => self.on_outcome(token, ident),
            GroupInput::Bus { to, payload } => {
                let out = self.bus.send(to, payload);
                self.on_bus_out(out);
            }
            GroupInput::FenceConfirmed { node, inc } => {
                let alive = self.edges.peer(node).is_some_and(|p| p.inc.generation > inc.generation);
                if !alive {
                    self.fenced.insert(node, inc);
                    self.dirty = true;
                }
            }
            GroupInput::Fencing { enabled } => {
                self.dirty |= self.config.fencing != enabled;
                self.config.fencing = enabled;
            }
            GroupInput::Leave => self.on_leave(),
            GroupInput::Wake => {}
        }
        self.settle();
        actions.append(&mut self.out);
    }

    /// When [`GroupInput::Wake`] is due at the latest.
    pub fn deadline(&self) -> Option<Duration> {
        if matches!(self.phase, Phase::Gone) {
            return None;
        }
        let mut times = vec![self.next_beat];
        times.extend(self.edges.deadline(self.now));
        times.extend(self.witnesses.deadline());
        times.extend(self.lease_deadline());
        times.extend(self.phase_deadline());
        times.extend(self.want_deadline());
        times.extend(self.update_deadline());
        times.extend(self.client_deadline());
        // A time that has passed was looked at in the last call: waiting for it again changes nothing.
        times.into_iter().filter(|t| *t > self.now).min()
    }

    pub fn config(&self) -> &GroupConfig {
        &self.config
    }

    /// The document that queries see.
    pub fn visible(&self) -> &Cib {
        &self.visible
    }

    pub fn visible_at(&self) -> Stamp {
        self.visible_at
    }

    /// The active view's name, while this node is active in it and not suspended.
    pub fn active(&self) -> Option<ViewId> {
        self.live().map(|v| v.id)
    }

    pub fn is_dc(&self) -> bool {
        self.live().is_some_and(|v| v.dc == self.config.id)
    }

    /// A snapshot for tests and status: what the last beat said.
    pub fn info(&self) -> &BeatInfo {
        &self.last_info
    }

    /// The history held, for invariant checks: lineage and digest of the durable state.
    pub fn history(&self) -> &crate::replication::entry::Durable {
        &self.state.durable
    }

    /// Whether this node acts with the rights of its view: active, not frozen, not suspended.
    fn live(&self) -> Option<&Active> {
        self.view.as_ref().filter(|v| matches!(self.phase, Phase::Active) && !v.frozen && !v.suspended)
    }

    fn me(&self) -> NodeId {
        self.config.id
    }

    fn log(&mut self, level: Level, text: impl Into<String>) {
        self.out.push(GroupAction::Log { level, text: text.into() });
    }

    fn event(&mut self, event: GroupEvent) {
        self.out.push(GroupAction::Event(event));
    }

    fn send(&mut self, to: NodeId, message: Message) {
        if to == self.me() {
            self.loopback.push_back(message);
        } else if let Some(peer) = self.edges.peer(to).filter(|p| p.session) {
            let inc = peer.inc;
            self.out.push(GroupAction::Link(LinkCommand::Send { to, inc, payload: message.encode() }));
        }
    }

    /// To every member of the view but this node.
    fn send_members(&mut self, message: &Message) {
        let Some(view) = &self.view else { return };
        let others: Vec<NodeId> =
            view.members.iter().map(|m| m.id).filter(|m| *m != self.config.id).collect();
        let payload = message.encode();
        for to in others {
            if let Some(peer) = self.edges.peer(to).filter(|p| p.session) {
                let inc = peer.inc;
                self.out.push(GroupAction::Link(LinkCommand::Send { to, inc, payload: payload.clone() }));
            }
        }
    }

    /// Everything that follows from an input and from time, until nothing follows any more.
    fn settle(&mut self) {
        for _ in 0..64 {
            while let Some(message) = self.loopback.pop_front() {
                let me = self.me();
                self.on_message(me, message);
            }
            self.poll_edges();
            self.poll_phase();
            self.poll_want();
            self.poll_updates();
            self.poll_client();
            self.pump_disk();
            if self.loopback.is_empty() && !self.dirty {
                break;
            }
        }
        self.check_lease();
        self.poll_beat();
    }

    fn on_link(&mut self, event: LinkEvent) {
        match event {
            LinkEvent::SessionUp { peer, inc, name, .. } => {
                let fresh = self.edges.session_up(peer, &name, inc);
                if fresh {
                    self.fenced.remove(&peer);
                    self.held_down.remove(&peer);
                    self.break_view_if_member(peer, inc, "restarted");
                }
                self.dirty = true;
            }
            LinkEvent::SessionLost { peer, inc, why } => {
                self.edges.session_lost(peer, inc);
                // R2.6: a lost FIFO may have swallowed an update.
                if self.view.as_ref().is_some_and(|v| v.is_member(peer, inc)) {
                    self.break_view(format!("the session with {} ended: {why}", self.name_of(peer)));
                }
                self.dirty = true;
            }
            LinkEvent::Beat { at, beat } => self.on_beat(at, &beat),
            LinkEvent::Message { from, inc, payload } => {
                if self.edges.peer(from).is_none_or(|p| p.inc != inc) {
                    return;
                }
                match Message::decode(&payload) {
                    Ok(message) => self.on_message(from, message),
                    Err(error) => {
                        // R17.2: counted, dropped.
                        self.dropped_messages += 1;
                        self.log(
                            Level::Warning,
                            format!("message of {} dropped: {error}", self.name_of(from)),
                        );
                    }
                }
            }
            LinkEvent::Foreign { name, alive } => {
                if alive {
                    self.foreign.insert(name.clone());
                } else {
                    self.foreign.remove(&name);
                }
                self.event(GroupEvent::Foreign { name, alive });
            }
            LinkEvent::PingNode { name, reachable } => {
                self.dirty |= self.witnesses.set_ping(name, reachable, self.now, self.config.deadtime);
            }
            LinkEvent::Carrier { any } => {
                self.dirty |= self.witnesses.set_carrier(any, self.now, self.config.deadtime);
            }
            LinkEvent::OldGeneration { .. } => {
                self.log(
                    Level::Error,
                    "another node remembers a later start of this one: its disk was set back",
                );
                self.record.regressed = true;
                self.record.verified = false;
            }
            LinkEvent::Left { peer, inc } => self.on_bye(peer, inc, "left"),
            LinkEvent::Duplicate { what, name, addresses } => {
                self.event(GroupEvent::Duplicate { what, name, addresses });
            }
        }
    }

    fn on_bye(&mut self, peer: NodeId, inc: Incarnation, why: &str) {
        self.edges.left(peer, inc);
        self.break_view_if_member(peer, inc, why);
        self.dirty = true;
    }

    fn on_beat(&mut self, at: Duration, beat: &Beat) {
        let Ok(info) = BeatInfo::from_record(BEAT_VERSION, &beat.body.0) else {
            self.dropped_messages += 1;
            return;
        };
        let before = self.edges.peer(beat.id).map(|p| p.info.clone());
        if !self.edges.on_beat(at, beat, info.clone()) {
            return;
        }
        self.seen = self.seen.max(info.view.epoch).max(info.promised.epoch); // R7.1
        if before.is_none_or(|b| relevant(&b) != relevant(&info)) {
            self.dirty = true;
        }
        if info.phase == PhaseName::Active && self.heard_active.is_none() {
            self.heard_active = Some(self.now);
        }
        self.compare_with_view(beat.id, &info);
    }

    /// R7.2 and R6.6: what a member's beat says about the view.
    fn compare_with_view(&mut self, from: NodeId, info: &BeatInfo) {
        let me = self.me();
        let Some(view) = &self.view else { return };
        if !matches!(self.phase, Phase::Active) || !view.members.iter().any(|m| m.id == from) {
            return;
        }
        let excluded = info.phase == PhaseName::Active && info.view > view.id && !info.members.contains(&me);
        let reason = if excluded {
            Some(format!("{} is active in a later view without this node", self.name_of(from)))
        } else if info.view > view.id || info.promised > view.id {
            Some(format!("{} has moved on to another view", self.name_of(from)))
        } else if info.view == view.id && info.phase == PhaseName::Active {
            let lost = view
                .members
                .iter()
                .find(|m| m.id != from && m.id != me && !info.edges.contains(&m.id))
                .map(|m| m.name.clone());
            lost.map(|name| format!("{} lost {name}", self.name_of(from)))
        } else {
            None
        };
        if let Some(reason) = reason {
            self.break_view(reason);
        }
        if excluded {
            if self.view.as_ref().is_some_and(|v| !v.suspended) {
                let reason = format!("{} and others went on without this node", self.name_of(from));
                self.event(GroupEvent::Evicted { reason });
            }
            self.suspend();
        }
    }

    fn on_message(&mut self, from: NodeId, message: Message) {
        match message {
            Message::Propose(m) => self.on_propose(from, m),
            Message::Promise(m) => self.on_promise(from, *m),
            Message::Refuse { p, why, seen, promised } => self.on_refuse(from, p, why, seen, promised),
            Message::Install(m) => self.on_install(from, *m),
            Message::Release { p } => self.on_release(p),
            Message::Installed { p, digest } => self.on_installed(from, p, digest),
            Message::Activate { p } => self.on_activate(from, p),
            Message::Bye { reason } => {
                let inc = self.edges.peer(from).map(|p| p.inc);
                match inc {
                    Some(inc) if reason == BYE_LEFT => self.on_bye(from, inc, &reason),
                    // R16.7: it takes part in nothing more, but what runs there runs on.
                    Some(inc) => self.break_view_if_member(from, inc, &reason),
                    None => {}
                }
            }
            Message::Request { view, request } => self.on_request(from, view, *request),
            Message::Update { entry, commit } => self.on_update(from, *entry, commit),
            Message::Ack { view, upto } => self.on_ack(from, view, upto),
            Message::Commit { view, n } => self.on_commit(from, view, n),
            Message::Reply { rid, answer } => self.on_answer(rid, answer),
            Message::Bus { view, seq, payload } => {
                let out = self.bus.receive(view, from, seq, payload);
                self.on_bus_out(out);
            }
            Message::BusAck { view, upto } => self.bus.acknowledged(view, from, upto),
            Message::Fetch { p, what, have, have_h } => self.on_fetch(from, p, what, have, have_h),
            Message::Chunk { p, what, index, last, bytes } => {
                self.on_chunk(from, p, what, index, last, &bytes)
            }
            Message::ChunkAck { p, what, index } => self.on_chunk_ack(from, p, what, index),
            Message::Probe { view, k } => self.on_probe(from, view, k),
            Message::ProbeOk { view, k } => self.on_probe_ok(from, view, k),
        }
    }

    fn on_bus_out(&mut self, out: BusOut) {
        let view = self.view.as_ref().map(|v| v.id).unwrap_or_default();
        for m in out.send {
            self.send(m.to, Message::Bus { view, seq: m.seq, payload: m.payload });
        }
        for (from, payload) in out.deliver {
            self.event(GroupEvent::Deliver { from, payload });
        }
        for (to, payload) in out.dropped {
            self.event(GroupEvent::Dropped { to, payload });
        }
        for (sender, upto) in out.acks {
            self.send(sender, Message::BusAck { view, upto });
        }
    }

    fn poll_edges(&mut self) {
        for change in self.edges.poll(self.now) {
            self.dirty = true;
            self.beat_now = true;
            match change {
                EdgeChange::Up(peer) => {
                    self.log(Level::Info, format!("{} is heard both ways", self.name_of(peer)))
                }
                EdgeChange::Down(peer) => {
                    self.log(
                        Level::Warning,
                        format!("{} is not heard both ways any more", self.name_of(peer)),
                    );
                    if self.view.as_ref().is_some_and(|v| v.members.iter().any(|m| m.id == peer)) {
                        self.break_view(format!("{} is not heard", self.name_of(peer)));
                    }
                }
            }
        }
    }

    fn break_view_if_member(&mut self, peer: NodeId, inc: Incarnation, why: &str) {
        let member = self.view.as_ref().and_then(|v| v.members.iter().find(|m| m.id == peer));
        if member.is_some_and(|m| m.inc != inc || why != "restarted") {
            self.break_view(format!("{} {why}", self.name_of(peer)));
        }
    }

    /// R7.2: sticky; only a new view cures it.
    fn break_view(&mut self, why: String) {
        let Some(view) = &mut self.view else { return };
        if view.broken.is_none() && matches!(self.phase, Phase::Active | Phase::Leaving { .. }) {
            view.broken = Some(why.clone());
            self.dirty = true;
            self.log(Level::Info, format!("view is broken: {why}"));
        }
    }

    /// R6: the lease of the active view at this moment.
    fn check_lease(&mut self) {
        let me = self.config.id;
        let Some(view) = &self.view else { return };
        if !matches!(
            self.phase,
            Phase::Active | Phase::Proposing(_) | Phase::Promised { .. } | Phase::Installing(_)
        ) {
            return;
        }
        let leased = view
            .members
            .iter()
            .filter(|m| m.id != me)
            .all(|m| self.edges.lease_until(m.id).is_some_and(|t| self.now < t));
        if !leased {
            self.suspend();
        } else if view.suspended && view.broken.is_none() && !view.frozen {
            if let Some(view) = &mut self.view {
                view.suspended = false;
            }
            self.event(GroupEvent::Resumed);
            self.dirty = true;
        }
    }

    fn suspend(&mut self) {
        if let Some(view) = &mut self.view
            && !view.suspended
        {
            view.suspended = true;
            self.event(GroupEvent::Suspended);
        }
    }

    fn lease_deadline(&self) -> Option<Duration> {
        let view = self.view.as_ref().filter(|v| !v.suspended)?;
        view.members.iter().filter_map(|m| self.edges.lease_until(m.id)).min()
    }

    fn poll_beat(&mut self) {
        if matches!(self.phase, Phase::Gone) {
            return;
        }
        let info = self.make_info();
        let changed = relevant(&info) != relevant(&self.last_info);
        if self.now >= self.next_beat || changed || self.beat_now {
            self.edges.take_tick(self.now);
            self.out.push(GroupAction::Link(LinkCommand::SetBeat(BeatBody(info.record(BEAT_VERSION)))));
            if changed || self.beat_now {
                self.out.push(GroupAction::Link(LinkCommand::BeatNow));
            }
            if self.now >= self.next_beat {
                self.next_beat = self.now + self.config.beat();
            }
            self.beat_now = false;
            self.last_info = info;
        }
    }

    fn make_info(&self) -> BeatInfo {
        let view = self.view.as_ref();
        let whole = self.view_whole();
        BeatInfo {
            phase: match &self.phase {
                Phase::Boot { .. } => PhaseName::Boot,
                Phase::Seeking => PhaseName::Seeking,
                Phase::Proposing(_) => PhaseName::Proposing,
                Phase::Promised { .. } => PhaseName::Promised,
                Phase::Installing(_) => PhaseName::Installing,
                Phase::Active => PhaseName::Active,
                Phase::Leaving { .. } => PhaseName::Leaving,
                Phase::Gone => PhaseName::Gone,
                Phase::DiskFailed => PhaseName::DiskFailed,
            },
            view: view.map(|v| v.id).unwrap_or_default(),
            whole,
            promised: self.promised_here(),
            score: if whole { view.map(|v| v.score).unwrap_or_default() } else { Score::default() },
            members: view.map(|v| v.members.iter().map(|m| m.id).collect()).unwrap_or_default(),
            dc: view.is_some_and(|v| v.dc == self.config.id),
            born: self.born,
            dhead: self.state.durable.lineage.head(),
            commit: view.map_or(0, |v| v.committed),
            verified: self.record.verified,
            regressed: self.record.regressed,
            impaired: self.disk.impaired(self.now, self.config.deadtime),
            edges: self.edges.up_peers().map(|p| p.id).collect(),
            facts: self.facts(),
            feature: self.config.feature.clone(),
            proto_min: PROTO_MIN,
            proto_max: PROTO_MAX,
        }
    }

    /// What this incarnation promised; the floor of a dead one is nobody's business.
    fn promised_here(&self) -> ViewId {
        if self.promised.proposer == NodeId([0xff; 16]) { ViewId::default() } else { self.promised }
    }

    fn view_whole(&self) -> bool {
        matches!(self.phase, Phase::Active)
            && self.view.as_ref().is_some_and(|v| v.broken.is_none() && !v.frozen)
    }

    fn facts(&self) -> Facts {
        let reached = self.witnesses.pings(&self.config.pings);
        Facts {
            carrier: self.witnesses.carrier(),
            pings: self.config.pings.len() as u64,
            pings_reached: reached as u64,
            fencing: self.config.fencing,
            was_alone: self.record.was_alone,
            together: self.together.iter().copied().collect(),
            fenced: self.fenced.keys().copied().collect(),
            left: self.edges.peers().filter(|p| p.left).map(|p| p.id).collect(),
            assume_alone: self.config.assume_alone || crate::sabotage::out(crate::sabotage::Rule::WaitForAll),
            heard: self.edges.heard(self.now),
        }
    }

    /// Who votes: that of the history, or before there is one the nodes of ha.cf (R15.1).
    fn electorate(&self) -> Electorate {
        if self.state.durable.electorate.voters.is_empty() {
            self.configured_electorate()
        } else {
            self.state.durable.electorate.clone()
        }
    }

    fn configured_electorate(&self) -> Electorate {
        let mut voters: Vec<Voter> = self
            .config
            .nodes
            .iter()
            .map(|n| {
                let id = if n.name.eq_ignore_ascii_case(&self.config.name) {
                    Some(self.config.id)
                } else {
                    self.edges.peers().find(|p| p.name.eq_ignore_ascii_case(&n.name)).map(|p| p.id)
                };
                Voter { name: n.name.clone(), id, votes: u64::from(n.votes) }
            })
            .collect();
        voters.sort();
        Electorate { voters, number: 0 }
    }

    fn name_of(&self, id: NodeId) -> String {
        if id == self.config.id {
            return self.config.name.clone();
        }
        self.edges.peer(id).map_or_else(|| id.to_string(), |p| p.name.clone())
    }
}

/// What a node says that has stopped everything and leaves (R16.8).
const BYE_LEFT: &str = "left";

/// The part of a beat on which the wanted set depends.
fn relevant(info: &BeatInfo) -> impl PartialEq + use<'_> {
    (
        (info.phase, info.view, info.whole, info.promised, info.score),
        (&info.members, info.dc, info.born, info.impaired, info.verified, info.regressed),
        (&info.edges, &info.facts),
    )
}
