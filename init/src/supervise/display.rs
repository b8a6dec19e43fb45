//! When the console shows the block: after a change, once things are calm, and not too often.

use std::time::Duration;

/// How often at most.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long nothing must have changed before.
const CALM: Duration = Duration::from_millis(700);

/// What has changed since the block was shown.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Display {
    /// When the last change was, until it has been shown.
    changed: Option<Duration>,
    shown: Option<Duration>,
}

impl Display {
    /// Something changed that the block shows.
    pub(crate) fn change(&mut self, now: Duration) {
        self.changed = Some(now);
    }

    /// It is asked for: calm need not be waited for.
    pub(crate) fn ask(&mut self) {
        self.changed = Some(Duration::ZERO);
    }

    /// When the block is to be shown; the loop's alarm and [`Display::take`] go by the same time, so that the alarm never
    /// rings for nothing.
    pub(crate) fn due(&self) -> Option<Duration> {
        let calm = self.changed?.saturating_add(CALM);
        Some(self.shown.map_or(calm, |shown| calm.max(shown.saturating_add(INTERVAL))))
    }

    /// Whether it is to be shown now; then it counts as shown.
    pub(crate) fn take(&mut self, now: Duration) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            *self = Self { changed: None, shown: Some(now) };
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn the_first_waits_for_calm_the_next_for_the_interval_too() {
        let mut display = Display::default();
        assert!(display.due().is_none() && !display.take(at(99_999)));
        display.change(at(1_000));
        display.change(at(1_500));
        assert!(display.due() == Some(at(2_200)) && !display.take(at(2_199)) && display.take(at(2_200)));
        assert_eq!(display.due(), None);
        display.change(at(3_000));
        assert_eq!(display.due(), Some(at(12_200)), "no alarm before it can be shown");
        display.change(at(12_000));
        assert_eq!(display.due(), Some(at(12_700)));
        assert!(display.take(at(13_000)));
        display.ask();
        assert!(!display.take(at(22_999)) && display.take(at(23_000)));
    }

    #[test]
    fn what_is_due_is_shown() {
        for changed in [0, 1, 650, 9_000, 9_500, 20_000] {
            let mut display = Display::default();
            display.change(at(0));
            assert!(display.take(at(700)));
            display.change(at(700 + changed));
            let due = display.due().unwrap_or_default();
            assert!(display.take(due), "{changed}");
        }
    }
}
