//! A node whose logs nobody reads is a node like any other; `ha_logger` writes where the node does.
#![allow(clippy::unwrap_used)]

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use everbeat_tests::roots::Site;

const LIMIT: Duration = Duration::from_secs(60);

/// A pipe as a log, its reader, and nothing that is read.
fn pipe(path: &Path) -> File {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let made = std::process::Command::new("mkfifo").arg(path).status().unwrap();
    assert!(made.success());
    // O_RDWR of a pipe does not wait for the other end; 0o4000 is O_NONBLOCK.
    OpenOptions::new().read(true).write(true).custom_flags(0o4000).open(path).unwrap()
}

/// Nothing holds the node up: it comes online, answers, changes its configuration, and stops.
fn lives(lines: &str, logd_cf: &str, pipes: &[&str]) {
    let site = Site::new(&["alpha"]).unwrap();
    let text = site.ha_cf("alpha").replace("logfile /ha-log\nlogfacility none\n", lines);
    site.write("alpha", "etc/ha.d/ha.cf", &text, 0o644).unwrap();
    site.write("alpha", "etc/logd.cf", logd_cf, 0o644).unwrap();
    let readers: Vec<File> = pipes.iter().map(|p| pipe(&site.root("alpha").join(p))).collect();
    for reader in &readers {
        // Full from the beginning: the first line that is written stays in its thread.
        let _ = std::io::Write::write_all(&mut &*reader, &[b'\n'; 1 << 20]);
    }
    let mut daemon = site.start("alpha").unwrap();
    site.wait_until("alpha", "crm_mon -1", LIMIT, |said| said.contains("Online: [ alpha ]"));
    let set = site.everbeat("alpha", "crm_attribute -n x -v 1").unwrap();
    assert!(set.status.success(), "{}", String::from_utf8_lossy(&set.stderr));
    let start = Instant::now();
    assert!(site.everbeat("alpha", "stop").unwrap().status.success());
    daemon.status(LIMIT);
    assert!(start.elapsed() < LIMIT);
}

#[test]
fn logs_that_nobody_reads_hold_nothing_up() {
    lives("logfile /log\nlogfacility none\n", "", &["log"]);
    lives("debug 1\ndebugfile /debug\nlogfacility none\n", "", &["debug"]);
    lives("use_logd yes\n", "logfile /log\ndebugfile /debug\nlogfacility none\n", &["log", "debug"]);
}

#[test]
fn ha_logger_writes_where_the_node_does() {
    let site = Site::new(&["alpha"]).unwrap();
    let text = site.ha_cf("alpha").replace("logfile /ha-log\nlogfacility none\n", "use_logd yes\n");
    site.write("alpha", "etc/ha.d/ha.cf", &text, 0o644).unwrap();
    let logd = "logfile /ha-log\ndebugfile /ha-debug\nlogfacility none\n";
    site.write("alpha", "etc/logd.cf", logd, 0o644).unwrap();
    for arguments in ["-t tagged two lines", "-D ha-debug deep"] {
        let output = site.everbeat("alpha", &format!("ha_logger {arguments}")).unwrap();
        assert!(
            output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(),
            "{output:?}"
        );
    }
    let read = |name: &str| std::fs::read_to_string(site.root("alpha").join(name)).unwrap();
    let (log, debug) = (read("ha-log"), read("ha-debug"));
    let ends: Vec<&str> = log.lines().map(|l| l.rsplit(' ').next().unwrap()).collect();
    assert_eq!(ends, ["two", "lines"], "{log}");
    assert!(log.starts_with("tagged["), "{log}");
    let ends: Vec<&str> = debug.lines().map(|l| l.rsplit(' ').next().unwrap()).collect();
    assert_eq!(ends, ["two", "lines", "deep"], "{debug}");
    // A log that takes nothing is an error, and no wait.
    for name in ["ha-log", "ha-debug"] {
        std::fs::remove_file(site.root("alpha").join(name)).unwrap();
    }
    let mut readers = [pipe(&site.root("alpha").join("ha-log")), pipe(&site.root("alpha").join("ha-debug"))];
    for reader in &readers {
        let _ = std::io::Write::write_all(&mut &*reader, &[b'\n'; 1 << 20]);
    }
    let output = site.everbeat("alpha", "ha_logger full").unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let [log, _] = &mut readers;
    let mut buffer = vec![0; 1 << 20];
    assert!(log.read(&mut buffer).unwrap() > 0);
    let output = site.everbeat("alpha", "ha_logger again").unwrap();
    assert!(output.status.success(), "{output:?}");
}
