//! What can go wrong with a hash area.

use std::io;

use crate::levels::Digest;

/// A failed operation on a superblock, a tree or a table line.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The block does not begin with the dm-verity signature; an emptied slot looks like this.
    #[error("no verity superblock: signature missing")]
    NoSuperblock,
    /// A superblock field has a value that this crate does not support.
    #[error("verity superblock: field {field} has an unsupported value")]
    Unsupported {
        /// Name of the field as cryptsetup calls it.
        field: &'static str,
    },
    /// The count of data blocks is zero or above [`crate::DataBlocks::MAX`].
    #[error("{blocks} data blocks are outside 1..={max}", max = crate::DataBlocks::MAX)]
    DataBlocks {
        /// The refused count.
        blocks: u64,
    },
    /// A salt has room for 256 bytes.
    #[error("a salt of {len} bytes is longer than 256")]
    SaltLength {
        /// Length of the refused salt.
        len: usize,
    },
    /// Reading a data block failed, or the data ended before it.
    #[error("read data block {block}")]
    ReadData {
        /// Index of the block.
        block: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Reading a block of the hash area failed, or the area ended before it.
    #[error("read hash area block {block}")]
    ReadHash {
        /// Index of the block, the superblock being 0.
        block: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Writing a block of the hash area failed.
    #[error("write hash area block {block}")]
    WriteHash {
        /// Index of the block, the superblock being 0.
        block: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A block does not have the hash that the tree, or the caller, holds for it.
    #[error(transparent)]
    Damaged(#[from] Damage),
    /// A device in a table line must be one word.
    #[error("device name {name:?} is not one word")]
    DeviceName {
        /// The refused name.
        name: String,
    },
}

/// The first block found that differs from its hash, searching from the root down.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The top of the tree does not have the wanted root hash.
    #[error("the top block does not match the root hash")]
    Root {
        /// The hash asked for.
        want: Digest,
        /// The hash found.
        got: Digest,
    },
    /// A tree block differs from its entry one level up.
    #[error("tree level {level} block {block} is damaged")]
    Tree {
        /// Level of the damaged block; 0 is the leaf level.
        level: usize,
        /// Index within the level.
        block: u64,
    },
    /// A data block differs from its entry in the leaf level.
    #[error("data block {block} is damaged")]
    Data {
        /// Index of the block.
        block: u64,
    },
}
