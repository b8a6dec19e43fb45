//! What can be wrong with a manifest.

/// A manifest that was refused.
#[derive(Debug, thiserror::Error)]
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
    /// Not JSON, a field that is missing, or one that is not what it should be.
    #[error("the manifest's field {field}")]
    Field {
        /// Its path, as in `releases[2].root.hash`; `.` for the whole.
        field: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// A form that old readers must not read.
    #[error("the manifest has schema {got}; this reader knows schema 1")]
    Schema {
        /// The form.
        got: u32,
    },
    /// A field that must not be ignored, and is not known here.
    #[error("the manifest has a critical field {name:?} that this reader does not know")]
    Critical {
        /// Its name.
        name: String,
    },
    /// More entries, bytes or characters than allowed.
    #[error("the manifest's field {field} has {got}, more than {limit}")]
    TooMuch {
        /// Its path.
        field: String,
        /// What it has.
        got: u64,
        /// The limit.
        limit: u64,
    },
    /// Less than allowed.
    #[error("the manifest's field {field} has {got}, less than {least}")]
    TooLittle {
        /// Its path.
        field: String,
        /// What it has.
        got: u64,
        /// The least.
        least: u64,
    },
    /// Not higher, or not as high, as the one before it in the list.
    #[error("the manifest's field {field} is out of order")]
    Order {
        /// Its path.
        field: String,
    },
    /// The same as another entry of the list.
    #[error("the manifest's field {field} is in the list twice")]
    Twice {
        /// Its path.
        field: String,
    },
    /// A value that its field cannot have.
    #[error("the manifest's field {field} must be {rule}")]
    Rule {
        /// Its path.
        field: String,
        /// What it must be.
        rule: &'static str,
    },
}
