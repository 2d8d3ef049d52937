//! Long messages: their pieces go in the lane for bulk, a few at a time, so that neither the link's
//! buffers nor the heartbeats nor the talk about views suffer (R12.13). When all have arrived, a short
//! `Whole` takes the message's place among the others; what belongs to the order of a view waits for it.

use std::collections::VecDeque;

use super::*;
use crate::seam::Lane;

/// Bytes of one piece, pieces on their way to one node.
const PIECE: usize = 32 * 1024;
const WINDOW: u64 = 32;
/// A message longer than this goes in pieces: it would hold up what follows it for a second or more on a
/// serial line.
const WHOLE: usize = 16 * 1024;
/// Longest message accepted.
const LIMIT: usize = 256 << 20;

/// A long message on its way to one node, and what waits behind it.
#[derive(Debug, Clone, Default)]
struct Outbox {
    inc: Incarnation,
    /// Number of the message.
    of: u64,
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
    fn begin(&mut self, of: u64, bytes: Vec<u8>) {
        self.total = bytes.len().div_ceil(PIECE) as u64;
        (self.of, self.bytes, self.next, self.acked) = (of, bytes, 0, 0);
    }

    /// A long message is on its way, or something waits behind one.
    fn busy(&self) -> bool {
        self.acked < self.total || !self.waiting.is_empty()
    }
}

/// A long message that is coming in.
#[derive(Debug, Clone)]
struct Inbox {
    inc: Incarnation,
    of: u64,
    next: u64,
    complete: bool,
    bytes: Vec<u8>,
}

/// All of them.
#[derive(Debug, Clone, Default)]
pub struct Parts {
    /// Long messages begun.
    count: u64,
    out: BTreeMap<NodeId, Outbox>,
    coming: BTreeMap<NodeId, Inbox>,
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

    fn lane(&self) -> Lane {
        match self {
            Message::Chunk { .. } | Message::Part { .. } => Lane::Bulk,
            _ => Lane::Talk,
        }
    }
}

impl Group {
    /// Hands `payload`, which is `message` encoded, to the link, whole or in pieces.
    pub(super) fn post(&mut self, to: NodeId, message: &Message, payload: Vec<u8>) {
        let Some(inc) = self.edges.peer(to).filter(|p| p.session).map(|p| p.inc) else { return };
        let now = self.now;
        let long = payload.len() > WHOLE && message.ordered();
        let open = self.parts.out.get_mut(&to).filter(|o| o.inc == inc);
        if let Some(outbox) = open
            && message.ordered()
            && outbox.busy()
        {
            if long {
                outbox.progress = outbox.progress.max(now);
            }
            outbox.waiting.push_back(payload);
        } else if long {
            self.parts.count += 1;
            let mut outbox = Outbox { inc, progress: now, ..Outbox::default() };
            outbox.begin(self.parts.count, payload);
            self.parts.out.insert(to, outbox);
            self.send_parts(to);
        } else {
            let lane = message.lane();
            self.out.push(GroupAction::Link(LinkCommand::Send { to, inc, lane, payload }));
        }
    }

    /// Sends pieces as far as the window allows.
    fn send_parts(&mut self, to: NodeId) {
        let Some(outbox) = self.parts.out.get_mut(&to) else { return };
        let (inc, of) = (outbox.inc, outbox.of);
        while outbox.next < outbox.total && outbox.next < outbox.acked + WINDOW {
            let start = usize::try_from(outbox.next).unwrap_or(usize::MAX).saturating_mul(PIECE);
            let rest = outbox.bytes.get(start..).unwrap_or_default();
            let bytes = rest.get(..PIECE).unwrap_or(rest).to_vec();
            let last = outbox.next + 1 == outbox.total;
            let payload = Message::Part { of, index: outbox.next, last, bytes }.encode();
            self.out.push(GroupAction::Link(LinkCommand::Send { to, inc, lane: Lane::Bulk, payload }));
            outbox.next += 1;
        }
    }

    /// All pieces have come: the message takes its place, and what waited follows, up to the next long
    /// one.
    fn all_parts_came(&mut self, to: NodeId) {
        let Some(outbox) = self.parts.out.get_mut(&to) else { return };
        let inc = outbox.inc;
        let mut ready = vec![Message::Whole { of: outbox.of }.encode()];
        outbox.bytes = Vec::new();
        while let Some(payload) = outbox.waiting.pop_front() {
            if payload.len() > WHOLE {
                self.parts.count += 1;
                outbox.begin(self.parts.count, payload);
                break;
            }
            ready.push(payload);
        }
        for payload in ready {
            self.out.push(GroupAction::Link(LinkCommand::Send { to, inc, lane: Lane::Talk, payload }));
        }
        self.send_parts(to);
    }

    pub(super) fn on_part(&mut self, from: NodeId, of: u64, index: u64, last: bool, bytes: &[u8]) {
        let Some(inc) = self.edges.peer(from).map(|p| p.inc) else { return };
        if index == 0 {
            let inbox = Inbox { inc, of, next: 0, complete: false, bytes: Vec::new() };
            self.parts.coming.insert(from, inbox);
        }
        let Some(inbox) = self.parts.coming.get_mut(&from) else { return };
        let fits = (inbox.inc, inbox.of, inbox.next, inbox.complete) == (inc, of, index, false);
        if !fits || inbox.bytes.len() + bytes.len() > LIMIT {
            self.parts.coming.remove(&from);
            return;
        }
        inbox.next += 1;
        inbox.bytes.extend_from_slice(bytes);
        inbox.complete = last;
        self.send(from, Message::PartAck { of, index });
    }

    pub(super) fn on_whole(&mut self, from: NodeId, of: u64) {
        let Some(inc) = self.edges.peer(from).map(|p| p.inc) else { return };
        let here = |i: &Inbox| i.inc == inc && i.of == of && i.complete;
        if !self.parts.coming.get(&from).is_some_and(here) {
            self.dropped_messages += 1;
            return;
        }
        let Some(inbox) = self.parts.coming.remove(&from) else { return };
        match Message::decode(&inbox.bytes) {
            // Only what has an order is sent in pieces.
            Ok(message) if message.ordered() => self.on_message(from, message),
            Ok(_) | Err(_) => self.dropped_messages += 1,
        }
    }

    pub(super) fn on_part_ack(&mut self, from: NodeId, of: u64, index: u64) {
        let now = self.now;
        // An acknowledgement of a message that was given up says nothing about the next one.
        let Some(outbox) = self.parts.out.get_mut(&from).filter(|o| o.of == of && o.acked < o.total) else {
            return;
        };
        outbox.acked = outbox.acked.max(index.saturating_add(1)).min(outbox.next);
        outbox.progress = now;
        if outbox.acked == outbox.total {
            self.all_parts_came(from);
        } else {
            self.send_parts(from);
        }
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
