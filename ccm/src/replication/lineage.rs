//! Histories by name: which views contributed durable entries, and how two histories relate (R9.3, R9.4).

use crate::codec::{CodecError, Reader, Wire, Writer, wire_struct};
use crate::seam::{Stamp, ViewId};

/// SHA-256 over the chain of durable entries up to one of them.
pub type Hash = [u8; 32];

/// Segments kept; older ones are folded away (R9.3).
pub const SEGMENT_LIMIT: usize = 4096;

/// One view that contributed durable entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    pub view: ViewId,
    /// Number of the last durable entry of that view in this history.
    pub last: u64,
    /// Chain hash at that entry.
    pub h: Hash,
    pub exclusive: bool,
}
wire_struct!(Segment { view, last, h, exclusive });

/// The segments of a history, oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lineage {
    /// How many segments were folded away, and the chain hash at their end.
    folded: u64,
    folded_h: Hash,
    segments: Vec<Segment>,
}

impl Wire for Lineage {
    fn write(&self, w: &mut Writer) {
        w.u64(self.folded).put(&self.folded_h).put(&self.segments);
    }
    fn read(r: &mut Reader<'_>) -> Result<Self, CodecError> {
        let lineage = Self { folded: r.u64()?, folded_h: r.get()?, segments: r.get()? };
        if lineage.segments.len() > SEGMENT_LIMIT {
            return Err(CodecError::Bound);
        }
        Ok(lineage)
    }
}

impl Lineage {
    /// Nothing was ever written.
    pub fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Last durable entry; the default stamp for an empty history.
    pub fn head(&self) -> Stamp {
        self.segments.last().map(|s| Stamp { view: s.view, n: s.last }).unwrap_or_default()
    }

    /// Chain hash at the head.
    pub fn h(&self) -> Hash {
        self.segments.last().map_or([0; 32], |s| s.h)
    }

    /// View that wrote the first entry, while it is not folded away.
    pub fn root(&self) -> Option<ViewId> {
        if self.folded > 0 { None } else { self.segments.first().map(|s| s.view) }
    }

    /// Whether the last entry was written in an exclusive view.
    pub fn ends_exclusive(&self) -> bool {
        self.segments.last().is_some_and(|s| s.exclusive)
    }

    /// A durable entry more. `exclusive`: of its view.
    pub fn push(&mut self, stamp: Stamp, h: Hash, exclusive: bool) {
        match self.segments.last_mut() {
            Some(last) if last.view == stamp.view => {
                last.last = stamp.n;
                last.h = h;
            }
            _ => self.segments.push(Segment { view: stamp.view, last: stamp.n, h, exclusive }),
        }
        if self.segments.len() > SEGMENT_LIMIT {
            let oldest = self.segments.remove(0);
            self.folded += 1;
            self.folded_h = oldest.h;
        }
    }

    /// `other ⊑ self`: every entry of `other` is in `self` (R9.4). What cannot be decided, because
    /// it was folded away, counts as no: a backup more, never a loss.
    pub fn contains(&self, other: &Self) -> bool {
        let Some((last, before)) = other.segments.split_last() else { return true };
        if self.folded != other.folded || self.folded_h != other.folded_h {
            return false;
        }
        let Some(at) = self.segments.iter().position(|s| s.view == last.view) else { return false };
        let Some(segment) = self.segments.get(at) else { return false };
        let reaches = segment.last > last.last || (segment.last == last.last && segment.h == last.h);
        reaches && self.segments.get(..at) == Some(before)
    }

    /// Whether the entry named is in this history.
    pub fn has(&self, stamp: Stamp) -> bool {
        stamp == Stamp::default() || self.segments.iter().any(|s| s.view == stamp.view && s.last >= stamp.n)
    }

    /// Last entry both histories have.
    pub fn branch(&self, other: &Self) -> Stamp {
        let mut common = Stamp::default();
        for (a, b) in self.segments.iter().zip(&other.segments) {
            if a.view != b.view {
                break;
            }
            common = Stamp { view: a.view, n: a.last.min(b.last) };
            if a != b {
                break;
            }
        }
        common
    }

    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(epoch: u64) -> ViewId {
        ViewId { epoch, ..ViewId::default() }
    }

    fn line(parts: &[(u64, u64)]) -> Lineage {
        let mut l = Lineage::default();
        for (epoch, n) in parts {
            l.push(
                Stamp { view: view(*epoch), n: *n },
                [u8::try_from(epoch * 10 + n).unwrap_or(0); 32],
                true,
            );
        }
        l
    }

    /// Prefixes, tails and divergence are told apart by segments alone.
    #[test]
    fn relations() {
        let base = line(&[(1, 5), (3, 2)]);
        assert!(base.contains(&Lineage::default()));
        assert!(base.contains(&line(&[(1, 3)])));
        assert!(base.contains(&line(&[(1, 5), (3, 1)])));
        assert!(!base.contains(&line(&[(1, 4), (3, 1)])));
        assert!(!base.contains(&line(&[(1, 6)])));
        let other = line(&[(1, 5), (2, 4)]);
        assert!(!base.contains(&other) && !other.contains(&base));
        assert_eq!(base.branch(&other), Stamp { view: view(1), n: 5 });
        assert_eq!(base.branch(&line(&[(2, 1)])), Stamp::default());
    }

    /// One name with two contents is never taken for one history.
    #[test]
    fn equal_names_with_different_hashes_diverge() {
        let mut forged = line(&[(1, 5)]);
        forged.push(Stamp { view: view(1), n: 5 }, [99; 32], true);
        assert!(!line(&[(1, 5)]).contains(&forged));
    }
}
