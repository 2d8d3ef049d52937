//! State transfer: the base and the status section, from their holder to who lacks them (§10).

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::install::{StatusPart, status_bytes};
use super::learn::{NEAR_BYTES, NEAR_ENTRIES};
use super::message::{Message, What};
use super::record::{entry_bytes, read_entry};
use super::{Group, Level, Phase};
use crate::codec::{CodecError, Reader, Wire, Writer};
use crate::membership::quorum::Electorate;
use crate::replication::entry::{Durable, Entry, State};
use crate::replication::lineage::{Hash, Lineage};
use crate::seam::{NodeId, Stamp, ViewId};

/// Bytes of one chunk, chunks on their way per receiver (R10.1).
const CHUNK: usize = 32 * 1024;
const WINDOW: u64 = 16;
/// Receivers served at a time (R10.2).
const SERVED: usize = 8;
/// Entries kept for suffixes (R18.1).
const LOG_ENTRIES: usize = 10_000;
const LOG_BYTES: usize = 16 << 20;
/// Largest transfer accepted.
const TRANSFER_LIMIT: usize = 256 << 20;

/// First byte of a transfer: the whole state, entries on top of what the receiver has, or "no need" and who votes.
const WHOLE: u8 = 0;
const SUFFIX: u8 = 1;
const NEAR: u8 = 2;

#[derive(Debug, Clone)]
struct Sending {
    bytes: Vec<u8>,
    next: u64,
    acked: u64,
    /// When the receiver last said that something had come.
    progress: Duration,
}

#[derive(Debug, Clone)]
struct Asked {
    from: NodeId,
    p: ViewId,
    what: What,
    have: (Stamp, Hash),
}

/// Everything about transfers at one node.
#[derive(Debug, Clone, Default)]
pub struct Transfers {
    /// Retained durable entries with their lengths, and the head before the first of them.
    log: VecDeque<(Entry, usize)>,
    log_bytes: usize,
    before: (Stamp, Hash),
    /// State at the promise: what is served for that view.
    frozen: Option<(ViewId, Box<State>)>,
    sending: BTreeMap<(NodeId, What), Sending>,
    waiting: VecDeque<Asked>,
    receiving: BTreeMap<What, (u64, Vec<u8>)>,
    /// Entries fetched for the base being written, and what they follow.
    fetched: Option<((Stamp, Hash), Vec<Entry>)>,
}

impl Transfers {
    /// A promise was given: its round is served from this state.
    pub fn freeze(&mut self, p: ViewId, state: &State) {
        self.frozen = Some((p, Box::new(state.clone())));
        self.end_round();
    }

    /// The view is active: nobody needs the state of before.
    pub fn thaw(&mut self) {
        self.frozen = None;
        self.end_round();
    }

    /// Learners go on.
    fn end_round(&mut self) {
        self.sending.retain(|(_, what), _| *what == What::Learn);
        self.waiting.retain(|asked| asked.what == What::Learn);
        self.receiving.retain(|what, _| *what == What::Learn);
        self.fetched = None;
    }

    /// Another transfer of this kind begins.
    pub fn expect(&mut self, what: What) {
        self.receiving.remove(&what);
    }

    /// What the log on disk holds, at a start: entries after `before`.
    pub fn load(&mut self, before: (Stamp, Hash), entries: Vec<Entry>) {
        self.before = before;
        for entry in entries {
            let bytes = entry_bytes(&entry).len();
            self.note(&entry, bytes);
        }
    }

    /// A durable entry more.
    pub fn note(&mut self, entry: &Entry, bytes: usize) {
        self.log.push_back((entry.clone(), bytes));
        self.log_bytes += bytes;
        while self.log.len() > LOG_ENTRIES || self.log_bytes > LOG_BYTES {
            let Some((oldest, bytes)) = self.log.pop_front() else { break };
            self.log_bytes = self.log_bytes.saturating_sub(bytes);
            self.before = (oldest.stamp, oldest.h);
        }
    }

    /// The base changed: what is retained must end at its head.
    pub fn switched(&mut self, new: &Lineage) {
        let end = |t: &Self| t.log.back().map_or(t.before, |(e, _)| (e.stamp, e.h));
        if let Some((from, entries)) = self.fetched.take()
            && end(self) == from
        {
            for entry in &entries {
                self.note(entry, entry_bytes(entry).len());
            }
        }
        if end(self) != (new.head(), new.h()) {
            self.log.clear();
            self.log_bytes = 0;
            self.before = (new.head(), new.h());
        }
    }

