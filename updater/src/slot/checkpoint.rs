//! How far an installation is, as a file of 120 bytes, little-endian:
//!
//! | bytes      | field                                                            |
//! |------------|------------------------------------------------------------------|
//! | 0 .. 8     | `CORASLOT`                                                       |
//! | 8 .. 10    | version, 1                                                       |
//! | 10         | the slot that is written: 0 is A, 1 is B                         |
//! | 11 .. 16   | zeros                                                            |
//! | 16 .. 48   | the digest of the ops file's header                              |
//! | 48 .. 80   | the root hash                                                    |
//! | 80 .. 84   | the number of operations whose outputs are on the disk           |
//! | 84 .. 88   | zeros                                                            |
//! | 88 .. 120  | SHA-256 of the bytes before                                      |
//!
//! One that is damaged, or of another job, is none. It is never believed alone: the root hash is measured in the end.

use coracle_layout::{RootHash, Slot};
use coracle_ops::Digest;
use sha2::{Digest as _, Sha256};

/// Bytes of a checkpoint.
pub(crate) const LEN: usize = 120;

/// How far an installation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checkpoint {
    /// The slot that is written.
    pub slot: Slot,
    /// The ops file, by the digest of its header.
    pub ops_file: Digest,
    /// The root that it makes.
    pub root: RootHash,
    /// Operations whose outputs are on the disk: the number of the next one.
    pub done: u32,
}

impl Checkpoint {
    /// The bytes of the table above.
    #[must_use]
    pub fn encode(&self) -> [u8; LEN] {
        let mut bytes = Vec::with_capacity(LEN);
        bytes.extend(b"CORASLOT");
        bytes.extend(1_u16.to_le_bytes());
        bytes.push(match self.slot {
            Slot::A => 0,
            Slot::B => 1,
        });
        bytes.extend([0; 5]);
        bytes.extend(self.ops_file);
        bytes.extend(self.root.as_bytes());
        bytes.extend(self.done.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(Sha256::digest(&bytes));
        let mut out = [0; LEN];
        out.iter_mut().zip(bytes).for_each(|(to, from)| *to = from);
        out
    }

    /// Reads what [`Checkpoint::encode`] gives; everything else is `None`.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let slot = match bytes.get(10)? {
            0 => Slot::A,
            1 => Slot::B,
            _ => return None,
        };
        let parsed = Self {
            slot,
            ops_file: bytes.get(16..48)?.try_into().ok()?,
            root: RootHash::new(bytes.get(48..80)?.try_into().ok()?),
            done: u32::from_le_bytes(bytes.get(80..84)?.try_into().ok()?),
        };
        // One checkpoint has one form, its checksum included.
        (bytes == parsed.encode()).then_some(parsed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Checkpoint {
        Checkpoint { slot: Slot::B, ops_file: [3; 32], root: RootHash::new([5; 32]), done: 700 }
    }

    #[test]
    fn no_flipped_bit_and_no_other_length_is_read() {
        let bytes = sample().encode();
        assert_eq!(bytes[..12], *b"CORASLOT\x01\0\x01\0");
        for bit in 0..LEN * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Checkpoint::parse(&bad), None, "bit {bit}");
        }
        for len in 0..LEN {
            assert_eq!(Checkpoint::parse(&bytes[..len]), None, "{len} bytes");
        }
        assert_eq!(Checkpoint::parse(&[&bytes[..], &[0]].concat()), None);
        assert_eq!(Checkpoint::parse(&[0; LEN]), None);
    }

    proptest! {
        #[test]
        fn encode_then_parse_is_identity(b: bool, ops_file: [u8; 32], root: [u8; 32], done: u32) {
            let slot = if b { Slot::B } else { Slot::A };
            let checkpoint = Checkpoint { slot, ops_file, root: RootHash::new(root), done };
            prop_assert_eq!(Checkpoint::parse(&checkpoint.encode()), Some(checkpoint));
        }
    }
}
