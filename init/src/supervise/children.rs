//! Children that have ended: units, helpers, and orphans of anybody, all of which PID 1 inherits.

use rustix::{
    io::Errno,
    process::{Pid, WaitOptions, WaitStatus, wait},
};

/// One that has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) pid: Pid,
    /// Its code, if it ended by itself.
    pub(crate) code: Option<i32>,
    /// The number of the signal that ended it otherwise. A number: the real-time signals have no name, and a child that one of
    /// them ended is gone all the same.
    pub(crate) signal: Option<i32>,
}

/// What there is to collect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    /// A child that has ended; its number is free from here on.
    Ended(Ended),
    /// None has ended, but there are some.
    Running,
    /// There are none.
    Nobody,
}

/// Collects the next child that has ended, if there is one.
pub(crate) fn next() -> Next {
    read(wait(WaitOptions::NOHANG))
}

fn read(answer: Result<Option<(Pid, WaitStatus)>, Errno>) -> Next {
    match answer {
        Ok(Some((pid, status))) => {
            Next::Ended(Ended { pid, code: status.exit_status(), signal: status.terminating_signal() })
        }
        Ok(None) | Err(Errno::INTR) => Next::Running,
        Err(_) => Next::Nobody,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::fd::AsFd;

    use coracle_fence::{
        clone::{Namespaces, spawn},
        signals,
    };
    use rustix::process::waitpid;

    use super::*;

    #[test]
    fn whatever_ended_a_child_it_is_told() {
        for signal in [None, Some(9), Some(34), Some(64)] {
            let child = spawn(Namespaces::NONE, None, || {
                while signal.is_some() {
                    std::thread::park();
                }
                3
            })
            .unwrap();
            if let Some(number) = signal {
                signals::send(child.pidfd.as_fd(), number).unwrap();
            }
            let pid = child.pid;
            let code = if signal.is_none() { Some(3) } else { None };
            let want = Ended { pid, code, signal: signal.map(i32::from) };
            assert_eq!(read(waitpid(Some(pid), WaitOptions::empty())), Next::Ended(want));
            assert_eq!(read(waitpid(Some(pid), WaitOptions::NOHANG)), Next::Nobody);
        }
    }
}
