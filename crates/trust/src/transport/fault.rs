//! Why bytes did not come.

use std::time::Duration;

/// Why bytes did not come.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// The file is not there. A server that hides what is there says the same.
    #[error("there is no such file")]
    Missing,
    /// The server does not want to be asked now.
    #[error("the server is busy (status {status})")]
    Busy {
        /// What it said.
        status: u16,
        /// When it wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The server said something else than yes.
    #[error("the server answered with status {status}")]
    Status {
        /// What it said.
        status: u16,
    },
    /// No connection, or one that broke.
    #[error("no answer from the server")]
    Unreachable {
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Bytes come too slowly, or not at all.
    #[error("fewer than {least} bytes in {} s", within.as_secs())]
    TooSlow {
        /// How many must come.
        least: u64,
        /// In which time.
        within: Duration,
    },
    /// More bytes than wanted.
    #[error("more than {limit} bytes")]
    TooLong {
        /// How many are wanted.
        limit: u64,
    },
    /// Fewer bytes than wanted.
    #[error("the answer ended {missing} bytes early")]
    TooShort {
        /// How many did not come.
        missing: u64,
    },
    /// The server gives whole files only.
    #[error("the server does not give parts of files")]
    NoParts,
    /// Not the part that was asked for, or a part of a file of another length.
    #[error("the server gave the part {got:?} instead of {want:?}")]
    OtherPart {
        /// What was asked for, as in a `Content-Range`.
        want: String,
        /// What the server says that it gave.
        got: String,
    },
    /// A name that no file of a repository has.
    #[error("{name:?} is not the name of a file of a repository")]
    Name {
        /// The name.
        name: String,
    },
    /// A file of the folder could not be read.
    #[error("read the file")]
    Io(#[from] std::io::Error),
}
