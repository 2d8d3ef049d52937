#![allow(clippy::unwrap_used)]
//! Lines of `ha.cf` that Debian's heartbeat 3.0.6 accepts or rejects, and what we do with them.
//!
//! `golden/heartbeat-3.0.6/verdicts`: verdict of the real program, `-` or the reason why ours differs,
//! and the case. A case is one line put into a good file (see `run.sh`), or after `=` a whole file, its
//! lines separated by `|`. The first test holds ours against the record; the second holds the record
//! against the real program, where it is installed and namespaces may be made.

use std::path::{Path, PathBuf};
use std::process::Command;

use ccm::config::{AuthKeys, Config, Machine, Severity};
use cib::convert::Haresources;

/// The hosts that `run.sh` makes.
struct Host;

impl Machine for Host {
    fn has_user(&self, name: &str) -> bool {
        matches!(name, "root" | "hacluster")
    }
    fn has_group(&self, name: &str) -> bool {
        matches!(name, "root" | "haclient")
    }
    fn is_executable(&self, path: &Path) -> bool {
        path == Path::new("/bin/sleep")
    }
    fn has_interface(&self, name: &str) -> bool {
        matches!(name.split(':').next().unwrap(), "eth0" | "eth1" | "lo")
    }
    fn is_character_device(&self, path: &Path) -> bool {
        path == Path::new("/dev/null")
    }
    fn is_readable(&self, path: &Path) -> bool {
        path == Path::new("/etc/hosts")
    }
}

struct Case {
    theirs: bool,
    reason: String,
    text: String,
}

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/heartbeat-3.0.6")
}

fn cases(file: &str) -> Vec<Case> {
    let text = std::fs::read_to_string(golden().join(file)).unwrap();
    text.lines()
        .filter(|l| !l.starts_with('#'))
        .map(|line| {
            let mut fields = line.splitn(3, '\t');
            let theirs = fields.next().unwrap() == "accept";
            let reason = fields.next().unwrap().to_string();
            Case { theirs, reason, text: fields.next().unwrap().to_string() }
        })
        .collect()
}

fn ha_cf(case: &str) -> String {
    let body = match case.strip_prefix('=') {
        Some(whole) => whole.to_string(),
        None => format!(
            "use_logd no|logfile /run/hb.log|keepalive 2|deadtime 30|auto_failback off|{case}|bcast eth0|node n1 n2"
        ),
    };
    body.replace('|', "\n").replace("\\t", "\t") + "\n"
}

/// Whether a start on host n1 goes on with this `authkeys` or `haresources`, with what was said.
fn ours_of(file: &str, text: &str) -> (bool, String) {
    if file == "verdicts.authkeys" {
        return match AuthKeys::parse(text, "authkeys") {
            Ok(_) => (true, String::new()),
            Err(problems) => (false, problems.iter().map(|p| format!("  {p}\n")).collect()),
        };
    }
    let parsed = Haresources::parse(text, "haresources");
    let nodes = ["n1".to_string(), "n2".to_string()];
    let stranger = parsed.unknown_nodes(&nodes).next().is_some();
    let error = parsed.problems.iter().any(|p| p.severity == cib::convert::Severity::Error);
    (!error && !stranger, parsed.problems.iter().map(|p| format!("  {p}\n")).collect())
}

/// Whether a start on host n1 goes on, with what was said.
fn ours(text: &str) -> (bool, String) {
    let config = match Config::parse(text, "ha.cf") {
        Ok(config) => config,
        Err(problems) => return (false, problems.iter().map(|p| format!("  {p}\n")).collect()),
    };
    let mut problems = config.check_machine(&Host);
    problems.extend(config.check_local_node("n1"));
    let good = problems.iter().all(|p| p.severity != Severity::Error);
    (good, problems.iter().map(|p| format!("  {p}\n")).collect())
}

const FILES: &[&str] = &["verdicts", "verdicts.authkeys", "verdicts.haresources"];

#[test]
fn same_lines_accepted_and_rejected() {
    let mut wrong = String::new();
    let mut count = 0;
    for file in FILES {
        for case in cases(file) {
            count += 1;
            let (good, said) = match *file {
                "verdicts" => ours(&ha_cf(&case.text)),
                _ => ours_of(file, &(case.text.replace('|', "\n") + "\n")),
            };
            let differs = good != case.theirs;
            if differs != (case.reason != "-") {
                let (a, b) = if case.theirs { ("accepts", "refuse") } else { ("rejects", "accept") };
                let text = if differs {
                    format!("heartbeat {a}, we {b}: {}\n{said}", case.text)
                } else {
                    format!("listed as different, and is not: {}\n", case.text)
                };
                wrong.push_str(&text);
            }
        }
    }
    assert!(count > 350, "the record is short: {count}");
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn record_is_what_heartbeat_does() {
    let program = Path::new("/usr/libexec/heartbeat/heartbeat");
    let root = nix::unistd::geteuid().is_root();
    if !program.exists() || !root {
        eprintln!("SKIPPED: needs root and Debian's package heartbeat ({})", program.display());
        return;
    }
    let mut wrong = String::new();
    for file in FILES {
        let cases = cases(file);
        let dir = tempfile::tempdir().unwrap();
        let list: String = cases.iter().map(|c| format!("{}\n", c.text)).collect();
        let list_file = dir.path().join("cases");
        std::fs::write(&list_file, list).unwrap();
        let output = Command::new("unshare")
            .args(["-m", "-n", "-u", "--", "bash"])
            .arg(golden().join("run.sh"))
            .arg(&list_file)
            .arg(file.strip_prefix("verdicts.").unwrap_or("ha.cf"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        let verdicts: Vec<&str> = text.lines().collect();
        if verdicts.is_empty() {
            eprintln!("SKIPPED: no namespaces here: {}", String::from_utf8_lossy(&output.stderr));
            return;
        }
        assert_eq!(verdicts.len(), cases.len());
        for (case, verdict) in cases.iter().zip(verdicts) {
            let expect = if case.theirs { "accept" } else { "reject" };
            if verdict != expect {
                wrong.push_str(&format!("{file}: recorded {expect}, seen {verdict}: {}\n", case.text));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
