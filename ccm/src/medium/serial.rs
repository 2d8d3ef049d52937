//! Serial lines (§7.5): 8N1, raw, hardware flow control, classic packets only.
//!
//! Packets are framed by their own marks; what is garbled is skipped up to the next `>>>`. Writing
//! never waits: bytes queue up to [`BACKLOG`] and a packet that does not fit is lost as a whole.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::termios::{self, ControlModes, InputModes, OptionalActions};

use super::Medium;
use crate::wire::{MAX_PACKET, classic};

/// Most bytes waiting to be written: about a second and a half at 19200 baud.
const BACKLOG: usize = 3000;

/// Opens a line and sets it up.
///
/// # Errors
/// No such device, not a terminal, or not permitted.
pub fn open(device: &Path, baud: u32) -> io::Result<OwnedFd> {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(device, flags, Mode::empty())?;
    set_up(&fd, baud)?;
    Ok(fd)
}

fn set_up(fd: &OwnedFd, baud: u32) -> io::Result<()> {
    let mut attributes = termios::tcgetattr(fd)?;
    attributes.make_raw();
    attributes.control_modes |= ControlModes::CREAD | ControlModes::CLOCAL | ControlModes::CRTSCTS;
    attributes.control_modes -= ControlModes::CSTOPB | ControlModes::PARENB;
    attributes.input_modes |= InputModes::IGNBRK | InputModes::ISTRIP;
    attributes.set_speed(baud)?;
    termios::tcsetattr(fd, OptionalActions::Flush, &attributes)?;
    Ok(())
}

/// An open line.
#[derive(Debug)]
pub struct Serial {
    fd: OwnedFd,
    backlog: usize,
    out: VecDeque<u8>,
    line: Vec<u8>,
    packet: Vec<u8>,
    ready: VecDeque<Vec<u8>>,
    inside: bool,
}

impl Serial {
    /// Takes a descriptor made by [`open`].
    ///
    /// # Errors
    /// None at present.
    pub fn attach(fd: OwnedFd, baud: u32) -> io::Result<Serial> {
        Ok(Serial {
            fd,
            backlog: BACKLOG.max(baud as usize / 10),
            out: VecDeque::new(),
            line: Vec::new(),
            packet: Vec::new(),
            ready: VecDeque::new(),
            inside: false,
        })
    }

    /// Cuts packets out of the stream of bytes.
    fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            // The NUL after a packet belongs to no line.
            if byte == 0 && self.line.is_empty() {
                continue;
            }
            self.line.push(byte);
            if self.line.len() > MAX_PACKET {
                self.line.clear();
                self.packet.clear();
                self.inside = false;
            }
            if byte != b'\n' {
                continue;
            }
            let line = std::mem::take(&mut self.line);
            if line.ends_with(classic::START) {
                self.inside = true;
                self.packet.clear();
                self.packet.extend_from_slice(classic::START);
            } else if self.inside {
                self.packet.extend_from_slice(&line);
                if line == classic::END {
                    self.inside = false;
                    if self.ready.len() < 64 {
                        self.ready.push_back(std::mem::take(&mut self.packet));
                    }
                } else if self.packet.len() > MAX_PACKET {
                    self.inside = false;
                    self.packet.clear();
                }
            }
        }
    }
}

impl Medium for Serial {
    fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    fn send(&mut self, _to: Option<SocketAddr>, bytes: &[u8]) -> io::Result<()> {
        // The NUL that ends a classic datagram is not for lines: a real Heartbeat would take it for the
        // beginning of the next packet's first line, and never find that packet.
        let bytes = bytes.strip_suffix(&[0]).unwrap_or(bytes);
        if self.out.len() + bytes.len() > self.backlog {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.out.extend(bytes);
        self.flush()
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, Option<SocketAddr>)> {
        loop {
            if let Some(packet) = self.ready.pop_front() {
                let n = packet.len().min(buffer.len());
                if let (Some(to), Some(from)) = (buffer.get_mut(..n), packet.get(..n)) {
                    to.copy_from_slice(from);
                }
                return Ok((n, None));
            }
            let mut chunk = [0u8; 4096];
            let n = rustix::io::read(&self.fd, &mut chunk)?;
            if n == 0 {
                // A line that hung up is readable for ever and gives nothing: it must be opened again.
                return Err(rustix::io::Errno::IO.into());
            }
            self.feed(chunk.get(..n).unwrap_or_default());
        }
    }

    fn wants_write(&self) -> bool {
        !self.out.is_empty()
    }

    fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            let (head, _) = self.out.as_slices();
            let piece = head.get(..512).unwrap_or(head);
            match rustix::io::write(&self.fd, piece) {
                Ok(n) => {
                    self.out.drain(..n);
                }
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
