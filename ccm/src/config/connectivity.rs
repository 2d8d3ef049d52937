//! How the score of reached ping nodes is kept, from the `respawn … pingd` line.

use std::time::Duration;

use super::types::{ClientLine, Config};
use super::value::parse_time;

/// What a `pingd` of this node would do: attribute `name` = `multiplier` × reached ping nodes, written
/// when it has been quiet for `dampening` (specification §15.3; options of `pingd` 2.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connectivity {
    pub name: String,
    pub multiplier: u64,
    pub dampening: Duration,
    /// The ping nodes that count, by name.
    pub pings: Vec<String>,
}

impl Config {
    /// The score that this node keeps; none without ping nodes. Without a `pingd` line its defaults
    /// hold: attribute `pingd`, one for each ping node, a second of dampening.
    pub fn connectivity(&self) -> Option<Connectivity> {
        let all: Vec<String> = self.ping.iter().map(|p| p.name.clone()).collect();
        if all.is_empty() {
            return None;
        }
        let mut found = Connectivity {
            name: "pingd".to_owned(),
            multiplier: 1,
            dampening: Duration::from_secs(1),
            pings: Vec::new(),
        };
        if let Some(line) = self.clients.iter().find(|c| c.builtin == Some("pingd")) {
            found.options(line);
        }
        found.pings.retain(|p| all.contains(p));
        if found.pings.is_empty() {
            found.pings = all;
        }
        Some(found)
    }
}

impl Connectivity {
    /// Takes the options of the line; what is not understood changes nothing.
    fn options(&mut self, line: &ClientLine) {
        let mut words = line.arguments.iter();
        while let Some(word) = words.next() {
            // `-m100`, `-m 100`, `--value-multiplier 100`, `--value-multiplier=100`.
            let (option, joined) = match word.strip_prefix("--") {
                Some(long) => match long.split_once('=') {
                    Some((long, value)) => (long, Some(value)),
                    None => (long, None),
                },
                None => match word.strip_prefix('-').and_then(|w| w.split_at_checked(1)) {
                    Some((short, "")) => (short, None),
                    Some((short, value)) => (short, Some(value)),
                    None => continue,
                },
            };
            if matches!(option, "D" | "V" | "?" | "daemonize" | "verbose" | "help") {
                continue;
            }
            let Some(value) = joined.or_else(|| words.next().map(String::as_str)) else { return };
            match option {
                "a" | "attr-name" if !value.is_empty() => self.name = value.to_owned(),
                "m" | "value-multiplier" => self.multiplier = value.parse().unwrap_or(self.multiplier),
                "d" | "attr-dampen" => {
                    let plain = value.strip_suffix('s').filter(|v| !v.ends_with(['m', 'u'])).unwrap_or(value);
                    self.dampening = parse_time(plain).unwrap_or(self.dampening);
                }
                "h" | "ping-host" => self.pings.push(value.to_owned()),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(lines: &str) -> Option<Connectivity> {
        let text = format!("bcast eth0\nnode a b\n{lines}\n");
        Config::parse(&text, "ha.cf").unwrap().connectivity()
    }

    #[test]
    fn the_line_of_pingd_says_how() {
        assert_eq!(of(""), None);
        let found = of("ping 10.0.0.1 10.0.0.2\nping_group g 10.0.0.3 10.0.0.4").unwrap();
        assert_eq!((found.name.as_str(), found.multiplier), ("pingd", 1));
        assert_eq!((found.pings.len(), found.dampening), (3, Duration::from_secs(1)));
        let line = "ping 10.0.0.1 10.0.0.2\ncrm yes\nrespawn root /usr/lib/heartbeat/pingd";
        let found = of(&format!("{line} -m 100 -d 5s -a net -h 10.0.0.2 -D")).unwrap();
        assert_eq!((found.name.as_str(), found.multiplier), ("net", 100));
        assert_eq!(
            (found.pings.as_slice(), found.dampening),
            (&["10.0.0.2".to_owned()][..], Duration::from_secs(5))
        );
        let found =
            of(&format!("{line} --attr-dampen=500ms --value-multiplier 7 -anet -h nobody -m")).unwrap();
        assert_eq!((found.name.as_str(), found.multiplier, found.pings.len()), ("net", 7, 2));
        assert_eq!(found.dampening, Duration::from_millis(500));
        // ipfail without pingd: the score as it is by default.
        let found = of("ping 10.0.0.1\nrespawn hacluster /usr/lib/heartbeat/ipfail").unwrap();
        assert_eq!((found.name.as_str(), found.multiplier), ("pingd", 1));
    }
}
