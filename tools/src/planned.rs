//! What the commands that explain share: where the configuration comes from, at which moment it is looked
//! at, and in which form the answer is printed.

use std::io::Read;
use std::path::{Path, PathBuf};

use cib::Cib;
use clap::{Args, ValueEnum};
use crm_core::explain::Tree;
use crm_core::policy::render::xml;
use crm_core::policy::{Situation, dates};

use crate::exit;
use crate::print;
use crate::source::{Source, read_cib};

/// The form of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Form {
    Text,
    Json,
    Xml,
}

/// Options for the configuration that is looked at.
#[derive(Args)]
pub struct Input {
    /// The configuration in this file, - for standard input (else CIB_shadow, CIB_file, the running cluster).
    #[arg(short = 'x', long, value_name = "FILE")]
    pub xml_file: Option<PathBuf>,
    /// Pretend that it is this moment (ISO 8601); else the file's execution-date, else now.
    #[arg(short = 't', long, value_name = "ISO8601")]
    pub set_datetime: Option<String>,
    /// The form of the answer.
    #[arg(long, value_enum, value_name = "FORM", default_value = "text")]
    pub output_as: Form,
}

/// Message and exit status.
pub type Failure = (String, u8);

impl Input {
    /// The document and the situation it is planned in.
    ///
    /// # Errors
    /// It cannot be read, or a time makes no sense.
    pub fn read(&self, program: &str) -> Result<(Cib, Situation), Failure> {
        let cib = match &self.xml_file {
            Some(file) => read_file(file)?,
            None => Source::open(program)
                .and_then(|mut source| source.cib())
                .map_err(|error| (error.to_string(), error.exit()))?,
        };
        let cib = modern(cib);
        let mut situation = crate::view::situation();
        if let Some(text) = &self.set_datetime {
            let now = dates::Moment { epoch: situation.now, offset: situation.utc_offset };
            let at = dates::parse(text, now)
                .ok_or_else(|| (format!("\"{text}\" is no moment like 2026-11-20 12:00:00Z"), exit::USAGE))?;
            situation.now = at.epoch;
            situation.utc_offset = at.offset;
        } else if let Some(at) = cib.root().attr("execution-date").and_then(|t| t.parse().ok()) {
            situation.now = at;
        }
        Ok((cib, situation))
    }

    /// Prints an answer: the text, or the tree in the form asked for.
    ///
    /// # Errors
    /// The exit status when standard output takes nothing.
    pub fn print(&self, request: &str, name: &str, text: &str, tree: &Tree) -> Result<(), u8> {
        match self.output_as {
            Form::Text => print::out(text),
            Form::Json => print::out(&tree.to_json()),
            Form::Xml => print::out(&xml::document(request, vec![tree.to_tag(name)], 0, "OK", "")),
        }
    }
}

/// Reads a document from a file, or from standard input.
///
/// # Errors
/// It cannot be read, or is no CIB.
pub fn read_file(file: &Path) -> Result<Cib, Failure> {
    if file.as_os_str() != "-" {
        return read_cib(file).map_err(|error| (error.to_string(), error.exit()));
    }
    let mut text = String::new();
    std::io::stdin()
        .read_to_string(&mut text)
        .map_err(|error| (format!("standard input: {error}"), exit::IO))?;
    Cib::parse(&text).map_err(|error| (format!("(standard input):{error}"), exit::DATA))
}

/// A document in an older language is planned in the newest, where it can be brought there.
pub fn modern(cib: Cib) -> Cib {
    let modern = cib::dialect::modern(cib.root()).ok().flatten();
    modern.and_then(|root| Cib::from_root(root).ok()).unwrap_or(cib)
}

/// Runs a command that asks the planner: its arguments are parsed, what it says is done, a failure is told in
/// the name of `everbeat SUBCOMMAND`. Answers the exit status.
pub fn answer<A: clap::Parser>(
    subcommand: &str,
    name: &str,
    arguments: Vec<std::ffi::OsString>,
    act: impl FnOnce(&A, &str) -> Result<u8, Failure>,
) -> u8 {
    let typed = request(name, &arguments);
    let arguments = match crate::commands::parse::<A>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    act(&arguments, &typed).unwrap_or_else(|(text, status)| {
        eprintln!("everbeat {subcommand}: {text}");
        status
    })
}

/// The command line as it was typed.
pub fn request(name: &str, arguments: &[std::ffi::OsString]) -> String {
    let words = arguments.iter().map(|word| word.to_string_lossy().into_owned());
    ["everbeat".to_owned(), name.to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}
