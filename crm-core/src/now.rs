//! The clocks of one call.

use std::time::Duration;

/// What time it is, handed to every machine. Protocols use `mono` only; rules, histories and logs
/// use the wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// Monotonic since any fixed point, counting system sleep (CLOCK_BOOTTIME).
    pub mono: Duration,
    /// Epoch nanoseconds.
    pub wall: i64,
    /// Seconds east of UTC of local time now: rules with dates are read in local time.
    pub utc_offset: i32,
}

impl Now {
    /// A time in UTC.
    pub fn utc(mono: Duration, wall: i64) -> Self {
        Self { mono, wall, utc_offset: 0 }
    }

    /// Seconds since the epoch, as histories and attributes show it.
    pub fn seconds(&self) -> i64 {
        self.wall.div_euclid(1_000_000_000)
    }

    /// For the local resource manager's queue.
    pub fn for_queue(&self) -> lrm::Now {
        lrm::Now { mono: self.mono, wall_s: self.seconds() }
    }
}
