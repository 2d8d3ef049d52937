//! The executor's loop: one thread, nothing but `poll`.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, PipeReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};

use super::alone::{Alone, Taken};
use super::children::{Children, ClientOptions};
use super::core::Core;
use super::signals::listen;
use super::wire::{Open, Reply, Request, SINCE_KEEP, VERSION};
use super::{Power, User, dirs, open, status};
use crate::exec::{self, Processes, Settings};
use crate::{ExecId, Outcome};

/// How to start the core.
#[derive(Debug, Clone)]
pub struct CoreCommand {
    /// This binary.
    pub program: PathBuf,
    /// Its end of the socket pair is the core's standard input: `core --fd 0`.
    pub args: Vec<String>,
    /// Added to the environment, which the core inherits.
    pub env: Vec<(String, String)>,
    /// As whom it runs; `None`: as the user we are.
    pub user: Option<User>,
    /// The program understands `--become UID:GID` and calls [`super::take_on`] first of all. Asked of it
    /// only where limits cannot be raised for it (no CAP_SYS_RESOURCE, as in containers).
    pub becomes: bool,
}

/// What an executor needs to know.
pub struct Options {
    pub core: CoreCommand,
    pub settings: Settings,
    /// `None`: nobody can restart this machine through us, whatever the configuration says.
    pub power: Option<Box<dyn Power>>,
    /// Programs kept running while the node is up (`respawn`, `failfast`).
    pub clients: Option<ClientOptions>,
    /// The node lives below it; `None` for `/`.
    pub root: Option<PathBuf>,
    /// Pause before the core is started again: the first, doubled each time up to the second.
    pub pause: (Duration, Duration),
}

impl Options {
    /// The usual ones.
    pub fn new(core: CoreCommand, root: Option<PathBuf>) -> Options {
        let pause = (Duration::from_millis(500), Duration::from_secs(30));
        Options { core, settings: Settings::default(), power: None, clients: None, root, pause }
    }
}

/// A core that has run for this long is healthy: the pause before its next start is short again.
const HEALTHY: Duration = Duration::from_secs(60);
/// Notes kept for the next life of the core.
const NOTES: usize = 10_000;
/// How long a core may take to end after its socket has.
const DEAF: Duration = Duration::from_secs(5);
/// How often a core that dies while it is asked to stop is started again to finish stopping.
const STOP_TRIES: u32 = 3;

/// Runs the executor until the core has stopped for good; the exit status for the process.
///
/// Makes the directories, installs our own agents below a root, starts the core, serves it, starts it again when it dies. SIGTERM and SIGINT
/// ask the core to stop; the executor ends when the core has, and what it ran. A core that exits with
/// [`status::CONFIGURATION`], [`status::PERMISSION`] or [`status::USAGE`] is not started again, and the
/// executor's status is the core's. A core that fails otherwise, and whose configuration says `crm yes`,
/// has the machine restarted, where there is [`Options::power`].
pub fn run(mut options: Options) -> i32 {
    exec::close_inherited();
    // For our own agents, which run it.
    let program = options.core.program.to_string_lossy().into_owned();
    if let Some(root) = &options.root {
        options.settings.secrets = dirs::under(root, "/var/lib/heartbeat/lrm/secrets");
    }
    options.settings.env.entry("EVERBEAT_BINARY".to_owned()).or_insert(program);
    match dirs::prepare(options.root.as_deref(), options.core.user.as_ref()) {
        Ok(reports) => {
            let made = reports.iter().filter(|report| matches!(report, dirs::Report::Made(_))).count();
            if made > 0 {
                tracing::info!("made {made} directories that were not there (after a reboot: usual)");
            }
            for report in reports {
                match report {
                    dirs::Report::Made(_) => tracing::debug!("{report}"),
                    dirs::Report::Wrong(_) => tracing::error!("{report}"),
                    report => tracing::info!("{report}"),
                }
            }
        }
        Err(e) => {
            tracing::error!("{e}");
            return status::PERMISSION;
        }
    }
    let _alone = match Alone::take(options.root.as_deref().unwrap_or(Path::new("/"))) {
        Ok(alone) => alone,
        Err(Taken::Ours(pid)) => {
            // As Heartbeat put it, and like there no failure.
            tracing::info!("already running [pid {pid}].");
            return status::OK;
        }
        Err(Taken::Heartbeat(pid)) => {
            tracing::error!(
                "heartbeat runs here already [pid {pid}], and two managers must not share a machine's resources; stop it first (service heartbeat stop)"
            );
            return status::ERROR;
        }
        Err(Taken::Failed(e)) => {
            tracing::error!("/var/run/heartbeat.pid: {e}");
            return status::PERMISSION;
        }
    };
    // A node of its own root has our agents; on the system itself the package puts them there.
    if let Some(root) = &options.root
        && let Err(e) = crate::bundled::install(&dirs::under(root, "/usr/lib/ocf/resource.d"))
    {
        tracing::warn!("installing the agents that ship with us below {}: {e}", root.display());
    }
    if options.core.user.is_none() && rustix::process::geteuid().is_root() {
        tracing::warn!("the core runs as root: whoever finds a hole in it owns this machine");
    }
    let signals = match listen() {
        Ok(signals) => signals,
        Err(e) => {
            tracing::error!("listening for signals: {e}");
            return status::ERROR;
        }
    };
    match Server::new(options).serve(signals) {
        Ok(status) => status,
        Err(e) => {
            tracing::error!("the executor cannot go on: {e}");
            status::ERROR
        }
    }
}

