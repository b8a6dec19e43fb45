//! Maintenance windows: when a machine may reboot for an update.
//!
//! Weekly windows at a fixed distance from UTC, of which any may be open, less the blackout dates, on which none is. A
//! window says when a reboot may *begin*. There is no daylight saving time in here: a window at `+01:00` is an hour
//! later on the wall in summer. See `docs/adr/0011-waves-and-windows.md` for why.

use std::{fmt, str::FromStr, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    text,
    time::{DAY, Date, Time, numbers},
};

const WEEK: u64 = 7 * DAY;
/// 1970-01-01 was a Thursday.
const MONDAY_BEFORE_1970: u64 = 3 * DAY;

/// A day of the week, written as its first three letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "they are the days")]
pub enum Weekday {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// A window that opens at the same time on each of its days.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The days on which it opens.
    pub days: Vec<Weekday>,
    /// When it opens.
    #[serde(with = "text")]
    pub start_time: StartTime,
    /// How long it stays open, over midnight and over Sunday too.
    pub length_minutes: LengthMinutes,
}

/// A time of day, written `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StartTime(u64);

/// The length of a window: 1 minute to 7 days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct LengthMinutes(u32);

/// A distance from UTC of up to 14 hours either way, written `Z`, `+01:00` or `-03:30`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Offset {
    seconds: i64,
}

/// Days on which nothing reboots, the first and the last included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Blackout {
    /// The first day.
    #[serde(with = "text")]
    pub from: Date,
    /// The last day.
    #[serde(with = "text")]
    pub to: Date,
}

/// When a machine may reboot for an update. The default: at any time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Schedule {
    /// What its days and times are relative to; UTC where nothing else is said.
    #[serde(with = "text")]
    pub offset: Offset,
    /// When it may; none: always.
    pub windows: Vec<Window>,
    /// When it may not, all the same.
    pub blackouts: Vec<Blackout>,
}

/// A text or number that is not a part of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadWindow {
    /// Not a time of day.
    #[error("a start time is HH:MM, as in 22:30")]
    StartTime,
    /// Too short or too long.
    #[error("a window is 1 to {} minutes long, which is a week", LengthMinutes::MOST)]
    Length,
    /// Not a distance from UTC.
    #[error("an offset is Z, or a sign and at most 14:00, as in +01:00")]
    Offset,
}

impl Schedule {
    /// The first time from `now` on at which it is open; `None` if that does not come in a year that has a name.
    pub fn next_open(&self, now: Time) -> Option<Time> {
        let mut at = now;
        // Each blackout is passed once, and after each of them one window is waited for.
        for _ in 0..=2 * self.blackouts.len() + 1 {
            if at == Time::MAX {
                return None;
            }
            match (self.blackout_end(at), self.wait(at)) {
                (Some(end), _) => at = end,
                (None, Duration::ZERO) => return Some(at),
                (None, wait) => at = at.after(wait),
            }
        }
        None
    }

    /// Whether it is open whatever the time is.
    pub fn is_always_open(&self) -> bool {
        self.windows.is_empty() && self.blackouts.is_empty()
    }

    /// Whether it is open.
    pub fn is_open(&self, now: Time) -> bool {
        self.next_open(now) == Some(now)
    }

    /// When the blackout that holds at `now` ends; the first of several.
    fn blackout_end(&self, now: Time) -> Option<Time> {
        self.blackouts.iter().find_map(|blackout| {
            let end = self.offset.to_utc(blackout.to.start().after(Duration::from_secs(DAY)));
            (self.offset.to_utc(blackout.from.start()) <= now && now < end).then_some(end)
        })
    }

    /// How long to wait for a window; nothing while one is open.
    fn wait(&self, now: Time) -> Duration {
        let of_week = self.offset.second_of_week(now);
        let waits = self.windows.iter().flat_map(|window| {
            let length = u64::from(window.length_minutes.0) * 60;
            window.days.iter().map(move |&day| {
                let start = day as u64 * DAY + window.start_time.0;
                let open_for = (of_week + WEEK - start) % WEEK;
                if open_for < length { 0 } else { WEEK - open_for }
            })
        });
        // Windows without a day never open; no windows at all are always open.
        let never = if self.windows.is_empty() { 0 } else { u64::MAX };
        Duration::from_secs(waits.min().unwrap_or(never))
    }
}

impl Offset {
    /// The second of the week, from Monday's midnight, that a clock there shows.
    fn second_of_week(self, now: Time) -> u64 {
        (now.unix() + MONDAY_BEFORE_1970 + WEEK).saturating_add_signed(self.seconds) % WEEK
    }

    /// The time at which a clock there shows `local`.
    fn to_utc(self, local: Time) -> Time {
        Time::from_unix(local.unix().saturating_add_signed(-self.seconds))
    }
}

impl FromStr for StartTime {
    type Err = BadWindow;

    fn from_str(text: &str) -> Result<Self, BadWindow> {
        match numbers(text, ':', [2, 2]) {
            Some([hour, minute]) if hour < 24 && minute < 60 => Ok(Self(hour * 3600 + minute * 60)),
            _ => Err(BadWindow::StartTime),
        }
    }
}

impl fmt::Display for StartTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 3600, self.0 / 60 % 60)
    }
}

impl LengthMinutes {
    const MOST: u32 = 7 * 24 * 60;
}

impl TryFrom<u32> for LengthMinutes {
    type Error = BadWindow;

    fn try_from(minutes: u32) -> Result<Self, BadWindow> {
        (1..=Self::MOST).contains(&minutes).then_some(Self(minutes)).ok_or(BadWindow::Length)
    }
}

impl From<LengthMinutes> for u32 {
    fn from(length: LengthMinutes) -> Self {
        length.0
    }
}

impl FromStr for Offset {
    type Err = BadWindow;

    fn from_str(text: &str) -> Result<Self, BadWindow> {
        let (sign, clock) = match text.as_bytes() {
            b"Z" => return Ok(Self { seconds: 0 }),
            [b'+', ..] => (1, &text[1..]),
            [b'-', ..] => (-1, &text[1..]),
            _ => return Err(BadWindow::Offset),
        };
        match numbers(clock, ':', [2, 2]) {
            Some([hour, minute]) if minute < 60 && hour * 60 + minute <= 14 * 60 => {
                Ok(Self { seconds: sign * (hour * 3600 + minute * 60) as i64 })
            }
            _ => Err(BadWindow::Offset),
        }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (minutes, sign) = (self.seconds.unsigned_abs() / 60, if self.seconds < 0 { '-' } else { '+' });
        match minutes {
            0 => f.write_str("Z"),
            _ => write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60),
        }
    }
}

#[cfg(test)]
mod tests;
