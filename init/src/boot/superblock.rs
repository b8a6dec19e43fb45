//! The superblock of the state filesystem, as far as it matters before the kernel reads it (fs/ext4/ext4.h, little endian):
//!
//! | offset | size | field |
//! |---|---|---|
//! | 4 | 4 | blocks, the low half |
//! | 56 | 2 | magic `0xef53` |
//! | 96 | 4 | features one must know; 4: the journal is to be replayed |
//! | 104 | 16 | UUID |
//! | 336 | 4 | blocks, the high half |
//! | 1020 | 4 | checksum: CRC-32C of everything before, not inverted |
//!
//! It is two sectors of a disk that writes sectors of 512 bytes, and power lost between them leaves one old and one new. The
//! kernel refuses that, nothing on the machine would repair it, and a filesystem this small has no second superblock.

use std::{
    fs::File,
    io::{self, ErrorKind},
    ops::Range,
    os::unix::fs::FileExt,
};

use coracle_gpt::Guid;
use crc::{CRC_32_ISCSI, Crc, NoTable};

/// Bytes of a block, as the builder makes the filesystem.
pub(super) const BLOCK_LEN: u64 = 4096;
/// Where the superblock is.
const AT: u64 = 1024;
const LEN: usize = 1024;
const SECTOR_LEN: usize = 512;
const MAGIC: u16 = 0xef53;
const NEEDS_RECOVERY: u32 = 4;
/// The features that one must know, as the builder makes the filesystem.
const FEATURES: u32 = 0x22d2;
/// Words that never change in it: block and cluster length, blocks and clusters of a group, revision, first inode, features,
/// label, the journal's inode, the project quota's.
const CONSTANT: [(usize, u32); 13] = [
    (24, 2),
    (28, 2),
    (32, 0x8000),
    (36, 0x8000),
    (76, 1),
    (84, 11),
    (88, 256),
    (92, 0x2c),
    (100, 0xa56b),
    (120, u32::from_le_bytes(*b"stat")),
    (124, u32::from_le_bytes(*b"e\0\0\0")),
    (224, 8),
    (620, 12),
];
/// Bytes that stay zero: the rest of the label, what belongs to no feature of it, what is reserved.
const ZERO: [Range<usize>; 3] = [128..136, 208..224, 640..1020];
const CHECKSUM_AT: usize = LEN - 4;
const CRC32C: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISCSI);

/// A superblock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Superblock {
    bytes: [u8; LEN],
}

impl Superblock {
    /// Reads it from the partition. One that is too small for it has one of zeros.
    pub(super) fn read(partition: &File) -> io::Result<Self> {
        let mut bytes = [0; LEN];
        match partition.read_exact_at(&mut bytes, AT) {
            Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(error),
            _ => Ok(Self { bytes }),
        }
    }

    /// The blocks of the filesystem. What `statvfs` tells leaves out journal and tables, which are a quarter of a small one.
    pub(super) fn blocks(&self) -> u64 {
        u64::from(self.word(4)) | u64::from(self.word(336)) << 32
    }

    /// The identifier of the filesystem.
    pub(super) fn uuid(&self) -> Guid {
        Guid::from_bytes(self.field(104))
    }

    /// Whether what the journal holds is not yet where it belongs.
    pub(super) fn needs_recovery(&self) -> bool {
        self.word(96) & NEEDS_RECOVERY != 0
    }

    /// Whether it is one of ours, on a partition of this length, and all that is wrong is the checksum, which is what a torn
    /// write leaves: it is in the second sector, where nothing else changes.
    ///
    /// Rot is not taken for it. A bit that flipped explains the checksum; what destroys more seldom leaves everything in place
    /// that never changes, which is most of it.
    pub(super) fn is_torn(&self, partition_len: u64) -> bool {
        let is_ours = CONSTANT.iter().all(|(at, word)| self.word(*at) == *word)
            && ZERO
                .iter()
                .all(|range| self.bytes.get(range.clone()).is_some_and(|part| part.iter().all(|b| *b == 0)))
            && self.word(96) & !NEEDS_RECOVERY == FEATURES
            && self.half(56) == MAGIC
            && (1..=partition_len / BLOCK_LEN).contains(&self.blocks());
        is_ours && self.checksum() != self.word(CHECKSUM_AT) && !self.has_flipped_bit()
    }

    /// Gives it the checksum that fits, by a write of one sector: power lost here means that it is done at the next boot.
    pub(super) fn mend(&mut self, partition: &File) -> io::Result<()> {
        let checksum = self.checksum().to_le_bytes();
        for (byte, right) in self.bytes.iter_mut().skip(CHECKSUM_AT).zip(checksum) {
            *byte = right;
        }
        let second = self.bytes.last_chunk::<SECTOR_LEN>().ok_or(ErrorKind::InvalidData)?;
        partition.write_all_at(second, AT + SECTOR_LEN as u64)?;
        partition.sync_all()
    }

    fn checksum(&self) -> u32 {
        !CRC32C.checksum(self.bytes.get(..CHECKSUM_AT).unwrap_or_default())
    }