struct Server {
    options: Options,
    processes: Processes,
    /// Runs whose end has not been confirmed.
    kept: BTreeMap<ExecId, Kept>,
    /// What the core wants its next life to know.
    notes: BTreeMap<String, Vec<u8>>,
    generation: u32,
    /// Something was run for a core: there may be resources that need one.
    worked: bool,
    core: Option<Core>,
    start_at: Option<Instant>,
    pause: Duration,
    stopping: bool,
    deaths_while_stopping: u32,
    /// The core is not to be started again; the executor's status.
    finished: Option<i32>,
    watchdog: Option<std::fs::File>,
    /// Clients of ha.cf, from the first word of the core on.
    children: Option<Children>,
}

struct Kept {
    note: Vec<u8>,
    outcome: Option<Outcome>,
}

impl Server {
    fn new(options: Options) -> Server {
        Server {
            processes: Processes::new(options.settings.clone()),
            kept: BTreeMap::new(),
            notes: BTreeMap::new(),
            generation: 0,
            worked: false,
            core: None,
            start_at: Some(Instant::now()),
            pause: options.pause.0,
            stopping: false,
            deaths_while_stopping: 0,
            finished: None,
            watchdog: None,
            children: None,
            options,
        }
    }

    fn serve(mut self, mut signals: PipeReader) -> io::Result<i32> {
        loop {
            if self.start_at.is_some_and(|at| at <= Instant::now()) {
                self.start_at = None;
                self.start_core();
            }
            if let Some(status) = self.finished
                && self.core.is_none()
                && self.processes.is_empty()
            {
                if let Some(children) = self.children.take() {
                    children.finish();
                }
                return Ok(status);
            }
            self.wait(&signals)?;
            let mut buffer = [0; 16];
            if matches!(signals.read(&mut buffer), Ok(n) if n > 0) {
                self.stop();
            }
            self.hear();
            self.processes.tick(Instant::now());
            self.tell_ends();
            if let Some(core) = &mut self.core {
                core.write();
            }
            self.look_at_core();
        }
    }

    fn wait(&self, signals: &PipeReader) -> io::Result<()> {
        let mut fds = vec![PollFd::new(signals, PollFlags::IN)];
        if let Some(core) = &self.core {
            fds.push(PollFd::new(&core.pidfd, PollFlags::IN));
            if core.deaf.is_none() {
                let out = if core.leaving.is_empty() { PollFlags::empty() } else { PollFlags::OUT };
                fds.push(PollFd::new(&core.stream, PollFlags::IN | out));
            }
        }
        self.processes.poll_fds(&mut fds);
        let deaf = self.core.as_ref().and_then(|core| core.deaf).map(|since| since + DEAF);
        let deadline = [self.processes.deadline(), self.start_at, deaf].into_iter().flatten().min();
        exec::poll(&mut fds, deadline.map(|at| at.saturating_duration_since(Instant::now())))
    }

    fn stop(&mut self) {
        if self.stopping {
            tracing::info!("stopping already; waiting for the resources of this node to stop");
            return;
        }
        self.stopping = true;
        match &mut self.core {
            Some(core) => {
                tracing::info!("asking the core to stop the resources of this node and leave the cluster");
                if core.greeted {
                    core.say(&Reply::Stop, None);
                }
            }
            // It died and waits for its next start. What it left running must be stopped by somebody.
            None if self.finished.is_none() && self.generation > 0 => self.start_at = Some(Instant::now()),
            None => self.finished = self.finished.or(Some(status::OK)),
        }
    }

