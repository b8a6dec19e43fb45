//! The init of the guests that test the harness: does what `guest=` on the kernel command line says, and no more.

use std::fs::File;
use std::io::Read;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};

/// `EV_KEY` of `linux/input-event-codes.h`.
const EV_KEY: u16 = 1;
/// `KEY_POWER`.
const KEY_POWER: u16 = 116;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (kind, at) in [("proc", "/proc"), ("devtmpfs", "/dev")] {
        mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>)?;
    }
    let cmdline = std::fs::read_to_string("/proc/cmdline")?;
    let task = cmdline.split_whitespace().find_map(|word| word.strip_prefix("guest="));
    println!("guest: task {}", task.unwrap_or("none"));
    match task {
        Some("poweroff") => end(RebootMode::RB_POWER_OFF),
        Some("reset") => end(RebootMode::RB_AUTOBOOT),
        Some("button") => {
            wait_for_button()?;
            println!("guest: power button");
            end(RebootMode::RB_POWER_OFF)
        }
        Some("starve") => {
            let watchdog = File::options().write(true).open("/dev/watchdog0")?;
            // The shortest that both kinds take: Intel's counts in 0.6 s and not less than four of them.
            let seconds = coracle_fence::watchdog::set_timeout(watchdog.as_fd(), 3)?;
            println!("guest: watchdog {seconds} s");
            loop {
                thread::sleep(Duration::from_secs(60));
            }
        }
        // The kernel panics when its init returns.
        _ => Ok(()),
    }
}

fn end(mode: RebootMode) -> Result<(), Box<dyn std::error::Error>> {
    match reboot(mode)? {}
}

/// Reads the first input device, which is the power button: no other is configured in these guests.
fn wait_for_button() -> std::io::Result<()> {
    let mut device = File::open("/dev/input/event0")?;
    println!("guest: ready");
    // struct input_event: 16 bytes of time, type, code, value.
    let mut event = [0; 24];
    loop {
        device.read_exact(&mut event)?;
        let number = |at: usize| u16::from_ne_bytes([event[at], event[at + 1]]);
        if (number(16), number(18)) == (EV_KEY, KEY_POWER) {
            return Ok(());
        }
    }
}
