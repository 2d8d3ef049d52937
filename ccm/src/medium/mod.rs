//! Media: what carries packets between nodes.
//!
//! [`Endpoint`] is the plain description of one, made from `ha.cf` by [`endpoints`]. With the feature
//! `runtime`, [`Medium`] is an open one: a file descriptor to wait on, `send`, `receive`. A new kind of
//! medium is one file with an implementation of [`Medium`] and one line in [`attach`]; a foreign crate
//! implements [`Medium`] and an [`Opener`] of its own (`examples/examples/own_medium.rs`).
//!
//! What was tried with what (tests of this crate, and `tests/tests/interop.rs` against Heartbeat 3.0.6):
//!
//! | medium          | own nodes | Heartbeat 3.0.6 |
//! |-----------------|-----------|-----------------|
//! | `bcast`, `ucast`, `mcast` | sha1, hmac-sha256 | crc, md5, sha1; whole packets compressed and not; one in five lost |
//! | `mcast6`, `ucast6` | hmac-sha256 | sha1; one packet in five lost |
//! | `serial`        | sha1; lines and chains | crc, md5, sha1, in the classic notation |
//! | in memory       | crc, sha1, hmac-sha256 | |
//!
//! Between own nodes every key but `crc` also encrypts.

mod endpoint;
#[cfg(feature = "runtime")]
pub mod icmp;
#[cfg(feature = "runtime")]
pub mod interface;
#[cfg(feature = "runtime")]
pub mod memory;
#[cfg(feature = "runtime")]
pub mod serial;
#[cfg(feature = "runtime")]
pub mod udp;

pub use endpoint::{Endpoint, endpoints};

#[cfg(feature = "runtime")]
pub use self::open::{DirectOpener, Medium, Opener, attach};

#[cfg(feature = "runtime")]
mod open {
    use std::io;
    use std::net::SocketAddr;
    use std::os::fd::{BorrowedFd, OwnedFd};

    use super::{Endpoint, serial, udp};
    use crate::config::Host;

    /// An open medium, used by one thread and never waited on inside.
    pub trait Medium: Send {
        /// Readable when [`Medium::receive`] has something.
        fn fd(&self) -> BorrowedFd<'_>;

        /// Sends one packet to everybody on the medium, or to one address of it.
        ///
        /// # Errors
        /// `WouldBlock` if the packet was not taken; it is lost as on a wire. [`is_fatal`] tells whether
        /// the medium must be opened again.
        fn send(&mut self, to: Option<SocketAddr>, bytes: &[u8]) -> io::Result<()>;

        /// Takes one packet; `WouldBlock` when there is none.
        ///
        /// # Errors
        /// As for `send`.
        fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)>;

        /// Whether the interface's addresses have changed so that it must be opened again.
        fn is_stale(&self) -> bool {
            false
        }

        /// Whether bytes wait to be written when the descriptor takes some (serial lines).
        fn wants_write(&self) -> bool {
            false
        }

        /// Writes what waits.
        ///
        /// # Errors
        /// As for `send`.
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Opens media, at start and again after a failure. Must not wait: it is called in the heartbeat
    /// thread.
    pub trait Opener: Send {
        /// # Errors
        /// Why it cannot be opened now; it is tried again.
        fn open(&mut self, index: usize, endpoint: &Endpoint) -> io::Result<Box<dyn Medium>>;
    }

    /// Opens sockets and devices with this process's own privileges.
    #[derive(Debug, Default)]
    pub struct DirectOpener;

    impl Opener for DirectOpener {
        fn open(&mut self, _index: usize, endpoint: &Endpoint) -> io::Result<Box<dyn Medium>> {
            let fd = match endpoint {
                Endpoint::Serial { device, baud } => serial::open(device, *baud)?,
                _ => udp::open(endpoint)?,
            };
            attach(fd, endpoint)
        }
    }

    /// Makes a medium of a descriptor opened elsewhere: by [`udp::open`] or [`serial::open`] in the
    /// privileged process.
    ///
    /// # Errors
    /// When the descriptor is not what the endpoint describes.
    pub fn attach(fd: OwnedFd, endpoint: &Endpoint) -> io::Result<Box<dyn Medium>> {
        Ok(match endpoint {
            Endpoint::Serial { baud, .. } => Box::new(serial::Serial::attach(fd, *baud)?),
            _ => Box::new(udp::Udp::attach(fd, endpoint)?),
        })
    }

    impl Endpoint {
        /// Resolves host names, once and before the heartbeat thread starts: it never waits for DNS.
        ///
        /// # Errors
        /// The name that has no address.
        pub fn resolve(&mut self) -> io::Result<()> {
            let Endpoint::Unicast { peers, v6, port, .. } = self else { return Ok(()) };
            for peer in peers {
                if let Host::Name(name) = peer {
                    let address = resolve(name, *port, *v6)?;
                    *peer = Host::Address(address.ip());
                }
            }
            Ok(())
        }
    }

    fn resolve(name: &str, port: u16, v6: bool) -> io::Result<SocketAddr> {
        use std::net::ToSocketAddrs;
        let found = (name, port).to_socket_addrs()?.find(|a| a.is_ipv6() == v6);
        found.ok_or_else(|| io::Error::other(format!("host {name} has no address of the wanted family")))
    }

    /// Whether after this error the medium has to be opened again. The others are weather: a cable
    /// pulled, a full queue, a filter.
    pub(crate) fn is_fatal(error: &io::Error) -> bool {
        use rustix::io::Errno;
        let soft = [
            Errno::AGAIN,
            Errno::INTR,
            Errno::NOBUFS,
            Errno::NETDOWN,
            Errno::NETUNREACH,
            Errno::HOSTDOWN,
            Errno::HOSTUNREACH,
            Errno::CONNREFUSED,
            Errno::PERM,
            Errno::ACCESS,
            Errno::ADDRNOTAVAIL,
            Errno::MSGSIZE,
            Errno::NOMEM,
            Errno::INVAL,
        ];
        match error.raw_os_error() {
            Some(code) => !soft.iter().any(|e| e.raw_os_error() == code),
            None => false,
        }
    }
}

#[cfg(feature = "runtime")]
pub(crate) use open::is_fatal;
