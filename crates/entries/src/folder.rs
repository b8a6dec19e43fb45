//! The folder of the boot entries, `EFI/Linux`, and what may be done in it when.

use std::io::Read;
use std::path::Path;

use coracle_layout::OsVersion;
use coracle_uki::EntryName;

use crate::Error;
use crate::dir::{Dir, Listing};
use crate::stage::{Content, Staged};

/// The folder of the boot entries on a mounted EFI system partition. One writer at a time: the caller sees to it.
///
/// Before anything is changed, the mount is looked at: a writable vfat without `sync`, `dirsync` or `flush`, else
/// [`Error::NotVfat`], [`Error::ReadOnly`] or [`Error::Mounted`]. Every operation may be repeated after a power cut, or after an
/// [`Error::File`], which every operation may have.
#[derive(Debug)]
pub struct Folder {
    pub(crate) dir: Dir,
}

impl Folder {
    /// Opens the folder at `path`.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        Dir::open(path).map(|dir| Self { dir })
    }

    /// What is in it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn list(&self) -> Result<Listing, Error> {
        self.dir.list()
    }

    /// Whether [`stage`](Self::stage) will have a place for one more name, once leftovers are gone and every entry but that of `running`.
    ///
    /// # Errors
    /// [`Error::Crowded`], [`Error::Twice`].
    pub fn has_place(&self, running: OsVersion) -> Result<(), Error> {
        self.dir.has_place(self.dir.list()?.files_beside(running)?)
    }

    /// Writes the entry of a version with three tries, without making it bootable; see [`stage`](crate::stage).
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::Crowded`] and [`Error::Space`] before anything is written; [`Error::Content`] if `from` has other
    /// bytes than announced, [`Error::ReadBack`] if the disk has.
    pub fn stage(&self, version: OsVersion, content: &Content, from: impl Read) -> Result<Staged<'_>, Error> {
        self.dir.device()?;
        self.dir.stage(version, content, from)
    }

    /// Takes the counter off a version's entry: from now on it is started whatever becomes of it. Returns its name. Whether the
    /// version deserves it, and is the one that runs, is for the caller to know.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::Twice`], [`Error::Empty`].
    pub fn bless(&self, version: OsVersion) -> Result<EntryName, Error> {
        self.dir.device()?;
        self.dir.bless(version)
    }

    /// Leaves a version's entry without tries, so that the loader prefers any other. Returns its name.
    ///
    /// # Errors
    /// Those of [`bless`](Self::bless); [`Error::NoOtherGood`].
    pub fn demote(&self, version: OsVersion) -> Result<EntryName, Error> {
        self.dir.device()?;
        self.dir.demote(version)
    }

    /// Removes a version's entry, if it has one.
    ///
    /// # Errors
    /// [`Error::Running`], [`Error::Twice`], [`Error::NoOtherGood`]; [`Error::Shared`] and [`Error::Volume`] if that could cost
    /// another file its clusters, or nobody knows.
    pub fn remove(&self, version: OsVersion, running: OsVersion) -> Result<(), Error> {
        let device = self.dir.device()?;
        // One that is not there may be gone in memory only.
        let Some(file) = self.dir.removable(version, running)? else { return self.dir.sync() };
        self.dir.nothing_is_shared(&device)?;
        self.dir.unlink(&file)
    }

    /// Removes what a power cut has left: entries in the making, and entries of ours with nothing in them. For the start of the
    /// one writer. Returns the names.
    ///
    /// # Errors
    /// [`Error::Shared`] and [`Error::Volume`] as in [`remove`](Self::remove).
    pub fn clean(&self) -> Result<Vec<String>, Error> {
        let device = self.dir.device()?;
        let leftovers = self.dir.leftovers()?;
        if !leftovers.is_empty() {
            self.dir.nothing_is_shared(&device)?;
        }
        for name in &leftovers {
            self.dir.unlink(name)?;
        }
        Ok(leftovers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::tests::{folder, names, version};

    #[test]
    fn nothing_is_changed_on_another_filesystem() {
        let (path, dir) = folder(&["coracle_1.0.0.efi", "coracle_1.1.0+2-1.efi", "coracle_1.2.0+3-0.tmp"]);
        let (folder, before) = (Folder::open(path.path()).unwrap(), names(&dir));
        let (one, two) = (version("1.1.0"), version("1.2.0"));
        let content = Content { len: 1, sha256: [0; 32] };
        let results = [
            folder.stage(two, &content, &b"x"[..]).map(drop),
            folder.bless(one).map(drop),
            folder.demote(one).map(drop),
            folder.remove(one, version("1.0.0")),
            folder.clean().map(drop),
        ];
        for result in results {
            assert!(matches!(result, Err(Error::NotVfat { .. })), "{result:?}");
        }
        assert_eq!((names(&dir), folder.list().unwrap().entries.len()), (before, 2));
    }
}
