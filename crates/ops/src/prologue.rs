//! The first bytes of a file, which say how long its header is.

use crate::bytes::Bytes;
use crate::error::Error;
use crate::limits::MAX_HEADER;

/// What every ops file begins with.
pub(crate) const SIGNATURE: [u8; 8] = *b"CORAOPS\x1a";

/// The version that this crate reads and writes.
pub(crate) const VERSION: u16 = 1;

/// How long the header is. Nothing has vouched for it yet, hence the caps.
///
/// | bytes    | field                                        |
/// |----------|----------------------------------------------|
/// | 0 .. 8   | signature `CORAOPS`, 0x1a                    |
/// | 8 .. 10  | version, 1                                   |
/// | 10 .. 12 | zero                                         |
/// | 12 .. 16 | bytes of the packed header, 1 to 1 MiB       |
/// | 16 .. 20 | bytes of the header unpacked, 1 to 1 MiB     |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Prologue {
    pub(crate) packed: u32,
    pub(crate) unpacked: u32,
}

impl Prologue {
    /// Bytes of a prologue.
    pub const LEN: usize = 20;

    /// Reads the prologue at the beginning of these bytes; what follows it may be there or not.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let mut bytes = Bytes(bytes);
        if bytes.array()? != SIGNATURE {
            return Err(Error::Signature);
        }
        let version = bytes.array().map(u16::from_le_bytes)?;
        if version != VERSION {
            return Err(Error::Version { version });
        }
        if bytes.array()? != [0; 2] {
            return Err(Error::Unsupported { field: "zero" });
        }
        let (packed, unpacked) = (bytes.u32()?, bytes.u32()?);
        for len in [packed, unpacked] {
            if !(1..=MAX_HEADER).contains(&(len as usize)) {
                return Err(Error::HeaderLength { len });
            }
        }
        Ok(Self { packed, unpacked })
    }

    /// Bytes from the start of the file to the first body: what [`crate::Header::parse`] takes.
    #[must_use]
    pub fn header_len(&self) -> usize {
        Self::LEN + self.packed as usize
    }

    /// The bytes that [`Prologue::parse`] reads.
    #[cfg(feature = "build")]
    pub(crate) fn encode(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&SIGNATURE);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.packed.to_le_bytes());
        bytes[16..].copy_from_slice(&self.unpacked.to_le_bytes());
        bytes
    }
}
