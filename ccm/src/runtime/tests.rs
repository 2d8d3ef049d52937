#![allow(clippy::unwrap_used)]
//! Real threads, real sockets on loopback addresses, real time. Times are generous: the machine that
//! runs the tests is busy.

use std::time::Instant;

use super::*;
use crate::config::Host;
use crate::link::MediumInfo;
use crate::medium::DirectOpener;
use crate::medium::memory::{Wire, WireOpener};
use crate::seam::{BeatBody, Incarnation, Lane, NodeId};
use crate::wire::Method;

const B: Duration = Duration::from_millis(50);
const D: Duration = Duration::from_millis(400);

type Lines = Arc<Mutex<Vec<(Instant, String)>>>;

struct Node {
    handle: Option<LinkHandle>,
    lines: Lines,
    events: Vec<(Instant, LinkEvent)>,
    id: NodeId,
    inc: Incarnation,
}

fn node(i: u8, media: usize, change: impl FnOnce(&mut Setup)) -> Node {
    let inc = Incarnation { generation: 1, boot: random_seed() };
    let keys = Keys::single(Method::Sha1, b"secret").unwrap();
    let id = NodeId([i; 16]);
    let mut link = LinkConfig::simple(id, &format!("n{i}"), inc, keys, &["n1", "n2", "n3"]);
    link.keepalive = B;
    link.deadtime = D;
    link.warntime = D / 2;
    link.initdead = D;
    link.media = (0..media).map(|m| MediumInfo::network(&format!("lo{m}"))).collect();
    let endpoint = Endpoint::Broadcast { iface: "lo".into(), port: 0, bind: None };
    let mut setup = Setup::new(link, vec![endpoint; media], Box::new(DirectOpener));
    let lines: Lines = Arc::default();
    let sink = Arc::clone(&lines);
    setup.log = Box::new(move |line| {
        sink.lock().unwrap().push((Instant::now(), line.text));
    });
    change(&mut setup);
    Node { handle: Some(start(setup).unwrap()), lines, events: Vec::new(), id, inc }
}

impl Node {
    fn handle(&self) -> &LinkHandle {
        self.handle.as_ref().unwrap()
    }

    fn logged(&self, text: &str) -> Option<Instant> {
        self.lines.lock().unwrap().iter().find(|(_, l)| l.contains(text)).map(|(t, _)| *t)
    }

    fn find(&self, f: impl Fn(&LinkEvent) -> bool) -> Option<Instant> {
        self.events.iter().find(|(_, e)| f(e)).map(|(t, _)| *t)
    }
}

