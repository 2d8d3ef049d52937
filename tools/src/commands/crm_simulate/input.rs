//! What is planned: where it comes from, and whether it may be.

use std::io;
use std::path::Path;

use cib::{Cib, Element, dialect};

use super::{Arguments, Failure};
use crate::exit;
use crate::offline;
use crate::source::Source;

/// The document that the command line names: a file, standard input, or the cluster's.
pub(super) fn read(arguments: &Arguments) -> Result<Cib, Failure> {
    if let Some(file) = &arguments.xml_file {
        return from_file(file);
    }
    if !arguments.live_check {
        return from_file(Path::new("-"));
    }
    let found = Source::open("crm_simulate").and_then(|mut source| source.cib());
    let cib = found.map_err(|error| Failure::new(exit::NOINPUT, format!("CIB query failed: {error}")))?;
    acceptable("(the cluster)", cib)
}

/// The document in a file, decompressed if need be; `-` is standard input.
pub(super) fn from_file(file: &Path) -> Result<Cib, Failure> {
    let place = match file.to_str() {
        Some("-") => "(standard input)".to_owned(),
        _ => file.display().to_string(),
    };
    let bytes = offline::read(file).map_err(|error| {
        let status = match error.kind() {
            io::ErrorKind::NotFound => exit::NOINPUT,
            io::ErrorKind::PermissionDenied => exit::PERMISSION,
            _ => exit::IO,
        };
        Failure::new(status, format!("{place}: {error}"))
    })?;
    // What is UTF-8 needs no copy.
    let text =
        String::from_utf8(bytes).unwrap_or_else(|e| String::from_utf8_lossy(e.as_bytes()).into_owned());
    let root = Element::parse(&text).map_err(|error| Failure::new(exit::DATA, format!("{place}:{error}")))?;
    if root.name() != "cib" {
        let text = format!("{place}: found <{}>, expected <cib>", root.name());
        return Err(Failure::new(exit::NOINPUT, text));
    }
    let cib = Cib::from_root(root).map_err(|error| Failure::new(exit::DATA, format!("{place}: {error}")))?;
    acceptable(&place, cib)
}

/// A document as it is planned: checked, and brought to the newest language if it is in an older one.
fn acceptable(place: &str, cib: Cib) -> Result<Cib, Failure> {
    match dialect::acceptable(cib.root()) {
        Ok(None) => Ok(cib),
        Ok(Some(upgraded)) => Cib::from_root(upgraded.root)
            .map_err(|error| Failure::new(exit::SOFTWARE, format!("{place}: {error}"))),
        Err(error) => {
            let mut lines = Vec::new();
            for complaint in error.complaints() {
                let at = complaint.position;
                let at =
                    at.map_or_else(|| place.to_owned(), |at| format!("{place}:{}:{}", at.line, at.column));
                let shown = cib::schema::Complaint { position: None, ..complaint.clone() };
                lines.push(format!("{at}: error: {shown}"));
            }
            lines.push(error.to_string());
            Err(Failure { status: exit::BAD_CONFIG, lines })
        }
    }
}
