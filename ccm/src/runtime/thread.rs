//! The loop of the heartbeat thread.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, Timespec};

use super::faults::Faults;
use super::{Order, Setup, Shared, now, realtime};
use crate::link::{Level, Link, LinkAction, LinkInput, LinkReport, LogLine};
use crate::medium::icmp::{self, Answer, Pinger};
use crate::medium::{Endpoint, Medium, interface, is_fatal};
use crate::seam::LinkEvent;

/// Packets taken from one medium before the others and the timers have their turn.
const BATCH: usize = 32;
/// Errors of receiving in a row after which a medium is opened again.
const ERRORS: u32 = 100;
/// Events kept beyond the channel.
const BACKLOG: usize = 8192;
/// Bytes of messages handed over that the core has not taken.
const UNTAKEN: usize = 64 * 1024 * 1024;
/// First and longest pause between attempts to open a medium.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often facts are looked at that no event announces.
const LOOK: Duration = Duration::from_secs(1);

struct Slot {
    endpoint: Endpoint,
    open: Option<Box<dyn Medium>>,
    retry_at: Duration,
    pause: Duration,
    complained: bool,
    /// Errors of receiving in a row.
    errors: u32,
}

pub(super) struct Driver {
    link: Link,
    slots: Vec<Slot>,
    opener: Box<dyn crate::medium::Opener>,
    ping_hosts: Vec<Vec<IpAddr>>,
    icmp: [Option<OwnedFd>; 2],
    pingers: [Option<Pinger>; 2],
    news: Option<OwnedFd>,
    realtime: Option<super::Realtime>,
    faults: Faults,
    seed: u64,
    orders: Receiver<Order>,
    events: SyncSender<LinkEvent>,
    untaken: Arc<AtomicUsize>,
    backlog: VecDeque<LinkEvent>,
    wake: Arc<OwnedFd>,
    ready: Arc<OwnedFd>,
    report: Arc<Mutex<LinkReport>>,
    changes: Arc<AtomicU64>,
    /// Something was logged, as every change of a link or a node is: the report may be old.
    look_again: bool,
    log: Box<dyn Fn(LogLine) + Send>,
    notify: Box<dyn Fn() + Send>,
    look_at: Duration,
    told: bool,
    stop: bool,
}

/// Makes the eventfd readable.
pub(super) fn signal(fd: &OwnedFd) {
    let _ = rustix::io::write(fd, &1u64.to_ne_bytes());
}

/// Takes the readiness of the eventfd back.
pub(super) fn drain(fd: &OwnedFd) {
    let _ = rustix::io::read(fd, &mut [0u8; 8]);
}

impl Driver {
    pub fn new(
        setup: Setup,
        orders: Receiver<Order>,
        events: SyncSender<LinkEvent>,
        shared: Shared,
    ) -> Driver {
        let Shared { wake, ready, report, changes, untaken } = shared;
        let slot = |endpoint| Slot {
            endpoint,
            open: None,
            retry_at: Duration::ZERO,
            pause: FIRST_PAUSE,
            complained: false,
            errors: 0,
        };
        Driver {
            link: Link::new(setup.link, setup.seed),
            slots: setup.endpoints.into_iter().map(slot).collect(),
            opener: setup.opener,
            ping_hosts: setup.ping_hosts,
            icmp: setup.icmp,
            pingers: [None, None],
            news: None,
            realtime: setup.realtime,
            faults: Faults::new(setup.faults, setup.seed ^ 1),
            seed: setup.seed,
            orders,
            events,
            untaken,
            backlog: VecDeque::new(),
            wake,
            ready,
            report,
            changes,
            look_again: false,
            log: setup.log,
            notify: setup.notify,
            look_at: Duration::ZERO,
            told: false,
            stop: false,
        }
    }

