//! A core as the executor sees it: its process, and its end of the socket.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};
use std::time::Instant;

use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, pidfd_open, prlimit};

use super::wire::{Reply, Request, take_frame};
use super::{CoreCommand, rights};

/// A core that runs.
pub(super) struct Core {
    pub(super) child: Child,
    pub(super) pidfd: OwnedFd,
    pub(super) started: Instant,
    pub(super) stream: UnixStream,
    pub(super) arrived: Vec<u8>,
    pub(super) leaving: VecDeque<Leaving>,
    pub(super) greeted: bool,
    pub(super) may_reboot: bool,
    pub(super) bye: Option<i32>,
    /// Since when the socket has ended, or carried nonsense.
    pub(super) deaf: Option<Instant>,
}

pub(super) struct Leaving {
    bytes: Vec<u8>,
    at: usize,
    fd: Option<OwnedFd>,
}

impl Core {
    pub(super) fn start(how: &CoreCommand) -> io::Result<Core> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = std::process::Command::new(&how.program);
        command.args(&how.args).envs(how.env.iter().map(|(n, v)| (n, v)));
        // Of its own group, so that a Ctrl-C at the terminal reaches us alone, who ask it to stop.
        command.stdin(Stdio::from(OwnedFd::from(theirs))).process_group(0);
        match &how.user {
            Some(user) if how.becomes && !rights::may_raise_limits() => {
                command.arg("--become").arg(format!("{}:{}", user.uid, user.gid));
            }
            // Supplementary groups are dropped with the user.
            Some(user) => _ = command.gid(user.gid).uid(user.uid),
            None => {}
        }
        let mut child = command.spawn()?;
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let pidfd = pid.ok_or(ErrorKind::InvalidData.into()).and_then(|pid| {
            raise_limits(pid);
            pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(io::Error::from)
        });
        let pidfd = match pidfd {
            Ok(pidfd) => pidfd,
            Err(e) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(e);
            }
        };
        Ok(Core {
            child,
            pidfd,
            started: Instant::now(),
            stream: ours,
            arrived: Vec::new(),
            leaving: VecDeque::new(),
            greeted: false,
            may_reboot: false,
            bye: None,
            deaf: None,
        })
    }

    pub(super) fn say(&mut self, reply: &Reply, fd: Option<OwnedFd>) {
        match reply.encode() {
            Ok(bytes) => self.leaving.push_back(Leaving { bytes, at: 0, fd }),
            Err(e) => {
                tracing::error!("a reply to the core was not sent: {e}");
                self.deaf = Some(Instant::now());
            }
        }
    }

    /// Sends what can be sent without waiting.
    pub(super) fn write(&mut self) {
        while let Some(front) = self.leaving.front_mut() {
            let rest = front.bytes.get(front.at..).unwrap_or(&[]);
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut control = SendAncillaryBuffer::new(&mut space);
            let fds = front.fd.as_ref().map(|fd| [fd.as_fd()]);
            if let Some(fds) = &fds {
                control.push(SendAncillaryMessage::ScmRights(fds));
            }
            match sendmsg(&self.stream, &[IoSlice::new(rest)], &mut control, SendFlags::NOSIGNAL) {
                Ok(n) => {
                    front.at += n;
                    front.fd = None;
                    if front.at >= front.bytes.len() {
                        self.leaving.pop_front();
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return,
                // It is dead, which its exit will tell.
                Err(_) => {
                    self.leaving.clear();
                    return;
                }
            }
        }
    }

    pub(super) fn read(&mut self) -> Vec<Request> {
        let mut requests = Vec::new();
        let mut buffer = [0; 64 * 1024];
        while self.deaf.is_none() {
            match self.stream.read(&mut buffer) {
                Ok(0) => self.deaf = Some(Instant::now()),
                Ok(n) => self.arrived.extend_from_slice(buffer.get(..n).unwrap_or(&[])),
                Err(e) if e.kind() == ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(_) => self.deaf = Some(Instant::now()),
            }
            loop {
                match take_frame(&mut self.arrived).and_then(|f| f.map(|f| Request::decode(&f)).transpose()) {
                    Ok(Some(request)) => requests.push(request),
                    Ok(None) => break,
                    Err(e) => {
                        tracing::error!("the core does not make sense, and is ended: {e}");
                        self.deaf = Some(Instant::now());
                        break;
                    }
                }
            }
        }
        requests
    }
}

/// Real-time priority and locked memory for the thread that sends heartbeats. Without the right to grant
/// them the core does without.
fn raise_limits(pid: Pid) {
    let limits = [(Resource::Rtprio, Some(99)), (Resource::Memlock, None)];
    for (resource, value) in limits {
        if let Err(e) = prlimit(Some(pid), resource, Rlimit { current: value, maximum: value }) {
            tracing::debug!("raising a limit of the core: {e}");
        }
    }
}
