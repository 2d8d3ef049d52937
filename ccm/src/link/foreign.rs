//! Real Heartbeats on the wire: shown, never counted (protocol 17.4), and treated as their protocol
//! wants it, so that their logs stay quiet: acknowledgements, retransmission in both directions, node
//! lists, client queries (specification §9.2, §10, §11).
//!
//! Nothing in their protocol proves that a packet is of now: what they send again on request is the same
//! bytes, and clocks may differ. So a recording shows a foreign node until a newer generation was heard
//! from it; that errs on the safe side, for where a foreign node is, nothing starts.

use std::collections::BTreeMap;
use std::time::Duration;

use super::receive::Origin;
use super::refused::Cause;
use super::send::Route;
use super::{Autojoin, Level, Link, LinkAction, NodeKind};
use crate::seam::LinkEvent;
use crate::wire::Packet;
use crate::wire::envelope::AuthField;

/// A longer gap is given up as a whole (§10.2.7, 3.0.6).
const MOST_MISSING: u64 = 250;
/// Packets sent again for one request at most (§10.5.4).
const MOST_RESENT: u64 = 50;
/// Requests for one packet before it is given up.
const MOST_ASKED: u32 = 40;
/// Shortest time between two lines about one node's requests that cannot be met.
const COMPLAINTS: Duration = Duration::from_secs(1);

/// A packet not received.
#[derive(Debug, Clone, Copy)]
struct Missing {
    ask_at: Duration,
    asked: u32,
}

/// What is remembered of one real Heartbeat.
#[derive(Debug, Default)]
struct Node {
    uuid: Vec<u8>,
    generation: u64,
    /// Highest sequence number heard.
    highest: u64,
    missing: BTreeMap<u64, Missing>,
    alive: bool,
    /// Highest packet of our own it says it has, with all before it.
    acknowledged: u64,
    /// When it was last told of packets of our own that they are gone.
    refused: BTreeMap<u64, Duration>,
    complained: Option<Duration>,
}

/// All of them, by name.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    nodes: BTreeMap<String, Node>,
    /// When packets of our own were last sent again.
    resent: BTreeMap<u64, Duration>,
}

impl Link {
    /// Takes a packet without a frame of ours.
    pub(super) fn foreign_packet(
        &mut self,
        now: Duration,
        origin: Origin,
        name: &str,
        packet: &Packet,
        out: &mut Vec<LinkAction>,
    ) -> Result<(), Cause> {
        // A member's own packets carry frames; one without is not from it.
        if name == self.config.name || self.peers.values().any(|p| p.is_member() && p.name == name) {
            return Ok(());
        }
        if self.config.autojoin == Autojoin::None && !self.config.nodes.iter().any(|n| n == name) {
            return Err(Cause::NotANode);
        }
        if self.foreign.nodes.len() >= 64 && !self.foreign.nodes.contains_key(name) {
            return Err(Cause::TooManyNodes);
        }
        let kind = packet.text("t").unwrap_or_default();
        // Its value is of no use: the clocks of nodes differ.
        packet.get("ts").ok_or(Cause::Fields)?;
        let generation = packet.hex("hg").ok_or(Cause::Fields)?;
        let node = self.foreign.nodes.entry(name.to_owned()).or_default();
        if generation < node.generation {
            return Err(Cause::OldGeneration);
        }
        let to_me = packet.text("dest").is_some_and(|d| d == self.config.name);
        if kind.starts_with("NS_") {
            if to_me && generation == node.generation {
                self.control(now, name, kind, packet, out);
            }
            return Ok(());
        }
        let seq = packet.hex("seq").ok_or(Cause::Fields)?;
        if generation > node.generation {
            let restarted = node.generation != 0;
            *node = Node { generation, alive: node.alive, ..Node::default() };
            node.uuid = packet.binary("srcuuid").unwrap_or_default().to_vec();
            if restarted {
                self.log(Level::Warn, format!("Heartbeat restart on node {name}"), out);
            }
        }
        let fresh = self.sequence(now, name, seq, out);
        self.with_log(out, |link, log| link.health.heard_on(now, name, origin.medium, log));
        if fresh {
            self.deliver(now, name, kind, to_me, packet, out);
        }
        Ok(())
    }

