//! The CIB on disk: a base, a log of what was acknowledged since, and the files people read.
//!
//! | file | what |
//! |---|---|
//! | `cib.base.G` | a complete document and the driver's bytes, generation G of the store |
//! | `cib.log.G` | records appended since, each with length and checksum |
//! | `cib.xml`, `cib.xml.sig` | checkpoint for people and other software, with its digest |
//! | `cib-N.raw`, `cib-N.raw.sig`, `cib.last` | checkpoints before it, and the next N |
//! | `cib-conflict-N.raw`, `.why` | a document that lost against another one, and why |
//! | `NAME.auto.N` | a file that was not what it should be, put aside |
//!
//! Base and log are the truth. [`CibStore::append`] costs one write and one `fdatasync` however many entries it is
//! given; [`CibStore::switch`] replaces everything in one atomic step. What they have returned from is there after a
//! power failure, what failed may be there or not, and never in part.
//! One store at a time has a directory: [`CibStore::open`] locks it. The log's room on the medium is reserved ahead.
//! After a failed write the store refuses everything until it is opened anew: what the kernel still holds is unknown.

mod files;
mod frame;
mod memory;
mod store;

use std::io;

use crate::{Cib, Element};
use files::Found;
use frame::Kind;

pub use memory::{Counts, Failure, MemoryStore};
pub use store::{DirStore, Store};

/// Checkpoints kept when nothing else is configured, as in Pacemaker.
pub const BACKUPS_MAX: u64 = 100;

/// The log's room on the medium grows in steps of this many bytes.
const LOG_STEP: u64 = 1 << 20;

/// Generations of base and log kept: the current one and the one before.
const GENERATIONS_KEPT: usize = 2;

/// Why the disk did not do what was asked. The state of an append or switch is unknown until the store is opened anew.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The environment's fault.
    #[error("{action}: {source}")]
    Io {
        /// What was attempted.
        action: &'static str,
        source: io::Error,
    },
    /// Another process has the directory open, or another part of this one.
    #[error(
        "the directory of the configuration is in use by another process; is the cluster running already?"
    )]
    Locked,
    /// An earlier call failed; the store must be opened anew.
    #[error("the store failed before and must be opened anew")]
    Failed,
    /// Append before the first switch: our caller's fault.
    #[error("there is no base to append to")]
    NoBase,
    /// A record beyond what a log can hold; nothing was written.
    #[error("a record of {0} bytes is too long")]
    TooLong(usize),
}

/// Where the document of [`Loaded`] comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Base and log.
    Store,
    /// `cib.xml`: no base was there.
    File,
    /// This backup: neither a base nor a usable `cib.xml` was there.
    Backup(String),
    /// Nothing usable was there; the document is the empty one.
    Empty,
}

/// What was on the disk.
#[derive(Debug)]
pub struct Loaded {
    /// The document of the base; `entries` come on top of it.
    pub document: Element,
    /// The driver's bytes: the newest of those given to [`CibStore::switch`] and [`CibStore::meta`]; empty without a base.
    pub meta: Vec<u8>,
    /// What was appended to this base, in order.
    pub entries: Vec<Vec<u8>>,
    pub origin: Origin,
    /// A newer generation than the one loaded was damaged: acknowledged changes may be missing.
    pub regressed: bool,
    /// A `cib.xml` without digest that differs from the last checkpoint: somebody put it there for us to take.
    /// It stays in place until the next checkpoint, which puts it aside.
    pub import: Option<Element>,
    /// Sentences for the administrator.
    pub reports: Vec<String>,
}

/// A document that lost, to be kept by the switch that replaces it.
#[derive(Clone, Copy, Debug)]
pub struct Backup<'a> {
    pub document: &'a Element,
    /// Why it lost, for people and for the conflict report.
    pub why: &'a str,
}

/// The store of one node.
#[derive(Debug)]
pub struct CibStore<S: Store> {
    store: S,
    /// Generation of base and log; `None` before the first switch.
    generation: Option<u64>,
    /// The number the next switch takes.
    next_generation: u64,
    /// Records in the log.
    records: u64,
    /// Bytes of the log, and for how many there is room.
    log_size: u64,
    log_room: u64,
    backups_max: u64,
    failed: bool,
}

