//! Runs whose writes to the disk were recorded, kept as long as the image stays the same: what is sampled from them can
//! then be repeated.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::image::repository;
use crate::writes::{self, Event};
use crate::{Config, Error, Specimen};

/// A longer log is not read.
const MAX_BYTES: u64 = 1 << 30;
/// The log, and its name while it is being made.
const LOG: &str = "writes";
const UNFINISHED: &str = "writes.new";

/// The log of a run.
#[derive(Debug)]
pub struct Recording {
    folder: PathBuf,
    log: Vec<u8>,
}

impl Recording {
    /// The run of this name on a disk like `specimen`, which is left as it is.
    ///
    /// If none is kept under `build/test/recordings`, it is made: `run` gets a machine, direct and with the disk, to be run
    /// to its end. See [`kept`](Self::kept).
    ///
    /// # Errors
    /// [`Error::File`], and those of `run`.
    pub fn of(
        name: &str,
        specimen: &Specimen,
        run: impl FnOnce(Config) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        Self::kept(name, &key(specimen)?, |log| {
            let copy = specimen.duplicate()?;
            run(copy.direct("")?.record(log))
        })
    }

    /// The run of this name and of these ingredients, which `key` names. If none is kept, `run` makes it: it gets the file to be
    /// the log. Runs of other ingredients are forgotten then.
    ///
    /// # Errors
    /// [`Error::File`], and those of `run`.
    pub fn kept(name: &str, key: &str, run: impl FnOnce(&Path) -> Result<(), Error>) -> Result<Self, Error> {
        let runs = repository().join("build/test/recordings").join(name);
        let folder = runs.join(key);
        if !folder.join(LOG).exists() {
            if runs.exists() {
                fs::remove_dir_all(&runs).map_err(failed("remove", &runs))?;
            }
            fs::create_dir_all(&folder).map_err(failed("make", &folder))?;
            let log = folder.join(UNFINISHED);
            File::create(&log).map_err(failed("create", &log))?;
            run(&log)?;
            fs::rename(&log, folder.join(LOG)).map_err(failed("rename", &log))?;
        }
        Self::open(folder)
    }

    fn open(folder: PathBuf) -> Result<Self, Error> {
        let (path, mut log) = (folder.join(LOG), Vec::new());
        File::open(&path)
            .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut log))
            .map_err(failed("read", &path))?;
        Ok(Self { folder, log })
    }

    /// What was done to the disk, in order.
    ///
    /// # Errors
    /// [`Error::Log`].
    pub fn events(&self) -> Result<Vec<Event<'_>>, Error> {
        writes::parse(&self.log).map_err(|source| Error::Log { path: self.folder.join(LOG), source })
    }

    /// The folder of the log, where `run` may have put what else belongs to it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where to keep what was done with these very writes.
    pub fn progress(&self) -> PathBuf {
        self.folder.join(format!("done-{}", hex(Sha256::digest(&self.log).as_slice())))
    }
}

/// A name for what these files consist of.
///
/// # Panics
/// When one cannot be read.
pub fn key_of(paths: &[&Path]) -> String {
    let digests = paths.iter().map(|path| Sha256::digest(fs::read(path).expect("an ingredient")));
    hex(digests.fold(Sha256::new(), |all, one| all.chain_update(one)).finalize().as_slice())
}

/// A name for the image and the length of the disk.
fn key(specimen: &Specimen) -> Result<String, Error> {
    let path = specimen.path();
    let len = fs::metadata(&path).map_err(failed("measure", &path))?.len();
    let release = specimen.image().release().to_string();
    Ok(hex(Sha256::new().chain_update(len.to_le_bytes()).chain_update(release).finalize().as_slice()))
}

fn hex(digest: &[u8]) -> String {
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

fn failed(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::File { operation, path, source }
}
