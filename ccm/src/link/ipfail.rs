//! What the reachability of ping nodes means for two nodes: `pingd`'s score and `ipfail`'s decision.

use std::time::Duration;

/// The score pingd keeps as a node attribute: reached ping nodes times the multiplier.
pub fn connectivity(reached: usize, multiplier: u64) -> u64 {
    (reached as u64).saturating_mul(multiplier)
}

/// What the node that compares does (specification §21.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// "Ping node count is balanced.": nothing moves, and a give-up under way is called off.
    Balanced,
    /// We see more: the other node is to give its resources up.
    OtherGivesUp,
    /// We see fewer: give up after this delay, unless the counts are balanced again by then.
    GiveUp { after: Duration },
}

/// Compares how many ping nodes two nodes reach.
///
/// `keepalive` is that of ha.cf: the delay is twice as long, so that two nodes which lose the same ping
/// node one after the other do not both move.
pub fn decide(mine: usize, theirs: usize, keepalive: Duration) -> Verdict {
    match mine.cmp(&theirs) {
        std::cmp::Ordering::Equal => Verdict::Balanced,
        std::cmp::Ordering::Greater => Verdict::OtherGivesUp,
        std::cmp::Ordering::Less => Verdict::GiveUp { after: 2 * keepalive },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_better_connected_node_keeps_the_resources() {
        let second = Duration::from_secs(1);
        assert_eq!(decide(2, 2, second), Verdict::Balanced);
        assert_eq!(decide(2, 1, second), Verdict::OtherGivesUp);
        assert_eq!(decide(0, 1, second), Verdict::GiveUp { after: 2 * second });
        assert_eq!(connectivity(3, 100), 300);
        assert_eq!(connectivity(usize::MAX, u64::MAX), u64::MAX);
    }
}
