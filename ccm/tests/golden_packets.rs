//! Packets recorded from Heartbeat 3.0.6 (Debian 12), one of each kind heard on a network and on a serial
//! line (`captures/README.md`): each opens, and is written again byte for byte; our link machine takes each
//! without complaint and answers what wants an answer; what we send of their kinds has their fields.
#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use ccm::link::{Level, Link, LinkAction, LinkConfig, LinkInput, MediumInfo};
use ccm::seam::{BeatBody, Incarnation, LinkCommand, NodeId};
use ccm::wire::compress::Algorithm;
use ccm::wire::envelope::{self, AuthField, Format};
use ccm::wire::frame::FIELD;
use ccm::wire::{Keys, Method, Packet};

/// The kinds there are, those of one type told apart by what they say.
const KINDS: [&str; 45] = [
    "CCM_TYPE_ALIVE",
    "CCM_TYPE_FINAL_MEMLIST",
    "CCM_TYPE_JOIN",
    "CCM_TYPE_MEM_LIST",
    "CCM_TYPE_NEW_NODE",
    "CCM_TYPE_NODE_LEAVE",
    "CCM_TYPE_NODE_LEAVE_NOTICE",
    "CCM_TYPE_PROTOVERSION",
    "CCM_TYPE_PROTOVERSION_RESP",
    "CCM_TYPE_REQ_MEMLIST",
    "CCM_TYPE_RESTART",
    "CCM_TYPE_RES_MEMLIST",
    "CCM_TYPE_STATE_INFO",
    "NS_ackmsg",
    "NS_nak_rexmit",
    "NS_rexmit",
    "NS_st.ping",
    "abort_giveup",
    "addnode",
    "anything",
    "ask_resources.done",
    "ask_resources.me",
    "ask_resources.other",
    "delnode",
    "hb_takeover",
    "hbapi-clstat.join",
    "hbapi-clstat.leave",
    "ip-request",
    "ip-request-resp",
    "num_ping_nodes",
    "query-cstatus",
    "repnodes",
    "reqnodes",
    "resource.all",
    "resource.foreign",
    "resource.local",
    "resource.none",
    "respond-cstatus",
    "setsite",
    "setweight",
    "shutdone",
    "starting",
    "status",
    "stonith",
    "you_are_dead",
];

fn keys() -> Keys {
    Keys::single(Method::Sha1, b"secretkey").unwrap()
}

/// Name without notation, notation, bytes.
fn captures() -> Vec<(String, String, Vec<u8>)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "packet") {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let (kind, form) = name.rsplit_once('-').unwrap();
            all.push((kind.to_owned(), form.to_owned(), std::fs::read(&path).unwrap()));
        }
    }
    all.sort();
    all
}

fn opened(bytes: &[u8]) -> Packet {
    envelope::open(bytes, &keys()).unwrap_or_else(|e| panic!("{e}: {}", bytes.escape_ascii())).packet
}

/// The names of a netstring packet's fields, without what is in them.
fn shape(bytes: &[u8]) -> Vec<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    let names = ["(1)_compressed_payload=", "(0)_compression_algorithm=", "(0)auth=", ",%%%\n42:1 "];
    names.into_iter().filter(|name| text.contains(name)).collect()
}

/// Compressors differ in their bytes; what comes out must not.
fn packed_alike(name: &str, bytes: &[u8], algorithm: Algorithm) {
    let packet = opened(bytes);
    assert!(bytes.len() < 500 && !String::from_utf8_lossy(bytes).contains("pad8"), "{name}");
    for pad in 0..9 {
        assert_eq!(packet.text(&format!("pad{pad}")), Some(&*"x".repeat(300)), "{name}");
    }
    let ours = envelope::pack(&packet, algorithm, 1024).unwrap();
    let ours = envelope::encode(&ours, Format::Netstring, AuthField::Yes, &keys());
    assert_eq!(shape(&ours), shape(bytes), "{name}");
    assert_eq!(opened(&ours), packet, "{name}");
}

