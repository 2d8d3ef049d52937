//! The simulated network: loses, repeats, delays, reorders; cuts in one direction or both; clogs.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::SocketAddr;
use std::sync::Arc;
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

/// A packet that has arrived.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrived {
    pub to: usize,
    pub from: usize,
    pub bytes: Arc<[u8]>,
}

/// Packets on their way, by the time of arrival.
pub struct Net {
    flying: BinaryHeap<Reverse<(Duration, u64, Arrived)>>,
    count: u64,
    cuts: BTreeSet<(usize, usize)>,
    clogs: BTreeMap<(usize, usize), Duration>,
    /// Machines whose every cable is out.
    unplugged: BTreeSet<usize>,
    /// Percent lost.
    loss: u64,
    noise: u64,
    repeat: u64,
    reorder: u64,
    /// Since when both directions of a link have been as good as they get.
    good: BTreeMap<(usize, usize), Duration>,
    calm_since: Duration,
}

/// Address of a machine; the index is in it.
pub fn address(i: usize) -> SocketAddr {
    SocketAddr::from((
        [10, 0, u8::try_from(i / 250).unwrap_or(0), u8::try_from(i % 250).unwrap_or(0) + 1],
        694,
    ))
}

/// The machine an address belongs to.
fn machine_at(address: SocketAddr) -> Option<usize> {
    let SocketAddr::V4(address) = address else { return None };
    let [_, _, high, low] = address.ip().octets();
    (usize::from(high) * 250 + usize::from(low)).checked_sub(1)
}

impl Net {
    pub fn new(profile: Profile) -> Self {
        let (loss, repeat, reorder) = profile.noise();
        Self {
            flying: BinaryHeap::new(),
            count: 0,
            cuts: BTreeSet::new(),
            clogs: BTreeMap::new(),
            unplugged: BTreeSet::new(),
            loss,
            noise: loss,
            repeat,
            reorder,
            good: BTreeMap::new(),
            calm_since: Duration::ZERO,
        }
    }

    pub fn send(&mut self, chance: &mut Chance, now: Duration, from: usize, sent: Sent, nodes: usize) {
        if self.unplugged.contains(&from) {
            return;
        }
        let bytes: Arc<[u8]> = sent.bytes.into();
        let only = sent.to.and_then(machine_at);
        let range = only.map_or(0..nodes, |to| to..(to + 1).min(nodes));
        for to in range {
            if to != from {
                self.send_one(chance, now, (from, to), &bytes);
            }
        }
    }

    fn send_one(&mut self, chance: &mut Chance, now: Duration, pair: (usize, usize), bytes: &Arc<[u8]>) {
        let copies = 1 + usize::from(self.repeat > 0 && chance.percent(self.repeat));
        for _ in 0..copies {
            if self.is_cut(pair) || (self.loss > 0 && chance.percent(self.loss)) {
                continue;
            }
            let mut delay = Duration::from_micros(50 + chance.below(300));
            if self.reorder > 0 && chance.percent(self.reorder) {
                delay += Duration::from_millis(chance.below(40));
            }
            delay += self.clogs.get(&pair).copied().unwrap_or_default();
            self.count += 1;
            let arrived = Arrived { to: pair.1, from: pair.0, bytes: Arc::clone(bytes) };
            self.flying.push(Reverse((now + delay, self.count, arrived)));
        }
    }

    fn is_cut(&self, pair: (usize, usize)) -> bool {
        !self.unplugged.is_empty() && (self.unplugged.contains(&pair.0) || self.unplugged.contains(&pair.1))
            || !self.cuts.is_empty() && self.cuts.contains(&pair)
    }

    pub fn next(&self) -> Option<Duration> {
        self.flying.peek().map(|Reverse((t, _, _))| *t)
    }

    /// The next packet that has arrived. A cut also stops what is on its way.
    pub fn take(&mut self, now: Duration) -> Option<Arrived> {
        loop {
            if self.next()? > now {
                return None;
            }
            let Reverse((_, _, arrived)) = self.flying.pop()?;
            if !self.is_cut((arrived.from, arrived.to)) {
                return Some(arrived);
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

    pub fn unplug(&mut self, i: usize) {
        self.unplugged.insert(i);
    }

    pub fn plug(&mut self, i: usize) {
        self.unplugged.remove(&i);
    }

    /// Another percentage of loss; `None`: that of the profile.
    pub fn lose(&mut self, percent: Option<u64>) {
        self.loss = percent.unwrap_or(self.noise);
    }

    pub fn heal(&mut self) {
        self.cuts.clear();
        self.clogs.clear();
    }

    /// One cut or clog less, any; which it was.
    pub fn heal_one(&mut self, chance: &mut Chance) -> Option<&'static str> {
        let all = self.cuts.len() + self.clogs.len();
        let at = chance.index(all);
        if let Some(cut) = self.cuts.iter().nth(at).copied() {
            self.cuts.remove(&cut);
            return Some("reached: one cut released");
        }
        let clog = self.clogs.keys().nth(at.saturating_sub(self.cuts.len())).copied()?;
        self.clogs.remove(&clog);
        Some("reached: one clogged link released")
    }

    /// No faults from now on, and no noise.
    pub fn calm(&mut self) {
        self.heal();
        self.unplugged.clear();
        (self.loss, self.noise, self.repeat, self.reorder) = (0, 0, 0, 0);
    }

    /// Notes which links are good; to be called after each change, before time goes on.
    pub fn survey(&mut self, now: Duration, nodes: usize) {
        if self.loss > self.noise {
            self.good.clear();
            self.calm_since = Duration::MAX;
            return;
        }
        if self.calm_since == Duration::MAX {
            self.calm_since = now;
        }
        for a in 0..nodes {
            for b in 0..a {
                let bad = [(a, b), (b, a)].iter().any(|p| self.is_cut(*p) || self.clogs.contains_key(p));
                if bad {
                    self.good.remove(&(b, a));
                } else {
                    self.good.entry((b, a)).or_insert(now);
                }
            }
        }
    }

    /// Since when two machines have heard each other without hindrance.
    pub fn good_since(&self, a: usize, b: usize) -> Option<Duration> {
        let at = self.good.get(&(a.min(b), a.max(b)))?;
        Some((*at).max(self.calm_since))
    }
}
