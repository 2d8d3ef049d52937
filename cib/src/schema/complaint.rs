//! One complaint about a document.

use std::fmt;

use crate::Position;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The document is used all the same.
    Warning,
    /// The document is refused.
    Error,
}

/// What is wrong, where, and what would be right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Stable name of the kind of complaint, `unexpected-attribute` and the like.
    pub code: &'static str,
    pub severity: Severity,
    /// Line and column, for a document that was parsed from text.
    pub position: Option<Position>,
    /// Name of the element concerned.
    pub element: String,
    /// Its id, or that of the nearest ancestor that has one.
    pub id: Option<String>,
    /// What was found.
    pub text: String,
    /// What would be right; may be empty.
    pub remedy: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = self.position {
            write!(f, "{}:{}: ", position.line, position.column)?;
        }
        write!(f, "<{}", self.element)?;
        if let Some(id) = &self.id {
            write!(f, " id=\"{id}\"")?;
        }
        write!(f, ">: {}", self.text)?;
        if !self.remedy.is_empty() {
            write!(f, "; {}", self.remedy)?;
        }
        Ok(())
    }
}
