#![allow(clippy::unwrap_used)]
//! Several link machines over a simulated wire with a virtual clock.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use super::*;
use crate::seam::Lane;
use crate::wire::{Keys, Method};

const B: Duration = Duration::from_millis(100);
const D: Duration = Duration::from_millis(800);

struct Node {
    link: Link,
    events: Vec<(Duration, LinkEvent)>,
    log: Vec<(Duration, String)>,
    address: IpAddr,
    core_alive: bool,
    on: bool,
}

/// Receiver, medium, source, bytes.
type Flying = (usize, usize, SocketAddr, Vec<u8>);

struct Net {
    now: Duration,
    nodes: Vec<Node>,
    wire: BTreeMap<(Duration, u64), Flying>,
    order: u64,
    rng: rng::Rng,
    loss: u64,
    /// Pairs (from, to) that hear nothing, on the medium or on all.
    cut: Vec<(usize, usize, Option<usize>)>,
    next_core: Duration,
    recorded: Vec<Vec<u8>>,
}

fn keys() -> Keys {
    Keys::single(Method::Sha1, b"secret").unwrap()
}

fn config(i: u8, generation: u64, boot: u64) -> LinkConfig {
    let inc = Incarnation { generation, boot };
    let mut c = LinkConfig::simple(NodeId([i; 16]), &format!("n{i}"), inc, keys(), &["n1", "n2", "n3", "n4"]);
    c.keepalive = B;
    c.deadtime = D;
    c.warntime = D / 2;
    c.initdead = 2 * D;
    c.media = vec![MediumInfo::network("eth0"), MediumInfo::network("eth1")];
    c
}

impl Net {
    fn new(n: u8) -> Net {
        let mut net = Net {
            now: Duration::from_secs(5),
            nodes: Vec::new(),
            wire: BTreeMap::new(),
            order: 0,
            rng: rng::Rng::new(42),
            loss: 0,
            cut: Vec::new(),
            next_core: Duration::ZERO,
            recorded: Vec::new(),
        };
        for i in 1..=n {
            net.add(config(i, 1, u64::from(i)));
        }
        net
    }

    fn add(&mut self, config: LinkConfig) -> usize {
        let at = self.nodes.len();
        let address = IpAddr::from([10, 0, 0, at as u8 + 1]);
        let seed = config.inc.boot * 1000 + config.inc.generation + at as u64;
        let link = Link::new(config, seed);
        self.nodes.push(Node { link, events: vec![], log: vec![], address, core_alive: true, on: true });
        for medium in 0..2 {
            self.input(at, LinkInput::MediumUp { medium });
        }
        at
    }

    fn restart(&mut self, at: usize, config: LinkConfig) {
        let seed = config.inc.boot * 77;
        let node = &mut self.nodes[at];
        node.link = Link::new(config, seed);
        node.events.clear();
        for medium in 0..2 {
            self.input(at, LinkInput::MediumUp { medium });
        }
    }

    fn input(&mut self, at: usize, input: LinkInput) {
        let mut out = Vec::new();
        self.nodes[at].link.handle(self.now, input, &mut out);
        for action in out {
            match action {
                LinkAction::Transmit { medium, to, bytes } => self.transmit(at, medium, to, bytes),
                LinkAction::Event(event) => self.nodes[at].events.push((self.now, event)),
                LinkAction::Log(line) => self.nodes[at].log.push((self.now, line.text)),
                LinkAction::Ping { .. } => {}
            }
        }
    }

