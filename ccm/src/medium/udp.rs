//! UDP media: broadcast, unicast and multicast, IPv4 and IPv6.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::{Domain, InterfaceIndexOrAddress, Protocol, Socket, Type};

use super::{Endpoint, Medium, interface};
use crate::config::Host;

/// Wanted receive buffer, bytes: a window of pieces from each of many peers.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// IPTOS_LOWDELAY, as the reference sets it on unicast.
const LOW_DELAY: u32 = 0x10;

/// Opens and binds the socket of an endpoint. Needs privileges for ports below 1024, and CAP_NET_RAW on
/// older kernels to bind to an interface; where that is refused the socket works unbound.
///
/// # Errors
/// No such interface or address, port in use or not permitted.
pub fn open(endpoint: &Endpoint) -> io::Result<OwnedFd> {
    let (v6, port, iface) = match endpoint {
        Endpoint::Broadcast { iface, port, .. } => (false, *port, iface),
        Endpoint::Unicast { iface, port, v6, .. } => (*v6, *port, iface),
        Endpoint::Multicast { iface, port, group, .. } => (group.is_ipv6(), *port, iface),
        Endpoint::Serial { .. } => return Err(io::ErrorKind::InvalidInput.into()),
    };
    let domain = if v6 { Domain::IPV6 } else { Domain::IPV4 };
    let socket = Socket::new(domain, Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    if v6 {
        socket.set_only_v6(true)?;
    }
    // A name of an interface that is not there is an error; a refusal is not.
    interface::index(iface)?;
    let _ = socket.bind_device(Some(iface.as_bytes()));
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_err() {
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    let any: IpAddr = if v6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    match endpoint {
        Endpoint::Unicast { bind, .. } => {
            socket.bind(&SocketAddr::new(bind.unwrap_or(any), port).into())?;
            if !v6 {
                let _ = socket.set_tos_v4(LOW_DELAY);
            }
        }
        Endpoint::Broadcast { .. } => {
            socket.set_broadcast(true)?;
            socket.bind(&SocketAddr::new(any, port).into())?;
        }
        Endpoint::Multicast { group, ttl, loopback, .. } => {
            socket.bind(&SocketAddr::new(any, port).into())?;
            let index = interface::index(iface)?;
            match group {
                IpAddr::V4(group) => {
                    socket.join_multicast_v4_n(group, &InterfaceIndexOrAddress::Index(index))?;
                    let (own, _) = interface::ipv4(iface)?;
                    socket.set_multicast_if_v4(&own)?;
                    socket.set_multicast_ttl_v4(u32::from(*ttl))?;
                    socket.set_multicast_loop_v4(*loopback)?;
                }
                IpAddr::V6(group) => {
                    socket.join_multicast_v6(group, index)?;
                    socket.set_multicast_if_v6(index)?;
                    socket.set_multicast_hops_v6(u32::from(*ttl))?;
                    socket.set_multicast_loop_v6(*loopback)?;
                }
            }
        }
        Endpoint::Serial { .. } => {}
    }
    Ok(socket.into())
}

/// An open UDP medium.
#[derive(Debug)]
pub struct Udp {
    socket: std::net::UdpSocket,
    everybody: Vec<SocketAddr>,
    /// Interface whose own addresses the socket was set up with.
    follows: Option<(String, Option<(Ipv4Addr, Ipv4Addr)>)>,
}

impl Udp {
    /// Takes a socket made by [`open`], here or in another process.
    ///
    /// # Errors
    /// An address of the endpoint cannot be told (no interface, unresolved name).
    pub fn attach(fd: OwnedFd, endpoint: &Endpoint) -> io::Result<Udp> {
        let everybody = match endpoint {
            Endpoint::Broadcast { iface, port, .. } => {
                let (_, broadcast) = interface::ipv4(iface)?;
                vec![SocketAddr::new(broadcast.into(), *port)]
            }
            Endpoint::Multicast { iface, group, port, .. } => vec![scoped(*group, *port, iface)?],
            Endpoint::Unicast { iface, port, peers, .. } => {
                let mut all = Vec::new();
                for peer in peers {
                    match peer {
                        Host::Address(address) => all.push(scoped(*address, *port, iface)?),
                        Host::Name(name) => {
                            return Err(io::Error::other(format!("host name {name} was not resolved")));
                        }
                    }
                }
                all
            }
            Endpoint::Serial { .. } => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let socket = std::net::UdpSocket::from(fd);
        socket.set_nonblocking(true)?;
        let follows = match endpoint {
            Endpoint::Broadcast { iface, .. } => Some((iface.clone(), interface::ipv4(iface).ok())),
            Endpoint::Multicast { iface, group, .. } if group.is_ipv4() => {
                Some((iface.clone(), interface::ipv4(iface).ok()))
            }
            _ => None,
        };
        Ok(Udp { socket, everybody, follows })
    }
}

/// Link-local IPv6 addresses need their interface.
fn scoped(address: IpAddr, port: u16, iface: &str) -> io::Result<SocketAddr> {
    Ok(match address {
        IpAddr::V6(v6) if v6.is_unicast_link_local() || v6.is_multicast() => {
            SocketAddrV6::new(v6, port, 0, interface::index(iface)?).into()
        }
        _ => SocketAddr::new(address, port),
    })
}

impl Medium for Udp {
    fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    fn send(&mut self, to: Option<SocketAddr>, bytes: &[u8]) -> io::Result<()> {
        if let Some(to) = to {
            return self.socket.send_to(bytes, to).map(|_| ());
        }
        let mut result = Ok(());
        for to in &self.everybody {
            // One peer without a route must not keep the others from hearing.
            if let Err(error) = self.socket.send_to(bytes, to) {
                result = Err(error);
            }
        }
        result
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
        self.socket.recv_from(buffer).map(|(n, from)| (n, Some(from)))
    }

    fn is_stale(&self) -> bool {
        self.follows.as_ref().is_some_and(|(iface, was)| interface::ipv4(iface).ok() != *was)
    }
}
