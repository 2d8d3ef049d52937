#![allow(clippy::unwrap_used)]
//! Targets that stop reading: nothing waits for them, and every line is either written or counted.

use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use super::*;

/// Writes this many lines and answers how long that took.
fn flood(layer: Queue, lines: u64) -> Duration {
    let start = Instant::now();
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        for i in 0..lines {
            tracing::info!(target: "heartbeat", "line {i} {}", "x".repeat(100));
        }
    });
    start.elapsed()
}

fn fifo(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

/// Lines that arrived, and the sum of those reported as dropped.
fn account(text: &str) -> (u64, u64) {
    let lines = text.lines().filter(|l| l.contains(" line ")).count() as u64;
    let dropped = text.lines().filter_map(|l| {
        l.split_once("cl_log: ")?.1.strip_suffix(" messages were dropped")?.parse::<u64>().ok()
    });
    (lines, dropped.sum())
}

const LINES: u64 = 10_000;
/// Far less than any of the targets needs, far more than a queue does.
const QUICK: Duration = Duration::from_secs(5);

/// A pipe is a log whose reader stops: what fits into it arrives, the rest is counted, the other
/// target has everything, and the end of the program is not held up.
fn stuck_file(make: impl Fn(PathBuf) -> Targets) {
    let dir = tempfile::tempdir().unwrap();
    let (pipe, other) = (dir.path().join("pipe"), dir.path().join("other"));
    fifo(&pipe);
    let mut reader =
        std::fs::OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&pipe).unwrap();
    let mut targets = make(pipe);
    match (&targets.logfile, &targets.debugfile) {
        (None, _) => targets.logfile = Some(other.clone()),
        _ => targets.debugfile = Some(other.clone()),
    }
    let (layer, guard) = open(targets);
    let outlets = Arc::clone(&guard.outlets);
    assert!(flood(layer, LINES) < QUICK);
    let dropped: u64 = outlets.iter().map(|o| o.lost.load(Ordering::Relaxed)).sum();
    assert!(dropped > 0, "the pipe took everything");
    // The healthy one says so while the other is stuck.
    let end = Instant::now() + Duration::from_secs(20);
    while !std::fs::read_to_string(&other).unwrap_or_default().contains("takes no lines") {
        assert!(Instant::now() < end, "nobody said that a target is stuck");
        std::thread::sleep(Duration::from_millis(20));
    }
    // The reader goes on: everything is accounted for.
    let mut text = String::new();
    let end = Instant::now() + Duration::from_secs(20);
    let mut buffer = vec![0; 65_536];
    while {
        let (lines, dropped) = account(&text);
        lines + dropped < LINES
    } {
        assert!(Instant::now() < end, "{:?}", account(&text));
        match reader.read(&mut buffer) {
            Ok(n) if n > 0 => text.push_str(&String::from_utf8_lossy(&buffer[..n])),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    let (lines, dropped) = account(&text);
    assert_eq!(lines + dropped, LINES);
    assert!(dropped > 0);
    drop(guard);
    let (lines, dropped) = account(&std::fs::read_to_string(&other).unwrap());
    assert_eq!(lines + dropped, LINES);
}

#[test]
fn a_logfile_that_is_not_read() {
    stuck_file(|pipe| Targets { logfile: Some(pipe), ..Targets::default() });
}

#[test]
fn a_debugfile_that_is_not_read() {
    stuck_file(|pipe| Targets { debugfile: Some(pipe), debug: true, ..Targets::default() });
}

#[test]
fn a_syslog_that_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let syslog = UnixDatagram::bind(&path).unwrap();
    let targets = Targets { facility: Some("local3".into()), syslog: path, ..Targets::default() };
    let (layer, guard) = open(targets);
    assert!(flood(layer, LINES) < QUICK);
    assert!(guard.outlets.iter().any(|o| o.lost.load(Ordering::Relaxed) > 0));
    syslog.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut text = String::new();
    let end = Instant::now() + Duration::from_secs(30);
    let mut buffer = vec![0; 4096];
    while {
        let (lines, dropped) = account(&text);
        lines + dropped < LINES
    } {
        assert!(Instant::now() < end, "{:?}", account(&text));
        if let Ok(n) = syslog.recv(&mut buffer) {
            let part = String::from_utf8_lossy(&buffer[..n]);
            assert!(part.starts_with("<158>") || part.starts_with("<156>"), "{part}");
            text.push_str(&part);
            text.push('\n');
        }
    }
    assert_eq!(
        {
            let (lines, dropped) = account(&text);
            lines + dropped
        },
        LINES
    );
    assert!(account(&text).1 > 0);
    drop(guard);
}

/// A pipe that nobody has even opened: the program ends all the same.
#[test]
fn the_end_waits_for_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    fifo(&pipe);
    let (layer, guard) = open(Targets { logfile: Some(pipe), ..Targets::default() });
    assert!(flood(layer, 10) < QUICK);
    let start = Instant::now();
    drop(guard);
    assert!(start.elapsed() < PATIENCE + QUICK);
}

#[test]
fn lines_have_the_classic_form_and_debug_stays_out_of_the_logfile() {
    let dir = tempfile::tempdir().unwrap();
    let (log, debug) = (dir.path().join("ha-log"), dir.path().join("ha-debug"));
    let (layer, guard) = open(Targets {
        logfile: Some(log.clone()),
        debugfile: Some(debug.clone()),
        debug: true,
        ..Targets::default()
    });
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
        tracing::info!(target: "heartbeat", "Link hatest4:eth0 up.");
        tracing::debug!(target: "heartbeat", "detail");
    });
    drop(guard);
    let written = std::fs::read_to_string(&log).unwrap();
    assert!(
        written.starts_with("heartbeat[") && written.ends_with(" info: Link hatest4:eth0 up.\n"),
        "{written}"
    );
    assert_eq!(written.lines().count(), 1);
    assert_eq!(std::fs::read_to_string(&debug).unwrap().lines().count(), 2);
}

#[test]
fn facilities_are_syslogs_own() {
    assert_eq!(target::facility("daemon"), Some(3));
    assert_eq!(target::facility("local7"), Some(23));
    assert_eq!(target::facility("local8"), None);
    assert_eq!(target::facility("nonsense"), None);
}
