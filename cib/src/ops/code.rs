//! Result codes: the meaning, its text and the exit code of the command.

use crate::Element;

/// Why an operation failed, as users of the commands know it.
///
/// Source: Pacemaker 2.1.5, cib.md §5.6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// The object is there already.
    Exists,
    /// Nothing fits.
    NotFound,
    /// No input, or one that makes no sense for the operation.
    Invalid,
    /// A section or an expression that is none: a mistake in the request, not in the document.
    Usage,
    /// The user may not.
    Denied,
    /// The cluster partition may not write.
    NoQuorum,
    /// The request is older than the configuration, or than it requires it to be.
    OldData,
    /// The result would not follow its schema.
    Schema,
    /// An upgrade produced something invalid.
    Transform,
    /// A patch does not fit.
    DiffFailed,
    /// A patch is for a newer configuration than ours: a full copy is needed.
    DiffResync,
    /// Written by a newer version of the language.
    Protocol,
    /// An element of a message is missing.
    NoMessage,
}

impl Code {
    /// Exit code of `cibadmin`.
    pub fn exit(self) -> u8 {
        match self {
            Code::Exists => 108,
            Code::NotFound => 105,
            Code::Invalid => 70,
            Code::Usage => 64,
            Code::Denied => 4,
            Code::NoQuorum => 106,
            Code::OldData => 103,
            Code::Schema | Code::Transform => 78,
            Code::DiffFailed | Code::DiffResync => 1,
            Code::Protocol | Code::NoMessage => 76,
        }
    }

    /// The text administrators know and grep for.
    pub fn text(self) -> &'static str {
        match self {
            Code::Exists => "File exists",
            Code::NotFound => "No such device or address",
            Code::Invalid | Code::Usage => "Invalid argument",
            Code::Denied => "Permission denied",
            Code::NoQuorum => "Operation requires quorum",
            Code::OldData => "Update was older than existing configuration",
            Code::Schema => "Update does not conform to the configured schema",
            Code::Transform => "Schema transform failed",
            Code::DiffFailed => "Application of update diff failed",
            Code::DiffResync => "Application of update diff failed, requesting full refresh",
            Code::Protocol => "Protocol not supported",
            Code::NoMessage => "No message of desired type",
        }
    }
}

/// A refused operation. Nothing was changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{}: {text}", code.text())]
pub struct OpError {
    pub code: Code,
    /// What exactly, for people.
    pub text: String,
    /// For [`Code::Exists`] and others of create the objects that failed (`failed`), for [`Code::Schema`] the document
    /// that was refused.
    pub output: Option<Element>,
}

impl OpError {
    pub fn new(code: Code, text: String) -> OpError {
        OpError { code, text, output: None }
    }

    #[must_use]
    pub fn with_output(mut self, output: Element) -> OpError {
        self.output = Some(output);
        self
    }
}
