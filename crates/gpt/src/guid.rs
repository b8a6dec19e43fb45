//! GUIDs. In text and here the bytes stand in reading order; on disk the first three groups are little-endian:
//!
//! | text group | bytes | on disk       |
//! |------------|------:|---------------|
//! | 1          |     4 | little-endian |
//! | 2, 3       |  2, 2 | little-endian |
//! | 4, 5       |  2, 6 | as in text    |

use std::fmt;
use std::str::FromStr;

/// A GUID, shown in lower case.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Guid(u128);

/// The text is not of the form `01234567-89ab-cdef-0123-456789abcdef`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("parse GUID {text:?}: not five groups of 8, 4, 4, 4 and 12 hexadecimal digits")]
pub struct GuidError {
    text: String,
}

impl Guid {
    /// All zeros; as a type it marks an unused entry.
    pub const ZERO: Self = Self(0);

    /// The GUID with these 32 digits, for constants: `0x0fc63daf_8483_4772_8e79_3d69d8477de4`.
    pub const fn from_u128(digits: u128) -> Self {
        Self(digits)
    }

    /// A version 4 GUID from 16 random bytes.
    pub const fn from_random(bytes: [u8; 16]) -> Self {
        Self::with_version(bytes, 4)
    }

    /// A version 8 GUID from bytes that were derived from something, such as a digest (RFC 9562, section 5.8).
    pub const fn from_derived(bytes: [u8; 16]) -> Self {
        Self::with_version(bytes, 8)
    }

    const fn with_version(bytes: [u8; 16], version: u128) -> Self {
        let free = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0b11 << 62);
        Self(free | version << 76 | 0b10 << 62)
    }

    /// Whether it says of itself that it is random.
    pub const fn is_random(self) -> bool {
        self.0 >> 76 & 0xf == 4
    }

    /// The bytes in reading order, as everything but GPT stores a UUID.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// The reverse of [`Guid::to_bytes`].
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(bytes))
    }

    /// Reads the form on disk.
    pub fn from_disk(bytes: [u8; 16]) -> Self {
        Self(u128::from_be_bytes(swap(bytes)))
    }

    /// The form on disk.
    pub fn to_disk(self) -> [u8; 16] {
        swap(self.0.to_be_bytes())
    }
}

/// Turns the bytes of the first three groups around; its own inverse.
fn swap(b: [u8; 16]) -> [u8; 16] {
    [b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]]
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = |shift: u32, digits: u32| (self.0 >> shift) & ((1 << (4 * digits)) - 1);
        let (a, b, c, d, e) = (group(96, 8), group(80, 4), group(64, 4), group(48, 4), group(0, 12));
        write!(f, "{a:08x}-{b:04x}-{c:04x}-{d:04x}-{e:012x}")
    }
}

impl fmt::Debug for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Guid {
    type Err = GuidError;

    /// Takes digits of either case.
    fn from_str(text: &str) -> Result<Self, GuidError> {
        let error = || GuidError { text: text.chars().take(64).collect() };
        if text.len() != 36 {
            return Err(error());
        }
        let mut value = 0;
        for (at, char) in text.char_indices() {
            match (at, char) {
                (8 | 13 | 18 | 23, '-') => {}
                (8 | 13 | 18 | 23, _) => return Err(error()),
                (_, digit) => value = value << 4 | u128::from(digit.to_digit(16).ok_or_else(error)?),
            }
        }
        Ok(Self(value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_esp_type_has_its_known_bytes() {
        let esp: Guid = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B".parse().expect("a GUID");
        let disk =
            [0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b];
        assert_eq!(esp.to_disk(), disk);
        assert_eq!(Guid::from_disk(disk), Guid::from_u128(0xc12a7328_f81f_11d2_ba4b_00a0c93ec93b));
        assert_eq!(esp.to_string(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    }

    #[test]
    fn a_guid_says_where_it_came_from() {
        let (random, derived) = (Guid::from_random([0xff; 16]), Guid::from_derived([0xff; 16]));
        assert!(random.is_random() && !derived.is_random() && !Guid::ZERO.is_random());
        assert_eq!(derived.to_string(), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(Guid::from_bytes(derived.to_bytes()), derived);
    }

    #[test]
    fn random_bytes_become_version_4() {
        let (ones, zeros) = (Guid::from_random([0xff; 16]), Guid::from_random([0; 16]));
        assert_eq!(ones.to_string(), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        assert_eq!(zeros.to_string(), "00000000-0000-4000-8000-000000000000");
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "c12a7328f81f11d2ba4b00a0c93ec93b",
            "{12a7328-f81f-11d2-ba4b-00a0c93ec93b",
            "c12a7328-f81f-11d2-ba4b-00a0c93ec93b0",
            "c12a73280f81f-11d2-ba4b-00a0c93ec93b",
            "c12a7328-f81f-11d2-ba4b-00a0c93ec9\u{e9}",
        ] {
            assert!(text.parse::<Guid>().is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn text_and_disk_forms_round_trip(digits: u128) {
            let guid = Guid::from_u128(digits);
            prop_assert_eq!(guid.to_string().parse(), Ok(guid));
            prop_assert_eq!(Guid::from_disk(guid.to_disk()), guid);
        }

        #[test]
        fn arbitrary_text_never_panics(text in "\\PC{30,40}") {
            let _ = text.parse::<Guid>(); // only a panic would be wrong
        }
    }
}
