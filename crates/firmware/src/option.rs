//! A boot option of the firmware, `EFI_LOAD_OPTION` (UEFI specification, section 3.1.3).
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | attributes, little endian: 1 active |
//! | 4 | 2 | bytes of the device paths |
//! | 6 | to its zero | what people see, in UCS-2 |
//! | behind | as said | device paths, the first of which counts |
//! | behind | the rest | for whatever is started |

use crate::path::Place;
use crate::text;

const ACTIVE: u32 = 1;
/// Characters of the longest description that is believed.
const MAX_DESCRIPTION: usize = 256;

/// What a firmware can start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadOption {
    /// The attributes, as they are.
    pub attributes: u32,
    /// What people see.
    pub description: String,
    /// The file that is started; `None` for whatever else it may be.
    pub place: Option<Place>,
}

impl LoadOption {
    /// An active one that starts a file.
    pub fn starting(description: &str, place: Place) -> Self {
        Self { attributes: ACTIVE, description: description.to_owned(), place: Some(place) }
    }

    /// Whether the firmware starts it by itself.
    pub fn is_active(&self) -> bool {
        self.attributes & ACTIVE != 0
    }

    /// Its bytes; `None` if it does not start a file.
    pub fn encode(&self) -> Option<Vec<u8>> {
        let path = self.place.as_ref()?.encode();
        let mut bytes = self.attributes.to_le_bytes().to_vec();
        bytes.extend(u16::try_from(path.len()).ok()?.to_le_bytes());
        bytes.extend(text::encode(&self.description));
        bytes.extend(path);
        Some(bytes)
    }

    /// Reads one; `None` if it is none. What it hands to the program is passed over.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let (attributes, rest) = bytes.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (description, rest) = text::split(rest)?;
        let paths = rest.get(..usize::from(u16::from_le_bytes(*len)))?;
        (description.chars().count() <= MAX_DESCRIPTION).then(|| Self {
            attributes: u32::from_le_bytes(*attributes),
            description,
            place: Place::parse(paths),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::path::tests::place;

    /// As OVMF makes it for a disk that it found by itself, with a mark of its own behind the path.
    const OF_OVMF: &[u8] = &[
        0x01, 0x00, 0x00, 0x00, 0x16, 0x00, 0x55, 0x00, 0x45, 0x00, 0x46, 0x00, 0x49, 0x00, 0x20, 0x00, 0x4d,
        0x00, 0x69, 0x00, 0x73, 0x00, 0x63, 0x00, 0x20, 0x00, 0x44, 0x00, 0x65, 0x00, 0x76, 0x00, 0x69, 0x00,
        0x63, 0x00, 0x65, 0x00, 0x00, 0x00, 0x02, 0x01, 0x0c, 0x00, 0xd0, 0x41, 0x03, 0x0a, 0x00, 0x00, 0x00,
        0x00, 0x01, 0x01, 0x06, 0x00, 0x00, 0x03, 0x7f, 0xff, 0x04, 0x00, 0x4e, 0xac, 0x08, 0x81, 0x11, 0x9f,
        0x59, 0x4d, 0x85, 0x0e, 0xe2, 0x1a, 0x52, 0x2c, 0x59, 0xb2,
    ];

    #[test]
    fn an_option_comes_back_as_it_was() {
        let option = LoadOption::starting("Coracle", place(7, "\\EFI\\systemd\\systemd-bootx64.efi"));
        let mut bytes = option.encode().unwrap();
        assert_eq!(bytes[..10], *b"\x01\0\0\0\x74\0C\0o\0");
        assert!(option.is_active());
        bytes.extend(b"for the program");
        assert_eq!(LoadOption::parse(&bytes), Some(option));
    }

    #[test]
    fn one_that_starts_something_else_is_still_an_option() {
        // As firmware has it for a network card: hardware, and no file.
        let bytes = b"\x09\0\0\0\x0a\0P\0X\0E\0\0\0\x01\x01\x06\0\0\x03\x7f\xff\x04\0";
        let option = LoadOption::parse(bytes).unwrap();
        assert_eq!((option.description.as_str(), option.place.clone()), ("PXE", None));
        assert_eq!(option.encode(), None);
        assert_eq!(LoadOption::parse(&bytes[..20]), None, "shorter than it says");
        assert_eq!(LoadOption::parse(b"\x01\0\0\0\0\0"), None, "no description");
    }

    #[test]
    fn one_of_a_firmware_is_read() {
        let option = LoadOption::parse(OF_OVMF).unwrap();
        assert_eq!((option.description.as_str(), option.is_active()), ("UEFI Misc Device", true));
        assert_eq!(option.place, None);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = LoadOption::parse(&bytes);
            let _ = Place::parse(&bytes);
        }

        #[test]
        fn no_change_of_one_byte_is_too_strange(at in 0usize..200, byte: u8) {
            let option = LoadOption::starting("Coracle", place(7, "\\EFI\\systemd\\systemd-bootx64.efi"));
            let mut bytes = option.encode().unwrap();
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = LoadOption::parse(&bytes);
        }

        #[test]
        fn every_option_comes_back(
            description in "[^\0]{0,100}", file in "[^\0]{0,100}", number: u32, first_lba: u64, blocks: u64, guid: u128,
        ) {
            let guid = coracle_gpt::Guid::from_u128(guid);
            let partition = crate::Partition { number, first_lba, blocks, guid };
            let option = LoadOption::starting(&description, Place { partition, file });
            prop_assert_eq!(LoadOption::parse(&option.encode().unwrap()), Some(option));
        }
    }
}
