//! What the executor is asked to run, and what came of it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// One way to carry out a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Absolute.
    pub path: PathBuf,
    /// What the program sees as its own name; the path if `None`.
    pub argv0: Option<String>,
    pub args: Vec<String>,
}

/// A process to run: explicit in everything it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The first whose file exists is run; so where an agent lies is decided by the process that runs it.
    pub programs: Vec<Program>,
    /// The whole environment, except what the executor itself adds (see `exec::Settings::env`).
    pub env: BTreeMap<String, String>,
    /// Written to the standard input, which is then closed; `/dev/null` if empty. Never logged: it
    /// carries the parameters of fence agents.
    pub stdin: Vec<u8>,
    /// From the start of the process to the SIGTERM of its group; SIGKILL follows. `None`: no limit.
    pub timeout: Option<Duration>,
    /// Bytes kept of each of stdout and stderr; of more than that, the first and the last half are kept.
    pub output_limit: usize,
    /// Values that stand for a secret are replaced by the process that runs it.
    pub secrets: Option<Secrets>,
}

/// Whose secrets a command needs. A parameter whose value is [`Secrets::MARK`], in a variable
/// `OCF_RESKEY_name` or a line `name=…` of the standard input, is kept on each node's disk and not in the
/// CIB (agents.md 5.11).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Secrets {
    /// The resource, without the number of an instance.
    pub rsc: String,
    /// Go on without those that cannot be had: a stop must not fail for a lost password.
    pub optional: bool,
}

impl Secrets {
    /// The value in the CIB.
    pub const MARK: &str = "lrm://";
}

impl Command {
    /// Output kept of an ordinary operation, in bytes (agents.md 5.4.1 recommends it).
    pub const OUTPUT: usize = 64 * 1024;
    /// Output kept of `meta-data`, in bytes: the largest known agents print some 60 KiB.
    pub const OUTPUT_METADATA: usize = 256 * 1024;
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Code(i32),
    /// By a signal that was not ours.
    Signal(i32),
    /// By us, because the time was up.
    Timeout,
    /// By us, because we were asked to.
    Killed,
    /// It never ran.
    Failed(SpawnError),
}

/// Why a program could not be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpawnError {
    /// None of the programs is there, or what is there cannot be executed at all.
    NotFound(String),
    /// It is there, but may not be executed, or belongs to somebody else than it should.
    Permission(String),
    /// A secret of the resource cannot be had.
    Secrets(String),
    /// The time by which it had to be started has passed (protocol R6.4).
    Late(String),
    /// Anything else: no process, no pipe.
    Other(String),
}

impl SpawnError {
    /// The sentence for the operator.
    pub fn text(&self) -> &str {
        match self {
            SpawnError::NotFound(text)
            | SpawnError::Permission(text)
            | SpawnError::Secrets(text)
            | SpawnError::Late(text)
            | SpawnError::Other(text) => text,
        }
    }
}

/// The result of one [`Command`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    pub end: End,
    /// Which of the command's programs ran.
    pub program: usize,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    /// From the start of the process to its end.
    pub ran: Duration,
}

impl Outcome {
    /// An outcome without output: for simulated agents and for what never ran.
    pub fn of(end: End, ran: Duration) -> Outcome {
        Outcome { end, program: 0, stdout: Vec::new(), stderr: Vec::new(), ran }
    }

    /// stderr if there is any, else stdout.
    pub fn output(&self) -> String {
        let bytes = if self.stderr.is_empty() { &self.stdout } else { &self.stderr };
        String::from_utf8_lossy(bytes).into_owned()
    }
}
