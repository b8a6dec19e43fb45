//! Device paths (UEFI specification, chapter 10): where a firmware finds a file.
//!
//! | offset | size | field of every node |
//! |---|---|---|
//! | 0 | 1 | type: 4 media, 0x7f end |
//! | 1 | 1 | subtype: 1 hard drive, 4 file; 0xff end of it all |
//! | 2 | 2 | bytes of the node with these four, little endian |
//!
//! | offset | size | hard drive |
//! |---|---|---|
//! | 4 | 4 | number of the partition, from 1 |
//! | 8 | 8 | its first block |
//! | 16 | 8 | its blocks |
//! | 24 | 16 | its GUID, as in the partition table |
//! | 40 | 1 | kind of partition table: 2 GPT |
//! | 41 | 1 | kind of the signature before: 2 GUID |
//!
//! The value of a file is its path, with backslashes. Nodes of other kinds, which some firmware puts in front, are passed over.

use coracle_gpt::Guid;

use crate::text;

const MEDIA: u8 = 4;
const HARD_DRIVE: u8 = 1;
const FILE: u8 = 4;
const END: [u8; 2] = [0x7f, 0xff];
const HEAD: usize = 4;
const HARD_DRIVE_LEN: usize = 42;
const GPT: u8 = 2;
const GUID: u8 = 2;
/// Bytes of the longest path of a file that is written, with its zero.
const MAX_FILE: usize = 1024;

/// A partition, as a firmware finds it again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partition {
    /// Its number, from 1.
    pub number: u32,
    /// Its first block.
    pub first_lba: u64,
    /// Its blocks.
    pub blocks: u64,
    /// What the partition table calls it.
    pub guid: Guid,
}

/// A file on a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The partition.
    pub partition: Partition,
    /// Its path, with backslashes.
    pub file: String,
}

impl Place {
    /// The device path. The path of a file has at most 511 characters: of a longer one it is the beginning.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut file = text::encode(&self.file);
        if file.len() > MAX_FILE {
            file.truncate(MAX_FILE - 2);
            file.extend([0; 2]);
        }
        let mut bytes = self.partition.encode();
        bytes.extend(node([MEDIA, FILE], &file));
        bytes.extend(node(END, &[]));
        bytes
    }

    /// Reads the first device path in `bytes`; `None` if it is no file on a partition of a GPT, or is broken.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (mut rest, mut partition, mut file) = (bytes, None, None);
        loop {
            let (kind, value, behind) = split(rest)?;
            rest = behind;
            match kind {
                END => break,
                [MEDIA, HARD_DRIVE] => partition = Some(Partition::parse(value)?),
                [MEDIA, FILE] if file.is_none() => file = Some(text::decode(value)?),
                _ => {}
            }
        }
        Some(Self { partition: partition?, file: file? })
    }

    /// Whether it is this place: FAT knows no case.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.partition == other.partition && self.file.eq_ignore_ascii_case(&other.file)
    }
}

impl Partition {
    fn encode(&self) -> Vec<u8> {
        let mut value = self.number.to_le_bytes().to_vec();
        value.extend(self.first_lba.to_le_bytes());
        value.extend(self.blocks.to_le_bytes());
        value.extend(self.guid.to_disk());
        value.extend([GPT, GUID]);
        node([MEDIA, HARD_DRIVE], &value)
    }

    fn parse(value: &[u8]) -> Option<Self> {
        if value.len() != HARD_DRIVE_LEN - HEAD {
            return None;
        }
        let (number, value) = value.split_first_chunk()?;
        let (first_lba, value) = value.split_first_chunk()?;
        let (blocks, value) = value.split_first_chunk()?;
        let (guid, kinds) = value.split_first_chunk()?;
        (kinds == [GPT, GUID]).then(|| Self {
            number: u32::from_le_bytes(*number),
            first_lba: u64::from_le_bytes(*first_lba),
            blocks: u64::from_le_bytes(*blocks),
            guid: Guid::from_disk(*guid),
        })
    }
}

fn node(kind: [u8; 2], value: &[u8]) -> Vec<u8> {
    let len = u16::try_from(HEAD + value.len()).unwrap_or(u16::MAX).to_le_bytes();
    kind.into_iter().chain(len).chain(value.iter().copied()).collect()
}

/// The kind of the first node, its value, and what is behind it.
fn split(bytes: &[u8]) -> Option<([u8; 2], &[u8], &[u8])> {
    let (kind, rest) = bytes.split_first_chunk()?;
    let (len, rest) = rest.split_first_chunk()?;
    let len = usize::from(u16::from_le_bytes(*len)).checked_sub(HEAD)?;
    let (value, behind) = rest.split_at_checked(len)?;
    Some((*kind, value, behind))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn partition(guid: u128) -> Partition {
        Partition { number: 1, first_lba: 2048, blocks: 1 << 20, guid: Guid::from_u128(guid) }
    }

    pub(crate) fn place(guid: u128, file: &str) -> Place {
        Place { partition: partition(guid), file: file.to_owned() }
    }

    /// As OVMF has it for a file on the first partition, `HD(1,GPT,00112233-…,0x800,0x100000)/\A`.
    const BYTES: &[u8] = b"\x04\x01\x2a\x00\x01\0\0\0\x00\x08\0\0\0\0\0\0\x00\x00\x10\0\0\0\0\0\
        \x33\x22\x11\x00\x55\x44\x77\x66\x88\x99\xaa\xbb\xcc\xdd\xee\xff\x02\x02\
        \x04\x04\x0a\x00\\\0A\0\0\0\x7f\xff\x04\x00";

    #[test]
    fn a_path_has_its_known_bytes() {
        let place = place(0x00112233_4455_6677_8899_aabbccddeeff, "\\A");
        assert_eq!(place.encode(), BYTES);
        assert_eq!(Place::parse(BYTES), Some(place.clone()));
        let hardware = node([1, 1], &[0, 5]);
        assert_eq!(Place::parse(&[&hardware[..], BYTES, b"more"].concat()), Some(place.clone()));
        assert!(place.is(&Place { file: "\\a".into(), ..place.clone() }));
        assert!(!place.is(&Place { partition: partition(1), ..place.clone() }));
    }

    #[test]
    fn what_is_broken_or_leads_elsewhere_is_no_place() {
        for len in 0..BYTES.len() {
            assert_eq!(Place::parse(&BYTES[..len]), None, "{len}");
        }
        // Of an MBR; a node shorter than its head; half a character.
        for (at, byte) in [(40, 1), (41, 1), (2, 3), (44, 11), (44, 9)] {
            let mut bytes = BYTES.to_vec();
            bytes[at] = byte;
            assert_eq!(Place::parse(&bytes), None, "{at}");
        }
        assert_eq!(Place::parse(&node(END, &[])), None);
    }
}
