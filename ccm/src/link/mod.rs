//! The link machine: heartbeats, sessions and reliable messages over any number of media.
//!
//! Pure: no clock, socket or randomness of its own. [`Link::handle`] takes the monotonic time and one
//! [`LinkInput`], and appends [`LinkAction`]s; [`Link::deadline`] says when [`LinkInput::Wake`] is due.
//!
//! What arrives passes, in this order: signature, cluster, addressee, sender's name, decryption, class.
//! A packet that fails changes a counter and nothing else.
//!
//! ```text
//!  heard ──Beat──▶ Candidate ──session open──▶ Member ──silent for D, Bye, overrun, restart──▶ gone
//!                                  │    ▲
//!                                  ▼    │ the first does not answer within 2 B
//!                               Waiting ┴─ the first answers ──▶ Refused (same hb_uuid or name)
//! ```
//!
//! Duties of a driver: carry actions out in order; call `handle(Wake)` no later than a millisecond after
//! the deadline; hand in every datagram with its medium's index and source; never wait for the core.

mod admission;
mod foreign;
mod health;
pub mod ipfail;
mod peer;
mod receive;
pub mod refused;
pub mod rng;
mod send;
pub mod session;
mod setup;
mod strangers;
pub mod stream;
mod types;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use sha2::{Digest, Sha256};

pub use setup::keys;
pub use types::*;

use self::foreign::Foreign;
use self::health::Health;
use self::peer::Peer;
use self::receive::Origin;
use self::refused::Refused;
use self::rng::Rng;
use self::strangers::Strangers;
use crate::seam::{BeatBody, DuplicateWhat, Incarnation, LinkCommand, LinkEvent, NodeId};
use crate::wire::Packet;
use crate::wire::envelope::AuthField;
use crate::wire::frame::{Body, Who};
use crate::wire::seal::Sealer;

/// Most incarnations of other nodes kept (protocol 18.1: 64 known and 64 more).
const MAX_PEERS: usize = 128;
/// Packets of our own kept for real Heartbeats that ask again (§10.3).
const HISTORY: usize = 500;
/// About what a packet costs beside its piece, bytes.
const MIN_PIECE: usize = 250;

#[derive(Debug, Clone)]
struct MediumState {
    up: bool,
    /// It was opened, or that failed.
    tried: bool,
    carrier: bool,
    tokens: f64,
    filled_at: Duration,
}

/// The machine of one node.
#[derive(Debug)]
pub struct Link {
    config: LinkConfig,
    cluster: u32,
    rng: Rng,
    sealer: Sealer,
    started: bool,
    left: bool,
    status: &'static str,
    load: String,
    wall_at_zero: i64,
    beat: u64,
    tick: u64,
    body: BeatBody,
    next_beat: Duration,
    /// When the core last gave a sign.
    core_at: Duration,
    core_failed: bool,
    seq: u64,
    counter: u64,
    history: VecDeque<(u64, Vec<u8>)>,
    /// The nodes whose packets are taken; none: all.
    allowed: Option<Vec<String>>,
    /// Digests of packets sent on around a ring.
    forwarded: VecDeque<u64>,
    media: Vec<MediumState>,
    carrier_told: Option<bool>,
    peers: BTreeMap<Who, Peer>,
    generations: BTreeMap<NodeId, u64>,
    last_inc: BTreeMap<NodeId, Incarnation>,
    told_generation: u64,
    told_duplicates: BTreeMap<(DuplicateWhat, String), Duration>,
    strangers: Strangers,
    health: Health,
    refused: Refused,
    foreign: Foreign,
    next_ping: Option<Duration>,
    more_at: Option<Duration>,
    deadline: Option<Duration>,
}

