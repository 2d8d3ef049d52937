//! The daemon's log: classic line format, several targets, never a wait.
//!
//! Every target has a bounded queue and a thread of its own that writes it. When a queue is full the
//! line is dropped and counted; the count is logged there as soon as it takes lines again ("cl_log: N
//! messages were dropped", as Heartbeat says it), and the other targets are told at once. A full disk, a
//! stuck syslog or a pipe that nobody reads holds up neither the cluster nor the other targets.

mod target;

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, channel, sync_channel};
use std::time::{Duration, Instant};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

pub use target::write_once;
use target::{Output, Writer};

/// Lines that may wait for one target. At 200 bytes a line this is under half a megabyte.
const QUEUE: usize = 2048;
/// How long the end of the program waits for targets that take no lines.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where log lines go.
#[derive(Debug, Clone)]
pub struct Targets {
    /// Everything but debug lines.
    pub logfile: Option<PathBuf>,
    /// Everything.
    pub debugfile: Option<PathBuf>,
    /// Syslog facility by name, lines but debug.
    pub facility: Option<String>,
    /// Where syslog listens.
    pub syslog: PathBuf,
    /// Also to standard error.
    pub stderr: bool,
    /// Debug lines as well (`debug` of ha.cf above 0).
    pub debug: bool,
}

impl Default for Targets {
    fn default() -> Self {
        Self {
            logfile: None,
            debugfile: None,
            facility: None,
            syslog: PathBuf::from("/dev/log"),
            stderr: false,
            debug: false,
        }
    }
}

/// Ends the log: what waits is written, where it can be.
pub struct LogGuard {
    outlets: Arc<[Outlet]>,
    ended: Arc<AtomicBool>,
    done: Receiver<()>,
}

impl Drop for LogGuard {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        for outlet in self.outlets.iter() {
            // A full queue wakes its writer without that.
            let _ = outlet.queue.try_send(Item::End);
        }
        let end = Instant::now() + PATIENCE;
        for _ in self.outlets.iter() {
            let rest = end.saturating_duration_since(Instant::now());
            if self.done.recv_timeout(rest).is_err() {
                return;
            }
        }
    }
}

/// What waits for a writer.
enum Item {
    Line(Arc<Line>),
    End,
}

struct Line {
    level: Level,
    program: &'static str,
    text: String,
    at: jiff::Timestamp,
}

/// The near end of one target.
struct Outlet {
    name: String,
    takes_debug: bool,
    queue: SyncSender<Item>,
    /// Lines dropped and not yet reported.
    lost: AtomicU64,
    /// How often it began to drop lines.
    stuck: AtomicU64,
}

impl Outlet {
    fn put(&self, line: &Arc<Line>) {
        if matches!(self.queue.try_send(Item::Line(Arc::clone(line))), Err(TrySendError::Full(_))) {
            self.lose(1);
        }
    }

    fn lose(&self, lines: u64) {
        if self.lost.fetch_add(lines, Ordering::Relaxed) == 0 {
            self.stuck.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Starts logging for this process. Calling it twice is an error of the program and leaves the first.
pub fn start(targets: Targets) -> LogGuard {
    let (layer, guard) = open(targets);
    // A second subscriber is refused; the first goes on.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    guard
}

fn open(targets: Targets) -> (Queue, LogGuard) {
    let debug = targets.debug;
    let mut outlets = Vec::new();
    let mut ends = Vec::new();
    for output in Output::of(targets) {
        let (queue, lines) = sync_channel(QUEUE);
        outlets.push(Outlet {
            name: output.name(),
            takes_debug: output.takes_debug(),
            queue,
            lost: AtomicU64::new(0),
            stuck: AtomicU64::new(0),
        });
        ends.push((output, lines));
    }
    let outlets: Arc<[Outlet]> = outlets.into();
    let ended = Arc::new(AtomicBool::new(false));
    let (done_out, done) = channel();
    for (own, (output, lines)) in ends.into_iter().enumerate() {
        let writer = Writer::new(output, own, Arc::clone(&outlets), Arc::clone(&ended));
        let done = done_out.clone();
        // Without a thread its lines are dropped and counted like those of a stuck target.
        let _ = std::thread::Builder::new().name("log".into()).spawn(move || {
            writer.run(&lines);
            let _ = done.send(());
        });
    }
    let layer = Queue { outlets: Arc::clone(&outlets), debug };
    (layer, LogGuard { outlets, ended, done })
}

struct Queue {
    outlets: Arc<[Outlet]>,
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
        let line = Arc::new(Line { level, program, text: text.0, at: jiff::Timestamp::now() });
        for outlet in self.outlets.iter().filter(|o| o.takes_debug || level != Level::DEBUG) {
            outlet.put(&line);
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

#[cfg(test)]
mod tests;
