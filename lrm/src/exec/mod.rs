//! Processes: each in a group of its own, with an environment that is spelled out, no descriptors but its
//! standard ones ([`close_inherited`]), a limit on its time and on its output.
//!
//! [`Processes`] is driven by whoever owns the loop, from one thread: `poll` its descriptors, call
//! [`Processes::tick`], take what has ended. [`run`] is the loop for one command.
//!
//! A run has ended when its process has, not when its output ends: a daemon that an agent starts keeps
//! the agent's output open (agents.md 5.4.1). When the time is up the group gets SIGTERM, and what is
//! left of it SIGKILL as soon as the agent is gone or the grace is over, so that nothing of a run is left
//! when its end is told. A process that outlives SIGKILL by another grace is given up and said so.

mod capture;
mod secrets;
mod trust;

use std::collections::{BTreeMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open, test_kill_process_group};

use self::capture::Capture;
pub use self::trust::Trust;
use crate::{Command, End, ExecId, Outcome, SpawnError};

/// What is the same for all processes.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Added to the environment of every process, over what its command says.
    pub env: BTreeMap<String, String>,
    /// From SIGTERM to SIGKILL, and from SIGKILL to giving up; 5 s by default (agents.md 5.5).
    pub grace: Duration,
    /// Whose files may be run.
    pub trust: Trust,
    /// Where secrets are, as `RESOURCE/PARAMETER`; agents.md 5.11.
    pub secrets: PathBuf,
    /// Processes at once. More are refused: each needs four descriptors of the executor's.
    pub most: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            env: BTreeMap::new(),
            grace: Duration::from_secs(5),
            trust: Trust::of_this_user(),
            secrets: PathBuf::from(secrets::DIR),
            most: 200,
        }
    }
}

/// The processes that run, and those whose end nobody has taken yet.
#[derive(Debug)]
pub struct Processes {
    settings: Settings,
    running: BTreeMap<ExecId, Process>,
    ended: VecDeque<(ExecId, Outcome)>,
    /// Given up on: only to be reaped.
    lost: Vec<Child>,
}

#[derive(Debug)]
struct Process {
    child: Child,
    group: Pid,
    pidfd: OwnedFd,
    stdin: Option<(ChildStdin, Vec<u8>, usize)>,
    stdout: Option<(ChildStdout, Capture)>,
    stderr: Option<(ChildStderr, Capture)>,
    program: usize,
    started: Instant,
    /// When the next of TERM, KILL, giving up is due.
    due: Option<Instant>,
    ending: Ending,
    timed_out: bool,
    /// The process itself has ended and is reaped, and what is left of its group is dying: until when
    /// that is waited for. The group's number may belong to somebody else from here on.
    gone: Option<(ExitStatus, Instant)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    /// It may run.
    No,
    Terminated,
    Killed,
}

/// How long what is left of a killed group is waited for. It takes its processes milliseconds to die, but
/// those that nobody reaps, in a container without an init, stay members for ever.
const DYING: Duration = Duration::from_millis(250);
/// Between two looks at it.
const DYING_LOOK: Duration = Duration::from_millis(2);

/// Bytes read from one pipe before others have their turn.
const READ_AT_ONCE: usize = 256 * 1024;

impl Processes {
    pub fn new(settings: Settings) -> Processes {
        Processes { settings, running: BTreeMap::new(), ended: VecDeque::new(), lost: Vec::new() }
    }

    /// Starts a process; its end comes out of [`Processes::take_ended`], also if it could not be started.
    /// Answers its process id if it runs.
    pub fn spawn(&mut self, exec: ExecId, command: &Command, now: Instant) -> Option<u32> {
        let result = if self.running.contains_key(&exec) {
            Err((0, SpawnError::Other(format!("process number {} runs already", exec.0))))
        } else if self.running.len() >= self.settings.most {
            Err((0, SpawnError::Other(format!("{} processes run already", self.running.len()))))
        } else {
            start(command, &self.settings, now)
        };
        match result {
            Ok(process) => {
                let pid = process.child.id();
                self.running.insert(exec, process);
                Some(pid)
            }
            Err((program, error)) => {
                let outcome = Outcome { program, ..Outcome::of(End::Failed(error), Duration::ZERO) };
                self.ended.push_back((exec, outcome));
                None
            }
        }
    }