impl<S: Store> CibStore<S> {
    /// Read what is there and make ready to go on. Leftovers of interrupted writes are removed; what is damaged or was
    /// changed by others is put aside and reported.
    ///
    /// # Errors
    /// The directory is another's ([`DiskError::Locked`]), or the disk does not read or write. Damaged content is no
    /// error.
    pub fn open(mut store: S) -> Result<(CibStore<S>, Loaded), DiskError> {
        store.lock().map_err(|source| match source.kind() {
            io::ErrorKind::WouldBlock => DiskError::Locked,
            _ => DiskError::Io { action: "locking the directory of the configuration", source },
        })?;
        let mut this = CibStore {
            store,
            generation: None,
            next_generation: 1,
            records: 0,
            log_size: 0,
            log_room: 0,
            backups_max: BACKUPS_MAX,
            failed: false,
        };
        let loaded =
            this.load().map_err(|source| DiskError::Io { action: "loading the configuration", source })?;
        Ok((this, loaded))
    }

    /// Keep this many checkpoints; 0 keeps none.
    pub fn set_backups_max(&mut self, backups_max: u64) {
        self.backups_max = backups_max;
    }

    /// The generation of the base, `None` before the first switch.
    pub fn generation(&self) -> Option<u64> {
        self.generation
    }

    pub fn store(&mut self) -> &mut S {
        &mut self.store
    }

    /// Append entries to the log, all of them or none, with one `fdatasync`.
    ///
    /// # Errors
    /// As [`DiskError`] says; without success nothing may be acknowledged.
    pub fn append(&mut self, entries: &[Vec<u8>]) -> Result<(), DiskError> {
        let records: Vec<_> = entries.iter().map(|entry| (Kind::Entry, entry.as_slice())).collect();
        self.log("appending to the log", &records)
    }

    /// Replace the driver's bytes: one small record.
    ///
    /// # Errors
    /// As [`CibStore::append`].
    pub fn meta(&mut self, meta: &[u8]) -> Result<(), DiskError> {
        self.log("writing the state record", &[(Kind::Meta, meta)])
    }

    /// Entries and the driver's bytes together, with one `fdatasync`.
    ///
    /// # Errors
    /// As [`CibStore::append`].
    pub fn append_with_meta(&mut self, entries: &[Vec<u8>], meta: &[u8]) -> Result<(), DiskError> {
        let mut records: Vec<_> = entries.iter().map(|entry| (Kind::Entry, entry.as_slice())).collect();
        records.push((Kind::Meta, meta));
        self.log("appending to the log", &records)
    }

    fn log(&mut self, action: &'static str, records: &[(Kind, &[u8])]) -> Result<(), DiskError> {
        if self.failed {
            return Err(DiskError::Failed);
        }
        let Some(generation) = self.generation else { return Err(DiskError::NoBase) };
        let mut bytes = Vec::new();
        for (number, (kind, payload)) in (self.records..).zip(records) {
            if payload.len() > frame::RECORD_MAX {
                return Err(DiskError::TooLong(payload.len()));
            }
            frame::record(generation, number, *kind, payload, &mut bytes);
        }
        let name = log_name(generation);
        let size = self.log_size + bytes.len() as u64;
        let reserved = if size > self.log_room { self.reserve(&name, size) } else { Ok(()) };
        let written =
            reserved.and_then(|()| self.store.append(&name, &bytes)).and_then(|()| self.store.sync(&name));
        self.settle(action, written)?;
        self.records += records.len() as u64;
        self.log_size = size;
        Ok(())
    }

