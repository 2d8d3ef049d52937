//! A real Heartbeat 3.0.6 and our link in one cluster, on namespace hosts: each sees the other's status
//! and links, packets lost on the way are asked for again in both directions, and the real one's log
//! holds no complaint about us.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ccm::config::{AuthKeys, Config};
use ccm::link::{self, LinkConfig};
use ccm::medium::{DirectOpener, endpoints};
use ccm::runtime::{self, LinkHandle, Setup};
use ccm::seam::{BeatBody, Incarnation, LinkCommand, LinkEvent, NodeId};
use everbeat_tests::hosts::Lab;
use everbeat_tests::need;

const HEARTBEAT: &str = "/usr/libexec/heartbeat/heartbeat";

fn ha_cf(media: &str) -> String {
    format!(
        "keepalive 200ms\ndeadtime 3\nwarntime 1\ninitdead 15\nudpport 694\n{media}\nauto_failback off\n\
         node theirs\nnode ours\nlogfile /var/log/ha-log\n"
    )
}

struct Ours {
    handle: Arc<LinkHandle>,
    lines: Arc<Mutex<Vec<String>>>,
    events: Arc<Mutex<Vec<LinkEvent>>>,
    stop: Arc<std::sync::atomic::AtomicBool>,
}

impl Ours {
    /// Starts our link on the host with the same files the real one has.
    fn start(lab: &Lab, ha_cf: &str, authkeys: &str) -> Ours {
        let config = Config::parse(ha_cf, "ha.cf").unwrap();
        let keys = link::keys(&AuthKeys::parse(authkeys, "authkeys").unwrap()).unwrap();
        let inc = Incarnation { generation: 1, boot: runtime::random_seed() };
        let ends = endpoints(&config.media);
        let link = LinkConfig::from_files(&config, keys, &ends, (NodeId([0x42; 16]), "ours", inc));
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let sink = Arc::clone(&lines);
        let thread = lab.inside("ours").unwrap().in_network(move || {
            let mut setup = Setup::new(link, ends, Box::new(DirectOpener));
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
                let _ = core.command(LinkCommand::SetBeat(BeatBody(vec![1, 2, 3])));
                while let Some(event) = core.next_event() {
                    seen.lock().unwrap_or_else(PoisonError::into_inner).push(event);
                }
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Ours { handle, lines, events, stop }
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

    fn end(self) {
        self.stop.store(true, std::sync::atomic::Ordering::Relaxed);
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
    let bad = |l: &&str| serious(l) && about(l);
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

fn meet(media: &str, authkeys: &str, loss: u8) {
    let lab = Lab::new(&["theirs", "ours"], 1).unwrap();
    let text = ha_cf(media);
    start_theirs(&lab, &text, authkeys);
    let ours = Ours::start(&lab, &text, authkeys);
    let long = Duration::from_secs(30);
    wait("theirs active here", &lab, &ours, long, || {
        ours.logged("Status update for node theirs: status active") && ours.foreign(true)
    });
    assert!(ours.logged("Link theirs:eth0 up."));
    wait("ours active there", &lab, &ours, long, || {
        let log = log(&lab);
        log.contains("Link ours:eth0 up.") && log.contains("Status update for node ours: status active")
    });
    if loss > 0 {
        lab.lose(loss).unwrap();
        wait("both ask again", &lab, &ours, long, || {
            ours.logged("lost packet(s) for [theirs]")
                && ours.logged("No pkts missing from theirs!")
                && log(&lab).contains("lost packet(s) for [ours]")
                && log(&lab).contains("No pkts missing from ours!")
        });
        lab.lose(0).unwrap();
        assert!(!log(&lab).contains("Irretrievably lost packet: node ours"), "{}", log(&lab));
    } else {
        std::thread::sleep(Duration::from_secs(3));
        assert_eq!(complaints(&log(&lab)), Vec::<String>::new(), "{}", log(&lab));
        let refused = ours.handle.report().refused;
        assert!(refused.is_empty(), "{refused:?}");
    }
    // We fall silent, then it does.
    lab.inside("ours").unwrap().sh("ip link set eth0 down").unwrap();
    wait("ours dead there", &lab, &ours, long, || log(&lab).contains("node ours: is dead"));
    wait("theirs dead here", &lab, &ours, long, || {
        ours.logged("node theirs: is dead") && ours.foreign(false)
    });
    ours.end();
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

#[test]
fn loss_is_made_up_for_in_both_directions() {
    if possible("loss_is_made_up_for_in_both_directions") {
        meet("bcast eth0", "auth 1\n1 sha1 secretkey\n", 20);
    }
}
