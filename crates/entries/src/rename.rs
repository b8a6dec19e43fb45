//! Renaming, which on FAT is what decides which system boots.
//!
//! | # | step | power lost here means |
//! |---|---|---|
//! | 1 | the file is opened, and stays so | nothing happened |
//! | 2 | `renameat2` with `RENAME_NOREPLACE`, in memory | the old name |
//! | 3 | `fsync` of the file: the sector that has both names is written once, with length and place of the file in it | the old name or the new one, each whole |
//! | 4 | `fsync` of the folder, `syncfs` | the new name |
//!
//! With the folder first, the sector is written with the new name's length and place still zero. What remains is that the
//! kernel may write the sector by itself between 2 and 3, where it has no reason to hurry.

use std::os::fd::AsFd;

use coracle_layout::OsVersion;
use coracle_uki::{Assessment, EntryName, Tries};
use rustix::fs::{OFlags, RenameFlags, fsync, renameat_with, syncfs};
use rustix::io::Errno;

use crate::Error;
use crate::dir::{Dir, Entry, Listing};

/// No tries left, one done.
const EXHAUSTED: Tries = Tries { left: 0, done: 1 };

impl Dir {
    /// Steps 2 to 4; `file` is the open file named `old`.
    pub(crate) fn rename(&self, file: impl AsFd, old: &str, new: &str) -> Result<(), Error> {
        rename(self, file, old, new).map_err(|failed| failed.of(old))
    }

    /// Step 4.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        sync_folder(self).map_err(|failed| failed.of(self.path.display().to_string()))
    }

    /// Everything on the filesystem at once, without the folder before; it need not be further than the disk's cache.
    pub(crate) fn sync_all(&self) -> Result<(), Error> {
        syncfs(self).map_err(Error::on("sync the filesystem of", self.path.display().to_string()))
    }

    /// The same, and the disk's cache: of vfat, only `fsync` flushes that.
    pub(crate) fn flush_all(&self) -> Result<(), Error> {
        self.sync_all()?;
        fsync(self).map_err(Error::on("sync", self.path.display().to_string()))
    }

    pub(crate) fn bless(&self, version: OsVersion) -> Result<EntryName, Error> {
        let listing = self.list()?;
        let entry = whole(&listing, version)?;
        let blessed = entry.name.blessed();
        self.rename_to(&entry.file, &blessed.to_string())?;
        Ok(blessed)
    }

    pub(crate) fn demote(&self, version: OsVersion) -> Result<EntryName, Error> {
        let listing = self.list()?;
        let (entry, demoted) = listing.demoted(version)?;
        match entry.name == demoted {
            true => self.rename_to(&entry.file, &entry.file)?,
            false => self.rename_to(&entry.file, &demoted.to_string())?,
        }
        Ok(demoted)
    }

    /// Steps 1 to 4. A file that has the name already may have it in memory only: a sync may have failed.
    fn rename_to(&self, old: &str, new: &str) -> Result<(), Error> {
        let file = self.open_file(old, OFlags::RDONLY)?;
        if old == new {
            return sync_renamed(self, &file).map_err(|failed| failed.of(new));
        }
        self.rename(&file, old, new)
    }
}

/// Steps 2 to 4 in the folder `dir`; `file` is the open file named `old`.
///
/// # Errors
/// The step that failed. Behind the first it is unknown which of the names the next boot finds.
pub fn rename(dir: impl AsFd, file: impl AsFd, old: &str, new: &str) -> Result<(), Failed> {
    renameat_with(&dir, old, &dir, new, RenameFlags::NOREPLACE).map_err(Failed::on("rename"))?;
    sync_renamed(dir, file)
}

/// Steps 3 and 4.
fn sync_renamed(dir: impl AsFd, file: impl AsFd) -> Result<(), Failed> {
    fsync(file).map_err(Failed::on("sync"))?;
    sync_folder(dir)
}

/// Step 4.
fn sync_folder(dir: impl AsFd) -> Result<(), Failed> {
    fsync(&dir).map_err(Failed::on("sync the folder of"))?;
    syncfs(dir).map_err(Failed::on("sync the filesystem of"))
}

/// A step that failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{operation} the file")]
pub struct Failed {
    /// What was tried.
    pub operation: &'static str,
    /// Why not.
    pub source: Errno,
}

impl Failed {
    fn on(operation: &'static str) -> impl FnOnce(Errno) -> Self {
        move |source| Self { operation, source }
    }

    fn of(self, object: impl Into<String>) -> Error {
        Error::on(self.operation, object)(self.source)
    }
}

