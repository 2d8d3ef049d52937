//! Agreement on real daemons with real sockets: parts and one-way links, nodes that return to a large document,
//! disks that fail their member, and who may write.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, SystemTime};

use everbeat_tests::fleet::{Fleet, plain_ha_cf, seconds_of_day, view_of};
use everbeat_tests::hosts::Inside;
use everbeat_tests::need;

/// Long enough for a machine that does ten other things; `view-figures` measures.
const LONG: Duration = Duration::from_secs(120);
const TIMES: &str = "keepalive 100ms\ndeadtime 1\ninitdead 5";
const ALL: [&str; 3] = ["n1", "n2", "n3"];
const PROGRAMS: &[&str] = &["ip", "bridge", "nft", "unshare", "nsenter", "setpriv"];

fn now() -> f64 {
    seconds_of_day(SystemTime::now())
}

fn all_in(fleet: &Fleet) {
    for host in ALL {
        fleet.members(host, &ALL, LONG).unwrap();
    }
}

/// Waits for a view of exactly these members at each of them.
fn view(fleet: &Fleet, from: f64, members: &[&str]) {
    for host in members {
        fleet.will_say(host, from, LONG, |line| view_of(line, members)).unwrap();
    }
}

fn set(fleet: &Fleet, host: &str, value: &str) {
    fleet.everbeat(host, &format!("crm_attribute -t crm_config -n cluster-name -v {value}")).unwrap();
}

const NAME: &str = "crm_attribute -t crm_config -n cluster-name -G -q";

#[test]
fn views_follow_what_can_be_heard_both_ways() {
    if !need::root_and("views_follow_what_can_be_heard_both_ways", PROGRAMS) {
        return;
    }
    let mut fleet = Fleet::start(&ALL, TIMES).unwrap();
    all_in(&fleet);

    // n1 hears the others and is not heard: both sides agree that it is out, and stay so.
    let from = now();
    fleet.lab.cut(&[("n1", "n2"), ("n1", "n3")]).unwrap();
    view(&fleet, from, &["n2", "n3"]);
    view(&fleet, from, &["n1"]);
    std::thread::sleep(Duration::from_secs(3));
    let settled = now();
    std::thread::sleep(Duration::from_secs(3));
    for host in ALL {
        let again = fleet.said(host, settled, |line| line.contains(" view ") && line.contains(" may "));
        assert_eq!(again, None, "{host} flaps\n{}", fleet.report());
    }
    set(&fleet, "n2", "two");
    let refused = fleet.everbeat("n1", "crm_attribute -t crm_config -n cluster-name -v one");
    assert!(refused.is_err(), "a node without quorum changed the configuration: {refused:?}");
    fleet.lab.cut(&[]).unwrap();
    all_in(&fleet);
    fleet.wait_until("n1", NAME, LONG, |text| text.trim() == "two").unwrap();

    // Three parts, each alone; one view when the cables are back.
    let from = now();
    fleet.lab.part(&[&["n1"], &["n2"], &["n3"]]).unwrap();
    for host in ALL {
        view(&fleet, from, &[host]);
        assert!(fleet.everbeat(host, "crm_attribute -t crm_config -n cluster-name -v no").is_err());
    }
    let from = now();
    fleet.lab.cut(&[]).unwrap();
    view(&fleet, from, &ALL);
    set(&fleet, "n3", "three");

    // Power fails at n3; the others go on. What is written meanwhile is too much for a round of promises: it
    // learns first, and the members' heartbeats are not late for it.
    let from = now();
    fleet.lab.power_off("n3").unwrap();
    view(&fleet, from, &["n1", "n2"]);
    let large: String = (0..1500)
        .map(|at| format!("<template id=\"t{at}\" class=\"ocf\" provider=\"heartbeat\" type=\"Dummy\"><meta_attributes id=\"t{at}-m\"><nvpair id=\"t{at}-n\" name=\"description\" value=\"{at:0>200}\"/></meta_attributes></template>"))
        .collect();
    let inside = fleet.lab.inside("n1").unwrap();
    inside.write("/run/large.xml", &format!("<resources>{large}</resources>"), 0o644).unwrap();
    fleet.everbeat("n1", "cibadmin -M -c -o configuration -x /run/large.xml").unwrap();
    let from = now();
    fleet.reboot("n3").unwrap();
    let told = std::cell::Cell::new(0);
    fleet
        .wait_until("n3", "crm_node -p", LONG, |text| {
            told.set(told.get() + 1);
            set(&fleet, "n1", &format!("during-{}", told.get()));
            text.split_whitespace().count() == 3
        })
        .unwrap();
    all_in(&fleet);
    let last = format!("during-{}", told.get());
    fleet.wait_until("n3", NAME, LONG, |text| text.trim() == last).unwrap();
    assert!(fleet.everbeat("n3", "cibadmin -Q --local").unwrap().contains("id=\"t1499\""));
    for (host, peer) in [("n1", "n2"), ("n2", "n1")] {
        let lost = fleet.said(host, from, |line| line.contains(&format!("{peer} is not heard")));
        assert_eq!(lost, None, "{}", fleet.report());
    }
}

