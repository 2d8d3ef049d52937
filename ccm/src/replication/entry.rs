//! One entry of a history, and the state that a history leads to (R9.1, R9.2, R12).

use cib::{Cib, Element};
use sha2::{Digest, Sha256};

use super::delta::{Delta, read_node, write_node};
use super::lineage::{Hash, Lineage};
use super::table::Table;
use crate::codec::{CodecError, Reader, Wire, Writer, wire_struct};
use crate::group::api::Conflict;
use crate::membership::quorum::Electorate;
use crate::seam::{RequestId, Stamp};

/// Version of entries and states on disk and on the wire.
pub const ENTRY_VERSION: u8 = 1;

/// Attributes of the root element that change without a change of configuration: they live with
/// the status section, ordered and not written (R12.3).
pub const LIVE_ATTRIBUTES: [&str; 3] = ["num_updates", "have-quorum", "dc-uuid"];

/// Conflicts remembered in the replicated state (R9.9).
pub const CONFLICT_LIMIT: usize = 16;

/// What an entry does.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Changes the durable document; `root` is the root's live attributes afterwards.
    Config { delta: Delta, root: Vec<(String, String)> },
    /// Changes the status section and the root's live attributes; volatile.
    Status { delta: Delta, root: Vec<(String, String)> },
    /// Certainly nothing: a refused request that an earlier DC may have seen (R13.3).
    Void,
    /// Another electorate (R15.8).
    Electorate(Electorate),
    /// A losing history was kept somewhere (R9.9).
    Conflict(Conflict),
    /// The administrator has read of one, or of all.
    Dismiss(Option<Stamp>),
}

impl Op {
    /// Durable entries are written to disk before they are acknowledged (R12.3).
    pub fn durable(&self) -> bool {
        match self {
            Self::Status { .. } => false,
            Self::Config { .. } | Self::Void | Self::Electorate(_) | Self::Conflict(_) | Self::Dismiss(_) => {
                true
            }
        }
    }
}

impl Wire for Op {
    fn write(&self, w: &mut Writer) {
        match self {
            Self::Config { delta, root } => w.u8(0).put(delta).put(root),
            Self::Status { delta, root } => w.u8(1).put(delta).put(root),
            Self::Void => w.u8(2),
            Self::Electorate(e) => w.u8(3).put(e),
            Self::Conflict(c) => w.u8(4).put(c),
            Self::Dismiss(tip) => w.u8(5).put(tip),
        };
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(match r.u8()? {
            0 => Self::Config { delta: r.get()?, root: r.get()? },
            1 => Self::Status { delta: r.get()?, root: r.get()? },
            2 => Self::Void,
            3 => Self::Electorate(r.get()?),
            4 => Self::Conflict(r.get()?),
            5 => Self::Dismiss(r.get()?),
            other => return Err(CodecError::Kind(other)),
        })
    }
}

/// One numbered change.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    pub stamp: Stamp,
    pub rid: Option<RequestId>,
    pub acked_below: u64,
    pub ident: Option<[u8; 16]>,
    /// Written without quorum, by order (R12.2).
    pub forced: bool,
    /// Complete state of its origin (R9.12).
    pub announce: bool,
    pub exclusive: bool,
    pub op: Op,
    /// Chain hash after this entry; zero for a volatile one.
    pub h: Hash,
}
wire_struct!(Entry { stamp, rid, acked_below, ident, forced, announce, exclusive, op, h });

impl Entry {
    /// The chain hash this entry must carry after `previous`.
    pub fn chain(&self, previous: &Hash) -> Hash {
        if !self.op.durable() {
            return [0; 32];
        }
        let mut w = Writer::new();
        w.put(&self.stamp).put(&self.rid).u64(self.acked_below).put(&self.ident).bool(self.forced);
        w.bool(self.announce).bool(self.exclusive).put(&self.op);
        let mut hash = Sha256::new();
        hash.update(previous);
        hash.update(w.finish());
        hash.finalize().into()
    }
}

/// Why an entry was not applied: it does not follow on what is here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    #[error("its hash does not follow")]
    Hash,
    #[error("it does not fit the document")]
    Fit,
}

/// What the durable entries lead to: equal at all who hold the same history (R6 of design: S3).
#[derive(Debug, Clone, PartialEq)]
pub struct Durable {
    /// The root without status section and without live attributes.
    pub document: Element,
    pub electorate: Electorate,
    pub table: Table,
    pub conflicts: Vec<Conflict>,
    pub lineage: Lineage,
}

