//! From a `haresources` file to a CIB: the pure half of `haresources2cib`.
//!
//! [`convert`] takes the text, what `ha.cf` says and a way to ask where a script is, and returns a
//! document and every problem met. Two dialects: the modern one, and the form that the converter of
//! Heartbeat 2.1.3 printed.
//!
//! Defects of that converter which neither dialect repeats:
//! - mask and interface of an address exchanged (`nic=24`), dotted masks taken for broadcasts;
//! - `stonith-enabled` never true, `auto_failback` ignored;
//! - colliding ids; ids that are no XML names;
//! - node names in upper case, which no node has (Heartbeat lowers them);
//! - class `UNKNOWN` for a script that is nowhere (refused; with `force` it becomes `lsb`);
//! - arguments lost, comments read as resources, a continuation lost at the end of the file, further
//!   resources of a clone line lost, IPv6 addresses torn apart at `::`;
//! - a `provider` on classes that have none; clone counts outside the meta attributes (modern);
//! - crashes on an address without parameters, on agents without parameters, on short lines.
//!
//! Source: haresources2cib.md.

mod address;
mod agents;
mod build;
mod cluster;
mod haresources;
mod original;
mod write;

#[cfg(test)]
mod tests;

use std::fmt;

pub use agents::{KNOWN_AGENTS, KnownAgent, known_agent};
pub use haresources::{Entry, Haresources, Word};

use crate::Element;

/// Which language the document is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Dialect {
    /// The newest schema.
    #[default]
    Modern,
    /// As the converter of Heartbeat 2.1.3 printed it, its defects mended.
    Heartbeat2,
}

/// The switches of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    pub dialect: Dialect,
    /// False (`--no-ocf`): never class ocf; parameters stay positional.
    pub ocf: bool,
    /// False (`--no-monitor`): no operations.
    pub monitor: bool,
    /// A script that is nowhere becomes class lsb with a warning.
    pub force: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options { dialect: Dialect::Modern, ocf: true, monitor: true, force: false }
    }
}

/// What `auto_failback` of `ha.cf` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Failback {
    /// Nothing: Heartbeat's default was `legacy`, which goes back.
    #[default]
    Unset,
    /// `on` or `legacy`: resources go back to their node.
    Back,
    /// `off`: resources stay.
    Stay,
}

/// The part of `ha.cf` that a conversion needs.
#[derive(Debug, Clone, Default)]
pub struct HaCf {
    /// File name for messages.
    pub file: String,
    /// Members, in file order.
    pub nodes: Vec<String>,
    pub failback: Failback,
    pub stonith: Vec<StonithDevice>,
    /// Hosts of `ping`, `ping6` and `ping_group` lines.
    pub ping: Vec<String>,
    /// Line of the `respawn` of ipfail or pingd, if there is one.
    pub connectivity: Option<u32>,
}

/// A `stonith` or `stonith_host` line.
#[derive(Debug, Clone)]
pub struct StonithDevice {
    pub line: u32,
    /// Node that uses it, or `*`.
    pub node: String,
    pub kind: String,
    /// Values in the order of the device's parameter names.
    pub parameters: Vec<String>,
}

/// Where a v1 script was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// In `/etc/ha.d/resource.d`: class heartbeat.
    ResourceD,
    /// In the init directory: class lsb.
    InitD,
    /// Nowhere; the places looked at.
    Nowhere(Vec<String>),
}

/// Everything a conversion depends on.
pub struct Input<'a> {
    /// Text of `haresources`.
    pub text: &'a str,
    /// Its name for messages.
    pub file: &'a str,
    pub ha_cf: &'a HaCf,
    pub options: Options,
    /// Where the script of a type is.
    pub lookup: &'a dyn Fn(&str) -> Found,
    /// Parameter names of a fencing device type, in order (`stonith -n -t TYPE`); `None` if unknown.
    pub stonith_names: &'a dyn Fn(&str) -> Option<Vec<String>>,
}

/// How bad a [`Problem`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Note,
    Warning,
    Error,
}

/// One complaint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub severity: Severity,
    /// Stable name of the kind.
    pub code: &'static str,
    pub file: String,
    /// Line from 1; `None`: the whole file.
    pub line: Option<u32>,
    /// A sentence that says what was found and what is right.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.severity {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        };
        match self.line {
            Some(line) => write!(f, "{}:{line}: {word}: {}", self.file, self.text),
            None => write!(f, "{}: {word}: {}", self.file, self.text),
        }
    }
}

/// The result of a conversion.
#[derive(Debug, Clone)]
pub struct Converted {
    /// The document, root `cib`.
    pub document: Element,
    /// Warnings and notes.
    pub problems: Vec<Problem>,
    dialect: Dialect,
}

impl Converted {
    /// The document as text: the modern dialect in the usual form, the Heartbeat 2 dialect as the
    /// original printed it (XML declaration, one tab a level, attributes in alphabetical order).
    pub fn to_text(&self) -> String {
        match self.dialect {
            Dialect::Modern => self.document.to_xml(),
            Dialect::Heartbeat2 => original::print(&self.document),
        }
    }
}

/// Converts.
///
/// # Errors
/// Every problem, warnings included, when at least one is an error.
pub fn convert(input: &Input<'_>) -> Result<Converted, Vec<Problem>> {
    let parsed = Haresources::parse(input.text, input.file);
    let mut built = build::build(input, &parsed);
    let mut problems = parsed.problems;
    problems.append(&mut built.problems);
    problems.sort_by(|a, b| {
        let key = |p: &Problem| (p.file != input.file, p.line.unwrap_or(u32::MAX));
        key(a).cmp(&key(b))
    });
    if problems.iter().any(|p| p.severity == Severity::Error) {
        return Err(problems);
    }
    let document = match input.options.dialect {
        Dialect::Modern => write::modern(&built.cluster),
        Dialect::Heartbeat2 => original::heartbeat_2(&built.cluster),
    };
    Ok(Converted { document, problems, dialect: input.options.dialect })
}
