//! The machine as it is: the [`Machine`] that checks ask on a real host.

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::Path;

use nix::unistd::{Gid, Group, Uid, User};

use super::check::Machine;
use super::read::Paths;

/// This machine, with files below an optional root.
#[derive(Debug, Clone, Default)]
pub struct System {
    paths: Paths,
}

impl System {
    pub fn new(paths: Paths) -> Self {
        System { paths }
    }
}

impl Machine for System {
    fn has_user(&self, name: &str) -> bool {
        matches!(User::from_name(name), Ok(Some(_)))
            || name.parse().is_ok_and(|n| matches!(User::from_uid(Uid::from_raw(n)), Ok(Some(_))))
    }

    fn has_group(&self, name: &str) -> bool {
        matches!(Group::from_name(name), Ok(Some(_)))
            || name.parse().is_ok_and(|n| matches!(Group::from_gid(Gid::from_raw(n)), Ok(Some(_))))
    }

    fn is_executable(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
    }

    fn has_interface(&self, name: &str) -> bool {
        // An alias (eth0:1) lives on its interface.
        let base = name.split(':').next().unwrap_or(name);
        !base.is_empty()
            && base != "."
            && base != ".."
            && !base.contains('/')
            && nix::net::if_::if_nametoindex(base).is_ok()
    }

    fn is_character_device(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|m| m.file_type().is_char_device())
    }

    fn is_readable(&self, path: &Path) -> bool {
        let path = self.paths.join(path);
        fs::File::open(&path).is_ok() && fs::metadata(&path).is_ok_and(|m| m.is_file())
    }
}
