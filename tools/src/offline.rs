//! A file that stands for the cluster: `CIB_file`, `CIB_shadow`. Plain, compressed (`.bz2`), or standard input (`-`).

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use cib::schema::{self, Severity};
use cib::{Cib, Element};

use crate::exit;
use crate::source::replace_file;

/// Why a file cannot stand for the cluster.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error("{path}: {error}")]
    Read { path: PathBuf, error: io::Error },
    #[error("{path}: {error}")]
    Write { path: PathBuf, error: io::Error },
    /// It is no configuration, or not a valid one.
    #[error("{path}: {text}")]
    Invalid { path: PathBuf, text: String },
}

impl OfflineError {
    /// Exit status of a command that ends with this error.
    pub fn exit(&self) -> u8 {
        match self {
            Self::Read { error, .. } if error.kind() == io::ErrorKind::NotFound => exit::NOSUCH,
            Self::Read { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => exit::PERMISSION,
            Self::Read { .. } | Self::Write { .. } => exit::IO,
            Self::Invalid { .. } => exit::BAD_CONFIG,
        }
    }

    /// The words administrators know for it.
    pub fn classic(&self) -> &'static str {
        match self {
            Self::Read { error, .. } if error.kind() == io::ErrorKind::NotFound => {
                "No such device or address"
            }
            Self::Read { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => {
                "Permission denied"
            }
            Self::Read { .. } | Self::Write { .. } => "Input/output error",
            Self::Invalid { .. } => "Update does not conform to the configured schema",
        }
    }
}

/// Reads and checks the document. A missing status section is added.
///
/// # Errors
/// It cannot be read, is no CIB, or breaks the schema that it names.
pub fn load(path: &Path) -> Result<Cib, OfflineError> {
    let bytes = read(path).map_err(|error| OfflineError::Read { path: path.to_owned(), error })?;
    let invalid = |text: String| OfflineError::Invalid { path: path.to_owned(), text };
    let root = Element::parse_bytes(&bytes).map_err(|error| invalid(error.to_string()))?;
    let mut cib = Cib::from_root(root).map_err(|error| invalid(error.to_string()))?;
    if cib.status().is_none() {
        cib.root_mut().push(Element::new("status"));
    }
    // A document in the Heartbeat 2 dialect names no schema; it is taken as it is.
    if cib.root().attr("validate-with").is_some() {
        let complaints = schema::validate(cib.root()).map_err(|error| invalid(error.to_string()))?;
        let mut errors = complaints.iter().filter(|complaint| complaint.severity == Severity::Error);
        if let Some(first) = errors.next() {
            let more = errors.count();
            let more = if more > 0 { format!(" (and {more} more; see crm_verify)") } else { String::new() };
            return Err(invalid(format!("{first}{more}")));
        }
    }
    Ok(cib)
}

/// Writes the document back, at once and for good; to standard output when it came from standard input.
///
/// # Errors
/// It cannot be written; the old content is still there.
pub fn save(path: &Path, cib: &Cib) -> Result<(), OfflineError> {
    let text = cib.root().to_xml();
    let written = if path == Path::new("-") {
        io::stdout().write_all(text.as_bytes())
    } else if is_compressed(path) {
        compress(text.as_bytes()).and_then(|bytes| replace_file(path, &bytes))
    } else {
        replace_file(path, text.as_bytes())
    };
    written.map_err(|error| OfflineError::Write { path: path.to_owned(), error })
}

/// Largest document read, bytes: what bounds a compressed file that grows without end.
const SIZE_MAX: u64 = 1 << 30;

/// The content of a file as text would have it: decompressed when its name ends in `.bz2`; `-` is standard input.
///
/// # Errors
/// It cannot be read, or is longer than a gibibyte.
pub fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let length = if path == Path::new("-") {
        io::stdin().take(SIZE_MAX + 1).read_to_end(&mut bytes)?
    } else {
        let file = fs::File::open(path)?;
        if is_compressed(path) {
            bzip2::read::MultiBzDecoder::new(file).take(SIZE_MAX + 1).read_to_end(&mut bytes)?
        } else {
            file.take(SIZE_MAX + 1).read_to_end(&mut bytes)?
        }
    };
    if length as u64 > SIZE_MAX {
        return Err(io::Error::other("longer than a gibibyte"));
    }
    Ok(bytes)
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "bz2")
}

fn compress(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    encoder.write_all(text)?;
    encoder.finish()
}
