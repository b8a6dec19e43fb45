//! What a UKI boots: the kernel and the first root, with the checksums that they carry themselves.

use std::io::Read as _;

/// The most that a compressed first root may hold.
const MAX_INITRD: u64 = 512 << 20;
const ZSTD: [u8; 4] = 0xfd2f_b528u32.to_le_bytes();
/// `newc` without checks and with them.
const CPIO: [&[u8]; 2] = [b"070701", b"070702"];
/// In the byte behind the magic: the frame ends with a checksum of its content.
const ZSTD_CHECKSUM: u8 = 1 << 2;

/// The last releases whose image ends with a CRC-32; the build tool that wrote it is gone from 6.15 on.
const LAST_WITH_CRC: (u32, u32) = (6, 14);

/// What a kernel image says of itself: its version, as `uname -rv` prints it.
///
/// The header is that of the boot protocol (Linux' `Documentation/arch/x86/boot.rst`):
///
/// | offset | size | field |
/// |---|---|---|
/// | 0x1f1 | 1 | `setup_sects` |
/// | 0x1f4 | 4 | `syssize`, in units of 16 bytes |
/// | 0x1fe | 2 | 0xaa55 |
/// | 0x202 | 4 | `HdrS` |
/// | 0x20e | 2 | `kernel_version`, less 0x200 |
pub(super) fn kernel(image: &[u8]) -> Result<String, String> {
    let field = |at: usize, len: usize| image.get(at..at + len).unwrap_or_default();
    if field(0x1fe, 2) != [0x55, 0xaa] || field(0x202, 4) != b"HdrS" {
        return Err("it is no bzImage: its magic numbers are missing".into());
    }
    let number = |at, len| field(at, len).iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
    let wanted = number(0x1f4, 4) * 16 + (number(0x1f1, 1) + 1) * 512;
    if wanted != image.len() {
        return Err(format!("its header says {wanted} bytes, it has {}", image.len()));
    }
    let text = image.get(number(0x20e, 2) + 0x200..).unwrap_or_default();
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let version = std::str::from_utf8(text).ok().filter(|text| !text.is_empty());
    let version = version.ok_or("its version is no text")?.to_owned();
    // The remainder is not inverted at the end, and the stored one makes that of the whole zero.
    if has_crc(&version) && crc32fast::hash(image) != !0 {
        return Err("its bytes do not match the CRC-32 at its end".into());
    }
    Ok(version)
}

/// A version that cannot be read is held to the check: better a false alarm than a silence.
fn has_crc(version: &str) -> bool {
    let mut numbers = version.split(['.', '-', ' ']).map(|number| number.parse().ok());
    match (numbers.next().flatten(), numbers.next().flatten()) {
        (Some(major), Some(minor)) => (major, minor) <= LAST_WITH_CRC,
        _ => true,
    }
}

/// Checks a first root: a plain archive, whose bytes the file's own checksum covers, or one in a zstd frame that has one.
pub(super) fn initrd(bytes: &[u8]) -> Result<(), String> {
    let archive = match bytes.split_first_chunk::<4>() {
        Some((magic, rest)) if *magic == ZSTD => {
            if rest.first().is_none_or(|descriptor| descriptor & ZSTD_CHECKSUM == 0) {
                return Err("its zstd frame carries no checksum".into());
            }
            let decoder = zstd::Decoder::with_buffer(bytes).map_err(|error| error.to_string())?;
            let mut archive = Vec::new();
            decoder
                .take(MAX_INITRD)
                .read_to_end(&mut archive)
                .map_err(|error| format!("unpack it: {error}"))?;
            archive
        }
        _ => bytes.to_vec(),
    };
    if CPIO.iter().any(|magic| archive.starts_with(magic)) {
        Ok(())
    } else {
        Err("it is neither a cpio archive nor one in a zstd frame".into())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The smallest kernel image that passes.
    pub(in super::super) fn sample_kernel() -> Vec<u8> {
        let mut image: Vec<u8> = (0..4096u32).map(|n| (n * n / 7) as u8).collect();
        image[0x1f1] = 3;
        image[0x1f4..0x1f8].copy_from_slice(&((4096 - 2048) / 16u32).to_le_bytes());
        image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
        image[0x202..0x206].copy_from_slice(b"HdrS");
        image[0x20e..0x210].copy_from_slice(&0x100u16.to_le_bytes());
        image[0x300..0x310].copy_from_slice(b"6.12.1 (us) #1\0\0");
        let crc = !crc32fast::hash(&image[..4092]);
        image[4092..].copy_from_slice(&crc.to_le_bytes());
        image
    }

    pub(in super::super) fn sample_initrd() -> Vec<u8> {
        let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        std::io::Write::write_all(&mut encoder, &[CPIO[0], &[b'0'; 104]].concat()).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn a_flipped_byte_anywhere_in_a_kernel_is_found() {
        let good = sample_kernel();
        assert_eq!(kernel(&good).as_deref(), Ok("6.12.1 (us) #1"));
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 0x10;
            assert!(kernel(&bad).is_err(), "byte {at}");
        }
        for len in [0, 0x1ff, 0x205, 4095] {
            assert!(kernel(&good[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn kernels_without_a_crc_are_not_held_to_one() {
        for (version, expected) in [
            ("6.12.1 x", true),
            ("6.14.9", true),
            ("6.15.0-rc1", false),
            ("7.0", false),
            ("5.4-a", true),
            ("x", true),
        ] {
            assert_eq!(has_crc(version), expected, "{version}");
        }
    }

    #[test]
    fn a_flipped_byte_anywhere_in_a_compressed_root_is_found() {
        let good = sample_initrd();
        assert_eq!(initrd(&good), Ok(()));
        assert_eq!(initrd(b"070701 and so on"), Ok(()));
        // Byte 5 says how much memory to unpack with, which changes nothing of what comes out.
        for at in (0..good.len()).filter(|at| *at != 5) {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert!(initrd(&bad).is_err(), "byte {at}");
        }
        let plain = zstd::bulk::compress(CPIO[0], 3).unwrap();
        assert!(initrd(&plain).unwrap_err().contains("no checksum"));
        assert!(initrd(b"").is_err());
    }
}
