//! A real Heartbeat 3.0.6 and our link in one cluster, on namespace hosts: each sees the other's status
//! and links, packets lost on the way are asked for again in both directions, and the real one's log
//! holds no complaint about us.
#![allow(clippy::unwrap_used)]

use std::io;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ccm::config::{AuthKeys, Config};
use ccm::link::{self, LinkConfig};
use ccm::medium::{DirectOpener, Endpoint, Medium, Opener, endpoints};
use ccm::runtime::{self, LinkHandle, Setup};
use ccm::seam::{BeatBody, Incarnation, LinkCommand, LinkEvent, NodeId};
use everbeat_tests::hosts::Lab;
use everbeat_tests::need;

/// For waiting, on a machine that does ten other things.
const LONG: Duration = Duration::from_secs(120);
const HEARTBEAT: &str = "/usr/libexec/heartbeat/heartbeat";

fn ha_cf(media: &str) -> String {
    format!(
        "keepalive 200ms\ndeadtime 3\nwarntime 1\ninitdead 15\nudpport 694\n{media}\nauto_failback off\n\
         node theirs\nnode ours\nlogfile /var/log/ha-log\n"
    )
}

/// Opens media that keep the first packet of each kind heard from the real one in the directory
/// `EVERBEAT_CAPTURE`, if that is set: the recorded packets of `ccm/tests/captures`.
#[derive(Default)]
struct Recorder {
    sent: Packets,
    heard: Packets,
}

fn keep(packets: &Packets, bytes: &[u8]) {
    let mut packets = packets.lock().unwrap_or_else(PoisonError::into_inner);
    if packets.len() < 1000 {
        packets.push(bytes.to_vec());
    }
}

struct Recording {
    inner: Box<dyn Medium>,
    sent: Packets,
    heard: Packets,
    dir: Option<PathBuf>,
}

impl Opener for Recorder {
    fn open(&mut self, index: usize, endpoint: &Endpoint) -> io::Result<Box<dyn Medium>> {
        let inner = DirectOpener.open(index, endpoint)?;
        let dir = std::env::var_os("EVERBEAT_CAPTURE").map(PathBuf::from);
        let (sent, heard) = (Arc::clone(&self.sent), Arc::clone(&self.heard));
        Ok(Box::new(Recording { inner, sent, heard, dir }))
    }
}

