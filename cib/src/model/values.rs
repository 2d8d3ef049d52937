//! The texts of option values, read as Pacemaker 2.1.5 reads them.

use std::time::Duration;

/// What `INFINITY` stands for.
pub(super) const INFINITY: i64 = 1_000_000;

/// A boolean word (any case): `true on yes y 1`, `false off no n 0`.
pub fn parse_bool(text: &str) -> Option<bool> {
    let is = |words: &[&str]| words.iter().any(|word| text.eq_ignore_ascii_case(word));
    if is(&["true", "on", "yes", "y", "1"]) {
        return Some(true);
    }
    is(&["false", "off", "no", "n", "0"]).then_some(false)
}

/// `INFINITY` with or without a sign, or the integer a text begins with; what follows is ignored. Beyond 64
/// bits is no integer.
pub fn parse_integer(text: &str) -> Option<i64> {
    match text {
        "INFINITY" | "+INFINITY" => return Some(INFINITY),
        "-INFINITY" => return Some(-INFINITY),
        _ => {}
    }
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let signed = text.len() - unsigned.len() + digits;
    text.get(..signed).filter(|_| digits > 0)?.parse().ok()
}

/// A percentage with its sign: `80%`.
pub fn parse_percentage(text: &str) -> Option<u32> {
    text.strip_suffix('%')?.parse().ok()
}

/// A length of time: a number with a unit (`ms`, `us`, `s`, `m`, `h`, tested as prefixes in any case; none is
/// seconds; a fraction is cut off), or an ISO 8601 duration. At most 32 bits of milliseconds.
pub fn parse_time(text: &str) -> Option<Duration> {
    let ms = match text.strip_prefix('P') {
        Some(rest) => parse_iso(rest)?.checked_mul(1000)?,
        None => parse_msec(text)?,
    };
    Some(Duration::from_millis(u64::try_from(ms).ok()?.min(u64::from(u32::MAX))))
}

/// Milliseconds of a number with a unit as [`parse_time`] reads it, up to 63 bits; `None` where it is none.
pub fn parse_msec(text: &str) -> Option<i64> {
    if let Some(ms) = usual_msec(text.as_bytes()) {
        return Some(ms);
    }
    let space = [' ', '\t', '\n', '\r', '\x0c'];
    let text = text.trim_start_matches(space);
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    let unit = unit.trim_start_matches([' ', '\t', '\x0c']).as_bytes();
    let is = |prefix: &[u8]| unit.get(..prefix.len()).is_some_and(|u| u.eq_ignore_ascii_case(prefix));
    let (multiply, divide) = match () {
        () if is(b"ms") => (1, 1),
        () if is(b"us") => (1, 1000),
        () if is(b"s") => (1000, 1),
        () if is(b"m") => (60_000, 1),
        () if is(b"h") => (3_600_000, 1),
        () if matches!(unit.first(), None | Some(b'\n' | b'\r')) => (1000, 1),
        () => return None,
    };
    let whole = number.split('.').next().filter(|digits| !digits.is_empty())?;
    // Only digits: what does not parse is too great.
    let value: i64 = whole.parse().unwrap_or(i64::MAX);
    Some(value.checked_mul(multiply).map_or(i64::MAX, |value| value / divide))
}

/// [`parse_msec`] of what nearly all of them are: some digits and `s`, `ms` or nothing.
fn usual_msec(text: &[u8]) -> Option<i64> {
    let digits = text.iter().take(12).take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at_checked(digits).filter(|(number, _)| !number.is_empty())?;
    let value = number.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    match unit {
        b"s" | b"" => Some(value * 1000),
        b"ms" => Some(value),
        _ => None,
    }
}

/// Seconds of what follows the `P`. The reference takes a duration for a date, so that the first day and the
/// first year count nothing (`P1D` is 0); that is reproduced.
fn parse_iso(text: &str) -> Option<i64> {
    let (mut years, mut months, mut days, mut seconds) = (0i64, 0i64, 0i64, 0i64);
    let (mut rest, mut time, mut any) = (text, false, false);
    while let Some(first) = rest.chars().next() {
        match first {
            '/' => break,
            c if c.is_ascii_whitespace() => break,
            'T' => {
                (time, rest) = (true, rest.get(1..)?);
                continue;
            }
            _ => {}
        }
        let unsigned = rest.strip_prefix(['-', '+']).unwrap_or(rest);
        let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
        let (number, after) = rest.split_at_checked(rest.len() - unsigned.len() + digits)?;
        let number: i64 = i64::from(number.parse::<i32>().ok()?);
        match (after.chars().next()?, time) {
            ('Y', _) => years = number,
            ('M', false) => months = number,
            ('M', true) => seconds = seconds.saturating_add(number * 60),
            ('W', _) => days = days.saturating_add(number * 7),
            ('D', _) => days = days.saturating_add(number),
            ('H', _) => seconds = seconds.saturating_add(number * 3600),
            ('S', _) => seconds = seconds.saturating_add(number),
            _ => return None,
        }
        any = true;
        rest = after.get(1..)?;
    }
    if !any {
        return None;
    }
    // Years 1 to Y-1 of the calendar: 365 days each, and one more for each leap year among them.
    let whole = (years - 1).max(0);
    let year_days = whole * 365 + whole / 4 - whole / 100 + whole / 400;
    let days = days.saturating_sub(1).max(0).saturating_add(year_days + months * 30);
    Some(days.saturating_mul(86_400).saturating_add(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_model_are_those_of_the_reference() {
        for (text, ms) in [
            ("60s", Some(60_000)),
            ("60", Some(60_000)),
            ("60ms", Some(60)),
            ("60S", Some(60_000)),
            ("60s ", Some(60_000)),
            ("0000000000060s", Some(60_000)),
            ("s", None),
            ("15min", Some(900_000)),
            ("10minutes", Some(600_000)),
            ("100msec", Some(100)),
            ("1500us", Some(1)),
            ("1hr", Some(3_600_000)),
            ("1.9s", Some(1000)),
            ("5000000", Some(u64::from(u32::MAX))),
            ("PT1M30S", Some(90_000)),
            ("P1M", Some(2_592_000_000)),
            ("P1D", Some(0)),
            ("P1W", Some(518_400_000)),
            ("10d", None),
            ("-1", None),
            ("P", None),
            ("PT1.5S", None),
            ("", None),
            ("soon", None),
        ] {
            assert_eq!(parse_time(text), ms.map(Duration::from_millis), "{text:?}");
        }
    }

    #[test]
    fn numbers_of_the_model_are_those_of_the_reference() {
        for (text, value) in [
            ("10abc", Some(10)),
            (" +7", Some(7)),
            ("-1", Some(-1)),
            ("-INFINITY", Some(-INFINITY)),
            ("infinity", None),
            ("99999999999999999999", None),
            ("é", None),
            ("", None),
        ] {
            assert_eq!(parse_integer(text), value, "{text:?}");
        }
        assert_eq!(
            (parse_percentage("80%"), parse_percentage("80"), parse_percentage("%")),
            (Some(80), None, None)
        );
    }
}
