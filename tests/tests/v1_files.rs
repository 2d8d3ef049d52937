#![allow(clippy::unwrap_used)]
//! Two hosts with the files of a Heartbeat 1 cluster and nothing else: they start, run the service on
//! its node, and the other one takes it over when that node loses power.

use std::time::{Duration, Instant};

use everbeat_tests::hosts::Lab;
use everbeat_tests::{binary, need};

const HA_CF: &str = "keepalive 200ms\ndeadtime 2\ninitdead 5\nudpport 694\nbcast eth0 eth1 # Linux\n\
    auto_failback off\nnode hatest3\nnode hatest4\nuse_logd yes\nping 192.168.228.153\ndeadping 5\n\
    respawn hacluster /usr/local/lib64/heartbeat/ipfail\napiauth ipfail gid=haclient uid=hacluster\n\
    respawn hacluster /usr/local/bin/watcher\n";

const SCRIPT: &str = "#!/bin/sh\nmark=/run/web.mark\ncase $1 in\nstart) touch $mark;;\nstop) rm -f $mark;;\n\
    status) if [ -e $mark ]; then echo running; else echo stopped; exit 3; fi;;\nesac\n";

/// A client of a respawn line: says as whom it runs and that it does, for as long as it may.
const WATCHER: &str =
    "#!/bin/sh\necho \"$(id -un) $HA_CURHOST $HA_deadtime\" >> /tmp/watcher\nexec sleep 10000\n";

fn wait(what: &str, limit: Duration, report: impl Fn() -> String, done: impl Fn() -> bool) -> Duration {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < limit, "{what}: not within {limit:?}\n{}", report());
        std::thread::sleep(Duration::from_millis(50));
    }
    begun.elapsed()
}

#[test]
fn a_cluster_of_v1_files_starts_and_takes_over() {
    let name = "a_cluster_of_v1_files_starts_and_takes_over";
    if !need::root_and(name, &["ip", "bridge", "unshare", "nsenter", "setpriv"]) {
        return;
    }
    if !need::programs_are_there(name, &["/usr/lib/ocf/resource.d/heartbeat/IPaddr2"]) {
        return;
    }
    let hosts = ["hatest3", "hatest4"];
    let mut lab = Lab::new(&hosts, 2).unwrap();
    for host in hosts {
        let inside = lab.inside(host).unwrap();
        inside.write("/etc/ha.d/ha.cf", HA_CF, 0o644).unwrap();
        inside.write("/etc/ha.d/authkeys", "auth 2\n1 crc\n2 sha1 HI!\n3 md5 Hello!\n", 0o600).unwrap();
        inside.write("/etc/ha.d/haresources", "hatest3 192.168.228.235 web\n", 0o644).unwrap();
        inside.write("/etc/init.d/web", SCRIPT, 0o755).unwrap();
        inside.write("/usr/local/bin/watcher", WATCHER, 0o755).unwrap();
        inside.write("/etc/logd.cf", "logfile /var/log/ha-log\n", 0o644).unwrap();
        let accounts = "rm -f /tmp/watcher; getent group haclient >/dev/null || groupadd -r haclient; \
                        getent passwd hacluster >/dev/null || useradd -r -g haclient -d /var/lib/heartbeat hacluster";
        inside.sh(accounts).unwrap();
    }
    let inside = [lab.inside(hosts[0]).unwrap(), lab.inside(hosts[1]).unwrap()];
    for host in &inside {
        host.sh(&format!("{} heartbeat", binary::everbeat().display())).unwrap();
    }
    let report = || {
        let log = |host: &str| std::fs::read_to_string(lab.disk(host, "/var/log/ha-log")).unwrap_or_default();
        format!("== hatest3\n{}\n== hatest4\n{}", log("hatest3"), log("hatest4"))
    };
    let runs = |host: usize| {
        let here = "ip -o addr | grep -q 192.168.228.235 && test -e /run/web.mark";
        inside.get(host).unwrap().sh(here).is_ok()
    };
    wait("the service on hatest3", Duration::from_secs(120), report, || runs(0));
    assert!(!runs(1), "it runs on both\n{}", report());
    wait("the client of the respawn line", Duration::from_secs(120), report, || {
        inside[0].sh("grep -qx 'hacluster hatest3 2' /tmp/watcher").is_ok()
    });
    inside[0].sh("pkill -x -f '.*sleep 10000'").unwrap();
    wait("its respawn", Duration::from_secs(120), report, || {
        inside[0].sh("test $(wc -l < /tmp/watcher) = 2").is_ok()
    });
    let log = std::fs::read_to_string(lab.disk("hatest3", "/var/log/ha-log")).unwrap();
    assert!(log.contains("Configuration validated. Starting heartbeat"), "{log}");
    assert!(log.contains("Heartbeat generation: "), "{log}");

    let begun = Instant::now();
    lab.power_off("hatest3").unwrap();
    let report = || std::fs::read_to_string(lab.disk("hatest4", "/var/log/ha-log")).unwrap_or_default();
    let there = || {
        lab.inside("hatest4")
            .unwrap()
            .sh("ip -o addr | grep -q 192.168.228.235 && test -e /run/web.mark")
            .is_ok()
    };
    wait("the service on hatest4", Duration::from_secs(120), report, there);
    eprintln!("taken over {:?} after the power failure (deadtime 2 s)", begun.elapsed());
}
