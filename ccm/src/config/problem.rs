//! What is wrong with a configuration file: one value per complaint, never a panic, never a stop at
//! the first.

use std::fmt;

/// How bad a [`ConfigProblem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth knowing: the line is accepted and has no effect here.
    Note,
    /// Accepted, but probably not what was meant.
    Warning,
    /// The node does not start with it.
    Error,
}

impl Severity {
    /// The word used in messages.
    pub fn word(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// One complaint about a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigProblem {
    pub severity: Severity,
    /// Stable name of the kind of problem, such as `unknown-directive`.
    pub code: &'static str,
    /// File as the caller named it.
    pub file: String,
    /// Line from 1; `None` when the problem is that something is absent from the whole file.
    pub line: Option<u32>,
    /// What is wrong, as a sentence without a full stop.
    pub what: String,
    /// The words found in the file; empty when something is absent.
    pub found: String,
    /// What is allowed or what to do; empty when `what` says all.
    pub expected: String,
}

impl ConfigProblem {
    /// `FILE:LINE`.
    fn place(&self) -> String {
        self.line.map_or_else(|| self.file.clone(), |line| format!("{}:{line}", self.file))
    }

    /// What is wrong, what was found, what is expected.
    fn sentence(&self) -> String {
        let mut text = self.what.clone();
        if !self.found.is_empty() {
            text.push_str(&format!(": found \"{}\"", self.found));
        }
        if !self.expected.is_empty() {
            let separator = if self.found.is_empty() { ": " } else { "; " };
            text.push_str(&format!("{separator}expected {}", self.expected));
        }
        text
    }

    /// For a log, which says by itself how bad a line is.
    pub fn log_line(&self) -> String {
        format!("{}: {}", self.place(), self.sentence())
    }
}

impl fmt::Display for ConfigProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place(), self.severity.word(), self.sentence())
    }
}

/// Collects problems of one file.
#[derive(Debug)]
pub(super) struct Problems {
    file: String,
    pub(super) list: Vec<ConfigProblem>,
}

impl Problems {
    pub(super) fn new(file: &str) -> Self {
        Problems { file: file.to_string(), list: Vec::new() }
    }

    pub(super) fn push(
        &mut self,
        severity: Severity,
        code: &'static str,
        line: Option<u32>,
        what: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.list.push(ConfigProblem {
            severity,
            code,
            file: self.file.clone(),
            line,
            what: what.into(),
            found: found.into(),
            expected: expected.into(),
        });
    }

    pub(super) fn error(
        &mut self,
        code: &'static str,
        line: u32,
        what: impl Into<String>,
        found: impl Into<String>,
        expected: impl Into<String>,
    ) {
        self.push(Severity::Error, code, Some(line), what, found, expected);
    }

    pub(super) fn warn(&mut self, code: &'static str, line: u32, what: impl Into<String>) {
        self.push(Severity::Warning, code, Some(line), what, "", "");
    }

    pub(super) fn note(&mut self, code: &'static str, line: u32, what: impl Into<String>) {
        self.push(Severity::Note, code, Some(line), what, "", "");
    }

    pub(super) fn any_error(&self) -> bool {
        self.list.iter().any(|p| p.severity == Severity::Error)
    }
}

/// The candidate nearest to `word`, if near enough to be a misspelling of it: at most one edit
/// (insertion, deletion, replacement, swap of neighbours) per three letters, or a candidate that
/// `word` starts with or is the start of.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_ascii_lowercase();
    if lower.is_empty() || lower.len() > 64 {
        return None;
    }
    let mut best: Option<(usize, &'a str)> = None;
    for candidate in candidates {
        let affix = candidate.len().min(lower.len()) >= 4
            && (candidate.starts_with(&lower) || lower.starts_with(candidate));
        let edits = distance(&lower, candidate);
        let limit = (candidate.len().max(lower.len()) / 3).max(1);
        let score = if affix { edits.min(limit) } else { edits };
        if score <= limit && best.is_none_or(|(b, _)| score < b) {
            best = Some((score, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance.
fn distance(a: &str, b: &str) -> usize {
    let a: Vec<char> = a.chars().collect();
    let b: Vec<char> = b.chars().collect();
    let width = b.len() + 1;
    let mut cells = vec![0usize; (a.len() + 1) * width];
    let at = |i: usize, j: usize| i * width + j;
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            cells[at(i, j)] = if i == 0 || j == 0 {
                i + j
            } else {
                let same = a[i - 1] == b[j - 1];
                let mut least = (cells[at(i - 1, j)] + 1)
                    .min(cells[at(i, j - 1)] + 1)
                    .min(cells[at(i - 1, j - 1)] + usize::from(!same));
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    least = least.min(cells[at(i - 2, j - 2)] + 1);
                }
                least
            };
        }
    }
    cells[at(a.len(), b.len())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_word() {
        let words = ["keepalive", "deadtime", "deadping", "node", "logfile"];
        assert_eq!(nearest("keepalvie", words), Some("keepalive"));
        assert_eq!(nearest("DeadTime", words), Some("deadtime"));
        assert_eq!(nearest("nodes", words), Some("node"));
        assert_eq!(nearest("xyzzy", words), None);
    }
}
