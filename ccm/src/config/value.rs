//! The syntaxes of single values in `ha.cf` (heartbeat.md §1.1).

use std::ops::Deref;
use std::time::Duration;

/// A value and where it comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting<T> {
    pub value: T,
    /// Line of the file, from 1; `None` is the built-in default.
    pub line: Option<u32>,
}

impl<T> Setting<T> {
    /// A value nobody wrote.
    pub fn default_of(value: T) -> Self {
        Setting { value, line: None }
    }

    /// A value written on `line`.
    pub fn at(value: T, line: u32) -> Self {
        Setting { value, line: Some(line) }
    }

    /// Whether the file says it.
    pub fn is_set(&self) -> bool {
        self.line.is_some()
    }
}

impl<T> Deref for Setting<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

/// What a time may look like, for messages.
pub(super) const TIME_SYNTAX: &str =
    "a time: seconds with an optional fraction (2, 0.5), or a number with ms, msec, us or usec (500ms)";

/// What a boolean may look like, for messages.
pub(super) const BOOL_SYNTAX: &str = "true, on, yes, y, 1 or false, off, no, n, 0";

/// Longest time accepted: ten years. Longer ones are slips of the keyboard, and a bound keeps every
/// later sum of times far from overflow.
const LONGEST_US: u128 = 10 * 366 * 24 * 3600 * 1_000_000;

/// A time: unsigned decimal number with optional fraction, in seconds unless `ms`, `msec`, `us` or
/// `usec` (any case) follows; rounded to the nearest millisecond. `2s` is not a time.
///
/// Source: Heartbeat 3.0.6 observed.
pub fn parse_time(text: &str) -> Option<Duration> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit_us: u128 = match unit.to_ascii_lowercase().as_str() {
        "" => 1_000_000,
        "ms" | "msec" => 1_000,
        "us" | "usec" => 1,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) || whole.len() > 15 {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let mut micros = whole * unit_us * 1_000_000;
    // Six digits of the fraction: below the microsecond nothing is left of a millisecond.
    for (i, digit) in fraction.chars().take(6).enumerate() {
        let digit = u128::from(digit.to_digit(10)?);
        micros += digit * unit_us * 10u128.pow(5 - u32::try_from(i).ok()?);
    }
    let micros = micros / 1_000_000;
    if micros > LONGEST_US {
        return None;
    }
    u64::try_from((micros + 500) / 1000).ok().map(Duration::from_millis)
}

/// A boolean in any of its ten spellings, upper or lower case.
pub fn parse_bool(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" | "y" | "1" => Some(true),
        "false" | "off" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// A decimal number of one to nine digits.
pub(super) fn parse_number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.len() <= 9 && text.bytes().all(|b| b.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

/// Whether `name` can be a node's name: letters, digits, dot, dash, underscore; at most 255 bytes.
/// Node names become XML identifiers and parts of file names, so Everbeat is stricter here than
/// Heartbeat, which takes any word.
pub fn is_node_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 255
        && !name.starts_with(['.', '-'])
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// Time for people: `2s`, `500ms`, `1.5s`.
pub fn show_time(time: Duration) -> String {
    let ms = time.as_millis();
    if ms.is_multiple_of(1000) {
        format!("{}s", ms / 1000)
    } else if ms < 1000 {
        format!("{ms}ms")
    } else {
        let text = format!("{}.{:03}", ms / 1000, ms % 1000);
        format!("{}s", text.trim_end_matches('0'))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ms(text: &str) -> Option<u128> {
        parse_time(text).map(|d| d.as_millis())
    }

    #[test]
    fn times() {
        for (text, expect) in [
            ("2", Some(2000)),
            ("0.5", Some(500)),
            (".25", Some(250)),
            ("2.", Some(2000)),
            ("500ms", Some(500)),
            ("500msec", Some(500)),
            ("500MS", Some(500)),
            ("1500us", Some(2)),
            ("1499usec", Some(1)),
            ("1.5ms", Some(2)),
            ("0.0004", Some(0)),
            ("2s", None),
            ("", None),
            (".", None),
            ("1.2.3", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("ms", None),
            ("99999999999999999999", None),
            ("999999999999999", None),
        ] {
            assert_eq!(ms(text), expect, "{text:?}");
        }
    }

    #[test]
    fn shown_times() {
        for (text, expect) in [("2", "2s"), ("500ms", "500ms"), ("1.5", "1.5s"), ("0", "0s")] {
            assert_eq!(show_time(parse_time(text).unwrap()), expect);
        }
    }

    #[test]
    fn booleans() {
        assert_eq!(parse_bool("YES"), Some(true));
        assert_eq!(parse_bool("0"), Some(false));
        assert_eq!(parse_bool("maybe"), None);
    }
}
