//! State transfer: the base and the status section, from their holder to who lacks them (§10).

use std::collections::{BTreeMap, VecDeque};

use super::install::{StatusPart, status_bytes};
use super::message::{Message, What};
use super::record::{entry_bytes, read_entry};
use super::{Group, Level, Phase};
use crate::codec::{CodecError, Reader, Wire, Writer};
use crate::replication::entry::{Durable, Entry, State};
use crate::replication::lineage::{Hash, Lineage};
use crate::seam::{NodeId, Stamp, ViewId};

/// Bytes of one chunk, chunks on their way per receiver (R10.1).
const CHUNK: usize = 32 * 1024;
const WINDOW: u64 = 16;
/// Entries kept for suffixes (R18.1).
const LOG_ENTRIES: usize = 10_000;
const LOG_BYTES: usize = 16 << 20;
/// Largest transfer accepted.
const TRANSFER_LIMIT: usize = 256 << 20;

#[derive(Debug, Clone)]
struct Sending {
    bytes: Vec<u8>,
    next: u64,
    acked: u64,
}

/// Everything about transfers at one node.
#[derive(Debug, Clone, Default)]
pub struct Transfers {
    /// Retained durable entries, and the head before the first of them.
    log: VecDeque<Entry>,
    log_bytes: usize,
    before: (Stamp, Hash),
    /// State at the promise: what is served for that view.
    frozen: Option<(ViewId, Box<State>)>,
    sending: BTreeMap<(NodeId, What), Sending>,
    receiving: BTreeMap<What, (u64, Vec<u8>)>,
}

impl Transfers {
    /// A promise was given: its round is served from this state.
    pub fn freeze(&mut self, p: ViewId, state: &State) {
        self.frozen = Some((p, Box::new(state.clone())));
        self.sending.clear();
        self.receiving.clear();
    }

    /// The view is active: nobody needs the state of before.
    pub fn thaw(&mut self) {
        self.frozen = None;
        self.sending.clear();
        self.receiving.clear();
    }

    /// A durable entry more.
    pub fn note(&mut self, entry: &Entry, bytes: usize) {
        self.log.push_back(entry.clone());
        self.log_bytes += bytes;
        while self.log.len() > LOG_ENTRIES || self.log_bytes > LOG_BYTES {
            let Some(oldest) = self.log.pop_front() else { break };
            self.log_bytes = self.log_bytes.saturating_sub(entry_bytes(&oldest).len());
            self.before = (oldest.stamp, oldest.h);
        }
    }

    /// The base changed: what is retained must end at its head.
    pub fn switched(&mut self, old: &Lineage, new: &Lineage) {
        if (old.head(), old.h()) != (new.head(), new.h()) {
            self.log.clear();
            self.log_bytes = 0;
            self.before = (new.head(), new.h());
        } else if self.log.is_empty() {
            self.before = (new.head(), new.h());
        }
    }

    /// Entries after `have`, if all of them are retained.
    fn suffix(&self, have: Stamp, have_h: Hash) -> Option<Vec<&Entry>> {
        if self.before == (have, have_h) {
            return Some(self.log.iter().collect());
        }
        let at = self.log.iter().position(|e| e.stamp == have && e.h == have_h)?;
        Some(self.log.iter().skip(at + 1).collect())
    }
}

impl Group {
    /// R10.1: the source serves while it holds to the promise.
    pub(super) fn on_fetch(&mut self, from: NodeId, p: ViewId, what: What, have: Stamp, have_h: Hash) {
        let Some((of, state)) = self.transfers.frozen.as_ref() else { return };
        if *of != p || self.promised != p {
            return;
        }
        let bytes = match what {
            What::Status => status_bytes(state),
            What::Base => {
                let mut w = Writer::new();
                match self.transfers.suffix(have, have_h).filter(|_| have != Stamp::default()) {
                    Some(entries) => {
                        w.u8(1).count(entries.len());
                        for e in entries {
                            w.bytes(&entry_bytes(e));
                        }
                    }
                    None => {
                        w.u8(0).put(&state.durable);
                    }
                }
                w.finish()
            }
        };
        self.transfers.sending.insert((from, what), Sending { bytes, next: 0, acked: 0 });
        self.send_chunks(from, p, what);
    }

