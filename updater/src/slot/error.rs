//! What can go wrong with an installation, and who must act.

use std::{fmt, io, path::PathBuf};

use coracle_layout::{RootHash, Slot};
use coracle_verity::Damage;

/// A failed installation.
///
/// Whatever it is, the running slot was not touched, and the target cannot be chosen or is whole.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A partition cannot be opened.
    #[error("open {}", path.display())]
    Open {
        /// Its node.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A partition is mounted, is under a dm-verity device, or another process writes it.
    #[error("{} is in use", path.display())]
    Busy {
        /// Its node.
        path: PathBuf,
    },
    /// What should be the other slot's partition is one of the running slot, or twice the same.
    #[error("{} is not a partition of the other slot alone", path.display())]
    NotOther {
        /// Its node.
        path: PathBuf,
    },
    /// The root does not fit.
    #[error("{partition} has {has} bytes, {needs} are needed")]
    TooSmall {
        /// The partition's label.
        partition: &'static str,
        /// Its bytes.
        has: u64,
        /// Bytes that would be written.
        needs: u64,
    },
    /// The ops file is not one of a root: it is not known by a root hash, or not of two whole blocks and more.
    #[error("the ops file does not make a root")]
    NotARoot,
    /// The ops file makes another root.
    #[error("the ops file makes root {got}, not {want}")]
    OtherTarget {
        /// The root asked for.
        want: RootHash,
        /// The one it makes.
        got: RootHash,
    },
    /// The ops file starts from another root than the one that runs.
    #[error("the ops file does not start from root {running}")]
    OtherSource {
        /// The root that runs.
        running: RootHash,
    },
    /// The ops file's bytes do not come.
    #[error("fetch the body of operation {op}")]
    Fetch {
        /// The operation.
        op: usize,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// An operation cannot be done.
    #[error("apply the ops file")]
    Apply(#[source] coracle_ops::Error),
    /// There is no second thread to be had.
    #[error("start the thread that writes")]
    Thread {
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The disk does not do what it is told.
    #[error("{operation} {partition} at byte {at}")]
    Device {
        /// What was asked of it.
        operation: Operation,
        /// The partition's label.
        partition: &'static str,
        /// Where.
        at: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// The place of the checkpoints does not do what it is told.
    #[error("{operation} the checkpoint")]
    Checkpoint {
        /// What was asked of it.
        operation: Operation,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// What was written, or what the disk gives back of it, is not the root that was to be written.
    #[error("slot {slot} has root {got}, not {want}")]
    RootHashMismatch {
        /// The slot.
        slot: Slot,
        /// The root asked for.
        want: RootHash,
        /// What came out.
        got: RootHash,
    },
    /// What the disk gives back of the tree is not what was written to it.
    #[error("slot {slot} does not read back as it was written")]
    ReadBack {
        /// The slot.
        slot: Slot,
        /// The first difference; `None`: the superblock.
        #[source]
        source: Option<Damage>,
    },
    /// The tree cannot be built or read.
    #[error("build the tree")]
    Tree(#[source] coracle_verity::Error),
}

/// What was asked of a device or a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Give bytes.
    Read,
    /// Take bytes.
    Write,
    /// Keep what was written.
    Flush,
    /// Lose what was kept.
    Remove,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Flush => "flush",
            Self::Remove => "remove",
        })
    }
}

/// Who must act, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The agent: fetch again, from the same server or another. What was written stays good.
    FetchAgain,
    /// The agent: take the full file, once, from its start. After that it is the publisher's release, or the disk.
    TakeFull,
    /// The publisher: this release is not for this machine.
    OtherRelease,
    /// The operator: the disk fails, or its slots do.
    MendDisk,
    /// The operator: the state partition is full or fails.
    MendState,
    /// The agent: it is not alone, or looks at the wrong partitions. Nothing was changed.
    Stop,
}

impl Error {
    /// Who must act, and how.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Busy { .. } | Self::NotOther { .. } | Self::Thread { .. } => Remedy::Stop,
            Self::TooSmall { .. } | Self::NotARoot | Self::OtherTarget { .. } => Remedy::OtherRelease,
            Self::Fetch { .. } | Self::Apply(coracle_ops::Error::Body { .. }) => Remedy::FetchAgain,
            Self::Open { .. } | Self::Device { .. } | Self::Apply(coracle_ops::Error::ReadTarget { .. }) => {
                Remedy::MendDisk
            }
            Self::Tree(_) => Remedy::MendDisk,
            Self::Checkpoint { .. } => Remedy::MendState,
            // A full file reads no source. Nor does it help against a disk that loses what it is given, but it tells the two apart.
            Self::Apply(_) | Self::OtherSource { .. } => Remedy::TakeFull,
            Self::RootHashMismatch { .. } | Self::ReadBack { .. } => Remedy::TakeFull,
        }
    }
}
