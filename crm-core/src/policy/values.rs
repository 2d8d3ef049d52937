//! Values as the CIB writes them: booleans, integers, scores, lengths of time.
//!
//! Every reader here accepts what Pacemaker 2.1.5 accepts and gives what it gives, oddities included:
//! trailing garbage after an integer is ignored, units are tested by prefix, an ISO 8601 `P1D` is no time
//! at all. Dates are in [`super::dates`].

use std::fmt;

pub use cib::model::{parse_bool, parse_msec};

/// The greatest score; its negative is the least.
pub const INFINITY: i32 = 1_000_000;

/// Whether the text is a true word; absent or anything else is not.
pub fn is_true(text: Option<&str>) -> bool {
    text.and_then(parse_bool) == Some(true)
}

/// An integer as C's `strtoll` reads it, and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scan {
    Clean(i64),
    /// Read, with characters left over.
    Rest(i64, String),
    /// No digits at all.
    None,
    /// Beyond 64 bits; the value it was clipped to.
    Clipped(i64),
}

/// Reads the leading integer: white space and a sign are allowed before it.
pub fn scan(text: &str) -> Scan {
    // Most numbers of a CIB are digits alone.
    if matches!(text.len(), 1..=18) {
        let digit = |byte: u8| byte.is_ascii_digit().then(|| i64::from(byte - b'0'));
        let number = text.bytes().try_fold(0, |value, byte| Some(value * 10 + digit(byte)?));
        if let Some(number) = number {
            return Scan::Clean(number);
        }
    }
    let trimmed = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let (negative, digits) = match trimmed.as_bytes().first() {
        Some(b'-') => (true, &trimmed[1..]),
        Some(b'+') => (false, &trimmed[1..]),
        _ => (false, trimmed),
    };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (number, rest) = digits.split_at(end);
    if number.is_empty() {
        return Scan::None;
    }
    let mut value: i64 = 0;
    for d in number.bytes() {
        let digit = i64::from(d - b'0');
        let next = value
            .checked_mul(10)
            .and_then(|v| if negative { v.checked_sub(digit) } else { v.checked_add(digit) });
        match next {
            Some(v) => value = v,
            None => return Scan::Clipped(if negative { i64::MIN } else { i64::MAX }),
        }
    }
    if rest.is_empty() { Scan::Clean(value) } else { Scan::Rest(value, rest.to_owned()) }
}

/// The integer of a text, or the default where it has none or is out of range.
pub fn scan_or(text: &str, default: i64) -> i64 {
    match scan(text) {
        Scan::Clean(v) | Scan::Rest(v, _) => v,
        Scan::None | Scan::Clipped(_) => default,
    }
}

/// What the reference logs about an integer, if anything.
pub fn scan_note(text: &str, default: i64) -> Option<String> {
    match scan(text) {
        Scan::Clean(_) => None,
        Scan::Rest(_, rest) => Some(format!("Characters left over after parsing '{text}': '{rest}'")),
        Scan::None => {
            Some(format!("Could not parse integer from '{text}' (using {default} instead): No digits found"))
        }
        Scan::Clipped(v) => Some(format!("Integer parsed from '{text}' was clipped to {v}")),
    }
}

/// An integer of at least `min`; absent or unreadable is `min`, above 31 bits is the greatest of them.
pub fn scan_min_int(text: Option<&str>, min: i32) -> i32 {
    let Some(text) = text else { return min };
    let v = scan_or(text, i64::from(min));
    i32::try_from(v.clamp(i64::from(min), i64::from(i32::MAX))).unwrap_or(i32::MAX)
}

/// A 32-bit XML attribute: −1 where it is present but not an integer.
pub fn scan_int_attr(text: &str) -> i32 {
    match scan(text) {
        Scan::Clean(v) | Scan::Rest(v, _) => i32::try_from(v).unwrap_or(-1),
        Scan::None | Scan::Clipped(_) => -1,
    }
}

/// What the words `red`, `yellow` and `green` are worth under the strategy in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct HealthScores {
    pub red: i32,
    pub yellow: i32,
    pub green: i32,
}

/// A score: `INFINITY` in this spelling, a colour word, or an integer clipped to ±[`INFINITY`].
pub fn parse_score(text: Option<&str>, health: &HealthScores) -> i32 {
    let Some(text) = text else { return 0 };
    match text {
        "INFINITY" | "+INFINITY" => return INFINITY,
        "-INFINITY" => return -INFINITY,
        _ => {}
    }
    if text.eq_ignore_ascii_case("red") {
        return health.red;
    }
    if text.eq_ignore_ascii_case("yellow") {
        return health.yellow;
    }
    if text.eq_ignore_ascii_case("green") {
        return health.green;
    }
    let v = scan_or(text, 0);
    i32::try_from(v.clamp(-i64::from(INFINITY), i64::from(INFINITY))).unwrap_or(0)
}

