//! The version of a configuration and the attributes of the root that go with it.

use std::fmt;

use crate::Element;

/// The feature set we write: what our documents use.
///
/// Source: Pacemaker 2.1.5 writes the same one (cib.md §4.8).
pub const FEATURE_SET: &str = "3.16.1";

/// The newest schema of the language.
pub const SCHEMA_NEWEST: &str = "pacemaker-3.9";

/// The three counters of a CIB, compared from the first to the last.
///
/// `admin_epoch` is the administrator's, `epoch` counts changes of the configuration, `num_updates` other changes since.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    pub admin_epoch: u64,
    pub epoch: u64,
    pub num_updates: u64,
}

impl Version {
    pub const fn new(admin_epoch: u64, epoch: u64, num_updates: u64) -> Version {
        Version { admin_epoch, epoch, num_updates }
    }

    /// The counters among the attributes of `element`; a missing or unreadable one is 0.
    pub fn of(element: &Element) -> Version {
        let counter = |name| element.attr(name).and_then(parse_counter).unwrap_or(0);
        Version {
            admin_epoch: counter("admin_epoch"),
            epoch: counter("epoch"),
            num_updates: counter("num_updates"),
        }
    }

    /// Write the counters into the attributes of `element`.
    pub fn store(self, element: &mut Element) {
        element.set_attr("admin_epoch", self.admin_epoch.to_string());
        element.set_attr("epoch", self.epoch.to_string());
        element.set_attr("num_updates", self.num_updates.to_string());
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.admin_epoch, self.epoch, self.num_updates)
    }
}

impl std::str::FromStr for Version {
    type Err = VersionError;

    fn from_str(text: &str) -> Result<Version, VersionError> {
        let bad = || VersionError(text.to_string());
        let mut parts = text.split('.').map(|part| parse_counter(part).ok_or_else(bad));
        let mut next = || parts.next().unwrap_or_else(|| Err(bad()));
        let version = Version { admin_epoch: next()?, epoch: next()?, num_updates: next()? };
        match parts.next() {
            None => Ok(version),
            Some(_) => Err(bad()),
        }
    }
}

/// A text that is no version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not a version (three numbers with dots: 0.12.3)")]
pub struct VersionError(String);

fn parse_counter(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.strip_prefix('+').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn order_and_text() {
        let version: Version = "1.2.3".parse().unwrap();
        assert_eq!(version, Version::new(1, 2, 3));
        assert!(Version::new(1, 0, 0) > Version::new(0, 9, 9));
        assert_eq!(version.to_string(), "1.2.3");
        for bad in ["", "1.2", "1.2.3.4", "a.b.c", "-1.0.0"] {
            assert!(bad.parse::<Version>().is_err(), "{bad}");
        }
    }
}
