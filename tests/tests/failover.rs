//! The product's main job, on real hosts: two machines, one service, accidents.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use everbeat_tests::cluster::{Cluster, PRINTED, SHORT};
use everbeat_tests::need;

const PROGRAMS: &[&str] = &[
    "ip",
    "bridge",
    "unshare",
    "nsenter",
    "setpriv",
    "/usr/lib/ocf/resource.d/heartbeat/IPaddr2",
    "/etc/init.d/nginx",
];

/// Long enough for a machine that does ten other things. Nothing waits that long when all is well; times are
/// measured by `failover-figures` and proved where time is simulated.
const LONG: Duration = Duration::from_secs(120);

/// The hosts that agree on one view with both nodes online.
fn both_online(cluster: &Cluster) {
    for host in ["hatest3", "hatest4"] {
        cluster
            .wait_until(host, "crm_mon -1", LONG, |text| text.contains("Online: [ hatest3 hatest4 ]"))
            .unwrap();
    }
}

#[test]
fn the_other_host_takes_over_when_the_active_one_loses_power() {
    if !need::root_and("the_other_host_takes_over_when_the_active_one_loses_power", PROGRAMS) {
        return;
    }
    let mut cluster = Cluster::start(SHORT, "off").unwrap();
    let begun = Instant::now();
    cluster.served_by("hatest3", begun, LONG).unwrap();
    both_online(&cluster);

    let off = cluster.lab.power_off("hatest3").unwrap();
    let answer = cluster.served_by("hatest4", off, LONG).unwrap();
    println!("power failure to the first good answer: {:?}", answer.at - off);
    // The takeover may be quicker than the line: a stale tick gives a node up, silence makes it dead.
    let limit = Instant::now() + LONG;
    while !cluster.log("hatest4").contains("node hatest3: is dead") {
        assert!(Instant::now() < limit, "{}", cluster.report());
        std::thread::sleep(Duration::from_millis(20));
    }

    // It returns: with auto_failback off nothing moves.
    cluster.reboot("hatest3").unwrap();
    both_online(&cluster);
    let settled = Instant::now();
    std::thread::sleep(Duration::from_secs(2));
    cluster.served_by("hatest4", settled, LONG).unwrap();
    assert_eq!(cluster.holders(), ["hatest4"]);
    assert!(cluster.probe.answers().iter().filter(|a| a.at > settled).all(|a| a.text == "hatest4"));
}

#[test]
fn with_auto_failback_on_the_group_goes_home() {
    if !need::root_and("with_auto_failback_on_the_group_goes_home", PROGRAMS) {
        return;
    }
    let mut cluster = Cluster::start(SHORT, "on").unwrap();
    let begun = Instant::now();
    cluster.served_by("hatest3", begun, LONG).unwrap();
    both_online(&cluster);
    let off = cluster.lab.power_off("hatest3").unwrap();
    cluster.served_by("hatest4", off, LONG).unwrap();
    cluster.reboot("hatest3").unwrap();
    cluster.served_by("hatest3", Instant::now(), LONG).unwrap();
    assert_eq!(cluster.holders(), ["hatest3"]);
}

#[test]
fn an_active_node_whose_cables_are_pulled_lets_go_and_one_view_returns() {
    if !need::root_and("an_active_node_whose_cables_are_pulled_lets_go_and_one_view_returns", PROGRAMS) {
        return;
    }
    let cluster = Cluster::start(SHORT, "off").unwrap();
    let begun = Instant::now();
    cluster.served_by("hatest3", begun, LONG).unwrap();
    both_online(&cluster);

    let cut = cluster.lab.pull_cables("hatest3").unwrap();
    let answer = cluster.served_by("hatest4", cut, LONG).unwrap();
    println!("cables pulled to the first good answer: {:?}", answer.at - cut);
    // It began to let go before the other took over; a web server asked to stop finishes what its clients
    // began first, and may take seconds for that.
    assert!(cluster.log("hatest3").contains("letting all resources go"), "{}", cluster.report());
    let limit = Instant::now() + LONG;
    while cluster.holders() != ["hatest4"] && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(cluster.holders(), ["hatest4"], "the cut-off node keeps its address\n{}", cluster.report());

    cluster.lab.plug_cables("hatest3").unwrap();
    both_online(&cluster);
    let settled = Instant::now();
    std::thread::sleep(Duration::from_secs(2));
    cluster.served_by("hatest4", settled, LONG).unwrap();
    assert_eq!(cluster.holders(), ["hatest4"]);
}

#[test]
fn the_printed_times_hold() {
    if !need::root_and("the_printed_times_hold", PROGRAMS) {
        return;
    }
    let mut cluster = Cluster::start(PRINTED, "off").unwrap();
    let begun = Instant::now();
    cluster.served_by("hatest3", begun, LONG).unwrap();
    both_online(&cluster);
    let off = cluster.lab.power_off("hatest3").unwrap();
    let answer = cluster.served_by("hatest4", off, LONG).unwrap();
    println!("deadtime 30: power failure to the first good answer: {:?}", answer.at - off);
    // A beat every two seconds: the last one may be that old.
    assert!(answer.at - off > Duration::from_secs(25) && answer.at - off < Duration::from_secs(90));
}