impl Listing {
    /// The entry of a version, and the name that leaves it without tries, which it may have.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::Twice`], [`Error::Empty`]; [`Error::NoOtherGood`] if nothing else would boot.
    pub fn demoted(&self, version: OsVersion) -> Result<(&Entry, EntryName), Error> {
        let entry = whole(self, version)?;
        if entry.name.assessment() == Assessment::Bad {
            return Ok((entry, entry.name));
        }
        if !self.has_good_besides(version) {
            return Err(Error::NoOtherGood { version });
        }
        Ok((entry, EntryName::new(version, Some(EXHAUSTED)).map_err(Error::Name)?))
    }
}

/// The entry of a version, with something in it.
fn whole(listing: &Listing, version: OsVersion) -> Result<&Entry, Error> {
    let entry = listing.of(version)?.ok_or(Error::Absent { version })?;
    if entry.len == 0 { Err(Error::Empty { name: entry.file.clone() }) } else { Ok(entry) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::tests::{folder, names, version};

    type Operation = fn(&Dir, OsVersion) -> Result<EntryName, Error>;
    const BLESS: Operation = Dir::bless;
    const DEMOTE: Operation = Dir::demote;
    const OTHER: &str = "coracle_1.0.0.efi";

    #[test]
    fn a_name_is_changed_and_the_content_kept() {
        for (operation, old, new) in [
            (BLESS, "coracle_1.1.0+2-1.efi", "coracle_1.1.0.efi"),
            (BLESS, "coracle_1.1.0+0-3.efi", "coracle_1.1.0.efi"),
            (BLESS, "coracle_1.1.0+3.efi", "coracle_1.1.0.efi"),
            (BLESS, "coracle_1.1.0.efi", "coracle_1.1.0.efi"),
            (DEMOTE, "coracle_1.1.0.efi", "coracle_1.1.0+0-1.efi"),
            (DEMOTE, "coracle_1.1.0+2-1.efi", "coracle_1.1.0+0-1.efi"),
            (DEMOTE, "coracle_1.1.0+0-3.efi", "coracle_1.1.0+0-3.efi"),
        ] {
            let (folder, dir) = folder(&[OTHER, old]);
            assert_eq!(operation(&dir, version("1.1.0")).unwrap().to_string(), new);
            let mut want = [OTHER, new];
            want.sort();
            assert_eq!(names(&dir), want);
            assert_eq!(std::fs::read_to_string(folder.path().join(new)).unwrap(), old);
            assert_eq!(operation(&dir, version("1.1.0")).unwrap().to_string(), new, "once more");
        }
    }

    #[test]
    fn what_would_be_a_guess_or_leave_nothing_good_is_refused() {
        type Expected = fn(&Error) -> bool;
        let cases: [(Operation, &[&str], Expected); 8] = [
            (BLESS, &[OTHER], |e| matches!(e, Error::Absent { .. })),
            (BLESS, &["(coracle_1.1.0+2-1.efi)"], |e| matches!(e, Error::Empty { .. })),
            (BLESS, &["coracle_1.1.0.efi", "coracle_1.1.0+2-1.efi"], |e| matches!(e, Error::Twice { .. })),
            (DEMOTE, &[OTHER], |e| matches!(e, Error::Absent { .. })),
            (DEMOTE, &["coracle_1.1.0.efi"], |e| matches!(e, Error::NoOtherGood { .. })),
            (DEMOTE, &["coracle_1.1.0.efi", "coracle_1.0.0+3-0.efi"], |e| {
                matches!(e, Error::NoOtherGood { .. })
            }),
            (DEMOTE, &["coracle_1.1.0.efi", "(coracle_1.0.0.efi)"], |e| {
                matches!(e, Error::NoOtherGood { .. })
            }),
            (DEMOTE, &["coracle_1.1.0.efi", "coracle_1.1.0+2-1.efi"], |e| matches!(e, Error::Twice { .. })),
        ];
        for (operation, files, expected) in cases {
            let (_folder, dir) = folder(files);
            let before = names(&dir);
            let error = operation(&dir, version("1.1.0")).unwrap_err();
            assert!(expected(&error), "{files:?}: {error:?}");
            assert_eq!(names(&dir), before);
        }
    }

    #[test]
    fn nothing_is_written_over() {
        let (_folder, dir) = folder(&["coracle_1.1.0+2-1.efi"]);
        std::fs::create_dir(dir.path.join("coracle_1.1.0.efi")).unwrap();
        let error = dir.bless(version("1.1.0")).unwrap_err();
        assert!(
            matches!(&error, Error::File { operation: "rename", source, .. }
            if source.kind() == std::io::ErrorKind::AlreadyExists),
            "{error:?}"
        );
    }
}
