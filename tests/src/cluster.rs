//! A real cluster on namespace hosts: files as administrators write them, the binary, a web server.

use std::net::SocketAddr;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use crate::binary;
use crate::hosts::probe::{Answer, Probe};
use crate::hosts::{Inside, Lab, LabError};

/// The service address of the tutorial's haresources.
pub const SERVICE: &str = "192.168.228.235";

/// Times of `ha.cf`, in its own syntax.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    pub keepalive: &'static str,
    pub deadtime: &'static str,
    pub initdead: &'static str,
}

/// As the tutorial prints them.
pub const PRINTED: Times = Times { keepalive: "2", deadtime: "30", initdead: "30" };
/// The same, for tests that must not take minutes.
pub const SHORT: Times = Times { keepalive: "100ms", deadtime: "1", initdead: "5" };

/// The tutorial's `ha.cf` with these times.
pub fn ha_cf(times: Times, auto_failback: &str) -> String {
    format!(
        "keepalive {}\ndeadtime {}\ninitdead {}\nudpport 694\nbcast eth0 eth1 # Linux\n\
         auto_failback {auto_failback}\nnode hatest3\nnode hatest4\nping 192.168.228.153\nuse_logd yes\n\
         crm respawn\ncompression bz2\ncompression_threshold 2\n",
        times.keepalive, times.deadtime, times.initdead
    )
}

/// The tutorial's `authkeys`.
pub const AUTHKEYS: &str = "auth 2\n1 crc\n2 sha1 HI!\n3 md5 Hello!\n";
/// The tutorial's `haresources`.
pub const HARESOURCES: &str = "hatest3 192.168.228.235 httpd\n";

/// Two hosts `hatest3` and `hatest4` with a web server under cluster control.
pub struct Cluster {
    pub lab: Lab,
    pub probe: Probe,
    daemons: Vec<(String, Child)>,
}

impl Cluster {
    /// Prepares both hosts and starts the cluster software on them.
    pub fn start(times: Times, auto_failback: &str) -> Result<Self, LabError> {
        let lab = Lab::new(&["hatest3", "hatest4"], 2)?;
        let address = SocketAddr::from(([192, 168, 228, 235], 80));
        let probe = Probe::start(lab.inside("client")?, address)?;
        let mut cluster = Self { lab, probe, daemons: Vec::new() };
        for host in ["hatest3", "hatest4"] {
            cluster.prepare(host, times, auto_failback)?;
        }
        for host in ["hatest3", "hatest4"] {
            cluster.boot(host)?;
        }
        Ok(cluster)
    }

    fn prepare(&self, host: &str, times: Times, auto_failback: &str) -> Result<(), LabError> {
        let inside = self.lab.inside(host)?;
        inside.write("/etc/ha.d/ha.cf", &ha_cf(times, auto_failback), 0o644)?;
        inside.write("/etc/ha.d/authkeys", AUTHKEYS, 0o600)?;
        inside.write("/etc/ha.d/haresources", HARESOURCES, 0o644)?;
        inside.write("/etc/logd.cf", "logfile /var/log/ha-log\ndebugfile /var/log/ha-debug\n", 0o644)?;
        // Debian's own script of a real web server, under the name that the tutorial uses.
        inside.sh("cp /etc/init.d/nginx /etc/init.d/httpd && chmod 755 /etc/init.d/httpd")?;
        inside.sh("mkdir -p /var/www/html /var/log/nginx && hostname > /var/www/html/index.html")?;
        inside.sh("getent group haclient >/dev/null || groupadd -r haclient; \
                   getent passwd hacluster >/dev/null || useradd -r -g haclient -d /var/lib/heartbeat hacluster")?;
        let everbeat = binary::everbeat();
        inside.sh(&format!("{} haresources2cib", everbeat.display()))?;
        Ok(())
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

    /// Waits until the client is answered by this host.
    pub fn served_by(&self, host: &str, after: Instant, limit: Duration) -> Result<Answer, LabError> {
        let answer = self.probe.wait_for(after, limit, |text| text == host);
        answer.ok_or_else(|| LabError::HostDidNotStart {
            host: host.to_owned(),
            why: format!("no answer from {SERVICE} within {limit:?}\n{}", self.report()),
        })
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
                    let said = format!("not as wanted within {limit:?}: {said}\n{}", self.report());
                    return Err(LabError::Command {
                        command: arguments.into(),
                        status: "waited".into(),
                        said,
                    });
                }
                _ => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Which host has the service address.
    pub fn holders(&self) -> Vec<String> {
        let holds = |inside: Inside| inside.sh("ip -o addr").is_ok_and(|text| text.contains(SERVICE));
        let hosts = ["hatest3", "hatest4"];
        hosts
            .iter()
            .filter(|host| self.lab.inside(host).is_ok_and(holds))
            .map(|host| (*host).to_owned())
            .collect()
    }

    /// A host's log, seen from outside, also after it lost power.
    pub fn log(&self, host: &str) -> String {
        std::fs::read_to_string(self.lab.disk(host, "/var/log/ha-log")).unwrap_or_default()
    }

    /// What a failing test should show: the ends of the logs, and what the daemons said.
    pub fn report(&self) -> String {
        let mut text = String::new();
        for host in ["hatest3", "hatest4"] {
            let said = std::fs::read_to_string(self.lab.state().join(format!("{host}.start.log")));
            let log = self.log(host);
            let lines: Vec<&str> = log.lines().collect();
            let end = lines.get(lines.len().saturating_sub(60)..).unwrap_or_default().join("\n");
            text += &format!("== {host} said\n{}\n== {host} log\n{end}\n", said.unwrap_or_default());
        }
        text
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for (_, child) in &mut self.daemons {
            // nsenter's end; the daemon itself goes with its host.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
