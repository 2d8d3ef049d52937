//! Processes that hold namespaces, and commands run inside them.

use std::fs;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use nix::sched::{CloneFlags, setns};

use super::LabError;

/// A process group outside that keeps namespaces alive; killed on drop.
pub(super) struct Holder {
    outer: Child,
    /// The process whose namespaces are entered.
    pub(super) pid: u32,
}

impl Holder {
    /// Starts `unshare` with the given flags and command. It dies with the calling thread.
    pub(super) fn start(flags: &[&str], command: &[&str], log: &Path) -> Result<Self, LabError> {
        let file = fs::OpenOptions::new().create(true).append(true).open(log)?;
        let outer = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "unshare"])
            .args(flags)
            .args(command)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()?;
        let pid = outer.id();
        Ok(Self { outer, pid })
    }

    /// Makes `pid` the only child of the outer process: the first process of a PID namespace.
    pub(super) fn enter_child(&mut self) -> Result<(), LabError> {
        let outer = self.outer.id();
        let children = fs::read_to_string(format!("/proc/{outer}/task/{outer}/children"))?;
        let first = children.split_whitespace().next().and_then(|word| word.parse().ok());
        self.pid = first
            .ok_or(LabError::HostDidNotStart { host: format!("process {outer}"), why: "no child".into() })?;
        Ok(())
    }

    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.outer.try_wait(), Ok(None))
    }

    pub(super) fn kill(&mut self) {
        if self.pid != self.outer.id() {
            let pid = nix::unistd::Pid::from_raw(i32::try_from(self.pid).unwrap_or(i32::MAX));
            // The namespace's first process may have ended by itself.
            let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL);
        } else {
            let _ = self.outer.kill();
        }
        let _ = self.outer.wait();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A place inside a host, from which commands are run.
#[derive(Debug, Clone, Copy)]
pub struct Inside {
    pub(super) pid: u32,
    pub(super) only_net: bool,
}

impl Inside {
    /// The command, to be run in the host's namespaces.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["-t", &self.pid.to_string()]);
        command.args(if self.only_net { &["-n"][..] } else { &["-m", "-u", "-i", "-n", "-p"][..] });
        command.args(["--", program]);
        // A host has its own PID namespace and its reboot would end there; but none is to be tried at all.
        command.env("EVERBEAT_NO_REBOOT", "1");
        command
    }

    /// Runs a shell line and returns its standard output.
    pub fn sh(&self, line: &str) -> Result<String, LabError> {
        let output = self.sh_output(line)?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(LabError::Command {
            command: line.to_owned(),
            status: output.status.to_string(),
            said: String::from_utf8_lossy(&output.stdout).into_owned()
                + &String::from_utf8_lossy(&output.stderr),
        })
    }

    /// Runs a shell line, whatever its status.
    pub fn sh_output(&self, line: &str) -> Result<Output, LabError> {
        Ok(self.command("sh").args(["-c", line]).stdin(Stdio::null()).output()?)
    }

    /// Writes a file with a mode, making its directory.
    pub fn write(&self, path: &str, text: &str, mode: u32) -> Result<(), LabError> {
        let script = "mkdir -p \"$(dirname \"$1\")\"; cat > \"$1\"; chmod \"$2\" \"$1\"";
        let mut child = self
            .command("sh")
            .args(["-c", script, "sh", path, &format!("{mode:o}")])
            .stdin(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(text.as_bytes())?;
        }
        let status = child.wait()?;
        if status.success() {
            return Ok(());
        }
        Err(LabError::Command {
            command: format!("write {path}"),
            status: status.to_string(),
            said: String::new(),
        })
    }

    /// Runs a closure on a thread of its own that is in the host's network.
    pub fn in_network<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<thread::JoinHandle<T>, LabError> {
        let net = fs::File::open(format!("/proc/{}/ns/net", self.pid))?;
        let (ready, wait) = std::sync::mpsc::channel();
        let handle = thread::spawn(move || {
            let entered = setns(net.as_fd(), CloneFlags::CLONE_NEWNET);
            let failed = entered.is_err();
            // The receiver is waiting just below.
            let _ = ready.send(entered);
            assert!(!failed, "setns failed");
            work()
        });
        wait.recv().map_err(|_| LabError::Network("thread ended".into()))?.map_err(std::io::Error::from)?;
        Ok(handle)
    }
}