    /// Room for a log of this size and for what comes next; on a disk that is nearly full for this size alone.
    fn reserve(&mut self, log: &str, size: u64) -> io::Result<()> {
        let room = size.saturating_add(LOG_STEP) / LOG_STEP * LOG_STEP;
        self.log_room = room;
        match self.store.reserve(log, room) {
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                self.log_room = size;
                self.store.reserve(log, size)
            }
            other => other,
        }
    }

    /// Make `document` and `meta` the truth, with an empty log, in one step; a `backup` is kept if and only if it happens.
    ///
    /// # Errors
    /// As [`DiskError`] says; afterwards either the old truth or the new one is on disk.
    pub fn switch(
        &mut self,
        document: &Element,
        meta: &[u8],
        backup: Option<Backup<'_>>,
    ) -> Result<(), DiskError> {
        if self.failed {
            return Err(DiskError::Failed);
        }
        let written = self.write_generation(document, meta, backup);
        self.settle("writing a new base", written)?;
        self.generation = Some(self.next_generation);
        self.next_generation += 1;
        self.records = 0;
        self.log_size = frame::LOG_HEADER as u64;
        // The switch is done; what stays of older ones costs space, nothing else. The next open removes it.
        let _ = self.remove_old();
        Ok(())
    }

    fn write_generation(
        &mut self,
        document: &Element,
        meta: &[u8],
        backup: Option<Backup<'_>>,
    ) -> io::Result<()> {
        let generation = self.next_generation;
        let (base, log) = (base_name(generation), log_name(generation));
        let new = format!("{base}.tmp");
        if let Some(backup) = backup {
            self.write_conflict(generation, backup)?;
        }
        let header = frame::log_header(generation);
        self.store.write(&log, &header)?;
        self.reserve(&log, header.len() as u64)?;
        self.store.sync(&log)?;
        self.store.write(&new, &frame::base(generation, document, meta))?;
        self.store.sync(&new)?;
        self.store.sync_names()?;
        self.store.rename(&new, &base)?;
        self.store.sync_names()
    }

    /// A backup that a later failure of the switch leaves behind belongs to a generation that never was: see
    /// [`CibStore::open`].
    fn write_conflict(&mut self, generation: u64, backup: Backup<'_>) -> io::Result<()> {
        let name = format!("cib-conflict-{generation}.raw");
        for (name, text) in
            [(format!("{name}.why"), backup.why.to_string()), (name, backup.document.to_xml())]
        {
            self.store.write(&name, text.as_bytes())?;
            self.store.sync(&name)?;
        }
        Ok(())
    }

    fn remove_old(&mut self) -> io::Result<()> {
        let mut generations = self.generations()?;
        generations.retain(|generation| Some(*generation) <= self.generation);
        let surplus = generations.len().saturating_sub(GENERATIONS_KEPT);
        for generation in generations.into_iter().take(surplus) {
            for name in [base_name(generation), log_name(generation)] {
                match self.store.remove(&name) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Write `cib.xml`, its digest and a backup of the one before; what was put aside for it.
    ///
    /// Independent of base and log: a failure leaves them sound. To do it in the background, use [`checkpoint`] with a
    /// second store on the same directory.
    ///
    /// # Errors
    /// The disk does not read or write. The old checkpoint or the new one is there.
    pub fn checkpoint(&mut self, document: &Element) -> Result<Vec<String>, DiskError> {
        checkpoint(&mut self.store, document, self.backups_max)
    }

    fn settle(&mut self, action: &'static str, result: io::Result<()>) -> Result<(), DiskError> {
        result.map_err(|source| {
            self.failed = true;
            DiskError::Io { action, source }
        })
    }

    /// Numbers of bases there, rising.
    fn generations(&mut self) -> io::Result<Vec<u64>> {
        let names = self.store.list()?;
        let mut generations: Vec<u64> =
            names.iter().filter_map(|name| generation_of(name, "cib.base.")).collect();
        generations.sort_unstable();
        Ok(generations)
    }

    fn load(&mut self) -> io::Result<Loaded> {
        let mut loaded = Loaded {
            document: Cib::empty().into_root(),
            meta: Vec::new(),
            entries: Vec::new(),
            origin: Origin::Empty,
            regressed: false,
            import: None,
            reports: Vec::new(),
        };
        for name in self.store.list()? {
            if name.starts_with("cib") && name.ends_with(".tmp") {
                self.store.remove(&name)?;
            }
        }
        files::complete(&mut self.store)?;
        for generation in self.generations()?.into_iter().rev() {
            self.next_generation = self.next_generation.max(generation.saturating_add(1));
            if loaded.origin != Origin::Store {
                self.load_generation(generation, &mut loaded)?;
            }
        }
        self.clear_unborn(&mut loaded)?;
        self.load_files(&mut loaded)?;
        self.remove_old()?;
        Ok(loaded)
    }

    fn load_generation(&mut self, generation: u64, loaded: &mut Loaded) -> io::Result<()> {
        let name = base_name(generation);
        let bytes = self.store.read(&name)?;
        let Some((cib, meta)) = frame::read_base(&bytes, generation) else {
            let aside = files::put_aside(&mut self.store, &name)?;
            loaded.reports.push(format!("{name} is damaged; kept as {aside}, going back to what was before"));
            loaded.regressed = true;
            return Ok(());
        };
        loaded.document = cib.into_root();
        loaded.meta = meta;
        loaded.origin = Origin::Store;
        self.generation = Some(generation);
        let name = log_name(generation);
        let bytes = files::read_optional(&mut self.store, &name)?.unwrap_or_default();
        let Some(log) = frame::read_log(&bytes, generation) else {
            // The log is durable before its base is: this one was lost or damaged later.
            if !bytes.is_empty() {
                let aside = files::put_aside(&mut self.store, &name)?;
                loaded.reports.push(format!("{name} is damaged from its beginning; kept as {aside}"));
            } else {
                loaded.reports.push(format!("{name} is missing or empty"));
            }
            loaded.regressed = true;
            self.log_size = frame::LOG_HEADER as u64;
            return self.rewrite_log(generation, &frame::log_header(generation));
        };
        self.records = log.records.len() as u64;
        self.log_size = log.valid as u64;
        let torn = bytes.len() - log.valid;
        for (kind, payload) in log.records {
            match kind {
                Kind::Entry => loaded.entries.push(payload),
                Kind::Meta => loaded.meta = payload,
            }
        }
        if torn > 0 {
            // The end of an append that was never acknowledged, as a crash leaves it; or damage, which looks the same.
            let aside = files::keep_aside(&mut self.store, &name)?;
            let after = self.records;
            loaded
                .reports
                .push(format!("{name}: {torn} bytes after record {after} are no record; kept as {aside}"));
            let valid = bytes.get(..log.valid).unwrap_or(&bytes);
            self.rewrite_log(generation, valid)?;
        }
        Ok(())
    }

    fn rewrite_log(&mut self, generation: u64, bytes: &[u8]) -> io::Result<()> {
        let name = log_name(generation);
        let new = format!("{name}.tmp");
        self.store.write(&new, bytes)?;
        self.store.sync(&new)?;
        self.store.rename(&new, &name)?;
        self.store.sync_names()
    }

    /// Remove what an interrupted switch prepared: a log without records and a conflict backup whose base never came.
    fn clear_unborn(&mut self, loaded: &mut Loaded) -> io::Result<()> {
        let born = self.generations()?;
        let current = self.generation.unwrap_or(0);
        let unborn = self.next_generation;
        for name in self.store.list()? {
            if let Some(generation) = generation_of(&name, "cib.log.")
                && !born.contains(&generation)
            {
                self.next_generation = self.next_generation.max(generation.saturating_add(1));
                let bytes = self.store.read(&name)?;
                if frame::read_log(&bytes, generation).is_none_or(|log| log.records.is_empty())
                    && generation > current
                {
                    self.store.remove(&name)?;
                } else {
                    let aside = files::put_aside(&mut self.store, &name)?;
                    loaded.reports.push(format!("{name} belongs to no base; kept as {aside}"));
                }
            }
            let conflict = name.strip_prefix("cib-conflict-").and_then(|rest| rest.split('.').next());
            if let Some(generation) = conflict.and_then(|number| number.parse::<u64>().ok())
                && generation >= unborn
            {
                self.store.remove(&name)?;
            }
        }
        Ok(())
    }

    /// Look at `cib.xml` and the backups: the only source without a base, a possible import with one.
    fn load_files(&mut self, loaded: &mut Loaded) -> io::Result<()> {
        let have_base = loaded.origin == Origin::Store;
        match files::find(&mut self.store, files::LIVE, files::SIGNATURE)? {
            Found::Signed(cib) if !have_base => take(loaded, *cib, Origin::File),
            Found::Missing | Found::Signed(_) => {}
            Found::Unsigned(cib) if have_base => {
                loaded.reports.push("cib.xml has no digest: it was put there by hand".to_string());
                loaded.import = Some(cib.into_root());
            }
            Found::Unsigned(cib) => {
                loaded.reports.push("cib.xml has no digest: taken as it is".to_string());
                take(loaded, *cib, Origin::File);
            }
            Found::Edited => {
                let aside = files::put_aside(&mut self.store, files::LIVE)?;
                let signature = files::put_aside(&mut self.store, files::SIGNATURE)?;
                let text = format!(
                    "cib.xml was changed by hand, it is not what its digest says; kept as {aside} and {signature} \
                     (to have a file taken, put it there without cib.xml.sig)"
                );
                loaded.reports.push(text);
            }
            Found::Unusable(error) => {
                let aside = files::put_aside(&mut self.store, files::LIVE)?;
                loaded.reports.push(format!(
                    "cib.xml is not usable ({error}); kept as {aside}: correct it and put it in force with \
                     cibadmin --replace --xml-file"
                ));
            }
        }
        if loaded.origin == Origin::Empty {
            self.load_backup(loaded)?;
        }
        Ok(())
    }

    fn load_backup(&mut self, loaded: &mut Loaded) -> io::Result<()> {
        for name in files::backups(&mut self.store)? {
            match files::find(&mut self.store, &name, &files::backup_signature(&name))? {
                Found::Signed(cib) | Found::Unsigned(cib) => {
                    loaded.reports.push(format!("continuing with the last valid backup: {name}"));
                    take(loaded, *cib, Origin::Backup(name));
                    loaded.regressed = true;
                    return Ok(());
                }
                Found::Edited => loaded.reports.push(format!("{name} is not what its digest says; not used")),
                Found::Unusable(error) => loaded.reports.push(format!("{name} is not usable: {error}")),
                Found::Missing => {}
            }
        }
        if !loaded.reports.is_empty() {
            loaded.reports.push("continuing with an empty configuration".to_string());
        }
        Ok(())
    }
}

/// Take a document from a file: status does not outlive a start.
fn take(loaded: &mut Loaded, mut cib: Cib, origin: Origin) {
    let version = cib.version();
    let root = cib.root_mut();
    root.retain_children(|child| child.name() != "status");
    root.push(Element::new("status"));
    root.remove_attr("dc-uuid");
    if ["admin_epoch", "epoch", "num_updates"].iter().any(|name| root.attr(name).is_none()) {
        loaded.reports.push("the configuration lacks version counters; missing ones are 0".to_string());
        version.store(root);
    }
    loaded.document = cib.into_root();
    loaded.origin = origin;
}

/// Write `cib.xml`, its digest and a backup of the one before, independent of base and log; what was put aside for it.
///
/// # Errors
/// As [`CibStore::checkpoint`].
pub fn checkpoint(
    store: &mut dyn Store,
    document: &Element,
    backups_max: u64,
) -> Result<Vec<String>, DiskError> {
    files::checkpoint(store, document, backups_max)
        .map_err(|source| DiskError::Io { action: "writing cib.xml", source })
}

/// Put a document in the place of `cib.xml` while no node uses the directory, with digest and backup; what was put aside
/// for it. Where base and log are the truth it gets no digest, as a file that somebody put there has none, so that the
/// next start has it taken.
///
/// # Errors
/// [`DiskError::Locked`]: a node uses the directory. Else as [`CibStore::checkpoint`].
pub fn place(store: &mut dyn Store, document: &Element) -> Result<Vec<String>, DiskError> {
    let io = |source: io::Error| match source.kind() {
        io::ErrorKind::WouldBlock => DiskError::Locked,
        _ => DiskError::Io { action: "writing cib.xml", source },
    };
    store.lock().map_err(io)?;
    let reports = checkpoint(store, document, BACKUPS_MAX)?;
    let names = store.list().map_err(io)?;
    if names.iter().any(|name| generation_of(name, "cib.base.").is_some())
        && names.iter().any(|name| name == files::SIGNATURE)
    {
        store.remove(files::SIGNATURE).and_then(|()| store.sync_names()).map_err(io)?;
    }
    Ok(reports)
}

fn base_name(generation: u64) -> String {
    format!("cib.base.{generation}")
}

fn log_name(generation: u64) -> String {
    format!("cib.log.{generation}")
}

fn generation_of(name: &str, prefix: &str) -> Option<u64> {
    name.strip_prefix(prefix)?.parse().ok()
}

#[cfg(test)]
mod tests;
