//! What our own nodes say to each other: one binary field ([`FIELD`]) of a packet whose other fields
//! are such as a real Heartbeat expects.
//!
//! A frame is a clear head ([`Head`]: who, which start of it, to whom) and a body ([`Body`]), which is
//! encrypted where the key allows it ([`super::seal`]). Numbers are LEB128 where they are usually
//! small, little endian where they are random. Unknown kinds are counted and dropped (protocol 17.2).

use std::time::Duration;

use crate::seam::{Incarnation, Lane, NodeId};

/// Name of the field that carries a frame.
pub const FIELD: &str = "eb";
/// Version of the frame layout.
pub const VERSION: u8 = 1;
/// Most entries of an echo list (protocol 18: peers known).
pub const MAX_ECHO: usize = 128;
/// Most ranges of an acknowledgement.
pub const MAX_RANGES: usize = 32;

/// A frame that cannot be read; the packet was signed, so the sender is of another version or mad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum FrameError {
    #[error("frame cut off or malformed")]
    Malformed,
    #[error("frame of protocol version {0}, this node speaks version 1")]
    Version(u8),
    #[error("frame of unknown kind {0}")]
    Kind(u8),
}

/// One incarnation of one node.
pub type Who = (NodeId, Incarnation);

/// The part in clear: needed before decryption, and protected by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// First bytes of the digest of the cluster's name.
    pub cluster: u32,
    /// Source incarnation; the source id is the packet's `srcuuid`.
    pub inc: Incarnation,
    /// Per incarnation, never used twice: the nonce of the encryption.
    pub counter: u64,
    /// Destination; none means all.
    pub to: Option<Who>,
    /// Whether the body is encrypted.
    pub sealed: bool,
}

/// The two nonces of a session as the sender sees them (R2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SessionId {
    /// The sender's own.
    pub mine: u64,
    /// The receiver's.
    pub yours: u64,
}

impl SessionId {
    /// The same session seen from the other end.
    pub fn flipped(self) -> SessionId {
        SessionId { mine: self.yours, yours: self.mine }
    }
}

/// Opening of a session and its confirmation (R2.2); `Hello` and `HelloAck` in one shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hello {
    /// The sender's nonce for the session it opens or has.
    pub nonce: u64,
    /// The receiver's nonce, echoed; 0 if none was heard yet.
    pub echo: u64,
    /// The session the sender holds as usable; zeros if none.
    pub held: SessionId,
    /// Highest generation of the receiver the sender remembers (R3.2).
    pub known_generation: u64,
}

/// One line of an echo as it travels: the pair of id and incarnation as a short digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Echo {
    pub who: u64,
    pub beat: u64,
    pub tick: u64,
    /// Milliseconds.
    pub age: Duration,
}

/// Heartbeat of ours (protocol §5).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BeatFrame {
    pub deadtime: Duration,
    pub beat: u64,
    pub tick: u64,
    /// The core has made no progress for a dead time; no more beats follow until it does.
    pub core_failed: bool,
    pub heard: Vec<Echo>,
    pub body: Vec<u8>,
}

/// A piece of a reliable message (R2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    pub session: SessionId,
    pub lane: Lane,
    /// From 1, no gaps.
    pub seq: u64,
    /// Last piece of its message.
    pub last: bool,
    pub bytes: Vec<u8>,
}

/// What arrived: all up to `upto`, and these ranges beyond it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Ack {
    pub session: SessionId,
    pub lane: Lane,
    pub upto: u64,
    /// First and last of each range, ascending.
    pub ranges: Vec<(u64, u64)>,
}

/// Why a node is not heard (R3.3, R3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefuseWhy {
    DuplicateUuid,
    DuplicateName,
    /// It is no node of the cluster of the sender: taken out, or never added (R15.8).
    NotANode,
}

