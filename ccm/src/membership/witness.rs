//! Witnesses for a lone half: does a medium have carrier, which ping nodes answer.
//!
//! A witness that was lost speaks against this node at once. One that comes back counts only after a
//! dead time: a node whose cables were just plugged in again has not yet had the time to hear the
//! other, and would write past it (R15.7e cannot help before the first beat arrives).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// What speaks for this node when votes are tied.
#[derive(Debug, Clone)]
pub struct Witnesses {
    carrier: bool,
    pings: BTreeSet<String>,
    /// Regained (`None`: the carrier), and the moment from which it counts.
    pending: BTreeMap<Option<String>, Duration>,
}

impl Default for Witnesses {
    /// Nobody has said that there is no carrier.
    fn default() -> Self {
        Self { carrier: true, pings: BTreeSet::new(), pending: BTreeMap::new() }
    }
}

impl Witnesses {
    /// Whether any medium has carrier. True if that is news.
    pub fn set_carrier(&mut self, any: bool, now: Duration, deadtime: Duration) -> bool {
        let news = self.carrier != any;
        self.carrier = any;
        self.note(None, any, news, now + deadtime);
        news
    }

    /// Whether a ping node answers. True if that is news.
    pub fn set_ping(&mut self, name: String, answers: bool, now: Duration, deadtime: Duration) -> bool {
        let news = if answers { self.pings.insert(name.clone()) } else { self.pings.remove(&name) };
        self.note(Some(name), answers, news, now + deadtime);
        news
    }

    fn note(&mut self, witness: Option<String>, good: bool, news: bool, counts_from: Duration) {
        if !good {
            self.pending.remove(&witness);
        } else if news {
            self.pending.insert(witness, counts_from);
        }
    }

    /// Lets count what has been good for long enough. True if something does that did not before.
    pub fn advance(&mut self, now: Duration) -> bool {
        let before = self.pending.len();
        self.pending.retain(|_, from| *from > now);
        self.pending.len() != before
    }

    /// When [`Witnesses::advance`] has something to do.
    pub fn deadline(&self) -> Option<Duration> {
        self.pending.values().min().copied()
    }

    /// Carrier that counts.
    pub fn carrier(&self) -> bool {
        self.carrier && !self.pending.contains_key(&None)
    }

    /// How many of these ping nodes answer and count.
    pub fn pings(&self, configured: &[String]) -> usize {
        let counts =
            |name: &&String| self.pings.contains(*name) && !self.pending.contains_key(&Some((*name).clone()));
        configured.iter().filter(counts).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const D: Duration = Duration::from_secs(1);

    #[test]
    fn lost_at_once_and_regained_after_a_dead_time() {
        let mut witnesses = Witnesses::default();
        let names = ["gate".to_owned()];
        assert!(witnesses.carrier());
        assert!(witnesses.set_ping("gate".into(), true, D, D));
        assert_eq!(witnesses.pings(&names), 0);
        assert_eq!(witnesses.deadline(), Some(2 * D));
        assert!(witnesses.advance(2 * D));
        assert_eq!(witnesses.pings(&names), 1);
        assert!(witnesses.set_ping("gate".into(), false, 3 * D, D));
        assert_eq!(witnesses.pings(&names), 0);
        assert!(witnesses.set_carrier(false, 3 * D, D) && !witnesses.carrier());
        assert!(witnesses.set_carrier(true, 4 * D, D) && !witnesses.carrier());
        assert!(!witnesses.advance(4 * D) && witnesses.advance(5 * D));
        assert!(witnesses.carrier() && witnesses.deadline().is_none());
    }
}
