//! Who this node is: `hb_uuid` and `hb_generation` in the state directory, as Heartbeat keeps them.
//!
//! That the disk went back in time must not be forgotten by a crash: `hb_regressed` is there before the
//! generation that hides it, and goes only when the group's own record says so ([`noted`]).
//!
//! Source: specification `heartbeat.md` §13; protocol R3.1, R16.5.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use ccm::seam::{Incarnation, NodeId};

/// Why the identity could not be read or written. Nothing was started.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    #[error("{path}: {action}: {source}")]
    Io { path: PathBuf, action: &'static str, source: io::Error },
    #[error(
        "{path} holds {found} bytes instead of 16; put back the right file, or remove it to give this node a new identity"
    )]
    Uuid { path: PathBuf, found: usize },
}

/// The identity for one start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    pub id: NodeId,
    pub inc: Incarnation,
    /// The disk went back in time, or the generation file was lost: protocol R16.5.
    pub regressed: bool,
    /// What was done, for the log.
    pub reports: Vec<String>,
}

/// Reads identity and generation, raises the generation and makes it durable: before the first frame.
///
/// `seed` gives the random parts. A missing generation starts at the time, as Heartbeat's does.
///
/// # Errors
/// The directory cannot be written, or `hb_uuid` is damaged.
pub fn start(directory: &Path, now_s: u64, seed: [u64; 3]) -> Result<Identity, IdentityError> {
    let mut reports = Vec::new();
    let fresh = !directory.join("hb_uuid").exists();
    // What the old identity promised is not remembered under the new one.
    let renewed = fresh && directory.join("hb_generation").exists();
    if renewed {
        write(&directory.join(MARK), b"")?;
        reports.push(format!(
            "{} was lost, and this node gets a new identity; with a copy of the old file, stop the node and put it \
             back, else nothing is to be done",
            directory.join("hb_uuid").display()
        ));
    }
    let id = uuid(&directory.join("hb_uuid"), [seed[0], seed[1]], &mut reports)?;
    let (generation, lost) = raise(directory, now_s, fresh, &mut reports)?;
    let regressed = lost || renewed || directory.join(MARK).exists();
    Ok(Identity { id, inc: Incarnation { generation, boot: seed[2] }, regressed, reports })
}

/// What a start finds that follows one that was told, or found out, that the disk had gone back.
const MARK: &str = "hb_regressed";

/// The group's record on disk says that the disk had gone back: the mark has served.
///
/// # Errors
/// It cannot be removed. The next start is then treated as one on such a disk again, which costs its
/// vote until it has been in a view with quorum, and nothing else.
pub fn noted(directory: &Path) -> Result<(), IdentityError> {
    let path = directory.join(MARK);
    match fs::remove_file(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(IdentityError::Io { path, action: "removing", source }),
    }
}

/// Writes a generation above one that others know (protocol R3.2), and marks the disk as gone back.
///
/// # Errors
/// The directory cannot be written.
pub fn raise_above(directory: &Path, known: u64) -> Result<(), IdentityError> {
    write(&directory.join(MARK), b"")?;
    write(&directory.join("hb_generation"), &format_generation(known))
}

fn uuid(path: &Path, random: [u64; 2], reports: &mut Vec<String>) -> Result<NodeId, IdentityError> {
    match fs::read(path) {
        Ok(bytes) => {
            let found = bytes.len();
            let id: [u8; 16] =
                bytes.try_into().map_err(|_| IdentityError::Uuid { path: path.to_owned(), found })?;
            Ok(NodeId(id))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut id = [0u8; 16];
            let (high, low) = id.split_at_mut(8);
            high.copy_from_slice(&random[0].to_be_bytes());
            low.copy_from_slice(&random[1].to_be_bytes());
            // Version 4, variant 1, as every program expects of a random UUID.
            id[6] = (id[6] & 0x0f) | 0x40;
            id[8] = (id[8] & 0x3f) | 0x80;
            write(path, &id)?;
            reports.push("No uuid found for current node - generating a new uuid.".to_owned());
            Ok(NodeId(id))
        }
        Err(source) => Err(IdentityError::Io { path: path.to_owned(), action: "reading", source }),
    }
}

