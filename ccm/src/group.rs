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
mod beat;
mod change;
mod client;
mod conclude;
mod digest;
mod disk;
mod electorate;
mod heard;
mod install;
mod learn;
mod lease;
mod message;
mod parts;
mod record;
mod round;
mod sequence;
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
use learn::Learning;
use message::{Install, Message, Propose};
use parts::Parts;
use record::ViewRecord;
use round::{Held, Pursuit, Round};
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
    /// The view that this node proposed or promised last.
    pursuit: Pursuit,
    /// Highest epoch seen anywhere (R7.1).
    seen: u64,
    want: Option<Want>,
    /// Something that the wanted set depends on changed.
    dirty: bool,
    /// The wanted set was not looked for since, because nothing could have come of it.
    want_stale: bool,
    backoff_until: Duration,
    failures: u32,
    /// First time an active view was heard while booting (R7.17).
    heard_active: Option<Duration>,
    /// Nodes not invited for a while (R16.6).
    held_down: BTreeMap<NodeId, Held>,
    /// The next end of a hold-down, as of the last look at the wish.
    hold_ends: Option<Duration>,
    /// A proposal that waits for the disk: a Switch under way or a ceiling to raise.
    deferred: Option<(NodeId, Box<Propose>)>,

    state: State,
    record: ViewRecord,
    disk: Disk,
    transfers: Transfers,
    learning: Learning,
    parts: Parts,

    /// The active view, or the last one of this incarnation.
    view: Option<Active>,
    /// The view whose others are known to go on without this node (R6.6).
    evicted_from: Option<ViewId>,
    /// Nodes that were left out of the present view and are heard by a member (R7.18).
    excluded: Vec<(NodeId, Incarnation)>,
    /// Switched to, not yet active.
    installed: Option<Install>,
    activation: Option<Activation>,
    /// Volatile half of the view switched to, taken when it is active.
    pending_status: Option<(ViewId, StatusPart)>,
    last_dc_logged: Option<NodeId>,
    /// The voters as the link was told them.
    told_nodes: Option<Electorate>,
    /// Said that the software here is too old for the cluster.
    told_old: bool,
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
    /// Nodes that do not take this one for a node of their cluster, and until when that is believed (R15.8).
    taken_out_by: BTreeMap<NodeId, Duration>,
    /// Views that this start of the node led.
    led: BTreeSet<ViewId>,
    /// When the last view became active, and how many in a row broke within a dead time (R16.10).
    active_since: Duration,
    short_views: u32,
    /// Nodes whose documents were found to differ, and how often in a row (R7.11, R10.6).
    suspects: BTreeMap<NodeId, u32>,
    /// When the DC sends the next digest (R10.6).
    digest_at: Duration,
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
        let record::Start { state, record, reports, transfers } = record::load(&config, loaded);
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
            pursuit: Pursuit::default(),
            seen: ceiling,
            want: None,
            dirty: true,
            want_stale: false,
            backoff_until: Duration::ZERO,
            failures: 0,
            heard_active: None,
            held_down: BTreeMap::new(),
            hold_ends: None,
            deferred: None,
            state,
            record,
            disk: Disk::default(),
            transfers,
            learning: Learning::default(),
            parts: Parts::default(),
            view: None,
            evicted_from: None,
            excluded: Vec::new(),
            installed: None,
            activation: None,
            pending_status: None,
            last_dc_logged: None,
            told_nodes: None,
            told_old: false,
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
            taken_out_by: BTreeMap::new(),
            led: BTreeSet::new(),
            active_since: Duration::ZERO,
            short_views: 0,
            suspects: BTreeMap::new(),
            digest_at: Duration::ZERO,
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
        let refused = self.taken_out_by.len();
        self.taken_out_by.retain(|_, until| *until > now);
        self.dirty |= self.taken_out_by.len() != refused;
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
        times.extend(self.taken_out_by.values().min());
        times.extend(self.lease_deadline());
        times.extend(self.phase_deadline());
        times.extend(self.want_deadline());
        times.extend(self.update_deadline());
        times.extend(self.client_deadline());
        times.extend(self.digest_deadline());
        times.extend(self.learning_deadline());
        times.extend(self.disk.test_at(self.config.deadtime));
        // A time that has passed was looked at in the last call: waiting for it again changes nothing.
        times.into_iter().filter(|t| *t > self.now).min()
    }

    /// Until when this node may begin something new (R6.3): the earliest lapse of a member's lease. `None`:
    /// without limit, as it is alone in its view. Zero: not at all, for it has no view, the lease lapsed, or
    /// the view is over (G11: nothing of it is done after the freeze).
    pub fn leased_until(&self) -> Option<Duration> {
        let Some(view) = self.live() else { return Some(Duration::ZERO) };
        let me = self.config.id;
        let others = view.members.iter().filter(|m| m.id != me);
        others.map(|m| self.edges.lease_until(m.id).unwrap_or_default()).min()
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
        } else if self.edges.peer(to).is_some_and(|p| p.session) {
            let payload = message.encode();
            self.post(to, &message, payload);
        }
    }

    /// To every member of the view but this node.
    fn send_members(&mut self, message: &Message) {
        let Some(view) = &self.view else { return };
        let others: Vec<NodeId> =
            view.members.iter().map(|m| m.id).filter(|m| *m != self.config.id).collect();
        let payload = message.encode();
        for to in others {
            self.post(to, message, payload.clone());
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
            self.poll_learning();
            self.poll_want();
            self.poll_updates();
            self.poll_client();
            self.poll_digest();
            self.pump_disk();
            if self.loopback.is_empty() && !self.dirty {
                break;
            }
        }
        self.tell_nodes();
        self.poll_excluded();
        self.check_lease();
        self.poll_beat();
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
