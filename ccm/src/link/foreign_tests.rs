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

    /// Lines logged since the last call of this or `sent`.
    fn lines(&self) -> Vec<&str> {
        let lines = self.out.iter().filter_map(|action| match action {
            LinkAction::Log(line) => Some(line.text.as_str()),
            _ => None,
        });
        lines.collect()
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
    assert_eq!(talk.lines(), ["Irretrievably lost packet: node n2 seq 3", "No pkts missing from n2!"]);
    talk.now += Duration::from_secs(1);
    talk.input(LinkInput::Wake);
    assert!(!talk.kinds().contains(&"NS_rexmit".to_owned()));
}

/// A gap too wide to be filled is given up at once: nothing is asked for.
#[test]
fn a_wide_gap_is_given_up() {
    let mut talk = Talk::new();
    talk.status(1);
    talk.status(252);
    talk.sent();
    talk.status(600);
    assert_eq!(talk.lines(), ["lost a lot of packets! (347 of n2)"]);
    talk.sent();
    talk.now += Duration::from_secs(1);
    talk.input(LinkInput::Wake);
    assert!(talk.kinds().is_empty());
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
    // What is gone is refused once for each time it may be asked for again.
    for again in [["NS_nak_rexmit"].as_slice(), &[]] {
        talk.addressed(ask("3", "3"));
        let gone = ["Cannot rexmit pkt 3 for n2: seqno too low"];
        assert_eq!(talk.lines(), gone[..again.len()]);
        assert_eq!(talk.kinds(), again);
    }
    talk.now += Duration::from_millis(250);
    talk.addressed(ask("3", "3"));
    let nak = talk.sent().into_iter().find(|p| p.text("t") == Some("NS_nak_rexmit")).unwrap();
    assert_eq!((nak.text("firstseq"), nak.text("info")), (Some("3"), Some("seqno too low")));
    talk.now += Duration::from_secs(1);
    talk.addressed(ask("100000", "100001"));
    assert!(talk.lines().contains(&"Rexmit of seq 100000 requested. 601 is max."), "{:?}", talk.lines());
    talk.sent();
    talk.addressed(ask("400", "18446744073709551615"));
    assert!(talk.sent().len() <= 50);
}

/// What a node has acknowledged it does not get again; an acknowledgement of what was never sent is none.
#[test]
fn acknowledged_packets_are_not_sent_again() {
    let mut talk = Talk::new();
    for _ in 0..20 {
        talk.now += Duration::from_millis(500);
        talk.input(LinkInput::Command(LinkCommand::SetBeat(BeatBody(vec![]))));
    }
    talk.status(1);
    talk.sent();
    let ask = || Packet::new().with("t", "NS_rexmit").with("firstseq", "9").with("lastseq", "12");
    for (said, again) in [("ffff", 4), ("a", 2), ("4", 2)] {
        talk.now += Duration::from_millis(245);
        talk.addressed(Packet::new().with("t", "NS_ackmsg").with("ackseq", said));
        talk.sent();
        talk.addressed(ask());
        assert_eq!(talk.sent().len(), again, "{said}");
    }
}

/// Requests for what is gone cost no memory and few lines, however many there are.
#[test]
fn a_flood_of_requests_is_bounded() {
    let mut talk = Talk::new();
    for _ in 0..2000 {
        talk.now += Duration::from_millis(500);
        talk.input(LinkInput::Command(LinkCommand::SetBeat(BeatBody(vec![]))));
    }
    talk.status(1);
    talk.sent();
    for first in 1..1000u32 {
        let last = (first + 100).to_string();
        talk.addressed(
            Packet::new().with("t", "NS_rexmit").with("firstseq", first.to_string()).with("lastseq", last),
        );
    }
    assert_eq!(talk.lines().len(), 1);
    assert_eq!(talk.sent().len(), 250);
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
    assert!(talk.lines().contains(&"Received shutdown notice from 'n2'."));
    assert_eq!(foreign(&mut talk), [false]);
    // An old generation is a replay.
    let old = || Packet::new().with("t", "status").with("src", "n2").with("hg", "5").with("seq", "9");
    talk.packet(old().with("ts", "1"));
    assert!(foreign(&mut talk).is_empty());
    talk.packet(old());
    let causes: Vec<String> = talk.link.report().refused.into_iter().map(|(_, cause, _)| cause).collect();
    let wanted = ["lacks src, srcuuid, ts or type", "attempted replay attack: an old generation"];
    assert_eq!(causes, wanted);
}