impl Link {
    /// `seed` feeds the nonces: from the operating system in life, a constant in tests.
    pub fn new(config: LinkConfig, seed: u64) -> Link {
        let digest = Sha256::digest(config.cluster.as_bytes());
        let cluster = digest.iter().take(4).fold(0u32, |n, &b| (n << 8) | u32::from(b));
        let names = config.media.iter().map(|m| (m.name.clone(), m.expected)).collect();
        let others: Vec<String> = config.nodes.iter().filter(|n| **n != config.name).cloned().collect();
        let ping: Vec<(String, Duration)> =
            config.ping.iter().map(|p| (p.name.clone(), config.deadping)).collect();
        let times = [config.deadtime, config.warntime, config.initdead];
        Link {
            cluster,
            rng: Rng::new(seed),
            sealer: Sealer::default(),
            started: false,
            left: false,
            status: "init",
            load: "0.00 0.00 0.00 1/1 1".to_owned(),
            wall_at_zero: config.wall_at_zero,
            beat: 0,
            tick: 0,
            body: BeatBody::default(),
            next_beat: Duration::ZERO,
            core_at: Duration::ZERO,
            core_failed: false,
            seq: 0,
            counter: 0,
            history: VecDeque::new(),
            allowed: None,
            forwarded: VecDeque::new(),
            media: vec![
                MediumState {
                    up: false,
                    tried: false,
                    carrier: true,
                    tokens: 0.0,
                    filled_at: Duration::ZERO
                };
                config.media.len()
            ],
            carrier_told: None,
            peers: BTreeMap::new(),
            generations: BTreeMap::new(),
            last_inc: BTreeMap::new(),
            told_generation: 0,
            told_duplicates: BTreeMap::new(),
            strangers: Strangers::default(),
            health: Health::new(names, &others, &ping, times),
            refused: Refused::new(config.log_badpack),
            foreign: Foreign::default(),
            next_ping: None,
            more_at: None,
            deadline: None,
            config,
        }
    }

    pub fn config(&self) -> &LinkConfig {
        &self.config
    }

    /// Takes one input. `now` never goes back.
    pub fn handle(&mut self, now: Duration, input: LinkInput, out: &mut Vec<LinkAction>) {
        if !self.started {
            self.start(now, out);
        }
        match input {
            LinkInput::Packet { medium, from, bytes } => {
                let counted = self.refused.total();
                if !self.left {
                    self.packet(now, Origin { medium, from }, &bytes, out);
                }
                // The usual packet moves no timer but its sender's; a refused one moves none at all.
                if self.deadline.is_some_and(|d| now < d) {
                    if self.refused.total() == counted {
                        self.pump(now, out);
                        self.deadline = self.next_deadline();
                    } else if let Some(at) = self.refused.deadline() {
                        self.deadline = self.deadline.map(|d| d.min(at));
                    }
                    return;
                }
            }
            LinkInput::Command(command) => self.command(now, command, out),
            LinkInput::MediumUp { medium } => self.medium(now, medium, true, out),
            LinkInput::MediumDown { medium, why } => {
                if let Some(info) = self.config.media.get(medium) {
                    let text = format!("medium {} failed: {why}; it is tried again", info.name);
                    self.log(Level::Error, text, out);
                }
                self.medium(now, medium, false, out);
            }
            LinkInput::Carrier { medium, carrier } => {
                if let Some(state) = self.media.get_mut(medium)
                    && state.carrier != carrier
                {
                    state.carrier = carrier;
                    let name = self.config.media.get(medium).map_or("", |m| m.name.as_str());
                    let text = format!("interface {name}: carrier {}", if carrier { "back" } else { "lost" });
                    self.log(if carrier { Level::Info } else { Level::Warn }, text, out);
                }
                self.tell_carrier(out);
            }
            LinkInput::Trouble { medium, why } => {
                let name = self.config.media.get(medium).map_or("", |m| m.name.as_str());
                self.log(Level::Warn, format!("medium {name}: cannot send: {why}"), out);
            }
            LinkInput::Overrun { peer, inc } => {
                self.lose(now, (peer, inc), "the core did not take its messages", out);
            }
            LinkInput::Pong { target, .. } => self.pong(now, target, out),
            LinkInput::Keys(keys) => {
                self.config.keys = keys;
                self.sealer.clear();
            }
            LinkInput::Surroundings { load, wall_at_zero } => {
                self.load = load.chars().filter(|c| !c.is_control()).take(60).collect();
                self.wall_at_zero = wall_at_zero;
            }
            LinkInput::Allow(names) => self.allowed = names,
            LinkInput::Wake => {}
        }
        self.timers(now, out);
        self.deadline = self.next_deadline();
    }

