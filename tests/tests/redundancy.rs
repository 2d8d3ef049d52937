//! Redundancy is watched: a backup link that fails is said at once, wherever an administrator looks,
//! while the main link works and nothing moves.
#![allow(clippy::unwrap_used)]

use std::time::{Duration, Instant};

use everbeat_tests::cluster::{Cluster, SHORT};
use everbeat_tests::need;

const PROGRAMS: &[&str] = &[
    "ip",
    "bridge",
    "unshare",
    "nsenter",
    "setpriv",
    "bash",
    "/usr/lib/ocf/resource.d/heartbeat/IPaddr2",
    "/etc/init.d/nginx",
];

const LIMIT: Duration = Duration::from_secs(60);

fn logged(cluster: &Cluster, host: &str, after: usize, line: &str) {
    let end = Instant::now() + LIMIT;
    while !cluster.log(host).get(after..).is_some_and(|log| log.contains(line)) {
        assert!(Instant::now() < end, "no \"{line}\" at {host}\n{}", cluster.report());
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_backup_link_that_fails_is_said_everywhere() {
    if !need::root_and("a_backup_link_that_fails_is_said_everywhere", PROGRAMS) {
        return;
    }
    let cluster = Cluster::start(SHORT, "off").unwrap();
    cluster.served_by("hatest3", Instant::now(), LIMIT).unwrap();
    let up = |text: &str| text == "\teth0\tup\n\teth1\tup\n";
    for (host, peer) in [("hatest3", "hatest4"), ("hatest4", "hatest3")] {
        cluster.wait_until(host, &format!("cl_status listhblinks -v {peer}"), LIMIT, up).unwrap();
        cluster.wait_until(host, &format!("cl_status listhblinks -v {host}"), LIMIT, up).unwrap();
        cluster.wait_until(host, "doctor || true", LIMIT, |text| text.contains("links, all up")).unwrap();
    }
    let begun = ["hatest3", "hatest4"].map(|host| cluster.log(host).len());

    cluster.lab.cable("hatest4", 1, false).unwrap();
    // The node itself knows from its carrier, the other by silence of a dead time.
    logged(&cluster, "hatest4", begun[1], "interface eth1: carrier lost");
    logged(&cluster, "hatest3", begun[0], "Link hatest4:eth1 dead.");
    logged(&cluster, "hatest4", begun[1], "Link hatest3:eth1 dead.");
    let wait = |host: &str, command: &str, wanted: &str| {
        cluster.wait_until(host, command, LIMIT, |text| text.contains(wanted)).unwrap();
    };
    let status = "cl_status hblinkstatus hatest4 eth1; echo status $?";
    wait("hatest3", status, "dead\nstatus 1");
    wait("hatest4", status, "dead\nstatus 1");
    wait("hatest3", "cl_status hblinkstatus hatest4 eth0; echo status $?", "up\nstatus 0");
    wait("hatest3", "cl_status listhblinks -v hatest4", "\teth0\tup\n\teth1\tdead");
    wait("hatest3", "crm_mon -1", "hatest4 on eth1: dead");
    wait("hatest4", "crm_mon -1", "hatest3 on eth1: dead");
    wait("hatest3", "doctor || true", "hatest4 is not heard on eth1: one path between the nodes is lost");

    let metrics = |host: &str| {
        let line = r#"bash -c 'exec 3<>/dev/tcp/127.0.0.1/5560; printf "GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" >&3; cat <&3'"#;
        cluster.lab.inside(host).unwrap().sh(line).unwrap()
    };
    let text = metrics("hatest3");
    for wanted in [
        "everbeat_link_up{node=\"hatest4\",medium=\"eth1\"} 0",
        "everbeat_link_up{node=\"hatest4\",medium=\"eth0\"} 1",
        "everbeat_link_up{node=\"hatest3\",medium=\"eth1\"} 1",
        "everbeat_node_member{node=\"hatest4\"} 1",
        "everbeat_quorate 1",
    ] {
        assert!(text.lines().any(|line| line == wanted), "no {wanted} in\n{text}");
    }

    // Nobody was given up for it, and nothing moved.
    let text = cluster.everbeat("hatest3", "crm_mon -1").unwrap();
    assert!(text.contains("Online: [ hatest3 hatest4 ]"), "{text}");
    assert_eq!(cluster.holders(), ["hatest3"]);
    let logs = ["hatest3", "hatest4"].map(|host| cluster.log(host));
    assert!(!logs.iter().any(|log| log.contains("is dead")), "{}", cluster.report());

    let begun = cluster.log("hatest3").len();
    cluster.lab.cable("hatest4", 1, true).unwrap();
    logged(&cluster, "hatest3", begun, "Link hatest4:eth1 up.");
    cluster.wait_until("hatest3", "cl_status listhblinks -v hatest4", LIMIT, up).unwrap();
    let whole = |text: &str| !text.contains("dead");
    cluster.wait_until("hatest3", "crm_mon -1", LIMIT, whole).unwrap();
}