/// The frame classes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    Beat(BeatFrame),
    Hello(Hello),
    Data(Data),
    Ack(Ack),
    /// This incarnation leaves.
    Bye,
    /// Is the incarnation still there? (R3.3)
    Probe(u64),
    ProbeAck(u64),
    Refuse {
        why: RefuseWhy,
        /// Of the other one of two that are too much alike.
        address: String,
    },
}

/// Short digest of an incarnation for echo lists: 64 bits, no security resting on it.
pub fn short(who: Who) -> u64 {
    let (id, inc) = who;
    let (a, b) = id.0.split_at(8);
    let half = |bytes: &[u8]| bytes.iter().fold(0u64, |n, &b| (n << 8) | u64::from(b));
    let mut n = half(a);
    for part in [half(b), inc.generation, inc.boot] {
        n = mix(n ^ part);
    }
    n
}

/// The finaliser of splitmix64.
fn mix(mut z: u64) -> u64 {
    z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

struct Writer<'a>(&'a mut Vec<u8>);

impl Writer<'_> {
    fn byte(&mut self, b: u8) {
        self.0.push(b);
    }
    fn fixed(&mut self, n: u64) {
        self.0.extend_from_slice(&n.to_le_bytes());
    }
    fn num(&mut self, mut n: u64) {
        while n >= 0x80 {
            self.0.push((n as u8) | 0x80);
            n >>= 7;
        }
        self.0.push(n as u8);
    }
    fn bytes(&mut self, b: &[u8]) {
        self.num(b.len() as u64);
        self.0.extend_from_slice(b);
    }
    fn session(&mut self, s: SessionId) {
        self.fixed(s.mine);
        self.fixed(s.yours);
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8], FrameError> {
        let (head, rest) = self.0.split_at_checked(n).ok_or(FrameError::Malformed)?;
        self.0 = rest;
        Ok(head)
    }
    fn byte(&mut self) -> Result<u8, FrameError> {
        self.take(1)?.first().copied().ok_or(FrameError::Malformed)
    }
    fn fixed(&mut self) -> Result<u64, FrameError> {
        let bytes: [u8; 8] = self.take(8)?.try_into().map_err(|_| FrameError::Malformed)?;
        Ok(u64::from_le_bytes(bytes))
    }
    fn num(&mut self) -> Result<u64, FrameError> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let part = u64::from(byte & 0x7f);
            if shift == 63 && part > 1 {
                return Err(FrameError::Malformed);
            }
            n |= part << shift;
            if byte & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(FrameError::Malformed)
    }
    fn bytes(&mut self) -> Result<&'a [u8], FrameError> {
        let n = usize::try_from(self.num()?).map_err(|_| FrameError::Malformed)?;
        self.take(n)
    }
    fn session(&mut self) -> Result<SessionId, FrameError> {
        Ok(SessionId { mine: self.fixed()?, yours: self.fixed()? })
    }
    fn count(&mut self, most: usize) -> Result<usize, FrameError> {
        let n = self.num()?;
        if n > most as u64 { Err(FrameError::Malformed) } else { Ok(n as usize) }
    }
    fn millis(&mut self) -> Result<Duration, FrameError> {
        // A bound of about 50 days keeps sums of durations from overflowing.
        Ok(Duration::from_millis(self.num()?.min(u64::from(u32::MAX))))
    }
}

