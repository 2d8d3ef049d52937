//! Who hears whom, with hysteresis, and the lease that follows from it (protocol §5, §6).
//!
//! ```text
//!            session ∧ hears ∧ heard_by                2 beats and 2 B + penalty later
//!   Down ───────────────────────────────▶ Holding ────────────────────────────────────▶ Up
//!    ▲ ◀────────── one of them fails ────────┘                                           │
//!    └────────────────────── one of them fails, goodbye, new incarnation ────────────────┘
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::info::BeatInfo;
use crate::seam::{Beat, Incarnation, NodeId};

/// Peers kept that are not configured (R18.1: 64 + 64).
pub const PEER_LIMIT: usize = 128;
/// Own ticks remembered: more than a dead time's worth at any beat.
const TICK_LIMIT: usize = 512;

/// State of the connection to one peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edge {
    Down,
    /// Heard both ways since then; `beat` was its newest then.
    Holding {
        since: Duration,
        beat: u64,
    },
    Up,
}

/// A node heard of.
#[derive(Debug, Clone)]
pub struct Peer {
    pub id: NodeId,
    pub name: String,
    pub inc: Incarnation,
    pub session: bool,
    pub edge: Edge,
    /// What its newest beat says.
    pub info: BeatInfo,
    /// Said goodbye in this incarnation.
    pub left: bool,
    /// Its dead time, by which it is judged.
    pub deadtime: Duration,
    beat: u64,
    tick: u64,
    /// When the first beat with its newest tick arrived.
    tick_at: Option<Duration>,
    /// When this node took the tick that the peer echoed last.
    echo_at: Option<Duration>,
    /// Newest beat of any kind: what "heard in one direction" is judged by.
    heard_at: Option<Duration>,
    downs: VecDeque<Duration>,
    /// Its next fall of the edge is that of its former incarnation, which did not fall silent.
    restarted: bool,
}

/// A change that membership must look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EdgeChange {
    Up(NodeId),
    Down(NodeId),
}

/// All peers of a node.
#[derive(Debug, Clone)]
pub struct Edges {
    me: NodeId,
    inc: Incarnation,
    deadtime: Duration,
    beat: Duration,
    peers: BTreeMap<NodeId, Peer>,
    /// Ticks of this node and when its main loop took them.
    ticks: VecDeque<(u64, Duration)>,
    /// How often the hold is doubled because views do not last (R16.10).
    storm: u32,
    /// L of R6.1.
    lease: Duration,
}

impl Edges {
    pub fn new(me: NodeId, inc: Incarnation, deadtime: Duration, beat: Duration) -> Self {
        let lease = deadtime.mul_f64(0.7);
        Self { me, inc, deadtime, beat, peers: BTreeMap::new(), ticks: VecDeque::new(), storm: 0, lease }
    }

    /// R16.10: doubles the hold so many times, within the cap of R5.4.
    pub fn set_storm(&mut self, doublings: u32) {
        self.storm = doublings;
    }

    /// The main loop took its next tick; the link counts the same (see [`crate::seam::LinkCommand::SetBeat`]).
    pub fn take_tick(&mut self, now: Duration) {
        let next = self.ticks.back().map_or(1, |(t, _)| t + 1);
        self.ticks.push_back((next, now));
        if self.ticks.len() > TICK_LIMIT {
            self.ticks.pop_front();
        }
    }

