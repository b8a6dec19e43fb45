//! Sectors and their addresses.

use std::fmt;
use std::io::{Read, Seek};

use crate::header;

/// The logical sector size of a disk; the table's place depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SectorSize {
    /// 512 bytes, also what image files use.
    B512,
    /// 4096 bytes.
    B4096,
}

impl SectorSize {
    /// The size in bytes.
    pub fn bytes(self) -> u64 {
        match self {
            Self::B512 => 512,
            Self::B4096 => 4096,
        }
    }

    /// The size that these bytes name, if it is one of the two.
    pub fn from_bytes(bytes: u64) -> Option<Self> {
        [Self::B512, Self::B4096].into_iter().find(|size| size.bytes() == bytes)
    }

    /// Guesses the size of an image file from where a header's signature stands, 512 and the primary first.
    ///
    /// For files only: a disk's sector size is the kernel's to say.
    pub fn guess(disk: &mut (impl Read + Seek), disk_bytes: u64) -> Option<Self> {
        let sizes = [Self::B512, Self::B4096];
        let starts = sizes.map(|size| (size, Some(size.bytes())));
        let ends =
            sizes.map(|size| (size, (disk_bytes / size.bytes() * size.bytes()).checked_sub(size.bytes())));
        starts.into_iter().chain(ends).find_map(|(size, at)| header::has_signature(disk, at?).then_some(size))
    }

    /// Sectors of an array with all 128 entries.
    pub(crate) fn array_sectors(self) -> u64 {
        header::ARRAY_BYTES as u64 / self.bytes()
    }
}

/// The address of a sector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lba(pub u64);

impl Lba {
    /// The byte offset of the sector; saturates where no disk reaches.
    pub fn offset(self, size: SectorSize) -> u64 {
        self.0.saturating_mul(size.bytes())
    }
}

impl fmt::Display for Lba {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