/// Makes every sync of a host's core take as long as this, until it is dropped.
struct SlowDisk {
    inside: Inside,
    tracer: String,
}

impl SlowDisk {
    fn of(fleet: &Fleet, host: &str, microseconds: u64) -> Self {
        let inside = fleet.lab.inside(host).unwrap();
        // Only the thread that writes: the others are to run as ever.
        let found = inside.sh("grep -lx disk /proc/[0-9]*/task/*/comm").unwrap();
        let thread = found.trim().split('/').nth(4).unwrap().to_owned();
        let line = format!(
            "strace -qq -o /dev/null -p {thread} -e trace=fdatasync,fsync \
             -e inject=fdatasync,fsync:delay_enter={microseconds} >/dev/null 2>&1 & echo $!"
        );
        let tracer = inside.sh(&line).unwrap().trim().to_owned();
        Self { inside, tracer }
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        // A tracer that ends lets go of what it traced.
        let line = format!("kill {0}; while kill -0 {0} 2>/dev/null; do sleep 0.05; done", self.tracer);
        self.inside.sh(&line).unwrap();
    }
}

#[test]
fn a_member_whose_disk_is_slow_or_full_leaves_and_the_others_go_on() {
    let programs = [PROGRAMS, &["strace"]].concat();
    if !need::root_and("a_member_whose_disk_is_slow_or_full_leaves_and_the_others_go_on", &programs) {
        return;
    }
    let mut fleet = Fleet::new(&ALL, 1).unwrap();
    for host in ALL {
        fleet.install(host, &plain_ha_cf(&ALL, TIMES), "auth 1\n1 sha1 a-key-for-tests\n").unwrap();
    }
    let inside = fleet.lab.inside("n3").unwrap();
    inside.sh("mkdir -p /var/lib/heartbeat && mount -t tmpfs -o size=16m tmpfs /var/lib/heartbeat").unwrap();
    for host in ALL {
        fleet.boot(host).unwrap();
    }
    all_in(&fleet);

    // Slow: three dead times for every sync. The client at n1 waits for one of its own dead time, not for n3.
    let slow = SlowDisk::of(&fleet, "n3", 3_000_000);
    let from = now();
    let end = std::time::Instant::now() + LONG;
    let mut count = 0;
    while fleet.said("n1", from, |line| view_of(line, &["n1", "n2"])).is_none() {
        count += 1;
        set(&fleet, "n1", &format!("slow-{count}"));
        assert!(std::time::Instant::now() < end, "{}", fleet.report());
    }
    let slowly = fleet.said("n1", from, |line| line.contains("the disk of n3 does not keep up"));
    let slowly =
        slowly.or_else(|| fleet.said("n2", from, |line| line.contains("the disk of n3 does not keep up")));
    assert!(slowly.is_some(), "{}", fleet.report());
    set(&fleet, "n1", "without");
    assert_eq!(fleet.everbeat("n2", NAME).unwrap().trim(), "without");
    // It was heard all the time, and nobody takes it for dead.
    assert_eq!(fleet.said("n1", from, |line| line.contains("node n3: is dead")), None, "{}", fleet.report());
    drop(slow);
    all_in(&fleet);
    fleet.wait_until("n3", NAME, LONG, |text| text.trim() == "without").unwrap();

    // Full: it says so and leaves at once.
    let from = now();
    inside.sh("dd if=/dev/zero of=/var/lib/heartbeat/fill bs=64k 2>/dev/null; true").unwrap();
    let mut count = 0;
    while fleet.said("n1", from, |line| view_of(line, &["n1", "n2"])).is_none() {
        count += 1;
        set(&fleet, "n1", &format!("full-{count:0>2000}"));
        assert!(count < 20_000, "{}", fleet.report());
    }
    fleet.will_say("n3", from, LONG, |line| line.contains("the disk failed")).unwrap();
    set(&fleet, "n2", "on");
    assert_eq!(fleet.everbeat("n1", NAME).unwrap().trim(), "on");
    // With room again, and started again, it is a member.
    inside.sh("rm /var/lib/heartbeat/fill").unwrap();
    fleet.stop("n3", LONG).unwrap();
    fleet.boot("n3").unwrap();
    all_in(&fleet);
    fleet.wait_until("n3", NAME, LONG, |text| text.trim() == "on").unwrap();
}

