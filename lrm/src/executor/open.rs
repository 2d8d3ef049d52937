//! What the executor opens for the core.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use socket2::{Domain, Protocol, Socket, Type};

use super::wire::{Multicast, Open, Udp};

/// Wanted receive buffer, bytes: a window of pieces from each of many peers.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;
/// IPTOS_LOWDELAY, which Heartbeat sets on unicast.
const LOW_DELAY: u32 = 0x10;

/// Opens it. `config_dir`: where [`Open::Config`] names files.
///
/// # Errors
/// The system's reason, or `InvalidInput` for what the rules here forbid.
pub(super) fn open(what: &Open, config_dir: &Path) -> io::Result<OwnedFd> {
    match what {
        Open::Udp(spec) => udp(spec),
        Open::Icmp { v6, device } => icmp(*v6, device.as_deref()),
        Open::Serial { path, baud } => serial(path, *baud),
        Open::Config { name } => config(config_dir, name),
        Open::Watchdog { path, timeout_s } => watchdog(path, *timeout_s),
    }
}

/// What it is, for messages.
pub(super) fn describe(what: &Open) -> String {
    match what {
        Open::Udp(udp) => match &udp.device {
            Some(device) => format!("UDP socket {} on {device}", udp.bind),
            None => format!("UDP socket {}", udp.bind),
        },
        Open::Icmp { v6: false, .. } => "ICMP socket".to_owned(),
        Open::Icmp { v6: true, .. } => "ICMPv6 socket".to_owned(),
        Open::Serial { path, .. } => format!("serial line {path}"),
        Open::Config { name } => format!("configuration file {name}"),
        Open::Watchdog { path, .. } => format!("watchdog {path}"),
    }
}

fn forbidden(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

fn udp(spec: &Udp) -> io::Result<OwnedFd> {
    let v6 = spec.bind.is_ipv6();
    let socket = Socket::new(if v6 { Domain::IPV6 } else { Domain::IPV4 }, Type::DGRAM, Some(Protocol::UDP))?;
    if v6 {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(spec.reuse)?;
    // A group is sent to by the interface it was joined on: the socket belongs to that interface.
    if let Some(device) = spec.device.as_ref().or(spec.multicast.as_ref().map(|m| &m.device)) {
        bind_device(&socket, device)?;
    }
    // Beyond the system's limit if we may, up to it if not, and a small one is no reason to fail.
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER).is_err() {
        let _ = socket.set_recv_buffer_size(RECEIVE_BUFFER);
    }
    if !v6 && !spec.broadcast && spec.multicast.is_none() {
        let _ = socket.set_tos_v4(LOW_DELAY);
    }
    if spec.broadcast {
        socket.set_broadcast(true)?;
    }
    socket.bind(&spec.bind.into())?;
    if let Some(multicast) = &spec.multicast {
        join(&socket, multicast)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

fn join(socket: &Socket, m: &Multicast) -> io::Result<()> {
    let index = rustix::net::netdevice::name_to_index(socket, &m.device)?;
    match m.group {
        IpAddr::V4(group) => {
            socket.join_multicast_v4_n(&group, &socket2::InterfaceIndexOrAddress::Index(index))?;
            socket.set_multicast_ttl_v4(u32::from(m.ttl))?;
            socket.set_multicast_loop_v4(m.loopback)?;
        }
        IpAddr::V6(group) => {
            socket.join_multicast_v6(&group, index)?;
            socket.set_multicast_hops_v6(u32::from(m.ttl))?;
            socket.set_multicast_loop_v6(m.loopback)?;
            socket.set_multicast_if_v6(index)?;
        }
    }
    Ok(())
}

/// A ping socket where the kernel permits them, else a raw one.
fn icmp(v6: bool, device: Option<&str>) -> io::Result<OwnedFd> {
    let (domain, protocol) =
        if v6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))
        .or_else(|_| Socket::new(domain, Type::RAW, Some(protocol)))?;
    if let Some(device) = device {
        bind_device(&socket, device)?;
    }
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Binds to an interface. Older kernels refuse that to ordinary users, and the socket works without: the
/// addresses tell packets apart. A name of no interface is an error.
fn bind_device(socket: &Socket, device: &str) -> io::Result<()> {
    match socket.bind_device(Some(device.as_bytes())) {
        Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
            rustix::net::netdevice::name_to_index(socket, device)?;
            Ok(())
        }
        result => result,
    }
}

/// Only paths below `/dev`, without a way out of it.
fn device_path(path: &str) -> io::Result<&str> {
    let below = path.strip_prefix("/dev/").ok_or_else(|| forbidden("is not below /dev"))?;
    if below.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
        return Err(forbidden("is no plain path below /dev"));
    }
    Ok(path)
}

