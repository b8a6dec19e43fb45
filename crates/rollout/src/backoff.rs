//! How long to wait before the next attempt.

use std::time::Duration;

/// The longest wait, whatever a server asks for.
pub const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// A random number of the caller's: a fraction of [0, 1) in units of 2⁻³².
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Jitter(pub u32);

impl Jitter {
    /// That fraction of a span.
    pub fn of(self, span: Duration) -> Duration {
        let nanos = span.as_nanos().saturating_mul(u128::from(self.0)) >> 32;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// The span, more or less by up to a fifth.
    pub fn around(self, span: Duration) -> Duration {
        span - span / 5 + self.of(span * 2 / 5)
    }
}

/// A wait that doubles.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// At the most.
    pub most: Duration,
}

impl Backoff {
    /// For servers.
    pub const SERVER: Self = Self { first: Duration::from_secs(60), most: LONGEST };
    /// For the fleet's lock, which somebody else holds for as long as a reboot takes.
    pub const LOCK: Self = Self { first: Duration::from_secs(60), most: Duration::from_secs(300) };

    /// The wait after so many failures in a row, the first being 1: somewhere in the upper half of the doubled span,
    /// so that what failed together does not come again together, and not at once either. A server that asks for a
    /// longer wait gets it, up to [`LONGEST`].
    pub fn wait(self, failures: u32, asked: Option<Duration>, jitter: Jitter) -> Duration {
        let doubled = self.first.saturating_mul(1 << failures.saturating_sub(1).min(20)).min(self.most);
        let wait = doubled / 2 + jitter.of(doubled / 2);
        asked.map_or(wait, |asked| wait.max(asked.min(LONGEST)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn waits_double_up_to_six_hours() {
        let waits = [1, 2, 3, 9, 10, u32::MAX].map(|failures| {
            Backoff::SERVER.wait(failures, None, Jitter(u32::MAX)).as_secs_f64().round() as u64
        });
        assert_eq!(waits, [60, 120, 240, 15_360, 21_600, 21_600]);
    }

    proptest! {
        #[test]
        fn a_wait_is_never_short_and_never_too_long(failures: u32, asked: Option<u32>, jitter: u32) {
            let asked = asked.map(|seconds| Duration::from_secs(seconds.into()));
            let wait = Backoff::SERVER.wait(failures, asked, Jitter(jitter));
            prop_assert!(wait >= Duration::from_secs(30) && wait <= LONGEST);
            prop_assert!(asked.is_none_or(|asked| wait >= asked.min(LONGEST)));
        }

        #[test]
        fn an_interval_varies_by_a_fifth(jitter: u32) {
            let around = Jitter(jitter).around(Duration::from_secs(1800));
            prop_assert!((1440..=2160).contains(&around.as_secs()));
        }
    }
}