    /// Whether it would be whole with one bit inverted.
    fn has_flipped_bit(&self) -> bool {
        (0..LEN * 8).any(|bit| {
            let mut other = *self;
            other.bytes.iter_mut().skip(bit / 8).take(1).for_each(|byte| *byte ^= 1 << (bit % 8));
            other.checksum() == other.word(CHECKSUM_AT)
        })
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.field(at))
    }

    fn half(&self, at: usize) -> u16 {
        u16::from_le_bytes(self.field(at))
    }

    fn field<const N: usize>(&self, at: usize) -> [u8; N] {
        self.bytes.get(at..).and_then(<[u8]>::first_chunk).copied().unwrap_or([0; N])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;
    use std::process::Command;

    const PARTITION: u64 = 20 << 20;
    const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../image/src/state/mke2fs.conf");
    const ID: &str = "01234567-89ab-4def-8123-456789abcdef";

    /// Runs a program of e2fsprogs on a file.
    fn run(program: &str, options: &[&str], file: &tempfile::NamedTempFile) -> bool {
        let path = std::env::var("PATH").unwrap() + ":/usr/sbin:/sbin";
        let mut command = Command::new(program);
        let output = command
            .args(options)
            .arg(file.path())
            .env("PATH", path)
            .env("MKE2FS_CONFIG", CONFIG)
            .output()
            .unwrap();
        output.status.success()
    }

    fn filesystem() -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(PARTITION).unwrap();
        // As the builder does, by its own configuration.
        let options = ["-q", "-F", "-t", "ext4", "-T", "state", "-L", "state", "-J", "size=4", "-U", ID];
        assert!(run("mke2fs", &options, &file));
        file
    }

    /// As the kernel changes it when it mounts: mounted once more, the journal in use.
    fn mounted(before: &Superblock) -> Superblock {
        let mut after = *before;
        after.bytes[52] += 1;
        after.bytes[96] |= NEEDS_RECOVERY as u8;
        let checksum = after.checksum().to_le_bytes();
        after.bytes[CHECKSUM_AT..].copy_from_slice(&checksum);
        after
    }

    #[test]
    fn it_tells_size_and_identifier_as_mke2fs_wrote_them() {
        let file = filesystem();
        let mut superblock = Superblock::read(file.as_file()).unwrap();
        assert_eq!(superblock.blocks(), PARTITION / BLOCK_LEN);
        assert_eq!(superblock.checksum(), superblock.word(CHECKSUM_AT));
        assert!(!superblock.needs_recovery() && mounted(&superblock).needs_recovery());
        let hex: String = superblock.field::<16>(104).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, ID.replace('-', ""));
        superblock.bytes[336] = 2;
        assert_eq!(superblock.blocks(), (2 << 32) | (PARTITION / BLOCK_LEN));
    }

    #[test]
    fn a_torn_one_is_mended_and_sound_again() {
        let old = Superblock::read(filesystem().as_file()).unwrap();
        let new = mounted(&old);
        for (first, second) in [(new, old), (old, new)] {
            let file = filesystem();
            let torn = [&first.bytes[..SECTOR_LEN], &second.bytes[SECTOR_LEN..]].concat();
            file.as_file().write_all_at(&torn, AT).unwrap();
            assert!(!run("dumpe2fs", &["-h"], &file), "which nobody reads");
            let mut superblock = Superblock::read(file.as_file()).unwrap();
            assert!(superblock.is_torn(PARTITION));
            superblock.mend(file.as_file()).unwrap();
            assert!(!superblock.is_torn(PARTITION));
            assert_eq!(Superblock::read(file.as_file()).unwrap(), superblock);
            assert_eq!(superblock, first, "whatever is new is in the first sector");
            assert!(run("dumpe2fs", &["-h"], &file));
        }
    }

    #[test]
    fn neither_a_whole_one_nor_rot_nor_a_stranger_is_torn() {
        let whole = Superblock::read(filesystem().as_file()).unwrap();
        assert!(!whole.is_torn(PARTITION));
        let mut torn = whole;
        torn.bytes[52] += 3;
        assert!(torn.is_torn(PARTITION));
        assert!(!torn.is_torn(PARTITION - BLOCK_LEN), "larger than its partition");
        for bit in [0, 4 * 8, 52 * 8 + 7, 511 * 8, 600 * 8 + 3, CHECKSUM_AT * 8 + 31] {
            let mut rotten = whole;
            rotten.bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(!rotten.is_torn(PARTITION), "bit {bit}");
        }
        for field in [24, 32, 56, 84, 88, 92, 96, 100, 122, 130, 210, 224, 620, 640, 1016] {
            let mut strange = torn;
            strange.bytes[field..field + 2].fill(0xe9);
            assert!(!strange.is_torn(PARTITION), "{field}");
        }
        assert!(!Superblock { bytes: [0; LEN] }.is_torn(PARTITION));
        assert!(!Superblock { bytes: [0xff; LEN] }.is_torn(PARTITION));
        assert_eq!(Superblock::read(&tempfile::tempfile().unwrap()).unwrap().bytes, [0; LEN]);
    }
}