    pub fn run(mut self) {
        if let Some(wanted) = self.realtime {
            let say = |what: &str, result: std::io::Result<()>| {
                if let Err(error) = result {
                    let text = format!("{what} not possible: {error}; heartbeats may be late under load");
                    (self.log)(LogLine { level: Level::Warn, text });
                }
            };
            say("real-time priority", realtime::priority(wanted.priority));
            say("locking memory", realtime::lock_memory());
        }
        self.news = interface::watch().ok();
        let mut buffer = vec![0u8; crate::wire::MAX_PACKET.min(65_536)];
        while !self.stop {
            let t = now();
            if t >= self.look_at {
                self.look(t);
            }
            self.reopen(t);
            if self.link.deadline().is_none_or(|d| d <= now()) {
                self.input(LinkInput::Wake);
            }
            self.flush_backlog();
            if std::mem::take(&mut self.look_again) {
                self.refresh();
            }
            if std::mem::take(&mut self.told) {
                signal(&self.ready);
                (self.notify)();
            }
            let woken = self.wait();
            self.serve(&woken, &mut buffer);
        }
    }

    /// Waits for a descriptor or the next timer; answers which descriptors are ready, in the order:
    /// orders, news of interfaces, pingers, media.
    fn wait<'a>(&'a self) -> Vec<bool> {
        let t = now();
        let mut until = self.look_at;
        if let Some(deadline) = self.link.deadline() {
            until = until.min(deadline);
        }
        for slot in self.slots.iter().filter(|s| s.open.is_none()) {
            until = until.min(slot.retry_at);
        }
        if !self.backlog.is_empty() {
            until = until.min(t + Duration::from_millis(5));
        }
        let rest = until.saturating_sub(t);
        let timeout = Timespec { tv_sec: rest.as_secs() as i64, tv_nsec: i64::from(rest.subsec_nanos()) };
        let wake = self.wake.as_fd();
        let mut fds: Vec<PollFd<'_>> = Vec::with_capacity(4 + self.slots.len());
        fds.push(PollFd::from_borrowed_fd(wake, PollFlags::IN));
        // What is not open keeps its place in the list with nothing to wait for.
        let poll_fd = |fd: Option<BorrowedFd<'a>>, flags| match fd {
            Some(fd) => PollFd::from_borrowed_fd(fd, flags),
            None => PollFd::from_borrowed_fd(wake, PollFlags::empty()),
        };
        fds.push(poll_fd(self.news.as_ref().map(AsFd::as_fd), PollFlags::IN));
        for pinger in &self.pingers {
            fds.push(poll_fd(pinger.as_ref().map(Pinger::fd), PollFlags::IN));
        }
        for slot in &self.slots {
            let wants = slot.open.as_ref().is_some_and(|m| m.wants_write());
            let flags = if wants { PollFlags::IN | PollFlags::OUT } else { PollFlags::IN };
            fds.push(poll_fd(slot.open.as_ref().map(|m| m.fd()), flags));
        }
        match rustix::event::poll(&mut fds, Some(&timeout)) {
            Ok(0) | Err(_) => vec![false; fds.len()],
            Ok(_) => fds.iter().map(|f| !f.revents().is_empty()).collect(),
        }
    }

    fn serve(&mut self, woken: &[bool], buffer: &mut [u8]) {
        let is = |i: usize| woken.get(i).copied().unwrap_or(false);
        if is(0) {
            drain(&self.wake);
        }
        for _ in 0..256 {
            match self.orders.try_recv() {
                Ok(Order::Command(command)) => self.input(LinkInput::Command(command)),
                Ok(Order::Keys(keys)) => self.input(LinkInput::Keys(keys)),
                Ok(Order::Stop) => {
                    self.stop = true;
                    return;
                }
                Err(_) => break,
            }
        }
        if is(1) {
            let mut scratch = [0u8; 8192];
            if let Some(news) = &self.news {
                while rustix::io::read(news, &mut scratch).is_ok_and(|n| n > 0) {}
            }
            self.news_of_interfaces();
        }
        for family in 0..2 {
            if is(2 + family) {
                self.answers(family);
            }
        }
        for medium in 0..self.slots.len() {
            if is(4 + medium) {
                self.receive(medium, buffer);
            }
        }
    }

    fn receive(&mut self, medium: usize, buffer: &mut [u8]) {
        for _ in 0..BATCH {
            let Some(slot) = self.slots.get_mut(medium) else { return };
            let Some(open) = slot.open.as_mut() else { return };
            if open.wants_write() {
                let _ = open.flush();
            }
            match open.receive(buffer) {
                Ok((n, from)) => {
                    slot.errors = 0;
                    let bytes = buffer.get(..n).unwrap_or_default().to_vec();
                    if !self.faults.lose_received() {
                        self.input(LinkInput::Packet { medium, from, bytes });
                    }
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    slot.errors = 0;
                    return;
                }
                Err(error) => {
                    slot.errors += 1;
                    // One that gives errors for ever would keep this thread from sleeping.
                    if is_fatal(&error) || slot.errors > ERRORS {
                        slot.errors = 0;
                        self.failed(medium, &error);
                    }
                    return;
                }
            }
        }
    }

    fn failed(&mut self, medium: usize, error: &std::io::Error) {
        let t = now();
        if let Some(slot) = self.slots.get_mut(medium) {
            slot.open = None;
            slot.retry_at = t + slot.pause;
            slot.pause = (slot.pause * 2).min(LONGEST_PAUSE);
        }
        self.input(LinkInput::MediumDown { medium, why: error.to_string() });
    }

    /// Opens what is not open and due.
    fn reopen(&mut self, t: Duration) {
        for medium in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(medium) else { continue };
            if slot.open.is_some() || t < slot.retry_at {
                continue;
            }
            let first = !std::mem::replace(&mut slot.complained, true);
            match self.opener.open(medium, &slot.endpoint) {
                Ok(open) => {
                    slot.open = Some(open);
                    slot.complained = false;
                    slot.pause = FIRST_PAUSE;
                    self.input(LinkInput::MediumUp { medium });
                }
                Err(error) => {
                    slot.retry_at = t + slot.pause;
                    slot.pause = (slot.pause * 2).min(LONGEST_PAUSE);
                    if first {
                        self.input(LinkInput::MediumDown { medium, why: error.to_string() });
                    }
                }
            }
        }
    }

    fn news_of_interfaces(&mut self) {
        self.carriers();
        for medium in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(medium) else { continue };
            match &slot.open {
                None => slot.retry_at = Duration::ZERO,
                Some(open) if open.is_stale() => {
                    slot.open = None;
                    slot.retry_at = Duration::ZERO;
                }
                Some(_) => {}
            }
        }
    }

    fn carriers(&mut self) {
        let named: Vec<(usize, String)> = self
            .slots
            .iter()
            .enumerate()
            .filter_map(|(i, s)| s.endpoint.interface().map(|n| (i, n.to_owned())))
            .collect();
        let names: Vec<&str> = named.iter().map(|(_, n)| n.as_str()).collect();
        if let Ok(found) = interface::carriers(&names) {
            for ((medium, _), carrier) in named.iter().zip(found) {
                self.input(LinkInput::Carrier { medium: *medium, carrier });
            }
        }
    }

    /// Once a second: what no event announces.
    fn look(&mut self, t: Duration) {
        let first = self.look_at.is_zero();
        self.look_at = t + LOOK;
        if let Some((wanted, text)) = self.faults.refresh() {
            (self.log)(LogLine { level: Level::Warn, text });
            self.input(LinkInput::Allow(wanted.allowed));
        }
        if first || self.news.is_none() {
            self.carriers();
        }
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall_at_zero = wall.as_secs() as i64 - t.as_secs() as i64;
        let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        self.input(LinkInput::Surroundings { load: load.trim_end().to_owned(), wall_at_zero });
        self.look_again = true;
    }

    /// Brings the report up to date; the core is told of a change.
    fn refresh(&mut self) {
        let report = self.link.report();
        let mut shown = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        if *shown != report {
            *shown = report;
            self.changes.fetch_add(1, Ordering::Relaxed);
            self.told = true;
        }
    }

    fn answers(&mut self, family: usize) {
        for _ in 0..BATCH {
            let Some(Some(pinger)) = self.pingers.get_mut(family) else { return };
            match pinger.answer() {
                Ok(Some(Answer { target, host })) => self.input(LinkInput::Pong { target, host }),
                Ok(None) => {}
                Err(_) => return,
            }
        }
    }

    fn ping(&mut self, target: usize) {
        let hosts = self.ping_hosts.get(target).cloned().unwrap_or_default();
        for (host, address) in hosts.into_iter().enumerate() {
            let family = usize::from(address.is_ipv6());
            let Some(slot) = self.pingers.get_mut(family) else { continue };
            if slot.is_none() {
                let given = self.icmp.get_mut(family).and_then(Option::take);
                let fd = given.map_or_else(|| icmp::open(family == 1), Ok);
                let seed = self.seed.rotate_left(17) ^ 0x9e37_79b9_7f4a_7c15;
                match fd.and_then(|fd| Pinger::attach(fd, family == 1, seed)) {
                    Ok(pinger) => *slot = Some(pinger),
                    Err(error) => {
                        let text = format!("cannot send ICMP echoes: {error}");
                        (self.log)(LogLine { level: Level::Error, text });
                        continue;
                    }
                }
            }
            if let Some(pinger) = slot {
                // An unreachable host is found out by its silence.
                let _ = pinger.ping(address, Answer { target, host });
            }
        }
    }

    fn input(&mut self, input: LinkInput) {
        let mut queue = VecDeque::from([input]);
        while let Some(input) = queue.pop_front() {
            let mut actions = Vec::new();
            self.link.handle(now(), input, &mut actions);
            for action in actions {
                match action {
                    LinkAction::Transmit { medium, to, bytes } => {
                        if self.faults.lose_sent() {
                            continue;
                        }
                        let Some(slot) = self.slots.get_mut(medium) else { continue };
                        let Some(open) = slot.open.as_mut() else { continue };
                        match open.send(to, &bytes) {
                            Ok(()) => slot.complained = false,
                            Err(error) if is_fatal(&error) => {
                                slot.open = None;
                                slot.retry_at = now() + slot.pause;
                                slot.pause = (slot.pause * 2).min(LONGEST_PAUSE);
                                queue.push_back(LinkInput::MediumDown { medium, why: error.to_string() });
                            }
                            Err(error) => {
                                if !std::mem::replace(&mut slot.complained, true) {
                                    queue.push_back(LinkInput::Trouble { medium, why: error.to_string() });
                                }
                            }
                        }
                    }
                    LinkAction::Event(event) => {
                        if let Some(input) = self.tell(event) {
                            queue.push_back(input);
                        }
                    }
                    LinkAction::Ping { target } => self.ping(target),
                    LinkAction::Log(line) => {
                        self.look_again = true;
                        (self.log)(line);
                    }
                }
            }
        }
    }

    /// Queues an event for the core; answers what the link must know if it cannot be queued.
    fn tell(&mut self, event: LinkEvent) -> Option<LinkInput> {
        self.told = true;
        if let LinkEvent::Message { from, inc, payload } = &event {
            let before = self.untaken.fetch_add(payload.len(), Ordering::Relaxed);
            let full = before + payload.len() > UNTAKEN || self.backlog.len() > BACKLOG / 2;
            if full {
                self.untaken.fetch_sub(payload.len(), Ordering::Relaxed);
                return Some(LinkInput::Overrun { peer: *from, inc: *inc });
            }
        }
        if self.backlog.is_empty() {
            match self.events.try_send(event) {
                Ok(()) => {}
                Err(TrySendError::Full(event)) => self.backlog.push_back(event),
                Err(TrySendError::Disconnected(_)) => self.stop = true,
            }
            return None;
        }
        match event {
            // Newer heartbeats follow; the core will see the gap as what it is, its own.
            LinkEvent::Beat { .. } if self.backlog.len() > BACKLOG / 8 => None,
            event if self.backlog.len() < BACKLOG => {
                self.backlog.push_back(event);
                None
            }
            _ => None,
        }
    }

    fn flush_backlog(&mut self) {
        while let Some(event) = self.backlog.pop_front() {
            match self.events.try_send(event) {
                Ok(()) => self.told = true,
                Err(TrySendError::Full(event)) => {
                    self.backlog.push_front(event);
                    return;
                }
                Err(TrySendError::Disconnected(_)) => {
                    self.stop = true;
                    return;
                }
            }
        }
    }
}
