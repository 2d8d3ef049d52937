//! Figures of the messaging layer: `cargo bench -p ccm --bench link [PART…]`.
//!
//! `EVERBEAT_BIN=PATH cargo bench -p ccm --bench link node` measures a whole node of that binary instead,
//! executor and core.
//!
//! Parts: `wire` (encode and sign, verify and decode), `machine` (one heartbeat through the link
//! machine), `peers` (a real node that hears 63 synthetic ones, ten heartbeats a second each), `flood`
//! (forged packets against that node), `bulk` (5 MB to five peers with 5 % loss), `death` (last packet
//! heard to "is dead"). Real threads, real sockets on loopback addresses.

use std::hint::black_box;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ccm::config::Host;
use ccm::link::{Link, LinkAction, LinkConfig, LinkInput};
use ccm::medium::{DirectOpener, Endpoint};
use ccm::runtime::{self, LinkHandle, Setup};
use ccm::seam::{BeatBody, Incarnation, Lane, LinkCommand, LinkEvent, NodeId};
use ccm::wire::envelope::{self, AuthField, Format};
use ccm::wire::{Keys, Method, Packet};

const PORT: u16 = 26_940;

fn keys(method: Method) -> Keys {
    let secret: &[u8] = if method == Method::Crc { b"" } else { b"secretkey" };
    Keys::single(method, secret).expect("a key that is not empty")
}

fn time(name: &str, mut f: impl FnMut()) {
    for _ in 0..1000 {
        f();
    }
    let mut best = f64::MAX;
    for _ in 0..20 {
        let start = Instant::now();
        for _ in 0..2000 {
            f();
        }
        best = best.min(start.elapsed().as_secs_f64() / 2000.0);
    }
    println!("{name:44} {:8.2} µs", best * 1e6);
}

fn status() -> Packet {
    Packet::new()
        .with("t", "status")
        .with("st", "active")
        .with("dt", "7530")
        .with("protocol", "1")
        .with("src", "n2")
        .with_binary("srcuuid", vec![7; 16])
        .with("seq", "1a2b")
        .with("hg", "6b005899")
        .with("ts", "6b005898")
        .with("ld", "1.58 0.53 0.20 8/124 19")
        .with("ttl", "3")
}

fn wire() {
    for method in [Method::Crc, Method::Md5, Method::Sha1, Method::Sha256] {
        let keys = keys(method);
        let packet = status();
        let bytes = envelope::encode(&packet, Format::Netstring, AuthField::Yes, &keys);
        time(&format!("encode and sign a status packet, {method:?}"), || {
            black_box(envelope::encode(black_box(&packet), Format::Netstring, AuthField::Yes, &keys));
        });
        time(&format!("verify and decode a status packet, {method:?}"), || {
            black_box(envelope::open(black_box(&bytes), &keys).is_ok());
        });
    }
}

fn id(i: u16) -> NodeId {
    let mut bytes = [0x5a; 16];
    for (slot, byte) in bytes.iter_mut().zip(i.to_be_bytes()) {
        *slot = byte;
    }
    NodeId(bytes)
}

fn names(n: u16) -> Vec<String> {
    (0..n).map(|i| format!("n{i}")).collect()
}

fn config(i: u16, n: u16, method: Method) -> LinkConfig {
    let inc = Incarnation { generation: 1, boot: runtime::random_seed() };
    let names = names(n);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut c = LinkConfig::simple(id(i), &format!("n{i}"), inc, keys(method), &names);
    c.keepalive = Duration::from_millis(100);
    c.deadtime = Duration::from_secs(2);
    c.warntime = Duration::from_millis(500);
    c.initdead = Duration::from_secs(5);
    c
}

