//! A real Heartbeat 3.0.6 and our link in one cluster, on namespace hosts: over every medium, with every
//! signature both know, with whole packets compressed and not. Each sees the other's status and links up,
//! late, dead and restarted, packets lost on the way are asked for again in both directions, and the real
//! one's log holds no complaint about us.
#![allow(clippy::unwrap_used)]

#[path = "interop/pair.rs"]
mod pair;

use std::time::Duration;

use ccm::seam::LinkEvent;
use everbeat_tests::fleet::Fleet;
use everbeat_tests::hosts::Lab;
use everbeat_tests::need;
use pair::{LONG, Line, Ours, Pair, ha_cf, possible, start_theirs, start_theirs_again, wait};

/// What both know to sign with.
const KEYS: [&str; 3] = ["crc", "md5 secretkey", "sha1 secretkey"];
/// Notation, and how whole packets are compressed.
const FORMS: [(&str, Option<&str>); 2] = [("netstring", None), ("classic", Some("bz2"))];

/// The whole story of a pair for each key and form, all at once: they wait most of the time.
fn every_key_and_form(line: Line) {
    std::thread::scope(|all| {
        for key in KEYS {
            for (msgfmt, compression) in FORMS {
                // Both algorithms are seen on every medium.
                let zlib = key.starts_with("md5") || msgfmt == "netstring";
                let compression = compression.map(|bz2| if zlib { "zlib" } else { bz2 });
                let name = format!("{line:?} {key} {msgfmt} {compression:?}");
                let story = move || story(line, key, msgfmt, compression);
                std::thread::Builder::new().name(name).spawn_scoped(all, story).unwrap();
            }
        }
    });
}

fn story(line: Line, key: &str, msgfmt: &str, compression: Option<&str>) {
    let packing = compression.map_or_else(String::new, |algorithm| {
        format!("compression {algorithm}\ncompression_threshold 1\ntraditional_compression yes\n")
    });
    let pair = Pair::start(line, &format!("auth 1\n1 {key}\n"), &format!("msgfmt {msgfmt}\n{packing}"));
    pair.meet();
    if compression.is_some() {
        compresses(&pair, key == "crc");
    }
    let begin: &[u8] = if msgfmt == "classic" || line == Line::Serial { b">>>\n" } else { b"###\n" };
    assert!(pair.ours.sent.lock().unwrap().iter().all(|bytes| bytes.starts_with(begin)));
    pair.is_quiet();
    pair.loses_and_makes_up();
    pair.pauses();
    pair.dies_and_returns();
}

/// Whole packets are compressed in both directions: ours are long heartbeats, theirs what is written to
/// their command pipe. With a key that hides what own nodes tell each other, what we say in the open is short.
fn compresses(pair: &Pair, open: bool) {
    let packed = |bytes: &Vec<u8>| bytes.windows(20).any(|w| w == b"_compressed_payload=");
    pair.wait("ours compressed", || !open || pair.ours.sent.lock().unwrap().iter().any(packed));
    // The pipe takes lines of a kilobyte at most.
    let pads: String = (0..9).map(|i| format!("pad{i}={}\n", "x".repeat(300))).collect();
    let line = format!("cat >/var/lib/heartbeat/fifo <<'end'\n>>>\nt=anything\n{pads}<<<\nend");
    pair.lab.inside("theirs").unwrap().sh(&line).unwrap();
    // For a serial line the real one takes them apart again.
    let arrived = |bytes: &Vec<u8>| match pair.line {
        Line::Serial => bytes.windows(11).any(|w| w == b"\nt=anything"),
        _ => packed(bytes),
    };
    pair.wait("theirs compressed", || pair.ours.heard.lock().unwrap().iter().any(arrived));
}

#[test]
fn broadcast() {
    if possible("broadcast") {
        every_key_and_form(Line::Broadcast);
    }
}

#[test]
fn unicast() {
    if possible("unicast") {
        every_key_and_form(Line::Unicast);
    }
}

#[test]
fn multicast() {
    if possible("multicast") {
        every_key_and_form(Line::Multicast);
    }
}

#[test]
fn serial_line() {
    if possible("serial_line") && need::programs_are_there("serial_line", &["python3"]) {
        every_key_and_form(Line::Serial);
    }
}

