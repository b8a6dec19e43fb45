//! Which system call gets which answer.

use std::collections::BTreeMap;

use crate::Error;

/// `AUDIT_ARCH_X86_64` (linux/audit.h): what the kernel reports for calls by the native 64-bit entry.
pub const ARCH_X86_64: u32 = 0xc000_003e;
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

/// A filter's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Let the call through.
    Allow,
    /// Fail it with this errno.
    Errno(u16),
    /// Kill the process.
    Kill,
    /// Let it through and log it.
    Log,
}

impl Action {
    /// The value a filter returns (linux/seccomp.h).
    pub fn value(self) -> u32 {
        match self {
            Self::Allow => 0x7fff_0000,
            Self::Log => 0x7ffc_0000,
            // The kernel caps the errno at MAX_ERRNO; so does this, lest two policies with one meaning differ.
            Self::Errno(errno) => 0x0005_0000 | u32::from(errno.min(4095)),
            Self::Kill => 0x8000_0000,
        }
    }
}

/// The position of a system call's argument, 0 to 5.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// How an argument is compared, unsigned and over all 64 bits.
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

/// The answer to one system call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Always this.
    Always(Action),
    /// `then` if all conditions of any one alternative hold, else `otherwise`.
    When {
        /// Alternatives, each a list of conditions that must all hold.
        any: Vec<Vec<Condition>>,
        /// The verdict if one alternative holds.
        then: Action,
        /// The verdict if none does.
        otherwise: Action,
    },
}

/// Answers for every number a process can put into the system call register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// Calls by another architecture's entry, such as 32-bit ones.
    pub foreign: Action,
    /// Answers by system call number.
    pub answers: BTreeMap<u32, Answer>,
    /// Numbers without an answer, below `unknown_from`.
    pub otherwise: Action,
    /// The first number that did not exist when the policy was written.
    pub unknown_from: u32,
    /// Numbers without an answer, from `unknown_from` on; the x32 entry, whose numbers start at 2³⁰, is among them.
    pub unknown: Action,
}
