//! What can go wrong while a container is written.

use std::io;

/// Why a container was not written. The output is then unusable.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The format cannot express this length exactly.
    #[error("writing {format}: a disk of {len} bytes is not a whole number of {unit} bytes, or is empty")]
    Unaligned {
        /// The container.
        format: &'static str,
        /// The disk's length.
        len: u64,
        /// What it has to be a multiple of.
        unit: u64,
    },
    /// The disk is longer than the format, or this writer, allows.
    #[error("writing {format}: a disk of {len} bytes is longer than {max}")]
    TooLong {
        /// The container.
        format: &'static str,
        /// The disk's length.
        len: u64,
        /// The longest.
        max: u64,
    },
    /// The container itself outgrows its offsets.
    #[error("writing {format}: the container outgrows its {field}")]
    Overflow {
        /// The container.
        format: &'static str,
        /// The field that is too small.
        field: &'static str,
    },
    /// The raw image could not be read, or is shorter than was said.
    #[error("reading the raw image at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The container could not be written.
    #[error("writing {format}")]
    Write {
        /// The container.
        format: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// For `map_err` on the output of `format`.
    pub(crate) fn write(format: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| Self::Write { format, source }
    }
}
