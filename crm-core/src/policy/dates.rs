//! Dates, times and durations of the CIB: the ISO 8601 subset of Pacemaker 2.1.5.
//!
//! A moment is kept as seconds since the epoch; fields of the calendar are computed for the offset that is
//! asked for.

/// A moment, and the offset from UTC it was written in or is shown in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub epoch: i64,
    /// Seconds east of UTC.
    pub offset: i32,
}

/// Calendar fields of a moment in its own offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fields {
    pub year: i64,
    pub month: i64,
    pub day: i64,
    pub yearday: i64,
    pub hour: i64,
    pub minute: i64,
    pub second: i64,
    /// ISO week-numbering year, week, and weekday (1 is Monday).
    pub weekyear: i64,
    pub week: i64,
    pub weekday: i64,
}

const DAY: i64 = 86_400;

pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

pub fn days_in_year(year: i64) -> i64 {
    if is_leap(year) { 366 } else { 365 }
}

/// Days of a month (1 to 12), 0 for any other number.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap(year)),
        _ => 0,
    }
}

/// Days from the epoch to a date of the Gregorian calendar.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let mp = (month + 9) % 12;
    let doy = (153 * mp + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

/// Date of a number of days since the epoch.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Weeks of an ISO week-numbering year.
fn weeks_in_year(year: i64) -> i64 {
    let first = weekday(days_from_civil(year, 1, 1));
    if first == 4 || (first == 3 && is_leap(year)) { 53 } else { 52 }
}

/// 1 for Monday to 7 for Sunday.
fn weekday(days: i64) -> i64 {
    (days + 3).rem_euclid(7) + 1
}

impl Moment {
    pub fn utc(epoch: i64) -> Moment {
        Moment { epoch, offset: 0 }
    }

    pub fn fields(self) -> Fields {
        let local = self.epoch + i64::from(self.offset);
        let days = local.div_euclid(DAY);
        let rest = local.rem_euclid(DAY);
        let (year, month, day) = civil_from_days(days);
        let yearday = days - days_from_civil(year, 1, 1) + 1;
        let wd = weekday(days);
        let week = (yearday - wd + 10) / 7;
        let (weekyear, week) = if week < 1 {
            (year - 1, weeks_in_year(year - 1))
        } else if week > weeks_in_year(year) {
            (year + 1, 1)
        } else {
            (year, week)
        };
        Fields {
            year,
            month,
            day,
            yearday,
            hour: rest / 3600,
            minute: rest / 60 % 60,
            second: rest % 60,
            weekyear,
            week,
            weekday: wd,
        }
    }

    fn from_date(year: i64, month: i64, day: i64, second: i64, offset: i32) -> Moment {
        Moment { epoch: days_from_civil(year, month, day) * DAY + second - i64::from(offset), offset }
    }

    /// Adds years: only the number of the year changes, the day of the year stays.
    #[must_use]
    pub fn plus_years(self, years: i64) -> Moment {
        let f = self.fields();
        let second = f.hour * 3600 + f.minute * 60 + f.second;
        let days = days_from_civil(f.year + years, 1, 1) + f.yearday - 1;
        Moment { epoch: days * DAY + second - i64::from(self.offset), offset: self.offset }
    }

    /// Adds months; the day is clipped to the month's length.
    #[must_use]
    pub fn plus_months(self, months: i64) -> Moment {
        let f = self.fields();
        let index = f.year * 12 + f.month - 1 + months;
        let (year, month) = (index.div_euclid(12), index.rem_euclid(12) + 1);
        let day = f.day.min(days_in_month(year, month));
        Moment::from_date(year, month, day, f.hour * 3600 + f.minute * 60 + f.second, self.offset)
    }

    #[must_use]
    pub fn plus_seconds(self, seconds: i64) -> Moment {
        Moment { epoch: self.epoch.saturating_add(seconds), offset: self.offset }
    }
}

/// Reads a date with or without a time; `now` supplies today and the local offset.
///
/// Without a time part it is midnight UTC; with one and without an offset it is local time.
pub fn parse(text: &str, now: Moment) -> Option<Moment> {
    let text = text.trim_start();
    if text.starts_with('T') || text.as_bytes().get(2) == Some(&b':') {
        let time = text.strip_prefix('T').unwrap_or(text);
        let f = now.fields();
        let (second, offset) = parse_time(time, now.offset)?;
        return Some(Moment::from_date(f.year, f.month, f.day, second, offset));
    }
    if let Some(rest) = text.strip_prefix("epoch") {
        return match rest.chars().next() {
            None | Some('/' | ' ' | '\t' | '\n') => Some(Moment::utc(0)),
            _ => None,
        };
    }
    let days = parse_date(text)?;
    let time = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '-' || c == 'W');
    match time.chars().next() {
        Some(' ' | 'T') => {
            let (second, offset) = parse_time(&time[1..], now.offset)?;
            Some(Moment { epoch: days * DAY + second - i64::from(offset), offset })
        }
        _ => Some(Moment::utc(days * DAY)),
    }
}

