//! What stops the writer.

use std::io;

/// An image could not be written. What was written so far is not an image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A volume label that does not fit.
    #[error("volume label {label:?} has more than 15 bytes or contains NUL")]
    Label {
        /// The label as given.
        label: String,
    },
    /// An extended attribute whose name EROFS has no prefix for, or whose name or value is too long.
    #[error("{path:?}: extended attribute {name:?} cannot be stored")]
    Xattr {
        /// The inode's first path.
        path: String,
        /// The attribute's full name.
        name: String,
    },
    /// The extended attributes of one inode exceed what its size field can say (about 256 KiB).
    #[error("{path:?}: {len} bytes of extended attributes are too many")]
    Xattrs {
        /// The inode's first path.
        path: String,
        /// Their encoded length.
        len: usize,
    },
    /// The image would need 2³² blocks or more.
    #[error("the image would need more than 2^32 - 1 blocks")]
    TooLarge,
    /// A file on the host could not be opened or read.
    #[error("{path:?}: read its content")]
    Content {
        /// The inode's first path in the tree.
        path: String,
        /// What the host said.
        source: io::Error,
    },
    /// A file on the host became shorter since the tree was made.
    #[error("{path:?}: its content ended early, of {want} bytes {missing} are missing")]
    Short {
        /// The inode's first path in the tree.
        path: String,
        /// How many bytes the tree promised.
        want: u64,
        /// How many never came.
        missing: u64,
    },
    /// The image could not be written.
    #[error("write the image")]
    Image {
        /// What the output said.
        #[source]
        source: io::Error,
    },
}
