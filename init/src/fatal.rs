//! A bug in PID 1: the last words, then a reboot.

use crate::{log::error, supervise::shutdown};

/// From here on, in stage 1 too, a panic says where it was and reboots, instead of leaving a kernel without PID 1.
pub(crate) fn catch_panics() {
    std::panic::set_hook(Box::new(|panic| {
        if std::process::id() == 1 {
            shutdown::give_up(&format!("bug in PID 1: {panic}"));
        }
        // A copy of PID 1 that has not become a program yet: its end is its own, and its parent hears of it.
        error!("bug in a child of PID 1: {panic}");
    }));
}