    /// When the next `Wake` is due; in the past means at once.
    pub fn deadline(&self) -> Option<Duration> {
        self.deadline
    }

    fn start(&mut self, now: Duration, out: &mut Vec<LinkAction>) {
        self.started = true;
        self.core_at = now;
        self.next_beat = now;
        self.health.start(now);
        if !self.config.ping.is_empty() {
            self.next_ping = Some(now);
        }
        let generation = self.config.inc.generation;
        self.log(Level::Info, format!("Heartbeat generation: {generation}"), out);
    }

    fn command(&mut self, now: Duration, command: LinkCommand, out: &mut Vec<LinkAction>) {
        if self.left {
            return;
        }
        match command {
            LinkCommand::SetBeat(body) => {
                self.body = body;
                self.tick += 1;
                self.core_at = now;
                if self.core_failed {
                    self.core_failed = false;
                    self.next_beat = now;
                    self.log(Level::Warn, "the core makes progress again: heartbeats go on".into(), out);
                }
            }
            LinkCommand::BeatNow => self.next_beat = now,
            LinkCommand::Nodes(names) => self.config.nodes = names,
            LinkCommand::Send { to, inc, lane, payload } => {
                let who = (to, inc);
                let piece = self.config.media.iter().map(|m| m.piece).min().unwrap_or(1000);
                let compression = self.config.compression;
                let Some(peer) = self.peers.get_mut(&who) else { return };
                if peer.is_member()
                    && let Err(error) =
                        peer.lane(lane).sender.push(&stream::wrap(&payload, compression), piece)
                {
                    self.lose(now, who, error.why(), out);
                }
            }
            LinkCommand::Leave => {
                // Datagrams get lost; what repeats them later is the silence that follows.
                for _ in 0..3 {
                    self.send_all(now, &Body::Bye, out);
                }
                let packet = Packet::new().with("t", "shutdone").with("st", "dead");
                let packet = self.finish(now, packet);
                self.transmit(&packet, AuthField::Yes, &send::Route::All, out);
                self.left = true;
                self.peers.clear();
            }
        }
    }

    fn medium(&mut self, now: Duration, medium: usize, up: bool, out: &mut Vec<LinkAction>) {
        let Some(state) = self.media.get_mut(medium) else { return };
        let changed = state.up != up;
        state.up = up;
        state.tried = true;
        if up && self.status == "init" {
            self.set_status("up", out);
        }
        if up && changed {
            // The new medium carries a heartbeat at once.
            self.next_beat = now;
        }
        self.tell_carrier(out);
    }

    fn tell_carrier(&mut self, out: &mut Vec<LinkAction>) {
        let any = self.media.iter().any(|m| m.up && m.carrier);
        // At a start: what has not been opened yet is no reason to say that this node is cut off.
        if !any && self.media.iter().any(|m| m.carrier && !m.tried) {
            return;
        }
        if self.carrier_told != Some(any) {
            self.carrier_told = Some(any);
            out.push(LinkAction::Event(LinkEvent::Carrier { any }));
        }
    }

    fn set_status(&mut self, status: &'static str, out: &mut Vec<LinkAction>) {
        if self.status != status {
            self.status = status;
            self.log(Level::Info, format!("Local status now set to: '{status}'"), out);
        }
    }

