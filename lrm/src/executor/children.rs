//! Runs the clients of `ha.cf` (`respawn`, `failfast`) in a thread of the executor: what
//! [`crate::clients`] decides, this does.

use std::collections::BTreeMap;
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::{Power, User};
use crate::clients::{Action, Clients, Ended, Event};
use crate::exec;

/// Gives a program its user with all of the user's groups; of util-linux, on every system.
const SETPRIV: &str = "/usr/bin/setpriv";

/// One client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSpec {
    /// As whom it runs; `None`: as the executor.
    pub user: Option<User>,
    pub command: PathBuf,
    pub arguments: Vec<String>,
    /// Its failure takes the node down.
    pub failfast: bool,
}

/// The clients of a node.
pub struct ClientOptions {
    /// In start order.
    pub clients: Vec<ClientSpec>,
    /// The whole environment they get.
    pub env: Vec<(String, String)>,
    /// What restarts the machine when a `failfast` client fails; `None`: nothing does.
    pub power: Option<Box<dyn Power + Send>>,
}

/// The thread, as long as the node is up.
pub(super) struct Children {
    /// Closed to ask for the end.
    stop: PipeWriter,
    thread: JoinHandle<()>,
}

impl Children {
    /// Starts them.
    ///
    /// # Errors
    /// Those of the system: no pipe, no thread.
    pub(super) fn start(options: ClientOptions) -> io::Result<Children> {
        let (stopped, stop) = io::pipe()?;
        let thread = std::thread::Builder::new()
            .name("clients".to_owned())
            .spawn(move || Keeper::new(options, stopped).run())?;
        Ok(Children { stop, thread })
    }

    /// Ends them, the last started first, and waits until they have ended.
    pub(super) fn finish(self) {
        drop(self.stop);
        if self.thread.join().is_err() {
            tracing::error!("the thread that kept the clients of ha.cf has failed");
        }
    }
}

struct Running {
    child: Child,
    pidfd: OwnedFd,
}

struct Keeper {
    options: ClientOptions,
    machine: Clients,
    running: BTreeMap<usize, Running>,
    stopped: PipeReader,
    begun: Instant,
}

impl Keeper {
    fn new(options: ClientOptions, stopped: PipeReader) -> Keeper {
        let names = options.clients.iter().map(|c| (c.line(), c.failfast));
        let machine = Clients::new(names);
        Keeper { machine, options, running: BTreeMap::new(), stopped, begun: Instant::now() }
    }

    fn run(mut self) {
        let mut stopping = false;
        let mut done = self.handle(Event::Start);
        while !done {
            let timeout = self.machine.deadline().map(|at| at.saturating_sub(self.begun.elapsed()));
            match self.wait(timeout, stopping) {
                Ok(true) if !stopping => {
                    stopping = true;
                    done |= self.handle(Event::Stop);
                }
                Ok(_) => {}
                Err(e) => {
                    tracing::error!("waiting for the clients of ha.cf: {e}");
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
            for (client, how) in self.ends() {
                done |= self.handle(Event::Ended { client, how });
            }
            if self.machine.deadline().is_some_and(|at| at <= self.begun.elapsed()) {
                done |= self.handle(Event::Timer);
            }
        }
    }

    /// Waits for an end, a deadline or the wish to stop; true for the last.
    fn wait(&self, timeout: Option<Duration>, stopping: bool) -> io::Result<bool> {
        let mut fds: Vec<PollFd<'_>> =
            self.running.values().map(|r| PollFd::new(&r.pidfd, PollFlags::IN)).collect();
        if !stopping {
            fds.push(PollFd::new(&self.stopped, PollFlags::IN));
        }
        exec::poll(&mut fds, timeout)?;
        Ok(!stopping && fds.last().is_some_and(|fd| !fd.revents().is_empty()))
    }

    fn ends(&mut self) -> Vec<(usize, Ended)> {
        let mut ends = Vec::new();
        for (index, running) in &mut self.running {
            match running.child.try_wait() {
                Ok(Some(status)) => ends.push((*index, how(status))),
                Ok(None) => {}
                Err(e) => {
                    tracing::error!("waiting for a client of ha.cf: {e}");
                    ends.push((*index, Ended::Never));
                }
            }
        }
        for (index, _) in &ends {
            self.running.remove(index);
        }
        ends
    }

    /// True when all have ended for good.
    fn handle(&mut self, event: Event) -> bool {
        let mut done = false;
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            let mut actions = Vec::new();
            self.machine.handle(self.begun.elapsed(), event, &mut actions);
            for action in actions {
                match action {
                    Action::Spawn(client) => {
                        if let Err(how) = self.spawn(client) {
                            events.push(Event::Ended { client, how });
                        }
                    }
                    Action::Terminate(client) => self.signal(client, Signal::TERM),
                    Action::Kill(client) => self.signal(client, Signal::KILL),
                    Action::Say(text, true) => tracing::error!("{text}"),
                    Action::Say(text, false) => tracing::info!("{text}"),
                    Action::Reboot(reason) => match &mut self.options.power {
                        Some(power) => power.reboot(&reason),
                        None => {
                            tracing::error!("{reason}: this machine would be restarted, and may not be here")
                        }
                    },
                    Action::Done => done = true,
                }
            }
        }
        done
    }

    fn signal(&self, client: usize, signal: Signal) {
        let Some(running) = self.running.get(&client) else { return };
        let Some(group) = i32::try_from(running.child.id()).ok().and_then(Pid::from_raw) else { return };
        if let Err(e) = kill_process_group(group, signal) {
            tracing::error!("ending process group {}: {e}", running.child.id());
        }
    }

    fn spawn(&mut self, client: usize) -> Result<(), Ended> {
        let Some(spec) = self.options.clients.get(client) else { return Err(Ended::Never) };
        let mut command = spec.command();
        command.env_clear().envs(self.options.env.iter().map(|(n, v)| (n, v)));
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .current_dir("/")
            .process_group(0);
        let (uid, gid) = spec.user.as_ref().map_or((0, 0), |u| (u.uid, u.gid));
        tracing::info!("Starting child client \"{}\" ({uid},{gid})", spec.line());
        let started = command.spawn().and_then(|mut child| {
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            let pidfd = pid
                .ok_or(io::ErrorKind::InvalidData.into())
                .and_then(|pid| pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(io::Error::from));
            if pidfd.is_err() {
                // Nobody could watch it.
                let _ = child.kill();
                let _ = child.wait();
            }
            pidfd.map(|pidfd| Running { child, pidfd })
        });
        match started {
            Ok(running) => {
                self.running.insert(client, running);
                Ok(())
            }
            Err(e) => {
                tracing::error!("starting client \"{}\": {e}", spec.line());
                Err(Ended::Never)
            }
        }
    }
}

fn how(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(code), _) => Ended::Status(code),
        (None, Some(signal)) => Ended::Signal(signal),
        (None, None) => Ended::Never,
    }
}

