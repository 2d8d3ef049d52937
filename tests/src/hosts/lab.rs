//! The lab: its hosts, its networks, and the accidents that happen to them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::process::{Holder, Inside};
use crate::need;

const INIT: &str = include_str!("init.sh");
/// The host that polls services; it has only a network of its own.
pub const CLIENT: &str = "client";
/// Its number on every network; the tutorial's ping node.
const CLIENT_NUMBER: u8 = 153;
const FIRST_NET: u8 = 228;

/// What went wrong in building or using hosts.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    #[error("input/output: {0}")]
    Io(#[from] std::io::Error),
    #[error("host {host} did not start: {why}")]
    HostDidNotStart { host: String, why: String },
    #[error("host {0} is powered off or unknown")]
    NoHost(String),
    #[error("network: {0}")]
    Network(String),
    #[error("{command}: {status}: {said}")]
    Command { command: String, status: String, said: String },
}

/// Hosts and networks of one test.
pub struct Lab {
    state: tempfile::TempDir,
    hosts: BTreeMap<String, Host>,
    client: Holder,
    // Dropped last: the ports of every host end here.
    switch: Holder,
    nets: u8,
}

struct Host {
    number: u8,
    holder: Option<Holder>,
}

impl Lab {
    /// Powers on hosts of these names, each with `nets` interfaces `eth0`…: host number i (from 1) has
    /// the address `192.168.228.i` on the first, `192.168.229.i` on the second; the client is number 153.
    /// (The networks of a well-known tutorial, so that its files are used unchanged.)
    pub fn new(names: &[&str], nets: u8) -> Result<Self, LabError> {
        let state = tempfile::Builder::new().prefix("everbeat-lab-").tempdir()?;
        let log = state.path().join("lab.log");
        let mut hosts_file = String::from("127.0.0.1 localhost\n");
        for (name, number) in names.iter().zip(1u8..) {
            let _ = writeln!(hosts_file, "{} {name}", address(number, 0));
        }
        fs::write(state.path().join("hosts"), hosts_file)?;
        let switch = Holder::start(&["--net"], &["sleep", "1000000"], &log)?;
        let client = Holder::start(&["--net"], &["sleep", "1000000"], &log)?;
        wait_for_network(&switch)?;
        wait_for_network(&client)?;
        let mut lab = Self { state, hosts: BTreeMap::new(), client, switch, nets };
        for net in 0..nets {
            lab.switch_ip(&format!(
                "link add br{net} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"
            ))?;
            lab.switch_ip(&format!("link set br{net} up"))?;
        }
        lab.wire(CLIENT, CLIENT_NUMBER, lab.client.pid)?;
        for (name, number) in names.iter().zip(1u8..) {
            lab.hosts.insert((*name).to_owned(), Host { number, holder: None });
            lab.power_on(name)?;
        }
        Ok(lab)
    }

    /// Address of a host on a network.
    pub fn address(&self, host: &str, net: u8) -> Result<String, LabError> {
        let number = self.hosts.get(host).ok_or_else(|| LabError::NoHost(host.to_owned()))?.number;
        Ok(address(number, net))
    }

    /// Where commands for this host are run.
    pub fn inside(&self, host: &str) -> Result<Inside, LabError> {
        if host == CLIENT {
            return Ok(Inside { pid: self.client.pid, only_net: true });
        }
        let holder = self.hosts.get(host).and_then(|host| host.holder.as_ref());
        let holder = holder.ok_or_else(|| LabError::NoHost(host.to_owned()))?;
        Ok(Inside { pid: holder.pid, only_net: false })
    }

    /// Where a file below a host's `/etc`, `/usr` or `/var` is seen from outside.
    pub fn disk(&self, host: &str, path: &str) -> PathBuf {
        let (top, rest) = path.trim_start_matches('/').split_once('/').unwrap_or((path, ""));
        self.state.path().join("disk").join(host).join(top).join("upper").join(rest)
    }

