//! Hosts with a real Heartbeat each, and what is done to them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use everbeat_tests::hosts::{Cable, Lab, LabError};

use super::ear::{Ears, Shelf, hear_serial};

pub const HEARTBEAT: &str = "/usr/libexec/heartbeat/heartbeat";
pub const SECRET: &str = "secretkey";
const LIMIT: Duration = Duration::from_secs(90);

pub type Done = Result<(), LabError>;

/// The hosts of one scene.
pub struct Stage {
    lab: Lab,
    hosts: &'static [&'static str],
    shelf: Arc<Shelf>,
    cable: Cable,
    _ears: Ears,
}

impl Stage {
    /// Hosts of these names with `ha.cf` of this text, all on one network; the first two share a serial
    /// cable. Nothing is started.
    pub fn new(
        hosts: &'static [&'static str],
        ha_cf: &str,
        haresources: &str,
        shelf: &Arc<Shelf>,
    ) -> Result<Stage, LabError> {
        let lab = Lab::new(hosts, 1)?;
        let cable = Cable::new(Some(lab.state()))?;
        let ears = Ears::new(lab.inside("client")?, shelf)?;
        for (host, end) in hosts.iter().zip(0usize..) {
            let inside = lab.inside(host)?;
            let serial = cable.ends.get(end);
            let serial = serial.map_or_else(String::new, |end| format!("baud 115200\nserial {end}\n"));
            let nodes = hosts.join(" ");
            let text = format!(
                "udpport 694\nwarntime 2\ninitdead 12\nbcast eth0\n{serial}logfile /var/log/ha-log\n{ha_cf}\nnode {nodes}\n"
            );
            inside.write("/etc/ha.d/ha.cf", &text, 0o644)?;
            inside.write("/etc/ha.d/authkeys", &format!("auth 1\n1 sha1 {SECRET}\n"), 0o600)?;
            inside.write("/etc/ha.d/haresources", haresources, 0o644)?;
            inside.write("/etc/ha.d/resource.d/dummy", DUMMY, 0o755)?;
            inside.sh("mkdir -p /run/heartbeat/ccm && chown hacluster:haclient /run/heartbeat/ccm && \
                 rm -f /var/log/ha-log /var/lib/heartbeat/hb_*")?;
        }
        Ok(Stage { lab, hosts, shelf: Arc::clone(shelf), cable, _ears: ears })
    }

    /// Starts Heartbeat there.
    pub fn boot(&self, host: &str) -> Done {
        self.run(host, &format!("rm -f /run/heartbeat.pid; {HEARTBEAT} </dev/null >/dev/null 2>&1 &"))
    }

    /// Runs a shell line there.
    pub fn run(&self, host: &str, line: &str) -> Done {
        self.lab.inside(host)?.sh(line).map(drop)
    }

    /// Runs a line there whose own result is of no interest, only what is said on the wire.
    pub fn try_run(&self, host: &str, line: &str) -> Done {
        let said = self.lab.inside(host)?.sh_output(line)?;
        eprintln!(
            "{host}# {line}\n{}{}",
            String::from_utf8_lossy(&said.stdout),
            String::from_utf8_lossy(&said.stderr)
        );
        Ok(())
    }

    /// What its Heartbeat has logged.
    pub fn log(&self, host: &str) -> String {
        self.lab.inside(host).and_then(|inside| inside.sh("cat /var/log/ha-log")).unwrap_or_default()
    }

    /// Waits until a packet of that kind was heard.
    pub fn heard(&self, kind: &str) -> Done {
        self.until(&format!("a packet {kind}"), || self.shelf.has(kind))
    }

    /// Waits for a line of a host's log.
    pub fn logged(&self, host: &str, text: &str) -> Done {
        self.until(&format!("{host}: {text}"), || self.log(host).contains(text))
    }

    fn until(&self, what: &str, done: impl Fn() -> bool) -> Done {
        eprintln!("waiting for {what}");
        let end = Instant::now() + LIMIT;
        while Instant::now() < end {
            self.listen()?;
            if done() {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let logs: Vec<String> = self.hosts.iter().map(|host| self.log(host)).collect();
        eprintln!("{}", logs.join("\n----\n"));
        Err(LabError::Network(format!("not within {LIMIT:?}: {what}")))
    }

    /// Takes in what went over the cable.
    fn listen(&self) -> Done {
        for end in 0..2 {
            hear_serial(&self.cable.said(end)?, &self.shelf);
        }
        Ok(())
    }

    /// Lets the hosts talk for a while.
    pub fn pause(&self, seconds: u64) -> Done {
        std::thread::sleep(Duration::from_secs(seconds));
        self.listen()
    }

    /// From now on what the first host of a pair says does not reach the second; the ears hear it.
    pub fn cut(&self, pairs: &[(&str, &str)]) -> Done {
        self.lab.cut(pairs)?;
        for (end, host) in self.hosts.iter().enumerate().take(2) {
            let other = self.hosts.get(1 - end).copied().unwrap_or_default();
            self.cable.cut(end, pairs.contains(&(host, other)))?;
        }
        Ok(())
    }
}

/// A resource of the haresources kind that remembers its state in a file.
const DUMMY: &str = "#!/bin/sh
file=/run/dummy-$1
case $2 in
start) touch $file ;;
stop) rm -f $file ;;
status) if [ -e $file ]; then echo running; else echo stopped; fi ;;
esac
";
