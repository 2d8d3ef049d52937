//! Losses on purpose: the file `OnlyForTesting` (§25).

use std::path::PathBuf;
use std::time::SystemTime;

use crate::link::rng::Rng;

/// What the file says, read again whenever it changes.
#[derive(Debug)]
pub struct Faults {
    path: Option<PathBuf>,
    read: Option<SystemTime>,
    wanted: Wanted,
    rng: Rng,
}

/// Losses in millionths, and the nodes whose packets are taken at all; none named means all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    receive: u64,
    transmit: u64,
    pub allowed: Option<Vec<String>>,
}

impl Faults {
    pub fn new(path: Option<PathBuf>, seed: u64) -> Faults {
        Faults { path, read: None, wanted: Wanted::default(), rng: Rng::new(seed) }
    }

    /// Looks at the file; to be called about once a second. What is to be lost now, if that is another
    /// than before, with a line for the log.
    pub fn refresh(&mut self) -> Option<(Wanted, String)> {
        let path = self.path.as_ref()?;
        let changed = std::fs::metadata(path).and_then(|m| m.modified()).ok();
        if changed == self.read {
            return None;
        }
        self.read = changed;
        let wanted = parse(&std::fs::read_to_string(path).unwrap_or_default());
        if wanted == self.wanted {
            return None;
        }
        self.wanted = wanted.clone();
        let text = if wanted == Wanted::default() {
            format!("{}: nothing is lost on purpose any more", path.display())
        } else {
            format!("{}: packets are lost on purpose: {wanted}", path.display())
        };
        Some((wanted, text))
    }

    /// Whether a received packet is to be forgotten.
    pub fn lose_received(&mut self) -> bool {
        self.wanted.receive > 0 && self.rng.below(1_000_000) < self.wanted.receive
    }

    /// Whether a packet is not to be sent.
    pub fn lose_sent(&mut self) -> bool {
        self.wanted.transmit > 0 && self.rng.below(1_000_000) < self.wanted.transmit
    }
}

impl std::fmt::Display for Wanted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let share = |millionths: u64| millionths as f64 / 1e6;
        write!(f, "rcvloss={} xmitloss={}", share(self.receive), share(self.transmit))?;
        match &self.allowed {
            Some(names) => write!(f, " allownodes={}", names.join(" ")),
            None => Ok(()),
        }
    }
}

/// Statements `NAME=VALUE`, divided by `;`, newlines or blanks; names after `allownodes=` up to the next
/// statement.
fn parse(text: &str) -> Wanted {
    let mut wanted = Wanted::default();
    let mut in_names = false;
    for word in text.split([';', '\n', ' ', '\t', ',']).filter(|word| !word.is_empty()) {
        let Some((name, value)) = word.split_once('=') else {
            if in_names && let Some(names) = &mut wanted.allowed {
                names.push(word.to_lowercase());
            }
            continue;
        };
        let share = || (value.parse::<f64>().unwrap_or(0.0).clamp(0.0, 1.0) * 1e6) as u64;
        in_names = name == "allownodes";
        match name {
            "rcvloss" => wanted.receive = share(),
            "xmitloss" => wanted.transmit = share(),
            "allownodes" => {
                wanted.allowed = Some(value.split_whitespace().map(str::to_lowercase).collect());
            }
            _ => {}
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn losses(text: &str) -> (u64, u64) {
        let wanted = parse(text);
        (wanted.receive, wanted.transmit)
    }

    #[test]
    fn the_file_of_the_reference_is_read() {
        assert_eq!(losses("rcvloss=0.2;xmitloss=.1\n"), (200_000, 100_000));
        assert_eq!(losses("nonsense"), (0, 0));
        assert_eq!(parse("rcvloss=2"), Wanted { receive: 1_000_000, ..Wanted::default() });
        let mut none = Faults::new(None, 1);
        assert!(!none.lose_received() && !none.lose_sent() && none.refresh().is_none());
    }

    #[test]
    fn nodes_may_be_named() {
        let names = |text: &str| parse(text).allowed.unwrap_or_default();
        assert_eq!(names("allownodes=n1"), ["n1"]);
        assert_eq!(names("allownodes=N1 n2;rcvloss=0.5 n3"), ["n1", "n2"]);
        assert_eq!(names("rcvloss=0.5\nallownodes=n1 n2\n"), ["n1", "n2"]);
        assert_eq!(parse("rcvloss=0.5").allowed, None);
    }

    #[test]
    fn a_changed_file_is_read_again_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("OnlyForTesting");
        let mut faults = Faults::new(Some(file.clone()), 1);
        assert!(faults.refresh().is_none());
        std::fs::write(&file, "rcvloss=1;allownodes=n1 n2\n").unwrap();
        let (wanted, line) = faults.refresh().unwrap();
        assert_eq!(wanted.allowed, Some(vec!["n1".to_owned(), "n2".to_owned()]));
        assert!(
            line.ends_with("packets are lost on purpose: rcvloss=1 xmitloss=0 allownodes=n1 n2"),
            "{line}"
        );
        assert!(faults.refresh().is_none() && faults.lose_received() && !faults.lose_sent());
        std::fs::remove_file(&file).unwrap();
        let (wanted, line) = faults.refresh().unwrap();
        assert_eq!(wanted, Wanted::default());
        assert!(line.ends_with("nothing is lost on purpose any more"), "{line}");
    }
}