    fn transmit(&mut self, at: usize, medium: usize, to: Option<SocketAddr>, bytes: Vec<u8>) {
        if self.recorded.len() < 5000 {
            self.recorded.push(bytes.clone());
        }
        let from = SocketAddr::new(self.nodes[at].address, 694);
        for other in 0..self.nodes.len() {
            let addressed = to.is_none_or(|to| to.ip() == self.nodes[other].address);
            let cut =
                self.cut.iter().any(|&(f, t, m)| f == at && t == other && m.is_none_or(|m| m == medium));
            if !addressed || cut || !self.nodes[at].on || self.rng.below(100) < self.loss {
                continue;
            }
            self.order += 1;
            let arrives = self.now + Duration::from_micros(100 + self.rng.below(50));
            self.wire.insert((arrives, self.order), (other, medium, from, bytes.clone()));
        }
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let mut next = end.min(self.next_core);
            for node in self.nodes.iter().filter(|n| n.on) {
                next = next.min(node.link.deadline().unwrap_or(end));
            }
            if let Some(((at, _), _)) = self.wire.first_key_value() {
                next = next.min(*at);
            }
            self.now = self.now.max(next);
            if self.now >= end {
                self.now = end;
                return;
            }
            if self.now >= self.next_core {
                self.next_core = self.now + B / 2;
                for at in 0..self.nodes.len() {
                    if self.nodes[at].core_alive && self.nodes[at].on {
                        let body = BeatBody(vec![at as u8]);
                        self.input(at, LinkInput::Command(LinkCommand::SetBeat(body)));
                    }
                }
            }
            while let Some(entry) = self.wire.first_entry() {
                if entry.key().0 > self.now {
                    break;
                }
                let (to, medium, from, bytes) = entry.remove();
                if self.nodes[to].on {
                    self.input(to, LinkInput::Packet { medium, from: Some(from), bytes });
                }
            }
            for at in 0..self.nodes.len() {
                if self.nodes[at].on && self.nodes[at].link.deadline().is_some_and(|d| d <= self.now) {
                    self.input(at, LinkInput::Wake);
                }
            }
        }
    }

    fn sessions(&self, at: usize) -> Vec<String> {
        let mut up = Vec::new();
        for (_, event) in &self.nodes[at].events {
            match event {
                LinkEvent::SessionUp { name, peer, .. } => up.push((*peer, name.clone())),
                LinkEvent::SessionLost { peer, .. } | LinkEvent::Left { peer, .. } => {
                    up.retain(|(p, _)| p != peer);
                }
                _ => {}
            }
        }
        up.into_iter().map(|(_, n)| n).collect()
    }

    fn send(&mut self, from: usize, to: usize, payload: &[u8]) {
        self.send_in(Lane::Talk, from, to, payload);
    }

    fn send_in(&mut self, lane: Lane, from: usize, to: usize, payload: &[u8]) {
        let (id, inc) = (self.nodes[to].link.config.id, self.nodes[to].link.config.inc);
        let send = LinkCommand::Send { to: id, inc, lane, payload: payload.to_vec() };
        self.input(from, LinkInput::Command(send));
    }

    fn messages(&self, at: usize) -> Vec<Vec<u8>> {
        let payload = |e: &(Duration, LinkEvent)| match &e.1 {
            LinkEvent::Message { payload, .. } => Some(payload.clone()),
            _ => None,
        };
        self.nodes[at].events.iter().filter_map(payload).collect()
    }

    fn logged(&self, at: usize, text: &str) -> Option<Duration> {
        self.nodes[at].log.iter().find(|(_, l)| l.contains(text)).map(|(t, _)| *t)
    }

    fn count(&self, at: usize, f: impl Fn(&LinkEvent) -> bool) -> usize {
        self.nodes[at].events.iter().filter(|(_, e)| f(e)).count()
    }
}

/// Sessions open within two beats, beats carry the echo of what was heard, messages arrive in order.
#[test]
fn nodes_find_each_other_and_talk() {
    let mut net = Net::new(3);
    net.run(2 * B);
    assert_eq!(net.sessions(0), ["n2", "n3"]);
    for i in 0..100u8 {
        net.send(0, 1, &[i]);
        net.send(1, 0, &[i, i]);
    }
    net.run(2 * B);
    assert_eq!(net.messages(1), (0..100u8).map(|i| vec![i]).collect::<Vec<_>>());
    assert_eq!(net.messages(0), (0..100u8).map(|i| vec![i, i]).collect::<Vec<_>>());
    let last = net.nodes[0].events.iter().rev().find_map(|(at, e)| match e {
        LinkEvent::Beat { beat, .. } => Some((at, beat.clone())),
        _ => None,
    });
    let (_, beat) = last.unwrap();
    assert_eq!(beat.heard.len(), 2);
    let me = beat.heard.iter().find(|h| h.id == NodeId([1; 16])).unwrap();
    assert_eq!(me.inc, Incarnation { generation: 1, boot: 1 });
    assert!(me.tick > 0 && me.age < B);
    for text in ["Link n2:eth0 up.", "Link n2:eth1 up.", "Local status now set to: 'up'"] {
        assert!(net.logged(0, text).is_some(), "{text}");
    }
    assert!(net.logged(0, "node n4: is dead").is_none());
    net.run(2 * D);
    // n4 never came: initdead counts from the start, then communication is up.
    assert_eq!(net.logged(0, "node n4: is dead"), Some(Duration::from_secs(5) + 2 * D));
    assert!(net.logged(0, "Comm_now_up(): updating status to active").is_some());
    net.run(B + B / 2);
    assert!(net.logged(1, "Status update for node n1: status active").is_some());
    assert!(net.nodes[0].log.iter().all(|(_, l)| !l.contains("refused")), "{:?}", net.nodes[0].log);
}

