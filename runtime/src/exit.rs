//! How a container ended, and what follows from it.

use crate::plan::{Restart, Signal};

/// How a container's first process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(u8),
    /// By a signal.
    Signal(Signal),
    /// By the kernel, because the container's memory was used up.
    OutOfMemory,
}

impl Exit {
    /// Reads what `waitpid` said of a process whose cgroup has counted `oom_kills`: its code, or the signal that ended it.
    /// `None` if the process has not ended.
    pub fn of(code: Option<i32>, signal: Option<i32>, oom_kills: u64) -> Option<Self> {
        const SIGKILL: u8 = libc::SIGKILL as u8;
        if let Some(code) = code {
            return u8::try_from(code).ok().map(Self::Code);
        }
        let signal = Signal::new(u8::try_from(signal?).ok()?).ok()?;
        Some(if signal.get() == SIGKILL && oom_kills > 0 { Self::OutOfMemory } else { Self::Signal(signal) })
    }

    /// Whether it ended by itself with code 0.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }

    /// Whether the policy wants it started again.
    pub fn restarts(self, policy: Restart) -> bool {
        match policy {
            Restart::Never => false,
            Restart::OnFailure => !self.is_success(),
            Restart::Always => true,
        }
    }
}

impl std::fmt::Display for Exit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(signal) => write!(f, "ended by signal {}", signal.get()),
            Self::OutOfMemory => write!(f, "out of memory"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_what_the_kernel_and_the_cgroup_say_together() {
        let signal = |number| Exit::Signal(Signal::new(number).unwrap());
        let cases = [
            (Some(0), None, 0, Some(Exit::Code(0))),
            (Some(255), None, 7, Some(Exit::Code(255))),
            (None, Some(9), 0, Some(signal(9))),
            (None, Some(9), 1, Some(Exit::OutOfMemory)),
            // A crash of the first process after the kernel killed one of its children.
            (None, Some(11), 1, Some(signal(11))),
            (None, None, 0, None),
            (Some(256), None, 0, None),
        ];
        for (code, by, oom_kills, want) in cases {
            assert_eq!(Exit::of(code, by, oom_kills), want, "{code:?} {by:?} {oom_kills}");
        }
    }

    #[test]
    fn policies_start_again_what_they_say() {
        let ends = [Exit::Code(0), Exit::Code(1), Exit::OutOfMemory];
        let again = |policy| ends.map(|end| end.restarts(policy));
        assert_eq!(again(Restart::Never), [false; 3]);
        assert_eq!(again(Restart::OnFailure), [false, true, true]);
        assert_eq!(again(Restart::Always), [true; 3]);
    }
}
