//! What can go wrong between a tarball and a kernel.

use crate::config::Missing;
use std::path::PathBuf;

/// Why there is no kernel.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A fragment is not well formed.
    #[error("cannot read the kernel fragments")]
    Fragments(#[from] crate::fragment::Error),
    /// The tarball cannot be read.
    #[error("cannot read the kernel source {path}")]
    ReadSource {
        /// The tarball.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The tarball is not the one that was pinned.
    #[error("kernel source {path} has digest {got}, want {want}")]
    SourceDigest {
        /// The tarball.
        path: PathBuf,
        /// The pinned digest.
        want: String,
        /// Its real digest.
        got: String,
    },
    /// A program could not be started.
    #[error("cannot run {program}")]
    Run {
        /// The program.
        program: String,
        /// Why.
        source: std::io::Error,
    },
    /// A program ended in failure.
    #[error("{command} failed ({status}); its last lines:\n{tail}")]
    Failed {
        /// The program and what it was to do.
        command: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The last 30 lines that it wrote.
        tail: String,
    },
    /// The configuration is not the one asked for.
    #[error("the kernel configuration differs from what was asked for:\n{}", lines(.0))]
    Config(Vec<Missing>),
    /// The kernel's payload cannot be compressed.
    #[error("cannot compress the kernel")]
    Pack(#[source] coracle_bzimage::Error),
    /// The kernel was built, and what was to be compressed in it is not there: the makefile does not notice that.
    #[error("the kernel {path} has no payload that can be unpacked")]
    Payload {
        /// The kernel.
        path: PathBuf,
        /// Why.
        source: coracle_bzimage::Error,
    },
    /// A file or folder operation failed.
    #[error("cannot {operation} {path}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn file(
        operation: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::File { operation, path, source }
    }
}

fn lines(missing: &[Missing]) -> String {
    missing.iter().map(|one| format!("  {one}")).collect::<Vec<_>>().join("\n")
}
