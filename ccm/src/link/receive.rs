//! Admission of packets: signature, cluster, sender, decryption, class; then what each class does.

use std::net::SocketAddr;
use std::time::Duration;

use super::peer::{Peer, PeerLink, Standing};
use super::refused::Cause;
use super::send::Route;
use super::session::Admitted;
use super::{Autojoin, Level, Link, LinkAction, MAX_PEERS, NodeKind};
use crate::seam::{Beat, BeatBody, DuplicateWhat, Heard, LinkEvent, NodeId};
use crate::wire::Packet;
use crate::wire::envelope::{self, AuthField, Opened};
use crate::wire::frame::{BeatFrame, Body, Data, FIELD, Head, Hello, RefuseWhy, Who, short};

/// Where a packet came from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    pub medium: usize,
    pub from: Option<SocketAddr>,
}

impl Link {
    /// Takes a datagram.
    pub(super) fn packet(&mut self, now: Duration, origin: Origin, bytes: &[u8], out: &mut Vec<LinkAction>) {
        let ip = origin.from.map(|a| a.ip());
        let opened = match envelope::open(bytes, &self.config.keys) {
            Ok(opened) => opened,
            Err(refusal) => return self.refused.count(ip, refusal.into(), ""),
        };
        let name = opened.packet.text("src").unwrap_or_default().to_owned();
        if name.is_empty() || opened.packet.text("t").is_none() {
            return self.refused.count(ip, Cause::Fields, &name);
        }
        if self.allowed.as_ref().is_some_and(|names| name != self.config.name && !names.contains(&name)) {
            return;
        }
        self.forward(origin, &name, &opened.packet, out);
        if let Err(cause) = self.admit(now, origin, &name, opened, out) {
            self.refused.count(ip, cause, &name);
        }
    }

    /// Sends a packet of a ring on to the other lines, once, with its `ttl` counted down. The
    /// signature covers `ttl`, so it is made anew.
    fn forward(&mut self, origin: Origin, name: &str, packet: &Packet, out: &mut Vec<LinkAction>) {
        let forwards = |m: usize| self.config.media.get(m).is_some_and(|i| i.forward);
        if !forwards(origin.medium) || name == self.config.name {
            return;
        }
        if packet.text("dest").is_some_and(|d| d == self.config.name) {
            return;
        }
        let targets: Vec<(usize, Option<SocketAddr>)> = (0..self.config.media.len())
            .filter(|&m| m != origin.medium && forwards(m))
            .map(|m| (m, None))
            .collect();
        let ttl = packet.text("ttl").and_then(|t| t.parse::<u32>().ok()).unwrap_or(0);
        if ttl <= 1 || targets.is_empty() {
            return;
        }
        let mark = mark_of(packet);
        if self.forwarded.contains(&mark) {
            return;
        }
        self.forwarded.push_back(mark);
        if self.forwarded.len() > 256 {
            self.forwarded.pop_front();
        }
        let mut packet = packet.clone();
        packet.remove("auth");
        packet.set("ttl", (ttl - 1).to_string());
        self.put(&packet, AuthField::Yes, &Route::To(targets), out);
    }

