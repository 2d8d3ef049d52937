//! The view record: what a node writes beside the document (R4.3), and how a start reads it back.

use cib::Element;
use sha2::{Digest, Sha256};

use super::GroupConfig;
use super::api::Loaded;
use super::transfer::Transfers;
use crate::codec::{CodecError, Reader, Wire, Writer};
use crate::replication::entry::{Durable, ENTRY_VERSION, Entry, State};
use crate::replication::merge::Exclusive;
use crate::seam::{Incarnation, NodeId, Stamp, ViewId};

/// Version of the record on disk.
pub const RECORD_VERSION: u8 = 2;
/// How far beyond its epoch every record raises the ceiling (R4.3).
pub const CEILING_STEP: u64 = 16;

/// The view record in memory; written with every Switch and Meta.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ViewRecord {
    /// View this disk Switched to last, and with whom.
    pub view: ViewId,
    pub members: Vec<(NodeId, Incarnation)>,
    pub exclusive: bool,
    pub writable: bool,
    /// R9.6.
    pub lq: Vec<Exclusive>,
    pub switched: Vec<Exclusive>,
    pub cut: bool,
    /// R15.10.
    pub verified: bool,
    pub regressed: bool,
    /// Left cleanly.
    pub clean: bool,
    /// Was the last survivor, and could write (R15.7a). Of the time before this start.
    pub was_alone: bool,
    /// Last entry known committed, the administrator's epoch there.
    pub commit: Stamp,
    pub admin_epoch: u64,
    /// Epoch that no promise of this disk exceeds.
    pub ceiling: u64,
    /// The durable state without its document, as of the last Switch: what entries are replayed on.
    pub rest: Vec<u8>,
    /// Last entries of the losing histories whose documents are kept here and not dismissed (R9.9).
    pub kept: Vec<Stamp>,
    /// Nothing: makes a test write long enough (R16.6).
    pub padding: Vec<u8>,
}

impl Wire for ViewRecord {
    fn write(&self, w: &mut Writer) {
        w.put(&self.view).put(&self.members).bool(self.exclusive).bool(self.writable);
        w.put(&self.lq).put(&self.switched).bool(self.cut);
        w.bool(self.verified).bool(self.regressed).bool(self.clean).bool(self.was_alone);
        w.put(&self.commit).u64(self.admin_epoch).u64(self.ceiling).bytes(&self.rest);
        w.put(&self.kept).bytes(&self.padding);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self {
            view: r.get()?,
            members: r.get()?,
            exclusive: r.bool()?,
            writable: r.bool()?,
            lq: r.get()?,
            switched: r.get()?,
            cut: r.bool()?,
            verified: r.bool()?,
            regressed: r.bool()?,
            clean: r.bool()?,
            was_alone: r.bool()?,
            commit: r.get()?,
            admin_epoch: r.u64()?,
            ceiling: r.u64()?,
            rest: r.bytes()?.to_vec(),
            kept: r.get()?,
            padding: r.bytes().map(|_| Vec::new())?,
        })
    }
}

/// The bytes of an entry in the log.
pub fn entry_bytes(entry: &Entry) -> Vec<u8> {
    entry.record(ENTRY_VERSION)
}

/// # Errors
/// Any [`CodecError`].
pub fn read_entry(bytes: &[u8]) -> Result<Entry, CodecError> {
    Entry::from_record(ENTRY_VERSION, bytes)
}

/// The durable state without its document.
pub fn rest_of(durable: &Durable) -> Vec<u8> {
    let mut w = Writer::new();
    durable.write_rest(&mut w);
    w.finish()
}

/// What a start finds.
pub struct Start {
    pub state: State,
    pub record: ViewRecord,
    /// Sentences for the log.
    pub reports: Vec<String>,
    /// The log, to be served to who lacks its end.
    pub transfers: Transfers,
}

