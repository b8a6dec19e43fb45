//! The cache key: two builds with the same key give the same kernel.
//!
//! SHA-256 over these fields, each preceded by its length as a little-endian `u64`:
//!
//! | # | field |
//! |---|---|
//! | 1 | [`SCHEMA`]: changes when this program builds differently from the same inputs |
//! | 2 | digest of the source tarball, hexadecimal |
//! | 3 | the fragments' text, in the profile's order |
//! | 4 | first line of `gcc --version` |
//! | 5 | number of the compressor's parameters, decimal |

use crate::source::hex;
use sha2::{Digest as _, Sha256};

/// The version of the way a kernel is built.
pub const SCHEMA: &str = "coracle-kernel 1";

/// What decides the result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inputs<'a> {
    /// Digest of the source tarball.
    pub source: &'a str,
    /// The fragments, one after the other.
    pub fragments: &'a str,
    /// The compiler's own words about its version.
    pub compiler: &'a str,
    /// What compresses the kernel: [`coracle_bzimage::PARAMETERS`].
    pub packer: u16,
}

/// The name of a cache entry: 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The key of these inputs under the present [`SCHEMA`].
    pub fn of(inputs: &Inputs<'_>) -> Key {
        Key::under(SCHEMA, inputs)
    }

    fn under(schema: &str, inputs: &Inputs<'_>) -> Key {
        let mut hash = Sha256::new();
        let packer = inputs.packer.to_string();
        for field in [schema, inputs.source, inputs.fragments, inputs.compiler, &packer] {
            hash.update((field.len() as u64).to_le_bytes());
            hash.update(field.as_bytes());
        }
        Key(hex(&hash.finalize()))
    }

    /// The hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_input_changes_the_key() {
        let base = Inputs { source: "s", fragments: "f", compiler: "c", packer: 1 };
        let keys = [
            Key::of(&base),
            Key::of(&Inputs { source: "t", ..base.clone() }),
            Key::of(&Inputs { fragments: "g", ..base.clone() }),
            Key::of(&Inputs { compiler: "d", ..base.clone() }),
            Key::of(&Inputs { packer: 2, ..base.clone() }),
            Key::under("other", &base),
            // Bytes that move from one field to the next are another input.
            Key::of(&Inputs { source: "sf", fragments: "", ..base.clone() }),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert!(keys[i + 1..].iter().all(|b| a != b), "{i}");
        }
        assert_eq!(Key::of(&base), keys[0]);
        assert_eq!(keys[0].as_str().len(), 64);
    }
}
