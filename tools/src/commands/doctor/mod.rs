//! `everbeat doctor`: examines a node, one line a check, each finding with its remedy.
//!
//! [`CHECKS`] is the list; a check looks at the [`Patient`] and appends findings. A check that finds
//! nothing wrong says so in one line, too: a report in which something is not mentioned is one in
//! which it was not looked at.

mod files;
mod network;
mod patient;
mod render;
mod resources;

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use patient::Patient;

/// Examine this node: files, owners, run-time directories, ports, interfaces, names, keys, agents,
/// disk space.
///
/// Exit status: 0 healthy; 1 something may be wrong; 2 something is wrong.
#[derive(Parser)]
#[command(name = "everbeat doctor")]
struct Arguments {
    /// Format of the report.
    #[arg(long, value_enum, default_value_t = OutputAs::Text)]
    output_as: OutputAs,
    /// Only what is not in order.
    #[arg(short, long)]
    quiet: bool,
    /// Directory that stands for the root of the file system.
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OutputAs {
    Text,
    Xml,
    Json,
}

/// How a finding is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Status {
    Good,
    Warning,
    Error,
}

/// One line of the report.
#[derive(Debug, Clone, serde::Serialize)]
pub(super) struct Finding {
    /// Name of the check.
    pub check: &'static str,
    pub status: Status,
    pub text: String,
    /// What to do; empty when all is well.
    pub remedy: String,
}

/// What a check writes to.
pub(super) struct Report {
    check: &'static str,
    findings: Vec<Finding>,
}

impl Report {
    pub(super) fn good(&mut self, text: impl Into<String>) {
        self.add(Status::Good, text.into(), String::new());
    }

    pub(super) fn warn(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(Status::Warning, text.into(), remedy.into());
    }

    pub(super) fn error(&mut self, text: impl Into<String>, remedy: impl Into<String>) {
        self.add(Status::Error, text.into(), remedy.into());
    }

    /// Whether the present check has found anything, good or bad.
    pub(super) fn is_silent(&self) -> bool {
        !self.findings.iter().any(|f| f.check == self.check)
    }

    /// Whether the present check has said this already.
    pub(super) fn says(&self, text: &str) -> bool {
        self.findings.iter().any(|f| f.check == self.check && f.text.contains(text))
    }

    fn add(&mut self, status: Status, text: String, remedy: String) {
        self.findings.push(Finding { check: self.check, status, text, remedy });
    }
}

type Check = fn(&Patient, &mut Report);

/// Every check, in the order of the report. A new one is a function and a line.
const CHECKS: &[(&str, Check)] = &[
    ("ha.cf", files::ha_cf),
    ("authkeys", files::authkeys),
    ("haresources", files::haresources),
    ("logd.cf", files::logd_cf),
    ("accounts", files::accounts),
    ("directories", files::directories),
    ("owners", files::owners),
    ("hb_uuid", files::hb_uuid),
    ("disk", files::disk),
    ("node name", network::node_name),
    ("names", network::names),
    ("media", network::media),
    ("links", network::links),
    ("ports", network::ports),
    ("agents", resources::agents),
    ("fencing", resources::fencing),
];

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let patient = Patient::examine(super::config::paths(arguments.root.clone()));
    let findings = examine(&patient);
    let worst = findings.iter().map(|f| f.status).max().unwrap_or(Status::Good);
    let shown: Vec<Finding> =
        findings.into_iter().filter(|f| !arguments.quiet || f.status > Status::Good).collect();
    super::config::print(&match arguments.output_as {
        OutputAs::Text => render::text(&shown),
        OutputAs::Xml => render::xml(&shown, worst),
        OutputAs::Json => render::json(&shown, worst),
    });
    status_code(worst)
}

fn examine(patient: &Patient) -> Vec<Finding> {
    let mut report = Report { check: "", findings: Vec::new() };
    for (name, check) in CHECKS {
        report.check = name;
        check(patient, &mut report);
    }
    report.findings
}

fn status_code(worst: Status) -> u8 {
    match worst {
        Status::Good => 0,
        Status::Warning => 1,
        Status::Error => 2,
    }
}