    fn admit(
        &mut self,
        now: Duration,
        origin: Origin,
        name: &str,
        opened: Opened,
        out: &mut Vec<LinkAction>,
    ) -> Result<(), Cause> {
        let Opened { packet, key } = opened;
        let Some(frame) = packet.binary(FIELD) else {
            return self.foreign_packet(now, origin, name, &packet, out);
        };
        let id: [u8; 16] = packet.binary("srcuuid").and_then(|b| b.try_into().ok()).ok_or(Cause::Fields)?;
        let (head, clear, text) = Head::decode(frame)?;
        let who = (NodeId(id), head.inc);
        let me = (self.config.id, self.config.inc);
        if who == me {
            // Our own broadcast come back.
            return Ok(());
        }
        if head.cluster != self.cluster {
            return Err(Cause::Cluster);
        }
        match head.to {
            Some((id, _)) if id != me.0 => return Ok(()),
            Some(to) if to != me => return Err(Cause::Stale),
            _ => {}
        }
        if self.config.autojoin == Autojoin::None && !self.config.nodes.iter().any(|n| n == name) {
            self.refuse_stranger(now, origin, name, who, out);
            return Err(Cause::NotANode);
        }
        let body = if head.sealed {
            let plain = self.sealer.open(&self.config.keys, key, who, head.counter, clear, text);
            Body::decode(&plain.ok_or(Cause::Seal)?)?
        } else {
            Body::decode(text)?
        };
        if !self.peers.contains_key(&who) {
            if !matches!(body, Body::Beat(_) | Body::Hello(_)) {
                return Ok(());
            }
            if self.peers.len() >= MAX_PEERS {
                return Err(Cause::TooManyNodes);
            }
            self.peers.insert(who, Peer::new(name, now, self.config.deadtime));
        }
        match body {
            Body::Beat(beat) => {
                let status = packet.text("st").unwrap_or("active").to_owned();
                self.beat_heard(now, origin, who, beat, &status, out);
            }
            Body::Hello(hello) => self.hello_heard(now, origin, who, &hello, out),
            Body::Data(data) => self.data_heard(now, who, data, out),
            Body::Ack(ack) => {
                if let Some(peer) = self.peers.get_mut(&who) {
                    match peer.handshake.admits(ack.session) {
                        Admitted::Held => peer.lane(ack.lane).sender.acknowledged(now, &ack),
                        Admitted::Established => self.established(now, who, out),
                        Admitted::No => {}
                    }
                }
            }
            Body::Bye => self.bye_heard(who, out),
            Body::Probe(nonce) => {
                let routes = None;
                self.send_to(now, who, &Body::ProbeAck(nonce), routes, out);
            }
            Body::ProbeAck(nonce) => self.probe_answered(now, who, nonce, out),
            Body::Refuse { why, address } => {
                let what = match why {
                    RefuseWhy::DuplicateUuid => DuplicateWhat::Uuid,
                    RefuseWhy::DuplicateName => DuplicateWhat::Name,
                    RefuseWhy::NotANode => {
                        self.taken_out(now, who, name, out);
                        return Ok(());
                    }
                };
                self.duplicate(now, what, [address, "this node".to_owned()], out);
            }
        }
        Ok(())
    }

    fn beat_heard(
        &mut self,
        now: Duration,
        origin: Origin,
        who: Who,
        frame: BeatFrame,
        status: &str,
        out: &mut Vec<LinkAction>,
    ) {
        let blocked = self.blocker(now, who).is_some();
        let Some(peer) = self.peers.get_mut(&who) else { return };
        if peer.standing == Standing::Left {
            return;
        }
        if peer.standing == Standing::Refused && !blocked && who.0 != self.config.id {
            peer.standing = Standing::Candidate;
            peer.reset();
        }
        let link = peer.links.entry(origin.medium).or_insert(PeerLink {
            address: origin.from,
            beat: 0,
            last: Duration::ZERO,
        });
        let fresh_here = frame.beat > link.beat;
        if fresh_here {
            *link = PeerLink { address: origin.from, beat: frame.beat, last: now };
        }
        let newest = frame.beat > peer.beat;
        if newest {
            peer.beat = frame.beat;
            peer.last = now;
            peer.deadtime = frame.deadtime.max(std::time::Duration::from_millis(1));
            if frame.tick > peer.tick {
                peer.tick = frame.tick;
                peer.tick_at = now;
            }
        }
        if !peer.is_member() {
            let waits = peer.standing == Standing::Candidate && now >= peer.hello_at;
            if newest && waits && peer.handshake.held().is_none() {
                self.send_hello(now, who, out);
            }
            return;
        }
        let name = peer.name.clone();
        let deadtime = peer.deadtime;
        let failed = frame.core_failed && !std::mem::replace(&mut peer.core_failed, frame.core_failed);
        if failed {
            self.log(
                Level::Error,
                format!("node {name}: its core makes no progress, its heartbeats stop"),
                out,
            );
        }
        if newest {
            self.with_log(out, |link, log| {
                link.health.status(now, &name, NodeKind::Normal, status, deadtime, log);
            });
        }
        if fresh_here {
            self.with_log(out, |link, log| link.health.heard_on(now, &name, origin.medium, log));
        }
        if newest {
            let beat = self.resolve(who, &name, frame);
            out.push(LinkAction::Event(LinkEvent::Beat { at: now, beat }));
        }
    }