    fn timers(&mut self, now: Duration, out: &mut Vec<LinkAction>) {
        if self.left {
            return;
        }
        if !self.core_failed && now >= self.core_at + self.config.deadtime {
            self.core_failed = true;
            let ms = now.saturating_sub(self.core_at).as_millis();
            self.log(Level::Crit, format!("no progress of the core for {ms} ms: heartbeats stop"), out);
            self.send_beat(now, out);
        }
        if !self.core_failed && now >= self.next_beat {
            self.send_beat(now, out);
        }
        self.wake_peers(now, out);
        self.wake_foreign(now, out);
        let mut deaths = Vec::new();
        self.with_log(out, |link, log| deaths = link.health.wake(now, log));
        for death in deaths {
            match death.kind {
                NodeKind::Normal => {}
                NodeKind::Foreign => {
                    let event = LinkEvent::Foreign { name: death.name, alive: false };
                    out.push(LinkAction::Event(event));
                }
                NodeKind::Ping => {
                    let event = LinkEvent::PingNode { name: death.name, reachable: false };
                    out.push(LinkAction::Event(event));
                }
            }
        }
        if self.status == "up" && self.health.all_known() {
            self.log(Level::Info, "Comm_now_up(): updating status to active".into(), out);
            self.set_status("active", out);
        }
        if self.next_ping.is_some_and(|at| at <= now) {
            self.next_ping = Some(now + self.config.keepalive);
            for target in 0..self.config.ping.len() {
                out.push(LinkAction::Ping { target });
            }
        }
        if let Some(line) = self.refused.report(now) {
            out.push(LinkAction::Log(line));
        }
        self.pump(now, out);
    }

    fn next_deadline(&self) -> Option<Duration> {
        if self.left {
            return None;
        }
        let core = (!self.core_failed).then_some(self.core_at + self.config.deadtime);
        let beat = (!self.core_failed).then_some(self.next_beat);
        [
            core,
            beat,
            self.peers_deadline(),
            self.foreign_deadline(),
            self.health.deadline(),
            self.next_ping,
            self.refused.deadline(),
            self.more_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn pong(&mut self, now: Duration, target: usize, out: &mut Vec<LinkAction>) {
        let Some(name) = self.config.ping.get(target).map(|p| p.name.clone()) else { return };
        let new = self.health.status_of(&name) != Some("ping");
        let deadping = self.config.deadping;
        self.with_log(out, |link, log| {
            link.health.status(now, &name, NodeKind::Ping, "ping", deadping, log);
        });
        if new {
            out.push(LinkAction::Event(LinkEvent::PingNode { name, reachable: true }));
        }
    }

    fn log(&self, level: Level, text: String, out: &mut Vec<LinkAction>) {
        out.push(LinkAction::Log(LogLine { level, text }));
    }

    fn with_log(&mut self, out: &mut Vec<LinkAction>, f: impl FnOnce(&mut Link, &mut Vec<LogLine>)) {
        let mut lines = Vec::new();
        f(self, &mut lines);
        out.extend(lines.into_iter().map(LinkAction::Log));
    }

    /// State for `cl_status` and monitors.
    pub fn report(&self) -> LinkReport {
        let name = |m: usize| self.config.media.get(m).map(|i| i.name.clone()).unwrap_or_default();
        let mut nodes: Vec<NodeReport> = self
            .health
            .list()
            .map(|(node, kind, status, links)| NodeReport {
                name: node.to_owned(),
                kind,
                status: status.to_owned(),
                links: links.into_iter().map(|(m, up)| (name(m), up)).collect(),
            })
            .collect();
        nodes.push(NodeReport {
            name: self.config.name.clone(),
            kind: NodeKind::Normal,
            status: self.status.to_owned(),
            links: self.media.iter().enumerate().map(|(m, s)| (name(m), s.up && s.carrier)).collect(),
        });
        nodes.sort_by(|a, b| a.name.cmp(&b.name));
        LinkReport {
            nodes,
            media: self.media.iter().enumerate().map(|(m, s)| (name(m), s.up, s.carrier)).collect(),
            refused: self.refused.list(),
        }
    }
}

#[cfg(test)]
mod tests;
