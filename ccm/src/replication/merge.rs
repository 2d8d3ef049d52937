//! Which history is the history: the base of a new view out of the members' (protocol §9).

use std::cmp::Ordering;

use super::lineage::{Hash, Lineage};
use crate::codec::wire_struct;
use crate::sabotage::{self, Rule};
use crate::seam::{NodeId, Stamp, ViewId};

/// Longest list of exclusive views carried before a node is `cut` (R9.6).
pub const LIST_LIMIT: usize = 64;

/// An exclusive view by name and members: an element of `lq` and of `switched`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exclusive {
    pub view: ViewId,
    pub members: Vec<NodeId>,
}
wire_struct!(Exclusive { view, members });

/// What one promiser holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    pub id: NodeId,
    pub lineage: Lineage,
    /// Exclusive views of this line of history, the first known active (R9.6).
    pub lq: Vec<Exclusive>,
    /// Exclusive views this disk itself Switched to since the last known active (R9.6).
    pub switched: Vec<Exclusive>,
    /// One of the lists overflowed.
    pub cut: bool,
    pub verified: bool,
    pub regressed: bool,
    /// Last entry known committed (R9.5).
    pub commit: Stamp,
    /// `admin_epoch` at the commit point.
    pub admin_epoch: u64,
    /// `(epoch, num_updates)` at the last durable entry.
    pub version: (u64, u64),
    /// Votes of its last view.
    pub votes: u64,
}
wire_struct!(Holder {
    id,
    lineage,
    lq,
    switched,
    cut,
    verified,
    regressed,
    commit,
    admin_epoch,
    version,
    votes
});

/// The base that a set of holders agrees on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    pub tip: Stamp,
    pub h: Hash,
    pub lineage: Lineage,
    /// Holders of exactly this head; the first has the smallest identity.
    pub holders: Vec<NodeId>,
    /// Not refuted exclusive views of the line, for the new view to carry (R9.6).
    pub lq: Vec<Exclusive>,
    /// Heads that lost, with the last entry they share with the base.
    pub losers: Vec<Loser>,
}

/// A history that is not part of the base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loser {
    pub tip: Stamp,
    pub branch: Stamp,
    pub holders: Vec<NodeId>,
}
wire_struct!(Loser { tip, branch, holders });

/// Whether some holder knows that `x` was never active: it is a member of `x`, never Switched to
/// it, and having promised onwards never will (R9.6).
pub fn refuted(x: &Exclusive, holders: &[&Holder]) -> bool {
    if sabotage::out(Rule::Refutation) {
        return false;
    }
    holders.iter().any(|m| {
        m.verified
            && !m.regressed
            && !m.cut
            && x.members.contains(&m.id)
            && !m.switched.iter().any(|s| s.view == x.view)
            && m.switched.first().is_some_and(|first| x.view > first.view)
    })
}

fn lq(holder: &Holder, holders: &[&Holder]) -> ViewId {
    holder.lq.iter().filter(|x| !refuted(x, holders)).map(|x| x.view).max().unwrap_or_default()
}

/// Whether two holders have the same head, name and hash.
fn same(a: &Lineage, b: &Lineage) -> bool {
    a.head() == b.head() && a.h() == b.h()
}

/// Decides the base among `holders` (R9.7). `None` only for no holders at all.
pub fn base(holders: &[&Holder]) -> Option<Base> {
    let mut tips: Vec<&Holder> = Vec::new();
    for h in holders {
        let extended =
            holders.iter().any(|o| o.lineage.contains(&h.lineage) && !same(&o.lineage, &h.lineage));
        if !extended && !tips.iter().any(|t| same(&t.lineage, &h.lineage)) {
            tips.push(h);
        }
    }
    let best = tips.iter().copied().max_by(|a, b| rank(a, b, &tips, holders))?;
    let mut union: Vec<Exclusive> = Vec::new();
    for h in holders.iter().filter(|h| best.lineage.contains(&h.lineage)) {
        for x in &h.lq {
            if !refuted(x, holders) && !union.iter().any(|u| u.view == x.view) {
                union.push(x.clone());
            }
        }
    }
    union.sort_by_key(|x| x.view);
    let mut losers: Vec<Loser> = Vec::new();
    for t in tips.iter().filter(|t| !same(&t.lineage, &best.lineage)) {
        losers.push(Loser {
            tip: t.lineage.head(),
            branch: best.lineage.branch(&t.lineage),
            holders: holders
                .iter()
                .filter(|h| t.lineage.contains(&h.lineage) && !best.lineage.contains(&h.lineage))
                .map(|h| h.id)
                .collect(),
        });
    }
    let mut at_tip: Vec<NodeId> =
        holders.iter().filter(|h| same(&h.lineage, &best.lineage)).map(|h| h.id).collect();
    at_tip.sort_unstable();
    Some(Base {
        tip: best.lineage.head(),
        h: best.lineage.h(),
        lineage: best.lineage.clone(),
        holders: at_tip,
        lq: union,
        losers,
    })
}

