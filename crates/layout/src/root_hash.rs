//! The digest that names a verity tree.

use std::{fmt, str::FromStr};

/// The root hash of a dm-verity tree: SHA-256 of the salt and the tree's top block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootHash([u8; 32]);

/// A text that is not 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a root hash is 64 hexadecimal digits, not {length} characters of this kind")]
pub struct BadRootHash {
    /// Length of the refused text, in bytes.
    pub length: usize,
}

impl RootHash {
    /// Takes the 32 bytes of a SHA-256 digest.
    pub const fn new(digest: [u8; 32]) -> Self {
        Self(digest)
    }

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl FromStr for RootHash {
    type Err = BadRootHash;

    fn from_str(text: &str) -> Result<Self, BadRootHash> {
        let bad = BadRootHash { length: text.len() };
        let digits: &[u8; 64] = text.as_bytes().try_into().map_err(|_| bad)?;
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(digits.chunks_exact(2)) {
            let mut value = 0;
            for digit in pair {
                value = value << 4 | char::from(*digit).to_digit(16).ok_or(bad)? as u8;
            }
            *byte = value;
        }
        Ok(Self(digest))
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for RootHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_bytes_round_trip() {
        let hash = RootHash::new(std::array::from_fn(|i| i as u8 * 8));
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!(hash.to_string().to_uppercase().parse(), Ok(hash));
    }

    #[test]
    fn other_texts_are_refused() {
        let good = RootHash::new([0xab; 32]).to_string();
        for text in
            ["", &good[1..], &format!("{good}0"), &good.replacen('a', "g", 1), &good.replacen("ab", "é", 1)]
        {
            assert_eq!(text.parse::<RootHash>(), Err(BadRootHash { length: text.len() }), "{text:?}");
        }
    }
}
