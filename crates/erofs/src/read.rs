//! A bounded reader: what an image says, and what its files hash to.
//!
//! It takes images of the kind [`write()`](crate::write()) makes and refuses the rest by name. Any bytes may be given:
//! every offset is checked against the image's length, directories may not contain each other, and the data that is
//! read, all inodes together, may not exceed that length, so overlapping inodes cannot multiply the work.

mod image;
mod superblock;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use coracle_tree::Device;

pub use image::Image;

/// An image is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image could not be read.
    #[error("read the image")]
    Read {
        /// What the input said.
        #[from]
        source: io::Error,
    },
    /// There is no superblock, or the image is shorter than it says.
    #[error("not an EROFS image: {what}")]
    Superblock {
        /// What is wrong.
        what: &'static str,
    },
    /// The superblock's checksum is wrong.
    #[error("the superblock's checksum is {want:#x}, computed {got:#x}")]
    Checksum {
        /// What the superblock says.
        want: u32,
        /// What was computed.
        got: u32,
    },
    /// The image uses what this reader does not know.
    #[error("the image uses {what}, which is not supported")]
    Unsupported {
        /// The feature.
        what: &'static str,
    },
    /// An inode or what belongs to it breaks the format.
    #[error("inode {nid}: {what}")]
    Inode {
        /// Its number on disk.
        nid: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// There are more entries, or longer paths, than the limits allow.
    #[error("the image exceeds the limit: {what}")]
    Limit {
        /// Which one.
        what: &'static str,
    },
}

/// How much of an image is listed before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most names.
    pub entries: usize,
    /// The longest path, in bytes.
    pub path: usize,
}

impl Default for Limits {
    /// A million names, paths of 4096 bytes.
    fn default() -> Self {
        Self { entries: 1 << 20, path: 4096 }
    }
}

/// What the superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// The number of the root inode.
    pub root_nid: u64,
    /// How many inodes there are.
    pub inodes: u64,
    /// The time of compact inodes, in seconds since 1970.
    pub build_time: u64,
    /// The length of the image in blocks.
    pub blocks: u32,
    /// The volume's UUID.
    pub uuid: [u8; 16],
    /// The volume's label up to its first NUL.
    pub volume_label: Vec<u8>,
    meta_at: u64,
}

/// What an inode is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Directory,
    /// A file with its size and the SHA-256 of its bytes.
    Regular {
        /// How many bytes.
        size: u64,
        /// Their SHA-256.
        sha256: [u8; 32],
    },
    /// A symbolic link and where it points.
    Symlink(Vec<u8>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
}

/// One name of an image. Hard links share their inode, here as on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The names from the root, joined by `/`; empty for the root.
    pub path: Vec<u8>,
    /// What it names.
    pub inode: Arc<Inode>,
}

/// One inode of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inode {
    /// Its number on disk.
    pub nid: u64,
    /// Permission bits, without the file type.
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
    /// How many names it has.
    pub nlink: u32,
    /// Extended attributes by full name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What it is.
    pub kind: Kind,
}