    /// The echo in full: entries about nodes unknown here are left out.
    fn resolve(&self, who: Who, name: &str, frame: BeatFrame) -> Beat {
        let me = (self.config.id, self.config.inc);
        let known: Vec<(u64, Who)> = self.peers.keys().copied().chain([me]).map(|w| (short(w), w)).collect();
        let heard = frame
            .heard
            .iter()
            .filter_map(|e| {
                let (_, (id, inc)) = known.iter().find(|(s, _)| *s == e.who)?;
                Some(Heard { id: *id, inc: *inc, beat: e.beat, tick: e.tick, age: e.age })
            })
            .collect();
        Beat {
            id: who.0,
            name: name.to_owned(),
            inc: who.1,
            deadtime: frame.deadtime,
            beat: frame.beat,
            tick: frame.tick,
            heard,
            body: BeatBody(frame.body),
        }
    }

    pub(super) fn send_hello(&mut self, now: Duration, who: Who, out: &mut Vec<LinkAction>) {
        let pause = (self.config.beat_interval() / 2).max(Duration::from_millis(5));
        let known = self.generations.get(&who.0).copied().unwrap_or(0);
        let Some(peer) = self.peers.get_mut(&who) else { return };
        peer.hello_at = now + pause;
        let hello = Hello { known_generation: known, ..peer.handshake.hello(&mut self.rng) };
        self.send_to(now, who, &Body::Hello(hello), None, out);
    }

    fn hello_heard(
        &mut self,
        now: Duration,
        origin: Origin,
        who: Who,
        hello: &Hello,
        out: &mut Vec<LinkAction>,
    ) {
        let known = self.generations.get(&who.0).copied().unwrap_or(0);
        let Some(peer) = self.peers.get_mut(&who) else { return };
        if peer.standing == Standing::Left {
            return;
        }
        peer.links.entry(origin.medium).or_insert(PeerLink { address: origin.from, beat: 0, last: now });
        let outcome = peer.handshake.take(hello, &mut self.rng);
        if let Some(reply) = outcome.reply
            && peer.replies > 0
        {
            peer.replies -= 1;
            let reply = Hello { known_generation: known, ..reply };
            self.send_to(now, who, &Body::Hello(reply), None, out);
        }
        if outcome.established {
            self.established(now, who, out);
        }
        let proven = self.peers.get(&who).is_some_and(|p| p.handshake.held().is_some());
        if proven && hello.known_generation > self.config.inc.generation && who.0 != self.config.id {
            let known = hello.known_generation;
            if self.told_generation < known {
                self.told_generation = known;
                out.push(LinkAction::Event(LinkEvent::OldGeneration { known }));
            }
        }
    }

    fn data_heard(&mut self, now: Duration, who: Who, data: Data, out: &mut Vec<LinkAction>) {
        let Some(peer) = self.peers.get_mut(&who) else { return };
        match peer.handshake.admits(data.session) {
            Admitted::Held => {}
            Admitted::Established => self.established(now, who, out),
            Admitted::No => {
                // The peer holds a session that ended here, or both hold different ones because the last
                // message of a handshake was lost: they find together by a handshake. If they hold the
                // same, and this frame is an old one, that changes nothing.
                let known = peer.standing == Standing::Member || peer.standing == Standing::Candidate;
                if known && now >= peer.hello_at {
                    self.send_hello(now, who, out);
                }
                return;
            }
        }
        let Some(peer) = self.peers.get_mut(&who) else { return };
        if !peer.is_member() {
            // Not acknowledged: it comes again once the standing is clear.
            return;
        }
        let mut messages = Vec::new();
        let taken = peer.lane(data.lane).receiver.take(now, data, &mut messages);
        for payload in messages {
            out.push(LinkAction::Event(LinkEvent::Message { from: who.0, inc: who.1, payload }));
        }
        if let Err(error) = taken {
            self.lose(now, who, error.why(), out);
        }
    }

    fn bye_heard(&mut self, who: Who, out: &mut Vec<LinkAction>) {
        let Some(peer) = self.peers.get_mut(&who) else { return };
        let was_member = peer.is_member();
        let name = peer.name.clone();
        peer.standing = Standing::Left;
        peer.reset();
        if was_member {
            self.with_log(out, |link, log| link.health.left(&name, log));
            out.push(LinkAction::Event(LinkEvent::Left { peer: who.0, inc: who.1 }));
        }
    }
}

/// What tells a packet from others whatever its `ttl`: a digest of all but `ttl` and `auth`.
fn mark_of(packet: &Packet) -> u64 {
    use sha2::{Digest, Sha256};
    let mut packet = packet.clone();
    packet.remove("auth");
    let mut text = Vec::new();
    crate::wire::classic::lines(&packet, "ttl", &mut text);
    Sha256::digest(&text).iter().take(8).fold(0u64, |n, &b| (n << 8) | u64::from(b))
}