/// A node is called dead one dead time after its last packet, to the microsecond, and its session ends.
#[test]
fn silence_is_death_at_the_dead_time_and_a_partition_heals() {
    let mut net = Net::new(2);
    net.run(3 * D);
    net.cut = vec![(1, 0, None)];
    net.run(Duration::from_millis(1));
    let last = net.nodes[0]
        .events
        .iter()
        .rev()
        .find_map(|(at, e)| matches!(e, LinkEvent::Beat { .. }).then_some(*at));
    net.run(2 * D);
    assert_eq!(net.logged(0, "node n2: is dead"), Some(last.unwrap() + D));
    assert!(net.logged(0, "Link n2:eth0 dead.").is_some());
    assert!(net.sessions(0).is_empty());
    assert!(net.nodes[1].log.iter().all(|(_, l)| !l.contains("n1: is dead")));
    net.cut.clear();
    net.run(3 * B);
    assert_eq!(net.sessions(0), ["n2"]);
    assert_eq!(net.sessions(1), ["n1"]);
    assert!(net.logged(0, "Cluster node n2 returning after partition.").is_some());
    assert!(net.logged(0, "Deadtime value may be too small.").is_some());
    net.send(0, 1, b"hello again");
    net.run(B);
    assert_eq!(net.messages(1), [b"hello again"]);
}

/// A node that is to hear only some (`OnlyForTesting`) has the others die, itself excepted, until it hears
/// all again.
#[test]
fn nodes_not_allowed_are_not_heard() {
    let mut net = Net::new(3);
    net.run(2 * B);
    net.input(0, LinkInput::Allow(Some(vec!["n2".to_owned()])));
    net.run(D + B);
    assert_eq!(net.sessions(0), ["n2"]);
    assert!(net.logged(0, "node n3: is dead").is_some() && net.logged(0, "node n2: is dead").is_none());
    assert!(net.nodes[0].link.report().refused.is_empty());
    net.input(0, LinkInput::Allow(None));
    net.run(2 * B);
    assert_eq!(net.sessions(0), ["n2", "n3"]);
    assert!(net.logged(0, "Cluster node n3 returning after partition.").is_some());
}

/// A link that fails while the other works is reported, and nothing else happens.
#[test]
fn a_backup_link_that_fails_is_named() {
    let mut net = Net::new(2);
    net.run(D);
    net.cut = vec![(1, 0, Some(1))];
    net.run(2 * D);
    assert!(net.logged(0, "Link n2:eth1 dead.").is_some());
    assert_eq!(net.logged(0, "Link n2:eth0 dead."), None);
    assert_eq!(net.sessions(0), ["n2"]);
    let report = net.nodes[0].link.report();
    let n2 = report.nodes.iter().find(|n| n.name == "n2").unwrap();
    assert_eq!(n2.links, [("eth0".to_owned(), true), ("eth1".to_owned(), false)]);
}

