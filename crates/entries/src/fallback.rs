//! `\EFI\coracle\fallback.efi`: a copy of a blessed UKI, which the firmware's last boot option starts when the boot manager, or
//! the entry that it starts, does not.
//!
//! Its folder is made in the order of `subfolder`, the file is made and replaced in the order of
//! [`replace`](mod@crate::replace): whenever the power goes it is the old copy or the new one, whole. Only while
//! there was none yet, there may be none.

use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use crate::dir::Dir;
use crate::replace::{Change, Names};
use crate::{Content, Error};

const EFI: &str = "EFI";
const FOLDER: Names<'_> = Names { file: "coracle", temporary: "coracle.new" };
const FILE: Names<'_> = Names { file: "fallback.efi", temporary: "fallback.new" };

/// The fallback on a mounted EFI system partition. It has the same conditions as [`Folder`](crate::Folder): how the
/// partition is mounted, one writer at a time, and that everything may be repeated.
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

    /// Makes it a copy of an entry's file, which is to have these bytes.
    pub(crate) fn replace_with(
        &self,
        entries: &Dir,
        entry: &str,
        content: &Content,
        may_delete: impl Fn(&Dir) -> Result<(), Error>,
    ) -> Result<Change, Error> {
        let from = entries.open_file(entry, OFlags::RDONLY)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_found() {
        let esp = tempfile::tempdir().unwrap();
        assert!(matches!(Fallback::open(esp.path()), Err(Error::File { operation: "open", .. })));
        std::fs::create_dir_all(esp.path().join("EFI")).unwrap();
        let fallback = Fallback::open(esp.path()).unwrap();
        assert!(fallback.place().unwrap().is_none());
        std::fs::create_dir(esp.path().join("EFI/coracle")).unwrap();
        assert!(fallback.place().unwrap().is_none());
        std::fs::write(esp.path().join("EFI/coracle/fallback.efi"), "uki").unwrap();
        let (folder, name) = fallback.place().unwrap().unwrap();
        assert_eq!(folder.content(name).unwrap().map(|content| content.len), Some(3));
    }
}