    /// Sequence accounting (§10.2): whether the packet is new.
    fn sequence(&mut self, now: Duration, name: &str, seq: u64, out: &mut Vec<LinkAction>) -> bool {
        let delay = self.request_delay();
        let Some(node) = self.foreign.nodes.get_mut(name) else { return false };
        let mut lines = Vec::new();
        let fresh = if seq <= node.highest {
            let found = node.missing.remove(&seq).is_some();
            if found && node.missing.is_empty() {
                lines.push((Level::Info, format!("No pkts missing from {name}!")));
            }
            found
        } else {
            let last = node.highest;
            let lost = seq - last - 1;
            if last > 0 && lost > MOST_MISSING {
                lines.push((Level::Error, format!("lost a lot of packets! ({lost} of {name})")));
                node.missing.clear();
            } else if last > 0 && lost > 0 {
                lines.push((Level::Warn, format!("{lost} lost packet(s) for [{name}] [{last}:{seq}]")));
                for gap in last + 1..seq {
                    node.missing.insert(gap, Missing { ask_at: now + delay, asked: 0 });
                }
                while node.missing.len() as u64 > MOST_MISSING {
                    node.missing.pop_first();
                }
            }
            node.highest = seq;
            true
        };
        // Every tenth packet is acknowledged, each receiver at another one.
        let trigger = u64::from(self.config.id.0.last().copied().unwrap_or(0)) % 10;
        let complete = node.missing.keys().next().is_none_or(|&first| first > seq);
        if fresh && seq % 10 == trigger && complete {
            let packet = Packet::new().with("t", "NS_ackmsg").with("ackseq", format!("{seq:x}"));
            self.send_foreign(now, name, packet, out);
        }
        for (level, text) in lines {
            self.log(level, text, out);
        }
        fresh
    }

    /// What new packets mean.
    fn deliver(
        &mut self,
        now: Duration,
        name: &str,
        kind: &str,
        to_me: bool,
        packet: &Packet,
        out: &mut Vec<LinkAction>,
    ) {
        match kind {
            "status" => {
                let status = packet.text("st").unwrap_or("active");
                let announced = Duration::from_millis(packet.hex("dt").unwrap_or(0).min(86_400_000));
                let deadtime = if announced.is_zero() { self.config.deadtime } else { announced };
                let returning = self.health.status_of(name) == Some("dead");
                let known = self.foreign.nodes.get(name).is_some_and(|n| n.alive);
                if returning && known {
                    self.returned(name, out);
                }
                self.with_log(out, |link, log| {
                    link.health.status(now, name, NodeKind::Foreign, status, deadtime, log);
                });
                if status != "dead" {
                    let was = std::mem::replace(&mut self.foreign_entry(name).alive, true);
                    if !was || returning {
                        let event = LinkEvent::Foreign { name: name.to_owned(), alive: true };
                        out.push(LinkAction::Event(event));
                    }
                }
            }
            "shutdone" => {
                self.log(Level::Info, format!("Received shutdown notice from '{name}'."), out);
                self.with_log(out, |link, log| link.health.left(name, log));
                if std::mem::take(&mut self.foreign_entry(name).alive) {
                    out.push(LinkAction::Event(LinkEvent::Foreign { name: name.to_owned(), alive: false }));
                }
            }
            "reqnodes" if to_me => {
                let list = self.config.nodes.join(" ");
                let answer = Packet::new()
                    .with("t", "repnodes")
                    .with("nodelist", format!("{list} "))
                    .with("delnodelist", " ");
                self.send_foreign(now, name, answer, out);
            }
            "query-cstatus" if to_me => {
                let mut answer = Packet::new().with("t", "respond-cstatus").with("result", "OK");
                if let Some(client) = packet.text("cn") {
                    answer = answer.with("cn", client);
                }
                if let Some(from) = packet.text("from_id") {
                    answer = answer.with("to_id", from);
                }
                self.send_foreign(now, name, answer.with("cs", "offline"), out);
            }
            _ => {}
        }
    }

    fn foreign_entry(&mut self, name: &str) -> &mut Node {
        self.foreign.nodes.entry(name.to_owned()).or_default()
    }

    /// Packets without sequence number that are addressed to us.
    fn control(&mut self, now: Duration, name: &str, kind: &str, packet: &Packet, out: &mut Vec<LinkAction>) {
        match kind {
            "NS_rexmit" => {
                // The only decimal numbers of the protocol (§10.4).
                let number = |field| packet.text(field).and_then(|t| t.parse::<u64>().ok());
                let (Some(first), Some(last)) = (number("firstseq"), number("lastseq")) else { return };
                self.resend(now, name, first, last, out);
            }
            "NS_nak_rexmit" => {
                let Some(seq) = packet.hex("firstseq") else { return };
                let node = self.foreign_entry(name);
                if node.missing.remove(&seq).is_some() {
                    let complete = node.missing.is_empty();
                    let text = format!("Irretrievably lost packet: node {name} seq {seq}");
                    self.log(Level::Error, text, out);
                    if complete {
                        self.log(Level::Info, format!("No pkts missing from {name}!"), out);
                    }
                }
            }
            "NS_ackmsg" => {
                let said = packet.hex("ackseq").filter(|seq| *seq <= self.seq);
                let node = self.foreign_entry(name);
                node.acknowledged = node.acknowledged.max(said.unwrap_or(0));
            }
            _ => {}
        }
    }