fn raise(
    directory: &Path,
    now_s: u64,
    fresh: bool,
    reports: &mut Vec<String>,
) -> Result<(u64, bool), IdentityError> {
    let path = directory.join("hb_generation");
    let text = match fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => None,
        Err(source) => return Err(IdentityError::Io { path, action: "reading", source }),
    };
    let known = text.as_deref().and_then(|t| t.trim().parse::<u64>().ok());
    let (generation, lost) = match known {
        Some(known) => (known.saturating_add(1), false),
        None => {
            let start = now_s.max(1);
            reports.push(format!("No Previous generation - starting at {start}"));
            (start, !fresh)
        }
    };
    if lost {
        write(&directory.join(MARK), b"")?;
    }
    write(&path, &format_generation(generation))?;
    Ok((generation, lost))
}

/// 16 bytes: the number right-aligned in 15, and a line feed.
fn format_generation(generation: u64) -> Vec<u8> {
    format!("{generation:>15}\n").into_bytes()
}

/// Beside the old file, synced, then in its place.
fn write(path: &Path, bytes: &[u8]) -> Result<(), IdentityError> {
    let io = |action: &'static str| {
        let path = path.to_owned();
        move |source| IdentityError::Io { path, action, source }
    };
    let temporary = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)
        .map_err(io("writing"))?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io("writing"))?;
    fs::rename(&temporary, path).map_err(io("renaming"))?;
    match path.parent() {
        Some(directory) => File::open(directory).and_then(|d| d.sync_all()).map_err(io("syncing")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn identity_stays_and_the_generation_rises() {
        let dir = tempfile::tempdir().unwrap();
        let first = start(dir.path(), 1000, [1, 2, 3]).unwrap();
        assert_eq!(first.inc, Incarnation { generation: 1000, boot: 3 });
        assert!(!first.regressed, "a new node has lost nothing");
        assert_eq!(fs::read(dir.path().join("hb_generation")).unwrap(), b"           1000\n");
        let second = start(dir.path(), 5, [7, 8, 9]).unwrap();
        assert_eq!(second.id, first.id);
        assert_eq!(second.inc.generation, 1001);
    }

    #[test]
    fn a_lost_generation_file_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        start(dir.path(), 1000, [1, 2, 3]).unwrap();
        fs::remove_file(dir.path().join("hb_generation")).unwrap();
        assert!(start(dir.path(), 2000, [1, 2, 3]).unwrap().regressed);
        noted(dir.path()).unwrap();
        assert!(!start(dir.path(), 2000, [1, 2, 3]).unwrap().regressed);
        raise_above(dir.path(), 9000).unwrap();
        let next = start(dir.path(), 2000, [1, 2, 3]).unwrap();
        assert_eq!((next.inc.generation, next.regressed), (9001, true));
        // The power may fail before the group has written it down.
        assert!(start(dir.path(), 2000, [1, 2, 3]).unwrap().regressed);
        noted(dir.path()).unwrap();
        assert!(!start(dir.path(), 2000, [1, 2, 3]).unwrap().regressed);
    }

    #[test]
    fn a_lost_uuid_is_reported_with_the_cure() {
        let dir = tempfile::tempdir().unwrap();
        let first = start(dir.path(), 1000, [1, 2, 3]).unwrap();
        fs::remove_file(dir.path().join("hb_uuid")).unwrap();
        let second = start(dir.path(), 1000, [4, 5, 6]).unwrap();
        assert!(second.regressed && second.id != first.id);
        assert!(start(dir.path(), 1000, [4, 5, 6]).unwrap().regressed, "nor is that forgotten");
        assert!(second.reports.iter().any(|r| r.contains("hb_uuid was lost") && r.contains("put it back")));
    }

    #[test]
    fn a_damaged_uuid_is_an_error_and_stays_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("hb_uuid"), b"short").unwrap();
        assert!(matches!(start(dir.path(), 1, [1, 2, 3]), Err(IdentityError::Uuid { found: 5, .. })));
        assert_eq!(fs::read(dir.path().join("hb_uuid")).unwrap(), b"short");
    }
}
