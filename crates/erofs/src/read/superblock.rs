//! Block 0, and integers out of bytes.

use super::{Error, Superblock};
use crate::format::{self, BLOCK};

/// Parses block 0, and clears the checksum in it.
pub(super) fn parse(block: &mut [u8; BLOCK as usize]) -> Result<Superblock, Error> {
    let fields = &mut block[format::SUPER_OFFSET..];
    if u32_at(fields, 0) != format::MAGIC {
        return Err(Error::Superblock { what: "its magic number is missing" });
    }
    if fields[12] != format::BLOCK_BITS || fields[90] != 0 {
        return Err(Error::Unsupported { what: "another block size" });
    }
    if u32_at(fields, 80) & !format::INCOMPAT_ZERO_PADDING != 0 || fields[13] != 0 {
        return Err(Error::Unsupported { what: "incompatible features" });
    }
    let want = u32_at(fields, 4);
    format::put(fields, 4, &[0; 4]);
    let got = format::crc32c(fields);
    if u32_at(fields, 8) & format::COMPAT_CHECKSUM != 0 && got != want {
        return Err(Error::Checksum { want, got });
    }
    let label = &fields[64..80];
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&fields[48..64]);
    Ok(Superblock {
        root_nid: u64::from(u16_at(fields, 14)),
        inodes: u64_at(fields, 16),
        build_time: u64_at(fields, 24),
        blocks: u32_at(fields, 36),
        uuid,
        volume_label: label.split(|&byte| byte == 0).next().unwrap_or(label).to_vec(),
        meta_at: u64::from(u32_at(fields, 40)) * BLOCK,
    })
}

// Of a constant offset in a buffer of constant size.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
