//! What keeps an installed node on time: real-time priority and locked memory for a core that is not
//! root, and a watchdog that is quiet only while the core makes progress.
#![allow(clippy::unwrap_used)]

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use everbeat_tests::alone::{Alone, HOST, PROGRAMS};
use everbeat_tests::need;

const LIMIT: Duration = Duration::from_secs(60);

/// A pipe in the place of a watchdog: what is written to it is what the device would get.
struct Device {
    path: PathBuf,
    end: File,
}

impl Device {
    fn new() -> Device {
        let path = PathBuf::from(format!("/dev/watchdog-everbeat-{}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        // Both ways, so that opening waits for nobody; 0o4000 is O_NONBLOCK.
        let end = OpenOptions::new().read(true).write(true).custom_flags(0o4000).open(&path).unwrap();
        Device { path, end }
    }

    /// What was written since the last look.
    fn take(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(n) = self.end.read(&mut buffer) {
            all.extend_from_slice(&buffer[..n]);
        }
        all
    }

    fn wait(&mut self, what: &str, host: &Alone, done: impl Fn(&[u8]) -> bool) {
        let end = Instant::now() + LIMIT;
        let mut all = Vec::new();
        while !done(&all) {
            assert!(Instant::now() < end, "{what}: {} bytes\n{}", all.len(), host.report());
            std::thread::sleep(Duration::from_millis(20));
            all.extend(self.take());
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn append_to_ha_cf(host: &Alone, lines: &str) {
    let path = host.lab.disk(HOST, "/etc/ha.d/ha.cf");
    let text = std::fs::read_to_string(path).unwrap() + lines;
    host.inside().write("/etc/ha.d/ha.cf", &text, 0o644).unwrap();
}

/// The core's process, as seen on the host.
fn core(host: &Alone) -> String {
    host.inside().sh("pgrep -f '[e]verbeat core --fd'").unwrap().trim().to_owned()
}

#[test]
fn the_watchdog_is_quiet_only_while_the_core_makes_progress() {
    let test = "the_watchdog_is_quiet_only_while_the_core_makes_progress";
    if !need::root_and(test, PROGRAMS) {
        return;
    }
    let mut device = Device::new();
    let mut host = Alone::new().unwrap();
    append_to_ha_cf(&host, &format!("watchdog {}\n", device.path.display()));
    host.start().unwrap();
    host.wait_online(LIMIT);
    device.wait("tickles of a healthy core", &host, |b| b.len() > 5);

    // The core stands still, the executor does not: what was under way arrives, then nothing.
    let stopped = core(&host);
    host.inside().sh(&format!("kill -STOP {stopped}")).unwrap();
    let mut last = Instant::now();
    let end = Instant::now() + LIMIT;
    while last.elapsed() < Duration::from_secs(2) {
        assert!(Instant::now() < end, "tickled while the core stands still");
        let bytes = device.take();
        assert!(!bytes.contains(&b'V'), "disarmed");
        if !bytes.is_empty() {
            last = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    host.inside().sh(&format!("kill -CONT {stopped}")).unwrap();
    device.wait("tickles of a core that goes on", &host, |b| b.len() > 5);

    // A core that died is started again, and the device stays armed and open.
    host.inside().sh(&format!("kill -KILL {stopped}")).unwrap();
    let end = Instant::now() + LIMIT;
    while !host.inside().sh("pgrep -f '[e]verbeat core --fd'").is_ok_and(|pid| pid.trim() != stopped) {
        assert!(Instant::now() < end, "not started again\n{}", host.report());
        std::thread::sleep(Duration::from_millis(20));
    }
    host.wait_online(LIMIT);
    assert!(!device.take().contains(&b'V'), "disarmed by a dead core");
    device.wait("tickles of the next core", &host, |b| b.len() > 5);

    // A clean stop disarms.
    assert!(host.typed("everbeat stop").unwrap().status.success(), "{}", host.report());
    host.status(LIMIT);
    assert_eq!(device.take().last(), Some(&b'V'), "{}", host.report());
}

/// Real-time priority for the heartbeat thread alone, memory locked as it is touched, of a core that
/// runs as hacluster.
#[test]
fn the_heartbeat_thread_of_a_core_without_rights_is_in_real_time() {
    let test = "the_heartbeat_thread_of_a_core_without_rights_is_in_real_time";
    if !need::root_and(test, PROGRAMS) || !need::programs_are_there(test, &["chrt"]) {
        return;
    }
    let granted = std::process::Command::new("chrt").args(["-r", "5", "true"]).status();
    if !granted.is_ok_and(|status| status.success()) {
        return need::left_out(test, "this machine grants no real-time priority, not even to root");
    }
    let mut host = Alone::new().unwrap();
    append_to_ha_cf(&host, "rtprio 7\n");
    host.start().unwrap();
    host.wait_online(LIMIT);
    let pid = core(&host);
    let inside = host.inside();
    let status = inside.sh(&format!("cat /proc/{pid}/status")).unwrap();
    let field = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    let hacluster = inside.sh("id -u hacluster").unwrap();
    assert_eq!(field("Uid:"), hacluster.trim());
    // By limits where the executor may raise them, else by two capabilities and no other.
    let limits = inside.sh(&format!("cat /proc/{pid}/limits")).unwrap();
    let limit = |name: &str, value: &str| {
        limits.lines().find(|l| l.starts_with(name)).is_some_and(|l| l.contains(value))
    };
    let capable = u64::from_str_radix(&field("CapEff:"), 16).unwrap();
    if limit("Max realtime priority", "99") && limit("Max locked memory", "unlimited") {
        assert_eq!(capable, 0, "{status}");
    } else {
        // CAP_IPC_LOCK is 14, CAP_SYS_NICE 23.
        assert_eq!(capable, 1 << 14 | 1 << 23, "{status}\n{limits}");
    }
    assert_eq!(field("Groups:"), "", "{status}");
    let number = |name: &str| field(name).parse::<u64>().unwrap();
    let (locked, resident) = (number("VmLck:"), number("VmRSS:"));
    assert!(locked > 0, "{status}\n{}", host.report());
    // Locked is what is mapped; on fault means that no more of it is in memory than was used.
    assert!(resident < 64 * 1024, "{status}");
    let tasks = inside
        .sh(&format!(
            "for t in /proc/{pid}/task/*; do echo $(cat $t/comm) $(sed -n 's/^policy *: *//p; s/^prio *: *//p' $t/sched); done"
        ))
        .unwrap();
    // Policy 2 is SCHED_RR; the kernel's own number of priority 7 is 99 - 7.
    assert!(tasks.lines().any(|l| l == "heartbeat 2 92"), "{tasks}\n{}", host.report());
    let others = tasks.lines().filter(|l| !l.starts_with("heartbeat "));
    assert!(others.clone().count() > 1 && others.clone().all(|l| l.contains(" 0 ")), "{tasks}");
    assert!(!host.log().contains("not possible"), "{}", host.log());
}
