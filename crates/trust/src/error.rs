//! Why there is no repository.

use std::{fmt, io, path::PathBuf, time::Duration};

use coracle_rollout::{Line, Time, label::TargetName};

use crate::transport::Fault;

/// Who signs what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Says whose signatures count.
    Root,
    /// Says which snapshot is the newest.
    Timestamp,
    /// Says which list of targets belongs to it.
    Snapshot,
    /// Lists the files.
    Targets,
}

/// Why there is no repository, or not what was asked of it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file of the store could not be read or written.
    #[error("{operation} {}", path.display())]
    Store {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The image's own root cannot be used.
    #[error("the image's root metadata is not valid")]
    Embedded {
        /// What is wrong with it.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A file did not come.
    #[error("fetch {file}")]
    Fetch {
        /// Its path in the repository.
        file: String,
        /// Why.
        source: Fault,
    },
    /// The metadata took too long.
    #[error("the metadata took longer than {} s", limit.as_secs())]
    Late {
        /// How long it may take.
        limit: Duration,
    },
    /// Too few signatures of the right keys.
    #[error("the {role} is not signed as it must be")]
    Signatures {
        /// Whose.
        role: Role,
        /// How far they go.
        source: Box<tough::schema::Error>,
    },
    /// Not metadata, or files that do not belong together.
    #[error("the metadata was refused")]
    Refused {
        /// Why.
        source: Box<tough::error::Error>,
    },
    /// Older than what was verified before.
    #[error("the {role} has version {got}, older than {floor}, which was verified before")]
    Rollback {
        /// Whose.
        role: Role,
        /// The version below which it must not be.
        floor: u64,
        /// Its version.
        got: u64,
    },
    /// Nobody vouches for it any more.
    #[error("the {role} expired at {expires}; it is {now}")]
    Expired {
        /// Whose.
        role: Role,
        /// When.
        expires: Time,
        /// The time that it was judged at.
        now: Time,
    },
    /// One key counts as several.
    #[error("the root lists one key under the IDs {first} and {second}")]
    KeyTwice {
        /// One ID.
        first: String,
        /// The other.
        second: String,
    },
    /// A repository that works in a way that is not followed here.
    #[error("the repository uses {what}, which is not supported")]
    Unsupported {
        /// In which way.
        what: &'static str,
    },
    /// The repository does not list a file.
    #[error("the repository has no {name}")]
    NoTarget {
        /// Its name.
        name: TargetName,
    },
    /// A file is longer than its kind may be.
    #[error("{name} has {bytes} bytes, more than {limit}")]
    TooLarge {
        /// Its name.
        name: TargetName,
        /// Its length.
        bytes: u64,
        /// The limit.
        limit: u64,
    },
    /// The manifest and the list of targets disagree about a file's length.
    #[error("{name} has {listed} bytes in the list of targets, {wanted} in the manifest")]
    TargetBytes {
        /// Its name.
        name: TargetName,
        /// What the list says.
        listed: u64,
        /// What the manifest says.
        wanted: u64,
    },
    /// The file is not the one that the list of targets describes.
    #[error("{name} is not the file that the list of targets describes")]
    TargetContent {
        /// Its name.
        name: TargetName,
    },
    /// The manifest cannot be read.
    #[error("read {name}")]
    Manifest {
        /// Its name.
        name: TargetName,
        /// Why.
        source: coracle_rollout::manifest::Error,
    },
    /// The manifest is for other machines.
    #[error("{name} is the manifest of {got}, not of {want}")]
    OtherLine {
        /// Its name.
        name: TargetName,
        /// Which line was asked for.
        want: Box<Line>,
        /// Which it is for.
        got: Box<Line>,
    },
}

impl Error {
    pub(crate) fn store(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Store { operation, path, source }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root",
            Self::Timestamp => "timestamp",
            Self::Snapshot => "snapshot",
            Self::Targets => "list of targets",
        })
    }
}
