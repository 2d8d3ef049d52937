//! The simulated network: loses, repeats, delays, reorders; cuts in one direction or both; clogs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::chance::Chance;
use super::plan::Profile;

/// A packet of one machine.
#[derive(Debug, Clone)]
pub struct Sent {
    /// To everybody when `None`.
    pub to: Option<SocketAddr>,
    pub bytes: Vec<u8>,
}

/// Packets on their way, by the time of arrival.
pub struct Net {
    flying: BTreeMap<(Duration, u64), (usize, usize, Vec<u8>)>,
    count: u64,
    cuts: BTreeSet<(usize, usize)>,
    clogs: BTreeMap<(usize, usize), Duration>,
    /// Percent lost.
    pub loss: u64,
    repeat: u64,
    reorder: u64,
}

/// Address of a machine; the index is in it.
pub fn address(i: usize) -> SocketAddr {
    SocketAddr::from((
        [10, 0, u8::try_from(i / 250).unwrap_or(0), u8::try_from(i % 250).unwrap_or(0) + 1],
        694,
    ))
}

impl Net {
    pub fn new(profile: Profile) -> Self {
        let (loss, repeat, reorder) = profile.noise();
        Self {
            flying: BTreeMap::new(),
            count: 0,
            cuts: BTreeSet::new(),
            clogs: BTreeMap::new(),
            loss,
            repeat,
            reorder,
        }
    }

    pub fn send(&mut self, chance: &mut Chance, now: Duration, from: usize, sent: Sent, nodes: usize) {
        for to in 0..nodes {
            if to == from || sent.to.is_some_and(|a| a != address(to)) {
                continue;
            }
            let copies = 1 + usize::from(chance.percent(self.repeat));
            for _ in 0..copies {
                if self.cuts.contains(&(from, to)) || chance.percent(self.loss) {
                    continue;
                }
                let mut delay = Duration::from_micros(50 + chance.below(300));
                if chance.percent(self.reorder) {
                    delay += Duration::from_millis(chance.below(40));
                }
                delay += self.clogs.get(&(from, to)).copied().unwrap_or_default();
                self.count += 1;
                self.flying.insert((now + delay, self.count), (to, from, sent.bytes.clone()));
            }
        }
    }

    pub fn next(&self) -> Option<Duration> {
        self.flying.keys().next().map(|(t, _)| *t)
    }

    /// The next packet that has arrived: receiver, sender, bytes. A cut also stops what is on its way.
    pub fn take(&mut self, now: Duration) -> Option<(usize, SocketAddr, Vec<u8>)> {
        loop {
            let first = self.flying.first_entry().filter(|e| e.key().0 <= now)?;
            let (to, from, bytes) = first.remove();
            if !self.cuts.contains(&(from, to)) {
                return Some((to, address(from), bytes));
            }
        }
    }

    pub fn cut(&mut self, from: usize, to: usize) {
        self.cuts.insert((from, to));
    }

    /// Cuts every link between the machines of the mask and the others.
    pub fn split(&mut self, side: u64, nodes: usize) {
        let left = |i: usize| side & (1 << (i % 64)) != 0;
        for a in 0..nodes {
            for b in 0..nodes {
                if left(a) != left(b) {
                    self.cuts.insert((a, b));
                }
            }
        }
    }

    pub fn clog(&mut self, from: usize, to: usize, delay: Duration) {
        self.clogs.insert((from, to), delay);
    }

    pub fn heal(&mut self) {
        self.cuts.clear();
        self.clogs.clear();
    }

    /// One cut or clog less, any.
    pub fn heal_one(&mut self, chance: &mut Chance) {
        let cuts: Vec<_> = self.cuts.iter().copied().collect();
        if let Some(cut) = cuts.get(chance.index(cuts.len())) {
            self.cuts.remove(cut);
        } else {
            self.clogs.pop_first();
        }
    }

    /// No faults from now on, and little noise.
    pub fn calm(&mut self) {
        self.heal();
        (self.loss, self.repeat, self.reorder) = (0, 0, 0);
    }
}
