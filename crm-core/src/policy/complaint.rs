//! What is wrong with a configuration, as values.

use std::collections::HashSet;
use std::fmt;

/// How bad a complaint is, in the order of the reference's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing; never changes a verdict.
    Notice,
    /// A warning that is only logged: it does not change the verdict of a configuration check.
    LogWarning,
    /// An error that is only logged.
    LogError,
    /// A configuration warning: "config may not be valid".
    Warning,
    /// A configuration error: "config not valid".
    Error,
}

impl Severity {
    /// Whether a configuration check fails (exit status 78) because of it.
    pub fn counts(self) -> bool {
        self >= Severity::Warning
    }
}

/// One thing the planner has to say about its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Complaint {
    /// Stable name, `kebab-case`, for programs: it does not change when the sentence does.
    pub code: &'static str,
    pub severity: Severity,
    /// Ids of the elements concerned, the most specific first.
    pub ids: Vec<String>,
    /// One sentence; where Pacemaker 2.1.5 has one for the case, that one.
    pub text: String,
    /// What the administrator can do, empty where the sentence says it.
    pub remedy: &'static str,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        if !self.remedy.is_empty() {
            write!(f, " ({})", self.remedy)?;
        }
        Ok(())
    }
}

/// Complaints in the order in which they were found, each sentence once.
#[derive(Debug, Clone, Default)]
pub struct Complaints {
    list: Vec<Complaint>,
    seen: HashSet<(&'static str, String)>,
}

impl Complaints {
    /// Adds a complaint with a remedy.
    pub fn add(
        &mut self,
        severity: Severity,
        code: &'static str,
        ids: &[&str],
        text: String,
        remedy: &'static str,
    ) {
        let ids = ids.iter().map(|s| s.to_string()).collect();
        let remedy =
            if remedy.is_empty() && severity.counts() { super::remedy::remedy(code) } else { remedy };
        self.push(Complaint { severity, code, ids, text, remedy });
    }

    pub fn push(&mut self, complaint: Complaint) {
        if self.seen.insert((complaint.code, complaint.text.clone())) {
            self.list.push(complaint);
        }
    }

    pub fn error(&mut self, code: &'static str, id: &str, text: String) {
        self.add(Severity::Error, code, &[id], text, "");
    }

    pub fn warning(&mut self, code: &'static str, id: &str, text: String) {
        self.add(Severity::Warning, code, &[id], text, "");
    }

    pub fn log_error(&mut self, code: &'static str, id: &str, text: String) {
        self.add(Severity::LogError, code, &[id], text, "");
    }

    pub fn log_warning(&mut self, code: &'static str, id: &str, text: String) {
        self.add(Severity::LogWarning, code, &[id], text, "");
    }

    pub fn notice(&mut self, code: &'static str, id: &str, text: String) {
        self.add(Severity::Notice, code, &[id], text, "");
    }

    /// A warning that is given once a run, whoever causes it first.
    pub fn warning_once(&mut self, code: &'static str, id: &str, text: String) {
        if !self.has(code) {
            self.warning(code, id, text);
        }
    }

    pub fn has(&self, code: &str) -> bool {
        self.list.iter().any(|c| c.code == code)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Complaint> {
        self.list.iter()
    }

    pub fn into_vec(self) -> Vec<Complaint> {
        self.list
    }
}
