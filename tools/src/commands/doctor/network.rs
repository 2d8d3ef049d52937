//! Names, interfaces, ports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, ToSocketAddrs};

use ccm::config::{Host, Machine, MediumSpec, System};

use super::Report;
use super::patient::Patient;
use crate::api::client::Client;

pub(super) fn node_name(patient: &Patient, report: &mut Report) {
    let Some(config) = &patient.config else { return };
    match config.check_local_node(&patient.own_name) {
        Some(problem) => report.error(
            format!("{} ha.cf lists: {}", problem.what, problem.found),
            format!("expected {}", problem.expected),
        ),
        None => report.good(format!("this node is {}, which ha.cf lists", patient.own_name)),
    }
}

/// Whether a name resolves, and to what.
fn resolve(name: &str) -> Vec<IpAddr> {
    let mut found: Vec<IpAddr> =
        (name, 0).to_socket_addrs().map(|a| a.map(|s| s.ip()).collect()).unwrap_or_default();
    found.dedup();
    found
}

pub(super) fn names(patient: &Patient, report: &mut Report) {
    let Some(config) = &patient.config else { return };
    for medium in &config.media {
        if let MediumSpec::Ucast { peer: Host::Name(name), .. } = &medium.spec
            && resolve(name).is_empty()
        {
            report.error(
                format!("{}:{}: the name \"{name}\" does not resolve", config.file, medium.line),
                "write the address; a cluster must not depend on a name server",
            );
        }
    }
    for ping in &config.ping {
        for host in &ping.hosts {
            if let Host::Name(name) = host
                && resolve(name).is_empty()
            {
                let text =
                    format!("{}:{}: the ping node \"{name}\" does not resolve", config.file, ping.line);
                report.error(text, "write the address");
            }
        }
    }
    // On one machine, names of the demo's nodes mean nothing.
    if config.nodename.is_none() {
        for node in &config.nodes {
            let found = resolve(&node.value);
            let own = node.value == patient.own_name;
            if found.is_empty() {
                report.warn(
                    format!("the name of node {} does not resolve; tools that use ssh need it", node.value),
                    "add it to /etc/hosts on every node",
                );
            } else if !own && found.iter().all(IpAddr::is_loopback) {
                report.error(
                    format!("the name of node {} resolves to this machine ({})", node.value, list(&found)),
                    "correct /etc/hosts",
                );
            }
        }
    }
    if report.is_silent() {
        report.good("every name resolves");
    }
}

fn list(addresses: &[IpAddr]) -> String {
    addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

pub(super) fn media(patient: &Patient, report: &mut Report) {
    let Some(config) = &patient.config else { return };
    let system = System::new(patient.paths.clone());
    let mut paths = BTreeSet::new();
    for medium in &config.media {
        let place = format!("{}:{}", config.file, medium.line);
        match &medium.spec {
            MediumSpec::Serial { device, .. } => {
                paths.insert(device.display().to_string());
                if !system.is_character_device(device) {
                    report.error(
                        format!("{place}: {} is no serial device here", device.display()),
                        "ls /dev/ttyS*",
                    );
                }
            }
            MediumSpec::Bcast { iface, .. }
            | MediumSpec::Mcast { iface, .. }
            | MediumSpec::Ucast { iface, .. } => {
                paths.insert(iface.clone());
                if !system.has_interface(iface) {
                    report.error(
                        format!("{place}: there is no interface {iface}"),
                        format!("name one of: {}", interfaces().join(" ")),
                    );
                } else if !is_up(iface) {
                    report.error(
                        format!("{place}: interface {iface} is down"),
                        format!("ip link set {iface} up"),
                    );
                }
            }
        }
    }
    if paths.len() == 1 {
        let name = paths.first().map(String::as_str).unwrap_or_default();
        if name != "lo" {
            report.warn(
                format!(
                    "only one path between the nodes ({name}): its failure looks like the death of a node"
                ),
                "add a second medium: another network, or a serial line",
            );
        }
    }
    if report.is_silent() {
        report.good(format!("{} media, all there", config.media.len()));
    }
}

/// Redundancy that is lost while the node runs: a link on which a member, or this node, is not heard.
pub(super) fn links(patient: &Patient, report: &mut Report) {
    let state = Client::connect(&patient.paths.join("/")).and_then(|mut client| client.state());
    // A node that does not run has no links; that it does not is no illness.
    let Ok(state) = state else { return };
    let mut count = 0;
    for peer in state.peers.iter().filter(|peer| peer.member) {
        for link in &peer.links {
            count += 1;
            if !link.up {
                report.error(
                    format!(
                        "{} is not heard on {}: one path between the nodes is lost",
                        peer.name, link.name
                    ),
                    format!(
                        "look at cables and switches of {}; cl_status listhblinks -v {}",
                        link.name, peer.name
                    ),
                );
            }
        }
    }
    if report.is_silent() && count > 0 {
        report.good(format!("{count} links, all up"));
    }
}

fn interfaces() -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir("/sys/class/net")
        .map(|d| d.flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect())
        .unwrap_or_default();
    names.sort();
    names
}

