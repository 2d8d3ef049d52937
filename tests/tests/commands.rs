//! What an administrator types, on a live cluster of two hosts.
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
    "/usr/lib/ocf/resource.d/heartbeat/IPaddr2",
    "/etc/init.d/nginx",
];
const SOON: Duration = Duration::from_secs(120);
const HOSTS: [&str; 2] = ["hatest3", "hatest4"];

/// Runs a command; its output and status.
fn typed(cluster: &Cluster, host: &str, line: &str) -> (String, i32) {
    let binary = everbeat_tests::binary::everbeat();
    let output =
        cluster.lab.inside(host).unwrap().sh_output(&format!("{} {line}", binary.display())).unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    (text + &String::from_utf8_lossy(&output.stderr), output.status.code().unwrap_or(-1))
}

/// Runs a command that must succeed.
fn good(cluster: &Cluster, host: &str, line: &str) -> String {
    let (text, status) = typed(cluster, host, line);
    assert_eq!(status, 0, "{host}: {line}: {text}\n{}", cluster.report());
    text
}

fn both_online(cluster: &Cluster) {
    for host in HOSTS {
        let wanted = |text: &str| text.contains("Online: [ hatest3 hatest4 ]");
        cluster.wait_until(host, "crm_mon -1", SOON, wanted).unwrap();
    }
}

fn served(cluster: &Cluster, host: &str) {
    cluster.served_by(host, Instant::now(), SOON).unwrap();
    let settled = |text: &str| text.contains("S_IDLE");
    let dc = dc(cluster, host);
    cluster.wait_until(host, &format!("crmadmin -S {dc}"), SOON, settled).unwrap();
}

fn dc(cluster: &Cluster, host: &str) -> String {
    let text = good(cluster, host, "crmadmin -D");
    text.split_whitespace().last().unwrap().to_owned()
}

#[test]
fn the_commands_of_an_administrator_work_on_a_live_cluster() {
    if !need::root_and("the_commands_of_an_administrator_work_on_a_live_cluster", PROGRAMS) {
        return;
    }
    let mut cluster = Cluster::start(SHORT, "off").unwrap();
    cluster.served_by("hatest3", Instant::now(), SOON).unwrap();
    both_online(&cluster);
    asks(&cluster);
    moves(&cluster);
    edits(&cluster);
    stands_by(&cluster);
    loses_a_core(&cluster);
    stops_and_starts(&mut cluster);
}

fn asks(cluster: &Cluster) {
    let shown = good(cluster, "hatest4", "crm_mon -1");
    for words in ["Current DC: hatest", "partition with quorum", "2 nodes configured", "Started hatest3"] {
        assert!(shown.contains(words), "{words:?} is not in\n{shown}");
    }
    assert_eq!(dc(cluster, "hatest3"), dc(cluster, "hatest4"));
    for host in HOSTS {
        assert_eq!(good(cluster, host, "crm_node -p").split_whitespace().collect::<Vec<_>>(), HOSTS);
        assert_eq!(good(cluster, host, "crm_node -n").trim(), host);
        assert_eq!(good(cluster, host, "crm_node -q").trim(), "1");
        good(cluster, host, "crm_verify -L");
    }
    let list = good(cluster, "hatest4", "crm_resource --list");
    assert!(list.contains("group_1") && list.contains("httpd"), "{list}");
    let place = good(cluster, "hatest4", "crm_resource --locate --resource group_1");
    assert!(place.contains("hatest3"), "{place}");
    let (said, status) = typed(cluster, "hatest4", "crm_resource --locate --resource nobody");
    assert!(status != 0 && said.contains("nobody"), "{status} {said}");
}

fn moves(cluster: &Cluster) {
    // With auto_failback off it sticks with all its might: only a ban of where it is moves it, as ever.
    good(cluster, "hatest3", "crm_resource --move --resource group_1 --node hatest4 --force");
    served(cluster, "hatest4");
    assert_eq!(cluster.holders(), ["hatest4"]);
    let place = good(cluster, "hatest3", "crm_resource --locate --resource group_1");
    assert!(place.contains("hatest4"), "{place}");
    assert!(good(cluster, "hatest3", "cibadmin -Q -o constraints").contains("cli-"));
    good(cluster, "hatest3", "crm_resource --clear --resource group_1");
    assert!(!good(cluster, "hatest4", "cibadmin -Q -o constraints").contains("cli-"));
}

