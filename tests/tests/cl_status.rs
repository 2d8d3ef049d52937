//! What `cl_status` of Heartbeat 3.0.6 says and how it ends, beside the record that ours is held against
//! (`tools/golden/cl_status.answers`, made by this test with `EVERBEAT_REWRITE_GOLDEN=1`).
#![allow(clippy::unwrap_used)]

use std::path::Path;
use std::time::{Duration, Instant};

use everbeat_tests::hosts::{Inside, Lab};
use everbeat_tests::need;

const HEARTBEAT: &str = "/usr/libexec/heartbeat/heartbeat";
const HA_CF: &str = "keepalive 200ms\ndeadtime 3\nwarntime 1\ninitdead 5\nudpport 694\nbcast eth0\n\
    auto_failback off\nnode n1\nnode n2\nping 10.99.0.9\nlogfile /var/log/ha-log\n";

/// The answers to all commands: output, errors without the prefix of log lines, exit status.
fn answers(host: &Inside, commands: &str) -> String {
    let mut text = String::new();
    for command in commands.lines() {
        let output = host.sh_output(&format!("/usr/bin/cl_status {command}")).unwrap();
        text += &format!("$ {command}\n");
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            text += &format!("out: {line}\n");
        }
        for line in String::from_utf8_lossy(&output.stderr).lines() {
            let bare = line.split_once(": ERROR: ").filter(|(head, _)| head.contains(" cl_status: ["));
            text += &bare.map_or(format!("err: {line}\n"), |(_, rest)| format!("log: {rest}\n"));
        }
        text += &format!("rc: {}\n", output.status.code().unwrap_or(-1));
    }
    text
}

#[test]
fn the_record_is_what_heartbeat_answers() {
    let test = "the_record_is_what_heartbeat_answers";
    if !need::root_and(
        test,
        &["ip", "bridge", "unshare", "nsenter", "setpriv", HEARTBEAT, "/usr/bin/cl_status"],
    ) {
        return;
    }
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tools/golden");
    let commands = std::fs::read_to_string(golden.join("cl_status.commands")).unwrap();
    let lab = Lab::new(&["n1"], 1).unwrap();
    let host = lab.inside("n1").unwrap();
    host.write("/etc/ha.d/ha.cf", HA_CF, 0o644).unwrap();
    host.write("/etc/ha.d/authkeys", "auth 1\n1 crc\n", 0o600).unwrap();
    host.write("/etc/ha.d/haresources", "", 0o644).unwrap();
    host.sh("mkdir -p /run/heartbeat; rm -f /var/log/ha-log").unwrap();
    let stopped = answers(&host, &commands);
    host.sh(&format!("{HEARTBEAT} </dev/null >/dev/null 2>&1 &")).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    let done = |name: &str, line: &str| {
        let output = host.sh_output(&format!("/usr/bin/cl_status {name}")).unwrap();
        String::from_utf8_lossy(&output.stdout).contains(line)
    };
    while !(done("nodestatus n1", "active") && done("nodestatus n2", "dead") && done("rscstatus", "all")) {
        assert!(Instant::now() < end, "{}", host.sh("cat /var/log/ha-log").unwrap());
        std::thread::sleep(Duration::from_millis(100));
    }
    let found = format!("# stopped\n{stopped}# running\n{}", answers(&host, &commands));
    let file = golden.join("cl_status.answers");
    if std::env::var_os("EVERBEAT_REWRITE_GOLDEN").is_some() {
        std::fs::write(&file, &found).unwrap();
    }
    assert_eq!(std::fs::read_to_string(file).unwrap(), found);
}
