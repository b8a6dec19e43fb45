//! Waits by a clock that may be set.

use crate::time::Time;

/// A wait that began at some time and ends at a later one.
///
/// Where the clock shows less than when it began, it was set back, and nobody knows how much of the wait is left: it is over. A clock that
/// is set ahead ends it early, too. Whoever waited looks again at what for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    since: Time,
    until: Time,
}

impl Wait {
    /// The wait that begins now.
    pub fn new(now: Time, until: Time) -> Self {
        Self { since: now, until }
    }

    /// When it is over, by the clock as it is now; it is if that is not later.
    pub fn end(self, now: Time) -> Time {
        if now < self.since { now } else { self.until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_is_over_at_its_time_or_when_the_clock_was_set_back() {
        let second = |seconds: u64| Time::from_unix(1_800_000_000 + seconds);
        let wait = Wait::new(second(100), second(200));
        let is_over = |now| wait.end(now) <= now;
        for now in [100, 150, 199] {
            assert!(!is_over(second(now)) && wait.end(second(now)) == second(200), "{now}");
        }
        for now in [0, 99, 200, 300] {
            assert!(is_over(second(now)), "{now}");
        }
    }
}
