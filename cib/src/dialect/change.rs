//! What an upgrade changed.

use std::fmt;

/// How much an administrator should care.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// The same under another name.
    Debug,
    /// The same at another place.
    Info,
    /// Something was lost or means something else now.
    Warning,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    pub level: Level,
    /// The element concerned, `primitive ip` or so.
    pub place: String,
    /// `renaming A as B` and the like.
    pub text: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let level = match self.level {
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warning => "WARNING",
        };
        write!(f, "{level}: {}: {}", self.place, self.text)
    }
}

/// Collects changes of one element.
pub(super) struct Notes<'a> {
    pub(super) changes: &'a mut Vec<Change>,
    pub(super) place: String,
}

impl Notes<'_> {
    pub(super) fn note(&mut self, level: Level, text: String) {
        self.changes.push(Change { level, place: self.place.clone(), text });
    }
}

/// `primitive ip`, for messages.
pub(super) fn place(element: &crate::Element) -> String {
    match element.id() {
        Some(id) => format!("{} {id}", element.name()),
        None => element.name().to_owned(),
    }
}