    /// As [`Processes::spawn`], but not at or after this time of CLOCK_BOOTTIME. Whoever ordered it may have
    /// been left behind since (protocol R6.4), and what was paused in between must find that out.
    pub fn spawn_until(
        &mut self,
        exec: ExecId,
        command: &Command,
        now: Instant,
        until: Option<Duration>,
    ) -> Option<u32> {
        if until.is_some_and(|until| boottime() >= until) {
            let text = "this node may have been left behind since the order was given";
            let end = End::Failed(SpawnError::Late(text.to_owned()));
            self.ended.push_back((exec, Outcome::of(end, Duration::ZERO)));
            return None;
        }
        self.spawn(exec, command, now)
    }

    /// Kills a process and its group at once. Its end still comes.
    pub fn kill(&mut self, exec: ExecId, now: Instant) {
        if let Some(process) = self.running.get_mut(&exec)
            && process.ending != Ending::Killed
            && process.gone.is_none()
        {
            process.signal(Signal::KILL);
            process.ending = Ending::Killed;
            process.due = Some(now + self.settings.grace);
        }
    }

    pub fn is_running(&self, exec: ExecId) -> bool {
        self.running.contains_key(&exec)
    }

    /// How many processes run.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    pub fn is_empty(&self) -> bool {
        self.running.is_empty()
    }

    /// When [`Processes::tick`] is due even if no descriptor is ready.
    pub fn deadline(&self) -> Option<Instant> {
        if !self.ended.is_empty() {
            return Some(Instant::now());
        }
        self.running.values().filter_map(|p| p.due).min()
    }

    /// What to wait for before the next [`Processes::tick`].
    pub fn poll_fds<'a>(&'a self, fds: &mut Vec<PollFd<'a>>) {
        for process in self.running.values() {
            if process.gone.is_none() {
                fds.push(PollFd::from_borrowed_fd(process.pidfd.as_fd(), PollFlags::IN));
            }
            let mut read = |fd: BorrowedFd<'a>| fds.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
            if let Some((pipe, _)) = process.stdout.as_ref().filter(|(_, c)| c.is_open()) {
                read(pipe.as_fd());
            }
            if let Some((pipe, _)) = process.stderr.as_ref().filter(|(_, c)| c.is_open()) {
                read(pipe.as_fd());
            }
            if let Some((pipe, _, _)) = &process.stdin {
                fds.push(PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::OUT));
            }
        }
    }

    /// Moves bytes, ends what is due, and collects what has ended.
    pub fn tick(&mut self, now: Instant) {
        self.lost.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        let ids: Vec<ExecId> = self.running.keys().copied().collect();
        for exec in ids {
            let Some(process) = self.running.get_mut(&exec) else { continue };
            process.feed();
            // The end is looked for before the output is read, so that all it wrote is there.
            let end = process.has_ended(now);
            process.drain();
            match end {
                Some(end) => {
                    if let Some(process) = self.running.remove(&exec) {
                        self.ended.push_back((exec, process.outcome(end, now)));
                    }
                }
                None if process.gone.is_some() => {}
                None => {
                    let late = process.due.is_some_and(|due| due <= now);
                    if late
                        && process.press(self.settings.grace, now)
                        && let Some(process) = self.running.remove(&exec)
                    {
                        tracing::error!("process (PID {}) will not die!", process.child.id());
                        let (outcome, child) = process.give_up(now);
                        self.ended.push_back((exec, outcome));
                        self.lost.push(child);
                    }
                }
            }
        }
    }

    /// The next run that has ended.
    pub fn take_ended(&mut self) -> Option<(ExecId, Outcome)> {
        self.ended.pop_front()
    }
}

/// CLOCK_BOOTTIME, which goes on while the machine sleeps (protocol R6.5).
fn boottime() -> Duration {
    let t = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(u64::try_from(t.tv_sec).unwrap_or(0), u32::try_from(t.tv_nsec).unwrap_or(0))
}

/// Closes the descriptors this process was started with beyond the standard ones, which every agent would
/// inherit. They are told by not being close-on-exec, as everything is that this program opens itself.
pub fn close_inherited() {
    /// O_CLOEXEC as `/proc/PID/fdinfo` prints it, in octal.
    const CLOEXEC: u64 = 0o2_000_000;
    let Ok(entries) = std::fs::read_dir("/proc/self/fdinfo") else { return };
    let numbers: Vec<i32> = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse().ok()).collect();
    for fd in numbers.into_iter().filter(|fd| *fd > 2) {
        let Ok(info) = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")) else { continue };
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = flags.and_then(|flags| u64::from_str_radix(flags.trim(), 8).ok());
        if flags.is_some_and(|flags| flags & CLOEXEC == 0) {
            // Gone already is as good.
            let _ = nix::unistd::close(fd);
        }
    }
}

