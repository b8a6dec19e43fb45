//! The superblock, 512 bytes at the start of the hash area, little-endian:
//!
//! | offset | bytes | field             | here                                  |
//! |-------:|------:|-------------------|---------------------------------------|
//! |      0 |     8 | `signature`       | `verity\0\0`                          |
//! |      8 |     4 | `version`         | 1                                     |
//! |     12 |     4 | `hash_type`       | 1 (salt before the block)             |
//! |     16 |    16 | `uuid`            | in the order of its text form         |
//! |     32 |    32 | `algorithm`       | `sha256`, zeros after                 |
//! |     64 |     4 | `data_block_size` | 4096                                  |
//! |     68 |     4 | `hash_block_size` | 4096                                  |
//! |     72 |     8 | `data_blocks`     | 1 ..= [`DataBlocks::MAX`]             |
//! |     80 |     2 | `salt_size`       | 0 ..= 256                             |
//! |     82 |     6 | padding           | zeros                                 |
//! |     88 |   256 | `salt`            | `salt_size` bytes, zeros after        |
//! |    344 |   168 | padding           | zeros                                 |
//!
//! Parsing takes exactly what encoding gives: bytes that mean nothing must be zero, so one superblock has one form.

use crate::error::Error;
use crate::levels::{BLOCK, Block};

/// Bytes of an encoded superblock.
pub const SUPERBLOCK_LEN: usize = 512;

const SIGNATURE: [u8; 8] = *b"verity\0\0";
const VERSION: u32 = 1;
const HASH_TYPE: u32 = 1;
const ALGORITHM: &[u8; 6] = b"sha256";
const SALT_AT: usize = 88;
const SALT_MAX: usize = 256;

/// How many data blocks a tree covers: at least one, at most 16 TiB of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DataBlocks(u64);

impl DataBlocks {
    /// The most that is accepted, far from every overflow.
    pub const MAX: u64 = 1 << 32;

    /// Takes a count of 4096-byte blocks.
    pub fn new(blocks: u64) -> Result<Self, Error> {
        if (1..=Self::MAX).contains(&blocks) { Ok(Self(blocks)) } else { Err(Error::DataBlocks { blocks }) }
    }

    /// The count.
    pub fn get(self) -> u64 {
        self.0
    }

    /// The count in 512-byte sectors, the length of the device-mapper target.
    pub fn sectors(self) -> u64 {
        self.0 * (BLOCK as u64 / 512)
    }
}

/// Up to 256 bytes that go before each block into its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salt(Vec<u8>);

impl Salt {
    /// Takes the bytes as they are; none is a valid salt.
    pub fn new(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > SALT_MAX {
            return Err(Error::SaltLength { len: bytes.len() });
        }
        Ok(Self(bytes.to_vec()))
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Everything about a tree but its hashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// Identifier of the area, in the order of its text form.
    pub uuid: [u8; 16],
    /// Size of the data.
    pub data_blocks: DataBlocks,
    /// Salt of every hash.
    pub salt: Salt,
}

impl Superblock {
    /// The 512 bytes of the table above.
    pub fn encode(&self) -> [u8; SUPERBLOCK_LEN] {
        let mut out = [0; SUPERBLOCK_LEN];
        let salt = self.salt.as_bytes();
        out[..8].copy_from_slice(&SIGNATURE);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..16].copy_from_slice(&HASH_TYPE.to_le_bytes());
        out[16..32].copy_from_slice(&self.uuid);
        out[32..32 + ALGORITHM.len()].copy_from_slice(ALGORITHM);
        out[64..68].copy_from_slice(&(BLOCK as u32).to_le_bytes());
        out[68..72].copy_from_slice(&(BLOCK as u32).to_le_bytes());
        out[72..80].copy_from_slice(&self.data_blocks.get().to_le_bytes());
        out[80..82].copy_from_slice(&(salt.len() as u16).to_le_bytes());
        out[SALT_AT..SALT_AT + salt.len()].copy_from_slice(salt);
        out
    }

    /// Block 0 of the hash area: the superblock and zeros. Write it last, when everything behind it is on the disk.
    pub fn block(&self) -> Block {
        let mut block = [0; BLOCK];
        block[..SUPERBLOCK_LEN].copy_from_slice(&self.encode());
        block
    }

