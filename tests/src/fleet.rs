//! Any number of namespace hosts with the cluster software on them, and what their logs say when.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::binary;
use crate::hosts::{Lab, LabError};

/// Hosts on which the binary under test runs.
pub struct Fleet {
    pub lab: Lab,
    hosts: Vec<String>,
    daemons: Vec<(String, Child)>,
}

impl Fleet {
    /// Hosts of these names, powered on and joined by `nets` networks; nothing is installed on them.
    pub fn new(names: &[&str], nets: u8) -> Result<Self, LabError> {
        let hosts = names.iter().map(|name| (*name).to_owned()).collect();
        Ok(Self { lab: Lab::new(names, nets)?, hosts, daemons: Vec::new() })
    }

    /// Hosts of these names on one network, all started with an `ha.cf` of these times and no resources.
    pub fn start(names: &[&str], times: &str) -> Result<Self, LabError> {
        let mut fleet = Self::new(names, 1)?;
        for name in names {
            let text = plain_ha_cf(names, times);
            fleet.install(name, &text, "auth 1\n1 sha1 a-key-for-tests\n")?;
        }
        for name in names {
            fleet.boot(name)?;
        }
        Ok(fleet)
    }

    /// Writes what every host needs: the two files, where to log, the users.
    pub fn install(&self, host: &str, ha_cf: &str, authkeys: &str) -> Result<(), LabError> {
        let inside = self.lab.inside(host)?;
        inside.write("/etc/ha.d/ha.cf", ha_cf, 0o644)?;
        inside.write("/etc/ha.d/authkeys", authkeys, 0o600)?;
        inside.write("/etc/logd.cf", "logfile /var/log/ha-log\ndebugfile /var/log/ha-debug\n", 0o644)?;
        inside.sh("getent group haclient >/dev/null || groupadd -r haclient; \
                   getent passwd hacluster >/dev/null || useradd -r -g haclient -d /var/lib/heartbeat hacluster")?;
        Ok(())
    }

    /// Names of the hosts.
    pub fn hosts(&self) -> Vec<&str> {
        self.hosts.iter().map(String::as_str).collect()
    }

    /// Starts the cluster software on a host that is powered on.
    pub fn boot(&mut self, host: &str) -> Result<(), LabError> {
        let inside = self.lab.inside(host)?;
        let log = std::fs::File::create(self.lab.state().join(format!("{host}.start.log")))?;
        let child = inside
            .command("env")
            .args(["EVERBEAT_LOG_MICROSECONDS=1", "TZ=UTC"])
            .arg(binary::everbeat())
            .arg("start")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.daemons.push((host.to_owned(), child));
        Ok(())
    }

    /// A host that lost power comes back and starts the cluster software.
    pub fn reboot(&mut self, host: &str) -> Result<(), LabError> {
        self.lab.power_on(host)?;
        self.boot(host)
    }

