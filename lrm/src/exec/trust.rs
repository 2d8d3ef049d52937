//! Whose files may be run: what can be changed by somebody else would run with our rights.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::SpawnError;

/// The owners whose files are run, beside root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    owner: u32,
}

impl Trust {
    /// Root's files, and those of the user we run as, who could do no harm with them that he cannot do
    /// anyway. Running as root that is root alone.
    pub fn of_this_user() -> Trust {
        Trust { owner: rustix::process::geteuid().as_raw() }
    }

    /// Whether the file may be run.
    ///
    /// # Errors
    /// [`SpawnError::NotFound`] if there is no regular file, [`SpawnError::Permission`] if it, or the
    /// directory it lies in, belongs to somebody else or can be written by others.
    pub fn check(&self, path: &Path) -> Result<(), SpawnError> {
        let meta = std::fs::metadata(path).map_err(|e| spawn_error(path, &e))?;
        if !meta.is_file() {
            return Err(SpawnError::NotFound(format!("{} is no regular file", path.display())));
        }
        if meta.mode() & 0o111 == 0 {
            return Err(SpawnError::Permission(format!(
                "{} is not executable (chmod +x it)",
                path.display()
            )));
        }
        self.check_owner(path, &meta)?;
        // Whoever may write the directory may put another file there.
        let real = std::fs::canonicalize(path).map_err(|e| spawn_error(path, &e))?;
        if let Some(dir) = real.parent() {
            let meta = std::fs::metadata(dir).map_err(|e| spawn_error(dir, &e))?;
            self.check_owner(dir, &meta)?;
        }
        Ok(())
    }

    fn check_owner(&self, path: &Path, meta: &std::fs::Metadata) -> Result<(), SpawnError> {
        self.check_mode(meta.uid(), meta.gid(), meta.mode())
            .map_err(|why| SpawnError::Permission(format!("{} {why}; it is not run", path.display())))
    }

    fn check_mode(&self, uid: u32, gid: u32, mode: u32) -> Result<(), String> {
        if uid != 0 && uid != self.owner {
            return Err(format!("belongs to user {uid}, not to root (chown root it)"));
        }
        let sticky = mode & 0o170_000 == 0o040_000 && mode & 0o1000 != 0;
        if mode & 0o002 != 0 && !sticky {
            return Err("can be written by everybody (chmod o-w it)".to_owned());
        }
        // Group root is root; as an ordinary user his own group is his own affair.
        if mode & 0o020 != 0 && gid != 0 && self.owner == 0 {
            return Err(format!("can be written by group {gid} (chmod g-w it)"));
        }
        Ok(())
    }
}

/// What a failure to find or start a file means for the operation (agents.md 1.7.2).
pub(super) fn spawn_error(path: &Path, e: &std::io::Error) -> SpawnError {
    let text = match e.kind() {
        ErrorKind::NotFound => format!("{}: No such file or directory", path.display()),
        _ => format!("{}: {e}", path.display()),
    };
    match e.kind() {
        ErrorKind::NotFound
        | ErrorKind::NotADirectory
        | ErrorKind::IsADirectory
        | ErrorKind::InvalidInput => SpawnError::NotFound(text),
        _ if e.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => SpawnError::NotFound(text),
        ErrorKind::PermissionDenied => SpawnError::Permission(text),
        _ => SpawnError::Other(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_others_can_change_are_not_run_by_root() {
        let root = Trust { owner: 0 };
        assert_eq!(root.check_mode(0, 0, 0o100_755), Ok(()));
        assert_eq!(root.check_mode(0, 0, 0o100_775), Ok(()));
        assert!(root.check_mode(0, 50, 0o100_775).is_err());
        assert!(root.check_mode(0, 0, 0o100_757).is_err());
        assert!(root.check_mode(1000, 0, 0o100_755).is_err());
        assert_eq!(root.check_mode(0, 0, 0o041_777), Ok(()), "a directory like /tmp keeps others' hands off");
    }

    #[test]
    fn an_ordinary_user_runs_his_own_files_and_roots() {
        let user = Trust { owner: 1000 };
        assert_eq!(user.check_mode(1000, 1000, 0o100_775), Ok(()));
        assert_eq!(user.check_mode(0, 0, 0o100_755), Ok(()));
        assert!(user.check_mode(1001, 1001, 0o100_755).is_err());
    }
}