/// Reads back what the disk holds. What cannot be read makes the node regressed with what is left,
/// never with a guess (R4.4).
pub fn load(config: &GroupConfig, loaded: Loaded) -> Start {
    let mut reports = Vec::new();
    let mut record = ViewRecord::default();
    let mut state = State::default();
    let mut damaged = loaded.regressed;
    if !loaded.meta.is_empty() {
        match ViewRecord::from_record(RECORD_VERSION, &loaded.meta) {
            Ok(read) => record = read,
            Err(error) => {
                reports.push(format!(
                    "the view record on disk is not readable ({error}): starting as a restored node"
                ));
                damaged = true;
            }
        }
    }
    if let Some(document) = loaded.document {
        match read_state(document, &record.rest) {
            Ok(mut durable) => {
                if record.rest.is_empty() {
                    reports.extend(first_document(&mut durable));
                }
                let parts_root = crate::replication::entry::split(&durable.document).root;
                state = State { durable, root: parts_root, ..State::default() };
            }
            Err(error) => {
                reports.push(format!(
                    "the state on disk is not readable ({error}): starting as a restored node"
                ));
                damaged = true;
            }
        }
    }
    let before = (state.durable.lineage.head(), state.durable.lineage.h());
    let mut entries = Vec::new();
    for bytes in &loaded.entries {
        let applied = read_entry(bytes).map_err(|e| e.to_string());
        let applied = applied.and_then(|e| state.apply(&e).map(|()| e).map_err(|e| e.to_string()));
        match applied {
            Ok(entry) => entries.push(entry),
            Err(error) => {
                reports
                    .push(format!("an entry of the log does not follow ({error}): the log ends before it"));
                damaged = true;
                break;
            }
        }
    }
    let mut transfers = Transfers::default();
    transfers.load(before, entries);
    if damaged {
        record.regressed = true;
        record.verified = false;
    }
    let alone = record.members.len() == 1 && record.members.first().is_some_and(|(id, _)| *id == config.id);
    if alone && record.writable {
        // There, on disk is committed (R4.6).
        record.commit = state.durable.lineage.head();
        record.admin_epoch = state.cib().version().admin_epoch;
    }
    record.was_alone = !record.regressed && (record.was_alone || (alone && record.writable));
    if let Some(document) = loaded.import {
        reports.push(import(config, &mut state, &mut record, &document));
        transfers = Transfers::default();
        transfers.load((state.durable.lineage.head(), state.durable.lineage.h()), Vec::new());
    }
    Start { state, record, reports, transfers }
}

/// A document that the administrator puts in force (R9.10): a segment of its own on top of the history
/// here, with a higher `admin_epoch`, taken as committed. Other histories lose to it and are kept.
fn import(config: &GroupConfig, state: &mut State, record: &mut ViewRecord, document: &Element) -> String {
    let mut parts = crate::replication::entry::split(document);
    let admin_epoch = |root: &Element| cib::Version::of(root).admin_epoch;
    let epoch = admin_epoch(&state.durable.document).max(admin_epoch(&parts.document)) + 1;
    parts.document.set_attr("admin_epoch", epoch.to_string());
    // Epoch ceiling + 1: no view of that number can have been promised by this disk.
    record.ceiling += 1;
    let view = ViewId { epoch: record.ceiling, proposer: config.id, boot: config.incarnation.boot };
    let h: [u8; 32] = Sha256::new()
        .chain_update(state.durable.lineage.h())
        .chain_update(parts.document.to_xml_compact())
        .finalize()
        .into();
    let head = Stamp { view, n: 1 };
    state.durable.document = parts.document;
    state.durable.lineage.push(head, h, false);
    state.root = parts.root;
    record.commit = head;
    record.admin_epoch = epoch;
    record.rest.clear(); // written anew at once
    format!("the configuration given by the administrator is put in force, with admin_epoch {epoch}")
}

/// A document without a history, put there before the first start: it becomes the first entry of one
/// (R9.10). Its name follows from its content, so that the same document on several nodes is one
/// history and not several that must be merged.
fn first_document(durable: &mut Durable) -> Option<String> {
    if durable.document == Durable::default().document {
        return None;
    }
    let h: [u8; 32] = Sha256::digest(durable.document.to_xml_compact()).into();
    let mut id = [0; 16];
    for (to, from) in id.iter_mut().zip(h) {
        *to = from;
    }
    let view = ViewId { epoch: 0, proposer: NodeId(id), boot: 0 };
    durable.lineage.push(Stamp { view, n: 1 }, h, false);
    Some("the configuration found on disk is taken as the first of this cluster".to_owned())
}

fn read_state(document: Element, rest: &[u8]) -> Result<Durable, CodecError> {
    let mut r = Reader::new(rest);
    if r.is_empty() {
        return Ok(Durable {
            document: crate::replication::entry::split(&document).document,
            ..Durable::default()
        });
    }
    let durable = Durable::read_rest(document, &mut r)?;
    r.finish()?;
    Ok(durable)
}
