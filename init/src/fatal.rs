//! A bug in PID 1: the last words, then a reboot.

use crate::supervise::shutdown;

/// From here on a panic says where it was and reboots, instead of leaving a kernel without PID 1.
pub(crate) fn catch_panics() {
    std::panic::set_hook(Box::new(|panic| shutdown::give_up(&format!("bug in PID 1: {panic}"))));
}