    pub fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values()
    }

    pub fn peer(&self, id: NodeId) -> Option<&Peer> {
        self.peers.get(&id)
    }

    pub fn up(&self, id: NodeId) -> bool {
        self.peers.get(&id).is_some_and(|p| p.edge == Edge::Up)
    }

    pub fn up_peers(&self) -> impl Iterator<Item = &Peer> {
        self.peers.values().filter(|p| p.edge == Edge::Up)
    }

    fn entry(&mut self, id: NodeId, name: &str, inc: Incarnation) -> Option<&mut Peer> {
        if id == self.me || (!self.peers.contains_key(&id) && self.peers.len() >= PEER_LIMIT) {
            return None;
        }
        let peer = self.peers.entry(id).or_insert_with(|| Peer {
            id,
            name: name.to_owned(),
            inc,
            session: false,
            edge: Edge::Down,
            info: BeatInfo::default(),
            left: false,
            deadtime: Duration::ZERO,
            beat: 0,
            tick: 0,
            tick_at: None,
            echo_at: None,
            heard_at: None,
            downs: VecDeque::new(),
            restarted: false,
        });
        Some(peer)
    }

    /// A session with this incarnation is usable. True if the incarnation is new here.
    pub fn session_up(&mut self, id: NodeId, name: &str, inc: Incarnation) -> bool {
        let Some(peer) = self.entry(id, name, inc) else { return false };
        let fresh = peer.inc != inc;
        if fresh {
            peer.restart(inc);
        }
        peer.name = name.to_owned();
        peer.session = true;
        fresh
    }

    pub fn session_lost(&mut self, id: NodeId, inc: Incarnation) {
        if let Some(peer) = self.peers.get_mut(&id)
            && peer.inc == inc
        {
            peer.session = false;
        }
    }

    /// The incarnation said goodbye.
    pub fn left(&mut self, id: NodeId, inc: Incarnation) {
        if let Some(peer) = self.peers.get_mut(&id)
            && peer.inc == inc
        {
            peer.left = true;
            peer.downs.clear(); // R5.4: f = 0 after a clean leave
        }
    }

    /// A beat that arrived at `at`. Of the incarnation of the session only: an older one is dead,
    /// a newer one opens a session first (R2.2).
    pub fn on_beat(&mut self, at: Duration, beat: &Beat, info: BeatInfo) -> bool {
        let (me, inc) = (self.me, self.inc);
        let known = self.peers.get(&beat.id).map(|p| p.inc);
        if known.is_some_and(|k| k != beat.inc) {
            return false;
        }
        let taken: Option<Duration> = beat
            .heard
            .iter()
            .find(|h| h.id == me && h.inc == inc)
            .and_then(|h| self.ticks.iter().rev().find(|(t, _)| *t <= h.tick).map(|(_, at)| *at));
        let Some(peer) = self.entry(beat.id, &beat.name, beat.inc) else { return false };
        if beat.beat <= peer.beat {
            return false;
        }
        peer.beat = beat.beat;
        peer.deadtime = beat.deadtime;
        peer.heard_at = Some(at);
        if beat.tick > peer.tick || peer.tick_at.is_none() {
            peer.tick = beat.tick;
            peer.tick_at = Some(at); // R5.1
        }
        peer.echo_at = match (peer.echo_at, taken) {
            (Some(old), Some(new)) => Some(old.max(new)),
            (old, None) => old,
            (None, new) => new,
        };
        peer.info = info;
        true
    }

    /// Recomputes all edges at `now`.
    pub fn poll(&mut self, now: Duration) -> Vec<EdgeChange> {
        let mut changes = Vec::new();
        let (deadtime, beat, storm) = (self.deadtime, self.beat, self.storm);
        for peer in self.peers.values_mut() {
            let hears = peer.tick_at.is_some_and(|t| now < t + peer.deadtime);
            let heard_by = peer.echo_at.is_some_and(|t| now < t + deadtime); // R5.2
            let whole = peer.session && hears && heard_by && !peer.left; // R5.3
            match (peer.edge, whole) {
                (Edge::Down, true) => peer.edge = Edge::Holding { since: now, beat: peer.beat },
                (Edge::Holding { since, beat: first }, true) => {
                    if peer.beat >= first + 2 && now >= since + hold(peer, now, deadtime, beat, storm) {
                        peer.edge = Edge::Up;
                        changes.push(EdgeChange::Up(peer.id));
                    }
                }
                (Edge::Up, true) | (Edge::Down, false) => {}
                (Edge::Holding { .. }, false) => peer.edge = Edge::Down,
                (Edge::Up, false) => {
                    peer.edge = Edge::Down;
                    // R5.4 counts silence; a restart is none, and what restarts again and again is R16.10's.
                    if (!hears || !heard_by) && !std::mem::take(&mut peer.restarted) {
                        peer.downs.push_back(now);
                        if peer.downs.len() > 16 {
                            peer.downs.pop_front();
                        }
                    }
                    changes.push(EdgeChange::Down(peer.id));
                }
            }
        }
        changes
    }

    /// When the next edge may change by time alone.
    pub fn deadline(&self, now: Duration) -> Option<Duration> {
        self.peers
            .values()
            .filter(|p| p.session && !p.left)
            .filter_map(|p| match p.edge {
                Edge::Down => None,
                Edge::Holding { since, beat } if p.beat >= beat + 2 => {
                    Some(since + hold(p, now, self.deadtime, self.beat, self.storm))
                }
                Edge::Holding { .. } | Edge::Up => {
                    let hears = p.tick_at.map(|t| t + p.deadtime);
                    let heard = p.echo_at.map(|t| t + self.deadtime);
                    hears.into_iter().chain(heard).min()
                }
            })
            .min()
    }

    /// When the lease of a member lapses: 0.7 D after this node took the tick that it echoed
    /// last (R6.1). `None`: it never echoed.
    pub fn lease_until(&self, id: NodeId) -> Option<Duration> {
        self.peers.get(&id).and_then(|p| p.echo_at).map(|t| t + self.lease)
    }

    /// Nodes from which beats still arrive, whatever became of the edge (R15.7e). A node that died
    /// was last heard about a dead time before its edge fell, so half of one tells the two apart.
    pub fn heard(&self, now: Duration) -> Vec<NodeId> {
        self.peers
            .values()
            .filter(|p| !p.left && p.heard_at.is_some_and(|t| now < t + p.deadtime / 2))
            .map(|p| p.id)
            .collect()
    }
}

impl Peer {
    fn restart(&mut self, inc: Incarnation) {
        self.inc = inc;
        self.session = false;
        self.info = BeatInfo::default();
        self.left = false;
        (self.beat, self.tick) = (0, 0);
        (self.tick_at, self.echo_at, self.heard_at) = (None, None, None);
        self.restarted = self.edge == Edge::Up;
        if self.edge != Edge::Up {
            self.edge = Edge::Down;
        }
        // An edge that was up goes down at the next poll: nothing of the new incarnation is heard.
    }
}

/// R5.4: 2 B and a penalty that doubles with every death by silence of the last 4 D, at most 2 D.
fn hold(peer: &Peer, now: Duration, deadtime: Duration, beat: Duration, storm: u32) -> Duration {
    let recent = peer.downs.iter().filter(|t| now < **t + deadtime * 4).count();
    let factor = (1_u32 << recent.min(10)) - 1 + ((1_u32 << storm.min(10)) - 1);
    beat * 2 + (beat * 2 * factor).min(deadtime * 2)
}
