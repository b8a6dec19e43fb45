//! Reading and writing the files of a repository.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;

/// How the name begins of what is not finished yet.
pub(super) const UNFINISHED: &str = ".coracle-";

pub(super) fn json<T: Serialize>(value: &T) -> Result<Vec<u8>, Error> {
    Ok(serde_json::to_vec_pretty(value)?)
}

pub(super) fn read<T: DeserializeOwned>(path: &Path) -> Result<(T, Vec<u8>), Error> {
    let bytes = fs::read(path).map_err(Error::file("read", path))?;
    let value =
        serde_json::from_slice(&bytes).map_err(|source| Error::Json { path: path.to_owned(), source })?;
    Ok((value, bytes))
}

/// A file that nothing refers to yet; it may be there already, with these bytes.
pub(super) fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    match fs::read(path) {
        Ok(there) if there == bytes => Ok(()),
        Ok(_) => Err(Error::Exists { path: path.to_owned() }),
        Err(_) => replace(path, bytes),
    }
}

pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut new = tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempfile_in(folder)
        .map_err(Error::file("make a file in", folder))?;
    let written = new.write_all(bytes).and_then(|()| {
        let readable = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        new.as_file().set_permissions(readable)?;
        new.as_file().sync_all()
    });
    written.map_err(Error::file("write", path))?;
    new.persist(path).map_err(|error| Error::file("replace", path)(error.error))?;
    sync_folder(folder)
}

pub(super) fn sync_folder(folder: &Path) -> Result<(), Error> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(Error::file("sync", folder))
}

pub(super) fn remove_unfinished(folder: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(folder).map_err(Error::file("list", folder))? {
        let path = entry.map_err(Error::file("list", folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.starts_with(UNFINISHED)) {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(Error::file("remove", &path))?;
        }
    }
    Ok(())
}