/// Sum of two scores: −INFINITY wins over everything, then INFINITY, else the sum within them.
pub fn add_scores(a: i32, b: i32) -> i32 {
    if a <= -INFINITY || b <= -INFINITY {
        -INFINITY
    } else if a >= INFINITY || b >= INFINITY {
        INFINITY
    } else {
        (a + b).clamp(-INFINITY, INFINITY)
    }
}

/// A score as it is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShowScore(pub i32);

impl fmt::Display for ShowScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 >= INFINITY {
            f.write_str("INFINITY")
        } else if self.0 <= -INFINITY {
            f.write_str("-INFINITY")
        } else {
            write!(f, "{}", self.0)
        }
    }
}

/// Milliseconds of an interval specification (`interval`, time-valued options): a text with a unit or an
/// ISO 8601 duration; `None` where it is neither. At most 32 bits.
pub fn parse_duration_ms(text: &str) -> Option<u64> {
    cib::model::parse_time(text).and_then(|time| u64::try_from(time.as_millis()).ok())
}

/// As [`parse_duration_ms`], 0 for absent and for anything that is not a length of time.
pub fn interval_ms(text: Option<&str>) -> u32 {
    text.and_then(parse_duration_ms).and_then(|v| u32::try_from(v).ok()).unwrap_or(0)
}

/// A millisecond attribute of history (`interval`): 0 where absent or out of range.
pub fn history_ms(text: Option<&str>) -> u32 {
    text.map_or(0, |t| u32::try_from(scan_or(t, 0)).unwrap_or(0))
}

/// Compares versions number by number; missing numbers count as 0.
pub fn compare_versions(a: &str, b: &str) -> std::cmp::Ordering {
    let mut left = a.split('.').map(|p| scan_or(p, 0));
    let mut right = b.split('.').map(|p| scan_or(p, 0));
    loop {
        match (left.next(), right.next()) {
            (None, None) => return std::cmp::Ordering::Equal,
            (l, r) => match l.unwrap_or(0).cmp(&r.unwrap_or(0)) {
                std::cmp::Ordering::Equal => {}
                other => return other,
            },
        }
    }
}

/// An interval in words: `1m30s`, `1.500s`, `60s` (not a minute: only what is over fills the next unit).
pub fn readable_interval(ms: u32) -> String {
    let mut text = String::new();
    let mut left = ms;
    for (unit, letter) in [(86_400_000, 'd'), (3_600_000, 'h'), (60_000, 'm')] {
        if left > unit {
            text.push_str(&format!("{}{letter}", left / unit));
            left %= unit;
        }
    }
    if left > 1000 {
        text.push_str(&format!("{}", left / 1000));
        if !left.is_multiple_of(1000) {
            text.push_str(&format!(".{:03}", left % 1000));
        }
        text.push('s');
    } else if left > 0 {
        text.push_str(&format!("{left}ms"));
    } else if text.is_empty() {
        text.push_str("0s");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_read_and_print_as_the_reference_does() {
        let none = HealthScores::default();
        for (text, value) in [
            ("INFINITY", INFINITY),
            ("+INFINITY", INFINITY),
            ("-INFINITY", -INFINITY),
            ("infinity", 0),
            ("10abc", 10),
            ("1e3", 1),
            (" 7", 7),
            ("+5", 5),
            ("1000001", INFINITY),
            ("", 0),
            ("99999999999999999999", 0),
        ] {
            assert_eq!(parse_score(Some(text), &none), value, "{text}");
        }
        assert_eq!(add_scores(-INFINITY, INFINITY), -INFINITY);
        assert_eq!(ShowScore(-INFINITY).to_string(), "-INFINITY");
    }

    #[test]
    fn times_with_units() {
        for (text, ms) in [
            ("10minutes", Some(600_000)),
            ("1M", Some(60_000)),
            ("10 Seconds", Some(10_000)),
            ("100msec", Some(100)),
            ("1hr", Some(3_600_000)),
            ("10d", None),
            ("P1D", None),
            ("1.9s", Some(1000)),
            ("1500us", Some(1)),
            ("-1", None),
        ] {
            assert_eq!(parse_msec(text), ms, "{text}");
        }
        for (text, ms) in [
            ("PT1M30S", Some(90_000)),
            ("P1D", Some(0)),
            ("P1W", Some(518_400_000)),
            ("5000000", Some(4_294_967_295)),
        ] {
            assert_eq!(parse_duration_ms(text), ms, "{text}");
        }
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(compare_versions("1.10", "1.9").is_gt());
        assert!(compare_versions("1.10", "1.10.0").is_eq());
    }

    #[test]
    fn intervals_as_the_reference_words_them() {
        let texts = [
            (0, "0s"),
            (1, "1ms"),
            (1000, "1000ms"),
            (1001, "1.001s"),
            (60_000, "60s"),
            (61_000, "1m1000ms"),
            (90_500, "1m30.500s"),
            (3_600_000, "60m"),
            (3_700_000, "1h1m40s"),
            (90_061_001, "1d1h1m1.001s"),
            (172_800_000, "2d"),
        ];
        for (ms, text) in texts {
            assert_eq!(readable_interval(ms), text);
        }
    }
}
