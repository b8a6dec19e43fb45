//! Why there is no copy, and no bundle.

use std::path::PathBuf;

use coracle_layout::OsVersion;
use coracle_rollout::label::{Label, TargetName};
use coracle_trust::transport::{BadServer, Fault};

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file operation failed.
    #[error(transparent)]
    Files(#[from] crate::repository::Error),
    /// Nothing says what to trust.
    #[error(
        "nothing says whom to trust: name the repository's root metadata with --root (its metadata/1.root.json, from a place you trust)"
    )]
    NoRoot,
    /// Somebody else is writing there.
    #[error("{} is being written to by another process", folder.display())]
    Busy {
        /// The folder.
        folder: PathBuf,
    },
    /// The server cannot be used.
    #[error("{from} cannot be used")]
    Server {
        /// Its address.
        from: String,
        /// Why.
        source: BadServer,
    },
    /// What is there is nothing that a machine believes.
    #[error("{from} was not copied, as a machine would refuse it")]
    Refused {
        /// Where it is.
        from: String,
        /// Why.
        source: Box<coracle_trust::Error>,
    },
    /// The roots do not lead from one to the next.
    #[error("root {version} does not lead to the newest one, or is another than the trusted one")]
    Chain {
        /// Which.
        version: u64,
    },
    /// It would go back.
    #[error("the copy has timestamp {there}, and {got} is older")]
    Older {
        /// The copy's version.
        there: u64,
        /// The other one's.
        got: u64,
    },
    /// A file did not come.
    #[error("fetch {file}")]
    Fetch {
        /// Its name.
        file: String,
        /// Why.
        source: Fault,
    },
    /// A file is not the one that the metadata lists.
    #[error("{name} is not the file that the repository lists")]
    Content {
        /// Its name.
        name: TargetName,
    },
    /// A bundle cannot be used.
    #[error("{} is no bundle: {why}", path.display())]
    Bundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such channel.
    #[error("there is no channel {channel}; there are: {}", known.join(", "))]
    NoChannel {
        /// What was asked for.
        channel: Label,
        /// What there is.
        known: Vec<String>,
    },
    /// It has no such release.
    #[error("channel {channel} does not offer {version}")]
    NoRelease {
        /// The channel.
        channel: Label,
        /// What was asked for.
        version: OsVersion,
    },
}
