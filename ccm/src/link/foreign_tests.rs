#![allow(clippy::unwrap_used)]
use super::super::*;
use super::*;
use crate::wire::envelope::{self, Format};
use crate::wire::{Keys, Method};

const T0: Duration = Duration::from_secs(100);

fn keys() -> Keys {
    Keys::single(Method::Sha1, b"secretkey").unwrap()
}

struct Talk {
    link: Link,
    now: Duration,
    out: Vec<LinkAction>,
}

impl Talk {
    fn new() -> Talk {
        Talk::on(Format::Netstring)
    }

    /// On one medium of that notation.
    fn on(format: Format) -> Talk {
        let inc = Incarnation { generation: 5, boot: 1 };
        let mut config = LinkConfig::simple(NodeId([9; 16]), "us", inc, keys(), &["us", "n2"]);
        config.keepalive = Duration::from_millis(500);
        config.media.iter_mut().for_each(|medium| medium.format = format);
        let mut talk = Talk { link: Link::new(config, 1), now: T0, out: Vec::new() };
        talk.input(LinkInput::MediumUp { medium: 0 });
        talk
    }

    fn input(&mut self, input: LinkInput) {
        self.link.handle(self.now, input, &mut self.out);
    }

    fn packet(&mut self, packet: Packet) {
        let bytes = envelope::encode(&packet, Format::Netstring, AuthField::Yes, &keys());
        self.input(LinkInput::Packet { medium: 0, from: None, bytes });
    }

    fn status(&mut self, seq: u64) {
        let packet = Packet::new()
            .with("t", "status")
            .with("st", "active")
            .with("dt", "7530")
            .with("protocol", "1")
            .with("src", "n2")
            .with_binary("srcuuid", vec![7; 16])
            .with("seq", format!("{seq:x}"))
            .with("hg", "6b005899")
            .with("ts", "6b005898")
            .with("ld", "0")
            .with("ttl", "3");
        self.packet(packet);
    }

    fn addressed(&mut self, packet: Packet) {
        let packet = packet.with("dest", "us").with("src", "n2").with("hg", "6b005899").with("ts", "1");
        self.packet(packet.with("ttl", "3"));
    }

    /// Packets sent since the last call, as type and packet.
    fn sent(&mut self) -> Vec<Packet> {
        let out = std::mem::take(&mut self.out);
        let opened = out.iter().filter_map(|a| match a {
            LinkAction::Transmit { bytes, .. } => Some(envelope::open(bytes, &keys()).unwrap().packet),
            _ => None,
        });
        opened.filter(|p| p.text("t") != Some("NS_everbeat")).collect()
    }

    fn kinds(&mut self) -> Vec<String> {
        self.sent().iter().map(|p| p.text("t").unwrap().to_owned()).filter(|t| t != "status").collect()
    }
}

/// Every tenth packet is acknowledged, unless an earlier one is missing.
#[test]
fn packets_are_acknowledged_for_their_flow_control() {
    let mut talk = Talk::new();
    for seq in 1..=40 {
        talk.status(seq);
    }
    let acks: Vec<String> = talk
        .sent()
        .iter()
        .filter(|p| p.text("t") == Some("NS_ackmsg"))
        .map(|p| {
            assert_eq!((p.text("dest"), p.binary("destuuid")), (Some("n2"), Some(&[7u8; 16][..])));
            assert!(p.get("seq").is_none() && p.get("ld").is_none());
            p.text("ackseq").unwrap().to_owned()
        })
        .collect();
    assert_eq!(acks, ["9", "13", "1d", "27"]);
}