    /// Stops the cluster software on a host cleanly and waits for its end.
    pub fn stop(&mut self, host: &str, limit: Duration) -> Result<(), LabError> {
        self.everbeat(host, "stop")?;
        let Some(at) = self.daemons.iter().rposition(|(name, _)| name == host) else { return Ok(()) };
        let (_, mut child) = self.daemons.remove(at);
        let end = Instant::now() + limit;
        while child.try_wait()?.is_none() {
            if Instant::now() > end {
                self.daemons.push((host.to_owned(), child));
                return Err(self.not_so("stop", &format!("{host} runs on")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    /// One line of a command's output on a host.
    pub fn everbeat(&self, host: &str, arguments: &str) -> Result<String, LabError> {
        self.lab.inside(host)?.sh(&format!("{} {arguments}", binary::everbeat().display()))
    }

    /// Waits until a command's output on a host satisfies the test.
    pub fn wait_until(
        &self,
        host: &str,
        arguments: &str,
        limit: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String, LabError> {
        let end = Instant::now() + limit;
        loop {
            let said = self.everbeat(host, arguments);
            match said {
                Ok(text) if wanted(&text) => return Ok(text),
                other if Instant::now() > end => {
                    let said = other.unwrap_or_else(|error| error.to_string());
                    return Err(self.not_so(arguments, &format!("not as wanted within {limit:?}: {said}")));
                }
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Waits until these hosts, in any order, are the members of the partition that a host is in.
    pub fn members(&self, host: &str, wanted: &[&str], limit: Duration) -> Result<(), LabError> {
        let mut wanted = wanted.to_vec();
        wanted.sort_unstable();
        self.wait_until(host, "crm_node -p", limit, |text| {
            let mut found: Vec<&str> = text.split_whitespace().collect();
            found.sort_unstable();
            found == wanted
        })?;
        Ok(())
    }

    /// A host's log, seen from outside, also after it lost power.
    pub fn log(&self, host: &str) -> String {
        std::fs::read_to_string(self.lab.disk(host, "/var/log/ha-log")).unwrap_or_default()
    }

    /// When a host's log first said something like this at or after a moment, both in seconds of the day.
    pub fn said(&self, host: &str, from: f64, wanted: impl Fn(&str) -> bool) -> Option<f64> {
        let log = self.log(host);
        let times = log.lines().filter(|line| wanted(line)).filter_map(time_of);
        times.into_iter().find(|at| *at >= from)
    }

    /// The same, waited for.
    pub fn will_say(
        &self,
        host: &str,
        from: f64,
        limit: Duration,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<f64, LabError> {
        let end = Instant::now() + limit;
        loop {
            if let Some(at) = self.said(host, from, &wanted) {
                return Ok(at);
            }
            if Instant::now() > end {
                return Err(self.not_so(host, &format!("not in the log within {limit:?}")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn not_so(&self, command: &str, said: &str) -> LabError {
        let said = format!("{said}\n{}", self.report());
        LabError::Command { command: command.to_owned(), status: "waited".into(), said }
    }

    /// What a failing test should show: the ends of the logs, and what the daemons said.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for host in &self.hosts {
            let said = std::fs::read_to_string(self.lab.state().join(format!("{host}.start.log")));
            let log = self.log(host);
            let lines: Vec<&str> = log.lines().collect();
            let end = lines.get(lines.len().saturating_sub(60)..).unwrap_or_default().join("\n");
            text += &format!("== {host} said\n{}\n== {host} log\n{end}\n", said.unwrap_or_default());
        }
        text
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for (_, child) in &mut self.daemons {
            // nsenter's end; the daemon itself goes with its host.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An `ha.cf` of nodes on one broadcast network, with these lines for its times.
pub fn plain_ha_cf(names: &[&str], times: &str) -> String {
    format!("{times}\nudpport 694\nbcast eth0\nnode {}\nuse_logd yes\ncrm respawn\n", names.join(" "))
}

/// Whether a line of a log announces a view of exactly these members.
pub fn view_of(line: &str, members: &[&str]) -> bool {
    let Some((_, rest)) = line.split_once(" view ") else { return false };
    let Some((_, list)) = rest.split_once(" of ") else { return false };
    let Some((list, _)) = list.split_once(" (") else { return false };
    let mut found: Vec<&str> = list.split(", ").collect();
    let mut wanted = members.to_vec();
    found.sort_unstable();
    wanted.sort_unstable();
    found == wanted
}

/// Seconds since midnight, UTC: what log lines of these hosts show.
pub fn seconds_of_day(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    since.as_secs_f64() % 86_400.0
}

/// The time in `crmd[52]: 2026/11/20_18:21:00.375865 info: …`, in seconds of the day.
pub fn time_of(line: &str) -> Option<f64> {
    let clock = line.split_once('_')?.1.split_whitespace().next()?;
    let mut parts = clock.split(':');
    let hours: f64 = parts.next()?.parse().ok()?;
    let minutes: f64 = parts.next()?.parse().ok()?;
    let seconds: f64 = parts.next()?.parse().ok()?;
    Some(hours * 3600.0 + minutes * 60.0 + seconds)
}