/// Runs one command to its end, in the calling thread.
pub fn run(command: &Command, settings: Settings) -> Outcome {
    let mut processes = Processes::new(settings);
    let exec = ExecId(0);
    processes.spawn(exec, command, Instant::now());
    loop {
        if let Some((_, outcome)) = processes.take_ended() {
            return outcome;
        }
        let mut fds = Vec::new();
        processes.poll_fds(&mut fds);
        let wait = processes.deadline().map(|at| at.saturating_duration_since(Instant::now()));
        if let Err(e) = poll(&mut fds, wait) {
            let text = format!("waiting for a process: {e}");
            return Outcome::of(End::Failed(SpawnError::Other(text)), Duration::ZERO);
        }
        drop(fds);
        processes.tick(Instant::now());
    }
}

/// `poll`, rounded up so that what is due is due afterwards. An interruption counts as a wake-up.
pub(crate) fn poll(fds: &mut [PollFd<'_>], wait: Option<Duration>) -> std::io::Result<()> {
    let wait = wait.map(|wait| rustix::event::Timespec {
        tv_sec: i64::try_from(wait.as_secs()).unwrap_or(i64::MAX).min(3600),
        tv_nsec: i64::from(wait.subsec_nanos()),
    });
    match rustix::event::poll(fds, wait.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(e) => Err(e.into()),
    }
}

/// Starts a process; an agent that is just being written ("Text file busy") gets a moment, as one failed
/// start may ban a resource from a node for good.
fn spawn_when_written(command: &mut std::process::Command) -> std::io::Result<std::process::Child> {
    const TRIES: u32 = 10;
    for _ in 0..TRIES {
        match command.spawn() {
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
    command.spawn()
}

/// Starts the first program that is there. The error names which program it is about.
fn start(command: &Command, settings: &Settings, now: Instant) -> Result<Process, (usize, SpawnError)> {
    let filled;
    let command = match &command.secrets {
        Some(which) => {
            filled = secrets::fill(command, which, &settings.secrets).map_err(|e| (0, e))?;
            &filled
        }
        None => command,
    };
    let mut missing = None;
    for (at, program) in command.programs.iter().enumerate() {
        match settings.trust.check(&program.path) {
            Ok(()) => return start_program(command, at, settings, now).map_err(|e| (at, e)),
            Err(SpawnError::NotFound(text)) => {
                missing.get_or_insert((at, SpawnError::NotFound(text)));
            }
            Err(e) => return Err((at, e)),
        }
    }
    Err(missing
        .unwrap_or_else(|| (0, SpawnError::NotFound("there is no program for this operation".to_owned()))))
}

fn start_program(
    command: &Command,
    at: usize,
    settings: &Settings,
    now: Instant,
) -> Result<Process, SpawnError> {
    let other = |what: &str, e: std::io::Error| SpawnError::Other(format!("{what}: {e}"));
    let program = command.programs.get(at).ok_or_else(|| SpawnError::NotFound(String::new()))?;
    let mut child = std::process::Command::new(&program.path);
    if let Some(name) = &program.argv0 {
        child.arg0(name);
    }
    child
        .args(&program.args)
        .env_clear()
        .envs(&command.env)
        .envs(&settings.env)
        .current_dir("/")
        .process_group(0);
    child.stdin(if command.stdin.is_empty() { Stdio::null() } else { Stdio::piped() });
    child.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn_when_written(&mut child).map_err(|e| trust::spawn_error(&program.path, &e))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let prepared = (|| {
        let group = pid.ok_or(ErrorKind::InvalidData)?;
        let pidfd = pidfd_open(group, PidfdFlags::NONBLOCK)?;
        for fd in [
            child.stdin.as_ref().map(AsFd::as_fd),
            child.stdout.as_ref().map(AsFd::as_fd),
            child.stderr.as_ref().map(AsFd::as_fd),
        ]
        .into_iter()
        .flatten()
        {
            rustix::io::ioctl_fionbio(fd, true)?;
        }
        Ok::<_, std::io::Error>((group, pidfd))
    })();
    let (group, pidfd) = match prepared {
        Ok(prepared) => prepared,
        Err(e) => {
            // It must not run on unwatched.
            if let Some(group) = pid {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = child.wait();
            return Err(other("watching a new process", e));
        }
    };
    Ok(Process {
        group,
        pidfd,
        stdin: child.stdin.take().map(|pipe| (pipe, command.stdin.clone(), 0)),
        stdout: child.stdout.take().map(|pipe| (pipe, Capture::new(command.output_limit))),
        stderr: child.stderr.take().map(|pipe| (pipe, Capture::new(command.output_limit))),
        child,
        program: at,
        started: now,
        due: command.timeout.and_then(|limit| now.checked_add(limit)),
        ending: Ending::No,
        timed_out: false,
        gone: None,
    })
}

impl Process {
    fn signal(&self, signal: Signal) {
        // Not reaped yet, so the group's number is still ours. ESRCH: all of it is gone.
        if let Err(e) = kill_process_group(self.group, signal)
            && e != rustix::io::Errno::SRCH
        {
            tracing::warn!("sending a signal to process group {}: {e}", self.child.id());
        }
    }

    /// The next step against a process whose time is up; true if there is none left.
    fn press(&mut self, grace: Duration, now: Instant) -> bool {
        match self.ending {
            Ending::No => {
                tracing::warn!(
                    "process (PID {}) timed out (try 1).  Killing with signal SIGTERM (15).",
                    self.child.id()
                );
                self.timed_out = true;
                self.signal(Signal::TERM);
                self.ending = Ending::Terminated;
            }
            Ending::Terminated => {
                tracing::warn!(
                    "process (PID {}) timed out (try 2).  Killing with signal SIGKILL (9).",
                    self.child.id()
                );
                self.signal(Signal::KILL);
                self.ending = Ending::Killed;
            }
            Ending::Killed => return true,
        }
        self.due = now.checked_add(grace);
        false
    }

    /// Whether the process has ended; of one that we end, whether all of its group has. What is left of
    /// the group is killed before its leader is reaped, while its number cannot belong to anybody else.
    fn has_ended(&mut self, now: Instant) -> Option<ExitStatus> {
        if let Some((status, until)) = self.gone {
            let empty = test_kill_process_group(self.group) == Err(rustix::io::Errno::SRCH);
            self.due = Some(now + DYING_LOOK);
            return (empty || until <= now).then_some(status);
        }
        let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
        poll(&mut fds, Some(Duration::ZERO)).ok()?;
        if fds.iter().all(|fd| fd.revents().is_empty()) {
            return None;
        }
        let ending = self.ending != Ending::No;
        if ending {
            self.signal(Signal::KILL);
        }
        let status = self.child.try_wait().ok().flatten()?;
        if !ending {
            return Some(status);
        }
        self.gone = Some((status, now + DYING));
        self.has_ended(now)
    }

    fn feed(&mut self) {
        let Some((pipe, bytes, at)) = &mut self.stdin else { return };
        let done = loop {
            match pipe.write(bytes.get(*at..).unwrap_or(&[])) {
                Ok(0) => break true,
                Ok(n) => {
                    *at += n;
                    if *at >= bytes.len() {
                        break true;
                    }
                }
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => break false,
                // It does not read what it is given: its own affair.
                Err(_) => break true,
            }
        };
        if done {
            self.stdin = None;
        }
    }

    fn drain(&mut self) {
        if let Some((pipe, capture)) = &mut self.stdout
            && !fill(pipe, capture)
        {
            capture.close();
        }
        if let Some((pipe, capture)) = &mut self.stderr
            && !fill(pipe, capture)
        {
            capture.close();
        }
    }

    fn outcome(mut self, status: ExitStatus, now: Instant) -> Outcome {
        let end = match (status.code(), status.signal()) {
            _ if self.timed_out => End::Timeout,
            _ if self.ending == Ending::Killed => End::Killed,
            (Some(code), _) => End::Code(code),
            (None, Some(signal)) => End::Signal(signal),
            (None, None) => End::Failed(SpawnError::Other("a process ended in an unknown way".to_owned())),
        };
        self.take_outcome(end, now)
    }

    fn give_up(mut self, now: Instant) -> (Outcome, Child) {
        let end = if self.timed_out { End::Timeout } else { End::Killed };
        let outcome = self.take_outcome(end, now);
        (outcome, self.child)
    }

    fn take_outcome(&mut self, end: End, now: Instant) -> Outcome {
        Outcome {
            end,
            program: self.program,
            stdout: self.stdout.take().map(|(_, c)| c.into_bytes()).unwrap_or_default(),
            stderr: self.stderr.take().map(|(_, c)| c.into_bytes()).unwrap_or_default(),
            ran: now.saturating_duration_since(self.started),
        }
    }
}

/// Reads what is there; false at the end of the pipe.
fn fill(pipe: &mut impl Read, capture: &mut Capture) -> bool {
    let mut buffer = [0; 16 * 1024];
    let mut taken = 0;
    while taken < READ_AT_ONCE {
        match pipe.read(&mut buffer) {
            Ok(0) => return false,
            Ok(n) => {
                taken += n;
                capture.push(buffer.get(..n).unwrap_or(&[]));
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) if e.kind() == ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
    }
    true
}
