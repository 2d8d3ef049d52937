//! Which faults happen when: drawn from the seed before the start, so that a run can be replayed with
//! fewer of them.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::chance::Chance;
use super::{DEADTIME, Settings, World};

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

    /// Most time between two requests of clients; half of it on average.
    pub fn requests(self) -> Duration {
        match self {
            Self::Calm => Duration::from_millis(2000),
            Self::Stormy => Duration::from_millis(900),
            Self::Hostile => Duration::from_millis(450),
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
    /// The whole machine stands still, and its clock shows it.
    PauseAll(usize, Duration),
    /// A virtual machine is stopped by its host: its clock stands still with it.
    Freeze(usize, Duration),
    /// Its clock runs at so many thousandths from now on.
    Drift(usize, u64),
    /// Its wall clock is set to another time, so many seconds away.
    WallJump(usize, i64),
    /// Every write takes this long.
    SlowDisk(usize, Duration),
    /// The next write fails, and half of it is there.
    FailDisk(usize),
    /// The disk is full: the next write fails before anything is there.
    FullDisk(usize),
    /// An image of the disk is put away.
    Image(usize),
    /// The machine loses power and comes back with that image.
    SetBack(usize),
    /// The machine loses power and comes back with an empty disk.
    Wipe(usize),
    /// The machine loses power, and a byte on its disk has changed when it is read.
    ReadError(usize, u64),
    /// One direction of one link.
    Cut {
        from: usize,
        to: usize,
    },
    Split(u64),
    /// All cables of a machine.
    Unplug(usize),
    Plug(usize),
    Clog {
        from: usize,
        to: usize,
        delay: Duration,
    },
    /// Every link slow; to be released one by one.
    ClogAll(Duration),
    Loss(u64),
    Quiet,
    HealLinks,
    HealOne,
    /// A machine does not reach the ping node any more.
    PingLost(usize),
    PingBack(usize),
    /// A voter more that is never there.
    AddNode(usize),
    /// A voter less.
    RemoveNode(usize),
    /// Another number of votes for a machine.
    Votes(usize, u32),
    /// Many requests at once.
    Burst(usize, u32),
    /// The DC is not heard any more, while it hears, and a machine asks it for something.
    Orphan(usize),
    /// The next operation of a kind on a machine goes wrong.
    Ill(usize, super::agents::Ill),
    /// Something that runs on a machine stops by itself.
    Dies(usize, u64),
    /// The fencing device does nothing for so long.
    FencingDown(Duration),
    /// An administrator has a node fenced.
    AskFence(usize, usize),
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
            Self::Freeze(..) => "fault: virtual machine frozen",
            Self::Drift(..) => "fault: clock drifts",
            Self::WallJump(..) => "fault: wall clock jumps",
            Self::SlowDisk(..) => "fault: slow disk",
            Self::FailDisk(_) => "fault: failing disk",
            Self::FullDisk(_) => "fault: full disk",
            Self::Image(_) => "fault: disk image taken",
            Self::SetBack(_) => "fault: disk set back",
            Self::Wipe(_) => "fault: disk wiped",
            Self::ReadError(..) => "fault: disk read error",
            Self::Cut { .. } => "fault: one-way cut",
            Self::Split(_) => "fault: partition",
            Self::Unplug(_) => "fault: carrier lost",
            Self::Plug(_) => "fault: carrier back",
            Self::Clog { .. } => "fault: clogged link",
            Self::ClogAll(_) => "fault: every link clogged",
            Self::Loss(_) => "fault: loss",
            Self::Quiet => "fault: loss ends",
            Self::HealLinks => "fault: links heal",
            Self::HealOne => "fault: one link heals",
            Self::PingLost(_) => "fault: ping node lost",
            Self::PingBack(_) => "fault: ping node back",
            Self::AddNode(_) => "fault: voter added",
            Self::RemoveNode(_) => "fault: voter removed",
            Self::Votes(..) => "fault: votes changed",
            Self::Burst(..) => "fault: burst of requests",
            Self::Orphan(_) => "fault: the DC is not heard",
            Self::Ill(_, super::agents::Ill::Hang) => "fault: agent hangs",
            Self::Ill(..) => "fault: agent fails",
            Self::Dies(..) => "fault: resource dies",
            Self::FencingDown(_) => "fault: fencing device down",
            Self::AskFence(..) => "fault: administrator fences",
        }
    }
}

