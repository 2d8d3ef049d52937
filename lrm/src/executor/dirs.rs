//! The directories a node lives in, made with the right owner and mode at every start.
//!
//! A `/var/run` that is empty after a reboot is not an error, nor is a `hacluster` that has another number
//! than it had: what belongs to somebody else than it should is given to its owner, or, without the right
//! to, named with the command that does it.

use std::fs::{self, DirBuilder};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use thiserror::Error;

use super::User;

/// Who owns a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Root,
    /// root, and the group of those who manage the cluster.
    RootAndGroup,
    Cluster,
}

/// Each directory with its owner and mode. Two of them are the core's to write into and root's to keep:
/// the sticky bit lets the core make files there (`hb_uuid`, sockets), and remove no others.
const DIRS: &[(&str, Owner, u32)] = &[
    ("/var/lib/heartbeat", Owner::RootAndGroup, 0o1775),
    ("/var/lib/heartbeat/crm", Owner::Cluster, 0o750),
    ("/var/lib/heartbeat/pengine", Owner::Cluster, 0o750),
    ("/var/lib/heartbeat/ccm", Owner::Cluster, 0o750),
    ("/var/lib/heartbeat/cores", Owner::Root, 0o755),
    ("/var/lib/heartbeat/lrm", Owner::Root, 0o755),
    ("/var/lib/heartbeat/lrm/secrets", Owner::Root, 0o700),
    ("/var/run/heartbeat", Owner::RootAndGroup, 0o1775),
    ("/var/run/heartbeat/crm", Owner::Cluster, 0o750),
    ("/var/run/heartbeat/ccm", Owner::Cluster, 0o750),
    ("/var/run/heartbeat/rsctmp", Owner::Root, 0o1755),
    ("/run/resource-agents", Owner::Root, 0o1755),
];

/// Files of the core that older versions, or another user's `hacluster`, may have left to others.
const FILES: &[&str] = &[
    "/var/lib/heartbeat/hb_uuid",
    "/var/lib/heartbeat/hb_generation",
    "/var/lib/heartbeat/hostcache",
    "/var/lib/heartbeat/delhostcache",
];

/// Most entries looked at in one directory of the core's: what is beyond is reported, not repaired.
const ENTRIES: usize = 100_000;

/// What was done, or what somebody must do. One line each for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Report {
    Made(PathBuf),
    /// The owner was wrong and is right now.
    Owner {
        path: PathBuf,
        was: (u32, u32),
        now: (u32, u32),
    },
    /// Files in this directory had other owners: how many, and one former owner.
    Files {
        dir: PathBuf,
        count: usize,
        was: u32,
        now: u32,
    },
    Mode {
        path: PathBuf,
        was: u32,
        now: u32,
    },
    /// It is wrong and could not be repaired; the text says what to do.
    Wrong(String),
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Report::Made(path) => write!(f, "made the directory {}", path.display()),
            Report::Owner { path, was, now } => write!(
                f,
                "{} belonged to {}:{} and belongs to {}:{} now",
                path.display(),
                was.0,
                was.1,
                now.0,
                now.1
            ),
            Report::Files { dir, count, was, now } => write!(
                f,
                "{count} files in {} belonged to user {was}, perhaps a former hacluster, and belong to {now} now",
                dir.display()
            ),
            Report::Mode { path, was, now } => {
                write!(f, "{} had mode {was:04o} and has {now:04o} now", path.display())
            }
            Report::Wrong(text) => f.write_str(text),
        }
    }
}

/// A directory that must be there is not and cannot be made.
#[derive(Debug, Error)]
#[error("{path}: {error} (make it: install -d -o {owner} -m {mode:04o} {path})", path = path.display())]
pub struct NoDir {
    path: PathBuf,
    owner: String,
    mode: u32,
    error: io::Error,
}

