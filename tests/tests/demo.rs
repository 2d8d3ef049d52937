//! README's first command: a takeover to watch, for root and for everybody else, which leaves nothing behind.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use everbeat_tests::roots::processes_naming;
use everbeat_tests::{binary, need};

/// Runs `demo --once` with its files below a directory of its own; the command before it may change the user.
fn once(before: &[&str]) {
    let dir = tempfile::Builder::new().prefix("everbeat-demo-test-").tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let binary = binary::everbeat();
    let mut words: Vec<&str> = before.to_vec();
    words.extend([binary.to_str().unwrap(), "demo", "--once"]);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("TMPDIR", dir.path()).env("EVERBEAT_NO_REBOOT", "1");
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let said = format!("{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    let told = ["the cluster stands", "is answered by ", "KILLING ", "TAKEN OVER: ", "stopping what is left"];
    let mut from = 0;
    for words in told {
        let at = text[from..].find(words);
        from += at.unwrap_or_else(|| panic!("{words:?} is missing, or not in its place:\n{said}"));
    }
    let victim = said.split("KILLING ").nth(1).and_then(|rest| rest.split(':').next()).unwrap();
    let taker = said.split("TAKEN OVER: ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
    assert_ne!(victim, taker);
    left_nothing(dir.path());
}

fn left_nothing(dir: &Path) {
    assert_eq!(processes_naming(dir), Vec::<i32>::new(), "processes are left");
    let left: Vec<_> = fs::read_dir(dir).unwrap().flatten().map(|entry| entry.path()).collect();
    assert_eq!(left, Vec::<std::path::PathBuf>::new(), "files are left");
}

/// As whoever runs the tests.
#[test]
fn the_demo_shows_a_takeover_and_leaves_nothing_behind() {
    once(&[]);
}

#[test]
fn an_ordinary_user_can_run_the_demo() {
    let test = "an_ordinary_user_can_run_the_demo";
    if !rustix::process::geteuid().is_root() {
        // The test before this one has shown it.
        return;
    }
    if !need::programs_are_there(test, &["setpriv"]) {
        return;
    }
    once(&["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--"]);
}

/// Ctrl-C in the middle is no reason to leave processes or files.
#[test]
fn an_interrupted_demo_leaves_nothing_behind() {
    let dir = tempfile::Builder::new().prefix("everbeat-demo-test-").tempdir().unwrap();
    let mut child = Command::new(binary::everbeat())
        .args(["demo", "--once"])
        .env("TMPDIR", dir.path())
        .env("EVERBEAT_NO_REBOOT", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + Duration::from_secs(120);
    while processes_naming(dir.path()).len() < 4 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None => assert!(Instant::now() < end + Duration::from_secs(120), "it does not end"),
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    assert_ne!(status.code(), Some(0), "--once has not seen its takeover");
    left_nothing(dir.path());
}
