//! Operations: what is asked, what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use thiserror::Error;

use crate::AgentRef;
use crate::codec::{Reader, Truncated, Writer};

/// The clocks of one call: protocols go by `mono`, history shows `wall_s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic, since any fixed point.
    pub mono: Duration,
    /// Seconds since the epoch.
    pub wall_s: i64,
}

/// Number of an operation within one life of the core, from 1, growing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// Number of one run of one process, unique over all lives of the core under one executor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExecId(pub u64);

/// Return codes of operations (agents.md 1.7).
pub mod rc {
    pub const OK: i32 = 0;
    pub const ERROR: i32 = 1;
    pub const ARGS: i32 = 2;
    pub const UNIMPLEMENTED: i32 = 3;
    pub const PERMISSION: i32 = 4;
    pub const NOT_INSTALLED: i32 = 5;
    pub const NOT_CONFIGURED: i32 = 6;
    pub const NOT_RUNNING: i32 = 7;
    pub const PROMOTED: i32 = 8;
    pub const FAILED_PROMOTED: i32 = 9;
    pub const DEGRADED: i32 = 190;
    pub const DEGRADED_PROMOTED: i32 = 191;
    /// Not known yet: stands in the history while an operation runs.
    pub const PENDING: i32 = 193;

    /// The words of `crm_mon` and of the logs.
    pub fn text(rc: i32) -> &'static str {
        match rc {
            OK => "ok",
            ERROR => "error",
            ARGS => "invalid parameter",
            UNIMPLEMENTED => "unimplemented feature",
            PERMISSION => "insufficient privileges",
            NOT_INSTALLED => "not installed",
            NOT_CONFIGURED => "not configured",
            NOT_RUNNING => "not running",
            PROMOTED => "promoted",
            FAILED_PROMOTED => "promoted (failed)",
            DEGRADED => "OCF_DEGRADED",
            DEGRADED_PROMOTED => "promoted (degraded)",
            PENDING => "pending",
            _ => "unknown",
        }
    }
}

/// How the execution itself went (`op-status`; agents.md 1.7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OpStatus {
    Pending = -1,
    Done,
    Cancelled,
    Timeout,
    NotSupported,
    Error,
    ErrorHard,
    ErrorFatal,
    NotInstalled,
    NotConnected,
    Invalid,
    NoFenceDevice,
    NoSecrets,
}

impl OpStatus {
    const ALL: [OpStatus; 13] = {
        use OpStatus::*;
        [
            Pending,
            Done,
            Cancelled,
            Timeout,
            NotSupported,
            Error,
            ErrorHard,
            ErrorFatal,
            NotInstalled,
            NotConnected,
            Invalid,
            NoFenceDevice,
            NoSecrets,
        ]
    };

    /// The number in the history.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// The status with this number.
    pub fn of(code: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.code() == code)
    }

    /// The words of `crm_mon`.
    pub fn text(self) -> &'static str {
        match self {
            OpStatus::Pending => "pending",
            OpStatus::Done => "complete",
            OpStatus::Cancelled => "Cancelled",
            OpStatus::Timeout => "Timed Out",
            OpStatus::NotSupported => "NOT SUPPORTED",
            OpStatus::Error => "Error",
            OpStatus::ErrorHard => "Hard error",
            OpStatus::ErrorFatal => "Fatal error",
            OpStatus::NotInstalled => "Not installed",
            OpStatus::NotConnected => "Internal communication failure",
            OpStatus::Invalid => "Cannot execute now",
            OpStatus::NoFenceDevice => "No fence device",
            OpStatus::NoSecrets => "CIB secrets unavailable",
        }
    }
}

impl fmt::Display for OpStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// One operation to run on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpRequest {
    /// The resource under the name the history knows; the agent sees it as `OCF_RESOURCE_INSTANCE`.
    pub rsc: String,
    pub agent: AgentRef,
    /// `start`, `stop`, `monitor`, `promote`, `demote`, `notify`, `reload`, `reload-agent`,
    /// `migrate_to`, `migrate_from`, `meta-data`, `validate-all`, …
    pub action: String,
    /// Milliseconds between the end of one run and the next; 0 for an operation that runs once.
    pub interval_ms: u64,
    /// Milliseconds a run may take, from the start of the process; 0 is replaced by the interval, and
    /// if that is 0 too the run is not limited.
    pub timeout_ms: u64,
    /// Milliseconds to wait before the (first) run, in which other operations may run.
    pub start_delay_ms: u64,
    /// Instance attributes, `crm_feature_set` and `CRM_meta_…` values.
    pub params: BTreeMap<String, String>,
    /// Opaque to the queue and returned unchanged: the transition key.
    pub key: String,
    /// What the one who asks expects; not interpreted here, returned unchanged.
    pub expected_rc: i32,
}

impl OpRequest {
    /// Whether it may begin however late: it lets a resource go, or only looks.
    pub fn is_harmless(&self) -> bool {
        matches!(self.action.as_str(), "stop" | "demote" | "monitor" | "status" | "notify")
    }

    /// The call by which an agent describes itself; no resource is meant.
    pub fn meta_data(agent: &AgentRef, limit: Duration) -> OpRequest {
        OpRequest {
            rsc: "meta-data".to_owned(),
            agent: agent.clone(),
            action: "meta-data".to_owned(),
            interval_ms: 0,
            timeout_ms: u64::try_from(limit.as_millis()).unwrap_or(u64::MAX),
            start_delay_ms: 0,
            params: BTreeMap::new(),
            key: String::new(),
            expected_rc: 0,
        }
    }

