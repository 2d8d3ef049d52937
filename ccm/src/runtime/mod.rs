//! The heartbeat thread: owns the link machine, its sockets and its timers.
//!
//! [`start`] gives a [`LinkHandle`]. The thread never waits for the core: events go into a bounded
//! channel and, when that is full, into a bounded backlog that first gives up heartbeats (newer ones
//! follow) and then the sessions whose messages are not taken.
//!
//! Duties of the core: take events with [`LinkHandle::next_event`] whenever `notify` was called or
//! [`LinkHandle::readiness`] is readable; send `SetBeat` at least once a beat interval.

mod faults;
pub mod realtime;
mod thread;

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::EventfdFlags;
use rustix::time::{ClockId, clock_gettime};

use crate::link::{LinkConfig, LinkReport, LogLine};
use crate::medium::{Endpoint, Opener};
use crate::seam::{LinkCommand, LinkEvent};
use crate::wire::Keys;

/// Commands and events under way at most.
const QUEUE: usize = 4096;

/// The monotonic clock of all machines: counts the time the system slept.
pub fn now() -> Duration {
    let t = clock_gettime(ClockId::Boottime);
    Duration::new(u64::try_from(t.tv_sec).unwrap_or(0), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// Random bits of the operating system, for nonces, boots and seeds.
pub fn random_seed() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    use std::io::Read;
    let mut bytes = [0u8; 8];
    let read = std::fs::File::open("/dev/urandom").and_then(|mut f| f.read_exact(&mut bytes));
    match read {
        Ok(()) => u64::from_le_bytes(bytes),
        // Without the device: the standard library's own keys, which the kernel fills too.
        Err(_) => std::hash::RandomState::new().build_hasher().finish(),
    }
}

/// Real-time behaviour of the thread (`realtime`, `rtprio`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Realtime {
    /// None is the highest.
    pub priority: Option<u8>,
}

/// Everything the thread needs.
pub struct Setup {
    pub link: LinkConfig,
    /// In the order of [`LinkConfig::media`], host names resolved.
    pub endpoints: Vec<Endpoint>,
    pub opener: Box<dyn Opener>,
    /// Addresses of each ping node, in the order of [`LinkConfig::ping`].
    pub ping_hosts: Vec<Vec<IpAddr>>,
    /// ICMP sockets for IPv4 and IPv6 opened elsewhere; missing ones are opened when needed.
    pub icmp: [Option<OwnedFd>; 2],
    pub realtime: Option<Realtime>,
    /// `OnlyForTesting`, where it is to be honoured.
    pub faults: Option<PathBuf>,
    pub seed: u64,
    /// Takes log lines; called in the heartbeat thread, so it must not wait.
    pub log: Box<dyn Fn(LogLine) + Send>,
    /// Called in the heartbeat thread after events were queued; must not wait.
    pub notify: Box<dyn Fn() + Send>,
}

impl Setup {
    /// With the process's own privileges, `tracing` as log, and nothing optional.
    pub fn new(link: LinkConfig, endpoints: Vec<Endpoint>, opener: Box<dyn Opener>) -> Setup {
        Setup {
            link,
            endpoints,
            opener,
            ping_hosts: Vec::new(),
            icmp: [None, None],
            realtime: None,
            faults: None,
            seed: random_seed(),
            log: Box::new(trace),
            notify: Box::new(|| {}),
        }
    }
}

/// Writes a line to `tracing`.
pub fn trace(line: LogLine) {
    use crate::link::Level;
    match line.level {
        Level::Debug => tracing::debug!(target: "heartbeat", "{}", line.text),
        Level::Info => tracing::info!(target: "heartbeat", "{}", line.text),
        Level::Warn => tracing::warn!(target: "heartbeat", "{}", line.text),
        Level::Error => tracing::error!(target: "heartbeat", "{}", line.text),
        Level::Crit => tracing::error!(target: "heartbeat", "CRIT: {}", line.text),
    }
}

enum Order {
    Command(LinkCommand),
    Keys(Keys),
    Stop,
}

