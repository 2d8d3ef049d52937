//! Losses on purpose: the file `OnlyForTesting` (§25).

use std::path::PathBuf;
use std::time::SystemTime;

use crate::link::rng::Rng;

/// Probabilities read from the file, again whenever it changes.
#[derive(Debug)]
pub struct Faults {
    path: Option<PathBuf>,
    read: Option<SystemTime>,
    receive: u64,
    transmit: u64,
    rng: Rng,
}

impl Faults {
    pub fn new(path: Option<PathBuf>, seed: u64) -> Faults {
        Faults { path, read: None, receive: 0, transmit: 0, rng: Rng::new(seed) }
    }

    /// Looks at the file; to be called about once a second.
    pub fn refresh(&mut self) {
        let Some(path) = &self.path else { return };
        let changed = std::fs::metadata(path).and_then(|m| m.modified()).ok();
        if changed != self.read {
            self.read = changed;
            let text = std::fs::read_to_string(path).unwrap_or_default();
            (self.receive, self.transmit) = parse(&text);
        }
    }

    /// Whether a received packet is to be forgotten.
    pub fn lose_received(&mut self) -> bool {
        self.receive > 0 && self.rng.below(1_000_000) < self.receive
    }

    /// Whether a packet is not to be sent.
    pub fn lose_sent(&mut self) -> bool {
        self.transmit > 0 && self.rng.below(1_000_000) < self.transmit
    }
}

/// `rcvloss` and `xmitloss` in millionths.
fn parse(text: &str) -> (u64, u64) {
    let (mut receive, mut transmit) = (0, 0);
    for word in text.split([';', '\n', ' ']) {
        let Some((name, value)) = word.split_once('=') else { continue };
        let value = value.trim().parse::<f64>().unwrap_or(0.0).clamp(0.0, 1.0);
        match name.trim() {
            "rcvloss" => receive = (value * 1e6) as u64,
            "xmitloss" => transmit = (value * 1e6) as u64,
            _ => {}
        }
    }
    (receive, transmit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_the_reference_is_read() {
        assert_eq!(parse("rcvloss=0.2;xmitloss=.1\n"), (200_000, 100_000));
        assert_eq!(parse("nonsense"), (0, 0));
        let mut none = Faults::new(None, 1);
        assert!(!none.lose_received() && !none.lose_sent());
    }
}
