//! Building and addressing of packets.

use std::net::SocketAddr;
use std::time::Duration;

use super::peer::{LANES, Peer, REPLIES};
use super::{HISTORY, Link, LinkAction, MIN_PIECE};
use crate::seam::Lane;
use crate::wire::Packet;
use crate::wire::envelope::{self, AuthField, Format};
use crate::wire::frame::{BeatFrame, Body, Data, Echo, FIELD, Head, Who, short};

/// Where a packet goes.
#[derive(Debug, Clone)]
pub(super) enum Route {
    /// Everybody, on every medium.
    All,
    /// These media and addresses.
    To(Vec<(usize, Option<SocketAddr>)>),
}

impl Link {
    /// The fields every packet ends with (§7.7), without signature.
    pub(super) fn finish(&mut self, now: Duration, packet: Packet) -> Packet {
        let sequenced = !packet.text("t").is_some_and(|t| t.starts_with("NS_"));
        let mut packet =
            packet.with("src", &*self.config.name).with_binary("srcuuid", self.config.id.0.to_vec());
        if sequenced {
            self.seq += 1;
            packet = packet.with("seq", format!("{:x}", self.seq));
        }
        let wall = self.wall_at_zero.saturating_add(now.as_secs() as i64);
        packet =
            packet.with("hg", format!("{:x}", self.config.inc.generation)).with("ts", format!("{wall:x}"));
        if sequenced {
            packet = packet.with("ld", &*self.load);
        }
        let ttl = self.config.nodes.len() as u64 + u64::from(self.config.hopfudge);
        packet.with("ttl", ttl.to_string())
    }

    /// Signs and transmits on the media of the route, in the notation of each.
    pub(super) fn transmit(
        &mut self,
        packet: &Packet,
        auth: AuthField,
        route: &Route,
        out: &mut Vec<LinkAction>,
    ) {
        let packed = self.packed(packet);
        let sequenced = packet.get("seq").is_some();
        let packet = packed.as_ref().unwrap_or(packet);
        let netstring = self.put(packet, auth, route, out);
        if sequenced {
            let keys = &self.config.keys;
            let bytes = netstring.unwrap_or_else(|| envelope::encode(packet, Format::Netstring, auth, keys));
            self.history.push_back((self.seq, bytes));
            if self.history.len() > HISTORY {
                self.history.pop_front();
            }
        }
    }

    /// The packet compressed as a whole, where that is asked for and the packet long enough.
    fn packed(&self, packet: &Packet) -> Option<Packet> {
        let (algorithm, threshold) =
            self.config.compression.filter(|_| self.config.traditional_compression)?;
        envelope::pack(packet, algorithm, threshold)
    }

    /// As [`Link::transmit`], for packets that are not our own; answers the netstring form if made.
    pub(super) fn put(
        &self,
        packet: &Packet,
        auth: AuthField,
        route: &Route,
        out: &mut Vec<LinkAction>,
    ) -> Option<Vec<u8>> {
        let mut encoded: [Option<Vec<u8>>; 2] = [None, None];
        let targets: Vec<(usize, Option<SocketAddr>)> = match route {
            Route::All => (0..self.config.media.len()).map(|m| (m, None)).collect(),
            Route::To(targets) => targets.clone(),
        };
        for (medium, to) in targets {
            if !self.media.get(medium).is_some_and(|m| m.up) {
                continue;
            }
            let Some(info) = self.config.media.get(medium) else { continue };
            let [netstring, classic] = &mut encoded;
            let (slot, format) = match info.format {
                Format::Netstring => (netstring, Format::Netstring),
                Format::Classic => (classic, Format::Classic),
            };
            let keys = &self.config.keys;
            let bytes = slot.get_or_insert_with(|| envelope::encode(packet, format, auth, keys)).clone();
            out.push(LinkAction::Transmit { medium, to, bytes });
        }
        let [netstring, _] = encoded;
        netstring
    }

