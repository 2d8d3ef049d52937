//! A machine's own clock: it runs a little fast or slow, stands still when a virtual machine is stopped,
//! and its wall clock can be set.

use std::time::Duration;

use crm_core::now::Now;

use super::chance::Chance;

/// What a machine takes for the time.
pub struct Clock {
    /// Rate in parts per thousand, what it showed then, and when that was.
    rate: u64,
    shown: Duration,
    since: Duration,
    wall: i64,
    /// It stands still until then.
    frozen: Option<Duration>,
}

impl Clock {
    pub fn new(chance: &mut Chance) -> Self {
        Self {
            rate: 980 + chance.below(41),
            shown: Duration::from_millis(1000 + chance.below(100_000)),
            since: Duration::ZERO,
            wall: 1_700_000_000_000_000_000,
            frozen: None,
        }
    }

    /// What it shows.
    pub fn at(&self, now: Duration) -> Duration {
        let real = u64::try_from(now.saturating_sub(self.since).as_nanos()).unwrap_or(u64::MAX);
        self.shown + Duration::from_nanos(real.saturating_mul(self.rate) / 1000)
    }

    /// When it shows `at`.
    pub fn when(&self, at: Duration) -> Duration {
        let own = u64::try_from(at.saturating_sub(self.shown).as_nanos()).unwrap_or(u64::MAX);
        self.since + Duration::from_nanos(own.saturating_mul(1000).div_ceil(self.rate))
    }

    pub fn now(&self, now: Duration) -> Now {
        Now::utc(self.at(now), self.wall.saturating_add(i64::try_from(now.as_nanos()).unwrap_or(0)))
    }

    /// From now on it runs at this rate.
    pub fn drift(&mut self, now: Duration, rate: u64) {
        if self.frozen.is_none() {
            (self.shown, self.since, self.rate) = (self.at(now), now, rate);
        }
    }

    /// The wall clock is set; the second that it now gives to the start of the simulation.
    pub fn jump(&mut self, seconds: i64) -> i64 {
        self.wall = self.wall.saturating_add(seconds.saturating_mul(1_000_000_000));
        self.wall / 1_000_000_000
    }

    /// It stands still; whether it did not already.
    pub fn freeze(&mut self, now: Duration, until: Duration) -> bool {
        if self.frozen.is_some() {
            return false;
        }
        self.shown = self.at(now);
        self.frozen = Some(until);
        // Nothing asks for the time before it runs again.
        self.since = until;
        true
    }

    /// It runs again at the latest now.
    pub fn thaw(&mut self, now: Duration) {
        if self.frozen.take().is_some() {
            self.since = self.since.min(now);
        }
    }

    /// It runs again, at the time that was said.
    pub fn awake(&mut self) {
        self.frozen = None;
    }
}
