//! ICMP echoes to ping nodes (§15), over datagram ICMP sockets where the kernel permits them, else over
//! raw ones.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use socket2::{Domain, Protocol, Socket, Type};

/// First bytes of our payload.
const MAGIC: &[u8] = b"everbeat";

/// Opens a socket for echoes.
///
/// # Errors
/// Neither kind is permitted.
pub fn open(v6: bool) -> io::Result<OwnedFd> {
    let (domain, protocol) =
        if v6 { (Domain::IPV6, Protocol::ICMPV6) } else { (Domain::IPV4, Protocol::ICMPV4) };
    let socket = Socket::new(domain, Type::DGRAM, Some(protocol))
        .or_else(|_| Socket::new(domain, Type::RAW, Some(protocol)))?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// Sends echoes and recognises their answers.
#[derive(Debug)]
pub struct Pinger {
    socket: Socket,
    v6: bool,
    raw: bool,
    nonce: u64,
    sequence: u16,
}

/// Which host of which ping node answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub target: usize,
    pub host: usize,
}

impl Pinger {
    /// Takes a socket made by [`open`]. `nonce` is this run's own random number: an answer must carry it.
    ///
    /// # Errors
    /// The descriptor is no socket.
    pub fn attach(fd: OwnedFd, v6: bool, nonce: u64) -> io::Result<Pinger> {
        let socket = Socket::from(fd);
        let raw = socket.r#type()? == Type::RAW;
        Ok(Pinger { socket, v6, raw, nonce, sequence: 0 })
    }

    pub fn fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// Sends one echo.
    ///
    /// # Errors
    /// As `sendto`.
    pub fn ping(&mut self, to: IpAddr, which: Answer) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut packet = vec![if self.v6 { 128 } else { 8 }, 0, 0, 0];
        packet.extend_from_slice(&(self.nonce as u16).to_be_bytes());
        packet.extend_from_slice(&self.sequence.to_be_bytes());
        packet.extend_from_slice(MAGIC);
        packet.extend_from_slice(&self.nonce.to_be_bytes());
        packet.extend_from_slice(&(which.target as u32).to_be_bytes());
        packet.extend_from_slice(&(which.host as u32).to_be_bytes());
        // The kernel fills the sum in for datagram sockets and for ICMPv6.
        if self.raw && !self.v6 {
            let sum = checksum(&packet).to_be_bytes();
            packet.splice(2..4, sum);
        }
        self.socket.send_to(&packet, &SocketAddr::new(to, 0).into()).map(|_| ())
    }

    /// Takes one answer to an echo of ours; other packets are passed over.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there.
    pub fn answer(&mut self) -> io::Result<Option<Answer>> {
        let mut buffer = [0u8; 1500];
        let n = rustix::net::recv(&self.socket, &mut buffer, rustix::net::RecvFlags::empty())?.0;
        let mut packet = buffer.get(..n).unwrap_or_default();
        if self.raw && !self.v6 {
            let header = usize::from(packet.first().copied().unwrap_or(0) & 15) * 4;
            packet = packet.get(header..).unwrap_or_default();
        }
        Ok(self.parse(packet))
    }

    fn parse(&self, packet: &[u8]) -> Option<Answer> {
        let kind = *packet.first()?;
        if kind != if self.v6 { 129 } else { 0 } {
            return None;
        }
        let rest = packet.get(8..)?.strip_prefix(MAGIC)?.strip_prefix(&self.nonce.to_be_bytes())?;
        let number = |at: usize| -> Option<usize> {
            Some(u32::from_be_bytes(rest.get(at..at + 4)?.try_into().ok()?) as usize)
        };
        Some(Answer { target: number(0)?, host: number(4)? })
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0u32;
    for pair in bytes.chunks(2) {
        let high = u32::from(pair.first().copied().unwrap_or(0));
        let low = u32::from(pair.get(1).copied().unwrap_or(0));
        sum += (high << 8) | low;
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}