    /// A packet of the history once more on every medium, in the notation of each: a serial line knows no
    /// netstrings, and one that ends without a newline would spoil the next packet as well.
    pub(super) fn transmit_again(&self, netstring: &[u8], out: &mut Vec<LinkAction>) {
        let mut classic: Option<Vec<u8>> = None;
        for (medium, info) in self.config.media.iter().enumerate() {
            if !self.media.get(medium).is_some_and(|m| m.up) {
                continue;
            }
            let bytes = match info.format {
                Format::Netstring => netstring.to_vec(),
                Format::Classic => {
                    if classic.is_none() {
                        // Signed with a key that has been taken away since, it is of no use to anybody.
                        let Ok(opened) = envelope::open(netstring, &self.config.keys) else { continue };
                        let keys = &self.config.keys;
                        let bytes = envelope::encode(&opened.packet, info.format, AuthField::Yes, keys);
                        classic = Some(bytes);
                    }
                    classic.clone().unwrap_or_default()
                }
            };
            out.push(LinkAction::Transmit { medium, to: None, bytes });
        }
    }

    /// The frame around a body, encrypted if the key does that.
    pub(super) fn frame(&mut self, to: Option<Who>, body: &Body) -> Vec<u8> {
        self.counter += 1;
        let sealed = self.config.keys.seal_basis(self.config.keys.signing()).is_some();
        let head = Head { cluster: self.cluster, inc: self.config.inc, counter: self.counter, to, sealed };
        let mut clear = Vec::with_capacity(1400);
        head.encode(&mut clear);
        let mut text = Vec::with_capacity(1400);
        body.encode(&mut text);
        if sealed {
            let from = (self.config.id, self.config.inc);
            let sealed = self.sealer.seal(&self.config.keys, from, self.counter, &clear, &text);
            clear.extend_from_slice(&sealed.unwrap_or_default());
        } else {
            clear.extend_from_slice(&text);
        }
        clear
    }

    /// A frame to one peer, in a packet that real Heartbeats pass over.
    pub(super) fn send_to(
        &mut self,
        now: Duration,
        who: Who,
        body: &Body,
        route: Option<Route>,
        out: &mut Vec<LinkAction>,
    ) {
        let Some(peer) = self.peers.get(&who) else { return };
        let name = peer.name.clone();
        let route = route.unwrap_or_else(|| {
            let routes = peer.routes(now);
            if routes.is_empty() { Route::All } else { Route::To(routes) }
        });
        let frame = self.frame(Some(who), body);
        let packet = Packet::new().with("t", "NS_everbeat").with("dest", name).with_binary(FIELD, frame);
        let packet = self.finish(now, packet);
        self.transmit(&packet, AuthField::No, &route, out);
    }

    /// A frame to everybody which is not a heartbeat.
    pub(super) fn send_all(&mut self, now: Duration, body: &Body, out: &mut Vec<LinkAction>) {
        let frame = self.frame(None, body);
        let packet = Packet::new().with("t", "NS_everbeat").with_binary(FIELD, frame);
        let packet = self.finish(now, packet);
        self.transmit(&packet, AuthField::No, &Route::All, out);
    }

    /// One heartbeat on every medium.
    pub(super) fn send_beat(&mut self, now: Duration, out: &mut Vec<LinkAction>) {
        self.beat += 1;
        self.next_beat = now + self.config.beat_interval();
        let mut heard = Vec::new();
        for (who, peer) in &mut self.peers {
            peer.replies = REPLIES;
            if peer.is_member() {
                heard.push(Echo {
                    who: short(*who),
                    beat: peer.beat,
                    tick: peer.tick,
                    age: now.saturating_sub(peer.tick_at),
                });
            }
        }
        let beat = BeatFrame {
            deadtime: self.config.deadtime,
            beat: self.beat,
            tick: self.tick,
            core_failed: self.core_failed,
            heard,
            body: self.body.0.clone(),
        };
        let frame = self.frame(None, &Body::Beat(beat));
        let packet = Packet::new()
            .with("t", "status")
            .with("st", self.status)
            .with("dt", format!("{:x}", self.config.deadtime.as_millis()))
            .with("protocol", "1")
            .with_binary(FIELD, frame);
        let packet = self.finish(now, packet);
        self.transmit(&packet, AuthField::Yes, &Route::All, out);
    }

