//! When to ask for news, and whom.

use std::time::Duration;

use crate::{
    backoff::{Backoff, Jitter},
    time::Time,
    wait::Wait,
};

/// Between two questions when all is well, more or less by a fifth.
pub const INTERVAL: Duration = Duration::from_secs(30 * 60);
/// The first question comes one minute after the boot, and up to nine later.
const FIRST: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(9 * 60)];
/// From one endpoint that failed to the next, when that was not asked yet.
const NEXT_ENDPOINT: Duration = Duration::from_secs(5);

/// The schedule of questions to the repository.
///
/// A failure turns to the next endpoint at once; when all have failed in a row, they are left alone for a while that
/// doubles. A server's `Retry-After` counts for all of them, since they serve the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Poll {
    next: Wait,
    endpoint: u32,
    failures: u32,
}

impl Poll {
    /// The schedule of a machine that has just booted.
    pub fn at_boot(now: Time, jitter: Jitter) -> Self {
        let next = Wait::new(now, now.after(FIRST[0] + jitter.of(FIRST[1])));
        Self { next, endpoint: 0, failures: 0 }
    }

    /// When to ask. A clock that was set back does not put it off.
    pub fn next(&self, now: Time) -> Time {
        self.next.end(now)
    }

    /// Which of so many endpoints to ask.
    pub fn endpoint(&self, endpoints: usize) -> usize {
        (self.endpoint as usize).checked_rem(endpoints).unwrap_or(0)
    }

    /// An answer came: the endpoint stays.
    pub fn answered(self, now: Time, jitter: Jitter) -> Self {
        Self { next: Wait::new(now, now.after(jitter.around(INTERVAL))), failures: 0, ..self }
    }

    /// No good answer came: the next endpoint's turn.
    pub fn failed(self, endpoints: usize, asked: Option<Duration>, now: Time, jitter: Jitter) -> Self {
        let failures = self.failures.saturating_add(1);
        let all = u32::try_from(endpoints).unwrap_or(u32::MAX).max(1);
        let wait = match asked {
            None if !failures.is_multiple_of(all) => NEXT_ENDPOINT,
            _ => Backoff::SERVER.wait(failures.div_ceil(all), asked, jitter),
        };
        Self { next: Wait::new(now, now.after(wait)), endpoint: self.endpoint.wrapping_add(1), failures }
    }

    /// The operator asks now.
    pub fn hurried(self, now: Time) -> Self {
        Self { next: Wait::new(now, now), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backoff::LONGEST;

    const NOW: Time = Time::from_unix(1_800_000_000);
    const HALF: Jitter = Jitter(1 << 31);

    fn wait(poll: Poll) -> u64 {
        poll.next(NOW).since(NOW).as_secs()
    }

    #[test]
    fn a_poll_comes_soon_after_boot_and_then_at_jittered_intervals() {
        assert_eq!(wait(Poll::at_boot(NOW, Jitter(0))), 60);
        assert_eq!(wait(Poll::at_boot(NOW, Jitter(u32::MAX))), 600);
        let poll = Poll::at_boot(NOW, HALF);
        assert_eq!(wait(poll.answered(NOW, Jitter(0))), 1440);
        assert_eq!(wait(poll.answered(NOW, HALF)), 1800);
        assert_eq!(wait(poll.hurried(NOW)), 0);
    }

    #[test]
    fn every_endpoint_is_asked_before_any_is_left_alone() {
        let mut poll = Poll::at_boot(NOW, HALF);
        let mut seen = Vec::new();
        for _ in 0..7 {
            seen.push((poll.endpoint(3), {
                poll = poll.failed(3, None, NOW, HALF);
                wait(poll)
            }));
        }
        assert_eq!(seen, [(0, 5), (1, 5), (2, 45), (0, 5), (1, 5), (2, 90), (0, 5)]);
        let poll = poll.answered(NOW, HALF);
        assert_eq!((poll.endpoint(3), wait(poll)), (1, 1800), "the one that answers is kept");
        assert_eq!(wait(poll.failed(1, None, NOW, HALF)), 45);
    }

    #[test]
    fn a_server_that_asks_for_patience_gets_it() {
        let poll = Poll::at_boot(NOW, HALF);
        assert_eq!(wait(poll.failed(3, Some(Duration::from_secs(900)), NOW, HALF)), 900);
        assert_eq!(wait(poll.failed(1, Some(Duration::from_secs(1)), NOW, HALF)), 45);
        assert_eq!(wait(poll.failed(1, Some(Duration::MAX), NOW, HALF)), LONGEST.as_secs());
    }

    #[test]
    fn a_clock_set_back_does_not_put_a_poll_off() {
        let later = NOW.after(Duration::from_secs(1 << 30));
        for poll in [
            Poll::at_boot(later, HALF),
            Poll::at_boot(NOW, HALF).answered(later, HALF),
            Poll::at_boot(NOW, HALF).failed(1, None, later, HALF),
        ] {
            assert_eq!(poll.next(NOW), NOW);
            assert_eq!(wait(poll.answered(NOW, HALF)), 1800, "and then at intervals as ever");
        }
    }

    #[test]
    fn without_endpoints_there_is_a_first_one() {
        assert_eq!(Poll::at_boot(NOW, HALF).endpoint(0), 0);
    }
}
