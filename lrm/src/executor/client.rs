//! The core's end of the socket pair.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};
use thiserror::Error;
use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::sync::{mpsc, oneshot};

use super::wire::{Open, Reply, Request, VERSION, WireError, take_frame};

/// The executor has gone away: nothing can be run any more, and the core must stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the executor has gone away")]
pub struct ExecutorGone;

/// Why something was not opened.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error(transparent)]
    Gone(#[from] ExecutorGone),
    /// What the system, or the executor's own rules, said; the text names what was to be opened.
    #[error("{text}")]
    Refused { errno: i32, text: String },
}

impl OpenError {
    /// As an error of the kind the system's number stands for.
    pub fn into_io(self) -> io::Error {
        match self {
            OpenError::Gone(gone) => io::Error::new(io::ErrorKind::BrokenPipe, gone),
            OpenError::Refused { errno, text } => {
                io::Error::new(io::Error::from_raw_os_error(errno).kind(), text)
            }
        }
    }
}

type Waiting = oneshot::Sender<Result<Option<OwnedFd>, OpenError>>;

#[derive(Debug)]
enum Say {
    Request(Request),
    Open(Open, Waiting),
    Flush(oneshot::Sender<()>),
}

/// Sends requests; clones share the connection. Sending never waits.
#[derive(Debug, Clone)]
pub struct Client {
    say: mpsc::UnboundedSender<Say>,
}

/// What the executor says, in order. The answers to [`Client::open`] are not among it.
#[derive(Debug)]
pub struct Replies {
    replies: mpsc::UnboundedReceiver<Reply>,
}

impl Client {
    /// # Errors
    /// [`ExecutorGone`] if the connection has ended.
    pub fn send(&self, request: Request) -> Result<(), ExecutorGone> {
        self.say.send(Say::Request(request)).map_err(|_| ExecutorGone)
    }

    /// Opens something privileged; `None` where the executor keeps it for itself.
    ///
    /// # Errors
    /// [`OpenError`] with the system's reason.
    pub async fn open(&self, what: Open) -> Result<Option<OwnedFd>, OpenError> {
        let (answer, answered) = oneshot::channel();
        self.say.send(Say::Open(what, answer)).map_err(|_| ExecutorGone)?;
        answered.await.map_err(|_| ExecutorGone)?
    }

    /// Waits until everything asked before has left: before the process exits.
    ///
    /// # Errors
    /// [`ExecutorGone`] if the connection ended first.
    pub async fn flush(&self) -> Result<(), ExecutorGone> {
        let (left, has_left) = oneshot::channel();
        self.say.send(Say::Flush(left)).map_err(|_| ExecutorGone)?;
        has_left.await.map_err(|_| ExecutorGone)
    }
}

impl Replies {
    /// The next reply; `None` when the executor has gone away.
    pub async fn recv(&mut self) -> Option<Reply> {
        self.replies.recv().await
    }
}

/// [`connect`] over the standard input, which is where the executor gives the core its end.
///
/// # Errors
/// The standard input is no socket, or no runtime is running.
pub fn connect_stdin(may_reboot: bool) -> io::Result<(Client, Replies)> {
    let fd = io::stdin().as_fd().try_clone_to_owned()?;
    connect(fd, may_reboot)
}

/// Takes the core's end of the socket pair and says hello. `may_reboot`: the configuration says
/// `crm yes`. Runs a task on the current tokio runtime, which ends with the connection or when the
/// client, its clones and the replies are dropped.
///
/// # Errors
/// The descriptor is no socket, or no runtime is running.
pub fn connect(fd: OwnedFd, may_reboot: bool) -> io::Result<(Client, Replies)> {
    rustix::net::sockopt::socket_type(&fd)?;
    let stream = StdUnixStream::from(fd);
    stream.set_nonblocking(true)?;
    let stream = UnixStream::from_std(stream)?;
    let (say, said) = mpsc::unbounded_channel();
    let (replied, replies) = mpsc::unbounded_channel();
    let client = Client { say };
    client
        .send(Request::Hello { version: VERSION, may_reboot })
        .map_err(|e| io::Error::new(io::ErrorKind::BrokenPipe, e))?;
    let connection = Connection {
        stream,
        arrived: Vec::new(),
        fds: VecDeque::new(),
        leaving: VecDeque::new(),
        flushing: Vec::new(),
        waiting: BTreeMap::new(),
        next_ticket: 1,
        replied,
    };
    tokio::spawn(connection.run(said));
    Ok((client, Replies { replies }))
}

