//! Messages longer than the link carries at once: sent in pieces, a few at a time, so that neither the
//! link's buffers nor the heartbeats suffer (R12.13). What belongs to the order of a view waits behind
//! them; the talk about views does not.

use std::collections::VecDeque;

use super::*;

/// Bytes of one piece, pieces on their way to one node.
const PIECE: usize = 64 * 1024;
const WINDOW: u64 = 16;
/// A message longer than this goes in pieces: below what the link takes, whatever compression does.
const WHOLE: usize = if cfg!(test) { 100 * 1024 } else { 512 * 1024 };
/// Longest message accepted.
const LIMIT: usize = 256 << 20;

/// A long message on its way to one node, and what waits behind it.
#[derive(Debug, Clone)]
struct Outbox {
    inc: Incarnation,
    bytes: Vec<u8>,
    next: u64,
    acked: u64,
    waiting: VecDeque<Vec<u8>>,
    /// When the node last said that a piece had come.
    progress: Duration,
}

/// All of them, and the halves of messages that are coming in.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    out: BTreeMap<NodeId, Outbox>,
    coming: BTreeMap<NodeId, (Incarnation, u64, Vec<u8>)>,
    /// When the members were last told that the DC is at work on a long message.
    told: Duration,
}

impl Parts {
    /// The session is another one, or the view is over: nothing of before goes on.
    pub fn forget(&mut self, peer: NodeId) {
        self.out.remove(&peer);
        self.coming.remove(&peer);
    }

    pub fn clear(&mut self) {
        self.out.clear();
    }
}

impl Message {
    /// Whether its order among its kind matters: updates and what refers to them, requests, the bus.
    fn ordered(&self) -> bool {
        matches!(
            self,
            Message::Update { .. }
                | Message::Commit { .. }
                | Message::Digest { .. }
                | Message::Request { .. }
                | Message::Bus { .. }
        )
    }
}

impl Group {
    /// Hands `payload`, which is `message` encoded, to the link, whole or in pieces.
    pub(super) fn post(&mut self, to: NodeId, message: &Message, payload: Vec<u8>) {
        let Some(inc) = self.edges.peer(to).filter(|p| p.session).map(|p| p.inc) else { return };
        if let Some(outbox) = self.parts.out.get_mut(&to).filter(|o| o.inc == inc)
            && message.ordered()
        {
            outbox.waiting.push_back(payload);
        } else if payload.len() > WHOLE && message.ordered() {
            let outbox = Outbox {
                inc,
                bytes: payload,
                next: 0,
                acked: 0,
                waiting: VecDeque::new(),
                progress: self.now,
            };
            self.parts.out.insert(to, outbox);
            self.send_parts(to);
        } else {
            self.out.push(GroupAction::Link(LinkCommand::Send { to, inc, payload }));
        }
    }

    fn send_parts(&mut self, to: NodeId) {
        let Some(outbox) = self.parts.out.get_mut(&to) else { return };
        let inc = outbox.inc;
        let mut ready = Vec::new();
        loop {
            let total = outbox.bytes.len().div_ceil(PIECE) as u64;
            if outbox.next < total {
                if outbox.next >= outbox.acked + WINDOW {
                    break;
                }
                let start = usize::try_from(outbox.next).unwrap_or(usize::MAX).saturating_mul(PIECE);
                let rest = outbox.bytes.get(start..).unwrap_or_default();
                let bytes = rest.get(..PIECE).unwrap_or(rest).to_vec();
                ready.push(
                    Message::Part { index: outbox.next, last: outbox.next + 1 == total, bytes }.encode(),
                );
                outbox.next += 1;
                continue;
            }
            // All of it is on its way: what waited follows, up to the next long one.
            match outbox.waiting.pop_front() {
                Some(long) if long.len() > WHOLE => {
                    (outbox.bytes, outbox.next, outbox.acked) = (long, 0, 0);
                }
                Some(short) => ready.push(short),
                None => {
                    self.parts.out.remove(&to);
                    break;
                }
            }
        }
        for payload in ready {
            self.out.push(GroupAction::Link(LinkCommand::Send { to, inc, payload }));
        }
    }

    pub(super) fn on_part(&mut self, from: NodeId, index: u64, last: bool, bytes: &[u8]) {
        let Some(inc) = self.edges.peer(from).map(|p| p.inc) else { return };
        if index == 0 {
            self.parts.coming.insert(from, (inc, 0, Vec::new()));
        }
        let Some((of, next, got)) = self.parts.coming.get_mut(&from) else { return };
        if *of != inc || *next != index || got.len() + bytes.len() > LIMIT {
            self.parts.coming.remove(&from);
            return;
        }
        *next += 1;
        got.extend_from_slice(bytes);
        if !last {
            self.send(from, Message::PartAck { index });
            return;
        }
        let Some((_, _, whole)) = self.parts.coming.remove(&from) else { return };
        match Message::decode(&whole) {
            // Pieces within pieces are nothing that anybody sends.
            Ok(Message::Part { .. }) => self.dropped_messages += 1,
            Ok(message) => self.on_message(from, message),
            Err(_) => self.dropped_messages += 1,
        }
    }

    pub(super) fn on_part_ack(&mut self, from: NodeId, index: u64) {
        let now = self.now;
        if let Some(outbox) = self.parts.out.get_mut(&from) {
            outbox.acked = outbox.acked.max(index + 1).min(outbox.next);
            outbox.progress = now;
        }
        self.send_parts(from);
        // The others wait for this one: they are told that it is not the disk of the DC.
        if self.is_dc()
            && now >= self.parts.told + self.config.deadtime / 4
            && let Some(view) = &self.view
        {
            self.parts.told = now;
            let message = Message::Commit { view: view.id, n: view.committed };
            self.send_members(&message);
        }
    }

    /// Whether a long message is getting on to this node: not its disk is what the others wait for.
    pub(super) fn still_sending(&self, to: NodeId) -> bool {
        self.parts.out.get(&to).is_some_and(|o| self.now < o.progress + self.config.deadtime)
    }
}
