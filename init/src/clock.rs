//! Time since the kernel's clock began: it never goes back, and goes on in suspend.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// `CLOCK_BOOTTIME`, which every kernel has that this runs on.
///
/// By the C library, which is linked as it is: rustix brings a reader of the vDSO of its own, 2 KiB.
pub(crate) fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default()
}