/// Makes and repairs all directories below `root` (`/` if `None`). `user`: as whom the core runs; `None`
/// for the user we are, who then owns everything.
///
/// # Errors
/// [`NoDir`] for the first directory that cannot be made. Those before it are there.
pub fn prepare(root: Option<&Path>, user: Option<&User>) -> Result<Vec<Report>, NoDir> {
    let root = root.unwrap_or(Path::new("/"));
    let privileged = rustix::process::geteuid().is_root();
    let us = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let core = user.map_or(us, |user| (user.uid, user.gid));
    let mut reports = Vec::new();
    for &(path, owner, mode) in DIRS {
        let path = under(root, path);
        let ids = match owner {
            _ if !privileged => us,
            Owner::Root => (0, 0),
            Owner::RootAndGroup => (0, core.1),
            Owner::Cluster => core,
        };
        let made = make(&path, mode).map_err(|error| NoDir {
            path: path.clone(),
            owner: user.map_or_else(|| ids.0.to_string(), |u| u.name.clone()),
            mode,
            error,
        })?;
        if made {
            reports.push(Report::Made(path.clone()));
        }
        repair(&path, ids, made.then_some(mode), mode, &mut reports);
        if owner == Owner::Cluster {
            own_files(&path, core, &mut reports);
        }
    }
    for path in FILES {
        let path = under(root, path);
        if let Ok(Some(was)) = own_file(&path, core, privileged) {
            reports.push(Report::Owner { path, was: (was, was), now: core });
        }
    }
    Ok(reports)
}

/// `path` below `root`.
pub fn under(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

/// Makes a directory and those above it; true if it was not there.
fn make(path: &Path, mode: u32) -> io::Result<bool> {
    if path.is_dir() {
        return Ok(false);
    }
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o755).create(parent)?;
    }
    match DirBuilder::new().mode(mode & 0o777).create(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(e) => Err(e),
    }
}

/// Gives a directory the right owner, and a mode under which the core can use it. An administrator's own
/// mode is left alone as long as it lets the owner in.
fn repair(path: &Path, ids: (u32, u32), made: Option<u32>, mode: u32, reports: &mut Vec<Report>) {
    let Ok(meta) =
        fs::symlink_metadata(path).and_then(|m| if m.is_symlink() { fs::metadata(path) } else { Ok(m) })
    else {
        return;
    };
    let was = (meta.uid(), meta.gid());
    if was != ids {
        match std::os::unix::fs::chown(path, Some(ids.0), Some(ids.1)) {
            Ok(()) if made.is_some() => {}
            Ok(()) => reports.push(Report::Owner { path: path.to_owned(), was, now: ids }),
            Err(_) if meta.uid() == ids.0 => {}
            Err(e) => reports.push(Report::Wrong(format!(
                "{} belongs to {}:{} and should belong to {}:{} ({e}); run: chown {}:{} {}",
                path.display(),
                was.0,
                was.1,
                ids.0,
                ids.1,
                ids.0,
                ids.1,
                path.display()
            ))),
        }
    }
    let had = meta.permissions().mode() & 0o7777;
    // Bits that must be there for us to work, and bits that must not because others could get in.
    // A directory for its owner alone is that and no more.
    let usable = if mode & 0o077 == 0 { mode } else { (had | (mode & 0o1770)) & (mode | 0o555) };
    let wanted = made.unwrap_or(usable);
    if had != wanted {
        match fs::set_permissions(path, fs::Permissions::from_mode(wanted)) {
            Ok(()) if made.is_some() => {}
            Ok(()) => reports.push(Report::Mode { path: path.to_owned(), was: had, now: wanted }),
            Err(e) => reports.push(Report::Wrong(format!(
                "{} has mode {had:04o} and should have {wanted:04o} ({e}); run: chmod {wanted:04o} {}",
                path.display(),
                path.display()
            ))),
        }
    }
}

/// Gives the files in a directory of the core's to the core, except root's own, which may be there on
/// purpose and can be read.
fn own_files(dir: &Path, core: (u32, u32), reports: &mut Vec<Report>) {
    let privileged = rustix::process::geteuid().is_root();
    let Ok(entries) = fs::read_dir(dir) else { return };
    let (mut count, mut former, mut refused) = (0, 0, 0);
    for entry in entries.take(ENTRIES).flatten() {
        match own_file(&entry.path(), core, privileged) {
            Ok(Some(was)) => {
                count += 1;
                former = was;
            }
            Ok(None) => {}
            Err(_) => refused += 1,
        }
    }
    if count > 0 {
        reports.push(Report::Files { dir: dir.to_owned(), count, was: former, now: core.0 });
    }
    if refused > 0 {
        reports.push(Report::Wrong(format!(
            "{refused} files in {} belong to another user than {}; run: chown -R {}:{} {}",
            dir.display(),
            core.0,
            core.0,
            core.1,
            dir.display()
        )));
    }
}

