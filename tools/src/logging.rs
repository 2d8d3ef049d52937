//! The daemon's log: classic line format, several targets, never a wait.
//!
//! Lines go through a bounded queue to a thread that writes them; when the queue is full a line is
//! dropped and counted, and the count is logged as soon as there is room ("cl_log: N messages were
//! dropped", as Heartbeat says it). A full disk or a stuck syslog never holds the cluster up.

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Lines that may wait for the writer. At 200 bytes a line this is under one megabyte.
const QUEUE: usize = 4096;

/// Where log lines go.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// Everything but debug lines.
    pub logfile: Option<PathBuf>,
    /// Everything.
    pub debugfile: Option<PathBuf>,
    /// Syslog facility by name, lines but debug.
    pub facility: Option<String>,
    /// Also to standard error.
    pub stderr: bool,
    /// Debug lines as well (`debug` of ha.cf above 0).
    pub debug: bool,
}

/// Stops the writer after it has written what waits.
pub struct LogGuard {
    queue: Arc<Mutex<Option<SyncSender<Line>>>>,
    writer: Option<JoinHandle<()>>,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        if let Ok(mut queue) = self.queue.lock() {
            *queue = None;
        }
        if let Some(writer) = self.writer.take() {
            // A panic of the writer has been printed.
            let _ = writer.join();
        }
    }
}

struct Line {
    level: Level,
    program: &'static str,
    text: String,
    at: jiff::Timestamp,
}

/// Starts logging for this process. Calling it twice is an error of the program and leaves the first.
pub fn start(targets: Targets) -> LogGuard {
    let (sender, receiver) = sync_channel(QUEUE);
    let dropped = Arc::new(AtomicU64::new(0));
    let queue = Arc::new(Mutex::new(Some(sender)));
    let layer = Queue { queue: Arc::clone(&queue), dropped: Arc::clone(&dropped), debug: targets.debug };
    let writer = std::thread::Builder::new()
        .name("log".into())
        .spawn(move || Writer::new(targets, dropped).run(&receiver))
        .ok();
    // A second subscriber is refused; the first goes on.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    LogGuard { queue, writer }
}

struct Queue {
    queue: Arc<Mutex<Option<SyncSender<Line>>>>,
    dropped: Arc<AtomicU64>,
    debug: bool,
}

impl<S: Subscriber> Layer<S> for Queue {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = *event.metadata().level();
        let ours = program_of(event.metadata().target());
        if level == Level::TRACE || (level == Level::DEBUG && !self.debug) {
            return;
        }
        let Some(program) = ours else { return };
        let mut text = Text::default();
        event.record(&mut text);
        let line = Line { level, program, text: text.0, at: jiff::Timestamp::now() };
        let Ok(queue) = self.queue.lock() else { return };
        if let Some(queue) = queue.as_ref()
            && matches!(queue.try_send(line), Err(TrySendError::Full(_)))
        {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The classic daemon whose lines these would be; `None` for libraries that are not ours.
fn program_of(target: &str) -> Option<&'static str> {
    const NAMES: &[(&str, &str)] = &[
        ("ccm::replication", "cib"),
        ("ccm::membership", "ccm"),
        ("ccm", "heartbeat"),
        ("crm_core::policy", "pengine"),
        ("crm_core::transition", "tengine"),
        ("crm_core::fencing", "stonithd"),
        ("crm_core::attributes", "attrd"),
        ("crm_core", "crmd"),
        ("lrm", "lrmd"),
        ("cib", "cib"),
        ("heartbeat", "heartbeat"),
        ("everbeat", "heartbeat"),
    ];
    NAMES.iter().find(|(prefix, _)| target.starts_with(prefix)).map(|(_, name)| *name)
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        let gap = if self.0.is_empty() { "" } else { " " };
        let _ = if field.name() == "message" {
            write!(self.0, "{gap}{value:?}")
        } else {
            write!(self.0, "{gap}{}={value:?}", field.name())
        };
    }
}

struct Writer {
    logfile: Option<Sink>,
    debugfile: Option<Sink>,
    syslog: Option<Syslog>,
    stderr: bool,
    dropped: Arc<AtomicU64>,
    precise: bool,
    host: String,
}

impl Writer {
    fn new(targets: Targets, dropped: Arc<AtomicU64>) -> Self {
        let host = nix::unistd::gethostname().unwrap_or_default().to_string_lossy().into_owned();
        Self {
            logfile: targets.logfile.map(Sink::new),
            debugfile: targets.debugfile.map(Sink::new),
            syslog: targets.facility.and_then(|name| Syslog::new(&name)),
            stderr: targets.stderr,
            dropped,
            precise: std::env::var_os("EVERBEAT_LOG_MICROSECONDS").is_some(),
            host,
        }
    }

