//! Packets that were not let in: counted by source and cause, reported in a line at most every
//! [`INTERVAL`], in bounded memory whatever a flood claims.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::types::{Level, LogLine};
use crate::wire::Refusal;
use crate::wire::frame::FrameError;

/// Shortest time between two report lines.
pub const INTERVAL: Duration = Duration::from_secs(10);
/// Most (source, cause) pairs kept; the rest is counted together.
const MOST: usize = 256;

/// Why a packet changed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Cause {
    #[error(transparent)]
    Wire(#[from] Refusal),
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("decryption failed")]
    Seal,
    #[error("belongs to another cluster")]
    Cluster,
    #[error("sender is no node of this cluster")]
    NotANode,
    #[error("addressed to another incarnation of this node")]
    Stale,
    #[error("lacks src, srcuuid, ts or type")]
    Fields,
    #[error("more nodes than 128 at once")]
    TooManyNodes,
    #[error("attempted replay attack: an old generation")]
    OldGeneration,
}

/// The counters.
#[derive(Debug)]
pub struct Refused {
    /// `log_badpack`: packets that fail authentication are worth a line.
    log_bad: bool,
    counts: BTreeMap<(Option<IpAddr>, Cause), Count>,
    others: u64,
    total: u64,
    dirty: bool,
    quiet_until: Duration,
}

#[derive(Debug, Default)]
struct Count {
    total: u64,
    reported: u64,
    /// Name the packet claimed; only of signed packets.
    name: String,
}

impl Refused {
    pub fn new(log_bad: bool) -> Refused {
        Refused {
            log_bad,
            counts: BTreeMap::new(),
            others: 0,
            total: 0,
            dirty: false,
            quiet_until: Duration::ZERO,
        }
    }

    /// Counts one packet. `name` is the sender's claim, empty if nothing of it was read.
    pub fn count(&mut self, from: Option<IpAddr>, cause: Cause, name: &str) {
        // Packets to a former start of this node are what every restart brings.
        let silent = cause == Cause::Stale || (!self.log_bad && matches!(cause, Cause::Wire(_)));
        self.dirty |= !silent;
        self.total += 1;
        // Senders without a key cannot crowd out those who have one.
        let most = if matches!(cause, Cause::Wire(_)) { MOST / 2 } else { MOST };
        let room = self.counts.len() < most;
        match self.counts.get_mut(&(from, cause)) {
            Some(count) => count.total += 1,
            None if room => {
                let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
                self.counts.insert((from, cause), Count { total: 1, reported: 0, name });
            }
            None => self.others += 1,
        }
    }

    /// All packets ever refused.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// When [`Refused::report`] has something to say.
    pub fn deadline(&self) -> Option<Duration> {
        self.dirty.then_some(self.quiet_until)
    }

    /// One line with what is new since the last, if its time has come.
    pub fn report(&mut self, now: Duration) -> Option<LogLine> {
        if !self.dirty || now < self.quiet_until {
            return None;
        }
        self.dirty = false;
        self.quiet_until = now + INTERVAL;
        let mut parts = Vec::new();
        let mut more = 0;
        for ((from, cause), count) in &mut self.counts {
            let new = count.total - count.reported;
            count.reported = count.total;
            if new == 0 || (!self.log_bad && matches!(cause, Cause::Wire(_))) {
                continue;
            }
            if parts.len() == 8 {
                more += 1;
                continue;
            }
            let who = if count.name.is_empty() { String::new() } else { format!("node [{}] ", count.name) };
            let source = from.map_or_else(|| "a line".to_owned(), |ip| ip.to_string());
            parts.push(format!("{who}{source}: {new} ({cause})"));
        }
        if more > 0 {
            parts.push(format!("and {more} more"));
        }
        if self.others > 0 {
            parts.push(format!("{} in all from further sources", self.others));
        }
        if parts.is_empty() {
            return None;
        }
        Some(LogLine { level: Level::Warn, text: format!("refused packets: {}", parts.join("; ")) })
    }

    /// All counters: source, cause, number.
    pub fn list(&self) -> Vec<(String, String, u64)> {
        let mut list: Vec<_> = self
            .counts
            .iter()
            .map(|((from, cause), count)| {
                let source = from.map_or_else(|| "line".to_owned(), |ip| ip.to_string());
                (source, cause.to_string(), count.total)
            })
            .collect();
        if self.others > 0 {
            list.push(("others".to_owned(), "any".to_owned(), self.others));
        }
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_one_line_and_bounded() {
        let mut refused = Refused::new(true);
        for i in 0..100_000u32 {
            refused.count(Some(IpAddr::from(i.to_be_bytes())), Refusal::WrongSignature(1).into(), "");
        }
        assert_eq!(refused.counts.len(), MOST / 2);
        let line = refused.report(Duration::ZERO);
        assert!(line.is_some_and(|l| l.text.contains("failed authentication") && l.text.len() < 2000));
        refused.count(None, Cause::Seal, "n2");
        assert_eq!(refused.report(Duration::from_secs(9)), None);
        assert!(
            refused.report(Duration::from_secs(10)).is_some_and(|l| l.text.contains("node [n2] a line: 1"))
        );
        assert_eq!(refused.report(Duration::from_secs(30)), None);
    }

    #[test]
    fn log_badpack_off_still_counts() {
        let mut refused = Refused::new(false);
        refused.count(None, Refusal::WrongSignature(1).into(), "");
        assert_eq!(refused.report(Duration::ZERO), None);
        assert_eq!(refused.list().len(), 1);
        refused.count(None, Cause::Cluster, "n2");
        assert!(refused.report(Duration::ZERO).is_some_and(|l| !l.text.contains("authentication")));
    }
}
