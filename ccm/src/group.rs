//! One node's group machine: membership and replication, wired.

pub mod api;

use std::time::Duration;

pub use api::*;

/// The group machines of one node.
#[derive(Debug)]
pub struct Group {
    config: GroupConfig,
}

impl Group {
    /// `seed` feeds the random back-off; the same seed and inputs give the same actions.
    pub fn new(config: GroupConfig, loaded: Loaded, seed: u64) -> Self {
        let _ = (loaded, seed);
        Self { config }
    }

    /// Takes one input at `now` (monotonic) and appends what is to be done, in order.
    pub fn handle(&mut self, now: Duration, input: GroupInput, actions: &mut Vec<GroupAction>) {
        let _ = (now, input, actions);
    }

    /// When [`GroupInput::Wake`] is due at the latest.
    pub fn deadline(&self) -> Option<Duration> {
        None
    }

    pub fn config(&self) -> &GroupConfig {
        &self.config
    }
}