struct Connection {
    stream: UnixStream,
    arrived: Vec<u8>,
    fds: VecDeque<OwnedFd>,
    leaving: VecDeque<u8>,
    flushing: Vec<oneshot::Sender<()>>,
    waiting: BTreeMap<u64, Waiting>,
    next_ticket: u64,
    replied: mpsc::UnboundedSender<Reply>,
}

impl Connection {
    async fn run(mut self, mut said: mpsc::UnboundedReceiver<Say>) {
        loop {
            let interest = if self.leaving.is_empty() {
                Interest::READABLE
            } else {
                Interest::READABLE | Interest::WRITABLE
            };
            tokio::select! {
                say = said.recv() => match say {
                    Some(say) => self.say(say),
                    // Nobody asks any more: send what is left and go.
                    None => {
                        self.flush().await;
                        return;
                    }
                },
                ready = self.stream.ready(interest) => {
                    let result = ready.and_then(|ready| {
                        if ready.is_writable() {
                            self.write()?;
                        }
                        if ready.is_readable() { self.read() } else { Ok(true) }
                    });
                    match result {
                        Ok(true) => {}
                        Ok(false) => return,
                        Err(e) => {
                            tracing::error!("the connection to the executor broke: {e}");
                            return;
                        }
                    }
                }
            }
        }
    }

    fn say(&mut self, say: Say) {
        let request = match say {
            Say::Request(request) => request,
            Say::Open(what, waiting) => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.waiting.insert(ticket, waiting);
                Request::Open { ticket, what }
            }
            Say::Flush(left) => {
                self.flushing.push(left);
                self.flushed();
                return;
            }
        };
        match (request.encode(), request) {
            (Ok(bytes), _) => self.leaving.extend(bytes),
            // What cannot be said must still have an end.
            (Err(e), Request::Spawn { exec, .. }) => {
                let end = crate::End::Failed(crate::SpawnError::Other(e.to_string()));
                let outcome = crate::Outcome::of(end, std::time::Duration::ZERO);
                let _ = self.replied.send(Reply::Exited { exec, outcome });
            }
            (Err(e), _) => tracing::error!("a request to the executor was not sent: {e}"),
        }
    }

    fn write(&mut self) -> io::Result<()> {
        while !self.leaving.is_empty() {
            let (front, _) = self.leaving.as_slices();
            match self.stream.try_write(front) {
                Ok(n) => drop(self.leaving.drain(..n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => break,
                Err(e) => return Err(e),
            }
        }
        self.flushed();
        Ok(())
    }

    fn flushed(&mut self) {
        if self.leaving.is_empty() {
            for left in self.flushing.drain(..) {
                // Whoever waited may have given up.
                let _ = left.send(());
            }
        }
    }

    async fn flush(&mut self) {
        while !self.leaving.is_empty() {
            if self.stream.writable().await.is_err() || self.write().is_err() {
                return;
            }
        }
    }

    /// False at the end of the connection.
    fn read(&mut self) -> io::Result<bool> {
        loop {
            let mut buffer = [0; 16 * 1024];
            let fds = &mut self.fds;
            let stream = &self.stream;
            let n = match stream.try_io(Interest::READABLE, || receive(stream, &mut buffer, fds)) {
                Ok(0) => return Ok(false),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(true),
                Err(e) => return Err(e),
            };
            self.arrived.extend_from_slice(buffer.get(..n).unwrap_or(&[]));
            while let Some(frame) = take_frame(&mut self.arrived).map_err(wire)? {
                self.replied(Reply::decode(&frame).map_err(wire)?);
            }
        }
    }

    fn replied(&mut self, reply: Reply) {
        let (ticket, result) = match reply {
            Reply::Opened { ticket, with_fd: false } => (ticket, Ok(None)),
            Reply::Opened { ticket, with_fd: true } => (
                ticket,
                self.fds.pop_front().map(Some).ok_or_else(|| OpenError::Refused {
                    errno: rustix::io::Errno::MFILE.raw_os_error(),
                    text: "the descriptor was lost on its way from the executor".to_owned(),
                }),
            ),
            Reply::OpenFailed { ticket, errno, text } => (ticket, Err(OpenError::Refused { errno, text })),
            reply => {
                // Nobody listens any more: the same as a client that is gone.
                let _ = self.replied.send(reply);
                return;
            }
        };
        if let Some(waiting) = self.waiting.remove(&ticket) {
            let _ = waiting.send(result);
        }
    }
}

fn wire(e: WireError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, e)
}

fn receive(stream: &UnixStream, buffer: &mut [u8], fds: &mut VecDeque<OwnedFd>) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let message = recvmsg(stream, &mut [IoSliceMut::new(buffer)], &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    for part in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = part {
            fds.extend(received);
        }
    }
    Ok(message.bytes)
}
