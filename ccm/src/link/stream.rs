//! The reliable stream of a session: pieces in order, exactly once (R2.3).
//!
//! The receiver says what it has (one number and ranges); the sender repeats what is missing, at once
//! when later pieces have arrived, else after a time-out that adapts to the round trip. Pieces have
//! their own numbers: heartbeats neither wait for nor share anything with them.
//!
//! A session has two of them ([`crate::seam::Lane`]), each with numbers, window and delays of its own.
//!
//! Bounds: [`MAX_PIECES`] or [`MAX_BYTES`] unacknowledged at the sender (protocol 18.1), [`EARLY`]
//! pieces kept out of order and [`MAX_MESSAGE`] for one message at the receiver.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::seam::Lane;
use crate::wire::compress::Algorithm;
use crate::wire::frame::{Ack, Data, MAX_RANGES, SessionId};

/// Most pieces waiting for acknowledgement or sending.
pub const MAX_PIECES: usize = 4096;
/// Most bytes of them.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;
/// Longest message after compression (R2.3).
pub const MAX_MESSAGE: usize = 1024 * 1024;
/// Longest message after decompression.
const MAX_PLAIN: usize = 8 * 1024 * 1024;
/// Pieces kept beyond the next expected.
const EARLY: u64 = 1024;
/// In flight: first and most. A default receive buffer holds about this many packets.
const FIRST_WINDOW: usize = 32;
const MAX_WINDOW: usize = 160;
/// Later pieces that must have arrived before one counts as lost.
const REORDER: u64 = 3;
const FIRST_RTO: Duration = Duration::from_millis(100);
const MIN_RTO: Duration = Duration::from_millis(10);
const MAX_RTO: Duration = Duration::from_secs(1);
/// How long an acknowledgement may wait for company.
const ACK_DELAY: Duration = Duration::from_millis(2);
/// Pieces acknowledged together at most.
const ACK_EVERY: u32 = 8;

/// Why a stream cannot go on; it ends the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    #[error("retransmission buffer overrun")]
    Overrun,
    #[error("message longer than 1 MiB after compression")]
    TooLong,
    #[error("malformed message")]
    Malformed,
}

impl StreamError {
    /// The words for [`crate::seam::LinkEvent::SessionLost`].
    pub fn why(self) -> &'static str {
        match self {
            StreamError::Overrun => "retransmission buffer overrun",
            StreamError::TooLong => "message longer than 1 MiB after compression",
            StreamError::Malformed => "malformed message",
        }
    }
}

#[derive(Debug)]
struct Piece {
    last: bool,
    /// The whole message is this piece: urgent enough for every link.
    alone: bool,
    bytes: Vec<u8>,
    sent: Option<Duration>,
    sends: u32,
    arrived: bool,
    lost: bool,
}

/// A piece to be sent now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    pub seq: u64,
    pub last: bool,
    pub alone: bool,
    /// How often it was sent before.
    pub before: u32,
    pub bytes: Vec<u8>,
}

/// Sending half.
#[derive(Debug)]
pub struct Sender {
    pieces: VecDeque<Piece>,
    /// Number of the first of `pieces`.
    base: u64,
    /// Number of the first piece never sent.
    fresh: u64,
    bytes: usize,
    in_flight: usize,
    window: usize,
    round_trip: Option<(Duration, Duration)>,
    backoff: u32,
    highest_arrived: u64,
    lost_waiting: usize,
}

impl Default for Sender {
    fn default() -> Sender {
        Sender {
            pieces: VecDeque::new(),
            base: 1,
            fresh: 1,
            bytes: 0,
            in_flight: 0,
            window: FIRST_WINDOW,
            round_trip: None,
            backoff: 0,
            highest_arrived: 0,
            lost_waiting: 0,
        }
    }
}

/// Wraps a payload: one byte for the compression, then the bytes.
pub fn wrap(payload: &[u8], compression: Option<(Algorithm, usize)>) -> Vec<u8> {
    if let Some((algorithm, threshold)) = compression
        && payload.len() > threshold
    {
        // bzip2 is slow enough to hold up heartbeats on larger messages.
        let algorithm = if payload.len() > 64 * 1024 { Algorithm::Zlib } else { algorithm };
        if let Some(packed) = algorithm.pack(payload) {
            let mut out = Vec::with_capacity(packed.len() + 1);
            out.push(match algorithm {
                Algorithm::Zlib => 1,
                Algorithm::Bz2 => 2,
            });
            out.extend_from_slice(&packed);
            return out;
        }
    }
    let mut out = Vec::with_capacity(payload.len() + 1);
    out.push(0);
    out.extend_from_slice(payload);
    out
}