#[test]
fn recorded_packets_open_and_are_written_alike() {
    let mut found = BTreeMap::<String, BTreeSet<String>>::new();
    for (kind, form, bytes) in captures() {
        let name = format!("{kind}-{form}");
        let mut packet = opened(&bytes);
        let word = kind.split_once('.').map_or(&*kind, |(word, _)| word);
        assert_eq!(packet.text("t"), Some(word), "{name}");
        found.entry(kind.clone()).or_default().insert(form.clone());
        if let Some(algorithm) = Algorithm::named(&form) {
            packed_alike(&name, &bytes, algorithm);
            continue;
        }
        // What a ping node's echo carries is nobody's message but its own.
        let echo = word == "NS_st";
        assert!(packet.text("src").is_some() && packet.hex("ts").is_some(), "{name}");
        assert_eq!(packet.hex("hg").is_none(), echo, "{name}");
        assert_eq!(packet.hex("seq").is_none(), word.starts_with("NS_"), "{name}");
        packet.remove("auth");
        let format = if form == "classic" { Format::Classic } else { Format::Netstring };
        let mut again = envelope::encode(&packet, format, AuthField::Yes, &keys());
        if format == Format::Classic && bytes.last() != Some(&0) {
            again.pop();
        }
        assert_eq!(String::from_utf8_lossy(&again), String::from_utf8_lossy(&bytes), "{name}");
        // One packet, whichever way it travels.
        let other = if format == Format::Classic { Format::Netstring } else { Format::Classic };
        let mut across = opened(&envelope::encode(&packet, other, AuthField::Yes, &keys()));
        across.remove("auth");
        assert_eq!(across, packet, "{name}");
    }
    let forms = |kind: &str| match kind {
        "NS_st.ping" => vec!["netstring"],
        "anything" => vec!["bz2", "classic", "netstring", "zlib"],
        _ => vec!["classic", "netstring"],
    };
    let wanted =
        KINDS.iter().map(|&kind| (kind.to_owned(), forms(kind).iter().map(|f| f.to_string()).collect()));
    assert_eq!(found, wanted.collect());
}

/// A machine of ours in the recorded cluster.
struct Ours {
    link: Link,
    out: Vec<LinkAction>,
}

impl Ours {
    /// Under that name, with a network and a serial line, which has sent `beats` heartbeats.
    fn new(name: &str, beats: u64) -> Ours {
        let inc = Incarnation { generation: 1, boot: 1 };
        let mut config = LinkConfig::simple(NodeId([9; 16]), name, inc, keys(), &["n1", "n2", "n3", "us"]);
        config.deadtime = Duration::from_secs(3600);
        config.initdead = Duration::from_secs(3600);
        config.media.push(MediumInfo { format: Format::Classic, ..MediumInfo::network("/dev/ttyS0") });
        let mut ours = Ours { link: Link::new(config, 1), out: Vec::new() };
        for medium in 0..2 {
            ours.input(Duration::ZERO, LinkInput::MediumUp { medium });
        }
        for beat in 1..=beats {
            let body = LinkCommand::SetBeat(BeatBody(vec![1]));
            ours.input(Duration::from_secs(beat), LinkInput::Command(body));
        }
        ours
    }

    fn input(&mut self, now: Duration, input: LinkInput) {
        self.link.handle(now, input, &mut self.out);
    }

    /// Takes a packet on a medium; answers what is sent on the other in reply.
    fn hear(&mut self, now: Duration, medium: usize, bytes: &[u8]) -> Vec<Packet> {
        self.out.clear();
        self.input(now, LinkInput::Packet { medium, from: None, bytes: bytes.to_vec() });
        self.sent(1 - medium)
    }

    /// What was sent on a medium, beside heartbeats.
    fn sent(&self, medium: usize) -> Vec<Packet> {
        let sent = self.out.iter().filter_map(|action| match action {
            LinkAction::Transmit { medium: m, bytes, .. } if *m == medium => Some(opened(bytes)),
            _ => None,
        });
        sent.filter(|packet| packet.text("t") != Some("status")).collect()
    }

    fn complaints(&self) -> Vec<String> {
        let lines = self.out.iter().filter_map(|action| match action {
            LinkAction::Log(line) if line.level >= Level::Warn => Some(line.text.clone()),
            _ => None,
        });
        let refused = self.link.report().refused.into_iter().map(|(_, cause, _)| cause);
        lines.chain(refused).collect()
    }
}

fn names(packet: &Packet) -> BTreeSet<String> {
    packet.fields().map(|(name, _)| name.to_owned()).collect()
}

/// A heartbeat of that packet's sender, the one before it.
fn before(packet: &Packet) -> Vec<u8> {
    let seq = packet.hex("seq").map_or(1, |seq| seq - 1);
    let mut status = Packet::new().with("t", "status").with("st", "active").with("dt", "7530");
    status.set("src", packet.text("src").unwrap());
    let uuid = packet.binary("srcuuid").unwrap().to_vec();
    let status = status.with_binary("srcuuid", uuid).with("seq", format!("{seq:x}"));
    let status = status.with("hg", packet.text("hg").unwrap()).with("ts", "1").with("ttl", "3");
    envelope::encode(&status, Format::Netstring, AuthField::Yes, &keys())
}

