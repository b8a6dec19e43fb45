//! The superblock of the state filesystem, as far as it matters before the kernel reads it (fs/ext4/ext4.h, little endian):
//!
//! | offset | size | field |
//! |---|---|---|
//! | 4 | 4 | blocks, the low half |
//! | 96 | 4 | features one must know; 4: the journal is to be replayed |
//! | 104 | 16 | UUID |
//! | 336 | 4 | blocks, the high half |

use std::{
    fs::File,
    io::{self, ErrorKind},
    os::unix::fs::FileExt,
};

use coracle_gpt::Guid;

/// Bytes of a block, as the builder makes the filesystem.
pub(super) const BLOCK_LEN: u64 = 4096;
/// Where the superblock is.
const AT: u64 = 1024;
const LEN: usize = 1024;
const NEEDS_RECOVERY: u32 = 4;

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

    fn word(&self, at: usize) -> u32 {
        u32::from_le_bytes(self.field(at))
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
    const ID: &str = "01234567-89ab-4def-8123-456789abcdef";

    /// Runs a program of e2fsprogs on a file.
    fn run(program: &str, options: &[&str], file: &tempfile::NamedTempFile) -> bool {
        let path = std::env::var("PATH").unwrap() + ":/usr/sbin:/sbin";
        let mut command = Command::new(program);
        let output = command.args(options).arg(file.path()).env("PATH", path).output().unwrap();
        output.status.success()
    }

    fn filesystem() -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(PARTITION).unwrap();
        let options = ["-q", "-t", "ext4", "-b", "4096", "-I", "256", "-O", "metadata_csum", "-U", ID];
        assert!(run("mke2fs", &options, &file));
        file
    }

    #[test]
    fn it_tells_size_and_identifier_as_mke2fs_wrote_them() {
        let file = filesystem();
        let mut superblock = Superblock::read(file.as_file()).unwrap();
        assert_eq!(superblock.blocks(), PARTITION / BLOCK_LEN);
        assert!(!superblock.needs_recovery());
        let hex: String = superblock.field::<16>(104).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, ID.replace('-', ""));
        superblock.bytes[96] |= NEEDS_RECOVERY as u8;
        assert!(superblock.needs_recovery());
        superblock.bytes[336] = 2;
        assert_eq!(superblock.blocks(), (2 << 32) | (PARTITION / BLOCK_LEN));
    }
}