impl Default for Durable {
    fn default() -> Self {
        Self {
            document: split(Cib::empty().root()).document,
            electorate: Electorate::default(),
            table: Table::default(),
            conflicts: Vec::new(),
            lineage: Lineage::default(),
        }
    }
}

impl Wire for Durable {
    fn write(&self, w: &mut Writer) {
        write_node(w, &self.document);
        self.write_rest(w);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let document = read_node(r)?;
        Self::read_rest(document, r)
    }
}

impl Durable {
    /// Everything but the document: what a view record carries beside it.
    pub fn write_rest(&self, w: &mut Writer) {
        w.put(&self.electorate).put(&self.table).put(&self.conflicts).put(&self.lineage);
    }

    /// # Errors
    /// Any [`CodecError`].
    pub fn read_rest(document: Element, r: &mut Reader<'_>) -> Result<Self, CodecError> {
        Ok(Self { document, electorate: r.get()?, table: r.get()?, conflicts: r.get()?, lineage: r.get()? })
    }

    /// Digest of everything that must be equal (R10.6).
    pub fn digest(&self) -> Hash {
        let mut w = Writer::new();
        w.put(self);
        Sha256::digest(w.finish()).into()
    }
}

/// A document taken apart: what is durable and what lives with the view.
#[derive(Debug, Clone, PartialEq)]
pub struct Parts {
    pub document: Element,
    pub status: Element,
    pub root: Vec<(String, String)>,
}

/// Takes a whole document apart.
pub fn split(root: &Element) -> Parts {
    let status = root.child("status").cloned().unwrap_or_else(|| Element::new("status"));
    let live = LIVE_ATTRIBUTES
        .iter()
        .filter_map(|n| root.attr(n).map(|v| ((*n).to_owned(), v.to_owned())))
        .collect();
    let mut document = root.clone();
    document.retain_children(|c| c.name() != "status");
    for name in LIVE_ATTRIBUTES {
        // The number of updates belongs to the version of the document: it stays, as of the last
        // durable entry. The others are facts of the view.
        if name != "num_updates" && document.attr(name).is_some() {
            document.remove_attr(name);
        }
    }
    Parts { document, status, root: live }
}

/// A state with its volatile half: what the newest document is.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    pub durable: Durable,
    pub status: Element,
    /// Live attributes of the root.
    pub root: Vec<(String, String)>,
    /// Volatile requests applied, so that none is applied twice after a change of view.
    pub volatile: Table,
    /// Last entry of any kind.
    pub last: Stamp,
}

impl Default for State {
    fn default() -> Self {
        Self {
            durable: Durable::default(),
            status: Element::new("status"),
            root: Vec::new(),
            volatile: Table::default(),
            last: Stamp::default(),
        }
    }
}

impl State {
    /// The whole document.
    pub fn cib(&self) -> Cib {
        let mut root = self.durable.document.clone();
        for (name, value) in &self.root {
            if root.attr(name) != Some(value.as_str()) {
                root.set_attr(name, value.as_str());
            }
        }
        root.push(self.status.clone());
        Cib::from_root(root).unwrap_or_else(|_| Cib::empty())
    }

    /// Applies the next entry. After an error the state is as it was.
    /// # Errors
    /// [`ApplyError`]: it belongs to another history.
    pub fn apply(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        if entry.op.durable() && entry.chain(&self.durable.lineage.h()) != entry.h {
            return Err(ApplyError::Hash);
        }
        match &entry.op {
            Op::Config { delta, root } => {
                self.durable.document = delta.apply(&self.durable.document).map_err(|_| ApplyError::Fit)?;
                self.root = root.clone();
            }
            Op::Status { delta, root } => {
                self.status = delta.apply(&self.status).map_err(|_| ApplyError::Fit)?;
                self.root = root.clone();
            }
            Op::Void => {}
            Op::Electorate(e) => self.durable.electorate = e.clone(),
            Op::Conflict(c) => {
                if !self.durable.conflicts.iter().any(|k| k.tip == c.tip && k.holder == c.holder) {
                    self.durable.conflicts.push(c.clone());
                    if self.durable.conflicts.len() > CONFLICT_LIMIT {
                        self.durable.conflicts.remove(0);
                    }
                }
            }
            Op::Dismiss(None) => self.durable.conflicts.clear(),
            Op::Dismiss(Some(tip)) => self.durable.conflicts.retain(|c| c.tip != *tip),
        }
        if let Some(rid) = entry.rid {
            let table = if entry.op.durable() { &mut self.durable.table } else { &mut self.volatile };
            table.note(rid, entry.acked_below, (entry.stamp, entry.op == Op::Void), entry.ident);
        }
        if entry.op.durable() {
            self.durable.lineage.push(entry.stamp, entry.h, entry.exclusive);
        }
        self.last = entry.stamp;
        Ok(())
    }

