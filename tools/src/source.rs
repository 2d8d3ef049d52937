//! Where a command finds the CIB: a file (`CIB_file`), a shadow (`CIB_shadow`), or the live cluster.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cib::{Applied, Cib, CibError, Element, Operation, Request};

use crate::api;
use crate::api::client::{Client, ClientError};
use crate::api::proto::ClusterState;
use crate::exit;
use crate::offline::{self, OfflineError};
use crate::request::from_cib_request;

/// Why a command could not read or change the CIB.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("{path}: {error}")]
    File { path: PathBuf, error: io::Error },
    #[error("{path}:{error}")]
    Parse { path: PathBuf, error: CibError },
    #[error(transparent)]
    Offline(#[from] OfflineError),
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The environment names a cluster elsewhere.
    #[error(
        "CIB_port={0} names a cluster elsewhere, which is not served over the network: run the command on one of its \
         nodes (say by ssh), or unset CIB_port"
    )]
    Remote(String),
    /// The change was looked at and refused.
    #[error("{text}")]
    Refused { code: u8, text: String },
    /// The change may or may not have been made.
    #[error("{0}")]
    Unknown(String),
}

impl SourceError {
    /// Exit status of a command that ends with this error.
    pub fn exit(&self) -> u8 {
        match self {
            Self::File { error, .. } if error.kind() == io::ErrorKind::NotFound => exit::NOSUCH,
            Self::File { error, .. } if error.kind() == io::ErrorKind::PermissionDenied => exit::PERMISSION,
            Self::File { .. } => exit::IO,
            Self::Parse { .. } => exit::DATA,
            Self::Offline(error) => error.exit(),
            Self::Remote(_) => exit::DISCONNECT,
            Self::Client(error) => error.exit(),
            Self::Refused { code, .. } => *code,
            Self::Unknown(_) => exit::TIMEOUT,
        }
    }
}

/// An open source.
pub enum Source {
    File(PathBuf),
    /// `user`: on whose behalf, where it is not the caller's own.
    Live {
        client: Box<Client>,
        name: String,
        freshness: &'static str,
        user: Option<String>,
    },
}

impl Source {
    /// Opens what the environment names. `program` goes into the change's `update-client`.
    ///
    /// # Errors
    /// The cluster is not running here, or may not be asked.
    pub fn open(program: &str) -> Result<Self, SourceError> {
        if let Some(file) = file_from_environment() {
            return Ok(Self::File(file));
        }
        Self::open_live(program)
    }

