//! The superblock and the inodes, as in the kernel's `fs/erofs/erofs_fs.h` (Linux 6.12). Integers are little-endian.
//!
//! Superblock, 128 bytes at byte 1024 of the image:
//!
//! | offset | bytes | field | written here |
//! |---|---|---|---|
//! | 0 | 4 | magic | `0xe0f5e1e2` |
//! | 4 | 4 | checksum | CRC-32C of bytes 1024..4096 with this field zero, seed all ones, not inverted at the end |
//! | 8 | 4 | feature_compat | 1 (checksum) and 2 (inode time is mtime) |
//! | 12 | 1 | blkszbits | 12 |
//! | 13 | 1 | sb_extslots | 0 |
//! | 14 | 2 | root_nid | 128: the root inode opens block 1 |
//! | 16 | 8 | inos | number of inodes |
//! | 24 | 8 | build_time | seconds; the time of compact inodes |
//! | 32 | 4 | build_time_nsec | 0 |
//! | 36 | 4 | blocks | length of the image |
//! | 40 | 4 | meta_blkaddr | 0: an inode's number is its byte offset / 32 |
//! | 44 | 4 | xattr_blkaddr | 0 |
//! | 48 | 16 | uuid | given |
//! | 64 | 16 | volume_name | given, NUL-padded |
//! | 80 | 4 | feature_incompat | 0 |
//! | 84 | 6 | compression, devices | 0 |
//! | 90 | 1 | dirblkbits | 0 |
//! | 91 | 37 | long prefixes, packed inode, reserved | 0 |
//!
//! Inode, 32 bytes (compact) or 64 bytes (extended), aligned to 32:
//!
//! | compact | extended | field |
//! |---|---|---|
//! | 0, 2 bytes | 0, 2 bytes | format: bit 0 extended, bits 1..=3 data layout (0 plain, 2 inline) |
//! | 2, 2 | 2, 2 | xattr_icount: 0 without attributes, else 1 + (their bytes − 12) / 4 |
//! | 4, 2 | 4, 2 | mode with file type |
//! | 6, 2 | 44, 4 | nlink |
//! | 8, 4 | 8, 8 | size |
//! | 16, 4 | 16, 4 | first data block, or the device number |
//! | 20, 4 | 20, 4 | ino, for 32-bit stat |
//! | 24, 2 | 24, 4 | uid |
//! | 26, 2 | 28, 4 | gid |
//! | – | 32, 8 + 4 | mtime, nanoseconds |
//!
//! After the inode come its extended attributes, then with layout *inline* the last, partial block of its data, which
//! does not cross a block boundary.

use coracle_tree::{Device, Kind};

use crate::Error;

/// The only block size, in bytes.
pub const BLOCK: u64 = 4096;

pub(crate) const SUPER_OFFSET: usize = 1024;
pub(crate) const MAGIC: u32 = 0xe0f5_e1e2;
pub(crate) const COMPAT_CHECKSUM: u32 = 1;
pub(crate) const COMPAT_MTIME: u32 = 2;
/// Says how compressed data is padded; without compressed data it says nothing, and `mkfs.erofs` may set it.
pub(crate) const INCOMPAT_ZERO_PADDING: u32 = 1;
pub(crate) const BLOCK_BITS: u8 = 12;
/// Inode numbers count units of 32 bytes.
pub(crate) const SLOT: u64 = 32;
pub(crate) const COMPACT: u64 = 32;
pub(crate) const EXTENDED: u64 = 64;
pub(crate) const PLAIN: u16 = 0;
pub(crate) const INLINE: u16 = 2;

/// A volume label: at most 15 bytes, without NUL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Label([u8; 16]);

impl Label {
    /// Checks a label; this is the only place that does.
    pub fn new(label: &str) -> Result<Self, Error> {
        let mut bytes = [0; 16];
        match bytes[..15].get_mut(..label.len()) {
            Some(room) if !label.contains('\0') => room.copy_from_slice(label.as_bytes()),
            _ => return Err(Error::Label { label: label.to_owned() }),
        }
        Ok(Self(bytes))
    }

    pub(crate) fn padded(self) -> [u8; 16] {
        self.0
    }
}

/// The file types, as the mode's upper bits and as directory entries spell them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileType {
    Regular = 1,
    Directory = 2,
    CharDevice = 3,
    BlockDevice = 4,
    Fifo = 5,
    Symlink = 7,
}

impl FileType {
    pub(crate) fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Directory(_) => Self::Directory,
            Kind::Regular(_) => Self::Regular,
            Kind::Symlink(_) => Self::Symlink,
            Kind::CharDevice(_) => Self::CharDevice,
            Kind::BlockDevice(_) => Self::BlockDevice,
            Kind::Fifo => Self::Fifo,
        }
    }

    pub(crate) fn mode_bits(self) -> u16 {
        match self {
            Self::Regular => 0o100_000,
            Self::Directory => 0o040_000,
            Self::CharDevice => 0o020_000,
            Self::BlockDevice => 0o060_000,
            Self::Fifo => 0o010_000,
            Self::Symlink => 0o120_000,
        }
    }

    pub(crate) fn from_mode(mode: u16) -> Option<Self> {
        [Self::Regular, Self::Directory, Self::CharDevice, Self::BlockDevice, Self::Fifo, Self::Symlink]
            .into_iter()
            .find(|of| of.mode_bits() == mode & 0o170_000)
    }
}

/// A device number on disk: minor bits 0..8, major, then the rest of minor (the kernel's `new_encode_dev`).
pub(crate) fn encode_device(device: Device) -> u32 {
    (device.minor() & 0xff) | (device.major() << 8) | ((device.minor() & !0xff) << 12)
}

/// The inverse of [`encode_device`].
pub(crate) fn decode_device(raw: u32) -> Option<Device> {
    Device::new((raw >> 8) & 0xfff, (raw & 0xff) | ((raw >> 12) & 0xf_ff00)).ok()
}

/// CRC-32C as the kernel computes it: seed all ones, no final inversion.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

/// Sets `bytes[at..]` to `field`; the caller's buffer is a constant size that holds every field.
pub(crate) fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crc32c_matches_its_check_value() {
        assert_eq!(!crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn devices_survive_encoding() {
        for (major, minor) in [(0, 0), (1, 3), (8, 255), (259, 256), (4095, 0xf_ffff)] {
            let device = Device::new(major, minor).unwrap();
            assert_eq!(decode_device(encode_device(device)), Some(device));
        }
        assert_eq!(encode_device(Device::new(259, 0x12345).unwrap()), 0x1231_0345);
    }

    #[test]
    fn labels_have_bounds() {
        for (label, fits) in [
            ("", true),
            ("root", true),
            ("fifteen-letters", true),
            ("sixteen-letters!", false),
            ("a\0", false),
        ] {
            assert_eq!(Label::new(label).is_ok(), fits, "{label:?}");
        }
    }
}
