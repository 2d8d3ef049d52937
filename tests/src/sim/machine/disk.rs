//! The disk of a machine: what a start finds there, how it fails, how it forgets.

use std::collections::BTreeSet;
use std::time::Duration;

use ccm::group::{Group, Loaded};
use ccm::membership::info::PhaseName;
use ccm::seam::Record;
use cib::Cib;
use cib::disk::{Backup, CibStore, Failure, MemoryStore, Origin};

use super::super::DEADTIME;
use super::super::document::tokens;
use super::Machine;

impl Machine {
    pub(super) fn open(&self, disk: MemoryStore) -> Option<(CibStore<MemoryStore>, Loaded)> {
        let (store, loaded) = CibStore::open(disk).ok()?;
        let fresh = loaded.origin == Origin::Empty;
        let never = fresh && self.generation <= 1;
        let document = if never { self.common.document.clone() } else { (!fresh).then_some(loaded.document) };
        let regressed = loaded.regressed || self.marked;
        Some((
            store,
            Loaded { document, meta: loaded.meta, entries: loaded.entries, regressed, import: None },
        ))
    }

    /// The durable document as a start would find it now.
    pub fn on_disk(&self) -> Option<Cib> {
        let (_, loaded) = self.open(self.disk.image())?;
        let group = Group::new(self.config(), loaded, 0);
        Cib::from_root(group.history().document.clone()).ok()
    }

    /// The next write fails; its outcome on the disk is open, or nothing is there (`full`).
    pub fn fail_disk(&mut self, full: bool) {
        let how = if full { Failure::Before } else { Failure::Torn };
        self.disk.fail_at(self.disk.counts().calls, how);
    }

    pub fn take_image(&mut self) {
        self.image = Some((self.disk.image(), self.generation));
    }

    /// After a crash: the disk is that of the image again. Whether there was one.
    pub fn set_back(&mut self) -> bool {
        let Some((disk, generation)) = self.image.take() else { return false };
        self.disk = disk;
        self.generation = generation;
        true
    }

    /// After a crash: the disk is empty, and the generation starts at the time, as Heartbeat's does.
    pub fn wipe(&mut self, now: Duration) {
        self.disk = MemoryStore::new();
        self.generation = 1_000_000 + now.as_secs();
        self.marked = true;
    }

    /// After a crash: one byte has changed. Whether there was one to change.
    pub fn damage(&mut self, at: u64) -> bool {
        let names = self.disk.names();
        let pick = usize::try_from(at % 1021).unwrap_or(0);
        let name = names.get(pick % names.len().max(1));
        name.is_some_and(|name| self.disk.damage(name, usize::try_from(at / 1021 % 997).unwrap_or(0)))
    }

    /// Every write takes this long from now on.
    pub fn slow(&mut self, now: Duration, delay: Duration) {
        self.write_time = delay;
        if delay >= DEADTIME / 8 {
            self.well_since = None;
        } else if self.running() && self.well_since.is_none() && !self.paused(now) {
            self.well_since = Some(now);
        }
    }

    /// The group has given its disk up.
    pub fn disk_failed(&self) -> bool {
        self.group().is_some_and(|g| g.info().phase == PhaseName::DiskFailed)
    }
}

pub(super) fn execute(store: &mut CibStore<MemoryStore>, record: &Record) -> Result<(), String> {
    let result = match record {
        Record::Append(entries) => store.append(entries),
        Record::Meta(meta) => store.meta(meta),
        Record::Switch { document, meta, backup } => {
            let backup = backup.as_ref().map(|(document, why)| Backup { document, why });
            store.switch(document, meta, backup)
        }
    };
    result.map_err(|e| e.to_string())
}

pub(super) fn backup_of(record: &Record) -> Option<BTreeSet<u64>> {
    match record {
        Record::Switch { backup: Some((document, _)), .. } => Some(tokens(document).collect()),
        Record::Append(_) | Record::Meta(_) | Record::Switch { .. } => None,
    }
}