    /// Opens the cluster, whatever file the environment names.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn open_live(program: &str) -> Result<Self, SourceError> {
        if let Ok(port) = std::env::var("CIB_port") {
            return Err(SourceError::Remote(port));
        }
        let client = Box::new(Client::connect(&api::root_from_environment())?);
        Ok(Self::Live { client, name: program.to_owned(), freshness: "", user: None })
    }

    /// The whole document.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn cib(&mut self) -> Result<Cib, SourceError> {
        match self {
            Self::File(path) => read_cib(path),
            Self::Live { client, .. } => {
                let state = client.state()?;
                parse(&state.cib, Path::new("(the cluster)"))
            }
        }
    }

    /// The live cluster's state; none for a file.
    ///
    /// # Errors
    /// The daemon cannot be asked.
    pub fn state(&mut self) -> Result<Option<ClusterState>, SourceError> {
        match self {
            Self::File(_) => Ok(None),
            Self::Live { client, .. } => Ok(Some(client.state()?)),
        }
    }

    /// How fresh the answers to queries must be from now on: "local", "confirmed", or "" for the usual.
    pub fn set_freshness(&mut self, wanted: &'static str) {
        if let Self::Live { freshness, .. } = self {
            *freshness = wanted;
        }
    }

    /// The live cluster's client; none for a file.
    pub fn client(&mut self) -> Option<&mut Client> {
        match self {
            Self::File(_) => None,
            Self::Live { client, .. } => Some(client),
        }
    }

    /// Has changes of the live cluster made on behalf of this user, whatever `CIB_user` says.
    pub fn act_for(&mut self, name: &str) {
        if let Self::Live { user, .. } = self {
            *user = Some(name.to_owned());
        }
    }

    /// Carries out one operation; the answer of a query, if it is one. A change of a file is there
    /// after a power failure; one of the cluster is acknowledged when every member has it on disk.
    ///
    /// # Errors
    /// See [`SourceError`]; only [`SourceError::Unknown`] leaves open whether something changed.
    pub fn apply(&mut self, request: &Request, force: bool) -> Result<Option<Element>, SourceError> {
        match self {
            Self::File(path) => apply_to_file(path, request),
            Self::Live { client, name, freshness, user } => {
                let mut asked = from_cib_request(request, name);
                asked.force = force;
                asked.freshness = (*freshness).to_owned();
                if let Some(user) = user {
                    asked.user.clone_from(user);
                }
                let reply = client.cib(asked)?;
                if reply.unknown {
                    return Err(SourceError::Unknown(reply.error));
                }
                if reply.code != 0 {
                    let code = u8::try_from(reply.code).unwrap_or(exit::ERROR);
                    return Err(SourceError::Refused { code, text: reply.error });
                }
                if reply.output.is_empty() {
                    return Ok(None);
                }
                let error =
                    |error: cib::XmlError| SourceError::Unknown(format!("the answer is not XML: {error}"));
                Element::parse(&reply.output).map(Some).map_err(error)
            }
        }
    }
}

/// The file that stands for the cluster: the shadow named by `CIB_shadow`, else `CIB_file`.
pub fn file_from_environment() -> Option<PathBuf> {
    shadow_from_environment().or_else(|| set("CIB_file").map(PathBuf::from))
}

/// The file of the shadow named by `CIB_shadow`.
pub fn shadow_from_environment() -> Option<PathBuf> {
    set("CIB_shadow").map(shadow_file)
}

fn set(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Where the installation keeps the configuration.
pub fn configuration_directory() -> PathBuf {
    api::root_from_environment().join("var/lib/heartbeat/crm")
}

/// The file of a shadow: in `CIB_shadow_dir`, or where the configuration is kept.
pub fn shadow_file(name: impl AsRef<std::ffi::OsStr>) -> PathBuf {
    let dir = std::env::var_os("CIB_shadow_dir")
        .filter(|value| !value.is_empty())
        .map_or_else(configuration_directory, PathBuf::from);
    let mut file = std::ffi::OsString::from("shadow.");
    file.push(name);
    dir.join(file)
}

/// Reads a document from a file.
///
/// # Errors
/// It cannot be read, or is no CIB.
pub fn read_cib(path: &Path) -> Result<Cib, SourceError> {
    let bytes = offline::read(path).map_err(|error| SourceError::File { path: path.to_owned(), error })?;
    parse(&String::from_utf8_lossy(&bytes), path)
}

fn parse(text: &str, path: &Path) -> Result<Cib, SourceError> {
    Cib::parse(text).map_err(|error| SourceError::Parse { path: path.to_owned(), error })
}

fn apply_to_file(path: &Path, request: &Request) -> Result<Option<Element>, SourceError> {
    let before = read_cib(path)?;
    let applied = cib::apply(&before, request)
        .map_err(|error| SourceError::Refused { code: error.code.exit(), text: error.to_string() })?;
    let Applied { cib, output, changed } = applied;
    if changed && request.op != Operation::Query && !request.options.dry_run {
        offline::save(path, &cib)?;
    }
    Ok(output)
}

/// Replaces a file at once and for good: a new file, synced, renamed over the old one.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(dir)?;
    file.write_all(bytes)?;
    let mode = fs::metadata(path).map_or(0o600, |data| data.permissions().mode());
    file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    fs::File::open(dir)?.sync_all()
}