/// What every long run must have tried, in any world: a generator that never does is seen.
pub const TRIED: [&str; 36] = [
    "fault: crash",
    "fault: everything loses power",
    "fault: restart",
    "fault: clean leave",
    "fault: core pauses",
    "fault: machine pauses",
    "fault: virtual machine frozen",
    "fault: clock drifts",
    "fault: wall clock jumps",
    "fault: slow disk",
    "fault: failing disk",
    "fault: full disk",
    "fault: disk image taken",
    "fault: disk set back",
    "fault: disk wiped",
    "fault: disk read error",
    "fault: one-way cut",
    "fault: partition",
    "fault: carrier lost",
    "fault: carrier back",
    "fault: clogged link",
    "fault: every link clogged",
    "fault: loss",
    "fault: loss ends",
    "fault: links heal",
    "fault: one link heals",
    "fault: ping node lost",
    "fault: ping node back",
    "fault: voter added",
    "fault: voter removed",
    "fault: machine taken out",
    "fault: votes changed",
    "fault: burst of requests",
    "fault: the DC is not heard",
    "reached: a DC that is not heard",
    "reached: one clogged link released",
];

/// What a long run of whole cores must have tried beside that.
pub const TRIED_WHOLE: [&str; 7] = [
    "plan: of a part",
    "plan: of everything",
    "fault: agent fails",
    "fault: agent hangs",
    "fault: resource dies",
    "fault: fencing device down",
    "fault: administrator fences",
];

/// The faults of a run, in order.
#[derive(Debug, Clone)]
pub struct Plan {
    pub faults: Vec<(Duration, Fault)>,
}

impl Plan {
    pub fn draw(chance: &mut Chance, settings: Settings) -> Self {
        let mut drawing = Drawing { settings, faults: Vec::new(), regressed: false };
        let pause = settings.profile.pause();
        let mut at = DEADTIME * 4;
        while at < settings.span {
            drawing.one(chance, at);
            at += some(chance, pause * 2) + Duration::from_millis(1);
        }
        let mut faults = drawing.faults;
        faults.retain(|(t, _)| *t < settings.span);
        faults.sort_by_key(|(t, _)| *t);
        Self { faults }
    }
}

/// A part of a time.
fn some(chance: &mut Chance, most: Duration) -> Duration {
    most * u32::try_from(chance.below(1000)).unwrap_or(0) / 1000
}

struct Drawing {
    settings: Settings,
    faults: Vec<(Duration, Fault)>,
    /// One disk of a run may forget: more, and nothing could be promised.
    regressed: bool,
}

impl Drawing {
    fn put(&mut self, at: Duration, fault: Fault) {
        self.faults.push((at, fault));
    }

    /// A machine is taken out of the cluster: only one that is not a member can be. It may be cut off and run on, or
    /// be down, and may come back before somebody adds it again.
    fn take_out(&mut self, chance: &mut Chance, at: Duration, i: usize) {
        let (away, back) = match chance.below(4) {
            0 => (Fault::Split(1 << i), Fault::HealLinks),
            1 => (Fault::Unplug(i), Fault::Plug(i)),
            2 => (Fault::Crash(i), Fault::Restart(i)),
            _ => (Fault::Leave(i), Fault::Restart(i)),
        };
        let out = at + DEADTIME + some(chance, DEADTIME * 3);
        self.put(at, away);
        self.put(out, Fault::RemoveNode(i));
        self.put(out + some(chance, DEADTIME * 4), back);
        if chance.percent(60) {
            self.put(out + some(chance, DEADTIME * 8), Fault::Votes(i, 1));
        }
    }

