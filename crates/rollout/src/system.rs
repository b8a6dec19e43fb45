//! What can be installed and booted, by name.

use std::fmt;

use coracle_layout::{OsVersion, RootHash};
use serde::{Deserialize, Serialize};

use crate::text;

/// An operating system image: the version is what people call it, the root hash is what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct System {
    /// Its version.
    #[serde(with = "text")]
    pub version: OsVersion,
    /// The root hash of its root, which is on its signed command line.
    #[serde(with = "text")]
    pub root: RootHash,
}

impl fmt::Display for System {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (root {})", self.version, self.root)
    }
}

/// Counts the times that going back was closed for good: a release of a lower epoch is never installed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u32);