fn serial(path: &str, baud: u32) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(device_path(path)?, flags, Mode::empty())?;
    if !rustix::termios::isatty(&fd) {
        return Err(forbidden("is no serial line"));
    }
    let mut termios = rustix::termios::tcgetattr(&fd)?;
    termios.make_raw();
    termios.control_modes |= rustix::termios::ControlModes::CLOCAL | rustix::termios::ControlModes::CREAD;
    termios.set_speed(baud)?;
    rustix::termios::tcsetattr(&fd, rustix::termios::OptionalActions::Flush, &termios)?;
    Ok(fd)
}

fn config(dir: &Path, name: &str) -> io::Result<OwnedFd> {
    // The rule for names of agents is the rule for names of files.
    if crate::AgentRef::new(crate::Class::Lsb, None, name).is_err() {
        return Err(forbidden("is no plain name of a file"));
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(dir.join(name), flags, Mode::empty())?;
    let kind = rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode);
    if kind != rustix::fs::FileType::RegularFile {
        return Err(forbidden("is no regular file"));
    }
    Ok(fd)
}

nix::ioctl_readwrite!(
    /// `WDIOC_SETTIMEOUT` of linux/watchdog.h: seconds in, the device's own rounding of them out.
    watchdog_timeout,
    b'W',
    6,
    nix::libc::c_int
);

/// Opens and thereby arms a watchdog. One that cannot be given its time keeps its own, which is said.
fn watchdog(path: &str, timeout_s: u32) -> io::Result<OwnedFd> {
    let path = device_path(path)?;
    if !path.starts_with("/dev/watchdog") && path != "/dev/misc/watchdog" {
        return Err(forbidden("is no watchdog"));
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty())?;
    let mut seconds = nix::libc::c_int::try_from(timeout_s.max(1)).unwrap_or(nix::libc::c_int::MAX);
    // SAFETY: the descriptor is open, and the request reads and writes one int, which lives here.
    #[allow(unsafe_code)]
    let set = unsafe { watchdog_timeout(fd.as_raw_fd(), &mut seconds) };
    if let Err(error) = set {
        tracing::warn!("watchdog {path}: its time cannot be set to {timeout_s} s: {error}");
    }
    Ok(fd)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::net::SocketAddr;

    use super::*;

    fn kind(what: &Open) -> io::ErrorKind {
        open(what, Path::new("/etc/ha.d")).unwrap_err().kind()
    }

    #[test]
    fn the_core_cannot_have_any_file_opened() {
        for path in ["/etc/shadow", "/dev/../etc/shadow", "/dev/mem", "/dev/sda", "/dev/watchdogs/../mem"] {
            assert_eq!(
                kind(&Open::Watchdog { path: path.into(), timeout_s: 9 }),
                io::ErrorKind::InvalidInput,
                "{path}"
            );
        }
        for path in ["/etc/shadow", "/dev/../etc/shadow", "/dev/null"] {
            assert_eq!(
                kind(&Open::Serial { path: path.into(), baud: 9600 }),
                io::ErrorKind::InvalidInput,
                "{path}"
            );
        }
        for name in ["../shadow", "/etc/shadow", "a/b", ""] {
            assert_eq!(kind(&Open::Config { name: name.into() }), io::ErrorKind::InvalidInput, "{name}");
        }
    }

    #[test]
    fn a_udp_socket_is_bound_as_asked() {
        let spec = Udp {
            bind: SocketAddr::from(([127, 0, 0, 1], 0)),
            device: None,
            broadcast: true,
            reuse: false,
            multicast: None,
        };
        let fd = open(&Open::Udp(spec), Path::new("/")).unwrap();
        let socket = std::net::UdpSocket::from(fd);
        assert!(socket.broadcast().unwrap());
        assert_eq!(socket.local_addr().unwrap().ip().to_string(), "127.0.0.1");
    }
}
