//! Files written by commands: whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// Writes `bytes` beside `path`, syncs, and renames over it; makes the directory if absent.
///
/// # Errors
/// Those of the file system; `path` is unchanged then.
pub(super) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(parent)?;
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!(".new.{}", std::process::id()));
    let temporary = Path::new(&temporary);
    let result = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(temporary)?;
        file.write_all(bytes)?;
        file.set_permissions(fs::Permissions::from_mode(mode))?;
        file.sync_all()?;
        fs::rename(temporary, path)?;
        File::open(parent)?.sync_all()
    })();
    if result.is_err() {
        // What is left of a failed attempt; it may not be there at all.
        let _ = fs::remove_file(temporary);
    }
    result
}
