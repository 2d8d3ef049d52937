//! The executor's loop: one thread, nothing but `poll`.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, ErrorKind, IoSlice, PipeReader, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, pidfd_open, prlimit};

use super::alone::{Alone, Taken};
use super::children::{Children, ClientOptions};
use super::wire::{Open, Reply, Request, VERSION, take_frame};
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
/// How long a core may take to end after its socket has.
const DEAF: Duration = Duration::from_secs(5);
/// How often a core that dies while it is asked to stop is started again to finish stopping.
const STOP_TRIES: u32 = 3;

/// Runs the executor until the core has stopped for good; the exit status for the process.
///
/// Makes the directories, installs our own agents below a root, starts the core, serves it, starts it again when it dies. SIGTERM and SIGINT
/// ask the core to stop; the executor ends when the core has, and what it ran. A core that exits with
/// [`status::CONFIGURATION`], [`status::PERMISSION`] or [`status::USAGE`] is not started again, and the
/// executor's status is the core's.
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

/// A pipe that carries a byte for every signal that asks to stop. Signals are taken by a thread, through
/// handlers and not by blocking them, because what is blocked here would stay blocked in every agent.
fn listen() -> io::Result<PipeReader> {
    let (reader, mut writer) = io::pipe()?;
    rustix::io::ioctl_fionbio(&reader, true)?;
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let listening = || -> io::Result<_> {
            use tokio::signal::unix::{SignalKind, signal};
            let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
            let guard = runtime.enter();
            let term = signal(SignalKind::terminate())?;
            let int = signal(SignalKind::interrupt())?;
            let hup = signal(SignalKind::hangup())?;
            drop(guard);
            Ok((runtime, term, int, hup))
        };
        let (runtime, mut term, mut int, mut hup) = match listening() {
            Ok(all) => all,
            Err(e) => {
                let _ = ready.send(Err(e));
                return;
            }
        };
        let _ = ready.send(Ok(()));
        runtime.block_on(async {
            loop {
                tokio::select! {
                    _ = term.recv() => {}
                    _ = int.recv() => {}
                    // A daemon outlives its terminal.
                    _ = hup.recv() => continue,
                }
                if writer.write_all(b"s").is_err() {
                    return;
                }
            }
        });
    })?;
    is_ready.recv().map_err(|_| io::Error::from(ErrorKind::BrokenPipe))??;
    Ok(reader)
}

struct Server {
    options: Options,
    processes: Processes,
    /// Runs whose end has not been confirmed.
    kept: BTreeMap<ExecId, Kept>,
    generation: u32,
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

/// A core that runs.
struct Core {
    child: Child,
    pidfd: OwnedFd,
    started: Instant,
    stream: UnixStream,
    arrived: Vec<u8>,
    leaving: VecDeque<Leaving>,
    greeted: bool,
    may_reboot: bool,
    bye: Option<i32>,
    /// Since when the socket has ended, or carried nonsense.
    deaf: Option<Instant>,
}

struct Leaving {
    bytes: Vec<u8>,
    at: usize,
    fd: Option<OwnedFd>,
}

impl Server {
    fn new(options: Options) -> Server {
        Server {
            processes: Processes::new(options.settings.clone()),
            kept: BTreeMap::new(),
            generation: 0,
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
            Request::Spawn { exec, note, command } => {
                if self.kept.contains_key(&exec) {
                    let text = format!("run number {} exists already", exec.0);
                    let end = crate::End::Failed(crate::SpawnError::Other(text));
                    core.say(&Reply::Exited { exec, outcome: Outcome::of(end, Duration::ZERO) }, None);
                    return;
                }
                self.kept.insert(exec, Kept { note, outcome: None });
                if let Some(pid) = self.processes.spawn(exec, &command, now) {
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
                    && let Err(e) = watchdog.write_all(b"\n")
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
        if last || core.bye.is_some() {
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

impl Core {
    fn start(how: &CoreCommand) -> io::Result<Core> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let mut command = std::process::Command::new(&how.program);
        command.args(&how.args).envs(how.env.iter().map(|(n, v)| (n, v)));
        // Of its own group, so that a Ctrl-C at the terminal reaches us alone, who ask it to stop.
        command.stdin(Stdio::from(OwnedFd::from(theirs))).process_group(0);
        if let Some(user) = &how.user {
            // Supplementary groups are dropped with the user.
            command.gid(user.gid).uid(user.uid);
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

    fn say(&mut self, reply: &Reply, fd: Option<OwnedFd>) {
        match reply.encode() {
            Ok(bytes) => self.leaving.push_back(Leaving { bytes, at: 0, fd }),
            Err(e) => {
                tracing::error!("a reply to the core was not sent: {e}");
                self.deaf = Some(Instant::now());
            }
        }
    }

    /// Sends what can be sent without waiting.
    fn write(&mut self) {
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

    fn read(&mut self) -> Vec<Request> {
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
