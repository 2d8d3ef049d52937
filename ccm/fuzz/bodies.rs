//! The bodies of the fuzz targets: each takes any bytes and must neither panic nor grow. They run under
//! `cargo fuzz run TARGET` and, with seeded mutations, as ordinary tests (`tests/fuzz_packets.rs`).

use std::time::Duration;

use ccm::link::stream::{self, MAX_MESSAGE, Receiver};
use ccm::link::{Link, LinkConfig, LinkInput, MediumInfo};
use ccm::seam::{BeatBody, Incarnation, Lane, LinkCommand, NodeId};
use ccm::wire::compress::Algorithm;
use ccm::wire::envelope::{self, AuthField, Format};
use ccm::wire::frame::{Body, Data, Head, SessionId};
use ccm::wire::{Keys, MAX_UNPACKED, Method, classic, netstring};

/// A key that anyone can sign with, so that mutations get past the signature.
pub fn keys() -> Keys {
    Keys::single(Method::Crc, b"").expect("crc needs no secret")
}

/// Makes the signature of a damaged packet right again, where there is one.
pub fn resign(bytes: &mut Vec<u8>) {
    let keys = keys();
    if let Some(at) = bytes.windows(4).rposition(|w| w == b"%%%\n") {
        bytes.truncate(at + 4);
        let signature = keys.sign(&[bytes]);
        bytes.extend_from_slice(format!("{}:{signature},", signature.len()).as_bytes());
    } else if let Some(at) = bytes.windows(6).position(|w| w == b"\nauth=") {
        let end = bytes.iter().skip(at + 1).position(|&b| b == b'\n').map_or(bytes.len(), |n| at + 1 + n);
        let (Some(before), Some(after)) = (bytes.get(4..=at), bytes.get(end + 1..)) else { return };
        let close = after.windows(4).rposition(|w| w == b"<<<\n").unwrap_or(after.len());
        let signature = keys.sign(&[before, after.get(..close).unwrap_or_default()]);
        bytes.splice(at + 6..end, signature.into_bytes());
    }
}

/// Both notations, the envelope and our own frames. What opens can be written and opens again alike.
pub fn decode(bytes: &[u8]) {
    let _ = netstring::decode(bytes);
    let _ = classic::decode(bytes);
    let _ = Body::decode(bytes);
    let _ = Head::decode(bytes);
    let mut signed = bytes.to_vec();
    resign(&mut signed);
    let Ok(opened) = envelope::open(&signed, &keys()) else { return };
    let mut packet = opened.packet;
    packet.remove("auth");
    if packet.get("_compressed_payload").is_some() {
        return;
    }
    let again = envelope::encode(&packet, Format::Netstring, AuthField::No, &keys());
    let again = envelope::open(&again, &keys()).map(|o| o.packet);
    assert!(again.as_ref() == Ok(&packet) || again.is_err(), "written and read again: {again:?}");
}

/// Pieces of messages in any order, repeated, with absurd numbers: at most the bounds of the stream are
/// held. The first byte of each piece says how its number follows the last.
pub fn defragment(bytes: &[u8]) {
    let mut receiver = Receiver::default();
    let mut seq = 1u64;
    let mut rest = bytes;
    let mut out = Vec::new();
    let mut now = Duration::ZERO;
    while let Some((&[how, size], after)) = rest.split_first_chunk::<2>() {
        let (piece, after) = after.split_at(usize::from(size).min(after.len()));
        rest = after;
        seq = match how >> 5 {
            0 => seq.wrapping_sub(u64::from(how & 15)),
            1 => seq.wrapping_add(u64::from(how & 31)),
            2 => u64::MAX - u64::from(how & 31),
            3 => seq,
            _ => seq.wrapping_add(1),
        };
        let (session, last) = (SessionId::default(), how & 16 != 0);
        let data = Data { session, lane: Lane::Bulk, seq, last, bytes: piece.to_vec() };
        now += Duration::from_millis(1);
        out.clear();
        if receiver.take(now, data, &mut out).is_err() {
            return;
        }
        let _ = receiver.acknowledge(now, SessionId::default(), Lane::Bulk);
        assert!(out.iter().all(|m| m.len() <= 8 * MAX_MESSAGE));
    }
}

/// Both algorithms, directly and as a wrapped message: never more than the limit comes out.
pub fn decompress(bytes: &[u8]) {
    for algorithm in [Algorithm::Zlib, Algorithm::Bz2] {
        for limit in [1000, MAX_UNPACKED] {
            if let Ok(text) = algorithm.unpack(bytes, limit) {
                assert!(text.len() <= limit);
            }
        }
    }
    if let Ok(message) = stream::unwrap_message(bytes) {
        assert!(message.len() <= 8 * MAX_MESSAGE);
    }
}

/// A machine with a network and a ring of two serial lines.
pub fn link(i: u8, seed: u64) -> Link {
    let inc = Incarnation { generation: 1, boot: u64::from(i) };
    let mut c = LinkConfig::simple(NodeId([i; 16]), &format!("n{i}"), inc, keys(), &["n1", "n2", "n3", "n4"]);
    c.keepalive = Duration::from_millis(100);
    c.deadtime = Duration::from_secs(1);
    let mut line = MediumInfo::network("ttyS0");
    line.format = Format::Classic;
    line.forward = true;
    c.media = vec![MediumInfo::network("eth0"), line.clone(), line];
    Link::new(c, seed)
}

/// Packets, divided by a line of four `-`, one after the other into a machine that is at work.
pub fn machine(bytes: &[u8]) {
    let mut machine = link(1, 9);
    let mut now = Duration::from_secs(1);
    let mut out = Vec::new();
    for medium in 0..3 {
        machine.handle(now, LinkInput::MediumUp { medium }, &mut out);
    }
    let mut rest = bytes;
    let mut medium = 0;
    while !rest.is_empty() {
        let end = rest.windows(5).position(|w| w == b"----\n").unwrap_or(rest.len());
        let (packet, after) = rest.split_at(end);
        rest = after.get(5..).unwrap_or_default();
        let mut bytes = packet.to_vec();
        resign(&mut bytes);
        out.clear();
        machine.handle(now, LinkInput::Packet { medium, from: None, bytes }, &mut out);
        assert!(out.len() < 600, "one packet caused {} actions", out.len());
        medium = (medium + 1) % 3;
        now += Duration::from_millis(7);
        machine.handle(now, LinkInput::Command(LinkCommand::SetBeat(BeatBody(vec![0; 10]))), &mut out);
        if machine.deadline().is_some_and(|d| d <= now) {
            machine.handle(now, LinkInput::Wake, &mut out);
        }
    }
}