    /// Directory for whatever the test keeps outside its hosts.
    pub fn state(&self) -> &Path {
        self.state.path()
    }

    /// Starts a host, again or for the first time, and plugs in its cables.
    pub fn power_on(&mut self, name: &str) -> Result<(), LabError> {
        let number = self.hosts.get(name).ok_or_else(|| LabError::NoHost(name.to_owned()))?.number;
        let ready = self.state.path().join(format!("ready-{name}"));
        let _ = fs::remove_file(&ready);
        let log = self.state.path().join(format!("{name}.init.log"));
        let state = self.state.path().to_string_lossy().into_owned();
        let flags = ["--net", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"];
        let mut holder = Holder::start(&flags, &["bash", "-c", INIT, "host", &state, name], &log)?;
        let end = Instant::now() + Duration::from_secs(20);
        while fs::read_to_string(&ready).map_or(true, |text| text.trim() != "up") {
            if holder.has_ended() || Instant::now() > end {
                let why = fs::read_to_string(&log).unwrap_or_default();
                return Err(LabError::HostDidNotStart { host: name.to_owned(), why });
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        holder.enter_child()?;
        self.wire(name, number, holder.pid)?;
        if let Some(host) = self.hosts.get_mut(name) {
            host.holder = Some(holder);
        }
        Ok(())
    }

    /// Power failure: ports down, then everything in the host is killed at once. Returns the moment.
    pub fn power_off(&mut self, name: &str) -> Result<Instant, LabError> {
        let moment = Instant::now();
        self.pull_cables(name)?;
        let host = self.hosts.get_mut(name).ok_or_else(|| LabError::NoHost(name.to_owned()))?;
        host.holder = None;
        Ok(moment)
    }

    /// Pulls all network cables: the host loses carrier. Returns the moment.
    pub fn pull_cables(&self, name: &str) -> Result<Instant, LabError> {
        let moment = Instant::now();
        for net in 0..self.nets {
            self.switch_ip(&format!("link set {} down", port(name, net)))?;
        }
        Ok(moment)
    }

    /// Plugs all network cables in again.
    pub fn plug_cables(&self, name: &str) -> Result<(), LabError> {
        for net in 0..self.nets {
            self.switch_ip(&format!("link set {} up", port(name, net)))?;
        }
        Ok(())
    }

    /// One cable of a host, pulled or plugged.
    pub fn cable(&self, name: &str, net: u8, plugged: bool) -> Result<(), LabError> {
        let state = if plugged { "up" } else { "down" };
        self.switch_ip(&format!("link set {} {state}", port(name, net)))
    }

    /// Cuts a host off in the switch: its carrier stays. `forwarding` true ends it.
    pub fn forward(&self, name: &str, forwarding: bool) -> Result<(), LabError> {
        let state = if forwarding { "3" } else { "0" };
        for net in 0..self.nets {
            let switch = Inside { pid: self.switch.pid, only_net: true };
            let mut command = switch.command("bridge");
            command.args(["link", "set", "dev", &port(name, net), "state", state]);
            need::run(&mut command).map_err(LabError::Network)?;
        }
        Ok(())
    }

    /// From now on nothing the first host of a pair sends reaches the second, on any network; carrier stays,
    /// and so does the other direction unless it is named too. Replaces what was cut before; none heals all.
    /// Returns the moment.
    pub fn cut(&self, pairs: &[(&str, &str)]) -> Result<Instant, LabError> {
        let mut script = String::from("table bridge cuts\ndelete table bridge cuts\n");
        if !pairs.is_empty() {
            script += "table bridge cuts {\nchain f { type filter hook forward priority 0;\n";
            for (from, to) in pairs {
                for net in 0..self.nets {
                    let _ = writeln!(script, "iifname {} oifname {} drop;", port(from, net), port(to, net));
                }
            }
            script += "}\n}\n";
        }
        let moment = Instant::now();
        self.switch_nft("cuts.nft", &script)?;
        Ok(moment)
    }

    /// Splits the hosts into parts that hear only themselves. Returns the moment.
    pub fn part(&self, parts: &[&[&str]]) -> Result<Instant, LabError> {
        let mut pairs = Vec::new();
        for (at, from) in parts.iter().enumerate() {
            for (_, to) in parts.iter().enumerate().filter(|(other, _)| *other != at) {
                pairs.extend(from.iter().flat_map(|from| to.iter().map(move |to| (*from, *to))));
            }
        }
        self.cut(&pairs)
    }

    /// Drops a share (0 to 100) of the frames that cross the switch on every port.
    pub fn lose(&self, percent: u8) -> Result<(), LabError> {
        let mut script = String::from("table bridge lossy\ndelete table bridge lossy\n");
        if percent > 0 {
            // The filter knows no number that is always below a hundred of a hundred.
            let which =
                if percent < 100 { format!("numgen random mod 100 < {percent} ") } else { String::new() };
            let _ = writeln!(
                script,
                "table bridge lossy {{\nchain f {{ type filter hook forward priority 0; {which}drop; }}\n}}"
            );
        }
        self.switch_nft("lossy.nft", &script)
    }

    /// Gives the switch's packet filter a script, all of it or nothing.
    fn switch_nft(&self, name: &str, script: &str) -> Result<(), LabError> {
        let path = self.state.path().join(name);
        fs::write(&path, script)?;
        let mut command = Inside { pid: self.switch.pid, only_net: true }.command("nft");
        command.arg("-f").arg(path);
        need::run(&mut command).map(drop).map_err(LabError::Network)
    }

    fn wire(&self, name: &str, number: u8, pid: u32) -> Result<(), LabError> {
        let inside = Inside { pid, only_net: true };
        ip(inside, "link set lo up")?;
        for net in 0..self.nets {
            let port = port(name, net);
            // A host that was powered off may have left its end of the cable.
            let _ = self.switch_ip(&format!("link del {port}"));
            self.switch_ip(&format!(
                "link add {port} type veth peer name eth{net} netns {pid} address 02:91:{net:02x}:00:00:{number:02x}"
            ))?;
            self.switch_ip(&format!("link set {port} master br{net} up"))?;
            let own = address(number, net);
            ip(
                inside,
                &format!("addr add {own}/24 brd 192.168.{}.255 dev eth{net}", FIRST_NET.saturating_add(net)),
            )?;
            ip(inside, &format!("link set eth{net} up"))?;
        }
        Ok(())
    }

    fn switch_ip(&self, words: &str) -> Result<(), LabError> {
        ip(Inside { pid: self.switch.pid, only_net: true }, words)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // Hosts first, so that the overlays are unmounted before their directories are removed.
        self.hosts.clear();
    }
}

fn address(number: u8, net: u8) -> String {
    format!("192.168.{}.{number}", FIRST_NET.saturating_add(net))
}

/// Name of the switch's end of a cable; interface names hold 15 bytes.
fn port(host: &str, net: u8) -> String {
    let short: String = host.chars().take(10).collect();
    format!("p{net}-{short}")
}

fn ip(inside: Inside, words: &str) -> Result<(), LabError> {
    let mut command: Command = inside.command("ip");
    command.args(words.split_whitespace());
    need::run(&mut command).map(drop).map_err(LabError::Network)
}

/// Waits until the process has left the network namespace of this one.
fn wait_for_network(holder: &Holder) -> Result<(), LabError> {
    let own = fs::read_link("/proc/self/ns/net")?;
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        match fs::read_link(format!("/proc/{}/ns/net", holder.pid)) {
            Ok(theirs) if theirs != own => return Ok(()),
            _ => std::thread::sleep(Duration::from_millis(2)),
        }
    }
    Err(LabError::Network("unshare --net does not get a network namespace (is this root?)".into()))
}