    fn start_core(&mut self) {
        self.generation = self.generation.saturating_add(1);
        match Core::start(&self.options.core) {
            Ok(core) => {
                tracing::info!("started the core (PID {})", core.child.id());
                self.core = Some(core);
            }
            Err(e) => {
                let program = self.options.core.program.display();
                match &self.options.core.user {
                    // It will not get better by itself.
                    Some(user) if e.kind() == ErrorKind::PermissionDenied => {
                        tracing::error!(
                            "user {} may not run {program} ({e}): put the program where every user can reach it, such as /usr/sbin",
                            user.name
                        );
                        self.finished = Some(status::PERMISSION);
                    }
                    _ => {
                        tracing::error!("starting the core ({program}): {e}");
                        self.start_later();
                    }
                }
            }
        }
    }

    fn start_later(&mut self) {
        tracing::warn!("the core will be started again in {} ms", self.pause.as_millis());
        self.start_at = Some(Instant::now() + self.pause);
        self.pause = (self.pause * 2).min(self.options.pause.1);
    }

    /// Reads and does what the core asks.
    fn hear(&mut self) {
        let Some(core) = &mut self.core else { return };
        let requests = core.read();
        for request in requests {
            self.request(request);
        }
    }

    fn request(&mut self, request: Request) {
        let now = Instant::now();
        let Some(core) = &mut self.core else { return };
        if !core.greeted && !matches!(request, Request::Hello { .. } | Request::Bye { .. }) {
            tracing::error!("the core asks before it says hello; its end of the socket is closed");
            core.deaf = Some(now);
            return;
        }
        match request {
            Request::Hello { version, may_reboot } => {
                if version != VERSION {
                    tracing::warn!(
                        "the core speaks version {version} to this executor's {VERSION}: restart everbeat when it suits"
                    );
                }
                core.greeted = true;
                if let Some(clients) = self.options.clients.take() {
                    match Children::start(clients) {
                        Ok(children) => self.children = Some(children),
                        Err(e) => tracing::error!("the clients of ha.cf are not started: {e}"),
                    }
                }
                core.may_reboot = may_reboot;
                if version >= SINCE_KEEP {
                    for (key, note) in &self.notes {
                        core.say(&Reply::Kept { key: key.clone(), note: note.clone() }, None);
                    }
                }
                let runs = self.kept.iter().map(|(exec, kept)| (*exec, kept.note.clone())).collect();
                core.say(&Reply::Welcome { version: VERSION, generation: self.generation, runs }, None);
                for (exec, kept) in &self.kept {
                    if let Some(outcome) = &kept.outcome {
                        core.say(&Reply::Exited { exec: *exec, outcome: outcome.clone() }, None);
                    }
                }
                if self.stopping {
                    core.say(&Reply::Stop, None);
                }
            }
            Request::Keep { key, note: Some(note) } => {
                // A bound that no configuration reaches: what is forgotten is only forgotten.
                if self.notes.len() < NOTES || self.notes.contains_key(&key) {
                    self.notes.insert(key, note);
                }
            }
            Request::Keep { key, note: None } => {
                self.notes.remove(&key);
            }
            Request::Spawn { exec, note, command, until } => {
                if self.kept.contains_key(&exec) {
                    let text = format!("run number {} exists already", exec.0);
                    let end = crate::End::Failed(crate::SpawnError::Other(text));
                    core.say(&Reply::Exited { exec, outcome: Outcome::of(end, Duration::ZERO) }, None);
                    return;
                }
                self.worked = true;
                self.kept.insert(exec, Kept { note, outcome: None });
                if let Some(pid) = self.processes.spawn_until(exec, &command, now, until) {
                    core.say(&Reply::Started { exec, pid }, None);
                }
            }
            Request::Kill { exec } => self.processes.kill(exec, now),
            Request::Confirm { exec } => {
                if self.kept.get(&exec).is_some_and(|kept| kept.outcome.is_some()) {
                    self.kept.remove(&exec);
                }
            }
            Request::Open { ticket, what } => self.open(ticket, &what),
            Request::Tickle => {
                if let Some(watchdog) = &mut self.watchdog
                    && let Err(e) = watchdog.write_all(b"\0")
                {
                    tracing::error!("tickling the watchdog: {e}");
                }
            }
            Request::Reboot { reason } => match &mut self.options.power {
                Some(power) if core.may_reboot => power.reboot(&reason),
                _ => tracing::error!(
                    "the core asked to restart this machine ({reason}); it may not here, and nothing was done"
                ),
            },
            Request::Bye { status } => core.bye = Some(status),
        }
    }