    /// What the change from this state to the document `new` consists of: a durable part, a
    /// volatile part, or both (R9.12: configuration first).
    pub fn changes_to(&self, new: &Element) -> (Option<Op>, Option<Op>) {
        let parts = split(new);
        let delta = Delta::between(&self.durable.document, &parts.document);
        let config = match &delta {
            Delta::Same => false,
            // Only bookkeeping on the root: that is a change of status, not of configuration.
            Delta::Edit { attrs: Some(attrs), nodes: None } => attrs_differ(&self.durable.document, attrs),
            Delta::Edit { .. } | Delta::Replace(_) => true,
        };
        let status = Delta::between(&self.status, &parts.status);
        let durable = config.then(|| Op::Config { delta, root: parts.root.clone() });
        let live = status != Delta::Same || (!config && parts.root != self.live_root());
        (durable, live.then_some(Op::Status { delta: status, root: parts.root }))
    }

    fn live_root(&self) -> Vec<(String, String)> {
        split(self.cib().root()).root
    }

    /// The volatile half as a record for who lacks it.
    pub fn write_status(&self, w: &mut Writer) {
        write_node(w, &self.status);
        w.put(&self.root).put(&self.volatile).put(&self.last);
    }

    /// Takes over the volatile half of another.
    /// # Errors
    /// Any [`CodecError`]; the state is then as it was.
    pub fn read_status(&mut self, r: &mut Reader<'_>) -> Result<(), CodecError> {
        let (status, root, volatile) = (read_node(r)?, r.get()?, r.get()?);
        let last = r.get()?;
        (self.status, self.root, self.volatile, self.last) = (status, root, volatile, last);
        Ok(())
    }
}

fn attrs_differ(document: &Element, attrs: &[(String, String)]) -> bool {
    let counts = |name: &str| name != "num_updates" && !cib::digest::BOOKKEEPING.contains(&name);
    let old: Vec<(&str, &str)> = document.attrs().filter(|(k, _)| counts(k)).collect();
    let new: Vec<(&str, &str)> =
        attrs.iter().map(|(k, v)| (k.as_str(), v.as_str())).filter(|(k, _)| counts(k)).collect();
    old != new
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn doc(text: &str) -> Element {
        Element::parse(text).unwrap()
    }

    fn entry(state: &State, n: u64, op: Op) -> Entry {
        let mut e = Entry {
            stamp: Stamp { n, ..Stamp::default() },
            rid: None,
            acked_below: 0,
            ident: None,
            forced: false,
            announce: false,
            exclusive: true,
            op,
            h: [0; 32],
        };
        e.h = e.chain(&state.durable.lineage.h());
        e
    }

    /// A status change is volatile, a configuration change durable, a mixed one is split.
    #[test]
    fn changes_are_split_by_what_they_touch() {
        let mut state = State::default();
        let start = doc("<cib epoch='1' num_updates='0'><configuration/><status/></cib>");
        let (durable, _) = state.changes_to(&start);
        state.apply(&entry(&state, 1, durable.unwrap())).unwrap();
        let status = doc("<cib epoch='1' num_updates='1'><configuration/><status><a/></status></cib>");
        let (durable, volatile) = state.changes_to(&status);
        assert_eq!(durable, None);
        state.apply(&entry(&state, 2, volatile.unwrap())).unwrap();
        assert_eq!(state.cib().root(), &status);
        let both = doc("<cib epoch='2' num_updates='0'><configuration><b/></configuration><status/></cib>");
        let (durable, volatile) = state.changes_to(&both);
        state.apply(&entry(&state, 3, durable.unwrap())).unwrap();
        state.apply(&entry(&state, 4, volatile.unwrap())).unwrap();
        assert_eq!(state.cib().root(), &both);
    }

    /// An entry made after another history is refused and changes nothing.
    #[test]
    fn a_broken_chain_is_refused() {
        let mut state = State::default();
        let mut e = entry(&state, 1, Op::Void);
        e.h = [1; 32];
        let before = state.clone();
        assert_eq!(state.apply(&e), Err(ApplyError::Hash));
        assert_eq!(state, before);
    }

    /// A state reads back with the same digest.
    #[test]
    fn state_reads_back() {
        let mut state = State::default();
        state.apply(&entry(&state, 1, Op::Void)).unwrap();
        let back = Durable::from_record(1, &state.durable.record(1)).unwrap();
        assert_eq!(back.digest(), state.durable.digest());
    }
}