/// Undoes [`wrap`].
///
/// # Errors
/// [`StreamError::Malformed`].
pub fn unwrap_message(message: &[u8]) -> Result<Vec<u8>, StreamError> {
    let unpack = |a: Algorithm, b: &[u8]| a.unpack(b, MAX_PLAIN).map_err(|_| StreamError::Malformed);
    match message.split_first() {
        Some((0, rest)) => Ok(rest.to_vec()),
        Some((1, rest)) => unpack(Algorithm::Zlib, rest),
        Some((2, rest)) => unpack(Algorithm::Bz2, rest),
        _ => Err(StreamError::Malformed),
    }
}

impl Sender {
    /// Queues a wrapped message in pieces of at most `piece` bytes.
    ///
    /// # Errors
    /// [`StreamError::TooLong`], [`StreamError::Overrun`]; nothing was queued.
    pub fn push(&mut self, message: &[u8], piece: usize) -> Result<(), StreamError> {
        if message.len() > MAX_MESSAGE + 1 {
            return Err(StreamError::TooLong);
        }
        let piece = piece.max(16);
        let count = message.len().div_ceil(piece).max(1);
        if self.pieces.len() + count > MAX_PIECES || self.bytes + message.len() > MAX_BYTES {
            return Err(StreamError::Overrun);
        }
        self.bytes += message.len();
        for (i, bytes) in message.chunks(piece).enumerate() {
            self.pieces.push_back(Piece {
                last: i + 1 == count,
                alone: count == 1,
                bytes: bytes.to_vec(),
                sent: None,
                sends: 0,
                arrived: false,
                lost: false,
            });
        }
        Ok(())
    }

    /// Whether everything was acknowledged.
    pub fn is_idle(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether [`Sender::take`] has something at once.
    pub fn ready(&self) -> bool {
        self.lost_waiting > 0
            || (self.fresh < self.base + self.pieces.len() as u64 && self.in_flight < self.window)
    }

    /// The next piece to send: lost ones first.
    pub fn take(&mut self, now: Duration) -> Option<Outgoing> {
        let mut index = None;
        if self.lost_waiting > 0 {
            index = self.pieces.iter().position(|p| p.lost);
            if index.is_some() {
                self.lost_waiting -= 1;
            } else {
                self.lost_waiting = 0;
            }
        }
        if index.is_none() && self.in_flight < self.window {
            let at = self.sent_count();
            if at < self.pieces.len() {
                index = Some(at);
                self.fresh += 1;
            }
        }
        let index = index?;
        let seq = self.base + index as u64;
        let piece = self.pieces.get_mut(index)?;
        piece.lost = false;
        piece.sent = Some(now);
        let before = piece.sends;
        piece.sends += 1;
        self.in_flight += 1;
        Some(Outgoing { seq, last: piece.last, alone: piece.alone, before, bytes: piece.bytes.clone() })
    }

    /// How many of `pieces` were sent at least once.
    fn sent_count(&self) -> usize {
        (self.fresh - self.base) as usize
    }

    fn time_out(&self) -> Duration {
        let base = match self.round_trip {
            Some((mean, spread)) => (mean + ACK_DELAY + 4 * spread).max(MIN_RTO),
            None => FIRST_RTO,
        };
        // Slow lines have round trips beyond the usual maximum.
        (base * (1 << self.backoff.min(6))).min(MAX_RTO.max(2 * base))
    }

    /// When [`Sender::wake`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        let sent = self
            .pieces
            .iter()
            .take(self.sent_count())
            .filter(|p| !p.arrived && !p.lost)
            .filter_map(|p| p.sent)
            .min()?;
        Some(sent + self.time_out())
    }

    /// Marks what timed out as lost.
    pub fn wake(&mut self, now: Duration) {
        let limit = self.time_out();
        let mut any = false;
        let sent_count = self.sent_count();
        for piece in self.pieces.iter_mut().take(sent_count) {
            if !piece.arrived && !piece.lost && piece.sent.is_some_and(|sent| sent + limit <= now) {
                piece.lost = true;
                any = true;
                self.lost_waiting += 1;
                self.in_flight = self.in_flight.saturating_sub(1);
            }
        }
        if any {
            self.backoff = (self.backoff + 1).min(6);
            self.window = (self.window / 2).max(FIRST_WINDOW / 2);
        }
    }

