//! Are the documents of the members really equal? The DC says now and then what its own is; who holds
//! another one takes a whole copy (R10.6, R7.11).

use super::*;
use crate::replication::lineage::Hash;

/// Every so many entries the DC sends its digest.
const EVERY: u64 = 256;
/// Two full transfers, and it still differs: the node is left out for a while.
const CHANCES: u32 = 2;

/// Why a member was put out for its document.
pub const CORRUPT: &str = "its document differs even after a full transfer";

impl Group {
    /// The DC's digest, right after the entry it belongs to: the members have the same number then.
    pub(super) fn poll_digest(&mut self) {
        if !self.is_dc() {
            return;
        }
        if self.digest_at == Duration::ZERO {
            self.digest_at = self.now + self.config.deadtime * 10;
        }
        if self.now >= self.digest_at {
            self.send_digest();
        }
    }

    pub(super) fn digest_deadline(&self) -> Option<Duration> {
        (self.is_dc() && self.digest_at > Duration::ZERO).then_some(self.digest_at)
    }

    /// After an own entry.
    pub(super) fn digest_after(&mut self, n: u64) {
        if n.is_multiple_of(EVERY) {
            self.send_digest();
        }
    }

    fn send_digest(&mut self) {
        self.digest_at = self.now + self.config.deadtime * 10;
        let Some(view) = self.view.as_ref().filter(|v| v.members.len() > 1) else { return };
        let (view, n) = (view.id, view.held);
        let digest = self.state.durable.digest();
        self.send_members(&Message::Digest { view, n, digest });
    }

    pub(super) fn on_digest(&mut self, from: NodeId, view: ViewId, n: u64, digest: Hash) {
        let comparable =
            self.view.as_ref().is_some_and(|v| v.id == view && v.dc == from && v.held == n && !v.frozen);
        if !comparable || self.state.durable.digest() == digest {
            return;
        }
        let dc = self.name_of(from);
        self.log(
            Level::Error,
            format!(
                "the document here differs from that of {dc} after update {n}: this one is kept as a backup and a \
                 whole copy is taken"
            ),
        );
        let me = self.me();
        self.suspects.insert(me, 0);
        self.break_view("the document here differs from the DC's".into());
    }

    /// R7.11: `Installed` with different digests. The odd ones take the whole base in the next round; who
    /// is odd again and again is left out.
    pub(super) fn documents_differ(&mut self, digests: &BTreeMap<NodeId, Hash>) {
        let mut counts: BTreeMap<Hash, usize> = BTreeMap::new();
        for digest in digests.values() {
            *counts.entry(*digest).or_default() += 1;
        }
        let own = digests.get(&self.config.id).copied();
        // What most hold is right; the DC's own where they are even.
        let right =
            counts.iter().max_by_key(|(digest, count)| (**count, Some(**digest) == own)).map(|(d, _)| *d);
        let odd: Vec<NodeId> =
            digests.iter().filter(|(_, d)| Some(**d) != right).map(|(id, _)| *id).collect();
        for id in odd {
            let name = self.name_of(id);
            let times = self.suspects.entry(id).or_insert(0);
            *times += 1;
            if *times <= CHANCES || id == self.config.id {
                self.log(
                    Level::Error,
                    format!("the document of {name} differs after a transfer: it takes the whole one"),
                );
            } else {
                self.suspects.remove(&id);
                self.log(Level::Error, format!("node {name} is left out: {CORRUPT}"));
                self.hold_down(id, CORRUPT);
            }
        }
    }
}
