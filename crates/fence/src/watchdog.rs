//! The hardware watchdog: a timer that restarts the machine unless it is fed.
//!
//! <https://docs.kernel.org/watchdog/watchdog-api.html>, linux/watchdog.h; the commands are as old as Linux 2.6. Opening the device starts
//! the timer; closing it without writing `V` leaves it running.

use std::os::fd::BorrowedFd;

use rustix::ioctl::{Opcode, Setter, Updater, ioctl, opcode};

use crate::Error;

// Some numbers say "read" where the driver only acts: they are as linux/watchdog.h has them.
pub(crate) const KEEPALIVE: Opcode = opcode::read::<i32>(b'W', 5);
pub(crate) const SETTIMEOUT: Opcode = opcode::read_write::<i32>(b'W', 6);

/// Feeds it: the machine lives one more timeout.
pub fn feed(device: BorrowedFd<'_>) -> Result<(), Error> {
    // SAFETY: the command ignores its argument; were it read, `Setter` keeps an `i32` alive across the call.
    unsafe { ioctl(device, Setter::<KEEPALIVE, i32>::new(0)) }.map_err(fail("feed"))
}

/// Asks for a timeout in seconds and gives the one that the hardware took.
pub fn set_timeout(device: BorrowedFd<'_>, seconds: i32) -> Result<i32, Error> {
    let mut taken = seconds;
    // SAFETY: the command reads and writes one `i32`, which is borrowed across the call.
    unsafe { ioctl(device, Updater::<SETTIMEOUT, i32>::new(&mut taken)) }.map_err(fail("set timeout"))?;
    Ok(taken)
}

fn fail(command: &'static str) -> impl FnOnce(rustix::io::Errno) -> Error {
    move |source| Error::Watchdog { command, source }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd};

    use super::*;

    #[test]
    fn what_is_no_watchdog_is_refused_by_name() {
        let null = File::open("/dev/null").unwrap();
        let refused = |command| Error::Watchdog { command, source: rustix::io::Errno::NOTTY };
        assert_eq!(feed(null.as_fd()), Err(refused("feed")));
        assert_eq!(set_timeout(null.as_fd(), 30), Err(refused("set timeout")));
    }
}
