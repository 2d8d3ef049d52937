//! A deterministic cluster: real link machines, real group machines or whole cores, real stores over
//! disks in memory, one virtual clock, and a seed that decides everything else.
//!
//! Start with [`run`]. One seed gives one history. After every event the invariants of [`checks`] (views
//! and documents) and [`resources`] (what runs where, who is fenced) are looked at; a failure is a value
//! with the seed, the time and what was seen.
//!
//! ```text
//!  plan (faults from the seed) ─▶ Sim ─▶ Machine: Link ⇄ Group or Core ⇄ CibStore<MemoryStore>
//!                                  │ ▲        │ packets      │ agents, fence agents, planner
//!                                  │ └────────┴── net: loss, delay, repetition, cuts, clogs
//!                                  ├─▶ checks: S2, S3, S4, L1, and what the machines promise on the way
//!                                  └─▶ resources: S1, S4, S5, L1
//! ```
//!
//! There are two worlds. In that of *agreement* a machine is a link and a group: fast, for many seeds.
//! In the *whole* one it is the core of a node, with agents, a planner and a fencing device that has
//! power over the others.

pub mod agents;
pub mod brain;
pub mod campaign;
pub mod chance;
pub mod checks;
pub mod clock;
pub mod document;
mod faults;
pub mod machine;
pub mod net;
pub mod plan;
mod play;
pub mod resources;
mod work;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use checks::Violation;
pub use plan::Profile;
use play::Sim;

/// What a machine of the cluster is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum World {
    /// Link and group.
    Agreement,
    /// Link and core: with controller, fencing, agents.
    Whole,
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Agreement => "agreement",
            Self::Whole => "whole",
        })
    }
}

impl FromStr for World {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Agreement, Self::Whole]
            .into_iter()
            .find(|w| w.to_string() == text)
            .ok_or_else(|| format!("no world is called {text}; there are agreement and whole"))
    }
}

/// What to simulate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    pub seed: u64,
    pub nodes: usize,
    pub profile: Profile,
    pub world: World,
    /// Faults happen for this long; then everything heals and progress is demanded.
    pub span: Duration,
}

/// Times of the simulated clusters: short, so that much happens in a minute.
pub const KEEPALIVE: Duration = Duration::from_millis(250);
pub const DEADTIME: Duration = Duration::from_secs(2);

/// What a run came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    pub runs: u64,
    /// Simulated time.
    pub time: Duration,
    pub events: u64,
    /// Faults by kind, and situations reached by name: a generator that never tries something is seen.
    pub reached: BTreeMap<String, u64>,
}

impl Summary {
    pub fn add(&mut self, other: &Self) {
        self.runs += other.runs;
        self.time += other.time;
        self.events += other.events;
        for (name, n) in &other.reached {
            *self.reached.entry(name.clone()).or_default() += n;
        }
    }
}

/// A run that broke a promise.
#[derive(Debug, Clone)]
pub struct Failure {
    pub settings: Settings,
    pub violation: Violation,
    pub at: Duration,
    /// Faults applied before it: the shortest prefix that still fails ends with the last of them.
    pub faults: usize,
    pub timeline: Vec<String>,
}

impl Failure {
    /// The command that repeats it.
    pub fn command(&self) -> String {
        let s = &self.settings;
        format!(
            "cargo xtask simulate --seeds {}..{} --nodes {} --profile {} --world {} --seconds {}",
            s.seed,
            s.seed + 1,
            s.nodes,
            s.profile,
            s.world,
            s.span.as_secs()
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.timeline {
            writeln!(f, "  {line}")?;
        }
        writeln!(
            f,
            "seed {} ({} nodes, {}, {}): {} at {:.3} s, after {} faults",
            self.settings.seed,
            self.settings.nodes,
            self.settings.profile,
            self.settings.world,
            self.violation,
            self.at.as_secs_f64(),
            self.faults
        )?;
        write!(f, "repeat: {}", self.command())
    }
}

/// Runs one seed to its end.
///
/// # Errors
/// The first violation, without a timeline.
pub fn run(settings: Settings) -> Result<Summary, Box<Failure>> {
    Sim::new(settings, false).run(None)
}

/// As [`run`]; a failure is shortened to the fewest faults, counted from the start, that still fail,
/// and comes with a timeline.
///
/// # Errors
/// The violation of the shortened run.
pub fn run_shrunk(settings: Settings) -> Result<Summary, Box<Failure>> {
    let failure = match run(settings) {
        Ok(summary) => return Ok(summary),
        Err(failure) => failure,
    };
    let (mut low, mut high) = (0, failure.faults);
    while low < high {
        let middle = (low + high) / 2;
        match Sim::new(settings, false).run(Some(middle)) {
            Err(_) => high = middle,
            Ok(_) => low = middle + 1,
        }
    }
    Sim::new(settings, true).run(Some(high))
}
