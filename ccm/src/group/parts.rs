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
#[derive(Debug, Clone, Default)]
struct Outbox {
    inc: Incarnation,
    bytes: Vec<u8>,
    /// Pieces in all, sent, and said to have come.
    total: u64,
    next: u64,
    acked: u64,
    waiting: VecDeque<Vec<u8>>,
    /// When the node last said that a piece had come.
    progress: Duration,
}

impl Outbox {
    fn begin(&mut self, bytes: Vec<u8>) {
        self.total = bytes.len().div_ceil(PIECE) as u64;
        (self.bytes, self.next, self.acked) = (bytes, 0, 0);
    }
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
        let now = self.now;
        let open = self.parts.out.get_mut(&to).filter(|o| o.inc == inc);
        let long = payload.len() > WHOLE && message.ordered();
        if let Some(outbox) = open
            && message.ordered()
            && (long || outbox.next < outbox.total || !outbox.waiting.is_empty())
        {
            outbox.progress = outbox.progress.max(if long { now } else { Duration::ZERO });
            outbox.waiting.push_back(payload);
            self.send_parts(to);
        } else if long {
            let mut outbox = Outbox { inc, progress: now, ..Outbox::default() };
            outbox.begin(payload);
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
            while outbox.next < outbox.total && outbox.next < outbox.acked + WINDOW {
                let start = usize::try_from(outbox.next).unwrap_or(usize::MAX).saturating_mul(PIECE);
                let rest = outbox.bytes.get(start..).unwrap_or_default();
                let bytes = rest.get(..PIECE).unwrap_or(rest).to_vec();
                let last = outbox.next + 1 == outbox.total;
                ready.push(Message::Part { index: outbox.next, last, bytes }.encode());
                outbox.next += 1;
            }
            if outbox.next < outbox.total {
                break;
            }
            // All of it is on its way: what waited follows; the next long one when this one is there.
            match outbox.waiting.front() {
                Some(long) if long.len() > WHOLE && outbox.acked < outbox.total => break,
                Some(long) if long.len() > WHOLE => {
                    let bytes = outbox.waiting.pop_front().unwrap_or_default();
                    outbox.begin(bytes);
                }
                Some(_) => ready.extend(outbox.waiting.pop_front()),
                None => break,
            }
        }
        if outbox.acked >= outbox.total {
            outbox.bytes = Vec::new();
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
        self.send(from, Message::PartAck { index });
        if !last {
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

    /// Whether a long message is getting on to this node, or has just come: not its disk is what the
    /// others wait for.
    pub(super) fn still_sending(&self, to: NodeId) -> bool {
        self.parts.out.get(&to).is_some_and(|o| self.now < o.progress + self.config.deadtime)
    }
}