    /// Takes an acknowledgement. Numbers never sent are ignored.
    pub fn acknowledged(&mut self, now: Duration, ack: &Ack) {
        let mut newly = 0;
        while self.base <= ack.upto && self.base < self.fresh {
            let Some(piece) = self.pieces.pop_front() else { break };
            self.base += 1;
            self.bytes = self.bytes.saturating_sub(piece.bytes.len());
            if !piece.arrived {
                newly += 1;
                self.landed(now, &piece);
            }
        }
        self.highest_arrived = self.highest_arrived.max(ack.upto.min(self.fresh - 1));
        for &(first, last) in &ack.ranges {
            let last = last.min(self.fresh - 1);
            for seq in first.max(self.base)..=last {
                let at = (seq - self.base) as usize;
                let Some(piece) = self.pieces.get_mut(at) else { break };
                if piece.arrived {
                    continue;
                }
                piece.arrived = true;
                let copy = Piece { bytes: Vec::new(), ..*piece };
                piece.lost = false;
                newly += 1;
                self.landed(now, &copy);
                self.highest_arrived = self.highest_arrived.max(seq);
            }
        }
        if newly > 0 {
            self.backoff = 0;
            self.window = (self.window + newly).min(MAX_WINDOW);
        }
        self.find_lost(now);
    }

    fn landed(&mut self, now: Duration, piece: &Piece) {
        if piece.lost {
            self.lost_waiting = self.lost_waiting.saturating_sub(1);
        } else {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        // A piece sent twice does not say which copy arrived.
        if piece.sends == 1
            && let Some(sent) = piece.sent
        {
            let sample = now.saturating_sub(sent);
            self.round_trip = Some(match self.round_trip {
                None => (sample, sample / 2),
                Some((mean, spread)) => ((mean * 7 + sample) / 8, (spread * 3 + mean.abs_diff(sample)) / 4),
            });
        }
    }

    /// What later pieces have overtaken is lost, if its last sending was long enough ago.
    fn find_lost(&mut self, now: Duration) {
        let patience = self.round_trip.map_or(FIRST_RTO, |(mean, spread)| mean + spread);
        let until = self.highest_arrived.saturating_sub(REORDER);
        for (seq, piece) in (self.base..).zip(&mut self.pieces) {
            if seq > until {
                break;
            }
            let old = piece.sent.is_some_and(|sent| sent + patience <= now || piece.sends == 1);
            if !piece.arrived && !piece.lost && old {
                piece.lost = true;
                self.lost_waiting += 1;
                self.in_flight = self.in_flight.saturating_sub(1);
            }
        }
    }
}

/// Receiving half.
#[derive(Debug)]
pub struct Receiver {
    next: u64,
    early: BTreeMap<u64, (bool, Vec<u8>)>,
    message: Vec<u8>,
    unacknowledged: u32,
    ack_due: Option<Duration>,
}

impl Default for Receiver {
    fn default() -> Receiver {
        Receiver { next: 1, early: BTreeMap::new(), message: Vec::new(), unacknowledged: 0, ack_due: None }
    }
}

impl Receiver {
    /// Takes a piece; completed messages, unwrapped, are appended to `out` in order.
    ///
    /// # Errors
    /// [`StreamError`]: the session must end.
    pub fn take(&mut self, now: Duration, data: Data, out: &mut Vec<Vec<u8>>) -> Result<(), StreamError> {
        self.unacknowledged += 1;
        let due = if self.unacknowledged >= ACK_EVERY { now } else { now + ACK_DELAY };
        self.ack_due = Some(self.ack_due.map_or(due, |old| old.min(due)));
        if data.seq < self.next || data.seq >= self.next + EARLY {
            return Ok(());
        }
        self.early.entry(data.seq).or_insert((data.last, data.bytes));
        while let Some((last, bytes)) = self.early.remove(&self.next) {
            self.next += 1;
            if self.message.len() + bytes.len() > MAX_MESSAGE + 1 {
                return Err(StreamError::TooLong);
            }
            self.message.extend_from_slice(&bytes);
            if last {
                let message = unwrap_message(&self.message);
                self.message = Vec::new();
                out.push(message?);
            }
        }
        Ok(())
    }

    /// When an acknowledgement should leave.
    pub fn deadline(&self) -> Option<Duration> {
        self.ack_due
    }

    /// The acknowledgement, if one is due.
    pub fn acknowledge(&mut self, now: Duration, session: SessionId, lane: Lane) -> Option<Ack> {
        if self.ack_due.is_none_or(|due| now < due) {
            return None;
        }
        self.ack_due = None;
        self.unacknowledged = 0;
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for &seq in self.early.keys() {
            if let Some((_, last)) = ranges.last_mut()
                && *last + 1 == seq
            {
                *last = seq;
            } else if ranges.len() < MAX_RANGES {
                ranges.push((seq, seq));
            } else {
                break;
            }
        }
        Some(Ack { session, lane, upto: self.next - 1, ranges })
    }
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
