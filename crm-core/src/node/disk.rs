//! The disk of a node: one thread for what must be durable, one for the files people read.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ccm::group::Loaded;
use ccm::seam::Record;
use cib::disk::{Backup, CibStore, DirStore, DiskError, Origin};
use cib::{Cib, Element};

use super::{Say, identity};
use crate::core::CoreEvent;

/// The two threads.
pub(super) struct Disk {
    records: Option<Sender<(u64, Record)>>,
    checkpoints: Option<Sender<Element>>,
    threads: Vec<JoinHandle<()>>,
    /// Configuration of the last checkpoint asked for.
    shown: Option<Element>,
}

/// What the store held, and what is to be said about it.
pub(super) struct Opened {
    pub disk: Disk,
    pub loaded: Loaded,
    pub reports: Vec<String>,
    /// A `cib.xml` that was put there by hand.
    pub by_hand: Option<Element>,
}

/// Opens the store below the state directory and starts the threads. `say` takes what becomes durable.
pub(super) fn open(state: &Path, regressed: bool, say: Say) -> Result<Opened, DiskError> {
    let (state, directory) = (state.to_owned(), &state.join("crm"));
    let io = |source| DiskError::Io { action: "opening the directory of the configuration", source };
    let store = DirStore::new(directory).map_err(io)?;
    let (store, found) = CibStore::open(store)?;
    let mut reports = found.reports;
    let document = match found.origin {
        // A blank disk: the group makes the first configuration.
        Origin::Empty => None,
        Origin::Store | Origin::File | Origin::Backup(_) => Some(found.document),
    };
    let order = directory.join(IMPORT);
    let loaded = Loaded {
        document: document.clone(),
        meta: found.meta,
        entries: found.entries,
        import: ordered(directory, &mut reports),
        regressed: regressed || found.regressed,
    };
    let (records, asked) = channel();
    let base = document.unwrap_or_else(|| Cib::empty().into_root());
    let writing = Writing { store, base, order, state, noted: false };
    let writer = spawn("disk", move || write_records(writing, &asked, &say)).map_err(io)?;
    let (checkpoints, wanted) = channel();
    let directory: PathBuf = directory.to_owned();
    let files = spawn("checkpoints", move || write_files(&directory, &wanted)).map_err(io)?;
    let disk = Disk {
        records: Some(records),
        checkpoints: Some(checkpoints),
        threads: vec![writer, files],
        shown: None,
    };
    Ok(Opened { disk, loaded, reports, by_hand: found.import })
}

/// A document that the administrator orders to be put in force at the next start (protocol R9.10):
/// `everbeat cib import --force` puts it here.
pub const IMPORT: &str = "cib.import";

fn ordered(directory: &Path, reports: &mut Vec<String>) -> Option<Element> {
    let text = std::fs::read_to_string(directory.join(IMPORT)).ok()?;
    match Element::parse(&text)
        .map_err(|e| e.to_string())
        .and_then(|root| Cib::from_root(root).map(Cib::into_root).map_err(|e| e.to_string()))
    {
        Ok(root) => Some(root),
        Err(error) => {
            reports.push(format!("{IMPORT} is not usable and not put in force: {error}"));
            None
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}

impl Disk {
    /// Makes a record durable; the answer goes to `say`.
    pub(super) fn persist(&self, token: u64, record: Record) {
        if let Some(records) = &self.records {
            // The thread ends only with the sender.
            let _ = records.send((token, record));
        }
    }

    /// Has `cib.xml` written if the configuration differs from the last one written.
    pub(super) fn show(&mut self, cib: &Cib) {
        let Some(configuration) = cib.configuration() else { return };
        if self.shown.as_ref().is_some_and(|shown| shown.ptr_eq(configuration)) {
            return;
        }
        self.shown = Some(configuration.clone());
        let mut root = cib.root().clone();
        // What runs where is not configuration; it is announced anew after a start.
        if let Some(status) = root.child_mut("status") {
            status.clear_nodes();
        }
        if let Some(checkpoints) = &self.checkpoints {
            let _ = checkpoints.send(root);
        }
    }

    /// Waits until everything asked for is on disk.
    pub(super) fn close(&mut self) {
        self.records = None;
        self.checkpoints = None;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// What the thread of the records works with.
struct Writing {
    store: CibStore<DirStore>,
    base: Element,
    /// A document ordered to be put in force.
    order: PathBuf,
    state: PathBuf,
    /// The group's record of this start is on disk.
    noted: bool,
}

impl Writing {
    fn write(&mut self, record: Record) -> Result<(), DiskError> {
        match record {
            Record::Append(entries) => return self.store.append(&entries),
            Record::Switch { document, meta, backup } => {
                let kept = backup.as_ref().map(|(document, why)| Backup { document, why });
                self.store.switch(&document, &meta, kept)?;
                // The document ordered is part of the first base written: the order is carried out.
                if self.order.exists() {
                    let _ = std::fs::rename(&self.order, self.order.with_extension("import-done"));
                }
                self.base = document;
            }
            // Before the first base there is no log to put it into.
            Record::Meta(meta) if self.store.generation().is_none() => {
                self.store.switch(&self.base, &meta, None)?;
            }
            Record::Meta(meta) => self.store.meta(&meta)?,
        }
        // Either kind says whether the disk had gone back (R16.5).
        if !self.noted {
            match identity::noted(&self.state) {
                Ok(()) => self.noted = true,
                Err(error) => tracing::warn!(target: "crm_core::disk", "{error}"),
            }
        }
        Ok(())
    }
}

fn write_records(mut writing: Writing, asked: &Receiver<(u64, Record)>, say: &Say) {
    while let Ok((token, record)) = asked.recv() {
        say(match writing.write(record) {
            Ok(()) => CoreEvent::Persisted { token },
            Err(error) => CoreEvent::PersistFailed { token, error: error.to_string() },
        });
    }
}

/// Between the end of one checkpoint and the beginning of the next. A change is safe in the log; the files are for
/// people, and their eight syncs must not take the disk from the log while changes come one upon the other.
const PAUSE: Duration = Duration::from_secs(1);

fn write_files(directory: &Path, wanted: &Receiver<Element>) {
    let mut next = Instant::now();
    while let Ok(mut document) = wanted.recv() {
        // Only the newest matters. At the end it is written at once.
        while let Ok(newer) = wanted.recv_timeout(next.saturating_duration_since(Instant::now())) {
            document = newer;
        }
        let result = DirStore::new(directory)
            .map_err(|source| DiskError::Io { action: "opening the directory of the configuration", source })
            .and_then(|mut store| cib::disk::checkpoint(&mut store, &document, cib::disk::BACKUPS_MAX));
        match result {
            Ok(reports) => reports.iter().for_each(|r| tracing::warn!(target: "crm_core::disk", "{r}")),
            Err(error) => tracing::error!(target: "crm_core::disk", "cib.xml was not written: {error}"),
        }
        next = Instant::now() + PAUSE;
    }
}
