//! What can keep a variable from being read or written.

use std::io;
use std::path::PathBuf;

use crate::plan::Number;

/// Why a variable was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("{operation} {path:?}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The value is longer than any that is believed.
    #[error("EFI variable {variable} is longer than {max} bytes")]
    TooLong {
        /// Which.
        variable: String,
        /// Bytes.
        max: usize,
    },
    /// The value is not what such a variable holds.
    #[error("EFI variable {variable} is malformed")]
    Malformed {
        /// Which.
        variable: String,
    },
    /// There are more variables, or more boot options, than are believed.
    #[error("more than {max} {what}")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// How many are believed.
        max: usize,
    },
    /// The name cannot be that of one entry.
    #[error("{name:?} cannot be the name of a boot entry")]
    BadEntry {
        /// Which.
        name: String,
    },
    /// The firmware has no room for the variable, and had none before. Nothing more was written: the boot order is as it was.
    #[error(
        "the firmware has twice had no room for a variable, last for {variable}; nothing more is written"
    )]
    Full {
        /// Which.
        variable: String,
        /// The last answer.
        source: io::Error,
    },
    /// Every number is taken.
    #[error("no boot option has a free number behind {last}")]
    NoNumber {
        /// The last one.
        last: Number,
    },
}

impl Error {
    /// Whether the firmware had no room.
    pub(crate) fn is_full(&self) -> bool {
        matches!(self, Self::File { source, .. } if source.kind() == io::ErrorKind::StorageFull)
    }
}
