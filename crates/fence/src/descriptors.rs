//! Descriptors that must not survive an exec.
//!
//! <https://man7.org/linux/man-pages/man2/close_range.2.html>; `CLOSE_RANGE_CLOEXEC` needs Linux 5.11.

use crate::{Error, error::last};

/// Marks every descriptor from `first` on to be closed by the next exec.
///
/// Marking, unlike closing, leaves every owner in this process what it owns, and works between clone and exec.
pub fn close_on_exec_from(first: u32) -> Result<(), Error> {
    const CLOEXEC: libc::c_uint = 1 << 2; // CLOSE_RANGE_CLOEXEC
    // SAFETY: the call takes three integers and, with this flag, changes only a mark that no owner relies on.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, libc::c_uint::MAX, CLOEXEC) };
    if done == 0 { Ok(()) } else { Err(Error::Descriptors { first, source: last() }) }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsRawFd};

    use rustix::io::{FdFlags, fcntl_getfd, fcntl_setfd};

    use super::*;
    use crate::clone::{Namespaces, spawn, tests::exit_code};

    #[test]
    fn only_descriptors_from_the_first_on_are_marked() {
        let (low, high) = (File::open("/dev/null").unwrap(), File::open("/dev/null").unwrap());
        let (low, high) = if low.as_raw_fd() < high.as_raw_fd() { (low, high) } else { (high, low) };
        let child = spawn(Namespaces::NONE, None, || {
            let cleared = [&low, &high].iter().all(|fd| fcntl_setfd(fd, FdFlags::empty()).is_ok());
            let done = close_on_exec_from(high.as_raw_fd() as u32);
            let marks = (fcntl_getfd(&low), fcntl_getfd(&high));
            u8::from(!cleared || done.is_err() || marks != (Ok(FdFlags::empty()), Ok(FdFlags::CLOEXEC)))
        })
        .unwrap();
        assert_eq!(exit_code(&child), Some(0));
    }
}
