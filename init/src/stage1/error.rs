//! Why stage 1 cannot go on.
//!
//! The first words of a text are what fits in the boot record: the object comes early.

use std::{io, path::PathBuf};

use coracle_layout::BadRootHash;

use super::slots::Unfit;
use crate::disk;

/// A step that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The rotten entry was renamed: not a failure, but an end.
    #[error("another entry boots in place of this one")]
    GaveWay,
    /// A system call on an object.
    #[error("could not {action} {object}")]
    Os {
        /// What was to be done.
        action: &'static str,
        /// To what.
        object: String,
        #[source]
        source: io::Error,
    },
    /// A filesystem of the kernel is not mounted.
    #[error(transparent)]
    Api(#[from] crate::api::Error),
    /// The command line does not say what to boot.
    #[error("no roothash= on the command line")]
    NoRootHash,
    /// It says it in a way that nobody understands.
    #[error("roothash= is none")]
    RootHash(#[source] BadRootHash),
    /// A variable of the loader's does not read as it must.
    #[error("EFI variable {variable} is malformed")]
    Variable {
        /// Its name.
        variable: &'static str,
    },
    /// A disk or partition.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// The wait is over.
    #[error("no disk within {seconds} s{}", listed(.seen))]
    NoDisk {
        /// How long it was.
        seconds: u64,
        /// The disks that were there, each with the reason why it was not taken.
        seen: Vec<String>,
    },
    /// Whichever were taken, it could be the wrong one.
    #[error("two disks answer: {first} and {second}")]
    TwoDisks {
        /// One.
        first: String,
        /// The other.
        second: String,
    },
    /// Neither slot has the root.
    #[error("no slot of {disk} has this root: A {a}, B {b}")]
    NoSlot {
        /// The disk.
        disk: String,
        /// Why not slot A.
        a: Unfit,
        /// Why not slot B.
        b: Unfit,
    },
    /// The parameters of the verity target.
    #[error("verity table")]
    Table(#[source] coracle_verity::Error),
    /// A device-mapper command.
    #[error("verity device")]
    Mapper(#[source] coracle_fence::Error),
    /// A UKI on the ESP.
    #[error("no command line in {}", path.display())]
    Uki {
        /// Which.
        path: PathBuf,
        #[source]
        source: coracle_uki::Unread,
    },
}

impl Error {
    /// For `map_err` on calls of the standard library and of rustix.
    pub(super) fn on<E: Into<io::Error>>(
        action: &'static str,
        object: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        let object = object.into();
        move |source| Self::Os { action, object, source: source.into() }
    }
}

fn listed(seen: &[String]) -> String {
    if seen.is_empty() { String::new() } else { format!(" ({})", seen.join("; ")) }
}