/// Bit IFF_UP of the interface's flags.
fn is_up(iface: &str) -> bool {
    let base = iface.split(':').next().unwrap_or(iface);
    let flags = fs::read_to_string(format!("/sys/class/net/{base}/flags")).unwrap_or_default();
    let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16);
    // Unreadable: not ours to judge.
    flags.map_or(true, |f| f & 1 != 0)
}

pub(super) fn ports(patient: &Patient, report: &mut Report) {
    let Some(config) = &patient.config else { return };
    let mut wanted: BTreeMap<u16, Option<IpAddr>> = BTreeMap::new();
    for medium in &config.media {
        match &medium.spec {
            MediumSpec::Bcast { port, bind, .. } | MediumSpec::Ucast { port, bind, .. } => {
                wanted.entry(*port).or_insert(*bind);
            }
            MediumSpec::Mcast { port, .. } => {
                wanted.entry(*port).or_insert(None);
            }
            MediumSpec::Serial { .. } => {}
        }
    }
    let sockets = udp_sockets();
    for (port, bind) in &wanted {
        let clash = |s: &&UdpSocket| {
            s.port == *port && (bind.is_none_or(|b| s.address == b) || s.address.is_unspecified())
        };
        for socket in sockets.iter().filter(clash) {
            let owner = owner_of(socket.inode);
            match owner.as_deref() {
                Some("everbeat") => {}
                owner => report.error(
                    format!("UDP port {port} is in use by {}", owner.unwrap_or("another process")),
                    "stop it (a heartbeat still running? systemctl stop heartbeat), or choose another udpport on every node",
                ),
            }
        }
    }
    if report.is_silent() {
        let ports: Vec<String> = wanted.keys().map(u16::to_string).collect();
        report.good(if ports.is_empty() {
            "none needed".to_string()
        } else {
            format!("UDP {} free or ours", ports.join(" "))
        });
    }
}

struct UdpSocket {
    address: IpAddr,
    port: u16,
    inode: u64,
}

/// Bound UDP sockets of this network namespace, from /proc/net/udp and udp6.
fn udp_sockets() -> Vec<UdpSocket> {
    let mut sockets = Vec::new();
    for file in ["/proc/net/udp", "/proc/net/udp6"] {
        let text = fs::read_to_string(file).unwrap_or_default();
        sockets.extend(text.lines().skip(1).filter_map(udp_socket));
    }
    sockets
}

fn udp_socket(line: &str) -> Option<UdpSocket> {
    let mut fields = line.split_ascii_whitespace();
    let (address, port) = fields.nth(1)?.split_once(':')?;
    let inode = fields.nth(7)?.parse().ok()?;
    let address = if address.len() == 8 {
        // Kept in the byte order of the machine that prints it.
        IpAddr::V4(Ipv4Addr::from(u32::from_str_radix(address, 16).ok()?.swap_bytes()))
    } else {
        let zero = address.bytes().all(|b| b == b'0');
        IpAddr::V6(if zero { std::net::Ipv6Addr::UNSPECIFIED } else { std::net::Ipv6Addr::LOCALHOST })
    };
    Some(UdpSocket { address, port: u16::from_str_radix(port, 16).ok()?, inode })
}

/// Name of a process that holds a socket, as far as this user may look.
fn owner_of(inode: u64) -> Option<String> {
    let wanted = format!("socket:[{inode}]");
    let processes = fs::read_dir("/proc").ok()?.flatten();
    for process in processes.filter(|p| p.file_name().to_string_lossy().bytes().all(|b| b.is_ascii_digit())) {
        let Ok(files) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds =
            files.flatten().any(|f| fs::read_link(f.path()).is_ok_and(|l| l.as_os_str() == wanted.as_str()));
        if holds {
            return fs::read_to_string(process.path().join("comm")).ok().map(|c| c.trim().to_string());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn line_of_proc_net_udp() {
        let line = "  522: 0100007F:02B6 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 31337 2 0 0";
        let socket = udp_socket(line).unwrap();
        assert_eq!((socket.port, socket.inode), (694, 31337));
        if cfg!(target_endian = "little") {
            assert_eq!(socket.address.to_string(), "127.0.0.1");
        }
    }
}
