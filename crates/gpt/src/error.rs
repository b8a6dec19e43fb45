//! What can be wrong with a table.

use std::io;

use crate::disk::Lba;
use crate::table::Number;

/// One of the two copies of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// At the start of the disk.
    Primary,
    /// At its end.
    Backup,
}

/// A table that cannot be, or a disk from which none can be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Without a protective MBR no one takes a disk for a GPT disk, whatever its headers say.
    #[error("read protective MBR")]
    Mbr(#[source] Flaw),
    /// Neither copy is whole.
    #[error("read partition table: primary: {primary}; backup: {backup}")]
    NoCopy {
        /// Why not the primary.
        primary: Box<Flaw>,
        /// Why not the backup.
        backup: Box<Flaw>,
    },
    /// The disk has no room for two copies and a sector between them.
    #[error("a disk of {bytes} bytes is too small for a partition table")]
    SmallDisk {
        /// Size of the disk.
        bytes: u64,
    },
    /// The disk ends before the table that is to grow over it.
    #[error("grow table: the disk has {disk} bytes, the table covers {table}")]
    Shrunk {
        /// Size of the disk.
        disk: u64,
        /// Size that the table covers.
        table: u64,
    },
    /// Partition numbers go from 1 to 128.
    #[error("partition number {number} is outside 1..=128")]
    Number {
        /// The refused number.
        number: u32,
    },
    /// Two partitions have one number.
    #[error("partition {number} is there twice")]
    Twice {
        /// The number.
        number: Number,
    },
    /// The zero type marks an unused entry.
    #[error("partition {number} has no type")]
    Untyped {
        /// The partition.
        number: Number,
    },
    /// A partition ends before it starts, or leaves the usable sectors.
    #[error("partition {number}: sectors {first}..={last} are not within {usable_first}..={usable_last}")]
    Bounds {
        /// The partition.
        number: Number,
        /// Its first sector.
        first: Lba,
        /// Its last sector.
        last: Lba,
        /// First sector behind the primary.
        usable_first: Lba,
        /// Last sector before the backup.
        usable_last: Lba,
    },
    /// Two partitions share a sector.
    #[error("partitions {lower} and {upper} overlap")]
    Overlap {
        /// The one that starts first.
        lower: Number,
        /// The one that starts inside it.
        upper: Number,
    },
}

/// Why one copy, or the protective MBR, is not taken.
///
/// Its text is complete: two flaws stand side by side in [`Error::NoCopy`], where a chain of sources has room for one.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// The disk does not give these bytes.
    #[error("read {len} bytes at {offset}: {cause}")]
    Read {
        /// Where.
        offset: u64,
        /// How many.
        len: usize,
        /// What the reader said.
        cause: io::Error,
    },
    /// Sector 0 is no MBR or has no protective entry (type 0xee from sector 1).
    #[error("no protective MBR")]
    Mbr,
    /// The sector does not begin with `EFI PART`.
    #[error("header signature missing")]
    Signature,
    /// A header field has a value that is not supported or cannot be.
    #[error("header field {field} has the value {value}")]
    Field {
        /// The field as UEFI calls it.
        field: &'static str,
        /// Its value.
        value: u64,
    },
    /// The header does not have its checksum.
    #[error("header checksum is {got:08x}, not {want:08x}")]
    HeaderCrc {
        /// In the header.
        want: u32,
        /// Of its bytes.
        got: u32,
    },
    /// The array does not have its checksum.
    #[error("array checksum is {got:08x}, not {want:08x}")]
    ArrayCrc {
        /// In the header.
        want: u32,
        /// Of its bytes.
        got: u32,
    },
    /// Checksums hold, but the entries make no table.
    #[error("entries make no table: {0}")]
    Entries(Box<Error>),
}