/// R9.7, 1 to 6.
fn rank(a: &Holder, b: &Holder, tips: &[&Holder], holders: &[&Holder]) -> Ordering {
    // Everything is asked of all who hold a prefix of the tip: what one knows, the line knows.
    let line = |t: &Holder| -> Vec<&Holder> {
        holders.iter().copied().filter(|h| t.lineage.contains(&h.lineage)).collect()
    };
    let admin = |t: &Holder| line(t).iter().map(|h| h.admin_epoch).max().unwrap_or(0);
    let authority = |t: &Holder| {
        if sabotage::out(Rule::ExclusiveFirst) {
            return ViewId::default();
        }
        line(t).iter().map(|h| lq(h, holders)).max().unwrap_or_default()
    };
    // Entries known committed after the branch point with every other tip.
    let committed = |t: &Holder| {
        let branch = tips
            .iter()
            .filter(|o| !same(&o.lineage, &t.lineage))
            .map(|o| t.lineage.branch(&o.lineage))
            .min()
            .unwrap_or_default();
        line(t).iter().any(|h| h.commit > branch && t.lineage.has(h.commit))
    };
    let votes = |t: &Holder| {
        holders.iter().filter(|h| same(&h.lineage, &t.lineage)).map(|h| h.votes).max().unwrap_or(0)
    };
    admin(a)
        .cmp(&admin(b))
        .then_with(|| authority(a).cmp(&authority(b)))
        .then_with(|| committed(a).cmp(&committed(b)))
        .then_with(|| a.version.cmp(&b.version))
        .then_with(|| votes(a).cmp(&votes(b)))
        .then_with(|| a.lineage.head().cmp(&b.lineage.head()))
        .then_with(|| a.lineage.h().cmp(&b.lineage.h()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn view(epoch: u64) -> ViewId {
        ViewId { epoch, ..ViewId::default() }
    }

    fn line(parts: &[(u64, u64)]) -> Lineage {
        let mut l = Lineage::default();
        for (epoch, n) in parts {
            l.push(Stamp { view: view(*epoch), n: *n }, [u8::try_from(epoch * 10 + n).unwrap(); 32], false);
        }
        l
    }

    fn holder(i: u8, lineage: Lineage) -> Holder {
        Holder {
            id: NodeId([i; 16]),
            lineage,
            lq: vec![],
            switched: vec![],
            cut: false,
            verified: true,
            regressed: false,
            commit: Stamp::default(),
            admin_epoch: 0,
            version: (1, 0),
            votes: 1,
        }
    }

    fn tip(holders: &[Holder]) -> Stamp {
        base(&holders.iter().collect::<Vec<_>>()).unwrap().tip
    }

    fn exclusive(epoch: u64, members: &[u8]) -> Exclusive {
        Exclusive { view: view(epoch), members: members.iter().map(|i| NodeId([*i; 16])).collect() }
    }

    /// Within one line the longest wins, acknowledged or not.
    #[test]
    fn longest_wins_within_a_line() {
        let h =
            [holder(1, line(&[(1, 3)])), holder(2, line(&[(1, 3), (2, 1)])), holder(3, Lineage::default())];
        assert_eq!(tip(&h), Stamp { view: view(2), n: 1 });
        assert!(base(&h.iter().collect::<Vec<_>>()).unwrap().losers.is_empty());
    }

    /// The side that had quorum beats an isolated one however often the latter was edited.
    #[test]
    fn quorum_beats_versions() {
        let mut a = holder(1, line(&[(1, 3), (2, 1)]));
        a.lq = vec![exclusive(2, &[1, 3])];
        let mut b = holder(2, line(&[(1, 3), (3, 9)]));
        b.version = (99, 99);
        assert_eq!(tip(&[a.clone(), b.clone()]).view, view(2));
        b.admin_epoch = 1;
        assert_eq!(tip(&[a, b]).view, view(3));
    }

    /// What is known committed beats a tail that nobody acknowledged.
    #[test]
    fn committed_beats_uncommitted() {
        let mut a = holder(1, line(&[(1, 4)]));
        a.version = (50, 0);
        let mut b = holder(2, line(&[(1, 3), (2, 1)]));
        b.commit = Stamp { view: view(2), n: 1 };
        assert_eq!(tip(&[a, b]).view, view(2));
    }

    /// A view that a listed member never Switched to was never active and gives no authority.
    #[test]
    fn a_refuted_view_has_no_authority() {
        let mut a = holder(1, line(&[(1, 4)]));
        a.lq = vec![exclusive(1, &[1, 2]), exclusive(3, &[1, 2])];
        let mut b = holder(2, line(&[(1, 3), (2, 1)]));
        b.lq = vec![exclusive(1, &[1, 2])];
        b.switched = vec![exclusive(1, &[1, 2])];
        b.commit = Stamp { view: view(2), n: 1 };
        let h = [a, b];
        assert_eq!(tip(&h).view, view(2));
    }
}
