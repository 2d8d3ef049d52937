//! From an open session to a member: restarts, duplicates, and the end of sessions.

use std::time::Duration;

use super::peer::Standing;
use super::{Level, Link, LinkAction};
use crate::seam::{DuplicateWhat, LinkEvent};
use crate::wire::frame::{Body, RefuseWhy, Who};

impl Link {
    /// A member that is there and has the id or the name of `who`.
    pub(super) fn blocker(&self, now: Duration, who: Who) -> Option<(Who, DuplicateWhat)> {
        let name = &self.peers.get(&who)?.name;
        if *name == self.config.name && who.0 != self.config.id {
            return Some(((self.config.id, self.config.inc), DuplicateWhat::Name));
        }
        self.peers.iter().find_map(|(other, peer)| {
            if *other == who || !peer.is_member() || peer.last + peer.deadtime <= now {
                return None;
            }
            if other.0 == who.0 {
                Some((*other, DuplicateWhat::Uuid))
            } else if peer.name == *name {
                Some((*other, DuplicateWhat::Name))
            } else {
                None
            }
        })
    }

    /// A session with `who` became usable: decide whether it becomes a member.
    pub(super) fn established(&mut self, now: Duration, who: Who, out: &mut Vec<LinkAction>) {
        let blocker = self.blocker(now, who);
        let probe = self.rng.draw();
        let Some(peer) = self.peers.get_mut(&who) else { return };
        peer.fresh_streams();
        if peer.is_member() {
            let why = "the peer began a new session";
            out.push(LinkAction::Event(LinkEvent::SessionLost { peer: who.0, inc: who.1, why }));
            return self.announce(who, out);
        }
        let theirs = peer.address();
        if who.0 == self.config.id {
            peer.standing = Standing::Refused;
            let addresses = [theirs, "this node".to_owned()];
            let why = RefuseWhy::DuplicateUuid;
            self.send_to(now, who, &Body::Refuse { why, address: "a running node".to_owned() }, None, out);
            return self.duplicate(now, DuplicateWhat::Uuid, addresses, out);
        }
        match blocker {
            None => self.admit_peer(who, out),
            Some((first, DuplicateWhat::Uuid)) => {
                // A restart and a clone look alike until the first is asked (R3.3).
                let until = now + 2 * self.config.beat_interval();
                peer.standing = Standing::Waiting { probe, until };
                self.send_to(now, first, &Body::Probe(probe), None, out);
            }
            Some((first, DuplicateWhat::Name)) => {
                peer.standing = Standing::Refused;
                self.refuse(now, who, first, DuplicateWhat::Name, out);
            }
        }
    }

    /// The incarnation that was asked whether it is there answered.
    pub(super) fn probe_answered(
        &mut self,
        now: Duration,
        first: Who,
        nonce: u64,
        out: &mut Vec<LinkAction>,
    ) {
        let asked = |s: Standing| matches!(s, Standing::Waiting { probe, .. } if probe == nonce);
        let second = self.peers.iter().find(|(w, p)| w.0 == first.0 && **w != first && asked(p.standing));
        let Some((&second, _)) = second else { return };
        if let Some(peer) = self.peers.get_mut(&second) {
            peer.standing = Standing::Refused;
        }
        self.refuse(now, second, first, DuplicateWhat::Uuid, out);
    }

    fn refuse(
        &mut self,
        now: Duration,
        second: Who,
        first: Who,
        what: DuplicateWhat,
        out: &mut Vec<LinkAction>,
    ) {
        let address = |link: &Link, who: Who| {
            link.peers.get(&who).map_or_else(|| "this node".to_owned(), super::peer::Peer::address)
        };
        let addresses = [address(self, first), address(self, second)];
        let why = match what {
            DuplicateWhat::Uuid => RefuseWhy::DuplicateUuid,
            DuplicateWhat::Name => RefuseWhy::DuplicateName,
        };
        let [first_address, _] = &addresses;
        self.send_to(now, second, &Body::Refuse { why, address: first_address.clone() }, None, out);
        let name = self.peers.get(&second).map(|p| p.name.clone()).unwrap_or_default();
        self.report_duplicate(now, what, name, addresses, out);
    }

    /// This node is one of the two.
    pub(super) fn duplicate(
        &mut self,
        now: Duration,
        what: DuplicateWhat,
        addresses: [String; 2],
        out: &mut Vec<LinkAction>,
    ) {
        let name = self.config.name.clone();
        self.report_duplicate(now, what, name, addresses, out);
    }

    fn report_duplicate(
        &mut self,
        now: Duration,
        what: DuplicateWhat,
        name: String,
        addresses: [String; 2],
        out: &mut Vec<LinkAction>,
    ) {
        let key = (what, name.clone());
        if self.told_duplicates.get(&key).is_some_and(|at| now < *at + self.config.deadtime) {
            return;
        }
        if self.told_duplicates.len() >= 64 {
            self.told_duplicates.clear();
        }
        self.told_duplicates.insert(key, now);
        let [a, b] = &addresses;
        let text = match what {
            DuplicateWhat::Uuid => format!(
                "node {name}: two machines have the same hb_uuid ({a} and {b}), as after cloning a disk; \
                 remove /var/lib/heartbeat/hb_uuid on the wrong one and start it again"
            ),
            DuplicateWhat::Name => {
                format!("two machines are named {name} ({a} and {b}); rename one of them")
            }
        };
        self.log(Level::Error, text, out);
        out.push(LinkAction::Event(LinkEvent::Duplicate { what, name, addresses }));
    }

