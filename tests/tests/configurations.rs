#![allow(clippy::unwrap_used)]
//! A real start, on a namespace host, from each set of configuration files that a machine like it can
//! honour; and the one line that says why not from the others.

use std::path::{Path, PathBuf};

use everbeat_tests::hosts::{Inside, Lab};
use everbeat_tests::{binary, need};

fn cases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ccm/tests/golden/config")
}

/// Sets of files whose start must be refused, with the exit status and what is said.
const REFUSED: &[(&str, i32, &[&str])] = &[
    // Its haresources names a node that its ha.cf does not.
    (
        "jdmail",
        6,
        &["haresources:1: error: Bad nodename", "[ha-a]", "Configuration error, heartbeat not started."],
    ),
];

struct Host {
    inside: Inside,
    said: String,
}

impl Host {
    /// Runs a command; its exit status. What it said is kept for messages.
    fn run(&mut self, words: &str) -> i32 {
        let line = format!("{} {words}", binary::everbeat().display());
        let output = self.inside.sh_output(&line).unwrap();
        self.said = format!(
            "{words}: {}{}",
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        output.status.code().unwrap_or(-1)
    }
}

fn start(case: &Path, node: &str) {
    let name = case.file_name().unwrap().to_string_lossy().into_owned();
    let read = |file: &str| std::fs::read_to_string(case.join(file)).unwrap_or_default();
    let mut lab = Lab::new(&[node], 2).unwrap();
    let inside = lab.inside(node).unwrap();
    let ha_cf = read("ha.cf");
    inside.write("/etc/ha.d/ha.cf", &ha_cf, 0o644).unwrap();
    let keys = if case.join("authkeys").exists() { read("authkeys") } else { "auth 1\n1 crc\n".to_string() };
    inside.write("/etc/ha.d/authkeys", &keys, 0o600).unwrap();
    inside.write("/etc/ha.d/haresources", &read("haresources"), 0o644).unwrap();
    inside.write("/etc/logd.cf", "logfile /var/log/ha-log\n", 0o644).unwrap();
    for line in read("scripts").lines() {
        let (script, kind) = line.split_once(' ').unwrap();
        let dir = if kind == "v1" { "/etc/ha.d/resource.d" } else { "/etc/init.d" };
        inside.write(&format!("{dir}/{script}"), "#!/bin/sh\necho stopped\nexit 3\n", 0o755).unwrap();
    }
    let accounts = "getent group haclient >/dev/null || groupadd -r haclient; \
                    getent passwd hacluster >/dev/null || useradd -r -g haclient -d /var/lib/heartbeat hacluster";
    inside.sh(accounts).unwrap();
    let mut host = Host { inside, said: String::new() };

    if let Some((_, status, expect)) = REFUSED.iter().find(|(refused, ..)| *refused == name) {
        assert_eq!(host.run("heartbeat"), *status, "{name}: {}", host.said);
        for part in *expect {
            assert!(host.said.contains(part), "{name}: {part:?} is not in: {}", host.said);
        }
        return;
    }
    assert_eq!(host.run("config check"), 0, "{name}: {}", host.said);
    let converts = case.join("cib.xml").exists();
    if !converts {
        // A first start with resources that cannot be honoured: the line is named, nothing runs.
        assert_eq!(host.run("heartbeat"), 6, "{name}: {}", host.said);
        assert!(
            host.said.contains("haresources:1: error: cluster is an unknown Resource Agent"),
            "{}",
            host.said
        );
        assert_eq!(host.run("start"), 6, "{name}: {}", host.said);
        return;
    }
    if ha_cf.contains("crm ") {
        assert_eq!(host.run("haresources2cib"), 0, "{name}: {}", host.said);
    }
    let started = host.run("heartbeat");
    let log = || {
        let log = std::fs::read_to_string(lab.disk(node, "/var/log/ha-log")).unwrap_or_default();
        let start =
            std::fs::read_to_string(lab.disk(node, "/var/log/heartbeat-start.log")).unwrap_or_default();
        format!("{log}\n{start}")
    };
    assert_eq!(started, 0, "{name}: {}\n{}", host.said, log());
    assert!(host.said.contains("Configuration validated. Starting heartbeat"), "{name}: {}", host.said);
    assert_eq!(host.run("heartbeat -s"), 0, "{name}: {}\n{}", host.said, log());
    assert!(host.said.contains(&format!("is running on {node} [{node}]...")), "{name}: {}", host.said);
    // Without crm the start itself has converted haresources.
    let cib = host.inside.sh("cat /var/lib/heartbeat/crm/cib.xml").unwrap();
    assert!(cib.contains("<primitive "), "{name}: {cib}");
    if ha_cf.contains("use_logd yes") {
        assert!(log().contains("Configuration validated. Starting heartbeat"), "{name}: {}", log());
    }
    if ha_cf.contains("crm respawn") {
        for line in [
            "Version 2 support: respawn",
            "haresources exists.",
            "This file is not used because crm is enabled",
        ] {
            assert!(log().contains(line), "{name}: {line:?} is not in: {}", log());
        }
    }
    assert_eq!(host.run("heartbeat -k"), 0, "{name}: {}\n{}", host.said, log());
    if ha_cf.contains("use_logd yes") {
        for line in ["Heartbeat shutdown in progress. (", "Heartbeat shutdown complete."] {
            assert!(log().contains(line), "{name}: {line:?} is not in: {}", log());
        }
    }
    assert_eq!(host.run("heartbeat -s"), 3, "{name}: {}\n{}", host.said, log());
    lab.power_off(node).unwrap();
}

#[test]
fn every_set_of_files_starts_or_says_why_not() {
    let name = "every_set_of_files_starts_or_says_why_not";
    if !need::root_and(name, &["ip", "bridge", "unshare", "nsenter", "setpriv"]) {
        return;
    }
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(cases()).unwrap().map(|e| e.unwrap().path()).collect();
    dirs.sort();
    assert!(dirs.len() >= 14);
    for case in dirs {
        let text = std::fs::read_to_string(case.join("ha.cf")).unwrap();
        let config = ccm::config::Config::parse(&text, "ha.cf").unwrap();
        let node = config.nodes.first().unwrap().value.clone();
        eprintln!("{} on {node}", case.display());
        start(&case, &node);
    }
}