impl Head {
    /// Appends the head.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Writer(out);
        w.byte(VERSION);
        w.byte(u8::from(self.sealed) | (u8::from(self.to.is_some()) << 1));
        w.0.extend_from_slice(&self.cluster.to_le_bytes());
        w.fixed(self.inc.generation);
        w.fixed(self.inc.boot);
        w.fixed(self.counter);
        if let Some((id, inc)) = self.to {
            w.0.extend_from_slice(&id.0);
            w.fixed(inc.generation);
            w.fixed(inc.boot);
        }
    }

    /// Splits a frame into head, the head's bytes and the body's bytes.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn decode(frame: &[u8]) -> Result<(Head, &[u8], &[u8]), FrameError> {
        let mut r = Reader(frame);
        let version = r.byte()?;
        if version != VERSION {
            return Err(FrameError::Version(version));
        }
        let flags = r.byte()?;
        let cluster: [u8; 4] = r.take(4)?.try_into().map_err(|_| FrameError::Malformed)?;
        let inc = Incarnation { generation: r.fixed()?, boot: r.fixed()? };
        let counter = r.fixed()?;
        let to = if flags & 2 != 0 {
            let id: [u8; 16] = r.take(16)?.try_into().map_err(|_| FrameError::Malformed)?;
            Some((NodeId(id), Incarnation { generation: r.fixed()?, boot: r.fixed()? }))
        } else {
            None
        };
        let head = Head { cluster: u32::from_le_bytes(cluster), inc, counter, to, sealed: flags & 1 != 0 };
        let body = r.0;
        let (clear, _) = frame.split_at(frame.len() - body.len());
        Ok((head, clear, body))
    }
}