    /// `RSC_ACTION_INTERVALMS`, as in the history.
    pub fn operation_key(&self) -> String {
        format!("{}_{}_{}", self.rsc, self.action, self.interval_ms)
    }

    /// How long one run may take. `None`: without limit.
    pub fn limit(&self) -> Option<Duration> {
        [self.timeout_ms, self.interval_ms].into_iter().find(|ms| *ms > 0).map(Duration::from_millis)
    }

    /// A probe asks for the state of a resource nobody has started yet.
    pub fn is_probe(&self) -> bool {
        self.interval_ms == 0 && matches!(self.action.as_str(), "monitor" | "status")
    }

    /// The parameters that are the agent's own: without `CRM_meta_…` and `crm_feature_set`.
    pub fn instance_params(&self) -> BTreeMap<String, String> {
        self.params
            .iter()
            .filter(|(name, _)| is_instance_param(name))
            .map(|(n, v)| (n.clone(), v.clone()))
            .collect()
    }

    /// Bytes for the executor to keep beside the process, so that a new life of the core knows what
    /// runs. Read back by [`OpRequest::from_note`].
    pub fn to_note(&self) -> Vec<u8> {
        let mut w = Writer::new();
        w.u8(NOTE_VERSION);
        w.str(&self.rsc);
        w.str(self.agent.class().as_str());
        w.str(self.agent.provider().unwrap_or(""));
        w.str(self.agent.kind());
        w.str(&self.action);
        w.u64(self.interval_ms);
        w.u64(self.timeout_ms);
        w.u64(self.start_delay_ms);
        w.pairs(&self.params);
        w.str(&self.key);
        w.i32(self.expected_rc);
        w.into_bytes()
    }

    /// # Errors
    /// [`BadNote`] if the bytes are not those of [`OpRequest::to_note`] of this version.
    pub fn from_note(bytes: &[u8]) -> Result<OpRequest, BadNote> {
        let mut r = Reader::new(bytes);
        let version = r.u8()?;
        if version != NOTE_VERSION {
            return Err(BadNote::Version(version));
        }
        let rsc = r.str()?;
        let (class, provider, kind) = (r.str()?, r.str()?, r.str()?);
        let agent = AgentRef::from_cib(&class, Some(&provider), &kind)?;
        Ok(OpRequest {
            rsc,
            agent,
            action: r.str()?,
            interval_ms: r.u64()?,
            timeout_ms: r.u64()?,
            start_delay_ms: r.u64()?,
            params: r.pairs()?,
            key: r.str()?,
            expected_rc: r.i32()?,
        })
    }
}

const NOTE_VERSION: u8 = 1;

/// Why a note of an earlier life of the core could not be read. The process it belongs to runs on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BadNote {
    #[error("the note of a running operation ends early")]
    Truncated(#[from] Truncated),
    #[error("the note of a running operation has format {0}, which this version does not know")]
    Version(u8),
    #[error("the note of a running operation names no agent: {0}")]
    Agent(#[from] crate::AgentError),
}

pub(crate) fn is_instance_param(name: &str) -> bool {
    !name.starts_with("CRM_meta_") && name != "crm_feature_set"
}

/// What an exit meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    pub rc: i32,
    pub status: OpStatus,
    /// The agent's own words, or ours when it did not run; at most 128 bytes. Empty for none.
    pub reason: String,
}

impl Verdict {
    pub fn done(rc: i32) -> Verdict {
        Verdict { rc, status: OpStatus::Done, reason: String::new() }
    }

    pub fn new(rc: i32, status: OpStatus, reason: impl Into<String>) -> Verdict {
        let mut reason = reason.into();
        cut(&mut reason, REASON_MAX);
        Verdict { rc, status, reason }
    }
}

/// Longest exit reason kept, in bytes (agents.md 5.4.1).
pub const REASON_MAX: usize = 128;

/// Shortens `text` to at most `max` bytes, at a border of characters.
pub(crate) fn cut(text: &mut String, max: usize) {
    if text.len() > max {
        let end = (0..=max).rev().find(|i| text.is_char_boundary(*i)).unwrap_or(0);
        text.truncate(end);
    }
}

/// The result of one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpResult {
    pub call_id: CallId,
    pub rsc: String,
    pub agent: AgentRef,
    pub action: String,
    pub interval_ms: u64,
    pub timeout_ms: u64,
    pub rc: i32,
    pub status: OpStatus,
    pub expected_rc: i32,
    /// See [`Verdict::reason`].
    pub reason: String,
    /// What the agent wrote: stderr if there is any, else stdout; bounded by the command's limit.
    pub output: String,
    /// Milliseconds the process ran.
    pub exec_ms: u64,
    /// Milliseconds between being ready to run and running.
    pub queue_ms: u64,
    /// Epoch seconds at which this run began (`last-run`); 0 if it never did.
    pub started_wall_s: i64,
    /// Epoch seconds since which the operation has had this rc and status (`last-rc-change`).
    pub changed_wall_s: i64,
    /// [`OpRequest::key`].
    pub key: String,
    /// The parameters the agent was given, `CRM_meta_…` included. At a stop these are the instance
    /// parameters of the last successful start (agents.md 5.8).
    pub params: BTreeMap<String, String>,
}

impl OpResult {
    /// `RSC_ACTION_INTERVALMS`, as in the history.
    pub fn operation_key(&self) -> String {
        format!("{}_{}_{}", self.rsc, self.action, self.interval_ms)
    }
}
