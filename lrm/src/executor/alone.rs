//! One executor for one node: two would start everything twice.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use rustix::fs::{FlockOperation, flock};

/// Where the process id stands, as Heartbeat wrote it.
const PID_FILE: &str = "/var/run/heartbeat.pid";

/// The lock on a node, and the file with our process id; both go with this value and with the process.
#[derive(Debug)]
pub(super) struct Alone {
    file: File,
}

/// Why the node is not ours.
#[derive(Debug)]
pub(super) enum Taken {
    /// By another executor of ours; its process id as far as it is known.
    Ours(u32),
    /// By a Heartbeat that is not ours.
    Heartbeat(u32),
    Failed(io::Error),
}

impl Alone {
    /// Takes the node below `root`.
    pub fn take(root: &Path) -> Result<Alone, Taken> {
        let path = super::dirs::under(root, PID_FILE);
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = file.map_err(Taken::Failed)?;
        let mut text = String::new();
        let former = match (&mut file).take(32).read_to_string(&mut text) {
            Ok(_) => text.trim().parse::<u32>().ok(),
            Err(_) => None,
        };
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(Taken::Ours(former.unwrap_or(0))),
            Err(e) => return Err(Taken::Failed(e.into())),
        }
        // Heartbeat itself takes no lock: its file counts as long as its process is there.
        if let Some(pid) = former
            && std::fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.trim() == "heartbeat")
        {
            return Err(Taken::Heartbeat(pid));
        }
        let write = (|| {
            file.set_len(0)?;
            file.rewind()?;
            writeln!(file, "{}", std::process::id())
        })();
        write.map_err(Taken::Failed)?;
        Ok(Alone { file })
    }
}

impl Drop for Alone {
    /// The file stays, empty: removing it would let two others lock two different ones.
    fn drop(&mut self) {
        if let Err(e) = self.file.set_len(0) {
            tracing::warn!("emptying {PID_FILE}: {e}");
        }
        // Said, not only closed: a process that is just being started still has a copy of the descriptor.
        if let Err(e) = flock(&self.file, FlockOperation::Unlock) {
            tracing::warn!("unlocking {PID_FILE}: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_node_is_taken_once_and_free_again_afterwards() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("var/run")).unwrap();
        let first = Alone::take(root.path()).unwrap();
        let pid = std::process::id();
        assert!(matches!(Alone::take(root.path()), Err(Taken::Ours(taken)) if taken == pid));
        drop(first);
        drop(Alone::take(root.path()).unwrap());
        // What a crash leaves behind is no obstacle.
        std::fs::write(root.path().join("var/run/heartbeat.pid"), "1\n").unwrap();
        drop(Alone::take(root.path()).unwrap());
    }
}
