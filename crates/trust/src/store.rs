//! What is kept between refreshes: two files in a folder of its own.
//!
//! | file | content | power lost while it is written |
//! |---|---|---|
//! | `root.json` | the newest root that was verified | the one before, from which the way to the newest is found again |
//! | `floor.json` | the versions that were verified, the keys that signed them, the last time that is sure | the one before: what it allowed is allowed once more |
//!
//! A file changes by write, fsync, rename, fsync of the folder. `root.json` comes first: a new root with an old floor is a refresh
//! that was cut short, an old root with a new floor would be a rollback. A file that cannot be read is never a reason to start over
//! with nothing: without `root.json` the image's root counts, and `floor.json` still holds; without `floor.json` the image's floor
//! does, and the root's own version.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use coracle_rollout::Time;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::floor::Floor;

const ROOT: &str = "root.json";
const FLOOR: &str = "floor.json";
/// More than either file ever has.
const MAX_BYTES: u64 = 1 << 20;

/// The folder.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept<T> {
    /// It was never written.
    Nothing,
    /// This.
    Value(T),
    /// What nobody can read.
    Damaged,
}

/// `floor.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Memory {
    #[serde(flatten)]
    pub(crate) floor: Floor,
    /// The last refresh with a clock that was set, in seconds since 1970.
    seconds: Option<u64>,
}

impl Memory {
    pub(crate) fn new(floor: Floor, time: Option<Time>) -> Self {
        Self { floor, seconds: time.map(Time::unix) }
    }

    pub(crate) fn time(&self) -> Option<Time> {
        self.seconds.map(Time::from_unix)
    }
}

impl<T> Kept<T> {
    pub(crate) fn value(&self) -> Option<&T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Nothing | Self::Damaged => None,
        }
    }

    /// What can be made of it; damaged if nothing can.
    pub(crate) fn and_then<U>(self, read: impl FnOnce(T) -> Option<U>) -> Kept<U> {
        match self {
            Self::Nothing => Kept::Nothing,
            Self::Value(value) => read(value).map_or(Kept::Damaged, Kept::Value),
            Self::Damaged => Kept::Damaged,
        }
    }
}

impl Store {
    /// A folder that nobody else writes; it is made when something is kept.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into() }
    }

    pub(crate) fn root(&self) -> Result<Kept<Vec<u8>>, Error> {
        self.read(ROOT)
    }

    pub(crate) fn memory(&self) -> Result<Kept<Memory>, Error> {
        Ok(self.read(FLOOR)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()))
    }

    pub(crate) fn keep_root(&self, bytes: &[u8]) -> Result<(), Error> {
        self.write(ROOT, bytes)
    }

    pub(crate) fn keep_memory(&self, memory: &Memory) -> Result<(), Error> {
        let json = serde_json::to_vec(memory).map_err(io::Error::from);
        self.write(FLOOR, &json.map_err(Error::store("write", self.folder.join(FLOOR)))?)
    }

    /// An error of the disk is an error, so that a disk with a bad day does not lower a floor.
    fn read(&self, name: &str) -> Result<Kept<Vec<u8>>, Error> {
        let path = self.folder.join(name);
        let mut bytes = Vec::new();
        match File::open(&path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes)) {
            Ok(_) if bytes.is_empty() || bytes.len() as u64 > MAX_BYTES => Ok(Kept::Damaged),
            Ok(_) => Ok(Kept::Value(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Kept::Nothing),
            Err(error) => Err(Error::store("read", path)(error)),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let (path, new) = (self.folder.join(name), self.folder.join(format!("{name}.tmp")));
        fs::create_dir_all(&self.folder).map_err(Error::store("make", &self.folder))?;
        File::create(&new)
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .map_err(Error::store("write", &new))?;
        fs::rename(&new, &path).map_err(Error::store("replace", &path))?;
        sync(&self.folder)
    }
}

fn sync(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::store("sync", folder))
}