    fn run(mut self, lines: &Receiver<Line>) {
        loop {
            match lines.recv_timeout(Duration::from_secs(1)) {
                Ok(line) => self.write(&line),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            let dropped = self.dropped.swap(0, Ordering::Relaxed);
            if dropped > 0 {
                let text = format!("cl_log: {dropped} messages were dropped");
                let at = jiff::Timestamp::now();
                self.write(&Line { level: Level::WARN, program: "heartbeat", text, at });
            }
        }
    }

    fn write(&mut self, line: &Line) {
        let text = self.format(line);
        if let Some(file) = &mut self.debugfile {
            file.write(&text);
        }
        if self.stderr {
            // Nobody reads standard error: nothing is lost that was wanted.
            let _ = std::io::stderr().write_all(text.as_bytes());
        }
        if line.level == Level::DEBUG {
            return;
        }
        if let Some(file) = &mut self.logfile {
            file.write(&text);
        }
        if let Some(syslog) = &self.syslog {
            syslog.write(line, &self.host);
        }
    }

    fn format(&self, line: &Line) -> String {
        let local = line.at.to_zoned(jiff::tz::TimeZone::system());
        let time = local.strftime(if self.precise { "%Y/%m/%d_%H:%M:%S.%6f" } else { "%Y/%m/%d_%H:%M:%S" });
        let pid = std::process::id();
        let mut text = String::new();
        for part in line.text.lines() {
            let _ = writeln!(text, "{}[{pid}]: {time} {}: {part}", line.program, word(line.level));
        }
        text
    }
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
struct Sink {
    path: PathBuf,
    open: Option<(File, u64)>,
    checked: Instant,
}

impl Sink {
    fn new(path: PathBuf) -> Self {
        Self { path, open: None, checked: Instant::now() }
    }

    fn write(&mut self, text: &str) {
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
        // A full disk must not stop the cluster; the other targets have the line.
        if let Some((file, _)) = &mut self.open
            && file.write_all(text.as_bytes()).is_err()
        {
            self.open = None;
        }
    }
}

struct Syslog {
    socket: UnixDatagram,
    facility: u8,
}

impl Syslog {
    fn new(name: &str) -> Option<Self> {
        let facility = facility(name)?;
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        Some(Self { socket, facility })
    }

    fn write(&self, line: &Line, host: &str) {
        let severity = match line.level {
            Level::ERROR => 3,
            Level::WARN => 4,
            Level::INFO => 6,
            _ => 7,
        };
        let priority = u32::from(self.facility) * 8 + severity;
        let local = line.at.to_zoned(jiff::tz::TimeZone::system()).strftime("%b %e %H:%M:%S").to_string();
        let pid = std::process::id();
        let text = format!(
            "<{priority}>{local} {host} {}: [{pid}]: {}: {}",
            line.program,
            word(line.level),
            line.text
        );
        // No syslog daemon, or one that is stuck: the line is in the files.
        let _ = self.socket.send_to(text.as_bytes(), "/dev/log");
    }
}

/// Number of a syslog facility.
fn facility(name: &str) -> Option<u8> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_classic_form_and_debug_stays_out_of_the_logfile() {
        let dir = tempfile::tempdir().unwrap();
        let (log, debug) = (dir.path().join("ha-log"), dir.path().join("ha-debug"));
        let targets = Targets {
            logfile: Some(log.clone()),
            debugfile: Some(debug.clone()),
            debug: true,
            ..Targets::default()
        };
        let mut writer = Writer::new(targets, Arc::default());
        let at = jiff::Timestamp::from_second(1_195_555_821).unwrap();
        let line = |level, text: &str| Line { level, program: "heartbeat", text: text.into(), at };
        writer.write(&line(Level::INFO, "Link hatest4:eth0 up."));
        writer.write(&line(Level::DEBUG, "detail"));
        let written = std::fs::read_to_string(&log).unwrap();
        assert!(
            written.starts_with("heartbeat[") && written.ends_with(" info: Link hatest4:eth0 up.\n"),
            "{written}"
        );
        assert_eq!(written.lines().count(), 1);
        assert_eq!(std::fs::read_to_string(&debug).unwrap().lines().count(), 2);
    }

    #[test]
    fn facilities_are_syslogs_own() {
        assert_eq!(facility("daemon"), Some(3));
        assert_eq!(facility("local7"), Some(23));
        assert_eq!(facility("local8"), None);
        assert_eq!(facility("nonsense"), None);
    }
}
