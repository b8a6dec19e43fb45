//! The device-mapper line of a verity target.
//!
//! `1 DATA HASH 4096 4096 BLOCKS 1 sha256 ROOT SALT [COUNT OPTION..]`: format version, the two devices, block sizes of data and
//! hashes, data blocks, first block of the tree, hash, root hash, salt (`-` for none). See
//! <https://docs.kernel.org/admin-guide/device-mapper/verity.html>, "Construction Parameters".

use std::fmt::Write as _;

use crate::error::Error;
use crate::levels::{BLOCK, Digest};
use crate::superblock::Superblock;

/// An optional argument of the target, named as the kernel names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opt {
    /// Log a corrupt block and deliver it all the same.
    IgnoreCorruption,
    /// Restart on a corrupt block.
    RestartOnCorruption,
    /// Panic on a corrupt block.
    PanicOnCorruption,
    /// Restart on an I/O error.
    RestartOnError,
    /// Panic on an I/O error.
    PanicOnError,
    /// Blocks whose hash is that of zeros are not read.
    IgnoreZeroBlocks,
    /// A block is checked on its first read only.
    CheckAtMostOnce,
    /// Check in the context of the completed read where the hash allows it.
    TryVerifyInTasklet,
}

impl Opt {
    /// The word in the line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::IgnoreCorruption => "ignore_corruption",
            Self::RestartOnCorruption => "restart_on_corruption",
            Self::PanicOnCorruption => "panic_on_corruption",
            Self::RestartOnError => "restart_on_error",
            Self::PanicOnError => "panic_on_error",
            Self::IgnoreZeroBlocks => "ignore_zero_blocks",
            Self::CheckAtMostOnce => "check_at_most_once",
            Self::TryVerifyInTasklet => "try_verify_in_tasklet",
        }
    }
}

/// The parameters of the target; its length is [`crate::DataBlocks::sectors`].
///
/// Devices are paths or `MAJOR:MINOR`, one word each. Whether the options suit the kernel or each other is the kernel's to say.
pub fn table_line(
    data_dev: &str,
    hash_dev: &str,
    superblock: &Superblock,
    root: &Digest,
    opts: &[Opt],
) -> Result<String, Error> {
    for name in [data_dev, hash_dev] {
        // The device mapper splits at spaces and takes a backslash as an escape.
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(Error::DeviceName { name: name.to_owned() });
        }
    }
    let blocks = superblock.data_blocks.get();
    let salt = match superblock.salt.as_bytes() {
        [] => "-".to_owned(),
        bytes => hex(bytes),
    };
    let mut line = format!("1 {data_dev} {hash_dev} {BLOCK} {BLOCK} {blocks} 1 sha256 {} {salt}", hex(root));
    if !opts.is_empty() {
        line.push_str(&format!(" {}", opts.len()));
    }
    for opt in opts {
        line.push(' ');
        line.push_str(opt.as_str());
    }
    Ok(line)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        let _ = write!(out, "{byte:02x}"); // a String takes everything
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::superblock::{DataBlocks, Salt};

    fn superblock(salt: &[u8]) -> Superblock {
        let data_blocks = DataBlocks::new(129).expect("in range");
        Superblock { uuid: [0; 16], data_blocks, salt: Salt::new(salt).expect("short") }
    }

    #[test]
    fn lines_are_as_the_kernel_reads_them() {
        let root = "ab".repeat(32);
        for (salt, opts, tail) in [
            (&[0x01, 0xf0][..], &[][..], "01f0"),
            (&[], &[], "-"),
            (
                &[0xff],
                &[Opt::PanicOnCorruption, Opt::PanicOnError],
                "ff 2 panic_on_corruption panic_on_error",
            ),
        ] {
            let line = table_line("/dev/vda2", "254:3", &superblock(salt), &[0xab; 32], opts).expect("words");
            assert_eq!(line, format!("1 /dev/vda2 254:3 4096 4096 129 1 sha256 {root} {tail}"));
        }
        assert_eq!(superblock(&[]).data_blocks.sectors(), 129 * 8);
    }

    #[test]
    fn names_that_would_change_the_line_are_refused() {
        for name in ["", "a b", "a\n", "a\\", "\u{e9}"] {
            let line = table_line(name, "1:2", &superblock(&[]), &[0; 32], &[]);
            assert!(matches!(line, Err(Error::DeviceName { .. })), "{name:?}");
        }
    }
}
