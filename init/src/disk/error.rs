//! Why a disk is not ours, or cannot be told.

use std::{
    io,
    path::{Path, PathBuf},
};

/// A disk that could not be looked at, or has not what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A file of sysfs or a device node.
    #[error("could not read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// Neither 512 nor 4096, as on optical media.
    #[error("{disk} has sectors of {bytes} bytes")]
    SectorSize {
        /// The disk.
        disk: String,
        /// Its sector size.
        bytes: u64,
    },
    /// No whole table.
    #[error("{disk} has no partition table")]
    Table {
        /// The disk.
        disk: String,
        #[source]
        source: coracle_gpt::Error,
    },
    /// The table has not exactly one entry with this label, or it is of another type.
    #[error("{disk} has no partition {label}")]
    NoPartition {
        /// The disk.
        disk: String,
        /// The label.
        label: &'static str,
    },
    /// The table has it, the kernel does not show it there.
    #[error("the kernel does not show partition {label} of {disk}")]
    NotShown {
        /// The disk.
        disk: String,
        /// The label.
        label: &'static str,
    },
}

impl Error {
    /// For `map_err` on what was done with `path`.
    pub(super) fn read(path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Read { path: path.to_owned(), source }
    }
}