    /// Entries after `have`, if all of them are retained, with their bytes.
    fn suffix(&self, (have, have_h): (Stamp, Hash)) -> Option<(Vec<&Entry>, usize)> {
        let skip = if self.before == (have, have_h) {
            0
        } else {
            self.log.iter().position(|(e, _)| e.stamp == have && e.h == have_h)? + 1
        };
        let rest = self.log.iter().skip(skip);
        let bytes = rest.clone().map(|(_, bytes)| bytes).sum();
        Some((rest.map(|(e, _)| e).collect(), bytes))
    }

    /// Whether no more than so many entries and bytes follow the entry of this name (R10.4).
    pub fn near(&self, have: Stamp, entries: usize, bytes: usize) -> bool {
        let skip = if self.before.0 == have {
            0
        } else {
            match self.log.iter().position(|(e, _)| e.stamp == have) {
                Some(at) => at + 1,
                None => return false,
            }
        };
        let rest = self.log.iter().skip(skip);
        rest.len() <= entries && rest.map(|(_, bytes)| bytes).sum::<usize>() <= bytes
    }
}

impl Group {
    /// R10.1: the source serves while it holds to the promise; a learner while the view may write.
    pub(super) fn on_fetch(&mut self, from: NodeId, p: ViewId, what: What, have: Stamp, have_h: Hash) {
        let asked = Asked { from, p, what, have: (have, have_h) };
        // Asked anew: what was on its way to it is not wanted any more.
        self.transfers.sending.remove(&(from, what));
        self.transfers.waiting.retain(|a| (a.from, a.what) != (from, what));
        let (now, deadtime) = (self.now, self.config.deadtime);
        self.transfers.sending.retain(|_, s| now < s.progress + deadtime);
        if self.transfers.sending.len() >= SERVED {
            self.transfers.waiting.push_back(asked);
        } else {
            self.serve(&asked);
        }
    }

    fn serve(&mut self, asked: &Asked) {
        let Asked { from, p, what, have } = *asked;
        let learner = what == What::Learn;
        let state = if learner {
            if !self.view_whole() || !self.view.as_ref().is_some_and(|v| v.writable) {
                return;
            }
            &self.state
        } else {
            match self.transfers.frozen.as_ref() {
                Some((of, state)) if *of == p && self.promised == p => &**state,
                _ => return,
            }
        };
        let bytes = match what {
            What::Status => status_bytes(state),
            What::Base | What::Learn => {
                let suffix = self.transfers.suffix(have).filter(|_| have.0 != Stamp::default());
                let near = |(entries, bytes): &(Vec<&Entry>, usize)| {
                    entries.len() <= NEAR_ENTRIES && *bytes <= NEAR_BYTES
                };
                let mut w = Writer::new();
                if learner && suffix.as_ref().is_some_and(near) {
                    w.u8(NEAR).put(&state.durable.electorate);
                } else {
                    let mut whole = Writer::new();
                    whole.u8(WHOLE).put(&state.durable);
                    let whole = whole.finish();
                    match suffix.filter(|(_, bytes)| *bytes < whole.len()) {
                        Some((entries, _)) => {
                            w.u8(SUFFIX).count(entries.len());
                            for e in entries {
                                w.bytes(&entry_bytes(e));
                            }
                        }
                        None if learner && whole.len() <= NEAR_BYTES => {
                            w.u8(NEAR).put(&state.durable.electorate);
                        }
                        None => {
                            w.fixed(&whole);
                        }
                    }
                }
                w.finish()
            }
        };
        self.transfers.sending.insert((from, what), Sending { bytes, next: 0, acked: 0, progress: self.now });
        self.send_chunks(from, p, what);
    }

    fn send_chunks(&mut self, to: NodeId, p: ViewId, what: What) {
        let mut ready = Vec::new();
        let mut ended = false;
        if let Some(s) = self.transfers.sending.get_mut(&(to, what)) {
            let total = (s.bytes.len().div_ceil(CHUNK) as u64).max(1);
            while s.next < total && s.next < s.acked + WINDOW {
                let start = usize::try_from(s.next).unwrap_or(usize::MAX).saturating_mul(CHUNK);
                let rest = s.bytes.get(start..).unwrap_or_default();
                let piece = rest.get(..CHUNK).unwrap_or(rest);
                let last = s.next + 1 == total;
                ready.push(Message::Chunk { p, what, index: s.next, last, bytes: piece.to_vec() });
                s.next += 1;
            }
            ended = s.acked >= total;
        }
        for m in ready {
            self.send(to, m);
        }
        if ended {
            self.transfers.sending.remove(&(to, what));
            self.serve_next();
        }
    }