impl ClientSpec {
    /// The command as `ha.cf` has it.
    fn line(&self) -> String {
        let mut line = self.command.display().to_string();
        for argument in &self.arguments {
            line.push(' ');
            line.push_str(argument);
        }
        line
    }

    fn command(&self) -> Command {
        let other = self.user.as_ref().filter(|u| u.uid != rustix::process::geteuid().as_raw());
        let Some(user) = other else {
            let mut command = Command::new(&self.command);
            command.args(&self.arguments);
            return command;
        };
        if Path::new(SETPRIV).exists() {
            let mut command = Command::new(SETPRIV);
            command.arg(format!("--reuid={}", user.uid)).arg(format!("--regid={}", user.gid));
            command.args(["--init-groups", "--"]).arg(&self.command).args(&self.arguments);
            return command;
        }
        // Without the user's further groups, which only setpriv can give.
        let mut command = Command::new(&self.command);
        command.args(&self.arguments).gid(user.gid).uid(user.uid);
        command
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn started_again_and_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let sh = |text: String, failfast| ClientSpec {
            user: None,
            command: "/bin/sh".into(),
            arguments: vec!["-c".into(), text],
            failfast,
        };
        let log_to = log.display();
        let clients = vec![
            sh(format!("echo once >> {log_to}; exit 100"), false),
            sh(format!("echo again $HA_test >> {log_to}; exit 0"), false),
            sh(format!("echo stays >> {log_to}; sleep 1000 & wait"), false),
        ];
        let env =
            vec![("HA_test".to_owned(), "yes".to_owned()), ("PATH".to_owned(), "/usr/bin:/bin".to_owned())];
        let children = Children::start(ClientOptions { clients, env, power: None }).unwrap();
        let begun = Instant::now();
        let text = loop {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            if text.matches("again yes").count() >= 2 && text.contains("stays") {
                break text;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "{text}");
            std::thread::sleep(Duration::from_millis(20));
        };
        assert_eq!(text.matches("once").count(), 1);
        let begun = Instant::now();
        children.finish();
        assert!(begun.elapsed() < Duration::from_secs(10));
    }

    #[test]
    fn a_program_that_cannot_be_started_is_one_that_dies_fast() {
        let clients = vec![ClientSpec {
            user: None,
            command: "/nosuch/program".into(),
            arguments: Vec::new(),
            failfast: false,
        }];
        let children = Children::start(ClientOptions { clients, env: Vec::new(), power: None }).unwrap();
        std::thread::sleep(Duration::from_millis(50));
        children.finish();
    }

    #[test]
    fn a_failing_failfast_client_asks_for_a_restart() {
        struct Note(std::sync::mpsc::Sender<String>);
        impl Power for Note {
            fn reboot(&mut self, reason: &str) {
                self.0.send(reason.to_owned()).unwrap();
            }
        }
        let (sender, receiver) = std::sync::mpsc::channel();
        let clients = vec![ClientSpec {
            user: None,
            command: "/bin/false".into(),
            arguments: Vec::new(),
            failfast: true,
        }];
        let power: Option<Box<dyn Power + Send>> = Some(Box::new(Note(sender)));
        let children = Children::start(ClientOptions { clients, env: Vec::new(), power }).unwrap();
        let reason = receiver.recv_timeout(Duration::from_secs(10)).unwrap();
        assert_eq!(reason, "failfast client \"/bin/false\" exited with status 1");
        children.finish();
    }
}