/// Large messages arrive whole and in order, with loss, while the heartbeats keep their time.
#[test]
fn bulk_with_loss_does_not_disturb_heartbeats() {
    let mut net = Net::new(4);
    net.run(D);
    net.loss = 5;
    let start = net.now;
    let mut big = Vec::new();
    let mut rng = rng::Rng::new(9);
    for _ in 0..100_000 {
        big.extend_from_slice(&rng.draw().to_le_bytes());
    }
    for to in 1..4 {
        net.send(0, to, &big);
        net.send(0, to, b"after");
    }
    net.run(Duration::from_millis(700));
    for to in 1..4 {
        assert_eq!(net.messages(to).len(), 2, "node {to}");
        assert_eq!(net.messages(to)[0], big);
        assert_eq!(net.messages(to)[1], b"after");
        let beats: Vec<Duration> = net.nodes[to]
            .events
            .iter()
            .filter(|(at, e)| *at >= start && matches!(e, LinkEvent::Beat { beat, .. } if beat.name == "n1"))
            .map(|(at, _)| *at)
            .collect();
        assert!(beats.windows(2).all(|w| w[1] - w[0] < 2 * B + B / 2), "{beats:?}");
    }
}

/// A core that stands still for a dead time is announced, and the heartbeats stop until it goes on.
/// A link on which nothing was ever heard is as dead as one that fell silent; one that comes is up.
#[test]
fn a_backup_link_never_heard_is_named() {
    let mut net = Net::new(2);
    net.cut = vec![(1, 0, Some(1))];
    net.run(D / 2);
    let links = |net: &Net| {
        let report = net.nodes[0].link.report();
        report.nodes.iter().find(|n| n.name == "n2").unwrap().links.clone()
    };
    assert_eq!(links(&net), [("eth0".to_owned(), true)]);
    net.run(D);
    assert_eq!(links(&net), [("eth0".to_owned(), true), ("eth1".to_owned(), false)]);
    assert!(net.logged(0, "Link n2:eth1 dead: nothing was ever heard there.").is_some());
    assert!(net.logged(1, "dead").is_none(), "{:?}", net.nodes[1].log);
    net.cut.clear();
    net.run(2 * B);
    assert_eq!(links(&net), [("eth0".to_owned(), true), ("eth1".to_owned(), true)]);
    assert!(net.logged(0, "Link n2:eth1 up.").is_some());
}

/// On a line of 9600 baud: what is said overtakes 60 KB of bulk, and is itself in order.
#[test]
fn talk_goes_ahead_of_bulk() {
    let mut net = Net::new(0);
    for i in 1..=2 {
        let mut config = config(i, 1, u64::from(i));
        config.compression = None;
        for medium in &mut config.media {
            (medium.rate, medium.piece) = (600, 400);
        }
        net.add(config);
    }
    net.run(3 * B);
    let bulk: Vec<u8> = (0..60_000u32).map(|i| (i * i / 7) as u8).collect();
    net.send_in(Lane::Bulk, 0, 1, &bulk);
    let begun = net.now;
    let mut said = 0u8;
    while !net.messages(1).contains(&bulk) {
        net.send(0, 1, &[said; 300]);
        said += 1;
        net.run(Duration::from_secs(4));
        let got: Vec<u8> = net.messages(1).iter().filter(|m| m.len() == 300).map(|m| m[0]).collect();
        assert_eq!(got, (0..said).collect::<Vec<_>>(), "{:?}", net.now - begun);
        assert!(net.now < begun + Duration::from_secs(400));
    }
    // 150 pieces of 650 bytes with their heads.
    assert!(net.now > begun + Duration::from_secs(100), "{:?}", net.now - begun);
    let lost = net.count(0, |e| matches!(e, LinkEvent::SessionLost { .. }));
    assert!(lost == 0 && net.logged(1, "Late heartbeat").is_none());
}

#[test]
fn a_core_without_progress_stops_the_heartbeats() {
    let mut net = Net::new(2);
    net.run(D);
    net.nodes[1].core_alive = false;
    let stop = net.now;
    net.run(D * 8 / 10);
    assert!(net.nodes[0].log.iter().all(|(_, l)| !l.contains("Late")), "{:?}", net.nodes[0].log);
    net.run(D);
    let failed = net.logged(1, "no progress of the core").unwrap();
    assert!(failed <= stop + D && failed > stop + D - B);
    assert!(
        net.logged(0, "node n2: its core makes no progress").unwrap() < failed + Duration::from_millis(1)
    );
    assert_eq!(net.logged(0, "node n2: is dead").map(|t| t < failed + D + Duration::from_millis(1)), None);
    net.run(D);
    assert!(net.logged(0, "node n2: is dead").is_some());
    net.nodes[1].core_alive = true;
    net.run(3 * B);
    assert_eq!(net.sessions(0), ["n2"]);
}

