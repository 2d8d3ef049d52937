//! One target of the log: a file, syslog, or standard error, and the thread that writes it.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use tracing::Level;

use super::{Item, Line, Outlet, Targets};

/// Where lines end.
pub(super) enum Output {
    /// A file, and whether it takes debug lines.
    File(Sink, bool),
    Syslog(Syslog),
    Stderr,
}

impl Output {
    pub(super) fn of(targets: Targets) -> Vec<Output> {
        let mut list = Vec::new();
        list.extend(targets.logfile.map(|path| Output::File(Sink::new(path), false)));
        list.extend(targets.debugfile.map(|path| Output::File(Sink::new(path), true)));
        list.extend(targets.facility.and_then(|name| Syslog::new(&name, targets.syslog)).map(Output::Syslog));
        if targets.stderr {
            list.push(Output::Stderr);
        }
        list
    }

    pub(super) fn name(&self) -> String {
        match self {
            Output::File(sink, _) => sink.path.display().to_string(),
            Output::Syslog(_) => "syslog".to_owned(),
            Output::Stderr => "standard error".to_owned(),
        }
    }

    pub(super) fn takes_debug(&self) -> bool {
        matches!(self, Output::File(_, true) | Output::Stderr)
    }
}

/// The far end of one target.
pub(super) struct Writer {
    output: Output,
    /// Its place among the outlets.
    own: usize,
    outlets: Arc<[Outlet]>,
    /// How often each of the others was seen to begin dropping lines.
    seen: Vec<u64>,
    ended: Arc<AtomicBool>,
    precise: bool,
    host: String,
}

impl Writer {
    pub(super) fn new(output: Output, own: usize, outlets: Arc<[Outlet]>, ended: Arc<AtomicBool>) -> Self {
        Self {
            output,
            own,
            seen: vec![0; outlets.len()],
            outlets,
            ended,
            precise: std::env::var_os("EVERBEAT_LOG_MICROSECONDS").is_some(),
            host: host(),
        }
    }

    pub(super) fn run(mut self, lines: &Receiver<Item>) {
        loop {
            match lines.recv_timeout(Duration::from_secs(1)) {
                Ok(Item::Line(line)) => self.write(&line),
                Ok(Item::End) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            if self.ended.load(Ordering::Relaxed) {
                while let Ok(item) = lines.try_recv() {
                    if let Item::Line(line) = item {
                        self.write(&line);
                    }
                }
                self.report();
                return;
            }
            self.report();
        }
    }

    /// Says what was dropped here, and which other target has begun to drop.
    fn report(&mut self) {
        let outlets = Arc::clone(&self.outlets);
        for (i, outlet) in outlets.iter().enumerate() {
            if i == self.own {
                let lost = outlet.lost.swap(0, Ordering::Relaxed);
                if lost > 0 && !self.put(&warning(format!("cl_log: {lost} messages were dropped"))) {
                    outlet.lost.fetch_add(lost, Ordering::Relaxed);
                }
                continue;
            }
            let stuck = outlet.stuck.load(Ordering::Relaxed);
            if let Some(seen) = self.seen.get_mut(i)
                && std::mem::replace(seen, stuck) != stuck
            {
                let name = &outlet.name;
                self.put(&warning(format!("cl_log: {name} takes no lines: messages to it are dropped")));
            }
        }
    }

    fn write(&mut self, line: &Line) {
        if !self.put(line)
            && let Some(outlet) = self.outlets.get(self.own)
        {
            outlet.lose(1);
        }
    }

    /// Whether the target took the line.
    fn put(&mut self, line: &Line) -> bool {
        match &mut self.output {
            Output::File(sink, _) => sink.write(&format(line, self.precise)),
            Output::Syslog(syslog) => syslog.write(line, &self.host),
            Output::Stderr => {
                // Nobody reads standard error: nothing is lost that was wanted.
                let _ = std::io::stderr().write_all(format(line, self.precise).as_bytes());
                true
            }
        }
    }
}

fn warning(text: String) -> Line {
    Line { level: Level::WARN, program: "heartbeat", text, at: jiff::Timestamp::now() }
}

fn host() -> String {
    nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned()
}

fn time(at: jiff::Timestamp, precise: bool) -> String {
    let local = at.to_zoned(jiff::tz::TimeZone::system());
    local.strftime(if precise { "%Y/%m/%d_%H:%M:%S.%6f" } else { "%Y/%m/%d_%H:%M:%S" }).to_string()
}

/// The classic line, one for each line of the text (§22.3).
fn format(line: &Line, precise: bool) -> String {
    let (time, pid) = (time(line.at, precise), std::process::id());
    let start = format!("{}[{pid}]: {time} {}: ", line.program, word(line.level));
    line.text.lines().map(|part| format!("{start}{part}\n")).collect()
}

/// Writes lines of another program once, without a queue and without waiting: what `ha_logger` does.
/// Debug lines go to the debug file alone. Answers the name of each target with what became of it.
pub fn write_once(
    targets: &Targets,
    tag: &str,
    lines: &[String],
    debug: bool,
) -> Vec<(String, std::io::Result<()>)> {
    let mut results = Vec::new();
    let (now, pid) = (jiff::Timestamp::now(), std::process::id());
    let text: String =
        lines.iter().map(|line| format!("{tag}[{pid}]: {} {line}\n", time(now, false))).collect();
    let logfile = targets.logfile.iter().filter(|_| !debug);
    for path in logfile.chain(&targets.debugfile) {
        let mut options = OpenOptions::new();
        // A pipe without a reader, or a full one, is an error and no wait.
        let flags = nix::libc::O_NONBLOCK;
        let file = options.create(true).append(true).mode(0o640).custom_flags(flags).open(path);
        results.push((path.display().to_string(), file.and_then(|mut f| f.write_all(text.as_bytes()))));
    }
    if let Some(name) = targets.facility.as_ref().filter(|_| !debug)
        && let Some(syslog) = Syslog::new(name, targets.syslog.clone())
    {
        let put = |line: &String| syslog.send(6, &format!("{tag}: [{pid}]: {line}"), now, &host());
        results.push(("syslog".to_owned(), lines.iter().try_for_each(put)));
    }
    results
}

/// Heartbeat's words for priorities.
fn word(level: Level) -> &'static str {
    match level {
        Level::ERROR => "ERROR",
        Level::WARN => "WARN",
        Level::INFO => "info",
        _ => "debug",
    }
}