    /// Reads what [`Superblock::encode`] gives and refuses everything else.
    pub fn parse(bytes: &[u8; SUPERBLOCK_LEN]) -> Result<Self, Error> {
        if field::<8>(bytes, 0) != SIGNATURE {
            return Err(Error::NoSuperblock);
        }
        let expect = |holds: bool, field| if holds { Ok(()) } else { Err(Error::Unsupported { field }) };
        expect(u32::from_le_bytes(field(bytes, 8)) == VERSION, "version")?;
        expect(u32::from_le_bytes(field(bytes, 12)) == HASH_TYPE, "hash_type")?;
        expect(bytes[64..68] == (BLOCK as u32).to_le_bytes(), "data_block_size")?;
        expect(bytes[68..72] == (BLOCK as u32).to_le_bytes(), "hash_block_size")?;
        let salt_len = usize::from(u16::from_le_bytes(field(bytes, 80)));
        expect(salt_len <= SALT_MAX, "salt_size")?;
        let parsed = Self {
            uuid: field(bytes, 16),
            data_blocks: DataBlocks::new(u64::from_le_bytes(field(bytes, 72)))?,
            salt: Salt::new(&bytes[SALT_AT..SALT_AT + salt_len])?,
        };
        let canonical = parsed.encode();
        expect(bytes[32..64] == canonical[32..64], "algorithm")?;
        expect(*bytes == canonical, "padding")?;
        Ok(parsed)
    }
}

/// `N` bytes at a constant offset inside the superblock.
fn field<const N: usize>(bytes: &[u8; SUPERBLOCK_LEN], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Superblock {
        let data_blocks = DataBlocks::new(7).expect("in range");
        Superblock { uuid: [0x5a; 16], data_blocks, salt: Salt::new(&[1, 2, 3]).expect("short") }
    }

    #[test]
    fn unsupported_fields_are_named() {
        for (at, value, field) in [
            (8, 2, "version"),
            (12, 0, "hash_type"),
            (37, b'7', "algorithm"),
            (38, b'!', "algorithm"),
            (65, 0x20, "data_block_size"),
            (69, 0x20, "hash_block_size"),
            (81, 2, "salt_size"),
            (82, 1, "padding"),
            (91, 1, "padding"),
            (511, 1, "padding"),
        ] {
            let mut bytes = sample().encode();
            bytes[at] = value;
            match Superblock::parse(&bytes) {
                Err(Error::Unsupported { field: got }) => assert_eq!(got, field, "byte {at}"),
                other => panic!("byte {at}: {other:?}"),
            }
        }
    }

    #[test]
    fn an_emptied_block_is_no_superblock() {
        assert!(matches!(Superblock::parse(&[0; SUPERBLOCK_LEN]), Err(Error::NoSuperblock)));
    }

    #[test]
    fn counts_and_salts_out_of_range_are_refused() {
        assert!(matches!(DataBlocks::new(0), Err(Error::DataBlocks { blocks: 0 })));
        assert!(DataBlocks::new(DataBlocks::MAX + 1).is_err());
        assert!(matches!(Salt::new(&[0; 257]), Err(Error::SaltLength { len: 257 })));
    }

    proptest! {
        #[test]
        fn encode_then_parse_is_identity(
            uuid: [u8; 16],
            blocks in 1..=DataBlocks::MAX,
            salt in proptest::collection::vec(any::<u8>(), 0..=256),
        ) {
            let superblock = Superblock {
                uuid,
                data_blocks: DataBlocks::new(blocks).expect("in range"),
                salt: Salt::new(&salt).expect("short"),
            };
            prop_assert_eq!(Superblock::parse(&superblock.encode()).expect("own bytes"), superblock);
        }

        #[test]
        fn whatever_parses_encodes_to_the_same_bytes(edits in proptest::collection::vec((0..SUPERBLOCK_LEN, any::<u8>()), 0..8)) {
            let mut bytes = sample().encode();
            for (at, value) in edits {
                bytes[at] = value;
            }
            if let Ok(parsed) = Superblock::parse(&bytes) {
                prop_assert_eq!(parsed.encode(), bytes);
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), SUPERBLOCK_LEN)) {
            let _ = Superblock::parse(&bytes.try_into().expect("length is fixed")); // only a panic would be wrong
        }
    }
}