/// A node with another key changes nothing but a counter, and is named with its address.
#[test]
fn a_wrong_key_is_counted_and_reported() {
    let mut net = Net::new(2);
    let mut wrong = config(3, 1, 3);
    wrong.keys = Keys::single(Method::Sha1, b"another").unwrap();
    net.add(wrong);
    net.run(2 * D);
    assert_eq!(net.sessions(0), ["n2"]);
    assert!(net.sessions(2).is_empty());
    assert!(
        net.nodes[0]
            .link
            .report()
            .refused
            .iter()
            .any(|(a, c, n)| { a == "10.0.0.3" && c.contains("failed authentication") && *n > 10 })
    );
    assert!(net.logged(0, "10.0.0.3").is_some());
    assert_eq!(net.nodes[0].link.peers.len(), 1);
}

/// A restart ends the old session before the new one begins.
#[test]
fn a_restart_is_a_new_member() {
    let mut net = Net::new(2);
    net.run(D);
    net.restart(1, config(2, 2, 99));
    net.run(4 * B);
    let about: Vec<_> = net.nodes[0]
        .events
        .iter()
        .map(|(_, e)| e.clone())
        .filter(|e| matches!(e, LinkEvent::SessionUp { .. } | LinkEvent::SessionLost { .. }))
        .collect();
    assert!(matches!(about[1], LinkEvent::SessionLost { inc: Incarnation { generation: 1, .. }, .. }));
    assert!(matches!(about[2], LinkEvent::SessionUp { inc: Incarnation { generation: 2, .. }, .. }));
    assert_eq!(about.len(), 3);
    assert!(net.logged(0, "Heartbeat restart on node n2").is_some());
    assert_eq!(net.sessions(1).len(), 1);
    net.send(1, 0, b"x");
    net.run(B);
    assert_eq!(net.messages(0), [b"x"]);
}

/// A node whose disk went back learns what generation the others remember (R3.2).
#[test]
fn an_old_generation_is_told() {
    let mut net = Net::new(1);
    net.add(config(2, 500, 7));
    net.run(D);
    net.restart(1, config(2, 3, 8));
    net.run(4 * B);
    assert_eq!(net.count(1, |e| matches!(e, LinkEvent::OldGeneration { known: 500 })), 1);
    assert_eq!(net.sessions(0).len(), 1);
}

/// Two machines with one hb_uuid: the one that is there stays, the other is refused; both are named.
#[test]
fn a_cloned_uuid_is_refused() {
    let mut net = Net::new(2);
    net.run(D);
    let mut clone = config(2, 1, 55);
    clone.name = "n3".to_owned();
    net.add(clone);
    net.run(2 * D);
    assert_eq!(net.sessions(0), ["n2"]);
    assert_eq!(net.count(0, |e| matches!(e, LinkEvent::SessionLost { .. })), 0);
    for node in 0..3 {
        let named = net.count(node, |e| matches!(e, LinkEvent::Duplicate { what: DuplicateWhat::Uuid, .. }));
        assert!(named > 0, "node {node}");
    }
    assert!(net.logged(0, "10.0.0.2 and 10.0.0.3").is_some());
    // The first goes: its place is free after a dead time.
    net.nodes[1].on = false;
    net.run(3 * D);
    assert_eq!(net.sessions(0), ["n3"]);
}

/// Two machines with one name.
#[test]
fn a_duplicate_name_is_refused() {
    let mut net = Net::new(2);
    net.run(D);
    let mut other = config(3, 1, 55);
    other.name = "n2".to_owned();
    net.add(other);
    net.run(D);
    assert_eq!(net.sessions(0), ["n2"]);
    assert!(net.count(0, |e| matches!(e, LinkEvent::Duplicate { what: DuplicateWhat::Name, .. })) > 0);
    assert!(net.count(1, |e| matches!(e, LinkEvent::Duplicate { what: DuplicateWhat::Name, .. })) > 0);
}

