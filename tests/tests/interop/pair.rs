//! A host with a real Heartbeat and one with our link: what either said, and what happens to the wires.

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
use everbeat_tests::hosts::{Cable, Lab};
use everbeat_tests::need;

/// For waiting, on a machine that does ten other things.
pub const LONG: Duration = Duration::from_secs(120);
const HEARTBEAT: &str = "/usr/libexec/heartbeat/heartbeat";

/// Whether a real Heartbeat and hosts for it can be had.
pub fn possible(test: &str) -> bool {
    need::root_and(test, &["ip", "bridge", "unshare", "nsenter", "setpriv", HEARTBEAT])
}

/// Silence is late after one second and death after six, far enough apart for a loaded machine.
pub fn ha_cf(media: &str) -> String {
    format!(
        "keepalive 200ms\ndeadtime 6\nwarntime 1\ninitdead 15\nudpport 694\n{media}\nauto_failback off\n\
         node theirs\nnode ours\nlogfile /var/log/ha-log\n"
    )
}

/// Opens media that keep what is sent and heard.
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
}

impl Opener for Recorder {
    fn open(&mut self, index: usize, endpoint: &Endpoint) -> io::Result<Box<dyn Medium>> {
        let inner = DirectOpener.open(index, endpoint)?;
        let (sent, heard) = (Arc::clone(&self.sent), Arc::clone(&self.heard));
        Ok(Box::new(Recording { inner, sent, heard }))
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

pub struct Ours {
    pub handle: Arc<LinkHandle>,
    /// Packets sent and heard, the first thousand of each.
    pub sent: Packets,
    pub heard: Packets,
    pub lines: Arc<Mutex<Vec<String>>>,
    pub events: Arc<Mutex<Vec<LinkEvent>>>,
    /// What our end of every medium loses on purpose.
    faults: PathBuf,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

impl Ours {
    /// Starts our link on the host with the same files the real one has.
    fn start(lab: &Lab, ha_cf: &str, authkeys: &str) -> Ours {
        Ours::start_on(lab, "ours", (0x42, 1), ha_cf, authkeys)
    }

    /// The same on any host, as the node of that id and generation.
    pub fn start_on(
        lab: &Lab,
        host: &'static str,
        (id, generation): (u8, u64),
        ha_cf: &str,
        authkeys: &str,
    ) -> Ours {
        let config = Config::parse(ha_cf, "ha.cf").unwrap();
        let keys = link::keys(&AuthKeys::parse(authkeys, "authkeys").unwrap()).unwrap();
        let inc = Incarnation { generation, boot: runtime::random_seed() };
        let ends = endpoints(&config.media);
        let link = LinkConfig::from_files(&config, keys, &ends, (NodeId([id; 16]), host, inc));
        // Long enough for the threshold of whole-packet compression where that is wanted.
        let body = if link.traditional_compression { b"abc ".repeat(300) } else { vec![1, 2, 3] };
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&lines);
        let recorder = Recorder::default();
        let (sent, heard) = (Arc::clone(&recorder.sent), Arc::clone(&recorder.heard));
        let faults = lab.state().join(format!("faults-{host}"));
        let losses = faults.clone();
        let thread = lab.inside(host).unwrap().in_network(move || {
            let mut setup = Setup::new(link, ends, Box::new(recorder));
            setup.faults = Some(losses);
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
        Ours { handle, sent, heard, lines, events, faults, stop }
    }

    pub fn logged(&self, text: &str) -> bool {
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
    pub fn end(self) {
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

pub fn log(lab: &Lab) -> String {
    lab.inside("theirs").and_then(|i| i.sh("cat /var/log/ha-log 2>/dev/null || true")).unwrap_or_default()
}

#[track_caller]
pub fn wait(what: &str, lab: &Lab, ours: &Ours, limit: Duration, done: impl Fn() -> bool) {
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

#[track_caller]
fn wait_for(what: &str, lab: &Lab, done: impl Fn() -> bool) {
    let end = Instant::now() + LONG;
    while !done() {
        assert!(Instant::now() < end, "{what}: not within {LONG:?}\n{}", log(lab));
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

/// Writes the real one's files and starts it.
pub fn start_theirs(lab: &Lab, ha_cf: &str, authkeys: &str) {
    let theirs = lab.inside("theirs").unwrap();
    theirs.write("/etc/ha.d/ha.cf", ha_cf, 0o644).unwrap();
    theirs.write("/etc/ha.d/authkeys", authkeys, 0o600).unwrap();
    theirs.write("/etc/ha.d/haresources", "", 0o644).unwrap();
    theirs.sh("mkdir -p /run/heartbeat; rm -f /var/log/ha-log").unwrap();
    theirs.sh(&format!("{HEARTBEAT} </dev/null >/dev/null 2>&1 &")).unwrap();
}

/// How the two are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line {
    Broadcast,
    Unicast,
    Multicast,
    Multicast6,
    Unicast6,
    Serial,
}

/// A real Heartbeat and our link, started with the same files, and the log of what either said.
pub struct Pair {
    pub lab: Lab,
    pub ours: Ours,
    pub line: Line,
    /// The link's name at theirs and at ours.
    links: [String; 2],
    /// Our ha.cf, and the keys of both.
    media: String,
    authkeys: String,
    _cable: Option<Cable>,
}

impl Pair {
    /// Starts both. `more` are further lines of both ha.cf, before their media.
    pub fn start(line: Line, authkeys: &str, more: &str) -> Pair {
        let lab = Lab::new(&["theirs", "ours"], 1).unwrap();
        let cable = (line == Line::Serial).then(|| Cable::new(None).unwrap());
        let eth0 = || ["eth0"; 2].map(str::to_owned);
        let links = cable.as_ref().map_or_else(eth0, |c| c.ends.clone());
        for (host, number) in [("theirs", 1), ("ours", 2)] {
            // Until then the kernel refuses to send from the link's own address.
            let addresses = format!(
                "ip addr add fd00:228::{number}/64 dev eth0 nodad; for i in $(seq 50); do \
                 ip -6 addr show dev eth0 | grep -q tentative || break; sleep 0.1; done"
            );
            if matches!(line, Line::Multicast6 | Line::Unicast6) {
                lab.inside(host).unwrap().sh(&addresses).unwrap();
            }
        }
        let text = |link: &String| {
            let media = match line {
                Line::Broadcast => "bcast eth0".to_owned(),
                Line::Unicast => "ucast eth0 192.168.228.1\nucast eth0 192.168.228.2".to_owned(),
                Line::Multicast => "mcast eth0 225.0.0.1 694 1 0".to_owned(),
                Line::Multicast6 => "mcast6 eth0 ff02::694 694 1 0".to_owned(),
                Line::Unicast6 => "ucast6 eth0 fd00:228::1\nucast6 eth0 fd00:228::2".to_owned(),
                Line::Serial => format!("baud 115200\nserial {link}"),
            };
            ha_cf(&format!("{more}{media}"))
        };
        let [theirs, mine] = links.each_ref().map(text);
        start_theirs(&lab, &theirs, authkeys);
        let ours = Ours::start(&lab, &mine, authkeys);
        Pair { lab, ours, line, links, media: mine, authkeys: authkeys.to_owned(), _cable: cable }
    }

    #[track_caller]
    pub fn wait(&self, what: &str, done: impl Fn() -> bool) {
        wait(what, &self.lab, &self.ours, LONG, done);
    }

    fn log(&self) -> String {
        log(&self.lab)
    }

    /// Each sees the other's link up and its status active.
    pub fn meet(&self) {
        self.wait("theirs active here", || {
            self.ours.logged("Status update for node theirs: status active") && self.ours.foreign(true)
        });
        assert!(self.ours.logged(&format!("Link theirs:{} up.", self.links[1])));
        self.wait("ours active there", || {
            let log = self.log();
            log.contains(&format!("Link ours:{} up.", self.links[0]))
                && log.contains("Status update for node ours: status active")
        });
    }

    /// For a while neither has anything to say against the other's packets.
    pub fn is_quiet(&self) {
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(complaints(&self.log()), Vec::<String>::new(), "{}", self.log());
        let refused = self.ours.handle.report().refused;
        assert!(refused.is_empty(), "{refused:?}");
    }

    /// While one packet in five is lost in each direction, both ask for what is missing and get it.
    pub fn loses_and_makes_up(&self) {
        self.lose(20);
        self.wait("both ask again", || {
            let log = self.log();
            self.ours.logged("lost packet(s) for [theirs]")
                && self.ours.logged("No pkts missing from theirs!")
                && log.contains("lost packet(s) for [ours]")
                && log.contains("No pkts missing from ours!")
        });
        self.lose(0);
        let log = self.log();
        assert!(!log.contains("Irretrievably lost packet"), "{log}");
        assert!(!self.ours.logged("Irretrievably lost packet"), "{:?}", self.ours.lines.lock());
        let beside = |l: &String| !l.contains(" lost packet(s) for [ours]");
        let other: Vec<String> = complaints(&log).into_iter().filter(beside).collect();
        assert_eq!(other, Vec::<String>::new(), "{log}");
    }

    /// A silence that is longer than `warntime` and far from `deadtime` is late for both, death for none.
    pub fn pauses(&self) {
        self.lose(100);
        std::thread::sleep(Duration::from_millis(2200));
        self.lose(0);
        self.wait("late for both", || {
            self.ours.logged("Late heartbeat: Node theirs: interval ")
                && self.log().contains("Late heartbeat: Node ours: interval ")
        });
        assert!(!self.ours.logged("is dead") && !self.log().contains("is dead"), "{}", self.log());
    }

    /// Theirs is killed and comes back; then we fall silent.
    pub fn dies_and_returns(self) {
        self.lab.inside("theirs").unwrap().sh("killall -9 heartbeat").unwrap();
        self.wait("theirs dead here", || {
            self.ours.logged("node theirs: is dead")
                && self.ours.logged(&format!("Link theirs:{} dead.", self.links[1]))
                && self.ours.foreign(false)
        });
        self.ours.lines.lock().unwrap().clear();
        let begun = self.log().len();
        start_theirs_again(&self.lab);
        self.wait("theirs restarted", || {
            self.ours.logged("Heartbeat restart on node theirs")
                && self.ours.logged("Status update for node theirs: status active")
                && self.ours.foreign(true)
        });
        // It must have heard us before it can tell a restart of ours from a first start.
        self.wait("ours seen there again", || {
            self.log()
                .get(begun..)
                .is_some_and(|new| new.contains("Status update for node ours: status active"))
        });
        // Then ours.
        let begun = self.log().len();
        let Pair { lab, mut ours, links, media, authkeys, .. } = self;
        ours.end();
        let said = |lines: &[String]| {
            let log = log(&lab);
            let new = log.get(begun..).unwrap_or_default();
            lines.iter().all(|line| new.contains(line))
        };
        wait_for("ours dead there", &lab, || {
            said(&[format!("Link ours:{} dead.", links[0]), "node ours: is dead".to_owned()])
        });
        ours = Ours::start_on(&lab, "ours", (0x42, 2), &media, &authkeys);
        wait_for("ours restarted", &lab, || {
            said(&[
                "Heartbeat restart on node ours".to_owned(),
                format!("Link ours:{} up.", links[0]),
                "Status update for node ours: status active".to_owned(),
            ])
        });
        ours.end();
    }

    /// From now on so many packets in a hundred are lost in each direction: on the wires of a network, at
    /// our end of a serial line.
    fn lose(&self, percent: u8) {
        if self.line == Line::Serial {
            let share = f64::from(percent) / 100.0;
            std::fs::write(&self.ours.faults, format!("rcvloss={share};xmitloss={share}\n")).unwrap();
        } else {
            self.lab.lose(percent).unwrap();
        }
    }
}

/// Starts the real one with the files it has.
pub fn start_theirs_again(lab: &Lab) {
    let line = format!("rm -f /run/heartbeat.pid; {HEARTBEAT} </dev/null >/dev/null 2>&1 &");
    lab.inside("theirs").unwrap().sh(&line).unwrap();
}