/// Each recorded packet, heard by a node of ours under the name it is addressed to.
#[test]
fn our_machine_takes_recorded_packets_without_complaint() {
    let all = captures();
    let recorded =
        |kind: &str| all.iter().find(|(k, ..)| k == kind).map(|(.., bytes)| opened(bytes)).unwrap();
    let mut answered = BTreeSet::new();
    for (kind, form, bytes) in &all {
        // The echo comes back to the node that sent it, which counts answers by their ICMP numbers.
        if kind == "NS_st.ping" {
            continue;
        }
        let packet = opened(bytes);
        let own = packet.text("dest").filter(|dest| packet.text("src") != Some(dest)).unwrap_or("us");
        let mut ours = Ours::new(own, 600);
        let now = Duration::from_secs(601);
        let medium = usize::from(form == "classic");
        ours.hear(now, medium, &before(&packet));
        let answers = ours.hear(now, medium, bytes);
        // A request for what is gone is an error of the line, not of the packet; theirs says the same.
        let gone = ["Cannot rexmit pkt 16 for n2: seqno too low"];
        assert_eq!(ours.complaints(), &gone[..usize::from(kind == "NS_rexmit")], "{kind}-{form}");
        for answer in answers {
            let word = answer.text("t").unwrap().to_owned();
            assert_eq!(answer.text("dest"), packet.text("src"), "{kind}-{form}: {answer:?}");
            assert_eq!(names(&answer), names(&recorded(&word)), "{kind}-{form}");
            answered.insert((kind.clone(), word));
        }
        // Heard again on the other medium it is the same packet, and a sign of life of that link.
        assert!(ours.hear(now, 1 - medium, bytes).is_empty(), "{kind}-{form}");
        let nodes = ours.link.report().nodes;
        let links = &nodes.iter().find(|n| Some(&*n.name) == packet.text("src")).unwrap().links;
        let both = links.iter().filter(|(_, up)| *up).count();
        assert_eq!(both, if kind.starts_with("NS_") { 1 } else { 2 }, "{kind}-{form}: {links:?}");
    }
    answered.retain(|(_, word)| word != "NS_ackmsg");
    let pairs =
        [("NS_rexmit", "NS_nak_rexmit"), ("query-cstatus", "respond-cstatus"), ("reqnodes", "repnodes")];
    assert_eq!(answered, pairs.map(|(a, b)| (a.to_owned(), b.to_owned())).into());
}

/// What we send of their kinds has their fields, and the heartbeat our own frame beside them.
#[test]
fn what_we_send_has_the_fields_of_the_recorded() {
    let mut ours = Ours::new("n2", 3);
    let status = |seq: u64| {
        let (_, _, bytes) =
            captures().into_iter().find(|(k, f, _)| k == "status" && f == "netstring").unwrap();
        let mut packet = opened(&bytes);
        packet.remove("auth");
        packet.set("src", "n1");
        packet.set("seq", format!("{seq:x}"));
        envelope::encode(&packet, Format::Netstring, AuthField::Yes, &keys())
    };
    let mut now = Duration::from_secs(4);
    let mut sent = Vec::new();
    for seq in (1..=10).chain([12]) {
        ours.hear(now, 0, &status(seq));
        sent.extend(ours.sent(0));
    }
    now += Duration::from_millis(300);
    ours.out.clear();
    ours.input(now, LinkInput::Wake);
    ours.input(now, LinkInput::Command(LinkCommand::BeatNow));
    ours.input(now, LinkInput::Command(LinkCommand::Leave));
    sent.extend(ours.out.iter().filter_map(|action| match action {
        LinkAction::Transmit { medium: 0, bytes, .. } => Some(opened(bytes)),
        _ => None,
    }));
    let mut told = BTreeSet::new();
    for mut packet in sent {
        let kind = packet.text("t").unwrap().to_owned();
        let Some((.., bytes)) = captures().into_iter().find(|(k, f, _)| *k == kind && f == "netstring")
        else {
            assert_eq!(kind, "NS_everbeat");
            continue;
        };
        if kind == "status" {
            assert!(packet.binary(FIELD).is_some());
            packet.remove(FIELD);
        }
        assert_eq!(names(&packet), names(&opened(&bytes)), "{kind}");
        told.insert(kind);
    }
    assert_eq!(told, ["NS_ackmsg", "NS_rexmit", "shutdone", "status"].map(str::to_owned).into());
}