/// Gives one regular file to the core; answers its former owner if it was another. The file is opened
/// first and looked at then, without following links, and one with several names is left alone: whoever
/// may write the directory must not be able to get somebody else's file.
fn own_file(path: &Path, core: (u32, u32), privileged: bool) -> io::Result<Option<u32>> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(fd) => fd,
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(e) => return Err(e.into()),
    };
    let stat = rustix::fs::fstat(&fd)?;
    let regular = rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::RegularFile;
    let right = stat.st_uid == core.0 || (stat.st_uid == 0 && !needs_core(path));
    if !regular || right || stat.st_nlink != 1 {
        return Ok(None);
    }
    if !privileged {
        return Err(ErrorKind::PermissionDenied.into());
    }
    rustix::fs::chownat(
        &fd,
        "",
        Some(Uid::from_raw(core.0)),
        Some(Gid::from_raw(core.1)),
        AtFlags::EMPTY_PATH,
    )?;
    Ok(Some(stat.st_uid))
}

/// Files the core writes, so that not even root may own them (a root shell may have run a tool).
fn needs_core(path: &Path) -> bool {
    let name = path.file_name().and_then(|n| n.to_str()).unwrap_or("");
    ["cib", "hb_", "hostcache", "delhostcache"].iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn missing_directories_are_made_and_a_second_start_finds_nothing_to_do() {
        let root = tempfile::tempdir().unwrap();
        let reports = prepare(Some(root.path()), None).unwrap();
        assert_eq!(reports.len(), DIRS.len(), "{reports:?}");
        assert_eq!(mode(&root.path().join("var/run/heartbeat/crm")), 0o750);
        assert_eq!(mode(&root.path().join("run/resource-agents")), 0o1755);
        assert_eq!(prepare(Some(root.path()), None).unwrap(), []);
    }

    #[test]
    fn a_wrong_mode_is_repaired_and_an_administrators_stricter_one_for_others_is_kept() {
        let root = tempfile::tempdir().unwrap();
        prepare(Some(root.path()), None).unwrap();
        let crm = root.path().join("var/lib/heartbeat/crm");
        fs::set_permissions(&crm, fs::Permissions::from_mode(0o777)).unwrap();
        let cores = root.path().join("var/lib/heartbeat/cores");
        fs::set_permissions(&cores, fs::Permissions::from_mode(0o700)).unwrap();
        let secrets = root.path().join("var/lib/heartbeat/lrm/secrets");
        fs::set_permissions(&secrets, fs::Permissions::from_mode(0o755)).unwrap();
        let reports = prepare(Some(root.path()), None).unwrap();
        assert_eq!(mode(&secrets), 0o700);
        assert_eq!(mode(&crm) & 0o022, 0, "{reports:?}");
        assert_eq!(mode(&cores) & 0o700, 0o700);
    }

    #[test]
    fn a_file_in_the_way_is_named_with_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("var/lib/heartbeat")).unwrap();
        fs::write(root.path().join("var/lib/heartbeat/crm"), "").unwrap();
        let e = prepare(Some(root.path()), None).unwrap_err().to_string();
        assert!(e.contains("var/lib/heartbeat/crm") && e.contains("install -d"), "{e}");
    }

    /// Needs root: only root can give files away.
    #[test]
    fn files_of_a_former_user_are_given_to_the_present_one_and_links_are_not_followed() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("left out: giving files away needs root");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let user = User { name: "x".into(), uid: 54321, gid: 54322 };
        prepare(Some(root.path()), Some(&user)).unwrap();
        let crm = root.path().join("var/lib/heartbeat/crm");
        let (cib, other, victim) = (crm.join("cib.xml"), crm.join("other"), root.path().join("victim"));
        for file in [&cib, &other, &victim] {
            fs::write(file, "").unwrap();
            std::os::unix::fs::chown(file, Some(11111), Some(11111)).unwrap();
        }
        std::os::unix::fs::symlink(&victim, crm.join("link")).unwrap();
        fs::hard_link(&victim, crm.join("hard")).unwrap();
        let run = root.path().join("var/run/heartbeat/crm");
        std::os::unix::fs::chown(&run, Some(11111), Some(11111)).unwrap();
        let reports = prepare(Some(root.path()), Some(&user)).unwrap();
        assert_eq!(fs::metadata(&cib).unwrap().uid(), 54321);
        assert_eq!(fs::metadata(&other).unwrap().uid(), 54321);
        assert_eq!(fs::metadata(&run).unwrap().uid(), 54321);
        assert_eq!(fs::metadata(&victim).unwrap().uid(), 11111, "{reports:?}");
        assert!(
            reports.contains(&Report::Files { dir: crm, count: 2, was: 11111, now: 54321 }),
            "{reports:?}"
        );
        assert!(reports.iter().any(|r| matches!(r, Report::Owner { path, .. } if *path == run)));
    }
}