/// Runs machines against each other in memory until their sessions are open.
fn machine() {
    for method in [Method::Sha1, Method::Sha256] {
        let n = 64;
        let mut links: Vec<Link> =
            (0..n).map(|i| Link::new(config(i, n, method), u64::from(i) + 1)).collect();
        let mut now = Duration::from_secs(1);
        let mut last_beat = Vec::new();
        let mut queue: Vec<(usize, LinkInput)> =
            (0..links.len()).map(|i| (i, LinkInput::MediumUp { medium: 0 })).collect();
        for round in 0..20 {
            let mut more = Vec::new();
            for (at, input) in queue.drain(..) {
                let mut out = Vec::new();
                links[at].handle(now, input, &mut out);
                for action in out {
                    if let LinkAction::Transmit { to, bytes, .. } = action {
                        if at == 5 && to.is_none() {
                            last_beat = bytes.clone();
                        }
                        let from = Some(SocketAddr::from(([10, 0, 0, at as u8], 694)));
                        for other in 0..links.len() {
                            let addressed =
                                to.is_none_or(|to| to == SocketAddr::from(([10, 0, 0, other as u8], 694)));
                            // Only node 0 needs to know everybody.
                            if other != at && addressed && (other == 0 || at == 0) {
                                let bytes = bytes.clone();
                                more.push((other, LinkInput::Packet { medium: 0, from, bytes }));
                            }
                        }
                    }
                }
            }
            if more.is_empty() || round == 10 {
                now += Duration::from_millis(100);
                for at in 0..links.len() {
                    more.push((at, LinkInput::Command(LinkCommand::SetBeat(BeatBody(vec![0; 100])))));
                }
            }
            queue = more;
        }
        let from = Some(SocketAddr::from(([10, 0, 0, 5], 694)));
        let mut out = Vec::new();
        time(&format!("a heartbeat of ours (repeated), {method:?}"), || {
            out.clear();
            links[0].handle(now, LinkInput::Packet { medium: 0, from, bytes: last_beat.clone() }, &mut out);
        });
        time(&format!("a heartbeat of ours sent, {method:?}, 64 nodes"), || {
            out.clear();
            links[0].handle(now, LinkInput::Command(LinkCommand::BeatNow), &mut out);
        });
        println!(
            "{:44} {:8} bytes",
            "  its length",
            match out.first() {
                Some(LinkAction::Transmit { bytes, .. }) => bytes.len(),
                _ => 0,
            }
        );
    }
}

struct Node {
    handle: Arc<LinkHandle>,
    events: Arc<Mutex<Vec<(Instant, LinkEvent)>>>,
    stop: Arc<AtomicBool>,
    core: Option<std::thread::JoinHandle<()>>,
    id: NodeId,
    inc: Incarnation,
}

fn address(net: u8, i: u16) -> IpAddr {
    IpAddr::from([127, 99, net, i as u8 + 1])
}

fn node(net: u8, i: u16, n: u16, peers: &[u16], change: impl FnOnce(&mut Setup)) -> Node {
    let mut link = config(i, n, Method::Sha1);
    let endpoint = Endpoint::Unicast {
        iface: "lo".into(),
        port: PORT,
        v6: false,
        bind: Some(address(net, i)),
        peers: peers.iter().map(|&p| Host::Address(address(net, p))).collect(),
    };
    link.media = vec![endpoint.info()];
    let (id, inc) = (link.id, link.inc);
    let mut setup = Setup::new(link, vec![endpoint], Box::new(DirectOpener));
    change(&mut setup);
    let handle = Arc::new(runtime::start(setup).expect("threads are left"));
    let events: Arc<Mutex<Vec<(Instant, LinkEvent)>>> = Arc::default();
    let stop = Arc::new(AtomicBool::new(false));
    let (h, e, s) = (Arc::clone(&handle), Arc::clone(&events), Arc::clone(&stop));
    let core = std::thread::spawn(move || {
        while !s.load(Ordering::Relaxed) {
            let _ = h.command(LinkCommand::SetBeat(BeatBody(vec![0; 100])));
            let end = Instant::now() + Duration::from_millis(50);
            while let Some(rest) = end.checked_duration_since(Instant::now()) {
                if let Some(event) = h.wait_event(rest) {
                    e.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), event));
                }
            }
        }
    });
    Node { handle, events, stop, core: Some(core), id, inc }
}

impl Node {
    fn count(&self, f: impl Fn(&LinkEvent) -> bool) -> usize {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().filter(|(_, e)| f(e)).count()
    }