/// Everything ever sent, replayed to a restarted node and to the running one, opens and ends nothing.
#[test]
fn recordings_open_no_session() {
    let mut net = Net::new(2);
    net.run(D);
    net.send(0, 1, b"once");
    net.run(B);
    let recorded = net.recorded.clone();
    net.nodes[1].on = false;
    net.restart(0, config(1, 2, 70));
    net.nodes[0].events.clear();
    for round in 0..3 {
        for bytes in &recorded {
            let from = Some(SocketAddr::new(net.nodes[1].address, 694));
            net.input(0, LinkInput::Packet { medium: round % 2, from, bytes: bytes.clone() });
        }
        net.run(B);
    }
    assert!(net.sessions(0).is_empty());
    assert!(net.messages(0).is_empty());
    assert_eq!(net.count(0, |e| matches!(e, LinkEvent::Beat { .. } | LinkEvent::Duplicate { .. })), 0);

    let mut net = Net::new(2);
    net.run(D);
    net.send(0, 1, b"once");
    net.run(B);
    for bytes in net.recorded.clone() {
        let from = Some(SocketAddr::new(net.nodes[0].address, 694));
        net.input(1, LinkInput::Packet { medium: 0, from, bytes });
    }
    net.run(D);
    assert_eq!(net.messages(1), [b"once"]);
    assert_eq!(net.count(1, |e| matches!(e, LinkEvent::SessionLost { .. })), 0);
    assert_eq!(net.count(0, |e| matches!(e, LinkEvent::SessionLost { .. })), 0);
}

/// Leaving is told at once, and is no death.
#[test]
fn leaving_is_told() {
    let mut net = Net::new(2);
    net.run(D);
    net.input(1, LinkInput::Command(LinkCommand::Leave));
    net.run(B);
    assert_eq!(net.count(0, |e| matches!(e, LinkEvent::Left { .. })), 1);
    net.run(2 * D);
    assert!(net.logged(0, "n2: is dead").is_none());
    assert_eq!(net.nodes[1].link.deadline(), None);
}

/// A session whose buffer overruns ends at both ends, and a new one opens.
#[test]
fn an_overrun_ends_the_session_at_both_ends() {
    let mut net = Net::new(2);
    net.run(D);
    let mut rng = rng::Rng::new(3);
    let noise: Vec<u8> = (0..120_000).flat_map(|_| rng.draw().to_le_bytes()).collect();
    for _ in 0..12 {
        net.send(0, 1, &noise);
    }
    net.run(4 * B);
    for node in 0..2 {
        assert_eq!(net.count(node, |e| matches!(e, LinkEvent::SessionLost { .. })), 1, "node {node}");
        assert_eq!(net.sessions(node).len(), 1);
    }
}

/// Keys change one node at a time without losing a session.
#[test]
fn keys_rotate_without_a_gap() {
    let old = crate::wire::Key { number: 1, method: Method::Sha1, secret: b"secret".to_vec() };
    let new = crate::wire::Key { number: 2, method: Method::Sha256, secret: b"better".to_vec() };
    let both = |signing| Keys::new(&[old.clone(), new.clone()], signing).unwrap();
    let mut net = Net::new(2);
    net.run(D);
    for step in [both(1), both(2), Keys::new(std::slice::from_ref(&new), 2).unwrap()] {
        for node in 0..2 {
            net.input(node, LinkInput::Keys(step.clone()));
            net.run(D);
        }
    }
    net.send(0, 1, b"still here");
    net.run(B);
    assert_eq!(net.messages(1), [b"still here"]);
    assert_eq!(net.count(0, |e| matches!(e, LinkEvent::SessionLost { .. })), 0);
}

/// One seed, one history.
#[test]
fn the_same_inputs_give_the_same_bytes() {
    let run = || {
        let mut net = Net::new(3);
        net.loss = 20;
        net.run(D);
        net.send(0, 2, &[1; 5000]);
        net.run(D);
        (net.recorded, net.nodes.into_iter().map(|n| n.events).collect::<Vec<_>>())
    };
    assert!(run() == run());
}