    fn send_chunks(&mut self, to: NodeId, p: ViewId, what: What) {
        let mut ready = Vec::new();
        if let Some(s) = self.transfers.sending.get_mut(&(to, what)) {
            while s.next < s.acked + WINDOW {
                let start = usize::try_from(s.next).unwrap_or(usize::MAX).saturating_mul(CHUNK);
                let rest = s.bytes.get(start..).unwrap_or_default();
                if rest.is_empty() && s.next > 0 {
                    break;
                }
                let piece = rest.get(..CHUNK).unwrap_or(rest);
                let last = piece.len() == rest.len();
                ready.push(Message::Chunk { p, what, index: s.next, last, bytes: piece.to_vec() });
                s.next += 1;
                if last {
                    break;
                }
            }
        }
        for m in ready {
            self.send(to, m);
        }
    }

    pub(super) fn on_chunk_ack(&mut self, from: NodeId, p: ViewId, what: What, index: u64) {
        if self.promised != p {
            return;
        }
        if let Some(s) = self.transfers.sending.get_mut(&(from, what)) {
            s.acked = s.acked.max(index + 1).min(s.next);
        }
        self.send_chunks(from, p, what);
    }

    pub(super) fn on_chunk(
        &mut self,
        from: NodeId,
        p: ViewId,
        what: What,
        index: u64,
        last: bool,
        bytes: &[u8],
    ) {
        let Phase::Installing(i) = &mut self.phase else { return };
        if i.install.p != p || i.switching {
            return;
        }
        let source = match what {
            What::Base => Some(i.install.source),
            What::Status => i.install.status.source,
        };
        if source != Some(from) {
            return;
        }
        i.until = self.now + self.config.deadtime; // progress (R7.12)
        let (next, received) = self.transfers.receiving.entry(what).or_default();
        if *next != index || received.len() + bytes.len() > TRANSFER_LIMIT {
            return;
        }
        *next += 1;
        received.extend_from_slice(bytes);
        self.send(from, Message::ChunkAck { p, what, index });
        if !last {
            return;
        }
        let Some((_, bytes)) = self.transfers.receiving.remove(&what) else { return };
        let mine = self.state.durable.clone();
        let Phase::Installing(i) = &mut self.phase else { return };
        let fits = match what {
            What::Status => {
                i.status = Some(StatusPart { bytes });
                true
            }
            What::Base => match read_base(mine, &bytes) {
                Ok(durable) if (durable.lineage.head(), durable.lineage.h()) == i.install.base() => {
                    i.durable = Some(durable);
                    true
                }
                Ok(_) | Err(_) => false,
            },
        };
        if fits {
            self.try_switch();
        } else {
            // Nothing is visible of it, nothing was written; the next round decides again.
            self.log(
                Level::Error,
                format!("the state sent by {} is not the one announced", self.name_of(from)),
            );
            self.phase = Phase::Seeking;
            self.dirty = true;
        }
    }
}

/// A whole state, or entries on top of the one here.
fn read_base(mine: Durable, bytes: &[u8]) -> Result<Durable, CodecError> {
    let mut r = Reader::new(bytes);
    match r.u8()? {
        0 => {
            let durable = Durable::read(&mut r)?;
            r.finish()?;
            Ok(durable)
        }
        1 => {
            let mut state = State { durable: mine, ..State::default() };
            for _ in 0..r.count()? {
                let entry = read_entry(r.bytes()?)?;
                state.apply(&entry).map_err(|_| CodecError::Document)?;
            }
            r.finish()?;
            Ok(state.durable)
        }
        other => Err(CodecError::Kind(other)),
    }
}