/// What both ends hold.
#[derive(Clone)]
struct Shared {
    wake: Arc<OwnedFd>,
    ready: Arc<OwnedFd>,
    report: Arc<Mutex<LinkReport>>,
    /// Counts the changes of the report.
    changes: Arc<AtomicU64>,
    /// Bytes of messages the core has not taken yet.
    untaken: Arc<AtomicUsize>,
}

/// The core's end of the heartbeat thread. Dropping it stops the thread without a farewell.
pub struct LinkHandle {
    orders: SyncSender<Order>,
    events: Mutex<Receiver<LinkEvent>>,
    shared: Shared,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread.
///
/// # Errors
/// No descriptors or threads left. Media that cannot be opened are no error: they are tried again.
pub fn start(setup: Setup) -> std::io::Result<LinkHandle> {
    let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
    let shared = Shared {
        wake: Arc::new(rustix::event::eventfd(0, flags)?),
        ready: Arc::new(rustix::event::eventfd(0, flags)?),
        report: Arc::default(),
        changes: Arc::default(),
        untaken: Arc::default(),
    };
    let (orders, orders_in) = sync_channel(QUEUE);
    let (events_out, events) = sync_channel(QUEUE);
    let driver = thread::Driver::new(setup, orders_in, events_out, shared.clone());
    let thread = std::thread::Builder::new()
        .name("heartbeat".to_owned())
        .stack_size(512 * 1024)
        .spawn(move || driver.run())?;
    Ok(LinkHandle { orders, events: Mutex::new(events), shared, thread: Some(thread) })
}

/// The thread has ended; nothing can be asked of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the heartbeat thread has ended")]
pub struct Ended;

impl LinkHandle {
    /// Queues a command. Waits only while the thread has thousands of them before it, never for the
    /// network.
    ///
    /// # Errors
    /// [`Ended`].
    pub fn command(&self, command: LinkCommand) -> Result<(), Ended> {
        self.order(Order::Command(command))
    }

    /// Changes the keys (`authkeys` was read again).
    ///
    /// # Errors
    /// [`Ended`].
    pub fn keys(&self, keys: Keys) -> Result<(), Ended> {
        self.order(Order::Keys(keys))
    }

    fn order(&self, order: Order) -> Result<(), Ended> {
        let result = match self.orders.try_send(order) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(order)) => {
                thread::signal(&self.shared.wake);
                self.orders.send(order).map_err(|_| Ended)
            }
            Err(TrySendError::Disconnected(_)) => Err(Ended),
        };
        thread::signal(&self.shared.wake);
        result
    }

    /// The next event, if there is one. The readiness is taken back before looking.
    pub fn next_event(&self) -> Option<LinkEvent> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(event) = events.try_recv() {
            return Some(self.taken(event));
        }
        thread::drain(&self.shared.ready);
        events.try_recv().ok().map(|event| self.taken(event))
    }

    fn taken(&self, event: LinkEvent) -> LinkEvent {
        if let LinkEvent::Message { payload, .. } = &event {
            self.shared.untaken.fetch_sub(payload.len(), Ordering::Relaxed);
        }
        event
    }

    /// Waits for the next event; for tests and simple programs.
    pub fn wait_event(&self, most: Duration) -> Option<LinkEvent> {
        let events = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.recv_timeout(most).ok().map(|event| self.taken(event))
    }

    /// Readable while events wait (edge: once for each batch).
    pub fn readiness(&self) -> BorrowedFd<'_> {
        self.shared.ready.as_fd()
    }

    /// State of nodes, links, media and refused packets, at most a beat interval old.
    pub fn report(&self) -> LinkReport {
        self.shared.report.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often the report has changed: readiness is given for each change.
    pub fn report_changes(&self) -> u64 {
        self.shared.changes.load(Ordering::Relaxed)
    }

    /// Ends the thread and waits for it. Send [`LinkCommand::Leave`] before to take leave.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.order(Order::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for LinkHandle {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests;