/// Runs the cores: a tick every half beat, events taken as they come.
fn run(nodes: &mut [Node], time: Duration, mut done: impl FnMut(&[Node]) -> bool) -> bool {
    let end = Instant::now() + time;
    let mut tick = Instant::now();
    while Instant::now() < end {
        for node in nodes.iter_mut() {
            let Some(handle) = &node.handle else { continue };
            if Instant::now() >= tick {
                handle.command(LinkCommand::SetBeat(BeatBody(vec![1]))).unwrap();
            }
            while let Some(event) = handle.next_event() {
                node.events.push((Instant::now(), event));
            }
        }
        if Instant::now() >= tick {
            tick += B / 2;
        }
        if done(nodes) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    false
}

fn up(node: &Node, peer: NodeId) -> bool {
    node.find(|e| matches!(e, LinkEvent::SessionUp { peer: p, .. } if *p == peer)).is_some()
}

fn everybody_up(nodes: &[Node]) -> bool {
    nodes.iter().all(|a| nodes.iter().all(|b| a.id == b.id || up(a, b.id)))
}

#[test]
fn memory_media_carry_sessions_and_messages() {
    let wires = vec![Wire::default(), Wire::default()];
    let mut nodes: Vec<Node> =
        (1..=3).map(|i| node(i, 2, |s| s.opener = Box::new(WireOpener(wires.clone())))).collect();
    assert!(run(&mut nodes, Duration::from_secs(10), everybody_up));
    let big: Vec<u8> = (0..300_000u32).map(|i| (i.wrapping_mul(i) / 7) as u8).collect();
    let send =
        LinkCommand::Send { to: nodes[1].id, inc: nodes[1].inc, lane: Lane::Bulk, payload: big.clone() };
    nodes[0].handle().command(send).unwrap();
    let arrived = |n: &[Node]| {
        n[1].find(|e| matches!(e, LinkEvent::Message { payload, .. } if *payload == big)).is_some()
    };
    assert!(run(&mut nodes, Duration::from_secs(10), arrived));
}

/// Addresses 127.77.x.y of the loopback interface, one port, unicast lines for all nodes on each.
fn loopback(net: u8, i: u8, n: u8) -> impl FnOnce(&mut Setup) {
    move |setup| {
        let address = |j: u8| std::net::IpAddr::from([127, 77, net, j]);
        setup.endpoints = vec![Endpoint::Unicast {
            iface: "lo".into(),
            port: 16_940,
            v6: false,
            bind: Some(address(i)),
            peers: (1..=n).map(|j| Host::Address(address(j))).collect(),
        }];
        setup.link.media = setup.endpoints.iter().map(Endpoint::info).collect();
    }
}

#[test]
fn unicast_on_loopback_and_death_at_the_dead_time() {
    let mut nodes: Vec<Node> = (1..=2).map(|i| node(i, 1, loopback(1, i, 2))).collect();
    assert!(run(&mut nodes, Duration::from_secs(10), everybody_up));
    run(&mut nodes, 4 * B, |_| false);
    assert!(nodes[0].logged("Link n2:lo up.").is_some());
    // Power off: no farewell.
    let gone = nodes[1].handle.take().unwrap();
    gone.stop();
    let dead = |n: &[Node]| n[0].logged("node n2: is dead").is_some();
    assert!(run(&mut nodes[..1], Duration::from_secs(10), |n| dead(n)
        && n[0].find(|e| matches!(e, LinkEvent::SessionLost { .. })).is_some()));
    let last = nodes[0].events.iter().rev().find(|(_, e)| matches!(e, LinkEvent::Beat { .. }));
    let (heard, _) = last.unwrap();
    let took = nodes[0].logged("node n2: is dead").unwrap() - *heard;
    // The promise is 10 ms; a loaded test machine gets five times that.
    assert!(took > D - Duration::from_millis(50) && took < D + Duration::from_millis(50), "{took:?}");
}

#[test]
fn a_medium_that_cannot_be_opened_is_tried_again_and_reported() {
    struct Broken(Arc<AtomicUsize>, WireOpener);
    impl Opener for Broken {
        fn open(&mut self, i: usize, e: &Endpoint) -> std::io::Result<Box<dyn crate::medium::Medium>> {
            if i == 1 && self.0.fetch_add(1, Ordering::Relaxed) < 2 {
                return Err(std::io::Error::other("no such interface"));
            }
            self.1.open(i, e)
        }
    }
    let wires = vec![Wire::default(), Wire::default()];
    let tries = Arc::new(AtomicUsize::new(0));
    let opener = Broken(Arc::clone(&tries), WireOpener(wires.clone()));
    let mut nodes = vec![
        node(1, 2, |s| s.opener = Box::new(opener)),
        node(2, 2, |s| s.opener = Box::new(WireOpener(wires.clone()))),
    ];
    let done = |n: &[Node]| everybody_up(n) && n[0].logged("Link n2:lo1 up.").is_some();
    assert!(run(&mut nodes, Duration::from_secs(10), done));
    assert!(nodes[0].logged("medium lo1 failed: no such interface").is_some());
    assert_eq!(tries.load(Ordering::Relaxed), 3);
}

#[test]
fn a_core_that_takes_nothing_loses_sessions_not_memory() {
    let wires = vec![Wire::default()];
    let mut nodes: Vec<Node> = (1..=2)
        .map(|i| {
            node(i, 1, |s| {
                s.opener = Box::new(WireOpener(wires.clone()));
                s.link.deadtime = Duration::from_secs(20);
            })
        })
        .collect();
    assert!(run(&mut nodes, Duration::from_secs(10), everybody_up));
    // Node 2's core sleeps while more messages arrive than the queues hold.
    let (to, inc) = (nodes[1].id, nodes[1].inc);
    let mut idle = nodes.pop().unwrap();
    let end = Instant::now() + Duration::from_secs(20);
    let lost = |n: &Node| n.find(|e| matches!(e, LinkEvent::SessionLost { .. })).is_some();
    while Instant::now() < end && !lost(&nodes[0]) {
        for _ in 0..200 {
            nodes[0]
                .handle()
                .command(LinkCommand::Send { to, inc, lane: Lane::Talk, payload: vec![0; 10] })
                .unwrap();
        }
        run(&mut nodes, Duration::from_millis(2), |_| false);
    }
    assert!(lost(&nodes[0]));
    let mut taken = 0;
    while taken < 20_000 && idle.handle().wait_event(Duration::from_millis(20)).is_some() {
        taken += 1;
    }
    assert!(taken < 4096 + 8192 + 100, "{taken}");
    idle.events.clear();
}

/// Heartbeats leave from their own thread: a core that does nothing for 0.8 of the dead time is late for
/// nobody, one that does nothing for all of it is announced, and its heartbeats stop.
#[test]
fn a_starved_core_is_not_late_and_a_stuck_one_is_announced() {
    let wires = vec![Wire::default()];
    let mut nodes: Vec<Node> = (1..=2)
        .map(|i| {
            node(i, 1, |s| {
                s.opener = Box::new(WireOpener(wires.clone()));
                s.link.deadtime = Duration::from_secs(2);
                s.link.warntime = Duration::from_millis(1200);
            })
        })
        .collect();
    assert!(run(&mut nodes, Duration::from_secs(10), everybody_up));
    let stuck = nodes.pop().unwrap();
    run(&mut nodes, Duration::from_millis(1600), |_| false);
    assert!(nodes[0].logged("Late heartbeat").is_none());
    assert!(stuck.logged("no progress of the core").is_none());
    let announced = |n: &[Node]| n[0].logged("node n2: its core makes no progress").is_some();
    assert!(run(&mut nodes, Duration::from_secs(5), announced));
    assert!(stuck.logged("heartbeats stop").is_some());
    let dead = |n: &[Node]| n[0].logged("node n2: is dead").is_some();
    assert!(run(&mut nodes, Duration::from_secs(10), dead));
}

#[test]
fn ping_nodes_answer_where_icmp_is_permitted() {
    if crate::medium::icmp::open(false).is_err() {
        eprintln!("SKIPPED: this process may not send ICMP echoes");
        return;
    }
    let wires = vec![Wire::default()];
    let mut nodes = vec![node(1, 1, |s| {
        s.opener = Box::new(WireOpener(wires.clone()));
        s.link.ping = vec![
            crate::link::PingTarget { name: "near".into(), hosts: 2 },
            crate::link::PingTarget { name: "far".into(), hosts: 1 },
        ];
        s.link.deadping = D;
        s.ping_hosts = vec![
            vec!["127.255.255.254".parse().unwrap(), "127.0.0.1".parse().unwrap()],
            // A reserved address: nobody is there.
            vec!["240.0.0.1".parse().unwrap()],
        ];
    })];
    let both = |n: &[Node]| {
        let near =
            |e: &LinkEvent| matches!(e, LinkEvent::PingNode { name, reachable: true } if name == "near");
        let far =
            |e: &LinkEvent| matches!(e, LinkEvent::PingNode { name, reachable: false } if name == "far");
        n[0].find(near).is_some() && n[0].find(far).is_some()
    };
    assert!(run(&mut nodes, Duration::from_secs(10), both), "{:?}", nodes[0].lines);
}

/// A process that ends with its test.
struct Helper(std::process::Child);

impl Drop for Helper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Null-modem cables made of pseudo-terminals, each way no faster than a line of 115200 baud (ten bits a
/// byte, 8N1). Answers the helper process and both ends of each cable; none where there is no Python.
fn cables(n: usize) -> Option<(Helper, Vec<[std::path::PathBuf; 2]>)> {
    use std::io::BufRead;
    let script = "
import os, pty, select, sys, time, tty
RATE = 11520
ends, due = {}, {}
for _ in range(int(sys.argv[1])):
    (a, sa), (b, sb) = pty.openpty(), pty.openpty()
    tty.setraw(sa); tty.setraw(sb)
    ends[a], ends[b] = b, a
    due[a] = due[b] = 0.0
    print(os.ttyname(sa), os.ttyname(sb), flush=True)
while True:
    now = time.monotonic()
    free = [fd for fd in ends if due[fd] <= now]
    wait = None if len(free) == len(ends) else max(0.0, min(t for t in due.values() if t > now) - now)
    for fd in select.select(free, [], [], wait)[0]:
        data = os.read(fd, 64)
        os.write(ends[fd], data)
        # What this piece takes on the wire; a late helper makes up for a fiftieth of a second at most.
        due[fd] = max(due[fd], time.monotonic() - 0.02) + len(data) / RATE
";
    let mut helper = std::process::Command::new("python3")
        .args(["-c", script, &n.to_string()])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .ok()?;
    let lines = std::io::BufReader::new(helper.stdout.take()?).lines();
    let ends: Vec<[std::path::PathBuf; 2]> = lines
        .take(n)
        .filter_map(|line| {
            let line = line.ok()?;
            let (a, b) = line.split_once(' ')?;
            Some([a.into(), b.into()])
        })
        .collect();
    Some((Helper(helper), ends))
}

fn on_lines(devices: Vec<std::path::PathBuf>) -> impl FnOnce(&mut Setup) {
    move |setup| {
        let line = |device| Endpoint::Serial { device, baud: 115_200 };
        setup.endpoints = devices.into_iter().map(line).collect();
        setup.link.media = setup.endpoints.iter().map(Endpoint::info).collect();
        setup.link.keepalive = Duration::from_millis(200);
        setup.link.deadtime = Duration::from_secs(3);
        setup.link.warntime = Duration::from_millis(1500);
    }
}

#[test]
fn a_serial_line_carries_heartbeats_and_messages() {
    let Some((_helper, ends)) = cables(1) else {
        eprintln!("SKIPPED: no python3 to make pseudo-terminals with");
        return;
    };
    let [a, b] = ends[0].clone();
    let mut nodes = vec![node(1, 1, on_lines(vec![a])), node(2, 1, on_lines(vec![b]))];
    assert!(run(&mut nodes, Duration::from_secs(20), everybody_up), "{:?}", nodes[0].lines);
    // A CIB of 100 KB that hardly compresses: values of digests.
    let mut rng = crate::link::rng::Rng::new(7);
    let cib: Vec<u8> = (0..2000)
        .flat_map(|i| {
            format!("<nvpair id=\"p{i}\" value=\"{:016x}{:016x}\"/>\n", rng.draw(), rng.draw()).into_bytes()
        })
        .take(100_000)
        .collect();
    let (from, to) = (nodes[0].id, (nodes[1].id, nodes[1].inc));
    let give = |nodes: &[Node], lane: Lane, payload: Vec<u8>| {
        let send = LinkCommand::Send { to: to.0, inc: to.1, lane, payload };
        nodes[0].handle().command(send).unwrap();
    };
    let start = Instant::now();
    give(&nodes, Lane::Bulk, cib.clone());
    let arrived = |n: &[Node], what: &[u8]| {
        n[1].find(|e| matches!(e, LinkEvent::Message { payload, .. } if payload == what))
    };
    // What membership says in the middle of it is there long before.
    assert!(!run(&mut nodes, Duration::from_secs(2), |n| arrived(n, &cib).is_some()));
    give(&nodes, Lane::Talk, b"a view".to_vec());
    let said = Instant::now();
    assert!(run(&mut nodes, Duration::from_secs(90), |n| arrived(n, &cib).is_some()));
    let (talk, bulk) = (arrived(&nodes, b"a view").unwrap(), arrived(&nodes, &cib).unwrap());
    let beat = |e: &LinkEvent| matches!(e, LinkEvent::Beat { beat, .. } if beat.id == from);
    let beats: Vec<Instant> =
        nodes[1].events.iter().filter(|(t, e)| *t > start && beat(e)).map(|(t, _)| *t).collect();
    let gap = beats.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default();
    eprintln!(
        "{} bytes over a line of 115200 baud: {:?}; a word meanwhile {:?}; {} heartbeats, longest gap {gap:?}",
        cib.len(),
        bulk - start,
        talk - said,
        beats.len()
    );
    assert!(talk < bulk);
    let trouble = ["n1: is dead", "n2: is dead", "Late heartbeat"];
    assert!(nodes.iter().all(|n| trouble.iter().all(|t| n.logged(t).is_none())));
}

#[test]
fn a_ring_of_serial_lines_reaches_everybody() {
    // Three nodes on a chain: the ends hear each other only through the middle.
    let Some((_helper, ends)) = cables(2) else {
        eprintln!("SKIPPED: no python3 to make pseudo-terminals with");
        return;
    };
    let ([a, b], [c, d]) = (ends[0].clone(), ends[1].clone());
    let mut nodes =
        vec![node(1, 1, on_lines(vec![a])), node(2, 2, on_lines(vec![b, c])), node(3, 1, on_lines(vec![d]))];
    assert!(run(&mut nodes, Duration::from_secs(30), everybody_up), "{:?}", nodes[0].lines);
    let send = LinkCommand::Send {
        to: nodes[2].id,
        inc: nodes[2].inc,
        lane: Lane::Talk,
        payload: b"through".to_vec(),
    };
    nodes[0].handle().command(send).unwrap();
    let arrived = |n: &[Node]| {
        n[2].find(|e| matches!(e, LinkEvent::Message { payload, .. } if payload == b"through")).is_some()
    };
    assert!(run(&mut nodes, Duration::from_secs(20), arrived));
}
