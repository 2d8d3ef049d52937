//! What a client may ask of a node, and the answers.

use std::time::Duration;

use ccm::seam::Stamp;
use cib::{Cib, Element, Version};

/// One request. Every one is answered exactly once, unless the node stops first.
#[derive(Debug, Clone, PartialEq)]
pub enum ClientRequest {
    /// An operation on the CIB; queries are answered from the visible document.
    Cib { request: Box<cib::Request>, options: RequestOptions },
    /// Set or remove an attribute of a node.
    SetAttribute(AttributeChange),
    /// Forget histories so that resources are probed again, and clear their fail counts.
    Cleanup(Cleanup),
    /// Record that a resource failed on a node, as a monitor would.
    Fail { resource: String, node: String },
    /// Fence a node now.
    Fence { target: String, action: String, timeout: Duration },
    /// Vouch that a node is down. **A lie here corrupts data.**
    ConfirmFenced { target: String },
    /// What became of a change with this client token.
    Outcome { token: [u8; 16] },
    /// A node joins the list of voters.
    AddNode { name: String, votes: u32 },
    /// A node that is not a member leaves the list of voters.
    RemoveNode { name: String },
    /// The conflict reports have been read: that of this losing history, or all.
    DismissConflicts { tip: Option<Stamp> },
    /// The classic name of the state of a member's controller, `S_IDLE` and the like.
    StateOf { node: String },
    /// Stop a member cleanly: its resources first. Answered when that has begun.
    ShutdownOf { node: String },
    /// The same of this node, member or not.
    Shutdown,
}

/// How a change of the CIB is to be treated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestOptions {
    /// Also without quorum; the answer says so.
    pub force: bool,
    /// Names the change, so that its outcome can be asked later when the answer was lost.
    pub token: Option<[u8; 16]>,
    /// How long to wait for a certain answer; default 60 s.
    pub patience: Option<Duration>,
    /// For queries: how fresh the answer must be.
    pub freshness: Freshness,
    /// Who asks and with what: `update-user` and `update-client` of the document.
    /// The document's access lists judge what that user may.
    pub user: Option<String>,
    /// Names of the groups that user belongs to.
    pub groups: Vec<String>,
    pub client: Option<String>,
}

/// How fresh a query's answer must be (protocol §14).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Freshness {
    /// What is visible here, however old.
    Local,
    /// Not from a node that was left behind; waits at most a dead time.
    #[default]
    Leased,
    /// Sees every change acknowledged before.
    Confirmed,
}

/// An attribute of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttributeChange {
    pub node: String,
    pub name: String,
    /// `None` removes it. `value++` counts on.
    pub value: Option<String>,
    pub lifetime: Lifetime,
    /// Id of the attribute set; default `nodes-ID` or `status-ID`.
    pub set: Option<String>,
    /// Dampening of a transient attribute; `None` keeps what it has.
    pub delay: Option<Duration>,
    /// Who asks and with what, as in [`RequestOptions`]: the document's access lists judge what that user may.
    pub user: Option<String>,
    pub groups: Vec<String>,
    pub client: Option<String>,
}

/// How long an attribute lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// In the configuration.
    Forever,
    /// Until the node restarts.
    Reboot,
}

/// Whose history to forget.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleanup {
    /// `None`: every resource.
    pub resource: Option<String>,
    /// `None`: every member.
    pub node: Option<String>,
    /// Only where something failed; otherwise everything (`refresh`).
    pub only_failed: bool,
    /// Only failures of this operation.
    pub operation: Option<String>,
    pub interval: Option<Duration>,
}

/// The good answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What a query found; what an upgrade changed.
    pub output: Option<Element>,
    /// The visible document at the time of the answer.
    pub cib: Cib,
    pub version: Version,
    /// Made by force in a view without quorum: it may be lost at a merge.
    pub without_quorum: bool,
    /// How many things were acted upon, where that has a meaning.
    pub count: u32,
    /// What another node was asked for.
    pub said: String,
}

/// Why a request was not (or perhaps not) carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Looked at and refused; nothing changed. `code` is the exit status of the classic command.
    #[error("{text}")]
    Rejected { code: i32, text: String },
    /// Nothing changed: without quorum the configuration is closed.
    #[error("no quorum: {why}")]
    NoQuorum { why: String },
    /// Nothing changed; too much is going on.
    #[error("busy, try again")]
    Busy,
    /// This node is in no view, or may have been left behind.
    #[error("not available: {0}")]
    Unavailable(String),
    /// It may or may not have happened. Ask again with the token.
    #[error("the outcome is not known: {0}")]
    Unknown(String),
    /// The node is not there, or the resource is not known.
    #[error("{0}")]
    NotFound(String),
    /// The node has stopped.
    #[error("the node has stopped")]
    Stopped,
}

impl RequestError {
    /// Exit status of the classic commands (`cibadmin`, `crm_resource`) for this error.
    pub fn exit_code(&self) -> i32 {
        match self {
            RequestError::Rejected { code, .. } => *code,
            RequestError::NoQuorum { .. } => 106,
            RequestError::Busy => 111,
            RequestError::Unavailable(_) | RequestError::Stopped => 102,
            RequestError::Unknown(_) => 124,
            RequestError::NotFound(_) => 105,
        }
    }
}
