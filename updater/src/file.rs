//! What the system says of a file, a folder or a mount.

use std::io;
use std::path::{Path, PathBuf};

/// Something could not be done with a file.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}", path.display())]
pub struct Failed {
    /// What was to be done.
    pub operation: &'static str,
    /// With what.
    pub path: PathBuf,
    /// The cause.
    #[source]
    pub source: io::Error,
}

/// For `map_err` on calls of the system.
pub(crate) fn failed(operation: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Failed {
    let path = path.as_ref().to_owned();
    move |source| Failed { operation, path, source }
}
