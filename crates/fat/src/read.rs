//! A bounded reader: what is on a volume, and what is wrong with it.
//!
//! Any bytes may be given. Every number is checked against the volume's length, no cluster may belong to two things,
//! and so no chain can be followed for ever. Faults are collected, not stopped at: what can still be listed is.
//!
//! Not looked for: clusters that belong to nothing, which a power cut leaves and which harm no one.

mod boot_sector;
mod folder;
mod image;

use std::io;

pub use image::Image;

/// How much of a volume is listed before the rest is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most files and folders.
    pub entries: usize,
    /// The most folders on the way to something.
    pub depth: usize,
}

impl Default for Limits {
    /// 4096 things, 16 folders deep: an EFI system partition has a few dozen.
    fn default() -> Self {
        Self { entries: 4096, depth: 16 }
    }
}

/// A file or a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The names from the root, joined by `/`.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    clusters: Vec<u32>,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file of so many bytes.
    File {
        /// How many.
        len: u32,
    },
}

/// What was found on a volume.
#[derive(Debug, Default)]
pub struct Listing {
    /// Files and folders, each folder before what is in it.
    pub entries: Vec<Entry>,
    /// What is wrong, in the order in which it was found.
    pub faults: Vec<Error>,
}

/// A fault of a volume, or a failure to read it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes could not be had.
    #[error("read the volume at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// Sector 0 describes no FAT32 volume that can be here.
    #[error("boot sector: {what}")]
    BootSector {
        /// What is wrong.
        what: &'static str,
    },
    /// The boot sector's copy is another.
    #[error("boot sector: its copy at byte {offset} differs")]
    BackupBootSector {
        /// Where the copy is.
        offset: u64,
    },
    /// The two tables do not say the same, or not what every table begins with.
    #[error("file allocation table: {what}, at byte {offset}")]
    Table {
        /// Where, from the start of the volume.
        offset: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// The clusters of a file or a folder.
    #[error("/{path}: {what}")]
    Chain {
        /// Whose.
        path: String,
        /// What is wrong.
        what: &'static str,
    },
    /// A file or a folder has a cluster that something listed before it has, too. To delete either frees clusters of the
    /// other.
    #[error("/{path}: one of its clusters belongs to something else too")]
    Shared {
        /// Whose.
        path: String,
    },
    /// The entries of a folder.
    #[error("folder /{path}: {what}")]
    Folder {
        /// Which, empty for the root.
        path: String,
        /// What is wrong.
        what: &'static str,
    },
    /// There is more than the limits, or the format, allow.
    #[error("/{path}: {what}")]
    Limit {
        /// Where the listing ended.
        path: String,
        /// Which limit.
        what: &'static str,
    },
}
