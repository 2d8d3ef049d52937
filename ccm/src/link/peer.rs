//! What the link keeps of one incarnation of another node.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::session::Handshake;
use super::stream::{Receiver, Sender};
use crate::seam::Lane;

/// How far a peer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Heard; no session yet.
    Candidate,
    /// Its session is open; whether the incarnation known so far still answers decides (R3.3).
    Waiting { probe: u64, until: Duration },
    /// Announced to the core.
    Member,
    /// Has the id or name of a member that is there.
    Refused,
    /// Said that it leaves.
    Left,
}

/// One medium on which the peer was heard.
#[derive(Debug, Clone, Copy)]
pub(super) struct PeerLink {
    pub address: Option<SocketAddr>,
    /// Highest beat heard on it: a repeated recording does not keep it up.
    pub beat: u64,
    pub last: Duration,
}

/// Both halves of one lane.
#[derive(Debug, Default)]
pub(super) struct Stream {
    pub sender: Sender,
    pub receiver: Receiver,
}

/// In the order in which they are served.
pub(super) const LANES: [Lane; 2] = [Lane::Talk, Lane::Bulk];

#[derive(Debug)]
pub(super) struct Peer {
    pub name: String,
    pub standing: Standing,
    pub beat: u64,
    pub tick: u64,
    /// Arrival of the first beat with that tick.
    pub tick_at: Duration,
    /// Arrival of the newest beat.
    pub last: Duration,
    pub deadtime: Duration,
    pub core_failed: bool,
    pub handshake: Handshake,
    /// No `Hello` of our own before this.
    pub hello_at: Duration,
    /// Answers to `Hello`s left until the next beat of ours: bounds what a flood can cause.
    pub replies: u32,
    pub talk: Stream,
    pub bulk: Stream,
    pub links: BTreeMap<usize, PeerLink>,
}

impl Peer {
    pub fn new(name: &str, now: Duration, deadtime: Duration) -> Peer {
        Peer {
            name: name.to_owned(),
            standing: Standing::Candidate,
            beat: 0,
            tick: 0,
            tick_at: now,
            last: now,
            deadtime,
            core_failed: false,
            handshake: Handshake::default(),
            hello_at: Duration::ZERO,
            replies: REPLIES,
            talk: Stream::default(),
            bulk: Stream::default(),
            links: BTreeMap::new(),
        }
    }

    pub fn is_member(&self) -> bool {
        self.standing == Standing::Member
    }

    pub fn lane(&mut self, lane: Lane) -> &mut Stream {
        match lane {
            Lane::Talk => &mut self.talk,
            Lane::Bulk => &mut self.bulk,
        }
    }

    pub fn lanes(&self) -> [&Stream; 2] {
        [&self.talk, &self.bulk]
    }

    /// Whether a lane has something to send at once.
    pub fn ready(&self) -> bool {
        self.lanes().iter().any(|s| s.sender.ready())
    }

    /// Where it was last heard from, for messages to people.
    pub fn address(&self) -> String {
        let newest = self.links.values().max_by_key(|l| l.last);
        newest.and_then(|l| l.address).map_or_else(|| "a serial line".to_owned(), |a| a.ip().to_string())
    }

    /// Forgets the session and everything in it.
    pub fn reset(&mut self) {
        self.handshake.end();
        self.fresh_streams();
    }

    pub fn fresh_streams(&mut self) {
        self.talk = Stream::default();
        self.bulk = Stream::default();
    }

    /// Media on which it is heard, those with the newest packets first.
    pub fn routes(&self, now: Duration) -> Vec<(usize, Option<SocketAddr>)> {
        let alive = |l: &PeerLink| l.last + self.deadtime > now;
        self.links.iter().filter(|(_, l)| alive(l)).map(|(m, l)| (*m, l.address)).collect()
    }
}

/// Answers to one peer's `Hello`s between two beats of ours.
pub(super) const REPLIES: u32 = 16;
