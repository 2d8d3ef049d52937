//! Mutated packets against decoders and the link machine: never a panic, and no growth.
//!
//! Signed with `crc`, which anyone can do, so that mutations get past the signature and into frames,
//! sessions and streams. The bodies are those of the fuzz targets (`fuzz/`). `EVERBEAT_FUZZ=10000000 cargo test --release -p ccm --test fuzz_packets` is the
//! long run; the usual one takes a few seconds.
#![allow(clippy::unwrap_used)]

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bodies::{keys, link, resign};
use ccm::link::rng::Rng;
use ccm::link::{LinkAction, LinkInput};
use ccm::seam::{BeatBody, Incarnation, Lane, LinkCommand, NodeId};
use ccm::wire::Packet;
use ccm::wire::compress::Algorithm;
use ccm::wire::envelope::{self, AuthField, Format};

/// Packets of two machines that talk, those recorded from a real Heartbeat, and some more of its kinds.
fn corpus() -> Vec<Vec<u8>> {
    let mut links = [link(1, 1), link(2, 2)];
    let mut all = Vec::new();
    let mut now = Duration::from_secs(1);
    let mut queue: Vec<(usize, LinkInput)> = Vec::new();
    for at in 0..2 {
        for medium in 0..3 {
            queue.push((at, LinkInput::MediumUp { medium }));
        }
    }
    for step in 0..200u64 {
        let mut next = Vec::new();
        for (at, input) in queue.drain(..) {
            let mut out = Vec::new();
            links[at].handle(now, input, &mut out);
            for action in out {
                if let LinkAction::Transmit { medium, bytes, .. } = action {
                    all.push(bytes.clone());
                    next.push((1 - at, LinkInput::Packet { medium, from: None, bytes }));
                }
            }
        }
        now += Duration::from_millis(20);
        for at in 0..2 {
            next.push((at, LinkInput::Command(LinkCommand::SetBeat(BeatBody(vec![at as u8; 30])))));
        }
        if step == 20 {
            let payload = (0..60_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
            let (to, inc) = (NodeId([2; 16]), Incarnation { generation: 1, boot: 2 });
            next.push((0, LinkInput::Command(LinkCommand::Send { to, inc, lane: Lane::Talk, payload })));
        }
        queue = next;
    }
    let foreign = |t: &str| {
        let packet = Packet::new().with("t", t).with("dest", "n1").with("src", "n3");
        packet.with("seq", "5").with("hg", "7").with("ts", "1")
    };
    for packet in [
        foreign("status").with("st", "active").with("dt", "7530"),
        foreign("NS_rexmit").with("firstseq", "1").with("lastseq", "40"),
        foreign("NS_nak_rexmit").with("firstseq", "3"),
        foreign("reqnodes"),
        foreign("shutdone").with("st", "dead"),
        foreign("query-cstatus").with("cn", "x").with("from_id", "1"),
        envelope::pack(&foreign("status").with("pad", "x".repeat(5000)), Algorithm::Bz2, 100).unwrap(),
        envelope::pack(&foreign("status").with("pad", "x".repeat(5000)), Algorithm::Zlib, 100).unwrap(),
    ] {
        for format in [Format::Netstring, Format::Classic] {
            all.push(envelope::encode(&packet, format, AuthField::Yes, &keys()));
        }
    }
    assert!(all.len() > 300, "{}", all.len());
    let recorded = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut files: Vec<PathBuf> = std::fs::read_dir(recorded).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for file in files.iter().filter(|f| f.extension().is_some_and(|e| e == "packet")) {
        let mut bytes = std::fs::read(file).unwrap();
        resign(&mut bytes);
        all.push(bytes);
    }
    all
}

/// Changes some bytes, then makes the signature right again in most cases.
fn mutate(packet: &[u8], other: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = packet.to_vec();
    for _ in 0..=rng.below(4) {
        let len = bytes.len() as u64;
        let at = rng.below(len.max(1)) as usize;
        match rng.below(6) {
            0 => bytes.truncate(at),
            1 => {
                let piece = other.get(..at.min(other.len())).unwrap_or_default();
                bytes.splice(at.min(bytes.len()).., piece.iter().copied());
            }
            2 => bytes.insert(at.min(bytes.len()), rng.draw() as u8),
            3 if !bytes.is_empty() => {
                bytes.remove(at.min(bytes.len() - 1));
            }
            _ => {
                if let Some(b) = bytes.get_mut(at) {
                    *b ^= 1 << rng.below(8);
                }
            }
        }
    }
    if rng.below(8) > 0 {
        resign(&mut bytes);
    }
    bytes
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

#[test]
fn mutated_packets_neither_break_nor_grow() {
    let rounds: u64 = std::env::var("EVERBEAT_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let seed = std::env::var("EVERBEAT_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    println!("EVERBEAT_SEED={seed} EVERBEAT_FUZZ={rounds}");
    let corpus = corpus();
    let mut rng = Rng::new(seed);
    let mut machine = link(1, 9);
    let mut now = Duration::from_secs(1);
    let mut out = Vec::new();
    for medium in 0..3 {
        machine.handle(now, LinkInput::MediumUp { medium }, &mut out);
    }
    let (start, mut middle) = (Instant::now(), 0);
    let (mut acted, mut most) = (0u64, 0);
    for round in 0..rounds {
        let pick = |rng: &mut Rng| &corpus[rng.below(corpus.len() as u64) as usize];
        let bytes = mutate(pick(&mut rng), pick(&mut rng), &mut rng);
        let medium = rng.below(3) as usize;
        out.clear();
        machine.handle(now, LinkInput::Packet { medium, from: None, bytes }, &mut out);
        acted += u64::from(!out.is_empty());
        most = most.max(out.len());
        if round % 50 == 0 {
            now += Duration::from_millis(5);
            let body = BeatBody(vec![0; 10]);
            machine.handle(now, LinkInput::Command(LinkCommand::SetBeat(body)), &mut out);
            // As a driver: whenever the deadline has come.
            if machine.deadline().is_some_and(|d| d <= now) {
                machine.handle(now, LinkInput::Wake, &mut out);
            }
        }
        if round == rounds / 2 {
            middle = resident_kb();
        }
    }
    let end = resident_kb();
    println!(
        "{rounds} packets in {:?}, {acted} led to actions, at most {most} at once; resident {middle} KB half-way, {end} KB at the end",
        start.elapsed()
    );
    assert!(acted > rounds / 1000, "the mutations never get past the signature");
    assert!(most < 600, "one packet caused {most} actions");
    assert!(end < middle + 8192, "grew from {middle} KB to {end} KB");
}

/// The bodies of the fuzz targets over the same packets, damaged, and over what they are made of.
#[test]
fn bodies_of_the_fuzz_targets() {
    let rounds: u64 = std::env::var("EVERBEAT_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let seed = std::env::var("EVERBEAT_SEED").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    println!("EVERBEAT_SEED={seed} EVERBEAT_FUZZ={rounds}");
    let corpus = corpus();
    let mut rng = Rng::new(seed);
    let text = b"<nvpair id=\"a\" name=\"b\" value=\"c\"/>".repeat(500);
    let packed: Vec<Vec<u8>> =
        [Algorithm::Zlib, Algorithm::Bz2].iter().map(|a| a.pack(&text).unwrap()).collect();
    let bomb = Algorithm::Bz2.pack(&vec![0; 64 << 20]).unwrap();
    bodies::decompress(&bomb);
    for round in 0..rounds / 4 {
        let pick = |rng: &mut Rng| &corpus[rng.below(corpus.len() as u64) as usize];
        let bytes = mutate(pick(&mut rng), pick(&mut rng), &mut rng);
        bodies::decode(&bytes);
        bodies::defragment(&(0..rng.below(400)).map(|_| rng.draw() as u8).collect::<Vec<_>>());
        if round % 40 == 0 {
            let which = packed.get(rng.below(3) as usize).unwrap_or(&bomb);
            let mut damaged = mutate(which, &bytes, &mut rng);
            bodies::decompress(&damaged);
            damaged.insert(0, rng.below(4) as u8);
            bodies::decompress(&damaged);
            let several: Vec<Vec<u8>> = (0..4).map(|_| mutate(pick(&mut rng), &bytes, &mut rng)).collect();
            bodies::machine(&several.join(&b"----\n"[..]));
        }
    }
}
