//! Which system call gets which answer.

use std::collections::BTreeMap;

use crate::Error;

/// `AUDIT_ARCH_X86_64` (linux/audit.h): what the kernel reports for calls by the native 64-bit entry.
pub const ARCH_X86_64: u32 = 0xc000_003e;
/// `AUDIT_ARCH_I386` (linux/audit.h): the same for the 32-bit entry.
pub const ARCH_X86: u32 = 0x4000_0003;
/// `__X32_SYSCALL_BIT` (asm/unistd.h): x32 shares the native entry, its numbers start here.
pub const X32_BIT: u32 = 0x4000_0000;

/// A set of system calls with numbers of its own, of those that an x86-64 kernel can offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Arch {
    /// The native one.
    X86_64,
    /// The native one with 32-bit pointers.
    X32,
    /// That of i386.
    X86,
}

impl Arch {
    /// How much of an argument is compared: 32-bit programs have 32-bit arguments, whatever their registers hold.
    pub(super) fn words(self) -> Words {
        match self {
            Self::X86_64 => Words::Both,
            Self::X32 | Self::X86 => Words::Low,
        }
    }
}

/// The 32-bit words of an argument that count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Words {
    Both,
    Low,
}

/// A filter's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Let the call through.
    Allow,
    /// Let it through and log it.
    Log,
    /// Ask the tracer, who reads this word; without one it fails with `ENOSYS`.
    Trace(u16),
    /// Ask the holder of the filter's listener; without one it fails with `ENOSYS`.
    Notify,
    /// Fail it with this errno.
    Errno(u16),
    /// Send the thread `SIGSYS`.
    Trap,
    /// Kill the thread.
    KillThread,
    /// Kill the process.
    Kill,
}

impl Action {
    /// The value a filter returns (linux/seccomp.h).
    #[must_use]
    pub fn value(self) -> u32 {
        match self {
            Self::Allow => 0x7fff_0000,
            Self::Log => 0x7ffc_0000,
            Self::Trace(word) => 0x7ff0_0000 | u32::from(word),
            Self::Notify => 0x7fc0_0000,
            // The kernel caps the errno at MAX_ERRNO; so does this, lest two policies with one meaning differ.
            Self::Errno(errno) => 0x0005_0000 | u32::from(errno.min(4095)),
            Self::Trap => 0x0003_0000,
            Self::KillThread => 0,
            Self::Kill => 0x8000_0000,
        }
    }
}

/// The position of a system call's argument, 0 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arg(u8);

impl Arg {
    /// Checks a position.
    pub fn new(index: u8) -> Result<Self, Error> {
        if index < 6 { Ok(Self(index)) } else { Err(Error::ArgIndex { index }) }
    }
    /// The first argument.
    pub const FIRST: Self = Self(0);
    /// The second argument.
    pub const SECOND: Self = Self(1);
    /// Offset of its low word in `struct seccomp_data`; the high word follows, as the machine is little-endian.
    pub(super) fn offset(self) -> u32 {
        16 + 8 * u32::from(self.0)
    }
    #[cfg(test)]
    pub(super) fn index(self) -> usize {
        self.0.into()
    }
}

/// How an argument is compared, unsigned and over all its bits: 64, or 32 of a 32-bit program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compare {
    /// Equal.
    Equal,
    /// Not equal.
    NotEqual,
    /// Less.
    Less,
    /// Less or equal.
    LessOrEqual,
    /// Greater.
    Greater,
    /// Greater or equal.
    GreaterOrEqual,
    /// Equal after this mask is applied to the argument.
    Masked(u64),
}

/// One comparison of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Which argument.
    pub arg: Arg,
    /// How.
    pub compare: Compare,
    /// With what.
    pub value: u64,
}

/// A verdict under conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// All of them must hold.
    pub all: Vec<Condition>,
    /// The verdict if they do.
    pub then: Action,
}

/// The answer to one system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Always this.
    Always(Action),
    /// That of the first case that holds, else `otherwise`.
    When {
        /// In the order in which they are looked at.
        cases: Vec<Case>,
        /// The verdict if none holds.
        otherwise: Action,
    },
}

/// Answers for every number that a process can put into the system call register by one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// Answers by system call number; those of x32 without [`X32_BIT`].
    pub answers: BTreeMap<u32, Answer>,
    /// Numbers without an answer, below `unknown_from`.
    pub otherwise: Action,
    /// The first number that did not exist when the policy was written.
    pub unknown_from: u32,
    /// Numbers without an answer, from `unknown_from` on.
    pub unknown: Action,
}

impl Calls {
    /// One answer to every number.
    #[must_use]
    pub fn all(action: Action) -> Self {
        Self { answers: BTreeMap::new(), otherwise: action, unknown_from: 0, unknown: action }
    }

    /// The answer to this number.
    pub(super) fn answer(&self, nr: u32) -> Answer {
        let rest = if nr < self.unknown_from { self.otherwise } else { self.unknown };
        self.answers.get(&nr).cloned().unwrap_or(Answer::Always(rest))
    }

    /// Every number at which the answer can change.
    pub(super) fn cuts(&self) -> impl Iterator<Item = u32> {
        let ends = self.answers.keys().filter_map(|nr| nr.checked_add(1));
        [0, self.unknown_from].into_iter().chain(self.answers.keys().copied()).chain(ends)
    }
}

/// Answers for every system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Calls by an entry that is not listed. The number -1, by which a tracer skips a call, is never x32's alone.
    pub foreign: Action,
    /// Answers by entry.
    pub entries: BTreeMap<Arch, Calls>,
}
