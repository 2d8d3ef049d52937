//! A store in memory that can crash and fail, for simulation and tests.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::store::Store;

/// A disk in memory. Clones share it, so that it outlives the process that is simulated on it.
#[derive(Debug, Default)]
pub struct MemoryStore {
    disk: Arc<Mutex<Disk>>,
    /// Held by the one that locked the disk.
    lock: Option<Arc<()>>,
}

/// Another handle on the disk, without the lock.
impl Clone for MemoryStore {
    fn clone(&self) -> MemoryStore {
        MemoryStore { disk: Arc::clone(&self.disk), lock: None }
    }
}

/// How a call fails when told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing happens.
    Before,
    /// Half of it happens, where it has halves, else all.
    Torn,
    /// It happens, and is reported as failed all the same.
    After,
}

/// What a call counter of [`MemoryStore`] has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls that change something or make it durable.
    pub calls: u64,
    /// Calls of [`Store::sync`].
    pub syncs: u64,
    /// Calls of [`Store::reserve`].
    pub reservations: u64,
    /// Bytes given to write and append.
    pub bytes: u64,
}

#[derive(Debug, Default)]
struct Disk {
    files: Vec<Content>,
    /// Names as a running process sees them.
    names: BTreeMap<String, usize>,
    /// Names as they would be after a crash, and what was done to them since.
    durable: BTreeMap<String, usize>,
    pending: Vec<NameChange>,
    counts: Counts,
    /// Whose the disk is, as long as he lives.
    owner: Weak<()>,
    /// Fail the call with this number.
    fail: Option<(u64, Failure)>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    current: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Clone, Debug)]
enum NameChange {
    Set(String, usize),
    Remove(String),
    Rename(String, String, usize),
}

impl MemoryStore {
    pub fn new() -> MemoryStore {
        MemoryStore::default()
    }

    /// Make call number `call` (from 0, counted since the creation, reads excepted) fail.
    pub fn fail_at(&self, call: u64, failure: Failure) {
        self.state().fail = Some((call, failure));
    }

    /// No failure ahead any more.
    pub fn heal(&self) {
        self.state().fail = None;
    }

    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// The power fails: of what was not synced, `choose` decides. Asked for a number below its argument (at least 2), it
    /// is the only source of chance; a seeded generator makes the crash repeatable.
    pub fn crash(&self, mut choose: impl FnMut(usize) -> usize) {
        let mut disk = self.state();
        for change in std::mem::take(&mut disk.pending) {
            if choose(2) == 0 {
                continue;
            }
            match change {
                NameChange::Set(name, file) => {
                    disk.durable.insert(name, file);
                }
                NameChange::Remove(name) => {
                    disk.durable.remove(&name);
                }
                NameChange::Rename(from, to, file) => {
                    disk.durable.insert(to, file);
                    // The old name may stay beside the new one.
                    if choose(3) > 0 {
                        disk.durable.remove(&from);
                    }
                }
            }
        }
        disk.names = disk.durable.clone();
        for file in &mut disk.files {
            if file.current != file.durable {
                file.durable = torn(&file.durable, &file.current, &mut choose);
            }
            file.current = file.durable.clone();
        }
        disk.fail = None;
        disk.owner = Weak::new();
    }

    /// Change a byte of a file, as a failing medium does; whether there was one.
    pub fn damage(&self, name: &str, at: usize) -> bool {
        let mut disk = self.state();
        let Some(&file) = disk.names.get(name) else { return false };
        let Some(content) = disk.files.get_mut(file) else { return false };
        let Some(byte) = content.current.get_mut(at) else { return false };
        *byte ^= 0x55;
        content.durable = content.current.clone();
        true
    }

    /// A copy that shares nothing and is in good order: what a reader of the disk would see now.
    pub fn image(&self) -> MemoryStore {
        let disk = self.state();
        let copy = Disk {
            files: disk.files.clone(),
            names: disk.names.clone(),
            durable: disk.durable.clone(),
            pending: disk.pending.clone(),
            counts: disk.counts,
            owner: Weak::new(),
            fail: None,
        };
        MemoryStore { disk: Arc::new(Mutex::new(copy)), ..MemoryStore::default() }
    }

