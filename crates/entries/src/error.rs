//! What can keep an entry from being changed.

use std::io;
use std::path::PathBuf;

use coracle_layout::OsVersion;
use coracle_uki::entry::BadEntryName;

/// Why nothing was done, or not all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("{operation} {object}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// With what.
        object: String,
        /// Why not.
        source: io::Error,
    },
    /// The folder is on no mounted vfat.
    #[error("{path:?} is not on a vfat filesystem")]
    NotVfat {
        /// The folder.
        path: PathBuf,
    },
    /// The filesystem is mounted in a way that breaks up what has to reach the disk at once.
    #[error("{path:?} is mounted with {option}")]
    Mounted {
        /// The folder.
        path: PathBuf,
        /// The option that must not be.
        option: &'static str,
    },
    /// The filesystem is mounted read-only, by whomever, or by the kernel after an error.
    #[error("{path:?} is mounted read-only")]
    ReadOnly {
        /// The folder.
        path: PathBuf,
    },
    /// The filesystem is too full.
    #[error("{needed} bytes are needed, {free} are free")]
    Space {
        /// Bytes of the entry, and what is to stay free.
        needed: u64,
        /// Bytes.
        free: u64,
    },
    /// With one more file the names would no longer stand in one sector.
    #[error(
        "{} has no place for one more file beside {}: somebody has to remove what is not Coracle's",
        path.display(),
        files.join(", ")
    )]
    Crowded {
        /// The folder.
        path: PathBuf,
        /// What is there.
        files: Vec<String>,
    },
    /// The version has an entry.
    #[error("version {version} has an entry")]
    Exists {
        /// Which.
        version: OsVersion,
    },
    /// The version has no entry.
    #[error("version {version} has no entry")]
    Absent {
        /// Which.
        version: OsVersion,
    },
    /// The version has several entries, and it is not known which is the right one.
    #[error("version {version} has more than one entry")]
    Twice {
        /// Which.
        version: OsVersion,
    },
    /// The version's entry is on trial, or was given up.
    #[error("the entry of version {version} is not blessed")]
    NotBlessed {
        /// Which.
        version: OsVersion,
    },
    /// The version is the running one.
    #[error("version {version} is running")]
    Running {
        /// Which.
        version: OsVersion,
    },
    /// With no entry left that carries no counter, the loader would never come back from a bad one.
    #[error("no entry is good besides that of version {version}")]
    NoOtherGood {
        /// Which.
        version: OsVersion,
    },
    /// The kernel image is not as it was made.
    #[error("{name} has rotted")]
    Rotten {
        /// Its file's name.
        name: String,
        /// How that is known.
        source: coracle_uki::Unread,
    },
    /// The kernel image boots another root.
    #[error("the command line of {name} names another root")]
    OtherRoot {
        /// Its file's name.
        name: String,
    },
    /// Nothing on the partition could be copied.
    #[error(
        "neither the entry of version {version} nor the fallback is whole: somebody has to put the kernel image of this version \
         back before the next boot"
    )]
    NoneWhole {
        /// What runs.
        version: OsVersion,
        /// What is wrong with the entry.
        source: Box<Error>,
    },
    /// There is nothing in the file.
    #[error("{name} is empty")]
    Empty {
        /// Its name.
        name: String,
    },
    /// What was to be written is not what was announced.
    #[error("what is to become {name} has other bytes than announced")]
    Content {
        /// The entry's name.
        name: String,
    },
    /// The disk does not give back what was written.
    #[error("{name} is read back with other bytes than were written")]
    ReadBack {
        /// The temporary file's name.
        name: String,
    },
    /// The file was put in its place, and is not there as it should.
    #[error("{name} is not there after it was made")]
    Lost {
        /// Its name.
        name: String,
    },
    /// Files share clusters: deleting any would free clusters of another.
    #[error("/{path} shares clusters with something else, so nothing is deleted")]
    Shared {
        /// One of the files, from the root of the filesystem.
        path: String,
    },
    /// The volume cannot be read past the mount.
    #[error("read the volume {device:?}")]
    Volume {
        /// Its device.
        device: PathBuf,
        /// Why not.
        source: coracle_fat::read::Error,
    },
    /// The version leaves no room for a counter in the name.
    #[error("name the entry")]
    Name(#[source] BadEntryName),
}

impl Error {
    /// Says what was tried with what.
    pub(crate) fn on<E: Into<io::Error>>(
        operation: &'static str,
        object: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        let object = object.into();
        move |source| Self::File { operation, object, source: source.into() }
    }
}
