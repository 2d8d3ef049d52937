//! `crm_diff`: the difference of two configurations, and applying it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use cib::Element;
use cib::patch::{self, Format, Making};
use clap::Parser;

use crate::{exit, offline, print};

/// Compare two configurations, or apply a difference as a patch.
#[derive(Parser)]
#[command(name = "crm_diff", disable_version_flag = true)]
struct Arguments {
    /// The original configuration from this file.
    #[arg(short = 'o', long, value_name = "FILE")]
    original: Option<PathBuf>,
    /// The original configuration.
    #[arg(short = 'O', long, value_name = "XML", allow_hyphen_values = true)]
    original_string: Option<String>,
    /// Compare with the configuration in this file.
    #[arg(short = 'n', long, value_name = "FILE")]
    new: Option<PathBuf>,
    /// Compare with this configuration.
    #[arg(short = 'N', long, value_name = "XML", allow_hyphen_values = true)]
    new_string: Option<String>,
    /// Apply the patch in this file to the original.
    #[arg(short = 'p', long, value_name = "FILE")]
    patch: Option<PathBuf>,
    /// Include the digest of the result.
    #[arg(short = 'c', long)]
    cib: bool,
    /// Leave versions out: the patch fits any version.
    #[arg(short = 'u', long)]
    no_version: bool,
    /// Read the original from standard input.
    #[arg(short = 's', long)]
    stdin: bool,
    /// Accepted: unchanged parts are never shown.
    #[arg(short = 'f', long, hide = true)]
    filter: bool,
    /// Show the version.
    #[arg(short = '$', long)]
    version: bool,
    /// Accepted; details are always in the error.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    perform(&arguments).unwrap_or_else(|status| status)
}

fn perform(arguments: &Arguments) -> Result<u8, u8> {
    if arguments.version {
        print::out(&format!("crm_diff (everbeat) {}\n", env!("CARGO_PKG_VERSION")))?;
        return Ok(exit::OK);
    }
    let stdin = arguments.stdin.then(|| Path::new("-"));
    let original =
        read("first", arguments.original_string.as_deref(), arguments.original.as_deref().or(stdin))?;
    if let Some(file) = &arguments.patch {
        let patch = read("second", None, Some(file))?;
        return apply(&original, &patch);
    }
    let new = read("second", arguments.new_string.as_deref(), arguments.new.as_deref())?;
    if original.name() != new.name() {
        eprintln!("crm_diff: a <{}> and a <{}> cannot be compared", original.name(), new.name());
        return Err(exit::DATA);
    }
    let making = Making {
        format: format_for(&original),
        versions: !arguments.no_version,
        digest: arguments.cib || format_for(&original) == Format::One,
        exact: false,
    };
    match patch::make(&original, &new, making) {
        None => Ok(exit::OK),
        Some(patch) => {
            print::out(&patch.to_xml())?;
            Ok(exit::ERROR)
        }
    }
}

/// Documents written by a feature set after 3.0.8 get patches of format 2.
fn format_for(original: &Element) -> Format {
    let set = original.attr("crm_feature_set").unwrap_or("");
    let numbers: Vec<u32> = set.split('.').map(|part| part.parse().unwrap_or(0)).collect();
    if numbers > vec![3, 0, 8] { Format::Two } else { Format::One }
}

fn apply(original: &Element, patch: &Element) -> Result<u8, u8> {
    match patch::apply_to(original, patch) {
        Ok(patched) => {
            print::out(&patched.to_xml())?;
            Ok(exit::OK)
        }
        Err(error) => {
            eprintln!("Could not apply patch: {error}");
            Err(error.code.exit())
        }
    }
}

fn read(which: &str, text: Option<&str>, file: Option<&Path>) -> Result<Element, u8> {
    let refuse = |error: String| {
        eprintln!("crm_diff: {error}");
        eprintln!("Could not parse the {which} XML fragment");
        exit::DATA
    };
    let (bytes, name) = match (text, file) {
        (Some(text), _) => (text.as_bytes().to_vec(), "the string given".to_string()),
        (None, Some(file)) => {
            let name = file.display().to_string();
            let bytes = offline::read(file).map_err(|error| refuse(format!("{name}: {error}")))?;
            (bytes, name)
        }
        (None, None) => return Err(refuse("nothing to compare was given".to_string())),
    };
    Element::parse_bytes(&bytes).map_err(|error| refuse(format!("{name}: {error}")))
}
