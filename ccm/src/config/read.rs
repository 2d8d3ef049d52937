//! From disk to [`Config`] and [`AuthKeys`]: where the files are, and their mode and owner.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::problem::{ConfigProblem, Problems};
use super::{AuthKeys, Config, Severity};

/// Largest configuration file read, in bytes. The longest known real ha.cf is the sample, 10 KB.
const FILE_MAX: u64 = 1 << 20;

/// Where the configuration files are, below an optional root directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Paths {
    root: Option<PathBuf>,
}

impl Paths {
    /// `root`: as `--root DIR` or `EVERBEAT_ROOT` gave it; `None` is the machine itself.
    pub fn new(root: Option<PathBuf>) -> Self {
        Paths { root: root.filter(|r| r != Path::new("/")) }
    }

    /// An absolute path of the classic layout, below the root.
    pub fn join(&self, path: impl AsRef<Path>) -> PathBuf {
        let path = path.as_ref();
        match &self.root {
            Some(root) => root.join(path.strip_prefix("/").unwrap_or(path)),
            None => path.to_path_buf(),
        }
    }

    pub fn ha_cf(&self) -> PathBuf {
        self.join("/etc/ha.d/ha.cf")
    }

    pub fn authkeys(&self) -> PathBuf {
        self.join("/etc/ha.d/authkeys")
    }

    pub fn haresources(&self) -> PathBuf {
        self.join("/etc/ha.d/haresources")
    }

    pub fn nodeinfo(&self) -> PathBuf {
        self.join("/etc/ha.d/nodeinfo")
    }

    pub fn logd_cf(&self) -> PathBuf {
        self.join("/etc/logd.cf")
    }
}

/// Reads a small text file; bytes that are not UTF-8 (comments of another age) are replaced.
///
/// # Errors
/// One problem, code `not-readable`, `no-file` or `too-large`.
pub fn read_text(path: &Path) -> Result<String, Vec<ConfigProblem>> {
    let name = path.display().to_string();
    let problem = |code, what: String, expected: String| {
        let mut problems = Problems::new(&name);
        problems.push(Severity::Error, code, None, what, "", expected);
        problems.list
    };
    let io = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::PermissionDenied => problem(
            "not-readable",
            "cannot read the file: permission denied".into(),
            "to be run as root or as the file's owner".into(),
        ),
        std::io::ErrorKind::NotFound => problem(
            "no-file",
            "the file is not there".into(),
            "the file of this cluster: copy it from another node (ha_propagate there does it), or write it"
                .into(),
        ),
        _ => problem("no-file", format!("cannot read the file: {error}"), String::new()),
    };
    let file = File::open(path).map_err(io)?;
    if file.metadata().map_err(io)?.is_dir() {
        return Err(problem("no-file", "is a directory".into(), "a file".into()));
    }
    let mut bytes = Vec::new();
    file.take(FILE_MAX + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > FILE_MAX {
        return Err(problem(
            "too-large",
            "the file is too large".into(),
            format!("at most {FILE_MAX} bytes"),
        ));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Reads `ha.cf`.
///
/// # Errors
/// As [`Config::parse`], or one problem when the file cannot be read.
pub fn read_config(path: &Path) -> Result<Config, Vec<ConfigProblem>> {
    let text = read_text(path)?;
    Config::parse(&text, &path.display().to_string())
}

/// Reads `authkeys` after checking its mode and owner.
///
/// # Errors
/// As [`AuthKeys::parse`]; code `bad-permissions` or `bad-owner` alone when the file is not private.
pub fn read_authkeys(path: &Path) -> Result<AuthKeys, Vec<ConfigProblem>> {
    let name = path.display().to_string();
    let text = read_text(path)?;
    let own_uid = rustix::process::geteuid().as_raw();
    if let Ok(meta) = path.metadata()
        && let Some(problem) = AuthKeys::check_permissions(&name, meta.mode() & 0o7777, meta.uid(), own_uid)
    {
        return Err(vec![problem]);
    }
    AuthKeys::parse(&text, &name)
}

/// This node's name: the `nodename` directive, else the first line of `nodeinfo` if that file exists,
/// else `uname -n`; lower case.
pub fn local_node_name(config: Option<&Config>, paths: &Paths) -> String {
    let configured = config.and_then(|c| c.nodename.as_ref()).map(|n| n.value.clone());
    let nodeinfo = || {
        let text = std::fs::read_to_string(paths.nodeinfo()).ok()?;
        let name = text.lines().next()?.trim();
        (!name.is_empty()).then(|| name.to_string())
    };
    let uname = || nix::unistd::gethostname().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    configured.or_else(nodeinfo).unwrap_or_else(uname).to_ascii_lowercase()
}