    fn serve_next(&mut self) {
        while self.transfers.sending.len() < SERVED {
            let Some(asked) = self.transfers.waiting.pop_front() else { return };
            self.serve(&asked);
        }
    }

    /// A receiver is gone: its place is for the next.
    pub(super) fn stop_serving(&mut self, peer: NodeId) {
        self.transfers.sending.retain(|(to, _), _| *to != peer);
        self.transfers.waiting.retain(|asked| asked.from != peer);
        self.serve_next();
    }

    pub(super) fn on_chunk_ack(&mut self, from: NodeId, p: ViewId, what: What, index: u64) {
        if what != What::Learn && self.promised != p {
            return;
        }
        if let Some(s) = self.transfers.sending.get_mut(&(from, what)) {
            s.acked = s.acked.max(index + 1).min(s.next);
            s.progress = self.now;
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
        let expected = match what {
            What::Learn => self.lesson_progress(from),
            What::Base | What::Status => self.install_progress(from, p, what),
        };
        if !expected {
            return;
        }
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
        match what {
            What::Learn => self.take_lesson(&bytes),
            What::Base | What::Status => self.take_base(from, what, bytes),
        }
    }

    /// R7.12: whether this belongs to the view being installed; it is progress then.
    fn install_progress(&mut self, from: NodeId, p: ViewId, what: What) -> bool {
        let until = self.now + self.config.deadtime;
        let Phase::Installing(i) = &mut self.phase else { return false };
        let source = if what == What::Base { Some(i.install.source) } else { i.install.status.source };
        if i.install.p != p || i.switching || source != Some(from) {
            return false;
        }
        i.until = until;
        true
    }

    fn take_lesson(&mut self, bytes: &[u8]) {
        if let Some((&NEAR, rest)) = bytes.split_first() {
            let mut r = Reader::new(rest);
            return match Electorate::read(&mut r).and_then(|voters| r.finish().map(|_| voters)) {
                Ok(voters) => self.near(voters),
                Err(_) => self.not_learned(),
            };
        }
        let ground = self.learning.staged.as_deref().unwrap_or(&self.state.durable).clone();
        match read_base(ground, bytes) {
            Ok((durable, _)) => self.learned(durable),
            Err(_) => self.not_learned(),
        }
    }

    fn take_base(&mut self, from: NodeId, what: What, bytes: Vec<u8>) {
        let Phase::Installing(i) = &mut self.phase else { return };
        let fits = match what {
            What::Status => {
                i.status = Some(StatusPart { bytes });
                true
            }
            What::Base | What::Learn => {
                let start = (i.ground.lineage.head(), i.ground.lineage.h());
                match read_base(i.ground.clone(), &bytes) {
                    Ok((durable, entries))
                        if (durable.lineage.head(), durable.lineage.h()) == i.install.base() =>
                    {
                        i.durable = Some(durable);
                        self.transfers.fetched = (!entries.is_empty()).then_some((start, entries));
                        true
                    }
                    Ok(_) | Err(_) => false,
                }
            }
        };
        if fits {
            self.try_switch();
        } else {
            // Nothing is visible of it, nothing was written; the next round decides again.
            self.log(
                Level::Error,
                format!("the state sent by {} is not the one announced", self.name_of(from)),
            );
            self.learning.staged = None;
            self.phase = Phase::Seeking;
            self.dirty = true;
        }
    }
}

/// A whole state, or entries on top of `ground`, and which.
fn read_base(ground: Durable, bytes: &[u8]) -> Result<(Durable, Vec<Entry>), CodecError> {
    let mut r = Reader::new(bytes);
    match r.u8()? {
        WHOLE => {
            let durable = Durable::read(&mut r)?;
            r.finish()?;
            Ok((durable, Vec::new()))
        }
        SUFFIX => {
            let mut state = State { durable: ground, ..State::default() };
            let mut entries = Vec::new();
            for _ in 0..r.count()? {
                let entry = read_entry(r.bytes()?)?;
                state.apply(&entry).map_err(|_| CodecError::Document)?;
                entries.push(entry);
            }
            r.finish()?;
            Ok((state.durable, entries))
        }
        other => Err(CodecError::Kind(other)),
    }
}
