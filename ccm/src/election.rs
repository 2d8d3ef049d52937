//! The DC as a pure function of the agreed view (R11.1): the present one stays, else the earliest
//! born, else the lowest name.

use std::cmp::Ordering;

use crate::group::api::Member;
use crate::seam::NodeId;

/// Compares dotted feature sets by their numbers: `3.9` before `3.10`.
pub fn compare_features(a: &str, b: &str) -> Ordering {
    fn numbers(text: &str) -> impl Iterator<Item = u64> {
        text.split('.').map(|p| p.trim().parse().unwrap_or(0))
    }
    let (mut left, mut right) = (numbers(a), numbers(b));
    loop {
        let (l, r) = (left.next(), right.next());
        let order = l.unwrap_or(0).cmp(&r.unwrap_or(0));
        if order.is_ne() || (l.is_none() && r.is_none()) {
            return order;
        }
    }
}

/// Lowest feature set among the members: what the cluster speaks.
pub fn lowest_feature<'a>(members: impl Iterator<Item = &'a Member>) -> &'a str {
    members.map(|m| m.feature.as_str()).min_by(|a, b| compare_features(a, b)).unwrap_or("")
}

/// Order of suitability: the first is the DC. `former` was the DC of the base side's last view.
pub fn order(a: &Member, b: &Member, former: Option<NodeId>) -> Ordering {
    a.impaired
        .cmp(&b.impaired)
        .then_with(|| compare_features(&a.feature, &b.feature))
        .then_with(|| (Some(a.id) != former).cmp(&(Some(b.id) != former)))
        .then_with(|| a.born.cmp(&b.born))
        .then_with(|| a.name.to_ascii_lowercase().cmp(&b.name.to_ascii_lowercase()))
        .then_with(|| a.name.cmp(&b.name))
        .then_with(|| a.id.cmp(&b.id))
}

/// The DC of these members.
pub fn elect(members: &[Member], former: Option<NodeId>) -> Option<NodeId> {
    members.iter().min_by(|a, b| order(a, b, former)).map(|m| m.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seam::{Incarnation, ViewId};

    fn member(i: u8, name: &str, born: u64, feature: &str) -> Member {
        Member {
            id: NodeId([i; 16]),
            name: name.into(),
            inc: Incarnation::default(),
            born: ViewId { epoch: born, ..ViewId::default() },
            feature: feature.into(),
            impaired: false,
        }
    }

    /// The present DC stays; without one the earliest born leads; then the name decides.
    #[test]
    fn who_leads() {
        let m = [member(1, "c", 1, "3.1"), member(2, "b", 1, "3.1"), member(3, "a", 2, "3.1")];
        assert_eq!(elect(&m, Some(NodeId([3; 16]))), Some(NodeId([3; 16])));
        assert_eq!(elect(&m, None), Some(NodeId([2; 16])));
        assert_eq!(elect(&[], None), None);
    }

    /// The lowest feature set leads a rolling upgrade, a slow disk never does.
    #[test]
    fn feature_and_disk_come_first() {
        let mut m = [member(1, "a", 1, "3.10"), member(2, "b", 9, "3.9")];
        assert_eq!(elect(&m, Some(NodeId([1; 16]))), Some(NodeId([2; 16])));
        assert_eq!(lowest_feature(m.iter()), "3.9");
        m[1].impaired = true;
        assert_eq!(elect(&m, None), Some(NodeId([1; 16])));
    }
}
