//! The fixed VHD: the raw disk and a footer of 512 bytes. Azure and Hyper-V take it.
//!
//! All integers are big-endian.
//!
//! | at | size | field of the footer |
//! |---|---|---|
//! | 0 | 8 | cookie `conectix` |
//! | 8 | 4 | features: 2, the bit that is always set |
//! | 12 | 4 | format version 0x00010000 |
//! | 16 | 8 | data offset: all ones, fixed disk |
//! | 24 | 4 | seconds since 2000-01-01 UTC |
//! | 28 | 4 | creator application |
//! | 32 | 4 | creator version |
//! | 36 | 4 | creator host system |
//! | 40 | 8 + 8 | original and current size in bytes |
//! | 56 | 2 + 1 + 1 | cylinders, heads, sectors per track |
//! | 60 | 4 | disk type: 2, fixed |
//! | 64 | 4 | checksum: ones' complement of the sum of the footer's other bytes |
//! | 68 | 16 | UUID |
//! | 84 | 428 | saved state, reserved: zeros |

use std::io::{Read, Seek, SeekFrom, Write};

use crate::sparse::{Chunks, Content};
use crate::{Error, Identity};

const FORMAT: &str = "vhd";
const MIB: u64 = 1 << 20;
/// The largest disk of the format.
const MAX_LEN: u64 = 2040 << 30;
/// 2000-01-01 UTC in seconds since 1970.
const EPOCH_2000: u64 = 946_684_800;
/// Readers tell by the creator whether the size field or the rounded geometry holds; with an unknown creator
/// some cut the disk's end off, and its backup GPT with it. With this one all of them believe the size.
const CREATOR: &[u8; 4] = b"win ";
const CREATOR_VERSION: u32 = 0x000a_0000;
const CREATOR_HOST: &[u8; 4] = b"Wi2k";
const FIXED: u32 = 2;

/// Writes the VHD and gives its length, `len` + 512.
///
/// # Errors
/// `len` is not a whole number of MiB (Azure takes no other), is above 2040 GiB, or reading or writing fails.
pub fn write(
    input: &mut (impl Read + Seek),
    len: u64,
    out: &mut (impl Write + Seek),
    identity: &Identity,
) -> Result<u64, Error> {
    if len == 0 || !len.is_multiple_of(MIB) {
        return Err(Error::Unaligned { format: FORMAT, len, unit: MIB });
    }
    if len > MAX_LEN {
        return Err(Error::TooLong { format: FORMAT, len, max: MAX_LEN });
    }
    let failed = Error::write(FORMAT);
    let mut chunks = Chunks::new(input, len, MIB as usize)?;
    for index in 0..chunks.count() {
        let (content, bytes) = chunks.read(index)?;
        if content == Content::Data {
            out.seek(SeekFrom::Start(index * MIB)).map_err(&failed)?;
            out.write_all(bytes).map_err(&failed)?;
        }
    }
    out.seek(SeekFrom::Start(len)).map_err(&failed)?;
    out.write_all(&footer(len, identity)).map_err(&failed)?;
    out.flush().map_err(&failed)?;
    Ok(len + 512)
}

fn footer(len: u64, identity: &Identity) -> [u8; 512] {
    let mut footer = [0; 512];
    let mut put = |at: usize, bytes: &[u8]| footer[at..at + bytes.len()].copy_from_slice(bytes);
    // Times before 2000 and after 2136 have no spelling; the nearest one is as good.
    let seconds = u32::try_from(identity.timestamp.saturating_sub(EPOCH_2000)).unwrap_or(u32::MAX);
    let (cylinders, heads, sectors) = geometry(len / 512);
    put(0, b"conectix");
    put(8, &2u32.to_be_bytes());
    put(12, &0x0001_0000u32.to_be_bytes());
    put(16, &u64::MAX.to_be_bytes());
    put(24, &seconds.to_be_bytes());
    put(28, CREATOR);
    put(32, &CREATOR_VERSION.to_be_bytes());
    put(36, CREATOR_HOST);
    put(40, &len.to_be_bytes());
    put(48, &len.to_be_bytes());
    put(56, &cylinders.to_be_bytes());
    put(58, &[heads, sectors]);
    put(60, &FIXED.to_be_bytes());
    put(68, &identity.uuid);
    let sum: u32 = footer.iter().map(|byte| u32::from(*byte)).sum();
    footer[64..68].copy_from_slice(&(!sum).to_be_bytes());
    footer
}

/// Cylinders, heads and sectors per track by the specification's appendix "CHS calculation".
fn geometry(sectors: u64) -> (u16, u8, u8) {
    let total = sectors.min(65535 * 16 * 255);
    let (per_track, heads) = if total >= 65535 * 16 * 63 {
        (255, 16)
    } else {
        let mut per_track = 17;
        let mut heads = (total / per_track).div_ceil(1024).max(4);
        if total / per_track >= heads * 1024 || heads > 16 {
            (per_track, heads) = (31, 16);
        }
        if total / per_track >= heads * 1024 {
            (per_track, heads) = (63, 16);
        }
        (per_track, heads)
    };
    // At most 65535, 16 and 255 by the cases above.
    ((total / per_track / heads) as u16, heads as u8, per_track as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geometries_cover_at_most_the_disk() {
        for (mib, expected) in [
            (1, (30, 4, 17)),
            (64, (963, 8, 17)),
            (127, (1019, 15, 17)),
            (512, (1040, 16, 63)),
            (1024, (2080, 16, 63)),
            (32_255, (65533, 16, 63)),
            (40_000, (20078, 16, 255)),
            (2_000_000, (65535, 16, 255)),
        ] {
            let sectors = mib * 2048;
            let (c, h, s) = geometry(sectors);
            assert_eq!((c, h, s), expected, "{mib} MiB");
            assert!(u64::from(c) * u64::from(h) * u64::from(s) <= sectors);
        }
    }

    #[test]
    fn the_checksum_completes_the_sum() {
        let footer = footer(64 * MIB, &Identity { uuid: [7; 16], timestamp: EPOCH_2000 + 5 });
        let stored = u32::from_be_bytes(footer[64..68].try_into().unwrap());
        let sum: u32 = footer.iter().map(|b| u32::from(*b)).sum();
        let own: u32 = footer[64..68].iter().map(|b| u32::from(*b)).sum();
        assert_eq!(stored, !(sum - own));
        assert_eq!(footer[24..28], 5u32.to_be_bytes());
    }
}
