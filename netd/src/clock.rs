//! What time it is, for deadlines.

use nix::time::{ClockId, clock_gettime};

/// Seconds since the machine began, time asleep counted: a lease ages while the machine sleeps.
pub(crate) fn now() -> u64 {
    // It cannot fail: every kernel since Linux 2.6.39 has this clock.
    clock_gettime(ClockId::CLOCK_BOOTTIME).map_or(0, |time| u64::try_from(time.tv_sec()).unwrap_or(0))
}
