//! One namespace host as installed: classic paths, the executor as root, the core as hacluster.

use std::fs;
use std::process::{Child, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use crate::binary;
use crate::cluster::{AUTHKEYS, SHORT, ha_cf};
use crate::hosts::{Inside, Lab, LabError};

/// The host's name.
pub const HOST: &str = "hatest3";
/// Programs that this needs.
pub const PROGRAMS: &[&str] = &["ip", "bridge", "unshare", "nsenter", "setpriv", "groupadd", "useradd"];

/// The host, and what runs on it.
pub struct Alone {
    pub lab: Lab,
    daemon: Option<Child>,
}

impl Alone {
    /// Powers on a host with good files. Nothing runs yet.
    pub fn new() -> Result<Self, LabError> {
        let lab = Lab::new(&[HOST], 1)?;
        let inside = lab.inside(HOST)?;
        let text =
            ha_cf(SHORT, "off").replace("bcast eth0 eth1", "bcast eth0").replace("initdead 5", "initdead 2");
        inside.write("/etc/ha.d/ha.cf", &text.replace("node hatest4\n", ""), 0o644)?;
        inside.write("/etc/ha.d/authkeys", AUTHKEYS, 0o600)?;
        inside.write("/etc/logd.cf", "logfile /var/log/ha-log\n", 0o644)?;
        inside.sh("getent group haclient >/dev/null || groupadd -r haclient; \
                   getent passwd hacluster >/dev/null || useradd -r -g haclient -d /var/lib/heartbeat hacluster")?;
        Ok(Self { lab, daemon: None })
    }

    /// Where commands are run.
    ///
    /// # Panics
    /// Never while the value lives: its host is on.
    pub fn inside(&self) -> Inside {
        self.lab.inside(HOST).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Starts the cluster software.
    pub fn start(&mut self) -> Result<(), LabError> {
        let file = fs::File::create(self.lab.state().join("start.log"))?;
        let mut command = self.inside().command(&binary::everbeat().display().to_string());
        command.arg("start");
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).spawn()?;
        self.daemon = Some(child);
        Ok(())
    }

    /// Waits for the end of the cluster software.
    ///
    /// # Panics
    /// If it does not end within the limit.
    pub fn status(&mut self, limit: Duration) -> ExitStatus {
        let end = Instant::now() + limit;
        while Instant::now() < end {
            if let Some(Ok(Some(status))) = self.daemon.as_mut().map(Child::try_wait) {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it runs on\n{}", self.report());
    }

    /// Whether the cluster software has not ended.
    pub fn runs(&mut self) -> bool {
        matches!(self.daemon.as_mut().map(Child::try_wait), Some(Ok(None)))
    }

    /// Runs a shell line in which `everbeat` is the binary.
    pub fn typed(&self, line: &str) -> Result<Output, LabError> {
        self.inside().sh_output(&line.replace("everbeat ", &format!("{} ", binary::everbeat().display())))
    }

    /// Waits until the node is a cluster of one.
    ///
    /// # Panics
    /// If it is not within the limit.
    pub fn wait_online(&self, limit: Duration) {
        let end = Instant::now() + limit;
        loop {
            let output = self.typed("everbeat crm_mon -1");
            if output.is_ok_and(|o| String::from_utf8_lossy(&o.stdout).contains("Online: [ hatest3 ]")) {
                return;
            }
            assert!(Instant::now() < end, "not online within {limit:?}\n{}", self.report());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the daemon printed.
    pub fn said(&self) -> String {
        fs::read_to_string(self.lab.state().join("start.log")).unwrap_or_default()
    }

    /// The host's log.
    pub fn log(&self) -> String {
        fs::read_to_string(self.lab.disk(HOST, "/var/log/ha-log")).unwrap_or_default()
    }

    /// What a failing test should show.
    pub fn report(&self) -> String {
        format!("== said\n{}== log\n{}", self.said(), self.log())
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        if let Some(daemon) = &mut self.daemon {
            // nsenter's end; the daemon itself goes with its host.
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
    }
}
