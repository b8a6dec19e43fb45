//! Seccomp: answers by system call number, compiled to classic BPF.
//!
//! * [`policy`]: which call gets which answer.
//! * [`mod@compile`]: a policy as a balanced tree of number ranges.
//! * [`container`]: the default profile, as data with reasons.
//! * [`names`]: the names of system calls and their numbers.
//!
//! The kernel runs a filter on every system call, so its shape is a cost: a tree asks about ten questions where a list
//! asks a hundred and more.

pub mod compile;
pub mod container;
pub mod names;
pub mod policy;

#[cfg(any(test, feature = "interpret"))]
pub mod interpret;

pub use compile::compile;
/// How a filter is installed.
pub use coracle_fence::filter::Flags;
pub use policy::{Action, Answer, Arch, Arg, Calls, Case, Compare, Condition, Policy};

/// One instruction of classic BPF, laid out as the kernel's `struct sock_filter` (linux/filter.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Insn {
    /// Operation.
    pub code: u16,
    /// Instructions to skip when the comparison holds.
    pub jt: u8,
    /// Instructions to skip when it does not.
    pub jf: u8,
    /// Operand.
    pub k: u32,
}

const _: () = assert!(size_of::<Insn>() == 8);