/// A file that is opened when first needed and again after it was rotated away.
pub(super) struct Sink {
    path: PathBuf,
    open: Option<(File, u64)>,
    checked: Instant,
}

impl Sink {
    fn new(path: PathBuf) -> Self {
        Self { path, open: None, checked: Instant::now() }
    }

    /// Whether the file took it. A full disk must not stop the cluster.
    fn write(&mut self, text: &str) -> bool {
        if self.checked.elapsed() > Duration::from_secs(1) {
            self.checked = Instant::now();
            let inode = std::fs::metadata(&self.path).map(|data| data.ino()).ok();
            if self.open.as_ref().map(|(_, inode)| *inode) != inode {
                self.open = None;
            }
        }
        if self.open.is_none() {
            let file = OpenOptions::new().create(true).append(true).mode(0o640).open(&self.path);
            self.open = file.ok().and_then(|file| file.metadata().ok().map(|data| (file, data.ino())));
        }
        let Some((file, _)) = &mut self.open else { return false };
        let written = file.write_all(text.as_bytes()).is_ok();
        if !written {
            self.open = None;
        }
        written
    }
}

/// The system's log daemon.
pub(super) struct Syslog {
    socket: UnixDatagram,
    path: PathBuf,
    facility: u8,
}

impl Syslog {
    fn new(name: &str, path: PathBuf) -> Option<Self> {
        let facility = facility(name)?;
        let socket = UnixDatagram::unbound().ok()?;
        // Its own thread waits a little for one that is busy.
        socket.set_write_timeout(Some(Duration::from_millis(500))).ok()?;
        Some(Self { socket, path, facility })
    }

    /// Whether it took the line. Where there is no log daemon at all, nothing is lost that was wanted.
    fn write(&self, line: &Line, host: &str) -> bool {
        let severity = match line.level {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        };
        let text = format!("{}: [{}]: {}: {}", line.program, std::process::id(), word(line.level), line.text);
        match self.send(severity, &text, line.at, host) {
            Ok(()) => true,
            Err(error) => {
                use std::io::ErrorKind::{ConnectionRefused, NotFound};
                matches!(error.kind(), NotFound | ConnectionRefused)
            }
        }
    }

    fn send(&self, severity: u32, text: &str, at: jiff::Timestamp, host: &str) -> std::io::Result<()> {
        let priority = u32::from(self.facility) * 8 + severity;
        let time = at.to_zoned(jiff::tz::TimeZone::system()).strftime("%b %e %H:%M:%S").to_string();
        let text = format!("<{priority}>{time} {host} {text}");
        self.socket.send_to(text.as_bytes(), &self.path).map(|_| ())
    }
}

/// Number of a syslog facility.
pub(super) fn facility(name: &str) -> Option<u8> {
    const NAMES: &[(&str, u8)] = &[
        ("kern", 0),
        ("user", 1),
        ("mail", 2),
        ("daemon", 3),
        ("auth", 4),
        ("syslog", 5),
        ("lpr", 6),
        ("news", 7),
        ("uucp", 8),
        ("cron", 9),
        ("authpriv", 10),
        ("ftp", 11),
    ];
    if let Some(number) = name.strip_prefix("local").and_then(|digit| digit.parse::<u8>().ok()) {
        return (number < 8).then_some(16 + number);
    }
    NAMES.iter().find(|(known, _)| *known == name).map(|(_, number)| *number)
}