    /// Answers a request for our own packets (§10.5): with the packets, or that they are gone; neither
    /// again within the delay after which it may be asked again.
    fn resend(&mut self, now: Duration, name: &str, first: u64, last: u64, out: &mut Vec<LinkAction>) {
        if first > self.seq {
            let text = format!("Rexmit of seq {first} requested. {} is max.", self.seq);
            return self.complain(now, name, Level::Warn, text, out);
        }
        let pause = self.config.max_rexmit_delay.saturating_sub(Duration::from_millis(10));
        self.foreign.resent.retain(|_, at| *at + pause > now);
        let node = self.foreign_entry(name);
        node.refused.retain(|_, at| *at + pause > now);
        let acknowledged = node.acknowledged;
        let oldest = self.history.front().map_or(u64::MAX, |(seq, _)| *seq);
        for seq in first..=last.min(self.seq).min(first.saturating_add(MOST_RESENT - 1)) {
            // What it has said it has it does not miss.
            if seq <= acknowledged || self.foreign.resent.contains_key(&seq) {
                continue;
            }
            let kept = seq.checked_sub(oldest).and_then(|i| self.history.get(i as usize));
            match kept {
                Some((kept, bytes)) if *kept == seq => {
                    let bytes = bytes.clone();
                    self.foreign.resent.insert(seq, now);
                    self.transmit_again(&bytes, out);
                }
                _ => self.tell_gone(now, name, seq, out),
            }
        }
    }

    /// Says that a packet of our own is gone.
    fn tell_gone(&mut self, now: Duration, name: &str, seq: u64, out: &mut Vec<LinkAction>) {
        const WHY: &str = "seqno too low";
        let node = self.foreign_entry(name);
        if node.refused.len() as u64 >= MOST_MISSING || node.refused.contains_key(&seq) {
            return;
        }
        node.refused.insert(seq, now);
        let nak = Packet::new().with("t", "NS_nak_rexmit").with("firstseq", format!("{seq:x}"));
        self.send_foreign(now, name, nak.with("info", WHY), out);
        let text = format!("Cannot rexmit pkt {seq} for {name}: {WHY}");
        self.complain(now, name, Level::Error, text, out);
    }

    /// A line about what a node asks for, unless there was one just now.
    fn complain(&mut self, now: Duration, name: &str, level: Level, text: String, out: &mut Vec<LinkAction>) {
        let node = self.foreign_entry(name);
        if node.complained.is_none_or(|at| at + COMPLAINTS <= now) {
            node.complained = Some(now);
            self.log(level, text, out);
        }
    }

    fn send_foreign(&mut self, now: Duration, name: &str, packet: Packet, out: &mut Vec<LinkAction>) {
        let mut packet = packet.with("dest", name);
        if let Some(node) = self.foreign.nodes.get(name)
            && !node.uuid.is_empty()
        {
            packet = packet.with_binary("destuuid", node.uuid.clone());
        }
        let packet = self.finish(now, packet);
        self.transmit(&packet, AuthField::Yes, &Route::All, out);
    }

    /// A random part of `max_rexmit_delay`, so that receivers do not ask in one voice.
    fn request_delay(&mut self) -> Duration {
        let most = self.config.max_rexmit_delay.as_millis() as u64;
        let least = if most >= 100 { 50 } else { 0 };
        Duration::from_millis(least + self.rng.below(most - least + 1))
    }

    /// Asks for what is missing (§10.4): runs of packets in one request.
    pub(super) fn wake_foreign(&mut self, now: Duration, out: &mut Vec<LinkAction>) {
        if self.foreign_deadline().is_none_or(|at| now < at) {
            return;
        }
        let delay = self.config.max_rexmit_delay.max(Duration::from_millis(10));
        let mut requests = Vec::new();
        let mut given_up = Vec::new();
        for (name, node) in &mut self.foreign.nodes {
            let alive = node.alive;
            node.missing.retain(|seq, missing| {
                let keep = missing.asked < MOST_ASKED && alive;
                if !keep {
                    given_up.push((name.clone(), *seq));
                }
                keep
            });
            let mut run: Option<(u64, u64)> = None;
            for (&seq, missing) in &mut node.missing {
                if missing.ask_at > now {
                    continue;
                }
                missing.ask_at = now + delay;
                missing.asked += 1;
                run = match run {
                    Some((first, last)) if last + 1 == seq && seq - first < MOST_RESENT => Some((first, seq)),
                    Some(done) => {
                        requests.push((name.clone(), done));
                        Some((seq, seq))
                    }
                    None => Some((seq, seq)),
                };
            }
            requests.extend(run.map(|r| (name.clone(), r)));
        }
        for (name, seq) in given_up {
            self.log(Level::Error, format!("Irretrievably lost packet: node {name} seq {seq}"), out);
        }
        for (name, (first, last)) in requests {
            let packet = Packet::new()
                .with("t", "NS_rexmit")
                .with("firstseq", first.to_string())
                .with("lastseq", last.to_string());
            self.send_foreign(now, &name, packet, out);
        }
    }

    pub(super) fn foreign_deadline(&self) -> Option<Duration> {
        self.foreign.nodes.values().flat_map(|n| n.missing.values()).map(|m| m.ask_at).min()
    }
}

#[cfg(test)]
#[path = "foreign_tests.rs"]
mod tests;
