//! A file that stands for the cluster: `CIB_file`, `CIB_shadow`. Plain, compressed (`.bz2`), or standard input (`-`).

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use cib::disk::{DirStore, DiskError};
use cib::schema::{self, Severity};
use cib::{Cib, Element};

use crate::exit;
use crate::source::{self, replace_file};

/// Why a file cannot stand for the cluster.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    #[error("{path}: {error}")]
    Read { path: PathBuf, error: io::Error },
    #[error("{path}: {error}")]
    Write { path: PathBuf, error: io::Error },
    /// It is the store of a node, which did not take it.
    #[error("{path}: {error}")]
    Live { path: PathBuf, error: DiskError },
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
            Self::Live { error: DiskError::Locked, .. } => exit::UNSAFE,
            Self::Read { .. } | Self::Write { .. } | Self::Live { .. } => exit::IO,
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
            Self::Live { error: DiskError::Locked, .. } => "Operation not safe",
            Self::Read { .. } | Self::Write { .. } | Self::Live { .. } => "Input/output error",
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

/// Writes the document back, at once and for good; to standard output when it came from standard input. The `cib.xml` of
/// the installation gets its digest and a backup, and a node that runs keeps it to itself.
///
/// # Errors
/// It cannot be written; the old content is still there.
pub fn save(path: &Path, cib: &Cib) -> Result<(), OfflineError> {
    if let Some(directory) = live(path) {
        return place(&directory, cib).map_err(|error| OfflineError::Live { path: path.to_owned(), error });
    }
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

/// The directory of the installation's store, when the path names its `cib.xml`.
fn live(path: &Path) -> Option<PathBuf> {
    let directory = source::configuration_directory().canonicalize().ok()?;
    let named = path.canonicalize().ok()?;
    (named == directory.join("cib.xml")).then_some(directory)
}

/// Writes the `cib.xml` of a node that does not run: with digest and backup, for its owner to read.
fn place(directory: &Path, cib: &Cib) -> Result<(), DiskError> {
    let io = |source| DiskError::Io { action: "writing cib.xml", source };
    let mut store = DirStore::new(directory).map_err(io)?;
    for report in cib::disk::place(&mut store, cib.root())? {
        eprintln!("{}: {report}", directory.display());
    }
    let owner = fs::metadata(directory).map_err(io)?;
    for entry in fs::read_dir(directory).map_err(io)? {
        let entry = entry.map_err(io)?;
        let data = entry.metadata().map_err(io)?;
        let ours = entry.file_name().to_string_lossy().starts_with("cib") && data.is_file();
        if ours && (data.uid(), data.gid()) != (owner.uid(), owner.gid()) {
            std::os::unix::fs::chown(entry.path(), Some(owner.uid()), Some(owner.gid())).map_err(io)?;
        }
    }
    Ok(())
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
