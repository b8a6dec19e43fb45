//! `\EFI\coracle\fallback.efi`: a copy of a blessed UKI, which the firmware's last boot option starts when the boot manager, or
//! the entry that it starts, does not.
//!
//! Its folder is made in the order of `subfolder`, the file is made and replaced in the order of
//! [`replace`](mod@crate::replace): whenever the power goes it is the old copy or the new one, whole. Only while
//! there was none yet, there may be none.

use std::path::{Path, PathBuf};

use coracle_layout::OsVersion;
use coracle_uki::Assessment;
use rustix::fs::OFlags;

use crate::dir::Dir;
use crate::replace::{Change, Names};
use crate::{Content, Error, Folder};

const EFI: &str = "EFI";
const FOLDER: Names<'_> = Names { file: "coracle", temporary: "coracle.new" };
const FILE: Names<'_> = Names { file: "fallback.efi", temporary: "fallback.new" };

/// The fallback on a mounted EFI system partition. It has the same conditions as [`Folder`]: how the partition is mounted, one
/// writer at a time, and that everything may be repeated.
#[derive(Debug)]
pub struct Fallback {
    efi: Dir,
}

impl Fallback {
    /// Opens the partition mounted at `esp_root`; the fallback need not be there.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(esp_root: &Path) -> Result<Self, Error> {
        Dir::open(&esp_root.join(EFI)).map(|efi| Self { efi })
    }

    /// What is there, read past every cache; `None` without a fallback.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn digest(&self) -> Result<Option<Content>, Error> {
        match self.efi.subfolder(FOLDER.file)? {
            Some(folder) => folder.content(FILE.file),
            None => Ok(None),
        }
    }

    /// Makes it a copy of a version's entry, which is blessed and is to have these bytes.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::Twice`], [`Error::NotBlessed`], [`Error::Crowded`] and [`Error::Space`] before anything is written,
    /// but perhaps an empty folder; [`Error::Content`] if the entry has other bytes than announced, [`Error::ReadBack`] and
    /// [`Error::Lost`] if the disk has; [`Error::Shared`] and [`Error::Volume`] as in [`Folder::remove`], about what is left over and
    /// about the old copy, which then stays under the temporary name.
    pub fn replace(&self, entries: &Folder, version: OsVersion, content: &Content) -> Result<Change, Error> {
        let device = self.efi.device()?;
        self.replace_with(&entries.dir, version, content, |folder| folder.nothing_is_shared(&device))
    }

    pub(crate) fn replace_with(
        &self,
        entries: &Dir,
        version: OsVersion,
        content: &Content,
        may_delete: impl Fn(&Dir) -> Result<(), Error>,
    ) -> Result<Change, Error> {
        let from = entries.open_file(&blessed(entries, version)?, OFlags::RDONLY)?;
        let folder = self.efi.subfolder_or_make(FOLDER)?;
        folder.replace(FILE, content, from, || may_delete(&folder))
    }

    /// The folder that it is in, and its name there; `None` without a fallback.
    pub(crate) fn place(&self) -> Result<Option<(Dir, &'static str)>, Error> {
        let Some(folder) = self.efi.subfolder(FOLDER.file)? else { return Ok(None) };
        match folder.open_file(FILE.file, OFlags::RDONLY) {
            Ok(_) => Ok(Some((folder, FILE.file))),
            Err(Error::File { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The device of the filesystem, which is mounted as it has to be.
    pub(crate) fn device(&self) -> Result<PathBuf, Error> {
        self.efi.device()
    }
}

/// The file of a version's entry, which carries no counter.
fn blessed(entries: &Dir, version: OsVersion) -> Result<String, Error> {
    let listing = entries.list()?;
    let entry = listing.of(version)?.ok_or(Error::Absent { version })?;
    match entry.name.assessment() {
        Assessment::Good => Ok(entry.file.clone()),
        _ => Err(Error::NotBlessed { version }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::tests::{folder, version};

    #[test]
    fn only_a_blessed_entry_is_copied() {
        let (_folder, dir) = folder(&["coracle_1.0.0.efi", "coracle_1.1.0+3-0.efi", "coracle_1.2.0+0-1.efi"]);
        assert_eq!(blessed(&dir, version("1.0.0")).unwrap(), "coracle_1.0.0.efi");
        for bad in ["1.1.0", "1.2.0"] {
            assert!(matches!(blessed(&dir, version(bad)), Err(Error::NotBlessed { .. })));
        }
        assert!(matches!(blessed(&dir, version("1.3.0")), Err(Error::Absent { .. })));
    }

    #[test]
    fn what_is_there_is_read() {
        let esp = tempfile::tempdir().unwrap();
        assert!(matches!(Fallback::open(esp.path()), Err(Error::File { operation: "open", .. })));
        std::fs::create_dir_all(esp.path().join("EFI/Linux")).unwrap();
        let fallback = Fallback::open(esp.path()).unwrap();
        assert_eq!(fallback.digest().unwrap(), None);
        std::fs::create_dir(esp.path().join("EFI/coracle")).unwrap();
        assert_eq!(fallback.digest().unwrap(), None);
        std::fs::write(esp.path().join("EFI/coracle/fallback.efi"), "uki").unwrap();
        assert_eq!(fallback.digest().unwrap().map(|content| content.len), Some(3));
    }

    #[test]
    fn nothing_is_changed_on_another_filesystem() {
        let esp = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(esp.path().join("EFI/Linux")).unwrap();
        std::fs::write(esp.path().join("EFI/Linux/coracle_1.0.0.efi"), "uki").unwrap();
        let entries = Folder::open(&esp.path().join("EFI/Linux")).unwrap();
        let content = Content { len: 3, sha256: [0; 32] };
        let refused = Fallback::open(esp.path()).unwrap().replace(&entries, version("1.0.0"), &content);
        assert!(matches!(refused, Err(Error::NotVfat { .. })), "{refused:?}");
        assert!(!esp.path().join("EFI/coracle").exists());
    }
}
