//! Descriptions of media, as the configuration gives them.

use std::net::IpAddr;
use std::path::PathBuf;

use crate::config::{Host, Medium, MediumSpec};
use crate::link::MediumInfo;
use crate::wire::envelope::Format;

/// One socket or line. `ucast` lines of one interface share a socket: the kernel hands a datagram to
/// one socket of a port only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    Broadcast { iface: String, port: u16, bind: Option<IpAddr> },
    Unicast { iface: String, port: u16, v6: bool, bind: Option<IpAddr>, peers: Vec<Host> },
    Multicast { iface: String, group: IpAddr, port: u16, ttl: u8, loopback: bool },
    Serial { device: PathBuf, baud: u32 },
}

impl Endpoint {
    /// Interface or device.
    pub fn name(&self) -> String {
        match self {
            Endpoint::Broadcast { iface, .. }
            | Endpoint::Unicast { iface, .. }
            | Endpoint::Multicast { iface, .. } => iface.clone(),
            Endpoint::Serial { device, .. } => device.display().to_string(),
        }
    }

    /// Whether it has a network interface whose carrier can be asked for.
    pub fn interface(&self) -> Option<&str> {
        match self {
            Endpoint::Broadcast { iface, .. }
            | Endpoint::Unicast { iface, .. }
            | Endpoint::Multicast { iface, .. } => Some(iface),
            Endpoint::Serial { .. } => None,
        }
    }

    /// What the link machine knows of it.
    pub fn info(&self) -> MediumInfo {
        match self {
            Endpoint::Serial { baud, .. } => MediumInfo {
                name: self.name(),
                format: Format::Classic,
                // Short packets, so that a heartbeat never waits long behind one.
                piece: 400,
                forward: true,
                expected: false,
                // Ten bits a byte, four for three by base64, and half left to the heartbeats.
                rate: u64::from(*baud) / 10 * 3 / 4 / 2,
            },
            _ => MediumInfo::network(&self.name()),
        }
    }
}

/// The endpoints of a configuration's media, in order of their first line.
pub fn endpoints(media: &[Medium]) -> Vec<Endpoint> {
    let mut list: Vec<Endpoint> = Vec::new();
    for medium in media {
        match &medium.spec {
            MediumSpec::Bcast { iface, port, bind } => {
                list.push(Endpoint::Broadcast { iface: iface.clone(), port: *port, bind: *bind });
            }
            MediumSpec::Mcast { iface, group, port, ttl, loopback } => list.push(Endpoint::Multicast {
                iface: iface.clone(),
                group: *group,
                port: *port,
                ttl: *ttl,
                loopback: *loopback,
            }),
            MediumSpec::Serial { device, baud } => {
                list.push(Endpoint::Serial { device: device.clone(), baud: *baud });
            }
            MediumSpec::Ucast { iface, peer, port, v6, bind } => {
                let same = list.iter_mut().find_map(|e| match e {
                    Endpoint::Unicast { iface: i, port: p, v6: v, bind: b, peers }
                        if i == iface && p == port && v == v6 && b == bind =>
                    {
                        Some(peers)
                    }
                    _ => None,
                });
                match same {
                    Some(peers) if peers.contains(peer) => {}
                    Some(peers) => peers.push(peer.clone()),
                    None => list.push(Endpoint::Unicast {
                        iface: iface.clone(),
                        port: *port,
                        v6: *v6,
                        bind: *bind,
                        peers: vec![peer.clone()],
                    }),
                }
            }
        }
    }
    list
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ucast(iface: &str, peer: &str) -> Medium {
        let spec = MediumSpec::Ucast {
            iface: iface.into(),
            peer: Host::new(peer),
            port: 694,
            v6: false,
            bind: None,
        };
        Medium { spec, line: 1 }
    }

    #[test]
    fn unicast_lines_of_an_interface_share_a_socket() {
        let list =
            endpoints(&[ucast("eth0", "10.0.0.1"), ucast("eth1", "10.1.0.2"), ucast("eth0", "10.0.0.2")]);
        assert_eq!(list.len(), 2);
        assert!(matches!(&list[0], Endpoint::Unicast { peers, .. } if peers.len() == 2));
        assert_eq!(list[1].name(), "eth1");
    }
}
