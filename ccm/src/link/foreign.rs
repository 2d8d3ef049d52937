//! Real Heartbeats on the wire: shown, never counted (protocol 17.4).

use std::collections::BTreeMap;
use std::time::Duration;

use super::receive::Origin;
use super::refused::Cause;
use super::{Autojoin, Link, LinkAction, NodeKind};
use crate::seam::LinkEvent;
use crate::wire::Packet;

/// What is remembered of one real Heartbeat.
#[derive(Debug, Default)]
struct Sender {
    generation: u64,
    /// Highest sequence number heard.
    highest: u64,
    alive: bool,
}

/// All of them, by name.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    nodes: BTreeMap<String, Sender>,
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
        if name == self.config.name {
            return Ok(());
        }
        if self.config.autojoin == Autojoin::None && !self.config.nodes.iter().any(|n| n == name) {
            return Err(Cause::NotANode);
        }
        let generation = packet.hex("hg").unwrap_or(0);
        if packet.text("t").is_some_and(|t| t.starts_with("NS_")) {
            return Ok(());
        }
        let seq = packet.hex("seq").ok_or(Cause::Fields)?;
        if self.foreign.nodes.len() >= 64 && !self.foreign.nodes.contains_key(name) {
            return Err(Cause::TooManyNodes);
        }
        let node = self.foreign.nodes.entry(name.to_owned()).or_default();
        if generation < node.generation {
            return Err(Cause::OldGeneration);
        }
        let restarted = generation > node.generation && node.generation != 0;
        if generation > node.generation {
            node.generation = generation;
            node.highest = 0;
        }
        let newest = seq > node.highest;
        node.highest = node.highest.max(seq);
        let leaves = packet.text("t") == Some("shutdone");
        let was_alive = node.alive;
        if newest && packet.text("t") == Some("status") {
            node.alive = true;
            if restarted {
                self.log(super::Level::Warn, format!("Heartbeat restart on node {name}"), out);
            }
            let status = packet.text("st").unwrap_or("active");
            let deadtime = Duration::from_millis(packet.hex("dt").unwrap_or(0).min(86_400_000));
            let deadtime = if deadtime.is_zero() { self.config.deadtime } else { deadtime };
            self.with_log(out, |link, log| {
                link.health.status(now, name, NodeKind::Foreign, status, deadtime, log);
            });
        }
        self.with_log(out, |link, log| link.health.heard_on(now, name, origin.medium, log));
        if leaves && newest {
            self.with_log(out, |link, log| link.health.left(name, log));
            if let Some(node) = self.foreign.nodes.get_mut(name) {
                node.alive = false;
            }
        }
        let alive = self.foreign.nodes.get(name).is_some_and(|n| n.alive);
        if alive != was_alive {
            out.push(LinkAction::Event(LinkEvent::Foreign { name: name.to_owned(), alive }));
        }
        Ok(())
    }

    pub(super) fn wake_foreign(&mut self, now: Duration, out: &mut Vec<LinkAction>) {
        let _ = (now, out);
    }

    pub(super) fn foreign_deadline(&self) -> Option<Duration> {
        None
    }
}
