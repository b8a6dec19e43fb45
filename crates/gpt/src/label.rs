//! Partition labels: up to 36 UTF-16 units, little-endian on disk, zeros after.

use std::fmt;
use std::str::FromStr;

/// UTF-16 units in an entry's name field.
const UNITS: usize = 36;

/// Bytes of the name field.
pub(crate) const LABEL_BYTES: usize = UNITS * 2;

/// A partition's label. What a foreign tool wrote is kept unit for unit, even if it is not valid UTF-16.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Label([u16; UNITS]);

/// A label that has no form on disk.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// More than 36 UTF-16 units.
    #[error("a label of {units} UTF-16 units is longer than 36")]
    Long {
        /// Its length.
        units: usize,
    },
    /// Control characters, NUL among them, are no part of a name.
    #[error("label {label:?} has a control character")]
    Control {
        /// The refused label.
        label: String,
    },
}

impl Label {
    /// Reads the form on disk, up to the first zero unit.
    pub(crate) fn from_disk(bytes: &[u8; LABEL_BYTES]) -> Self {
        let mut units = [0; UNITS];
        for (unit, pair) in units.iter_mut().zip(bytes.chunks_exact(2)) {
            match u16::from_le_bytes([pair[0], pair[1]]) {
                0 => break,
                value => *unit = value,
            }
        }
        Self(units)
    }

    /// The form on disk.
    pub(crate) fn to_disk(self) -> [u8; LABEL_BYTES] {
        let mut bytes = [0; LABEL_BYTES];
        for (pair, unit) in bytes.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&unit.to_le_bytes());
        }
        bytes
    }
}

impl FromStr for Label {
    type Err = LabelError;

    fn from_str(text: &str) -> Result<Self, LabelError> {
        let count = text.encode_utf16().count();
        if count > UNITS {
            return Err(LabelError::Long { units: count });
        }
        if text.chars().any(char::is_control) {
            return Err(LabelError::Control { label: text.to_owned() });
        }
        let mut units = [0; UNITS];
        for (unit, value) in units.iter_mut().zip(text.encode_utf16()) {
            *unit = value;
        }
        Ok(Self(units))
    }
}

impl PartialEq<str> for Label {
    fn eq(&self, text: &str) -> bool {
        self.0.into_iter().take_while(|unit| *unit != 0).eq(text.encode_utf16())
    }
}

impl PartialEq<&str> for Label {
    fn eq(&self, text: &&str) -> bool {
        *self == **text
    }
}

impl fmt::Display for Label {
    /// Shows invalid units and control characters as U+FFFD.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text: String = char::decode_utf16(self.0.into_iter().take_while(|unit| *unit != 0))
            .map(|char| char.ok().filter(|char| !char.is_control()).unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        f.pad(&text)
    }
}

impl fmt::Debug for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.to_string())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn length_counts_utf16_units() {
        assert!("x".repeat(36).parse::<Label>().is_ok());
        assert_eq!("x".repeat(37).parse::<Label>(), Err(LabelError::Long { units: 37 }));
        assert!("\u{1f6f6}".repeat(18).parse::<Label>().is_ok());
        assert_eq!("\u{1f6f6}".repeat(19).parse::<Label>(), Err(LabelError::Long { units: 38 }));
        assert!(matches!("a\0".parse::<Label>(), Err(LabelError::Control { .. })));
    }

    #[test]
    fn foreign_units_are_shown_safely_and_kept() {
        let mut bytes = [0; LABEL_BYTES];
        bytes[..8].copy_from_slice(&[b'a', 0, 0x00, 0xd8, 0x1b, 0, b'b', 0]);
        let label = Label::from_disk(&bytes);
        assert_eq!(label.to_string(), "a\u{fffd}\u{fffd}b");
        assert_eq!(label.to_disk(), bytes);
    }

    proptest! {
        #[test]
        fn labels_round_trip(text in "\\PC{0,18}") {
            if let Ok(label) = text.parse::<Label>() {
                prop_assert!(label == *text);
                prop_assert_eq!(Label::from_disk(&label.to_disk()), label);
                prop_assert_eq!(label.to_string(), text);
            }
        }
    }
}
