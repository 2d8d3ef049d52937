//! The link's random numbers: SHA-256 of a seed and a counter. One seed gives one sequence.

use sha2::{Digest, Sha256};

/// A seeded generator. The driver seeds it from the operating system, a test with a constant.
#[derive(Debug, Clone)]
pub struct Rng {
    seed: u64,
    drawn: u64,
}

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng { seed, drawn: 0 }
    }

    /// The next number, never 0: nonces use 0 for "none".
    pub fn draw(&mut self) -> u64 {
        self.drawn += 1;
        let mut hash = Sha256::new();
        hash.update(b"everbeat link");
        hash.update(self.seed.to_le_bytes());
        hash.update(self.drawn.to_le_bytes());
        let digest = hash.finalize();
        digest.iter().take(8).fold(0u64, |n, &b| (n << 8) | u64::from(b)).max(1)
    }

    /// A number below `bound`; 0 if `bound` is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.draw().checked_rem(bound).unwrap_or(0)
    }
}
