//! The moment until which something is waited for.

use std::time::{Duration, Instant};

/// How long to sleep between two looks at something that cannot be waited on.
const PAUSE: Duration = Duration::from_millis(10);

/// A moment in the future, and when the wait for it began.
#[derive(Debug, Clone, Copy)]
pub struct Deadline {
    start: Instant,
    end: Instant,
}

impl Deadline {
    /// This long from now.
    pub fn after(time: Duration) -> Self {
        let start = Instant::now();
        Self { start, end: start + time }
    }

    /// This many seconds from now.
    pub fn seconds(seconds: u64) -> Self {
        Self::after(Duration::from_secs(seconds))
    }

    /// What is left, `None` once it has passed.
    pub fn remaining(self) -> Option<Duration> {
        self.end.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())
    }

    /// How long the wait took so far.
    pub fn waited(self) -> Duration {
        self.start.elapsed()
    }

    /// Sleeps a moment and says whether there is time for another look.
    pub fn pause(self) -> bool {
        let Some(left) = self.remaining() else { return false };
        std::thread::sleep(left.min(PAUSE));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passed_deadline_leaves_nothing_and_does_not_pause() {
        let passed = Deadline::after(Duration::ZERO);
        assert_eq!(passed.remaining(), None);
        assert!(!passed.pause());
        let ahead = Deadline::seconds(60);
        assert!(ahead.remaining().is_some_and(|left| left > Duration::from_secs(50)));
        assert!(ahead.pause() && ahead.waited() >= PAUSE);
    }
}
