//! A medium inside one process, for tests and examples: every member hears every other one.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixDatagram;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Endpoint, Medium, Opener};

type Member = Arc<(SocketAddr, UnixDatagram)>;

/// The wire. Clones are the same wire.
#[derive(Debug, Clone, Default)]
pub struct Wire {
    members: Arc<Mutex<Vec<Member>>>,
}

/// One end of it.
#[derive(Debug)]
pub struct Memory {
    wire: Wire,
    own: SocketAddr,
    inbox: UnixDatagram,
}

impl Wire {
    /// A new member.
    ///
    /// # Errors
    /// No descriptors left.
    pub fn join(&self) -> io::Result<Memory> {
        let (inbox, outbox) = UnixDatagram::pair()?;
        inbox.set_nonblocking(true)?;
        outbox.set_nonblocking(true)?;
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let number = u8::try_from(members.len() + 1).unwrap_or(255);
        let own = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 1, 0, number)), 694);
        members.push(Arc::new((own, outbox)));
        Ok(Memory { wire: self.clone(), own, inbox })
    }
}

impl Medium for Memory {
    fn fd(&self) -> BorrowedFd<'_> {
        self.inbox.as_fd()
    }

    fn send(&mut self, to: Option<SocketAddr>, bytes: &[u8]) -> io::Result<()> {
        let members = self.wire.members.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for member in members.iter().filter(|m| m.0 != self.own && to.is_none_or(|to| to == m.0)) {
            let mut packet = match self.own.ip() {
                IpAddr::V4(ip) => ip.octets().to_vec(),
                IpAddr::V6(_) => vec![0; 4],
            };
            packet.extend_from_slice(bytes);
            // A full or closed inbox loses the packet, as a wire does.
            let _ = member.1.send(&packet);
        }
        Ok(())
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
        let n = self.inbox.recv(buffer)?;
        let Some(head) = buffer.get(..4).and_then(|h| <[u8; 4]>::try_from(h).ok()) else {
            return Ok((0, None));
        };
        buffer.copy_within(4..n.max(4), 0);
        Ok((n.saturating_sub(4), Some(SocketAddr::new(head.into(), 694))))
    }
}

/// Opens the media of one node, one wire for each of its endpoints.
#[derive(Debug, Clone)]
pub struct WireOpener(pub Vec<Wire>);

impl Opener for WireOpener {
    fn open(&mut self, index: usize, _endpoint: &Endpoint) -> io::Result<Box<dyn Medium>> {
        let wire = self.0.get(index).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(wire.join()?))
    }
}