    /// Names of the files there.
    pub fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    fn state(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is left of an unsynced write: any of the old content, a prefix of the new, the new up to a hole, all of it.
fn torn(old: &[u8], new: &[u8], choose: &mut impl FnMut(usize) -> usize) -> Vec<u8> {
    let common = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let fresh = new.len() - common;
    let keep = common + if fresh > 0 { choose(fresh + 1) } else { 0 };
    let mut left = new.get(..keep).unwrap_or(new).to_vec();
    match choose(4) {
        0 => old.to_vec(),
        1 => left,
        2 => {
            // The size reached the disk, some of the bytes did not.
            left.resize(new.len(), 0);
            left
        }
        _ => new.to_vec(),
    }
}

impl Disk {
    /// Count a call; how it is to fail.
    fn call(&mut self) -> Option<Failure> {
        let number = self.counts.calls;
        self.counts.calls += 1;
        self.fail.filter(|(at, _)| *at == number).map(|(_, failure)| failure)
    }

    fn file(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| not_found(name))
    }

    fn set(&mut self, name: &str, file: usize) {
        self.names.insert(name.to_string(), file);
        self.pending.push(NameChange::Set(name.to_string(), file));
    }

    fn unset(&mut self, name: &str) {
        self.names.remove(name);
        self.pending.push(NameChange::Remove(name.to_string()));
    }

    fn content(&mut self, file: usize) -> io::Result<&mut Content> {
        self.files.get_mut(file).ok_or_else(|| io::Error::other("no such file"))
    }
}

fn not_found(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no file {name}"))
}

/// Run `act` unless told to fail, and report the failure.
fn guarded(disk: &mut Disk, act: impl FnOnce(&mut Disk, bool) -> io::Result<()>) -> io::Result<()> {
    match disk.call() {
        None => act(disk, false),
        Some(Failure::Before) => Err(io::Error::other("simulated failure")),
        Some(failure) => {
            act(disk, failure == Failure::Torn)?;
            Err(io::Error::other("simulated failure"))
        }
    }
}

fn part(bytes: &[u8], torn: bool) -> &[u8] {
    let length = if torn { bytes.len() / 2 } else { bytes.len() };
    bytes.get(..length).unwrap_or(bytes)
}

impl Store for MemoryStore {
    fn lock(&mut self) -> io::Result<()> {
        let lock = self.lock.take().unwrap_or_default();
        let mut disk = self.state();
        if disk.owner.upgrade().is_some_and(|owner| !Arc::ptr_eq(&owner, &lock)) {
            return Err(io::Error::from(io::ErrorKind::WouldBlock));
        }
        disk.owner = Arc::downgrade(&lock);
        drop(disk);
        self.lock = Some(lock);
        Ok(())
    }

    fn list(&mut self) -> io::Result<Vec<String>> {
        Ok(self.state().names.keys().cloned().collect())
    }

    fn read(&mut self, name: &str) -> io::Result<Vec<u8>> {
        let mut disk = self.state();
        let file = disk.file(name)?;
        Ok(disk.content(file)?.current.clone())
    }

    fn write(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        guarded(&mut self.state(), |disk, torn| {
            disk.counts.bytes += bytes.len() as u64;
            let file = match disk.names.get(name) {
                Some(&file) => file,
                None => {
                    disk.files.push(Content::default());
                    let file = disk.files.len() - 1;
                    disk.set(name, file);
                    file
                }
            };
            disk.content(file)?.current = part(bytes, torn).to_vec();
            Ok(())
        })
    }

    fn append(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        guarded(&mut self.state(), |disk, torn| {
            disk.counts.bytes += bytes.len() as u64;
            let file = disk.file(name)?;
            disk.content(file)?.current.extend_from_slice(part(bytes, torn));
            Ok(())
        })
    }

    fn reserve(&mut self, name: &str, _size: u64) -> io::Result<()> {
        guarded(&mut self.state(), |disk, _| {
            disk.counts.reservations += 1;
            disk.file(name).map(|_| ())
        })
    }

    fn sync(&mut self, name: &str) -> io::Result<()> {
        guarded(&mut self.state(), |disk, torn| {
            disk.counts.syncs += 1;
            let file = disk.file(name)?;
            let content = disk.content(file)?;
            if !torn {
                content.durable = content.current.clone();
            }
            Ok(())
        })
    }

    fn sync_names(&mut self) -> io::Result<()> {
        guarded(&mut self.state(), |disk, torn| {
            if !torn {
                disk.pending.clear();
                disk.durable = disk.names.clone();
            }
            Ok(())
        })
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        guarded(&mut self.state(), |disk, _| {
            let file = disk.file(from)?;
            disk.names.remove(from);
            disk.names.insert(to.to_string(), file);
            disk.pending.push(NameChange::Rename(from.to_string(), to.to_string(), file));
            Ok(())
        })
    }

    fn link(&mut self, from: &str, to: &str) -> io::Result<()> {
        guarded(&mut self.state(), |disk, _| {
            let file = disk.file(from)?;
            if disk.names.contains_key(to) {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            disk.set(to, file);
            Ok(())
        })
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        guarded(&mut self.state(), |disk, _| {
            disk.file(name)?;
            disk.unset(name);
            Ok(())
        })
    }
}
