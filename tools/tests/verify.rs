//! Pacemaker's own crm_verify beside ours, as processes, on wrong configurations: verdict and exit status, with the schema
//! and without it.
#![allow(clippy::unwrap_used)]

#[path = "../../crm-core/tests/policy_complaints/cases.rs"]
#[allow(dead_code)] // what the planner says about each is asked where it is at home
mod cases;

use std::path::Path;
use std::process::Command;

const PEER: &str = "/usr/sbin/crm_verify";

/// Exit status, and the sentences that sum up and that say whether anything was checked; none if it was killed.
fn verdict(program: &str, first: &[&str], file: &Path) -> Option<(i32, Vec<String>)> {
    let done = Command::new(program).args(first).arg("-x").arg(file).env("LC_ALL", "C").output().unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let mut sentences: Vec<String> = said
        .lines()
        .filter(|line| line.contains("found during check") || line.starts_with("Schema validation"))
        .map(str::to_owned)
        .collect();
    sentences.sort();
    Some((done.status.code()?, sentences))
}

#[test]
fn wrong_configurations_are_judged_as_the_peer_judges_them() {
    if !Path::new(PEER).exists() {
        let strict = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!strict, "{PEER} is missing, and CI=true");
        eprintln!("SKIPPED: no {PEER} (package pacemaker-cli-utils) to compare with");
        return;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let (mut compared, mut wrong, mut killed) = (0, Vec::new(), 0);
    for case in cases::CASES {
        for schema in ["none", "pacemaker-3.9"] {
            std::fs::write(file.path(), cases::document(case, schema)).unwrap();
            let Some(peer) = verdict(PEER, &[], file.path()) else {
                killed += 1;
                continue;
            };
            let ours = verdict(env!("CARGO_BIN_EXE_everbeat"), &["crm_verify"], file.path());
            compared += usize::from(peer.0 != 0);
            if ours.as_ref() != Some(&peer) {
                wrong.push(format!("{} ({schema}): {ours:?}, the peer {peer:?}", case.name));
            }
        }
    }
    assert!(compared >= 120, "only {compared} wrong configurations, {killed} kill the peer");
    assert!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
}
