//! What can be wrong with a manifest.

use std::fmt;

/// A place in a manifest; line and column count from 1, both 0 when the reader knows none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Place {
    /// Line.
    pub line: u64,
    /// Column in characters.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// A manifest that was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More bytes than a manifest may have.
    #[error("the manifest has {got} bytes, more than {limit}")]
    TooLarge {
        /// Its length.
        got: usize,
        /// The limit.
        limit: usize,
    },
    /// Not YAML, a field that is not supported, or a value of the wrong type.
    #[error("{place}: {message}")]
    Read {
        /// Where.
        place: Place,
        /// What the reader says; names an unsupported field.
        message: String,
    },
    /// A value of the right type that is not allowed.
    #[error("{place}: {field}: {reason}")]
    Field {
        /// Where.
        place: Place,
        /// The field's path, such as `spec.containers`.
        field: String,
        /// What is wrong with it, and what is right.
        reason: String,
    },
}