/// Two hosts started anew with these further lines in `ha.cf`.
fn anew(fleet: &mut Fleet, nodes: &[&str], lines: &str) {
    for host in ["n1", "n2"] {
        let inside = fleet.lab.inside(host).unwrap();
        inside.sh("rm -rf /var/lib/heartbeat /var/log/ha-log").unwrap();
        let text = plain_ha_cf(nodes, TIMES) + lines;
        fleet.install(host, &text, "auth 1\n1 sha1 a-key-for-tests\n").unwrap();
    }
    for host in ["n1", "n2"] {
        fleet.boot(host).unwrap();
    }
    for host in ["n1", "n2"] {
        fleet.members(host, &["n1", "n2"], LONG).unwrap();
    }
}

/// Which of the two may write, by its own word and by trying, once each is alone.
fn writers(fleet: &Fleet, from: f64, why: &str) -> Vec<&'static str> {
    let mut may = Vec::new();
    for host in ["n1", "n2"] {
        fleet.will_say(host, from, LONG, |line| view_of(line, &[host])).unwrap();
        // A rule may need a moment for its facts: the last word counts.
        std::thread::sleep(Duration::from_secs(3));
        let wrote = fleet.everbeat(host, "crm_attribute -t crm_config -n cluster-name -v alone").is_ok();
        if wrote {
            assert!(fleet.log(host).contains(why), "{host}: no \"{why}\"\n{}", fleet.report());
            may.push(host);
        }
    }
    may
}

#[test]
fn who_may_write_is_decided_by_the_rules_of_ha_cf() {
    if !need::root_and("who_may_write_is_decided_by_the_rules_of_ha_cf", PROGRAMS) {
        return;
    }
    let two = ["n1", "n2"];
    let mut fleet = Fleet::new(&two, 1).unwrap();
    let stop = |fleet: &mut Fleet| {
        fleet.lab.cut(&[]).unwrap();
        for host in two {
            fleet.stop(host, LONG).unwrap();
        }
    };

    // Expected votes: nodes that were never there count.
    anew(&mut fleet, &["n1", "n2", "n3", "n4"], "");
    let refused = fleet.everbeat("n1", "crm_attribute -t crm_config -n cluster-name -v x");
    assert!(refused.is_err(), "{refused:?}");
    fleet.will_say("n1", 0.0, LONG, |line| line.contains("are no majority")).unwrap();
    stop(&mut fleet);

    // Weights.
    anew(&mut fleet, &two, "weight n1=1 n2=2\nenv quorum=weight\n");
    let from = now();
    fleet.lab.part(&[&["n1"], &["n2"]]).unwrap();
    assert_eq!(writers(&fleet, from, "2 of 3 votes"), ["n2"], "{}", fleet.report());
    stop(&mut fleet);

    // A node that breaks ties.
    anew(&mut fleet, &two, "env quorum=majority:tie-node:n1\n");
    let from = now();
    fleet.lab.part(&[&["n1"], &["n2"]]).unwrap();
    assert_eq!(writers(&fleet, from, "the tie node n1"), ["n1"], "{}", fleet.report());
    stop(&mut fleet);

    // The half that reaches the ping node: n1 is cut off from it as well.
    anew(&mut fleet, &two, "ping 192.168.228.153\n");
    std::thread::sleep(Duration::from_secs(3));
    let from = now();
    fleet.lab.forward("n1", false).unwrap();
    assert_eq!(writers(&fleet, from, "most ping nodes"), ["n2"], "{}", fleet.report());
    fleet.lab.forward("n1", true).unwrap();
    for host in two {
        fleet.members(host, &two, LONG).unwrap();
    }
    fleet.wait_until("n1", NAME, LONG, |text| text.trim() == "alone").unwrap();
}
