//! The few things asked of a file system, and the real one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A directory of files, as little of it as the store of the CIB needs.
///
/// Nothing is durable before it is synced: bytes by [`Store::sync`], names (creation, renaming, linking, removal) by
/// [`Store::sync_names`]. An implementation may lose or tear everything else at a crash.
pub trait Store {
    /// Keep other stores out of the directory for as long as this one lives. [`io::ErrorKind::WouldBlock`]: another one
    /// is in.
    fn lock(&mut self) -> io::Result<()>;
    /// Names of all files.
    fn list(&mut self) -> io::Result<Vec<String>>;
    /// The whole content.
    fn read(&mut self, name: &str) -> io::Result<Vec<u8>>;
    /// Create the file, or replace its content.
    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Add to the end of an existing file.
    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()>;
    /// Have room on the medium for a file to grow to this many bytes; its content and length stay as they are. Without
    /// effect where the file system cannot.
    fn reserve(&mut self, name: &str, size: u64) -> io::Result<()>;
    /// Make the bytes of a file durable.
    fn sync(&mut self, name: &str) -> io::Result<()>;
    /// Make the names durable.
    fn sync_names(&mut self) -> io::Result<()>;
    /// Atomically; an existing `to` is replaced.
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()>;
    /// A second name for the same content; `to` must not exist.
    fn link(&mut self, from: &str, to: &str) -> io::Result<()>;
    fn remove(&mut self, name: &str) -> io::Result<()>;
}

/// A directory of the file system. Files are created with mode 0600.
#[derive(Debug)]
pub struct DirStore {
    directory: PathBuf,
    /// The file written last, so that a log costs one `write` and one `fdatasync` an append.
    open: Option<(String, File)>,
    /// The directory, locked.
    lock: Option<DirectoryLock>,
}

impl DirStore {
    /// # Errors
    /// The directory is not there and cannot be made.
    pub fn new(directory: impl Into<PathBuf>) -> io::Result<DirStore> {
        let directory = directory.into();
        fs::create_dir_all(&directory)?;
        Ok(DirStore { directory, open: None, lock: None })
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The file, open for adding to it.
    fn growing(&mut self, name: &str) -> io::Result<&mut File> {
        let open = match self.open.take() {
            // A handle from `write` has its offset at the end, one from here appends: either adds to the end.
            Some(open) if open.0 == name => open,
            _ => (name.to_string(), OpenOptions::new().append(true).open(self.path(name))?),
        };
        Ok(&mut self.open.insert(open).1)
    }

    fn forget(&mut self, name: &str) {
        if self.open.as_ref().is_some_and(|(open, _)| open == name) {
            self.open = None;
        }
    }
}

/// The lock on a directory, until it is dropped.
#[derive(Debug)]
struct DirectoryLock(File);

impl Drop for DirectoryLock {
    /// Said, not only closed: a process that is just being started elsewhere in this program still has a copy
    /// of the descriptor, and closing ours would leave the directory locked for that moment.
    fn drop(&mut self) {
        // Nothing can be done about a failure, and the end of the process unlocks anyway.
        let _ = rustix::fs::flock(&self.0, rustix::fs::FlockOperation::Unlock);
    }
}

impl Store for DirStore {
    fn lock(&mut self) -> io::Result<()> {
        if self.lock.is_none() {
            let directory = File::open(&self.directory)?;
            rustix::fs::flock(&directory, rustix::fs::FlockOperation::NonBlockingLockExclusive)?;
            self.lock = Some(DirectoryLock(directory));
        }
        Ok(())
    }

    fn list(&mut self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        fs::read(self.path(name))
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.forget(name);
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(self.path(name))?;
        file.write_all(bytes)?;
        self.open = Some((name.to_string(), file));
        Ok(())
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.growing(name)?.write_all(bytes)
    }

    fn reserve(&mut self, name: &str, size: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        use rustix::io::Errno;
        match fallocate(self.growing(name)?, FallocateFlags::KEEP_SIZE, 0, size) {
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
            other => Ok(other?),
        }
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        match &self.open {
            Some((open, file)) if open == name => file.sync_data(),
            _ => File::open(self.path(name))?.sync_data(),
        }
    }

    fn sync_names(&mut self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        self.forget(from);
        self.forget(to);
        fs::rename(self.path(from), self.path(to))
    }

    fn link(&mut self, from: &str, to: &str) -> io::Result<()> {
        fs::hard_link(self.path(from), self.path(to))
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.forget(name);
        fs::remove_file(self.path(name))
    }
}