/// A gap is asked for after a random delay, again until it is filled, and given up on refusal.
#[test]
fn gaps_are_asked_for() {
    let mut talk = Talk::new();
    talk.status(1);
    talk.status(5);
    talk.sent();
    assert_eq!(talk.kinds(), Vec::<String>::new());
    talk.now += Duration::from_millis(251);
    talk.input(LinkInput::Wake);
    let asked = talk.sent();
    let ask = asked.iter().find(|p| p.text("t") == Some("NS_rexmit")).unwrap();
    assert_eq!((ask.text("firstseq"), ask.text("lastseq")), (Some("2"), Some("4")));
    talk.input(LinkInput::Wake);
    assert!(talk.kinds().is_empty());
    talk.status(2);
    talk.status(4);
    talk.addressed(Packet::new().with("t", "NS_nak_rexmit").with("firstseq", "3"));
    let lost = |a: &LinkAction| matches!(a, LinkAction::Log(l) if l.text == "Irretrievably lost packet: node n2 seq 3");
    assert!(talk.out.iter().any(lost));
    talk.now += Duration::from_secs(1);
    talk.input(LinkInput::Wake);
    assert!(!talk.kinds().contains(&"NS_rexmit".to_owned()));
}

/// Our packets are sent again byte for byte, not faster than the delay, and refused when gone.
#[test]
fn requests_are_answered() {
    requests_are_answered_on(Format::Netstring);
}

/// A serial line, which knows only the classic notation, gets nothing else when packets are sent again: a
/// real Heartbeat would lose the packet behind one that does not end a line.
#[test]
fn requests_are_answered_on_a_serial_line() {
    requests_are_answered_on(Format::Classic);
}

fn requests_are_answered_on(format: Format) {
    let mut talk = Talk::on(format);
    for _ in 0..600 {
        talk.now += Duration::from_millis(500);
        talk.input(LinkInput::Command(LinkCommand::SetBeat(BeatBody(vec![]))));
    }
    let all = std::mem::take(&mut talk.out);
    let ours: Vec<Vec<u8>> = all
        .into_iter()
        .filter_map(|a| match a {
            LinkAction::Transmit { bytes, .. } => Some(bytes),
            _ => None,
        })
        .collect();
    talk.status(1);
    talk.out.clear();
    let ask = |first: &str, last: &str| {
        Packet::new().with("t", "NS_rexmit").with("firstseq", first).with("lastseq", last)
    };
    talk.addressed(ask("590", "592"));
    let again: Vec<Vec<u8>> = talk
        .out
        .drain(..)
        .filter_map(|a| match a {
            LinkAction::Transmit { bytes, .. } => Some(bytes),
            _ => None,
        })
        .collect();
    assert_eq!(again, ours[589..592]);
    talk.addressed(ask("590", "592"));
    assert!(talk.sent().is_empty());
    talk.addressed(ask("3", "3"));
    assert_eq!(talk.kinds(), ["NS_nak_rexmit"]);
    talk.addressed(ask("100000", "100001"));
    talk.addressed(ask("400", "18446744073709551615"));
    assert!(talk.sent().len() <= 50);
}

/// It is shown as foreign from its first status to its death or farewell.
#[test]
fn foreign_nodes_come_and_go() {
    let mut talk = Talk::new();
    let foreign = |talk: &mut Talk| -> Vec<bool> {
        let out = std::mem::take(&mut talk.out);
        let alive = out.iter().filter_map(|a| match a {
            LinkAction::Event(LinkEvent::Foreign { alive, .. }) => Some(*alive),
            _ => None,
        });
        alive.collect()
    };
    talk.status(1);
    assert_eq!(foreign(&mut talk), [true]);
    talk.addressed(Packet::new().with("t", "reqnodes").with("seq", "2"));
    let answer = talk.sent();
    let nodes = answer.iter().find(|p| p.text("t") == Some("repnodes")).unwrap();
    assert_eq!(nodes.text("nodelist"), Some("us n2 "));
    for _ in 0..61 {
        talk.now += Duration::from_millis(500);
        talk.input(LinkInput::Command(LinkCommand::SetBeat(BeatBody(vec![]))));
    }
    assert_eq!(foreign(&mut talk), [false]);
    talk.status(3);
    assert_eq!(foreign(&mut talk), [true]);
    talk.addressed(Packet::new().with("t", "shutdone").with("st", "dead").with("seq", "4"));
    assert_eq!(foreign(&mut talk), [false]);
    // An old generation is a replay.
    let old = Packet::new().with("t", "status").with("src", "n2").with("hg", "5").with("seq", "9");
    talk.packet(old);
    assert!(foreign(&mut talk).is_empty());
    assert!(talk.link.report().refused.iter().any(|(_, c, _)| c.contains("attempted replay attack")));
}
