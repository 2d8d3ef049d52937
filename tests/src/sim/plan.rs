//! Which faults happen when: drawn from the seed before the start, so that a run can be replayed with
//! fewer of them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::chance::Chance;
use super::{DEADTIME, Settings};

/// How rough the weather is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Profile {
    /// A fault now and then, most of the time all is well.
    Calm,
    /// Faults follow each other within a few dead times.
    Stormy,
    /// Faults on top of faults, lossy and reordering links.
    Hostile,
}

impl Profile {
    pub const ALL: [Self; 3] = [Self::Calm, Self::Stormy, Self::Hostile];

    /// Percent lost, repeated, reordered.
    pub fn noise(self) -> (u64, u64, u64) {
        match self {
            Self::Calm => (0, 0, 1),
            Self::Stormy => (1, 1, 5),
            Self::Hostile => (4, 3, 15),
        }
    }

    /// Mean pause between faults.
    fn pause(self) -> Duration {
        match self {
            Self::Calm => DEADTIME * 6,
            Self::Stormy => DEADTIME * 2,
            Self::Hostile => DEADTIME * 3 / 4,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Calm => "calm",
            Self::Stormy => "stormy",
            Self::Hostile => "hostile",
        })
    }
}

impl FromStr for Profile {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|p| p.to_string() == text)
            .ok_or_else(|| format!("no profile is called {text}; there are calm, stormy and hostile"))
    }
}

/// One thing that goes wrong, or right again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Crash(usize),
    Restart(usize),
    /// The power of the whole site.
    CrashAll,
    /// A clean leave.
    Leave(usize),
    /// The core does not run; heartbeats go on.
    PauseCore(usize, Duration),
    /// The whole machine stands still.
    PauseAll(usize, Duration),
    /// Every write takes this long.
    SlowDisk(usize, Duration),
    /// The next write fails.
    FailDisk(usize),
    /// One direction of one link.
    Cut {
        from: usize,
        to: usize,
    },
    Split(u64),
    Clog {
        from: usize,
        to: usize,
        delay: Duration,
    },
    Loss(u64),
    HealLinks,
    HealOne,
}

impl Fault {
    pub fn name(self) -> &'static str {
        match self {
            Self::Crash(_) => "fault: crash",
            Self::CrashAll => "fault: everything loses power",
            Self::Restart(_) => "fault: restart",
            Self::Leave(_) => "fault: clean leave",
            Self::PauseCore(..) => "fault: core pauses",
            Self::PauseAll(..) => "fault: machine pauses",
            Self::SlowDisk(..) => "fault: slow disk",
            Self::FailDisk(_) => "fault: failing disk",
            Self::Cut { .. } => "fault: one-way cut",
            Self::Split(_) => "fault: partition",
            Self::Clog { .. } => "fault: clogged link",
            Self::Loss(_) => "fault: loss",
            Self::HealLinks => "links heal",
            Self::HealOne => "one link heals",
        }
    }
}

/// The faults of a run, in order.
#[derive(Debug, Clone)]
pub struct Plan {
    pub faults: Vec<(Duration, Fault)>,
}

impl Plan {
    pub fn draw(chance: &mut Chance, settings: Settings) -> Self {
        let mut faults = Vec::new();
        let pause = settings.profile.pause();
        let mut at = DEADTIME * 4;
        let n = settings.nodes;
        while at < settings.span {
            let i = chance.index(n);
            let j = (i + 1 + chance.index(n.saturating_sub(1).max(1))) % n.max(1);
            let some = |chance: &mut Chance, max: Duration| {
                max.mul_f64(f64::from(u32::try_from(chance.below(1000)).unwrap_or(0)) / 1000.0)
            };
            let fault = match chance.below(26) {
                0..=3 => Fault::Crash(i),
                4..=6 => Fault::Restart(i),
                7 => Fault::Leave(i),
                8 => Fault::PauseCore(i, some(chance, DEADTIME * 3)),
                9 => Fault::PauseAll(i, some(chance, DEADTIME * 3)),
                10 => Fault::SlowDisk(i, some(chance, DEADTIME * 2)),
                11 => Fault::SlowDisk(i, Duration::from_millis(2)),
                12 | 13 => Fault::Cut { from: i, to: j },
                14..=16 => Fault::Split(chance.next()),
                17 => Fault::Clog { from: i, to: j, delay: some(chance, DEADTIME) },
                18 => Fault::Loss(chance.below(30)),
                19 => Fault::Loss(settings.profile.noise().0),
                20 | 21 => Fault::HealOne,
                22 => Fault::FailDisk(i),
                23 => Fault::CrashAll,
                _ => Fault::HealLinks,
            };
            faults.push((at, fault));
            if fault == Fault::CrashAll {
                for i in 0..n {
                    faults.push((at + some(chance, DEADTIME * 3), Fault::Restart(i)));
                }
            }
            // Whatever goes wrong is mostly put right within a while, so that runs do not end in ruins.
            if let Fault::Crash(i) | Fault::Leave(i) = fault {
                if chance.percent(85) {
                    faults.push((at + some(chance, DEADTIME * 6), Fault::Restart(i)));
                }
            }
            if matches!(fault, Fault::Split(_) | Fault::Cut { .. }) && chance.percent(70) {
                faults.push((at + some(chance, DEADTIME * 5), Fault::HealLinks));
            }
            at += some(chance, pause * 2) + Duration::from_millis(1);
        }
        faults.retain(|(t, _)| *t < settings.span);
        faults.sort_by_key(|(t, _)| *t);
        Self { faults }
    }
}
