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

/// The hosts that agree on one view with both nodes online.
fn both_online(cluster: &Cluster) {
    for host in ["hatest3", "hatest4"] {
        cluster
            .wait_until(host, "crm_mon -1", Duration::from_secs(20), |text| {
                text.contains("Online: [ hatest3 hatest4 ]")
            })
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
    cluster.served_by("hatest3", begun, Duration::from_secs(30)).unwrap();
    both_online(&cluster);

    let off = cluster.lab.power_off("hatest3").unwrap();
    let answer = cluster.served_by("hatest4", off, Duration::from_secs(20)).unwrap();
    println!("power failure to the first good answer: {:?}", answer.at - off);
    assert!(answer.at - off >= Duration::from_millis(850), "taken over before the dead time");
    // The takeover may be quicker than the line: a stale tick gives a node up, silence makes it dead.
    let limit = Instant::now() + Duration::from_secs(5);
    while !cluster.log("hatest4").contains("node hatest3: is dead") {
        assert!(Instant::now() < limit, "{}", cluster.report());
        std::thread::sleep(Duration::from_millis(20));
    }

    // It returns: with auto_failback off nothing moves.
    cluster.reboot("hatest3").unwrap();
    both_online(&cluster);
    let settled = Instant::now();
    std::thread::sleep(Duration::from_secs(2));
    cluster.served_by("hatest4", settled, Duration::from_secs(1)).unwrap();
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
    cluster.served_by("hatest3", begun, Duration::from_secs(30)).unwrap();
    both_online(&cluster);
    let off = cluster.lab.power_off("hatest3").unwrap();
    cluster.served_by("hatest4", off, Duration::from_secs(20)).unwrap();
    cluster.reboot("hatest3").unwrap();
    cluster.served_by("hatest3", Instant::now(), Duration::from_secs(30)).unwrap();
    assert_eq!(cluster.holders(), ["hatest3"]);
}

#[test]
fn an_active_node_whose_cables_are_pulled_lets_go_and_one_view_returns() {
    if !need::root_and("an_active_node_whose_cables_are_pulled_lets_go_and_one_view_returns", PROGRAMS) {
        return;
    }
    let cluster = Cluster::start(SHORT, "off").unwrap();
    let begun = Instant::now();
    cluster.served_by("hatest3", begun, Duration::from_secs(30)).unwrap();
    both_online(&cluster);

    let cut = cluster.lab.pull_cables("hatest3").unwrap();
    let answer = cluster.served_by("hatest4", cut, Duration::from_secs(20)).unwrap();
    println!("cables pulled to the first good answer: {:?}", answer.at - cut);
    let limit = Instant::now() + Duration::from_secs(2);
    while cluster.holders() != ["hatest4"] && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(cluster.holders(), ["hatest4"], "the cut-off node keeps its address\n{}", cluster.report());

    cluster.lab.plug_cables("hatest3").unwrap();
    both_online(&cluster);
    let settled = Instant::now();
    std::thread::sleep(Duration::from_secs(2));
    cluster.served_by("hatest4", settled, Duration::from_secs(1)).unwrap();
    assert_eq!(cluster.holders(), ["hatest4"]);
}

#[test]
fn the_printed_times_hold() {
    if !need::root_and("the_printed_times_hold", PROGRAMS) {
        return;
    }
    let mut cluster = Cluster::start(PRINTED, "off").unwrap();
    let begun = Instant::now();
    cluster.served_by("hatest3", begun, Duration::from_secs(60)).unwrap();
    both_online(&cluster);
    let off = cluster.lab.power_off("hatest3").unwrap();
    let answer = cluster.served_by("hatest4", off, Duration::from_secs(60)).unwrap();
    println!("deadtime 30: power failure to the first good answer: {:?}", answer.at - off);
    assert!(answer.at - off > Duration::from_secs(27) && answer.at - off < Duration::from_secs(33));
}
