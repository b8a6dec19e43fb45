//! What an image with `[update]` brings: the updater, the root that trust begins with, certificates of authorities, settings, and
//! the boot manager, which a machine that runs this image comes to have.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use coracle_layout::paths;
use coracle_recipe::recipe;
use coracle_rollout::{Settings, Time};
use coracle_trust::transport::{BadServer, Http, Options};
use coracle_trust::{Embedded, Limits, Versions};

use crate::Error as Failed;

/// The updater's name in the folder of programs.
pub const PROGRAM: &str = "updater";
/// The longest file of authorities, in bytes.
const AUTHORITIES: u64 = 256 << 10;

/// What is beside the recipe and in the folder of programs.
#[derive(Debug)]
pub struct Update {
    /// The updater.
    pub program: PathBuf,
    root: Vec<u8>,
    authorities: Option<Vec<u8>>,
}

/// Why a file cannot be what the recipe says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It is too long.
    #[error("it has more than {limit} bytes")]
    TooLarge {
        /// The most it may have.
        limit: u64,
    },
    /// It is no root of a repository.
    #[error("it is no root metadata: take the newest metadata/N.root.json of the repository")]
    Root(#[source] coracle_trust::Error),
    /// It has no certificate.
    #[error("it has no certificate: it is to be a PEM file of the authorities that the server's comes from")]
    NoCertificate,
    /// What is in it is not valid.
    #[error("it does not serve to reach the repository")]
    Server(#[source] BadServer),
}

impl Update {
    /// Finds and reads everything. `at` finds what the recipe names.
    pub fn read(
        wanted: &recipe::Update,
        at: impl Fn(&Path) -> PathBuf,
        programs: &Path,
    ) -> Result<Self, Failed> {
        let program = programs.join(PROGRAM);
        if !program.is_file() {
            return Err(Failed::NoUpdater { folder: programs.to_owned() });
        }
        let authorities = wanted.authorities.as_ref().map(|path| authorities(wanted, &at(path.as_path())));
        Ok(Self { program, root: root(&at(wanted.root.as_path()))?, authorities: authorities.transpose()? })
    }

    /// The files of [`paths::UPDATE`], by name.
    pub fn files(&self, settings: &Settings, loader: &[u8]) -> Result<Vec<(&'static str, Vec<u8>)>, Failed> {
        let mut files = vec![
            (paths::UPDATE_SETTINGS, settings.to_bytes()?),
            (paths::UPDATE_ROOT, self.root.clone()),
            (paths::UPDATE_LOADER, loader.to_vec()),
        ];
        files.extend(self.authorities.clone().map(|pem| (paths::UPDATE_AUTHORITIES, pem)));
        Ok(files)
    }
}

/// Root metadata that a machine will take.
pub fn root(path: &Path) -> Result<Vec<u8>, Failed> {
    let root = read(path, Limits::default().small)?;
    let embedded = Embedded { root, versions: Versions::default(), built: Time::from_unix(0) };
    embedded.version().map_err(|source| refused(path, Error::Root(source)))?;
    Ok(embedded.root)
}

/// Certificates with which a machine will reach its repositories.
pub fn authorities(wanted: &recipe::Update, path: &Path) -> Result<Vec<u8>, Failed> {
    let pem = read(path, AUTHORITIES)?;
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(refused(path, Error::NoCertificate));
    }
    for repository in wanted.settings(Time::from_unix(0)).repositories {
        let options = Options { authorities: &pem, ..Options::default() };
        Http::new(&repository, options).map_err(|source| refused(path, Error::Server(source)))?;
    }
    Ok(pem)
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Failed> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(Failed::file("open", path))?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Failed::file("read", path))?;
    if bytes.len() as u64 > limit {
        return Err(refused(path, Error::TooLarge { limit }));
    }
    Ok(bytes)
}

fn refused(path: &Path, source: Error) -> Failed {
    Failed::Update { path: path.to_owned(), source: Box::new(source) }
}
