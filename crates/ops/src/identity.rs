//! What an image is known by, and what an operation's bytes are known by.

use sha2::{Digest as _, Sha256};

use crate::bytes::Bytes;
use crate::error::Error;
use crate::limits::{BLOCK, MAX_IMAGE};

/// A SHA-256 hash.
pub type Digest = [u8; 32];

/// Bytes of an encoded identity: kind, seven zeros, length, hash.
#[cfg(feature = "build")]
pub(crate) const IDENTITY_LEN: usize = 48;

/// An image: its length and the hash that tells it from every other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Bytes of the image, 1 to [`MAX_IMAGE`].
    pub len: u64,
    /// What names its content.
    pub hash: Hash,
}

/// The hash of a whole image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hash {
    /// SHA-256 of the bytes, for files.
    Sha256(Digest),
    /// Root hash of the dm-verity tree over the bytes, for slots.
    Verity(Digest),
    /// SHA-256 of the bytes, which are the unpacked form of a kernel image.
    Unpacked(Digest),
}

impl Identity {
    /// Blocks of the image, the last one filled up.
    #[must_use]
    pub fn blocks(self) -> u64 {
        self.len.div_ceil(BLOCK as u64)
    }

    /// Reads an identity; all zeros are none.
    pub(crate) fn parse(bytes: &mut Bytes<'_>) -> Result<Option<Self>, Error> {
        let (kind, zeros) = (bytes.u8()?, bytes.array::<7>()?);
        let (len, digest) = (bytes.u64()?, bytes.array()?);
        let hash = match kind {
            _ if zeros != [0; 7] => return Err(Error::Identity),
            0 if len == 0 && digest == [0; 32] => return Ok(None),
            1 => Hash::Sha256(digest),
            2 => Hash::Verity(digest),
            3 => Hash::Unpacked(digest),
            _ => return Err(Error::Identity),
        };
        if !(1..=MAX_IMAGE).contains(&len) {
            return Err(Error::ImageLength { len });
        }
        Ok(Some(Self { len, hash }))
    }

    /// The bytes that [`Identity::parse`] reads.
    #[cfg(feature = "build")]
    pub(crate) fn encode(identity: Option<Self>) -> [u8; IDENTITY_LEN] {
        let mut bytes = [0; IDENTITY_LEN];
        if let Some(Self { len, hash }) = identity {
            let (kind, digest) = match hash {
                Hash::Sha256(digest) => (1, digest),
                Hash::Verity(digest) => (2, digest),
                Hash::Unpacked(digest) => (3, digest),
            };
            bytes[0] = kind;
            bytes[8..16].copy_from_slice(&len.to_le_bytes());
            bytes[16..].copy_from_slice(&digest);
        }
        bytes
    }
}

/// The first 16 bytes of a SHA-256 hash.
///
/// Half a hash, as a tag only has to stop bytes that somebody swaps for the publisher's: finding other bytes with a given tag takes
/// 2^128 tries. Pairs with the same tag take 2^64, but only who makes the release can place one, and such a pair still ends at
/// the whole hash of the target. The other half would be a twentieth of a small delta, in bytes that nothing compresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag(pub [u8; Tag::LEN]);

impl Tag {
    /// Bytes in a tag.
    pub const LEN: usize = 16;

    /// The tag of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let digest: Digest = Sha256::digest(bytes).into();
        let mut tag = [0; Self::LEN];
        tag.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
        Self(tag)
    }
}
