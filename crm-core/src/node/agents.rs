//! Who runs agents: the executor process, or a thread of this one.

use std::collections::VecDeque;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use lrm::exec::{Processes, Settings};
use lrm::executor::wire::{Reply, Request};
use lrm::executor::{Client, Replies};
use lrm::{Command, ExecId, OpRequest};
use rustix::event::{EventfdFlags, PollFd, PollFlags};

use super::Say;
use crate::core::CoreEvent;

/// Who runs the agents of a node.
pub enum Executor {
    /// The executor process this one was started by.
    Process(Client, Replies),
    /// A thread of this process: for programs that embed a node and have the rights themselves. What
    /// runs dies with the process, as far as the agents let it.
    Thread(Box<Settings>),
}

/// The core's way to it.
pub(super) enum Agents {
    Process(Client),
    Thread { orders: Sender<Order>, wake: Arc<OwnedFd> },
}

pub(super) enum Order {
    Spawn(ExecId, Box<Command>, Option<Duration>),
    Kill(ExecId),
}

/// What the executor knows from an earlier life of the core.
#[derive(Debug, Default)]
pub(super) struct Welcome {
    /// Which life this is, from 1.
    pub life: u32,
    pub adopted: Vec<(ExecId, OpRequest)>,
}

/// Takes up the connection: waits for the welcome, then passes on what ends.
pub(super) async fn connect(executor: Executor, say: Say) -> std::io::Result<(Agents, Welcome)> {
    match executor {
        Executor::Process(client, mut replies) => {
            let welcome = loop {
                match replies.recv().await {
                    Some(Reply::Welcome { generation, runs, .. }) => break welcome(generation, runs),
                    Some(_) => {}
                    None => {
                        return Err(std::io::Error::new(
                            std::io::ErrorKind::BrokenPipe,
                            "the executor has gone away",
                        ));
                    }
                }
            };
            tokio::spawn(async move {
                while let Some(reply) = replies.recv().await {
                    match reply {
                        Reply::Exited { exec, outcome } => say(CoreEvent::Exited { exec, outcome }),
                        Reply::Stop => say(CoreEvent::Stop),
                        Reply::Started { .. }
                        | Reply::Welcome { .. }
                        | Reply::Kept { .. }
                        | Reply::Opened { .. }
                        | Reply::OpenFailed { .. } => {}
                    }
                }
                say(CoreEvent::ExecutorGone);
            });
            Ok((Agents::Process(client), welcome))
        }
        Executor::Thread(settings) => {
            let wake = Arc::new(rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
            let (orders, ordered) = channel();
            let woken = Arc::clone(&wake);
            std::thread::Builder::new()
                .name("executor".to_owned())
                .spawn(move || run(Processes::new(*settings), &ordered, &woken, &say))?;
            Ok((Agents::Thread { orders, wake }, Welcome { life: 1, ..Welcome::default() }))
        }
    }
}

fn welcome(life: u32, runs: Vec<(ExecId, Vec<u8>)>) -> Welcome {
    let mut welcome = Welcome { life, adopted: Vec::new() };
    for (exec, note) in runs {
        match OpRequest::from_note(&note) {
            Ok(op) => welcome.adopted.push((exec, op)),
            // Fence agents leave an empty note: their operation died with the core that decided it.
            Err(_) if note.is_empty() => {}
            Err(error) => tracing::warn!(target: "crm_core::lrm", "{error}"),
        }
    }
    welcome
}

impl Agents {
    /// `until`: on the clock of [`ccm::runtime::now`].
    pub(super) fn spawn(
        &self,
        exec: ExecId,
        op: Option<&OpRequest>,
        command: Command,
        until: Option<Duration>,
    ) {
        match self {
            Agents::Process(client) => {
                let note = op.map(OpRequest::to_note).unwrap_or_default();
                // When the executor is gone the replies end too, and the core with them.
                let _ = client.send(Request::Spawn { exec, note, command, until });
            }
            Agents::Thread { orders, wake } => {
                let _ = orders.send(Order::Spawn(exec, Box::new(command), until));
                signal(wake);
            }
        }
    }

    pub(super) fn kill(&self, exec: ExecId) {
        match self {
            Agents::Process(client) => {
                let _ = client.send(Request::Kill { exec });
            }
            Agents::Thread { orders, wake } => {
                let _ = orders.send(Order::Kill(exec));
                signal(wake);
            }
        }
    }

    pub(super) fn confirm(&self, exec: ExecId) {
        if let Agents::Process(client) = self {
            let _ = client.send(Request::Confirm { exec });
        }
    }

    /// The core makes progress and is heard.
    pub(super) fn tickle(&self) {
        if let Agents::Process(client) = self {
            let _ = client.send(Request::Tickle);
        }
    }
}

fn signal(fd: &OwnedFd) {
    let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
}

/// The loop of the executor thread; ends when nobody can order anything any more and nothing runs.
fn run(mut processes: Processes, ordered: &Receiver<Order>, wake: &OwnedFd, say: &Say) {
    let mut open = true;
    loop {
        let mut orders = VecDeque::new();
        loop {
            match ordered.try_recv() {
                Ok(order) => orders.push_back(order),
                Err(std::sync::mpsc::TryRecvError::Empty) => break,
                Err(std::sync::mpsc::TryRecvError::Disconnected) => {
                    open = false;
                    break;
                }
            }
        }
        for order in orders {
            match order {
                Order::Spawn(exec, command, until) => {
                    processes.spawn_until(exec, &command, Instant::now(), until);
                }
                Order::Kill(exec) => processes.kill(exec, Instant::now()),
            }
        }
        processes.tick(Instant::now());
        while let Some((exec, outcome)) = processes.take_ended() {
            say(CoreEvent::Exited { exec, outcome });
        }
        if !open && processes.is_empty() {
            return;
        }
        let mut fds = vec![PollFd::from_borrowed_fd(wake.as_fd(), PollFlags::IN)];
        processes.poll_fds(&mut fds);
        let longest = if open { Duration::from_secs(3600) } else { Duration::from_millis(200) };
        let wait = processes
            .deadline()
            .map_or(longest, |at| at.saturating_duration_since(Instant::now()).min(longest));
        let timeout = rustix::event::Timespec {
            tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: i64::from(wait.subsec_nanos()),
        };
        // Interrupted or ready: both are looked at above.
        let _ = rustix::event::poll(&mut fds, Some(&timeout));
        let _ = rustix::io::read(wake, &mut [0u8; 8]);
    }
}