impl Body {
    /// Appends the body in clear.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut w = Writer(out);
        match self {
            Body::Beat(b) => {
                w.byte(1);
                w.byte(u8::from(b.core_failed));
                w.num(b.deadtime.as_millis() as u64);
                w.num(b.beat);
                w.num(b.tick);
                let echo = b.heard.get(..MAX_ECHO).unwrap_or(&b.heard);
                w.num(echo.len() as u64);
                for e in echo {
                    w.fixed(e.who);
                    w.num(e.beat);
                    w.num(e.tick);
                    w.num(e.age.as_millis() as u64);
                }
                w.bytes(&b.body);
            }
            Body::Hello(h) => {
                w.byte(2);
                w.fixed(h.nonce);
                w.fixed(h.echo);
                w.session(h.held);
                w.num(h.known_generation);
            }
            Body::Data(d) => {
                w.byte(match d.lane {
                    Lane::Talk => 3,
                    Lane::Bulk => 9,
                });
                w.session(d.session);
                w.num(d.seq);
                w.byte(u8::from(d.last));
                w.0.extend_from_slice(&d.bytes);
            }
            Body::Ack(a) => {
                w.byte(match a.lane {
                    Lane::Talk => 4,
                    Lane::Bulk => 10,
                });
                w.session(a.session);
                w.num(a.upto);
                let ranges = a.ranges.get(..MAX_RANGES).unwrap_or(&a.ranges);
                w.num(ranges.len() as u64);
                for (first, last) in ranges {
                    w.num(*first);
                    w.num(*last);
                }
            }
            Body::Bye => w.byte(5),
            Body::Probe(n) => {
                w.byte(6);
                w.fixed(*n);
            }
            Body::ProbeAck(n) => {
                w.byte(7);
                w.fixed(*n);
            }
            Body::Refuse { why, address } => {
                w.byte(8);
                w.byte(match why {
                    RefuseWhy::DuplicateUuid => 1,
                    RefuseWhy::DuplicateName => 2,
                    RefuseWhy::NotANode => 3,
                });
                w.bytes(address.as_bytes());
            }
        }
    }

    /// Reads a body in clear. Bytes after a known body are ignored: fields of later versions.
    ///
    /// # Errors
    /// [`FrameError`].
    pub fn decode(bytes: &[u8]) -> Result<Body, FrameError> {
        let mut r = Reader(bytes);
        let kind = r.byte()?;
        Ok(match kind {
            1 => {
                let flags = r.byte()?;
                let deadtime = r.millis()?;
                let (beat, tick) = (r.num()?, r.num()?);
                let n = r.count(MAX_ECHO)?;
                let mut heard = Vec::with_capacity(n);
                for _ in 0..n {
                    heard.push(Echo { who: r.fixed()?, beat: r.num()?, tick: r.num()?, age: r.millis()? });
                }
                let body = r.bytes()?.to_vec();
                Body::Beat(BeatFrame { deadtime, beat, tick, core_failed: flags & 1 != 0, heard, body })
            }
            2 => Body::Hello(Hello {
                nonce: r.fixed()?,
                echo: r.fixed()?,
                held: r.session()?,
                known_generation: r.num()?,
            }),
            3 | 9 => {
                let lane = if kind == 9 { Lane::Bulk } else { Lane::Talk };
                let session = r.session()?;
                let seq = r.num()?;
                let last = r.byte()? & 1 != 0;
                Body::Data(Data { session, lane, seq, last, bytes: r.0.to_vec() })
            }
            4 | 10 => {
                let lane = if kind == 10 { Lane::Bulk } else { Lane::Talk };
                let session = r.session()?;
                let upto = r.num()?;
                let n = r.count(MAX_RANGES)?;
                let mut ranges = Vec::with_capacity(n);
                for _ in 0..n {
                    let (first, last) = (r.num()?, r.num()?);
                    if first > last || first <= upto {
                        return Err(FrameError::Malformed);
                    }
                    ranges.push((first, last));
                }
                Body::Ack(Ack { session, lane, upto, ranges })
            }
            5 => Body::Bye,
            6 => Body::Probe(r.fixed()?),
            7 => Body::ProbeAck(r.fixed()?),
            8 => {
                let why = match r.byte()? {
                    1 => RefuseWhy::DuplicateUuid,
                    2 => RefuseWhy::DuplicateName,
                    3 => RefuseWhy::NotANode,
                    other => return Err(FrameError::Kind(other)),
                };
                let text = r.bytes()?;
                let address = String::from_utf8_lossy(text.get(..64).unwrap_or(text));
                Body::Refuse { why, address: address.into_owned() }
            }
            other => return Err(FrameError::Kind(other)),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_kind_round_trips() {
        let session = SessionId { mine: 1, yours: u64::MAX };
        let bodies = [
            Body::Beat(BeatFrame {
                deadtime: Duration::from_secs(30),
                beat: 7,
                tick: 300,
                core_failed: true,
                heard: vec![Echo { who: 9, beat: 1, tick: 2, age: Duration::from_millis(1234) }],
                body: b"group".to_vec(),
            }),
            Body::Hello(Hello { nonce: 1, echo: 2, held: session, known_generation: 1_700_000_000 }),
            Body::Data(Data { session, lane: Lane::Talk, seq: u64::MAX, last: true, bytes: vec![0; 10] }),
            Body::Data(Data { session, lane: Lane::Bulk, seq: 1, last: false, bytes: vec![7; 10] }),
            Body::Ack(Ack { session, lane: Lane::Talk, upto: 3, ranges: vec![(5, 6), (9, 9)] }),
            Body::Ack(Ack { session, lane: Lane::Bulk, upto: 0, ranges: vec![(2, 2)] }),
            Body::Bye,
            Body::Probe(5),
            Body::ProbeAck(6),
            Body::Refuse { why: RefuseWhy::DuplicateName, address: "10.0.0.1:694".repeat(5) },
            Body::Refuse { why: RefuseWhy::NotANode, address: String::new() },
        ];
        for body in bodies {
            let mut bytes = Vec::new();
            body.encode(&mut bytes);
            assert_eq!(Body::decode(&bytes).unwrap(), body);
        }
        for to in [None, Some((NodeId([3; 16]), Incarnation { generation: 4, boot: 5 }))] {
            let head = Head {
                cluster: 77,
                inc: Incarnation { generation: 1, boot: 2 },
                counter: 3,
                to,
                sealed: to.is_some(),
            };
            let mut bytes = Vec::new();
            head.encode(&mut bytes);
            let clear = bytes.clone();
            bytes.push(42);
            assert_eq!(Head::decode(&bytes).unwrap(), (head, &clear[..], &[42][..]));
        }
    }

    proptest! {
        #[test]
        fn anything_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..120), kind in 0u8..12) {
            let _ = Head::decode(&bytes);
            let mut bytes = bytes;
            bytes.insert(0, kind);
            let _ = Body::decode(&bytes);
            bytes.insert(0, VERSION);
            let _ = Head::decode(&bytes);
        }
    }
}