    /// Longest time between two heartbeats of one peer.
    fn longest_gap(&self, since: Instant) -> Duration {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last: std::collections::BTreeMap<NodeId, Instant> = Default::default();
        let mut longest = Duration::ZERO;
        for (at, event) in events.iter().filter(|(at, _)| *at >= since) {
            if let LinkEvent::Beat { beat, .. } = event
                && let Some(before) = last.insert(beat.id, *at)
            {
                longest = longest.max(*at - before);
            }
        }
        longest
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(core) = self.core.take() {
            let _ = core.join();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

fn wait(what: &str, most: Duration, done: impl Fn() -> bool) {
    let end = Instant::now() + most;
    while !done() {
        assert!(Instant::now() < end, "{what}: not within {most:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Processor time of this process's threads of that name, seconds, from /proc.
fn thread_seconds(name: &str) -> f64 {
    let mut ticks = 0u64;
    for entry in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        if let Some((head, tail)) = stat.rsplit_once(") ")
            && head.ends_with(name)
        {
            let fields: Vec<&str> = tail.split(' ').collect();
            let field = |i: usize| fields.get(i).and_then(|f| f.parse::<u64>().ok()).unwrap_or(0);
            ticks += field(11) + field(12);
        }
    }
    ticks as f64 / 100.0
}

fn resident_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// Plays 63 nodes in a process of its own: their machines, one thread, one socket each.
fn synthetic(n: u16) {
    let mut links: Vec<Link> = (1..n).map(|i| Link::new(config(i, n, Method::Sha1), u64::from(i))).collect();
    let sockets: Vec<UdpSocket> = (1..n)
        .map(|i| {
            let socket = UdpSocket::bind((address(2, i), PORT)).expect("a loopback address");
            socket.set_nonblocking(true).expect("a socket");
            socket
        })
        .collect();
    let node = SocketAddr::new(address(2, 0), PORT);
    let end = Instant::now() + Duration::from_secs(40);
    let mut tick = Instant::now();
    let mut buffer = vec![0u8; 65536];
    let run = |link: &mut Link, socket: &UdpSocket, input: LinkInput| {
        let mut out = Vec::new();
        link.handle(runtime::now(), input, &mut out);
        for action in out {
            if let LinkAction::Transmit { bytes, .. } = action {
                let _ = socket.send_to(&bytes, node);
            }
        }
    };
    for (link, socket) in links.iter_mut().zip(&sockets) {
        run(link, socket, LinkInput::MediumUp { medium: 0 });
    }
    while Instant::now() < end {
        for (link, socket) in links.iter_mut().zip(&sockets) {
            if Instant::now() >= tick {
                run(link, socket, LinkInput::Command(LinkCommand::SetBeat(BeatBody(vec![0; 100]))));
            }
            while let Ok((len, from)) = socket.recv_from(&mut buffer) {
                let bytes = buffer.get(..len).unwrap_or_default().to_vec();
                run(link, socket, LinkInput::Packet { medium: 0, from: Some(from), bytes });
            }
            if link.deadline().is_some_and(|d| d <= runtime::now()) {
                run(link, socket, LinkInput::Wake);
            }
        }
        if Instant::now() >= tick {
            tick += Duration::from_millis(100);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn peers(flood: bool) {
    let n = 64;
    let all: Vec<u16> = (1..n).collect();
    let mut hearing = node(2, 0, n, &all, |_| {});
    let program = std::env::current_exe().expect("this program");
    let mut others = std::process::Command::new(program).arg("synthetic").spawn().expect("a process");
    wait("63 sessions", Duration::from_secs(30), || {
        hearing.count(|e| matches!(e, LinkEvent::SessionUp { .. })) >= 63
    });
    std::thread::sleep(Duration::from_secs(2));
    hearing.events.lock().unwrap_or_else(PoisonError::into_inner).clear();
    let stop = Arc::new(AtomicBool::new(false));
    let before_kb = resident_kb();
    let flooder = flood.then(|| {
        let stop = Arc::clone(&stop);
        std::thread::spawn(move || {
            let socket = UdpSocket::bind((address(2, 200), 0)).expect("a loopback address");
            let forged = envelope::encode(
                &status(),
                Format::Netstring,
                AuthField::Yes,
                &Keys::single(Method::Sha1, b"guess").expect("a key"),
            );
            let mut sent = 0u64;
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..20 {
                    sent += u64::from(socket.send_to(&forged, (address(2, 0), PORT)).is_ok());
                }
                std::thread::sleep(Duration::from_micros(500));
            }
            sent
        })
    });
    let (start, cpu) = (Instant::now(), thread_seconds("heartbeat"));
    std::thread::sleep(Duration::from_secs(10));
    let (passed, used) = (start.elapsed().as_secs_f64(), thread_seconds("heartbeat") - cpu);
    let beats = hearing.count(|e| matches!(e, LinkEvent::Beat { .. }));
    stop.store(true, Ordering::Relaxed);
    let sent = flooder.and_then(|f| f.join().ok());
    println!(
        "{}: {:.0} heartbeats/s heard, heartbeat thread {:.2} % of a core, longest gap {:.0} ms, resident {} KB (before {} KB)",
        sent.map_or("63 peers".to_owned(), |s| format!(
            "63 peers and {:.0} forged packets/s",
            s as f64 / passed
        )),
        beats as f64 / passed,
        used / passed * 100.0,
        hearing.longest_gap(start).as_secs_f64() * 1000.0,
        resident_kb(),
        before_kb,
    );
    let _ = others.kill();
    let _ = others.wait();
    hearing.end();
}

/// A whole node, all its processes, that hears the synthetic peers.
fn whole_node(binary: &str) {
    let root = std::env::temp_dir().join(format!("everbeat-node-{}", std::process::id()));
    let mut ha_cf = format!(
        "keepalive 100ms\ndeadtime 2\ninitdead 5\nudpport {PORT}\nbindaddr {}\nnodename n0\ncrm respawn\n\
         realtime off\nlogfile /ha-log\nlogfacility none\n",
        address(2, 0)
    );
    for i in 0..64 {
        ha_cf += &format!("node n{i}\n");
        if i > 0 {
            ha_cf += &format!("ucast lo {}\n", address(2, i));
        }
    }
    let write = |path: &str, text: &str, mode: u32| {
        use std::os::unix::fs::PermissionsExt;
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("a temporary directory");
        std::fs::write(&path, text).expect("a temporary file");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("a temporary file");
    };
    write("etc/ha.d/ha.cf", &ha_cf, 0o644);
    write("etc/ha.d/authkeys", "auth 1\n1 sha1 secretkey\n", 0o600);
    let mut node = std::process::Command::new(binary)
        .args(["start", "--core-as-root", "--status-port", "0", "--root"])
        .arg(&root)
        .env("EVERBEAT_NO_REBOOT", "1")
        .spawn()
        .expect("the binary");
    let program = std::env::current_exe().expect("this program");
    let mut others = std::process::Command::new(program).arg("synthetic").spawn().expect("a process");
    let log = || std::fs::read_to_string(root.join("ha-log")).unwrap_or_default();
    wait("63 links", Duration::from_secs(30), || log().matches(":lo up.").count() >= 63);
    std::thread::sleep(Duration::from_secs(2));
    let processes = family(node.id());
    let ticks = || processes.iter().map(|pid| process(*pid).0).sum::<u64>();
    let (start, before) = (Instant::now(), ticks());
    std::thread::sleep(Duration::from_secs(10));
    let used = (ticks() - before) as f64 / start.elapsed().as_secs_f64();
    println!(
        "a whole node, 63 peers: {used:.2} % of a core, resident in {} processes: {} KB with the pages they share \
         counted once, {} KB added up",
        processes.len(),
        processes.iter().map(|pid| proportional_kb(*pid)).sum::<u64>(),
        processes.iter().map(|pid| process(*pid).1).sum::<u64>()
    );
    let _ = others.kill();
    let _ = others.wait();
    for pid in processes.iter().rev() {
        let _ = std::process::Command::new("kill").args(["-KILL", &pid.to_string()]).status();
    }
    let _ = node.wait();
    let _ = std::fs::remove_dir_all(&root);
}

/// Processor time in ticks (hundredths of a second) and resident memory in KB of a process.
fn process(pid: u32) -> (u64, u64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<u64> = stat
        .rsplit_once(") ")
        .map(|(_, tail)| tail.split(' ').map(|f| f.parse().unwrap_or(0)).collect())
        .unwrap_or_default();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap_or_default();
    let resident = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0);
    (fields.get(11).unwrap_or(&0) + fields.get(12).unwrap_or(&0), resident)
}

/// Resident memory of a process in KB, of each page the part that falls to it: both processes run one program.
fn proportional_kb(pid: u32) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find(|l| l.starts_with("Pss:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).unwrap_or(0)
}

/// The process and its children.
fn family(pid: u32) -> Vec<u32> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let children = children.split_whitespace().filter_map(|c| c.parse().ok()).flat_map(family);
    std::iter::once(pid).chain(children).collect()
}

fn bulk() {
    let loss = std::env::temp_dir().join(format!("everbeat-loss-{}", std::process::id()));
    std::fs::write(&loss, "rcvloss=0.05\n").expect("a temporary file");
    let all: Vec<u16> = (0..6).collect();
    let nodes: Vec<Node> =
        all.iter().map(|&i| node(3, i, 6, &all, |s| s.faults = Some(loss.clone()))).collect();
    wait("sessions", Duration::from_secs(20), || {
        nodes.iter().all(|n| n.count(|e| matches!(e, LinkEvent::SessionUp { .. })) >= 5)
    });
    std::thread::sleep(Duration::from_secs(1));
    // Text that does not compress, in the pieces of at most 1 MiB that the layer above makes.
    let mut seed = 1u64;
    let chunk: Vec<u8> = (0..500_000)
        .map(|_| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as u8
        })
        .collect();
    let start = Instant::now();
    let (first, rest) = nodes.split_first().expect("six nodes");
    // As the layer above: two pieces under way to each peer.
    let mut given = vec![0usize; rest.len()];
    let arrived = |n: &Node| n.count(|e| matches!(e, LinkEvent::Message { .. }));
    while rest.iter().any(|n| arrived(n) < 10) {
        for (to, given) in rest.iter().zip(&mut given) {
            while *given < 10 && *given < arrived(to) + 2 {
                *given += 1;
                let send =
                    LinkCommand::Send { to: to.id, inc: to.inc, lane: Lane::Bulk, payload: chunk.clone() };
                first.handle.command(send).expect("the thread runs");
            }
        }
        assert!(start.elapsed() < Duration::from_secs(60), "bulk takes too long");
        std::thread::sleep(Duration::from_micros(300));
    }
    let took = start.elapsed();
    let gap = nodes.iter().map(|n| n.longest_gap(start)).max().unwrap_or_default();
    let lost = nodes.iter().map(|n| n.count(|e| matches!(e, LinkEvent::SessionLost { .. }))).sum::<usize>();
    println!(
        "5 MB to five peers, 5 % loss: {:.2} s, longest gap between heartbeats {:.0} ms (every 100 ms, 5 % lost), sessions lost {lost}",
        took.as_secs_f64(),
        gap.as_secs_f64() * 1000.0
    );
    let _ = std::fs::remove_file(&loss);
}

fn death() {
    let mut times = Vec::new();
    for round in 0..5u8 {
        let dead: Arc<Mutex<Option<Instant>>> = Arc::default();
        let sink = Arc::clone(&dead);
        let staying = node(10 + round, 0, 2, &[0, 1], |s| {
            s.log = Box::new(move |line| {
                if line.text.contains("n1: is dead") {
                    *sink.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
                }
            });
        });
        let mut going = node(10 + round, 1, 2, &[0, 1], |_| {});
        wait("a session", Duration::from_secs(20), || {
            staying.count(|e| matches!(e, LinkEvent::SessionUp { .. })) > 0
        });
        std::thread::sleep(Duration::from_millis(700));
        going.end();
        drop(going);
        wait("death", Duration::from_secs(20), || {
            dead.lock().unwrap_or_else(PoisonError::into_inner).is_some()
        });
        let events = staying.events.lock().unwrap_or_else(PoisonError::into_inner);
        let last = events.iter().rev().find(|(_, e)| matches!(e, LinkEvent::Beat { .. })).map(|(t, _)| *t);
        let said = *dead.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(last), Some(said)) = (last, said) {
            times.push((said - last).as_secs_f64() * 1000.0);
        }
    }
    times.sort_by(f64::total_cmp);
    println!("last heartbeat at the core to \"is dead\", dead time 2000 ms: {times:.2?} ms");
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    if wanted.iter().any(|w| w == "synthetic") {
        return synthetic(64);
    }
    if wanted.iter().any(|w| w == "node") {
        return match std::env::var("EVERBEAT_BIN") {
            Ok(binary) => whole_node(&binary),
            Err(_) => println!("EVERBEAT_BIN is not set: no whole node is measured"),
        };
    }
    let on = |part: &str| wanted.is_empty() || wanted.iter().any(|w| w == part);
    if on("wire") {
        wire();
    }
    if on("machine") {
        machine();
    }
    if on("peers") {
        peers(false);
    }
    if on("flood") {
        peers(true);
    }
    if on("bulk") {
        bulk();
    }
    if on("death") {
        death();
    }
}