    /// Sends acknowledgements that are due and as much data as pace and windows allow: all that is talk
    /// first, bulk with what is left.
    pub(super) fn pump(&mut self, now: Duration, out: &mut Vec<LinkAction>) {
        let due = |p: &Peer| p.lanes().iter().any(|s| s.receiver.deadline().is_some_and(|at| at <= now));
        let busy = |p: &Peer| p.ready() || due(p);
        let mut whos: Vec<Who> = self.peers.iter().filter(|(_, p)| busy(p)).map(|(w, _)| *w).collect();
        self.more_at = None;
        if whos.is_empty() {
            return;
        }
        // Whoever is served first on a slow medium is another one each time.
        let turn = self.counter as usize % whos.len();
        whos.rotate_left(turn);
        for &who in &whos {
            for lane in LANES {
                let Some(peer) = self.peers.get_mut(&who) else { continue };
                if let Some(session) = peer.handshake.held()
                    && let Some(ack) = peer.lane(lane).receiver.acknowledge(now, session, lane)
                {
                    self.send_to(now, who, &Body::Ack(ack), None, out);
                }
            }
        }
        self.refill(now);
        let mut budget = 64u32;
        for lane in LANES {
            let mut progress = true;
            while progress && budget > 0 {
                progress = false;
                for &who in &whos {
                    if budget > 0 && self.send_piece(now, who, lane, out) {
                        budget -= 1;
                        progress = true;
                    }
                }
            }
        }
        if self.more_at.is_none() && self.peers.values().any(|p| p.is_member() && p.ready()) {
            self.more_at = Some(now);
        }
    }

    fn refill(&mut self, now: Duration) {
        for (info, medium) in self.config.media.iter().zip(&mut self.media) {
            let passed = now.saturating_sub(medium.filled_at).as_secs_f64();
            // Two milliseconds' worth or one packet, so that heartbeats never wait behind a burst.
            let burst = (info.rate as f64 / 500.0).max(info.piece as f64 * 2.0);
            medium.tokens = (medium.tokens + passed * info.rate as f64).min(burst);
            medium.filled_at = now;
        }
    }

    /// Sends one piece of the lane to the peer if it has one and its medium may send now.
    fn send_piece(&mut self, now: Duration, who: Who, lane: Lane, out: &mut Vec<LinkAction>) -> bool {
        let Some(peer) = self.peers.get_mut(&who) else { return false };
        let Some(session) = peer.handshake.held() else { return false };
        if !peer.is_member() || !peer.lane(lane).sender.ready() {
            return false;
        }
        let mut routes = peer.routes(now);
        let rate = |m: usize| self.config.media.get(m).map_or(0, |i| i.rate);
        routes.retain(|(m, _)| self.media.get(*m).is_some_and(|s| s.up));
        routes.sort_by_key(|(m, _)| std::cmp::Reverse(rate(*m)));
        let Some((first, _)) = routes.first().copied() else { return false };
        let Some(medium) = self.media.get_mut(first) else { return false };
        if medium.tokens <= 0.0 {
            let wait = Duration::from_secs_f64((1.0 - medium.tokens) / rate(first).max(1) as f64);
            let at = now + wait;
            self.more_at = Some(self.more_at.map_or(at, |old| old.min(at)));
            return false;
        }
        let Some(piece) = peer.lane(lane).sender.take(now) else { return false };
        medium.tokens -= (piece.bytes.len() + MIN_PIECE) as f64;
        let route = if piece.alone && piece.before == 0 && lane == Lane::Talk {
            routes
        } else {
            let at = piece.before as usize % routes.len();
            routes.get(at).copied().into_iter().collect()
        };
        let data = Data { session, lane, seq: piece.seq, last: piece.last, bytes: piece.bytes };
        self.send_to(now, who, &Body::Data(data), Some(Route::To(route)), out);
        true
    }
}