    /// Makes the peer a member; earlier incarnations of its node end.
    pub(super) fn admit_peer(&mut self, who: Who, out: &mut Vec<LinkAction>) {
        let earlier: Vec<Who> = self.peers.keys().copied().filter(|w| w.0 == who.0 && w.1 != who.1).collect();
        let restarted = self.generations.contains_key(&who.0);
        let name = self.peers.get(&who).map(|p| p.name.clone()).unwrap_or_default();
        for old in earlier {
            let gone = self.peers.remove(&old);
            if gone.is_some_and(|p| p.is_member()) {
                let why = "the node restarted";
                out.push(LinkAction::Event(LinkEvent::SessionLost { peer: old.0, inc: old.1, why }));
            }
        }
        if restarted && self.last_inc.get(&who.0) != Some(&who.1) {
            self.log(Level::Warn, format!("Heartbeat restart on node {name}"), out);
        }
        let highest = self.generations.entry(who.0).or_insert(0);
        *highest = (*highest).max(who.1.generation);
        if self.health.take_died(&name) && self.last_inc.get(&who.0) == Some(&who.1) {
            self.returned(&name, out);
        }
        self.last_inc.insert(who.0, who.1);
        if let Some(peer) = self.peers.get_mut(&who) {
            peer.standing = Standing::Member;
        }
        self.announce(who, out);
    }

    /// A node that was dead is there again, and was there all the time (§11.5).
    pub(super) fn returned(&self, name: &str, out: &mut Vec<LinkAction>) {
        self.log(Level::Crit, format!("Cluster node {name} returning after partition."), out);
        self.log(Level::Info, "Deadtime value may be too small.".to_owned(), out);
    }

    fn announce(&mut self, who: Who, out: &mut Vec<LinkAction>) {
        let Some(peer) = self.peers.get(&who) else { return };
        let event = LinkEvent::SessionUp {
            peer: who.0,
            inc: who.1,
            name: peer.name.clone(),
            address: peer.address(),
        };
        out.push(LinkAction::Event(event));
    }

    /// Ends the session with a member on this side; the next handshake tells the other end.
    pub(super) fn lose(&mut self, now: Duration, who: Who, why: &'static str, out: &mut Vec<LinkAction>) {
        let Some(peer) = self.peers.get_mut(&who) else { return };
        let was_member = peer.is_member();
        peer.standing = Standing::Candidate;
        peer.reset();
        if was_member {
            let name = peer.name.clone();
            if why != SILENT {
                self.log(Level::Error, format!("session with node {name} lost: {why}"), out);
            }
            out.push(LinkAction::Event(LinkEvent::SessionLost { peer: who.0, inc: who.1, why }));
            if why != SILENT {
                self.send_hello(now, who, out);
            }
        }
    }

    /// Timers of peers: silence, probes without answer, repeated handshakes, retransmission.
    pub(super) fn wake_peers(&mut self, now: Duration, out: &mut Vec<LinkAction>) {
        let whos: Vec<Who> = self.peers.keys().copied().collect();
        for who in whos {
            let Some(peer) = self.peers.get_mut(&who) else { continue };
            peer.talk.sender.wake(now);
            peer.bulk.sender.wake(now);
            let silent = peer.last + peer.deadtime <= now;
            match peer.standing {
                Standing::Member if silent => self.lose(now, who, SILENT, out),
                Standing::Waiting { until, .. } if until <= now => self.admit_peer(who, out),
                Standing::Candidate if !silent && peer.handshake.attempting() && peer.hello_at <= now => {
                    self.send_hello(now, who, out);
                }
                _ if now >= peer.last + 4 * peer.deadtime => {
                    self.peers.remove(&who);
                }
                _ => {}
            }
        }
    }

    /// When [`Link::wake_peers`] is due.
    pub(super) fn peers_deadline(&self) -> Option<Duration> {
        self.peers
            .values()
            .filter_map(|peer| {
                let silence = peer.last + peer.deadtime;
                let standing = match peer.standing {
                    Standing::Member => Some(silence),
                    Standing::Waiting { until, .. } => Some(until),
                    Standing::Candidate if peer.handshake.attempting() && peer.hello_at < silence => {
                        Some(peer.hello_at)
                    }
                    _ => Some(peer.last + 4 * peer.deadtime),
                };
                let lanes = peer.lanes().into_iter().filter(|_| peer.is_member());
                let streams = lanes.flat_map(|s| [s.sender.deadline(), s.receiver.deadline()]);
                standing.into_iter().chain(streams.flatten()).min()
            })
            .min()
    }
}

/// Reason of a session ended by silence of a dead time.
const SILENT: &str = "silent";