fn edits(cluster: &Cluster) {
    let xml = |score: &str| {
        format!("-X '<rsc_location id=\"likes\" rsc=\"group_1\" node=\"hatest4\" score=\"{score}\"/>'")
    };
    let seen = |host: &str| good(cluster, host, "cibadmin -Q -o constraints");
    good(cluster, "hatest3", &format!("cibadmin -C -o constraints {}", xml("5")));
    assert!(seen("hatest4").contains("score=\"5\""));
    let (said, status) = typed(cluster, "hatest3", &format!("cibadmin -C -o constraints {}", xml("5")));
    assert_eq!(status, 108, "{said}");
    good(cluster, "hatest4", &format!("cibadmin -M -o constraints {}", xml("6")));
    assert!(seen("hatest3").contains("score=\"6\""));
    good(cluster, "hatest4", &format!("cibadmin -R -o constraints {}", xml("7")));
    assert!(seen("hatest3").contains("score=\"7\""));
    good(cluster, "hatest3", "cibadmin -D -o constraints -X '<rsc_location id=\"likes\"/>'");
    assert!(!seen("hatest4").contains("likes"));
    // What is wrong is refused, and nothing has changed.
    let before = good(cluster, "hatest3", "cibadmin -Q -o configuration");
    let (said, status) =
        typed(cluster, "hatest3", "cibadmin -R -o resources -X '<resources><nonsense/></resources>'");
    assert_eq!(status, 78, "{said}");
    let (said, status) = typed(cluster, "hatest3", "cibadmin -R -X '<cib><configuration>'");
    assert!(status != 0, "{said}");
    assert_eq!(good(cluster, "hatest3", "cibadmin -Q -o configuration"), before);
    // Kept for the restart at the end.
    good(cluster, "hatest3", &format!("cibadmin -C -o constraints {}", xml("1")));
}

fn stands_by(cluster: &Cluster) {
    good(cluster, "hatest3", "crm_standby -N hatest4 -v on");
    served(cluster, "hatest3");
    assert!(good(cluster, "hatest3", "crm_mon -1").contains("Node hatest4: standby"));
    good(cluster, "hatest4", "crm_standby -N hatest4 -D");
    both_online(cluster);
}

/// A core that dies is started again by its executor; what it managed has not noticed.
fn loses_a_core(cluster: &Cluster) {
    let inside = cluster.lab.inside("hatest3").unwrap();
    let server = inside.sh("cat /run/nginx.pid").unwrap();
    let before = cluster.log("hatest3").len();
    inside.sh("pkill -KILL -f '[e]verbeat core --fd 0'").unwrap();
    let killed = Instant::now();
    let said = || std::fs::read_to_string(cluster.lab.state().join("hatest3.start.log")).unwrap();
    while said().matches("started the core").count() < 2 {
        assert!(killed.elapsed() < SOON, "{}", cluster.report());
        std::thread::sleep(Duration::from_millis(20));
    }
    both_online(cluster);
    served(cluster, "hatest3");
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(inside.sh("cat /run/nginx.pid").unwrap(), server, "{}", cluster.report());
    assert_eq!(cluster.holders(), ["hatest3"]);
    let answers = cluster.probe.answers();
    let strange: Vec<_> = answers.iter().filter(|a| a.at > killed && a.text != "hatest3").collect();
    assert!(strange.is_empty(), "{strange:?}");
    let last = answers.last().map(|answer| answer.at);
    cluster.served_by("hatest3", last.unwrap_or(killed), SOON).unwrap();
    let log = cluster.log("hatest3")[before..].to_owned();
    assert!(!log.contains("httpd_2_stop_0") && !log.contains("httpd_2_start_0"), "{log}");
}

fn stops_and_starts(cluster: &mut Cluster) {
    let begun = Instant::now();
    good(cluster, "hatest3", "stop");
    println!("a clean stop of the active node: {:?}", begun.elapsed());
    cluster.served_by("hatest4", begun, SOON).unwrap();
    assert_eq!(cluster.holders(), ["hatest4"]);
    let (said, status) = typed(cluster, "hatest3", "crm_mon -1");
    assert_eq!(status, 102, "{said}");
    let wanted = |text: &str| text.contains("OFFLINE: [ hatest3 ]");
    cluster.wait_until("hatest4", "crm_mon -1", SOON, wanted).unwrap();
    good(cluster, "hatest4", "stop");
    assert_eq!(cluster.holders(), Vec::<String>::new());
    for host in HOSTS {
        cluster.boot(host).unwrap();
    }
    both_online(cluster);
    // The preference of haresources outweighs the constraint that was made above.
    served(cluster, "hatest3");
    for host in HOSTS {
        let kept = good(cluster, host, "cibadmin -Q -o constraints");
        assert!(kept.contains("id=\"likes\""), "{kept}");
    }
}
