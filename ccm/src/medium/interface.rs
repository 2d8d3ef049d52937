//! Facts about network interfaces: addresses, carrier, and news of changes.

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;

use nix::ifaddrs::{InterfaceAddress, getifaddrs};
use nix::net::if_::InterfaceFlags;
use rustix::net::{AddressFamily, SocketFlags, SocketType, netlink};

fn of(name: &str) -> io::Result<Vec<InterfaceAddress>> {
    Ok(getifaddrs().map_err(io::Error::from)?.filter(|a| a.interface_name == name).collect())
}

/// Address and broadcast address of the interface's first IPv4 address.
///
/// # Errors
/// The interface does not exist, or has no IPv4 address.
pub fn ipv4(name: &str) -> io::Result<(Ipv4Addr, Ipv4Addr)> {
    let all = of(name)?;
    if all.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, format!("no interface {name}")));
    }
    for entry in all {
        let Some(own) = entry.address.as_ref().and_then(|a| a.as_sockaddr_in()) else { continue };
        let broadcast = match entry.broadcast.as_ref().and_then(|b| b.as_sockaddr_in()) {
            Some(b) => b.ip(),
            None if entry.flags.contains(InterfaceFlags::IFF_LOOPBACK) => Ipv4Addr::new(127, 255, 255, 255),
            // Without one the address of the local wire reaches every host on it.
            None => Ipv4Addr::BROADCAST,
        };
        return Ok((own.ip(), broadcast));
    }
    Err(io::Error::new(io::ErrorKind::AddrNotAvailable, format!("interface {name} has no IPv4 address")))
}

/// Index of the interface.
///
/// # Errors
/// It does not exist.
pub fn index(name: &str) -> io::Result<u32> {
    nix::net::if_::if_nametoindex(name).map_err(io::Error::from)
}

/// Which of these interfaces are up and have carrier. One that does not exist has none.
///
/// Asked of the kernel over netlink, so the answer is that of this network namespace whatever is
/// mounted on /sys.
///
/// # Errors
/// The question itself failed.
pub fn carriers(names: &[&str]) -> io::Result<Vec<bool>> {
    let mut found = vec![false; names.len()];
    for entry in getifaddrs().map_err(io::Error::from)? {
        let both = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
        if entry.flags.contains(both) {
            for (name, slot) in names.iter().zip(&mut found) {
                *slot |= entry.interface_name == *name;
            }
        }
    }
    Ok(found)
}

/// A socket that becomes readable when an interface or an address changes.
///
/// # Errors
/// As `socket` and `bind`.
pub fn watch() -> io::Result<OwnedFd> {
    // linux/rtnetlink.h: RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR.
    const GROUPS: u32 = 0x1 | 0x10 | 0x100;
    // Protocol 0 of netlink is NETLINK_ROUTE.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    rustix::net::bind(&fd, &netlink::SocketAddrNetlink::new(0, GROUPS))?;
    Ok(fd)
}
