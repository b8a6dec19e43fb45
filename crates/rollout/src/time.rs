//! Points in time and dates, in UTC, of the proleptic Gregorian calendar.

use std::{fmt, str::FromStr, time::Duration};

/// Seconds of a day: leap seconds do not count.
pub const DAY: u64 = 86_400;

/// A point in time: whole seconds since 1970-01-01T00:00:00Z, before the year 10000.
///
/// Written as RFC 3339 in UTC: `2026-11-20T10:00:00Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Time(u64);

/// A day of the calendar, written `2026-12-24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    /// Days since 1970-01-01.
    days: u64,
}

/// A text that is not a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a time is written in UTC and whole seconds, as in 2026-11-20T10:00:00Z")]
pub struct BadTime;

/// A text that is not a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a date is a day of the calendar from 1970 on, as in 2026-12-24")]
pub struct BadDate;

impl Time {
    /// 9999-12-31T23:59:59Z.
    pub const MAX: Self = Self(253_402_300_799);

    /// Takes seconds since 1970; later than [`Time::MAX`] is [`Time::MAX`].
    pub const fn from_unix(seconds: u64) -> Self {
        Self(if seconds > Self::MAX.0 { Self::MAX.0 } else { seconds })
    }

    /// Seconds since 1970.
    pub const fn unix(self) -> u64 {
        self.0
    }

    /// The time that much later, at most [`Time::MAX`]. A part of a second counts as a whole one.
    pub fn after(self, span: Duration) -> Self {
        Self::from_unix(
            self.0.saturating_add(span.as_secs()).saturating_add((span.subsec_nanos() > 0).into()),
        )
    }

    /// How long ago `earlier` was; nothing if it is yet to come.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

impl Date {
    /// Midnight at its beginning, in UTC.
    pub fn start(self) -> Time {
        Time::from_unix(self.days.saturating_mul(DAY))
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (date, second) = (Date { days: self.0 / DAY }, self.0 % DAY);
        write!(f, "{date}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
    }
}

impl From<Time> for String {
    fn from(time: Time) -> Self {
        time.to_string()
    }
}

impl TryFrom<String> for Time {
    type Error = BadTime;

    fn try_from(text: String) -> Result<Self, BadTime> {
        text.parse()
    }
}

impl FromStr for Time {
    type Err = BadTime;

    fn from_str(text: &str) -> Result<Self, BadTime> {
        let (date, clock) = text.split_once('T').ok_or(BadTime)?;
        let date: Date = date.parse().map_err(|_| BadTime)?;
        let [hour, minute, second] =
            numbers(clock.strip_suffix('Z').ok_or(BadTime)?, ':', [2; 3]).ok_or(BadTime)?;
        if hour > 23 || minute > 59 || second > 59 {
            return Err(BadTime);
        }
        Ok(Self(date.days * DAY + hour * 3600 + minute * 60 + second))
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [year, month, day] = civil(self.days);
        write!(f, "{year:04}-{month:02}-{day:02}")
    }
}

impl FromStr for Date {
    type Err = BadDate;

    fn from_str(text: &str) -> Result<Self, BadDate> {
        let fields @ [year, month, day] = numbers(text, '-', [4, 2, 2]).ok_or(BadDate)?;
        if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return Err(BadDate);
        }
        let days = days(fields);
        // A day that the month does not have comes back as one of the next month.
        (civil(days) == fields).then_some(Self { days }).ok_or(BadDate)
    }
}

/// Numbers of so many digits each.
pub(crate) fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[u64; N]> {
    let mut fields = text.split(separator);
    let mut values = [0; N];
    for (value, digits) in values.iter_mut().zip(digits) {
        let field = fields.next()?;
        if field.len() != digits || !field.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        *value = field.parse().ok()?;
    }
    fields.next().is_none().then_some(values)
}

/// Days from 0000-03-01 to 1970-01-01: years that begin in March have their leap day at the end.
const MARCH_0000: u64 = 719_468;
const DAYS_OF_400_YEARS: u64 = 146_097;

/// Year, month and day of a day since 1970.
fn civil(days: u64) -> [u64; 3] {
    let days = days + MARCH_0000;
    let (era, day) = (days / DAYS_OF_400_YEARS, days % DAYS_OF_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    [era * 400 + year + u64::from(month <= 2), month, date]
}

/// Days since 1970 of a date from then on.
fn days([year, month, date]: [u64; 3]) -> u64 {
    let year = year - u64::from(month <= 2);
    let (era, year) = (year / 400, year % 400);
    let day = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + date - 1;
    era * DAYS_OF_400_YEARS + year * 365 + year / 4 - year / 100 + day - MARCH_0000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn known_times_have_their_spelling() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_795_168_800, "2026-11-20T10:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (Time::MAX.unix(), "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(Time::from_unix(seconds).to_string(), text);
            assert_eq!(text.parse(), Ok(Time::from_unix(seconds)));
        }
        assert_eq!(Time::from_unix(u64::MAX), Time::MAX);
        assert_eq!(Time::from_unix(1).after(Duration::from_millis(1)), Time::from_unix(2));
        assert_eq!(Time::from_unix(1).since(Time::from_unix(9)), Duration::ZERO);
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "2026-11-20",
            "2026-11-20T10:00:00",
            "2026-11-20T10:00:00+01:00",
            "2026-11-20T10:00:00.5Z",
            "2026-11-20T24:00:00Z",
            "2026-11-20T23:60:00Z",
            "2026-02-29T00:00:00Z",
            "2100-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "1969-12-31T23:59:59Z",
            "+026-11-20T10:00:00Z",
        ] {
            assert_eq!(text.parse::<Time>(), Err(BadTime), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn every_time_round_trips(seconds in 0..=Time::MAX.unix()) {
            let time = Time::from_unix(seconds);
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }
    }
}