#[test]
fn multicast_over_ipv6() {
    if possible("multicast_over_ipv6") {
        story(Line::Multicast6, "sha1 secretkey", "netstring", None);
    }
}

#[test]
fn unicast_over_ipv6() {
    if possible("unicast_over_ipv6") {
        story(Line::Unicast6, "sha1 secretkey", "netstring", None);
    }
}

/// Two whole nodes of ours have quorum beside a real Heartbeat: it is shown as foreign, and as long as it is
/// there they start nothing; when it has left they do, and what runs stays when it is back.
#[test]
fn whole_nodes_start_nothing_beside_a_foreign_one() {
    let test = "whole_nodes_start_nothing_beside_a_foreign_one";
    let dummy = "/usr/lib/ocf/resource.d/heartbeat/Dummy";
    if !possible(test) || !need::programs_are_there(test, &[dummy, "groupadd", "useradd"]) {
        return;
    }
    let mut fleet = Fleet::new(&["theirs", "ours", "also"], 1).unwrap();
    let text = "keepalive 200ms\ndeadtime 6\nwarntime 3\ninitdead 20\nudpport 694\nbcast eth0\nnode theirs ours also\n";
    let authkeys = "auth 1\n1 sha1 secretkey\n";
    // Heartbeat's own resource management is for two nodes; its membership alone is for more.
    start_theirs(&fleet.lab, &format!("{text}crm ccm-only\nlogfile /var/log/ha-log\n"), authkeys);
    for host in ["ours", "also"] {
        fleet.install(host, &format!("{text}use_logd yes\ncrm respawn\n"), authkeys).unwrap();
        fleet.boot(host).unwrap();
    }
    fleet.members("ours", &["ours", "also"], LONG).unwrap();
    let foreign =
        "theirs is foreign: it speaks Heartbeat but no views; no resource is started while it is there";
    for host in ["ours", "also"] {
        fleet.wait_until(host, "crm_mon -1", LONG, |text| text.contains(foreign)).unwrap();
    }
    let status = fleet.everbeat("ours", "cl_status nodestatus theirs").unwrap();
    assert_eq!(status.trim(), "active");
    assert_eq!(fleet.everbeat("ours", "cl_status hblinkstatus theirs eth0").unwrap().trim(), "up");

    let create = |name: &str| {
        format!(
            "cibadmin -C -o resources -X '<primitive id=\"{name}\" class=\"ocf\" provider=\"heartbeat\" type=\"Dummy\"/>'"
        )
    };
    let no_fencing = "crm_attribute -t crm_config -n stonith-enabled -v false";
    fleet.everbeat("ours", no_fencing).unwrap();
    fleet.everbeat("also", &create("first")).unwrap();
    std::thread::sleep(Duration::from_secs(5));
    let runs = |text: &str| text.contains("is running on: ");
    let place = |name: &str| format!("crm_resource -W -r {name} 2>&1 || true");
    assert!(!runs(&fleet.everbeat("ours", &place("first")).unwrap()), "{}", fleet.report());

    fleet.lab.inside("theirs").unwrap().sh("/usr/libexec/heartbeat/heartbeat -k >/dev/null 2>&1").unwrap();
    let found = fleet.wait_until("ours", &place("first"), LONG, runs).unwrap();
    assert!(!fleet.everbeat("ours", "crm_mon -1").unwrap().contains("is foreign"));

    start_theirs_again(&fleet.lab);
    fleet.wait_until("ours", "crm_mon -1", LONG, |text| text.contains(foreign)).unwrap();
    fleet.everbeat("also", &create("second")).unwrap();
    std::thread::sleep(Duration::from_secs(5));
    assert!(!runs(&fleet.everbeat("ours", &place("second")).unwrap()), "{}", fleet.report());
    assert_eq!(fleet.everbeat("ours", &place("first")).unwrap(), found);
    // Both leave while it is there; they stop what runs.
    for host in ["ours", "also"] {
        fleet.stop(host, LONG).unwrap();
    }
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
    let nodes = hosts.map(|(host, id)| Ours::start_on(&lab, host, (id, 1), &ha_cf(media), authkeys));
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