    /// One fault, with what puts it right: most things are put right within a while, so that runs do
    /// not end in ruins.
    fn one(&mut self, chance: &mut Chance, at: Duration) {
        let n = self.settings.nodes;
        let i = chance.index(n);
        let j = (i + 1 + chance.index(n.saturating_sub(1).max(1))) % n.max(1);
        let whole = self.settings.world == World::Whole;
        match chance.below(if whole { 54 } else { 46 }) {
            0..=4 => {
                self.put(at, Fault::Crash(i));
                if chance.percent(85) {
                    self.put(at + some(chance, DEADTIME * 6), Fault::Restart(i));
                }
            }
            5..=7 => self.put(at, Fault::Restart(i)),
            8 => {
                self.put(at, Fault::Leave(i));
                if chance.percent(85) {
                    self.put(at + some(chance, DEADTIME * 6), Fault::Restart(i));
                }
            }
            9 | 10 => self.put(at, Fault::PauseCore(i, some(chance, DEADTIME * 3))),
            11 => self.put(at, Fault::PauseAll(i, some(chance, DEADTIME * 3))),
            12 => self.put(at, Fault::Freeze(i, some(chance, DEADTIME * 3))),
            13 => self.put(at, Fault::Drift(i, 980 + chance.below(41))),
            14 => {
                let by = i64::try_from(chance.below(200_000)).unwrap_or(0) - 100_000;
                self.put(at, Fault::WallJump(i, by));
            }
            15 | 16 => {
                self.put(at, Fault::SlowDisk(i, some(chance, DEADTIME * 2)));
                if chance.percent(60) {
                    let healthy = Fault::SlowDisk(i, Duration::from_millis(2));
                    self.put(at + some(chance, DEADTIME * 6), healthy);
                }
            }
            17 => self.put(at, Fault::FailDisk(i)),
            18 => self.put(at, Fault::FullDisk(i)),
            19 | 20 => self.regress(chance, at, i),
            21 | 22 => {
                self.put(at, Fault::Cut { from: i, to: j });
                if chance.percent(70) {
                    self.put(at + some(chance, DEADTIME * 5), Fault::HealLinks);
                }
            }
            23..=26 => {
                self.put(at, Fault::Split(chance.next()));
                if chance.percent(70) {
                    self.put(at + some(chance, DEADTIME * 5), Fault::HealLinks);
                }
            }
            27 | 28 => {
                self.put(at, Fault::Unplug(i));
                if chance.percent(85) {
                    self.put(at + some(chance, DEADTIME * 5), Fault::Plug(i));
                }
            }
            29 => self.put(at, Fault::Clog { from: i, to: j, delay: some(chance, DEADTIME) }),
            30 => {
                self.put(at, Fault::ClogAll(some(chance, DEADTIME)));
                let mut then = at;
                for _ in 0..n * (n - 1) {
                    then += some(chance, DEADTIME);
                    self.put(then, Fault::HealOne);
                }
            }
            31 => {
                self.put(at, Fault::Loss(chance.below(30)));
                self.put(at + some(chance, DEADTIME * 4), Fault::Quiet);
            }
            32 | 33 => self.put(at, Fault::HealOne),
            34 => {
                self.put(at, Fault::PingLost(i));
                if chance.percent(80) {
                    self.put(at + some(chance, DEADTIME * 5), Fault::PingBack(i));
                }
            }
            35 => {
                self.put(at, Fault::CrashAll);
                for i in 0..n {
                    self.put(at + some(chance, DEADTIME * 3), Fault::Restart(i));
                }
            }
            36 => self.put(at, Fault::AddNode(chance.index(3))),
            37 => {
                let which = chance.index(n + 3);
                if which < n {
                    self.take_out(chance, at, which)
                } else {
                    self.put(at, Fault::RemoveNode(which))
                }
            }
            38 => self.put(at, Fault::Votes(i, u32::try_from(chance.below(3)).unwrap_or(1))),
            39 => self.put(at, Fault::Burst(i, u32::try_from(5 + chance.below(40)).unwrap_or(5))),
            40..=43 => self.put(at, Fault::HealLinks),
            44 | 45 => self.put(at, Fault::Orphan(i)),
            46..=48 => {
                use super::agents::Ill;
                let ill = [Ill::Start, Ill::Stop, Ill::Monitor, Ill::Hang];
                let ill = ill.get(chance.index(ill.len())).copied().unwrap_or(Ill::Monitor);
                self.put(at, Fault::Ill(i, ill));
            }
            49 | 50 => self.put(at, Fault::Dies(i, chance.next())),
            51 | 52 => self.put(at, Fault::FencingDown(some(chance, DEADTIME * 8))),
            _ => self.put(at, Fault::AskFence(i, j)),
        }
    }

    fn regress(&mut self, chance: &mut Chance, at: Duration, i: usize) {
        if self.regressed {
            return self.put(at, Fault::Crash(i));
        }
        self.regressed = true;
        match chance.below(3) {
            0 => {
                self.put(at, Fault::Image(i));
                self.put(at + some(chance, DEADTIME * 12), Fault::SetBack(i));
            }
            1 => self.put(at, Fault::Wipe(i)),
            _ => self.put(at, Fault::ReadError(i, chance.next())),
        }
    }
}