    fn open(&mut self, ticket: u64, what: &Open) {
        let config_dir = dirs::under(self.options.root.as_deref().unwrap_or(Path::new("/")), "/etc/ha.d");
        let Some(core) = &mut self.core else { return };
        // A new core finds the device as the one before left it: open, and armed.
        if matches!(what, Open::Watchdog { .. }) && self.watchdog.is_some() {
            return core.say(&Reply::Opened { ticket, with_fd: false }, None);
        }
        match open::open(what, &config_dir) {
            Ok(fd) if matches!(what, Open::Watchdog { .. }) => {
                self.watchdog = Some(fd.into());
                core.say(&Reply::Opened { ticket, with_fd: false }, None);
            }
            Ok(fd) => core.say(&Reply::Opened { ticket, with_fd: true }, Some(fd)),
            Err(e) => {
                let errno = e.raw_os_error().unwrap_or(rustix::io::Errno::INVAL.raw_os_error());
                let text = format!("{}: {e}", open::describe(what));
                core.say(&Reply::OpenFailed { ticket, errno, text }, None);
            }
        }
    }

    fn tell_ends(&mut self) {
        while let Some((exec, outcome)) = self.processes.take_ended() {
            if let Some(core) = self.core.as_mut().filter(|core| core.greeted) {
                core.say(&Reply::Exited { exec, outcome: outcome.clone() }, None);
            }
            if let Some(kept) = self.kept.get_mut(&exec) {
                kept.outcome = Some(outcome);
            }
        }
    }

    /// Decides what to do if the core has ended.
    fn look_at_core(&mut self) {
        let Some(core) = &mut self.core else { return };
        let exit = match core.child.try_wait() {
            Ok(Some(exit)) => exit,
            Ok(None) if core.deaf.is_some_and(|since| since.elapsed() >= DEAF) => {
                // It cannot be served any more, and must not run on beside its successor.
                tracing::error!("the core has closed its socket and does not end; it is killed");
                let _ = core.child.kill();
                match core.child.wait() {
                    Ok(exit) => exit,
                    Err(_) => return,
                }
            }
            Ok(None) | Err(_) => return,
        };
        // What it said last is still in the socket.
        self.hear();
        let Some(core) = self.core.take() else { return };
        let code = core.bye.or(exit.code());
        let last =
            matches!(code, Some(status::OK | status::USAGE | status::PERMISSION | status::CONFIGURATION));
        if code == Some(status::AGAIN) {
            tracing::info!("the core asks to be started anew");
            self.start_later();
            return;
        }
        if !last && code != Some(status::STAY_DOWN) && core.may_reboot && !self.stopping {
            let how = match (exit.signal(), code) {
                (Some(signal), _) => format!("was killed by signal {signal}"),
                (None, code) => format!("ended with status {}", code.unwrap_or(-1)),
            };
            // What ha.cf asks for: a node whose manager failed must not hold on to its resources.
            match &mut self.options.power {
                Some(power) => power.reboot(&format!("the core {how}, and ha.cf says crm yes")),
                None => tracing::error!(
                    "the core {how}, and ha.cf says crm yes; this machine may not be restarted here, and nothing was done"
                ),
            }
        }
        // A start that fails ends here; a failure later on would leave resources to nobody.
        let failed_at_work = self.worked && !last && code != Some(status::STAY_DOWN);
        if last || (core.bye.is_some() && !failed_at_work) {
            let code = code.unwrap_or(status::ERROR);
            tracing::info!("the core has ended with status {code}");
            self.quiet_watchdog();
            self.finished = Some(code);
            return;
        }
        match exit.signal() {
            Some(signal) => tracing::error!(
                "the core was killed by signal {signal}; {} operations run on",
                self.processes.len()
            ),
            None => tracing::error!(
                "the core ended with status {}; {} operations run on",
                code.unwrap_or(-1),
                self.processes.len()
            ),
        }
        if self.stopping {
            self.deaths_while_stopping += 1;
            if self.deaths_while_stopping >= STOP_TRIES {
                tracing::error!(
                    "the core keeps dying while it should stop this node; its resources may still be active"
                );
                self.finished = Some(status::ERROR);
                return;
            }
        }
        if core.started.elapsed() >= HEALTHY {
            self.pause = self.options.pause.0;
        }
        self.start_later();
    }

    /// An orderly end is no reason to restart the machine.
    fn quiet_watchdog(&mut self) {
        if let Some(mut watchdog) = self.watchdog.take()
            && let Err(e) = watchdog.write_all(b"V")
        {
            tracing::error!("disarming the watchdog: {e}");
        }
    }
}