/// A leading unsigned integer and what follows it.
fn number(text: &str) -> Option<(i64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    if end == 0 || end > 9 {
        return None;
    }
    Some((text.get(..end)?.parse().ok()?, text.get(end..)?))
}

/// The date part as days since the epoch.
fn parse_date(text: &str) -> Option<i64> {
    let (first, rest) = number(text)?;
    let digits = text.len() - rest.len();
    let Some(rest) = rest.strip_prefix('-') else {
        // YYYYMMDD
        if digits < 8 {
            return None;
        }
        return civil(first / 10_000, first / 100 % 100, first % 100);
    };
    if let Some(week_text) = rest.strip_prefix('W') {
        let (week, rest) = number(week_text)?;
        let (day, _) = number(rest.strip_prefix('-')?)?;
        if week > weeks_in_year(first) || week < 1 || !(1..=7).contains(&day) {
            return None;
        }
        let jan1 = days_from_civil(first, 1, 1);
        let monday_of_week_1 = match weekday(jan1) {
            wd @ 1..=4 => jan1 - (wd - 1),
            wd => jan1 + 8 - wd,
        };
        return Some(monday_of_week_1 + (week - 1) * 7 + day - 1);
    }
    let (second, rest) = number(rest)?;
    if let Some((day, _)) = rest.strip_prefix('-').and_then(number) {
        return civil(first, second, day);
    }
    if second < 1 || second > days_in_year(first) {
        return None;
    }
    Some(days_from_civil(first, 1, 1) + second - 1)
}

fn civil(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    Some(days_from_civil(year, month, day))
}

/// Seconds of the day, and the offset that applies.
fn parse_time(text: &str, local: i32) -> Option<(i64, i32)> {
    let (clock, tail) = match text.find(|c: char| !(c.is_ascii_digit() || c == ':')) {
        Some(at) => text.split_at(at),
        None => (text, ""),
    };
    let seconds = parse_clock(clock)?;
    if tail.starts_with('Z') || text.contains('Z') {
        return Some((seconds, 0));
    }
    match text.split_once(' ') {
        Some((_, offset)) if !offset.trim().is_empty() => Some((seconds, parse_offset(offset.trim())?)),
        _ => Some((seconds, local)),
    }
}

fn parse_clock(text: &str) -> Option<i64> {
    let (h, m, s) = if text.contains(':') {
        let mut parts = text.split(':');
        let h: i64 = parts.next()?.parse().ok()?;
        let m: i64 = parts.next().map_or(Some(0), |p| p.parse().ok())?;
        let s: i64 = parts.next().map_or(Some(0), |p| p.parse().ok())?;
        (h, m, s)
    } else {
        let part = |from: usize, to: usize| -> Option<i64> {
            match text.get(from..to) {
                Some(p) => p.parse().ok(),
                None if text.len() <= from => Some(0),
                None => None,
            }
        };
        (part(0, 2)?, part(2, 4)?, part(4, 6)?)
    };
    if h == 24 && m == 0 && s == 0 {
        return Some(DAY);
    }
    if !(0..24).contains(&h) || !(0..60).contains(&m) || !(0..60).contains(&s) {
        return None;
    }
    Some(h * 3600 + m * 60 + s)
}

fn parse_offset(text: &str) -> Option<i32> {
    let (sign, digits) = match text.as_bytes().first()? {
        b'+' => (1, &text[1..]),
        b'-' => (-1, &text[1..]),
        _ => (1, text),
    };
    let seconds = parse_clock(digits)?;
    Some(sign * i32::try_from(seconds).ok()?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn dates_are_read_in_every_form() {
        let now = Moment::utc(1_700_000_000);
        for (text, epoch) in [
            ("2005-020", Some(1_106_179_200)),
            ("2005-020T12:30", Some(1_106_224_200)),
            ("2014-05-07 00:28:00", Some(1_399_422_480)),
            ("20140507", Some(1_399_420_800)),
            ("epoch", Some(0)),
            ("2020", None),
            ("2020-13-01", None),
            ("2009-W53-7", Some(1_262_476_800)),
            ("2014-05-07 12:00:00 +02:00", Some(1_399_456_800)),
        ] {
            assert_eq!(parse(text, now).map(|m| m.epoch), epoch, "{text}");
        }
    }

    #[test]
    fn months_are_clipped() {
        let jan31 = parse("2023-01-31", Moment::utc(0)).unwrap();
        let f = jan31.plus_months(1).fields();
        assert_eq!((f.year, f.month, f.day), (2023, 2, 28));
    }
}