impl Medium for Recording {
    fn fd(&self) -> BorrowedFd<'_> {
        self.inner.fd()
    }

    fn send(&mut self, to: Option<SocketAddr>, bytes: &[u8]) -> io::Result<()> {
        keep(&self.sent, bytes);
        self.inner.send(to, bytes)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
        let (n, from) = self.inner.receive(buffer)?;
        if !String::from_utf8_lossy(&buffer[..n]).contains("src=ours") {
            keep(&self.heard, &buffer[..n]);
        }
        if let Some(dir) = &self.dir {
            let bytes = &buffer[..n];
            let text = String::from_utf8_lossy(bytes);
            let field = |name: &str| {
                let at = text.find(&format!("{name}="))? + name.len() + 1;
                Some(
                    text[at..]
                        .chars()
                        .take_while(|c| c.is_alphanumeric() || *c == '_' || *c == '-')
                        .collect(),
                )
            };
            let kind: String = field(")t").or_else(|| field("\nt")).unwrap_or_else(|| "unknown".to_owned());
            let form = if bytes.starts_with(b"###") { "netstring" } else { "classic" };
            let own = text.contains("src=ours");
            let file = dir.join(format!("{kind}-{form}.packet"));
            if !own && !file.exists() {
                std::fs::write(file, bytes)?;
            }
        }
        Ok((n, from))
    }

    fn wants_write(&self) -> bool {
        self.inner.wants_write()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

type Packets = Arc<Mutex<Vec<Vec<u8>>>>;

struct Ours {
    handle: Arc<LinkHandle>,
    /// Packets sent and heard, the first thousand of each.
    sent: Packets,
    heard: Packets,
    lines: Arc<Mutex<Vec<String>>>,
    events: Arc<Mutex<Vec<LinkEvent>>>,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

impl Ours {
    /// Starts our link on the host with the same files the real one has.
    fn start(lab: &Lab, ha_cf: &str, authkeys: &str) -> Ours {
        Ours::start_on(lab, "ours", 0x42, ha_cf, authkeys)
    }

    fn start_on(lab: &Lab, host: &'static str, id: u8, ha_cf: &str, authkeys: &str) -> Ours {
        let config = Config::parse(ha_cf, "ha.cf").unwrap();
        let keys = link::keys(&AuthKeys::parse(authkeys, "authkeys").unwrap()).unwrap();
        let inc = Incarnation { generation: 1, boot: runtime::random_seed() };
        let ends = endpoints(&config.media);
        let link = LinkConfig::from_files(&config, keys, &ends, (NodeId([id; 16]), host, inc));
        // Long enough for the threshold of whole-packet compression where that is wanted.
        let body = if link.traditional_compression { b"abc ".repeat(1000) } else { vec![1, 2, 3] };
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&lines);
        let recorder = Recorder::default();
        let (sent, heard) = (Arc::clone(&recorder.sent), Arc::clone(&recorder.heard));
        let thread = lab.inside(host).unwrap().in_network(move || {
            let mut setup = Setup::new(link, ends, Box::new(recorder));
            setup.log = Box::new(move |line| {
                sink.lock().unwrap_or_else(PoisonError::into_inner).push(line.text);
            });
            runtime::start(setup).unwrap()
        });
        let handle = Arc::new(thread.unwrap().join().unwrap());
        let events: Arc<Mutex<Vec<LinkEvent>>> = Arc::default();
        let stop = Arc::new(std::sync::atomic::AtomicBool::new(false));
        let (core, seen, end) = (Arc::clone(&handle), Arc::clone(&events), Arc::clone(&stop));
        std::thread::spawn(move || {
            while !end.load(std::sync::atomic::Ordering::Relaxed) {
                let _ = core.command(LinkCommand::SetBeat(BeatBody(body.clone())));
                while let Some(event) = core.next_event() {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Ours { handle, sent, heard, lines, events, stop }
    }

    fn logged(&self, text: &str) -> bool {
        self.lines.lock().unwrap().iter().any(|l| l.contains(text))
    }

    fn foreign(&self, wanted: bool) -> bool {
        let events = self.events.lock().unwrap();
        let last = events.iter().rev().find_map(|e| match e {
            LinkEvent::Foreign { name, alive } if name == "theirs" => Some(*alive),
            _ => None,
        });
        last == Some(wanted)
    }

    /// Stops our link without a farewell.
    fn end(self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let mut handle = self.handle;
        for _ in 0..100 {
            match Arc::try_unwrap(handle) {
                Ok(alone) => return alone.stop(),
                Err(shared) => handle = shared,
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn log(lab: &Lab) -> String {
    lab.inside("theirs").and_then(|i| i.sh("cat /var/log/ha-log 2>/dev/null || true")).unwrap_or_default()
}

#[track_caller]
fn wait(what: &str, lab: &Lab, ours: &Ours, limit: Duration, done: impl Fn() -> bool) {
    let end = Instant::now() + limit;
    while !done() {
        assert!(
            Instant::now() < end,
            "{what} not within {limit:?}\n--- ours\n{}\n--- theirs\n{}",
            ours.lines.lock().unwrap().join("\n"),
            log(lab)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Lines of the real one's log that complain and speak of us or our packets.
fn complaints(log: &str) -> Vec<String> {
    let word = |l: &str, w: &str| l.split(|c: char| !c.is_alphanumeric()).any(|part| part == w);
    let serious = |l: &str| l.contains("WARN") || l.contains("ERROR") || l.contains("CRIT");
    let about = |l: &str| ["ours", "msg", "packet", "packets", "message"].iter().any(|w| word(l, w));
    // That a machine under load lets us wait is no complaint about our packets.
    let late = |l: &str| l.contains("Late heartbeat") || l.contains("is dead");
    let bad = |l: &&str| serious(l) && about(l) && !late(l);
    log.lines().filter(bad).map(str::to_owned).collect()
}

fn start_theirs(lab: &Lab, ha_cf: &str, authkeys: &str) {
    let theirs = lab.inside("theirs").unwrap();
    theirs.write("/etc/ha.d/ha.cf", ha_cf, 0o644).unwrap();
    theirs.write("/etc/ha.d/authkeys", authkeys, 0o600).unwrap();
    theirs.write("/etc/ha.d/haresources", "", 0o644).unwrap();
    theirs.sh("mkdir -p /run/heartbeat; rm -f /var/log/ha-log").unwrap();
    theirs.sh(&format!("{HEARTBEAT} </dev/null >/dev/null 2>&1 &")).unwrap();
}

/// Both on the same media of interface `eth0`.
fn meet(media: &str, authkeys: &str, loss: u8) {
    let lab = Lab::new(&["theirs", "ours"], 1).unwrap();
    meet_in(&lab, [media, media], ["eth0", "eth0"], authkeys, loss);
}

/// The media lines of theirs and ours, and the links' names.
fn meet_in(lab: &Lab, media: [&str; 2], links: [&str; 2], authkeys: &str, loss: u8) {
    meet_with(lab, media, links, authkeys, loss, |_| {});
}

/// As [`meet_in`]; `more` runs while both are active.
fn meet_with(lab: &Lab, media: [&str; 2], links: [&str; 2], authkeys: &str, loss: u8, more: impl Fn(&Ours)) {
    let [theirs, mine] = media.map(ha_cf);
    start_theirs(lab, &theirs, authkeys);
    let ours = Ours::start(lab, &mine, authkeys);
    let long = LONG;
    wait("theirs active here", lab, &ours, long, || {
        ours.logged("Status update for node theirs: status active") && ours.foreign(true)
    });
    assert!(ours.logged(&format!("Link theirs:{} up.", links[1])));
    wait("ours active there", lab, &ours, long, || {
        let log = log(lab);
        log.contains(&format!("Link ours:{} up.", links[0]))
            && log.contains("Status update for node ours: status active")
    });
    if loss > 0 {
        lab.lose(loss).unwrap();
        wait("both ask again", lab, &ours, long, || {
            ours.logged("lost packet(s) for [theirs]")
                && ours.logged("No pkts missing from theirs!")
                && log(lab).contains("lost packet(s) for [ours]")
                && log(lab).contains("No pkts missing from ours!")
        });
        lab.lose(0).unwrap();
        assert!(!log(lab).contains("Irretrievably lost packet: node ours"), "{}", log(lab));
    } else {
        more(&ours);
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(complaints(&log(lab)), Vec::<String>::new(), "{}", log(lab));
        let refused = ours.handle.report().refused;
        assert!(refused.is_empty(), "{refused:?}");
    }
    // It is killed and comes back; then we fall silent.
    lab.inside("theirs").unwrap().sh("killall -9 heartbeat").unwrap();
    wait("theirs dead here", lab, &ours, long, || ours.logged("node theirs: is dead") && ours.foreign(false));
    ours.lines.lock().unwrap().clear();
    start_again(lab);
    wait("theirs restarted", lab, &ours, long, || {
        ours.logged("Heartbeat restart on node theirs")
            && ours.logged("Status update for node theirs: status active")
            && ours.foreign(true)
    });
    let begun = log(lab).len();
    ours.end();
    wait_log("ours dead there", lab, long, |log| {
        log.get(begun..).is_some_and(|new| new.contains("node ours: is dead"))
    });
}

fn start_again(lab: &Lab) {
    let theirs = lab.inside("theirs").unwrap();
    theirs.sh(&format!("rm -f /run/heartbeat.pid; {HEARTBEAT} </dev/null >/dev/null 2>&1 &")).unwrap();
}

#[track_caller]
fn wait_log(what: &str, lab: &Lab, limit: Duration, done: impl Fn(&str) -> bool) {
    let end = Instant::now() + limit;
    while !done(&log(lab)) {
        assert!(Instant::now() < end, "{what} not within {limit:?}\n{}", log(lab));
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn possible(test: &str) -> bool {
    need::root_and(test, &["ip", "bridge", "unshare", "nsenter", "setpriv", HEARTBEAT])
}

#[test]
fn broadcast_sha1() {
    if possible("broadcast_sha1") {
        meet("bcast eth0", "auth 1\n1 sha1 secretkey\n", 0);
    }
}

#[test]
fn unicast_md5() {
    if possible("unicast_md5") {
        let media = "ucast eth0 192.168.228.1\nucast eth0 192.168.228.2";
        meet(media, "auth 1\n1 md5 secretkey\n", 0);
    }
}

#[test]
fn multicast_crc() {
    if possible("multicast_crc") {
        meet("mcast eth0 225.0.0.1 694 1 0", "auth 1\n1 crc\n", 0);
    }
}

/// Whole packets compressed, in both directions: ours are long heartbeats, theirs what was written to
/// their command pipe.
fn meet_compressed(algorithm: &str, msgfmt: &str) {
    let lab = Lab::new(&["theirs", "ours"], 1).unwrap();
    let media = format!(
        "compression {algorithm}\ncompression_threshold 1\ntraditional_compression yes\nmsgfmt {msgfmt}\nbcast eth0"
    );
    meet_with(&lab, [&media, &media], ["eth0", "eth0"], "auth 1\n1 crc\n", 0, |ours| {
        let sent = ours.sent.lock().unwrap().clone();
        let packed = |bytes: &&Vec<u8>| bytes.windows(20).any(|w| w == b"_compressed_payload=");
        let longest = sent.iter().max_by_key(|b| b.len()).unwrap();
        assert!(sent.iter().any(|b| packed(&b)), "{}", String::from_utf8_lossy(longest));
        let begin: &[u8] = if msgfmt == "classic" { b">>>\n" } else { b"###\n" };
        assert!(sent.iter().all(|b| b.starts_with(begin)));
        // The pipe takes lines of a kilobyte at most.
        let pads: String = (0..9).map(|i| format!("pad{i}={}\n", "x".repeat(300))).collect();
        let line = format!("cat >/var/lib/heartbeat/fifo <<'end'\n>>>\nt=anything\n{pads}<<<\nend");
        lab.inside("theirs").unwrap().sh(&line).unwrap();
        wait("theirs compressed", &lab, ours, Duration::from_secs(10), || {
            ours.heard.lock().unwrap().iter().any(|b| packed(&b))
        });
    });
}

#[test]
fn whole_packets_compressed_with_zlib() {
    if possible("whole_packets_compressed_with_zlib") {
        meet_compressed("zlib", "netstring");
    }
}

#[test]
fn whole_packets_compressed_with_bz2_in_the_classic_notation() {
    if possible("whole_packets_compressed_with_bz2_in_the_classic_notation") {
        meet_compressed("bz2", "classic");
    }
}

/// A pause longer than `warntime` and far from `deadtime` is late for both, and nobody is dead.
#[test]
fn late_heartbeats_are_late_for_both() {
    if !possible("late_heartbeats_are_late_for_both") {
        return;
    }
    let lab = Lab::new(&["theirs", "ours"], 1).unwrap();
    let text = ha_cf("ucast eth0 192.168.228.1\nucast eth0 192.168.228.2")
        .replace("deadtime 3", "deadtime 12")
        .replace("initdead 15", "initdead 20");
    let authkeys = "auth 1\n1 sha1 secretkey\n";
    start_theirs(&lab, &text, authkeys);
    let ours = Ours::start(&lab, &text, authkeys);
    let long = Duration::from_secs(40);
    wait("both active", &lab, &ours, long, || {
        ours.logged("Status update for node theirs: status active")
            && log(&lab).contains("Status update for node ours: status active")
    });
    lab.forward("ours", false).unwrap();
    std::thread::sleep(Duration::from_secs(2));
    lab.forward("ours", true).unwrap();
    wait("late for both", &lab, &ours, long, || {
        ours.logged("Late heartbeat: Node theirs: interval ")
            && log(&lab).contains("Late heartbeat: Node ours: interval ")
    });
    wait("both made up for it", &lab, &ours, long, || {
        ours.logged("No pkts missing from theirs!") && log(&lab).contains("No pkts missing from ours!")
    });
    assert!(!ours.logged("is dead") && !log(&lab).contains("is dead"), "{}", log(&lab));
    ours.end();
}

#[test]
fn loss_is_made_up_for_in_both_directions() {
    if possible("loss_is_made_up_for_in_both_directions") {
        meet("bcast eth0", "auth 1\n1 sha1 secretkey\n", 20);
    }
}

#[test]
fn multicast_over_ipv6() {
    if possible("multicast_over_ipv6") {
        let lab = Lab::new(&["theirs", "ours"], 1).unwrap();
        for host in ["theirs", "ours"] {
            // Until then the kernel refuses to send from the link's own address.
            let line = "for i in $(seq 50); do ip -6 addr show dev eth0 | grep -q tentative || break; sleep 0.1; done";
            lab.inside(host).unwrap().sh(line).unwrap();
        }
        let media = "mcast6 eth0 ff02::694 694 1 0";
        meet_in(&lab, [media, media], ["eth0", "eth0"], "auth 1\n1 sha1 secretkey\n", 0);
    }
}

#[test]
fn unicast_over_ipv6() {
    if !possible("unicast_over_ipv6") {
        return;
    }
    let lab = Lab::new(&["theirs", "ours"], 1).unwrap();
    for (host, number) in [("theirs", 1), ("ours", 2)] {
        let line = format!("ip addr add fd00:228::{number}/64 dev eth0 nodad");
        lab.inside(host).unwrap().sh(&line).unwrap();
    }
    let media = ["ucast6 eth0 fd00:228::2", "ucast6 eth0 fd00:228::1"];
    meet_in(&lab, media, ["eth0", "eth0"], "auth 1\n1 sha1 secretkey\n", 0);
}

/// A null-modem cable of two pseudo-terminals; ends with the test.
struct Cable(std::process::Child, [String; 2]);

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn cable() -> Cable {
    use std::io::BufRead;
    let script = "
import os, pty, select, tty
(a, sa), (b, sb) = pty.openpty(), pty.openpty()
tty.setraw(sa); tty.setraw(sb)
print(os.ttyname(sa), os.ttyname(sb), flush=True)
ends = {a: b, b: a}
while True:
    for fd in select.select([a, b], [], [])[0]:
        os.write(ends[fd], os.read(fd, 4096))
";
    let mut helper = std::process::Command::new("python3")
        .args(["-c", script])
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    io::BufReader::new(helper.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let (a, b) = line.trim().split_once(' ').unwrap();
    Cable(helper, [a.to_owned(), b.to_owned()])
}

#[test]
fn serial_line() {
    if !possible("serial_line") || !need::programs_are_there("serial_line", &["python3"]) {
        return;
    }
    let lab = Lab::new(&["theirs", "ours"], 1).unwrap();
    let cable = cable();
    let [theirs, ours] = &cable.1;
    let media = [format!("baud 115200\nserial {theirs}"), format!("baud 115200\nserial {ours}")];
    let [a, b] = &media;
    meet_in(&lab, [a, b], [theirs, ours], "auth 1\n1 sha1 secretkey\n", 0);
}

/// Two nodes of ours with every kind of UDP medium on one interface and one port: each works, and one
/// cable is all of them.
#[test]
fn own_nodes_on_every_network_medium() {
    let test = "own_nodes_on_every_network_medium";
    if !need::root_and(test, &["ip", "bridge", "unshare", "nsenter", "setpriv"]) {
        return;
    }
    let lab = Lab::new(&["theirs", "ours"], 1).unwrap();
    let hosts = [("theirs", 1u8), ("ours", 2)];
    for (host, number) in hosts {
        let line = format!(
            "ip addr add fd00:228::{number}/64 dev eth0 nodad; for i in $(seq 50); do \
             ip -6 addr show dev eth0 | grep -q tentative || break; sleep 0.1; done"
        );
        lab.inside(host).unwrap().sh(&line).unwrap();
    }
    let media = "bcast eth0\nmcast eth0 225.0.0.1 694 1 0\nmcast6 eth0 ff02::694 694 1 0\n\
                 ucast eth0 192.168.228.1\nucast eth0 192.168.228.2\n\
                 ucast6 eth0 fd00:228::1\nucast6 eth0 fd00:228::2";
    let authkeys = "auth 1\n1 hmac-sha256 a-key-of-sixteen-or-more\n";
    let nodes = hosts.map(|(host, id)| Ours::start_on(&lab, host, id, &ha_cf(media), authkeys));
    let up = |ours: &Ours, peer: &str| {
        let report = ours.handle.report();
        let links = report.nodes.iter().find(|n| n.name == peer).map(|n| n.links.clone());
        links.is_some_and(|l| l.len() == 5 && l.iter().all(|(_, up)| *up))
    };
    let [a, b] = &nodes;
    wait("five links up", &lab, a, LONG, || up(a, "ours") && up(b, "theirs"));
    lab.pull_cables("ours").unwrap();
    let cut_off = |ours: &Ours| {
        let events = ours.events.lock().unwrap();
        events.iter().any(|e| matches!(e, LinkEvent::Carrier { any: false }))
    };
    wait("no carrier", &lab, b, LONG, || cut_off(b) && !cut_off(a));
    wait("dead", &lab, a, LONG, || a.logged("node ours: is dead"));
    lab.plug_cables("ours").unwrap();
    let long = LONG;
    wait("back", &lab, a, long, || up(a, "ours") && up(b, "theirs"));
    let said = || a.logged("Cluster node ours returning after partition.");
    wait("said to be back", &lab, a, LONG, said);
    nodes.into_iter().for_each(Ours::end);
}
