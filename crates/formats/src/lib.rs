//! Disk image containers, written from a raw image.
//!
//! | module | writes | zeros | judged by |
//! |---|---|---|---|
//! | [`qcow2`] | QEMU's format, version 3 | take no cluster | `qemu-img check`, `qemu-img compare` |
//! | [`vmdk`] | VMware's streamOptimized format | take no grain | `qemu-img compare` |
//! | [`vhd`] | Microsoft's fixed VHD | are holes | `qemu-img compare` |
//! | [`raw_zst`] | the raw image in one zstd frame | compress to next to nothing | `zstd -d` |
//!
//! Every writer takes the raw image's length from the caller, reads exactly as much from the input's start and
//! writes from the output's position 0 on. The output must be empty: what lies between the parts is left out.

mod error;
mod identity;
pub mod qcow2;
pub mod raw_zst;
mod sparse;
pub mod vhd;
pub mod vmdk;

pub use error::Error;
pub use identity::Identity;

use std::io::{Read, Seek, Write};

/// The containers, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// See [`qcow2`].
    Qcow2,
    /// See [`vmdk`].
    Vmdk,
    /// See [`vhd`].
    Vhd,
    /// See [`raw_zst`].
    RawZst,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 4] = [Self::Qcow2, Self::Vmdk, Self::Vhd, Self::RawZst];

    /// The end of a file's name, without a leading dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhd => "vhd",
            Self::RawZst => "raw.zst",
        }
    }

    /// Writes `input`, `len` bytes long, to the empty `out` and gives the container's length in bytes.
    ///
    /// # Errors
    /// The format cannot hold `len` bytes, or reading or writing fails.
    pub fn write(
        self,
        input: &mut (impl Read + Seek),
        len: u64,
        out: &mut (impl Write + Seek),
        identity: &Identity,
    ) -> Result<u64, Error> {
        match self {
            Self::Qcow2 => qcow2::write(input, len, out, identity),
            Self::Vmdk => vmdk::write(input, len, out, identity),
            Self::Vhd => vhd::write(input, len, out, identity),
            Self::RawZst => raw_zst::write(input, len, out, identity),
        }
    }
}
