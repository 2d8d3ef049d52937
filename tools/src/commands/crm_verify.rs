//! `crm_verify`: is this configuration right?
//!
//! The schema's complaints and those of the policy engine come from one list; the verdict and exit
//! status are Pacemaker 2.1.5's (78 for errors and for warnings).

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read};
use std::path::PathBuf;

use cib::schema::{self, SchemaError, Severity};
use cib::{Cib, Element, dialect};
use clap::Parser;
use crm_core::policy::Severity as Judged;

use crate::exit;
use crate::planned::modern;
use crate::source::{Source, SourceError};

/// Check a configuration for errors that would prevent or disturb operation.
#[derive(Parser)]
#[command(name = "crm_verify", disable_version_flag = true)]
struct Arguments {
    /// Check the configuration of the running cluster.
    #[arg(short = 'L', long)]
    live_check: bool,
    /// Check the configuration in this file.
    #[arg(short = 'x', long, value_name = "FILE")]
    xml_file: Option<PathBuf>,
    /// Check the configuration given here.
    #[arg(short = 'X', long, value_name = "XML")]
    xml_text: Option<String>,
    /// Check the configuration on standard input.
    #[arg(short = 'p', long)]
    xml_pipe: bool,
    /// Also write what was checked to this file.
    #[arg(short = 'S', long, value_name = "FILE")]
    save_xml: Option<PathBuf>,
    /// Show the errors; twice, the warnings too.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Say nothing; the exit status tells.
    #[arg(short = 'q', long)]
    quiet: bool,
}

/// One complaint of either kind, ready to be printed.
struct Finding {
    severity: Severity,
    /// Whether the verdict depends on it.
    counts: bool,
    /// `FILE:LINE:COLUMN`, or the source alone.
    place: String,
    text: String,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let (source, text) = match read(&arguments) {
        Ok(found) => found,
        Err(status) => return status,
    };
    let root = match Element::parse(&text) {
        Ok(root) => root,
        Err(error) => {
            eprintln!("{source}:{error}");
            eprintln!("Couldn't parse input {source}");
            return exit::ERROR;
        }
    };
    if root.name() != "cib" {
        eprintln!("This tool can only check complete configurations (i.e. those starting with <cib>).");
        return exit::PROTOCOL;
    }
    if let Some(path) = &arguments.save_xml
        && let Err(error) = fs::write(path, root.to_xml())
    {
        eprintln!("crm_verify: {}: {error}", path.display());
        return exit::CANTCREATE;
    }
    if !arguments.quiet && dialect::is_unchecked(&root) {
        eprintln!("{}", dialect::UNCHECKED);
    }
    report(&arguments, &check(&source, root))
}

fn read(arguments: &Arguments) -> Result<(String, String), u8> {
    if let Some(path) = &arguments.xml_file {
        let read = fs::read_to_string(path).map_err(|error| {
            eprintln!("crm_verify: {}: {error}", path.display());
            eprintln!("Couldn't parse input file: {}", path.display());
            exit::ERROR
        });
        return Ok((path.display().to_string(), read?));
    }
    if let Some(text) = &arguments.xml_text {
        return Ok(("(text)".into(), text.clone()));
    }
    if arguments.xml_pipe {
        let mut text = String::new();
        io::stdin().read_to_string(&mut text).map_err(|error| {
            eprintln!("crm_verify: standard input: {error}");
            exit::ERROR
        })?;
        return Ok(("(standard input)".into(), text));
    }
    if arguments.live_check {
        let found = Source::open("crm_verify").and_then(|mut source| source.cib());
        return match found {
            Ok(cib) => Ok(("(the cluster)".into(), cib.root().to_xml())),
            Err(error) => Err(live_failed(&error)),
        };
    }
    eprintln!("No configuration source specified.  Use --help for usage information.");
    Err(exit::ERROR)
}

fn live_failed(error: &SourceError) -> u8 {
    eprintln!("crm_verify: CIB query failed: {error}");
    exit::NOINPUT
}

/// Everything there is to say about a document, the schema's complaints first.
fn check(source: &str, root: Element) -> Vec<Finding> {
    let place = |at: Option<cib::Position>| {
        at.map_or_else(|| source.to_owned(), |at| format!("{source}:{}:{}", at.line, at.column))
    };
    let complaints = match schema::validate(&root) {
        Ok(complaints) => complaints,
        Err(error @ (SchemaError::Unknown(_) | SchemaError::Grammar { .. })) => {
            return vec![
                Finding {
                    severity: Severity::Error,
                    counts: true,
                    place: place(root.position()),
                    text: error.to_string(),
                },
                Finding {
                    severity: Severity::Error,
                    counts: true,
                    place: source.to_owned(),
                    text: "CIB did not pass schema validation".into(),
                },
            ];
        }
    };
    let mut findings: Vec<Finding> = Vec::new();
    for complaint in &complaints {
        let mut shown = complaint.clone();
        shown.position = None;
        findings.push(Finding {
            severity: complaint.severity,
            counts: true,
            place: place(complaint.position),
            text: shown.to_string(),
        });
    }
    if findings.iter().any(|finding| finding.severity == Severity::Error) {
        findings.push(Finding {
            severity: Severity::Error,
            counts: true,
            place: source.to_owned(),
            text: "CIB did not pass schema validation".into(),
        });
        return findings;
    }
    if let Ok(cib) = Cib::from_root(root) {
        findings.extend(semantics(source, &cib));
    }
    findings
}

/// What the policy engine complains about. Sentences that are only worth a line in the log do not
/// change the verdict.
fn semantics(source: &str, cib: &Cib) -> Vec<Finding> {
    let plan = crm_core::policy::plan(&modern(cib.clone()), &crate::view::situation());
    let finding = |complaint: &crm_core::policy::Complaint| Finding {
        severity: match complaint.severity {
            Judged::Error | Judged::LogError => Severity::Error,
            Judged::Warning | Judged::LogWarning | Judged::Notice => Severity::Warning,
        },
        counts: complaint.severity.counts(),
        place: source.to_owned(),
        text: complaint.to_string(),
    };
    plan.complaints.iter().filter(|complaint| complaint.severity > Judged::Notice).map(finding).collect()
}

fn report(arguments: &Arguments, findings: &[Finding]) -> u8 {
    if !arguments.quiet {
        for finding in findings {
            let (word, level) = match finding.severity {
                Severity::Error => ("error", 1),
                Severity::Warning => ("warning", 2),
            };
            if arguments.verbose >= level {
                eprintln!("{}: {word}: {}", finding.place, finding.text);
            }
        }
    }
    let verdict = findings.iter().filter(|finding| finding.counts).map(|finding| finding.severity).max();
    let Some(worst) = verdict else { return exit::OK };
    if !arguments.quiet {
        eprintln!(
            "crm_verify: {}",
            match worst {
                Severity::Error => "Errors found during check: config not valid",
                Severity::Warning => "Warnings found during check: config may not be valid",
            }
        );
        if arguments.verbose == 0 {
            eprintln!("-V may provide more details");
        }
    }
    exit::BAD_CONFIG
}
