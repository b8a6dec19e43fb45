//! What can go wrong.

use nix::errno::Errno;

/// Bytes that are not what they should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Fewer bytes than the fixed part has.
    #[error("{what} of {len} bytes ends early")]
    Short {
        /// What was being read.
        what: &'static str,
        /// Bytes that were there.
        len: usize,
    },
    /// A length field that is below its own header's size or beyond the bytes that are there.
    #[error("{what} claims {claimed} bytes of {len}")]
    Length {
        /// What was being read.
        what: &'static str,
        /// What the field says.
        claimed: usize,
        /// Bytes that were there.
        len: usize,
    },
    /// A value of the wrong size or kind.
    #[error("{what} has a value that cannot be")]
    Value {
        /// What was being read.
        what: &'static str,
    },
}

/// A failed exchange with the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A system call on the socket failed.
    #[error("netlink {operation}")]
    Socket {
        /// Which.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The kernel did not do what was asked.
    #[error("the kernel refused")]
    Refused(#[source] Errno),
    /// No answer came in time.
    #[error("no answer from the kernel")]
    Silent,
    /// What came is not netlink.
    #[error("malformed netlink message")]
    Malformed(#[from] Malformed),
    /// Messages were lost: what is known from earlier ones may be wrong.
    #[error("netlink messages were lost")]
    Overrun,
    /// The tables kept changing while they were read.
    #[error("the tables changed during each of {tries} readings")]
    Changing {
        /// Readings.
        tries: u32,
    },
    /// More entries of interest than are held.
    #[error("more than {limit} entries")]
    TooMany {
        /// How many are held.
        limit: usize,
    },
}
