//! The request table: which requests the history contains, so that none is applied twice (R13.2).

use std::collections::{BTreeMap, VecDeque};

use crate::codec::{CodecError, Reader, Wire, Writer};
use crate::sabotage::{self, Rule};
use crate::seam::{NodeId, RequestId, Stamp};

/// Outcomes kept per origin incarnation, incarnations kept, client tokens kept (R18.1).
pub const OUTCOME_LIMIT: usize = 256;
pub const ORIGIN_LIMIT: usize = 1024;
pub const IDENT_LIMIT: usize = 4096;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Origin {
    /// Highest sequence number in the history.
    highest: u64,
    /// Those of them that the origin may still ask for, and whether they were refused (a Void).
    outcomes: BTreeMap<u64, (Stamp, bool)>,
    /// Counts uses of the table: the longest unused origin goes first.
    used: u64,
}

/// What the table knows of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// It is in the history.
    At(Stamp),
    /// Its refusal is in the history (R13.3).
    Refused(Stamp),
    /// A later one of its origin is, it is not: it was refused, or it was volatile and is lost.
    Passed,
    New,
}

/// The table; equal at all members after the same entry.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    origins: BTreeMap<(NodeId, u64), Origin>,
    uses: u64,
    /// Client tokens of the last entries, oldest first (R13.5).
    idents: VecDeque<([u8; 16], Stamp)>,
}

impl Table {
    pub fn known(&self, rid: RequestId) -> Known {
        if sabotage::out(Rule::RequestTable) {
            return Known::New;
        }
        match self.origins.get(&(rid.origin, rid.boot)) {
            None => Known::New,
            Some(o) => match o.outcomes.get(&rid.seq) {
                Some((stamp, false)) => Known::At(*stamp),
                Some((stamp, true)) => Known::Refused(*stamp),
                None if rid.seq <= o.highest => Known::Passed,
                None => Known::New,
            },
        }
    }

    pub fn ident(&self, ident: [u8; 16]) -> Option<Stamp> {
        self.idents.iter().rev().find(|(i, _)| *i == ident).map(|(_, s)| *s)
    }

    /// An entry made by `rid` is in the history. `acked_below`: the origin asks for none below.
    pub fn note(
        &mut self,
        rid: RequestId,
        acked_below: u64,
        (stamp, refused): (Stamp, bool),
        ident: Option<[u8; 16]>,
    ) {
        self.uses += 1;
        let origin = self.origins.entry((rid.origin, rid.boot)).or_default();
        origin.used = self.uses;
        origin.highest = origin.highest.max(rid.seq);
        origin.outcomes = origin.outcomes.split_off(&acked_below.min(rid.seq));
        origin.outcomes.insert(rid.seq, (stamp, refused));
        while origin.outcomes.len() > OUTCOME_LIMIT {
            origin.outcomes.pop_first();
        }
        if self.origins.len() > ORIGIN_LIMIT {
            let longest = self.origins.iter().min_by_key(|(_, o)| o.used).map(|(k, _)| *k);
            if let Some(key) = longest {
                self.origins.remove(&key);
            }
        }
        if let Some(ident) = ident.filter(|_| !refused) {
            self.idents.push_back((ident, stamp));
            if self.idents.len() > IDENT_LIMIT {
                self.idents.pop_front();
            }
        }
    }
}

impl Wire for Table {
    fn write(&self, w: &mut Writer) {
        w.u64(self.uses).count(self.origins.len());
        for ((node, boot), o) in &self.origins {
            w.put(node).u64(*boot).u64(o.highest).u64(o.used).count(o.outcomes.len());
            for (seq, outcome) in &o.outcomes {
                w.u64(*seq).put(outcome);
            }
        }
        w.count(self.idents.len());
        for (ident, stamp) in &self.idents {
            w.put(ident).put(stamp);
        }
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let mut table = Self { uses: r.u64()?, ..Self::default() };
        let origins = r.count()?;
        if origins > ORIGIN_LIMIT {
            return Err(CodecError::Bound);
        }
        for _ in 0..origins {
            let key = (r.get()?, r.u64()?);
            let mut o = Origin { highest: r.u64()?, used: r.u64()?, ..Origin::default() };
            let outcomes = r.count()?;
            if outcomes > OUTCOME_LIMIT {
                return Err(CodecError::Bound);
            }
            for _ in 0..outcomes {
                o.outcomes.insert(r.u64()?, r.get()?);
            }
            table.origins.insert(key, o);
        }
        let idents = r.count()?;
        if idents > IDENT_LIMIT {
            return Err(CodecError::Bound);
        }
        for _ in 0..idents {
            table.idents.push_back((r.get()?, r.get()?));
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rid(seq: u64) -> RequestId {
        RequestId { origin: NodeId([1; 16]), boot: 7, seq }
    }

    /// A request in the history is found; one before it that is not there was refused.
    #[test]
    fn knows_what_is_in_the_history() {
        let mut t = Table::default();
        let at = Stamp { n: 4, ..Stamp::default() };
        t.note(rid(3), 1, (at, false), Some([9; 16]));
        t.note(rid(1), 1, (at, true), None);
        assert_eq!(t.known(rid(1)), Known::Refused(at));
        assert_eq!(t.known(rid(3)), Known::At(at));
        assert_eq!(t.known(rid(2)), Known::Passed);
        assert_eq!(t.known(rid(4)), Known::New);
        assert_eq!(t.ident([9; 16]), Some(at));
        assert_eq!(Table::from_record(1, &t.record(1)), Ok(t));
    }

    /// The table is bounded however many origins and requests there are.
    #[test]
    fn is_bounded() {
        let mut t = Table::default();
        for boot in 0..2000 {
            t.note(RequestId { boot, ..rid(1) }, 0, Default::default(), None);
        }
        for seq in 0..1000 {
            t.note(rid(seq), 0, Default::default(), None);
        }
        assert!(t.origins.len() <= ORIGIN_LIMIT);
        assert!(t.origins.values().all(|o| o.outcomes.len() <= OUTCOME_LIMIT));
    }
}
