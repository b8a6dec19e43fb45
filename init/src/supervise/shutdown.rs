//! The end: everything stopped in order, filesystems clean, and then the kernel's word.

use std::time::{Duration, Instant};

use coracle_layout::paths;
use nix::{
    errno::Errno,
    mount::{MntFlags, MsFlags, mount, umount2},
    sys::{
        reboot::{RebootMode, reboot},
        signal::{Signal, kill},
    },
    unistd::{Pid, sync},
};

use super::children::{self, Next};
use crate::log::{error, info, warning};

/// How long processes may take to go after SIGKILL.
const KILL_WAIT: Duration = Duration::from_secs(3);

/// What follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// The firmware starts again.
    Reboot,
    /// The power goes off.
    PowerOff,
}

/// After the units have been stopped: ends what is left, brings the filesystems to rest and leaves.
pub(crate) fn finish(how: How) -> ! {
    end_everything();
    bring_to_rest(paths::STATE);
    info!("going down how={how:?}");
    leave(how)
}

/// No way on: says why and reboots. State is synced, and nothing else is waited for.
pub(crate) fn give_up(reason: &str) -> ! {
    error!("cannot go on, rebooting reason={reason:?}");
    sync();
    leave(How::Reboot)
}

/// Kills every process but this one, and waits a while for them to be gone.
fn end_everything() {
    let everyone = Pid::from_raw(-1);
    match kill(everyone, Signal::SIGKILL) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(errno) => warning!("the remaining processes were not killed error={errno}"),
    }
    let until = Instant::now() + KILL_WAIT;
    while Instant::now() < until {
        match children::next() {
            Next::Running => std::thread::sleep(Duration::from_millis(10)),
            Next::Ended(_) => {}
            Next::Nobody => return,
        }
    }
    warning!("some processes do not go waited={}s", KILL_WAIT.as_secs());
}

/// Unmounts, or where something holds on, at least makes read-only what is written.
fn bring_to_rest(path: &str) {
    sync();
    match umount2(path, MntFlags::empty()) {
        Ok(()) | Err(Errno::EINVAL) => return,
        Err(errno) => warning!("a filesystem is still in use, making it read-only path={path} error={errno}"),
    }
    let read_only = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    if let Err(errno) = mount(None::<&str>, path, None::<&str>, read_only, None::<&str>) {
        error!("a filesystem stays writable, its journal will be replayed path={path} error={errno}");
    }
    sync();
}

fn leave(how: How) -> ! {
    let mode = match how {
        How::Reboot => RebootMode::RB_AUTOBOOT,
        How::PowerOff => RebootMode::RB_POWER_OFF,
    };
    let Err(errno) = reboot(mode);
    error!("the kernel refuses to go down how={how:?} error={errno}");
    // PID 1 ends: the kernel panics, and its command line says that a panic reboots.
    std::process::exit(1)
}
