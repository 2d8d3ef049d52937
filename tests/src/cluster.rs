//! A real cluster on namespace hosts: files as administrators write them, the binary, a web server.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

use crate::binary;
use crate::fleet::Fleet;
use crate::hosts::probe::{Answer, Probe};
use crate::hosts::{Inside, LabError};

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
    pub fleet: Fleet,
    pub probe: Probe,
}

impl Deref for Cluster {
    type Target = Fleet;
    fn deref(&self) -> &Fleet {
        &self.fleet
    }
}

impl DerefMut for Cluster {
    fn deref_mut(&mut self) -> &mut Fleet {
        &mut self.fleet
    }
}

impl Cluster {
    /// Prepares both hosts and starts the cluster software on them.
    pub fn start(times: Times, auto_failback: &str) -> Result<Self, LabError> {
        let fleet = Fleet::new(&["hatest3", "hatest4"], 2)?;
        let address = SocketAddr::from(([192, 168, 228, 235], 80));
        let probe = Probe::start(fleet.lab.inside("client")?, address)?;
        let mut cluster = Self { fleet, probe };
        for host in ["hatest3", "hatest4"] {
            cluster.prepare(host, times, auto_failback)?;
        }
        for host in ["hatest3", "hatest4"] {
            cluster.boot(host)?;
        }
        Ok(cluster)
    }

    fn prepare(&self, host: &str, times: Times, auto_failback: &str) -> Result<(), LabError> {
        self.install(host, &ha_cf(times, auto_failback), AUTHKEYS)?;
        let inside = self.lab.inside(host)?;
        inside.write("/etc/ha.d/haresources", HARESOURCES, 0o644)?;
        // Debian's own script of a real web server, under the name that the tutorial uses.
        inside.sh("cp /etc/init.d/nginx /etc/init.d/httpd && chmod 755 /etc/init.d/httpd")?;
        inside.sh("mkdir -p /var/www/html /var/log/nginx && hostname > /var/www/html/index.html")?;
        inside.sh(&format!("{} haresources2cib", binary::everbeat().display()))?;
        Ok(())
    }

    /// Waits until the client is answered by this host.
    pub fn served_by(&self, host: &str, after: Instant, limit: Duration) -> Result<Answer, LabError> {
        let answer = self.probe.wait_for(after, limit, |text| text == host);
        answer.ok_or_else(|| LabError::HostDidNotStart {
            host: host.to_owned(),
            why: format!("no answer from {SERVICE} within {limit:?}\n{}", self.report()),
        })
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
}
