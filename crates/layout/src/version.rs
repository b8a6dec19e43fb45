//! The version of an operating system image.

use std::{cmp::Ordering, fmt, str::FromStr};

/// A version of the form `MAJOR.MINOR.PATCH`, at most ten bytes, so that every boot entry's file name fits in
/// 26 characters (`coracle_VERSION+3-0.efi`).
///
/// Ordered number by number, as the UAPI Group Version Format Specification orders such versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OsVersion([u32; 3]);

/// A text that is not an [`OsVersion`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadVersion {
    /// Longer than ten bytes.
    #[error("a version is at most {} bytes long, this one has {length}", OsVersion::MAX_LEN)]
    TooLong {
        /// Length of the refused text, in bytes.
        length: usize,
    },
    /// Not three decimal numbers without leading zeros, separated by dots.
    #[error("a version is three numbers without leading zeros, as in 1.2.3")]
    NotThreeNumbers,
}

impl OsVersion {
    /// The longest version, in bytes.
    pub const MAX_LEN: usize = 10;
}

impl FromStr for OsVersion {
    type Err = BadVersion;

    fn from_str(text: &str) -> Result<Self, BadVersion> {
        if text.len() > Self::MAX_LEN {
            return Err(BadVersion::TooLong { length: text.len() });
        }
        let mut fields = text.split('.');
        let mut numbers = [0; 3];
        for number in &mut numbers {
            *number = fields.next().and_then(number_of).ok_or(BadVersion::NotThreeNumbers)?;
        }
        match fields.next() {
            None => Ok(Self(numbers)),
            Some(_) => Err(BadVersion::NotThreeNumbers),
        }
    }
}

/// A decimal number with one spelling only: digits, and no zero in front of others.
fn number_of(field: &str) -> Option<u32> {
    let canonical = field == "0" || !field.starts_with('0');
    (canonical && field.bytes().all(|byte| byte.is_ascii_digit())).then(|| field.parse().ok()).flatten()
}

impl fmt::Display for OsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

impl Ord for OsVersion {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for OsVersion {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_round_trip_and_order_by_number() {
        let texts = ["0.0.1", "0.1.0", "0.9.9", "0.10.0", "1.0.0", "26.11.1000"];
        let versions = texts.map(|text| text.parse::<OsVersion>().unwrap());
        assert_eq!(versions.map(|version| version.to_string()), texts.map(String::from));
        assert!(versions.is_sorted());
    }

    #[test]
    fn other_texts_are_refused() {
        for text in
            ["", "1", "1.2", "1.2.3.4", "1.2.", "01.2.3", "1.2.x", "+1.2.3", "1.2.-3", "1 .2.3", "1.2.3+3"]
        {
            assert_eq!(text.parse::<OsVersion>(), Err(BadVersion::NotThreeNumbers), "{text:?}");
        }
        assert_eq!("1000.100.100".parse::<OsVersion>(), Err(BadVersion::TooLong { length: 12 }));
    }
}
