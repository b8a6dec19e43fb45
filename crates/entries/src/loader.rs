//! The boot manager, of which the partition has two copies: one that the firmware's boot options start, and one that it starts
//! without any.
//!
//! | # | step | power lost here means |
//! |---|---|---|
//! | 1 | `\EFI\systemd\systemd-bootx64.efi` is replaced in the order of [`replace`](mod@crate::replace) | this one old or new, the other old |
//! | 2 | it has reached the disk and is read back | this one new, the other old |
//! | 3 | the same with `\EFI\BOOT\BOOTX64.EFI` | this one new, the other old or new |
//!
//! Each is whole at any time, and never are both under way.

use std::path::Path;

use sha2::{Digest, Sha256};

use crate::dir::Dir;
use crate::replace::{Change, Names};
use crate::{Content, Error};

const EFI: &str = "EFI";
/// Folder and file of each copy, in the order in which they are replaced.
const COPIES: [(Names<'_>, Names<'_>); 2] = [
    (
        Names { file: "systemd", temporary: "systemd.new" },
        Names { file: "systemd-bootx64.efi", temporary: "systemd-bootx64.new" },
    ),
    (Names { file: "BOOT", temporary: "BOOT.NEW" }, Names { file: "BOOTX64.EFI", temporary: "BOOTX64.NEW" }),
];

/// The boot manager on a mounted EFI system partition. It has the same conditions as [`Folder`](crate::Folder): how the partition
/// is mounted, one writer at a time, and that everything may be repeated.
#[derive(Debug)]
pub struct Loader {
    efi: Dir,
}

impl Loader {
    /// Opens the partition mounted at `esp_root`.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn open(esp_root: &Path) -> Result<Self, Error> {
        Dir::open(&esp_root.join(EFI)).map(|efi| Self { efi })
    }

    /// Makes both copies these bytes, one after the other; a copy that has them, with nothing left over beside it, is not written.
    /// Whether they are a boot manager that this firmware takes is for the caller to know, and so is the time: never in one
    /// transaction with a release, and only from a blessed system.
    ///
    /// # Errors
    /// [`Error::Empty`], [`Error::Crowded`] and [`Error::Space`], of which nothing stays but perhaps an empty folder;
    /// [`Error::ReadBack`] and [`Error::Lost`] if the disk has other bytes; [`Error::Shared`] and [`Error::Volume`] as in
    /// [`Folder::remove`](crate::Folder::remove). After any of them the copy that comes later is not touched.
    pub fn update(&self, bytes: &[u8]) -> Result<Change, Error> {
        let device = self.efi.device()?;
        self.update_with(bytes, |folder| folder.nothing_is_shared(&device))
    }

    fn update_with(
        &self,
        bytes: &[u8],
        may_delete: impl Fn(&Dir) -> Result<(), Error>,
    ) -> Result<Change, Error> {
        let content = Content { len: bytes.len() as u64, sha256: Sha256::digest(bytes).into() };
        let mut all = Change::None;
        for (folder, file) in COPIES {
            let folder = self.efi.subfolder_or_make(folder)?;
            if folder.replace(file, &content, bytes, || may_delete(&folder))? == Change::Made {
                all = Change::Made;
            }
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replace::records;

    fn esp(copies: [&str; 2]) -> (tempfile::TempDir, Loader) {
        let esp = tempfile::tempdir().unwrap();
        for ((folder, file), content) in COPIES.iter().zip(copies) {
            let folder = esp.path().join(EFI).join(folder.file);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(file.file), content).unwrap();
        }
        let loader = Loader::open(esp.path()).unwrap();
        (esp, loader)
    }

    fn copies(esp: &Path) -> [String; 2] {
        COPIES.map(|(folder, file)| {
            std::fs::read_to_string(esp.join(EFI).join(folder.file).join(file.file)).unwrap_or_default()
        })
    }

    #[test]
    fn both_copies_become_the_new_one() {
        for (before, change) in [
            (["old", "old"], Change::Made),
            (["new", "old"], Change::Made),
            (["old", "new"], Change::Made),
            (["new", "new"], Change::None),
        ] {
            let (esp, loader) = esp(before);
            assert_eq!(loader.update_with(b"new", |_| Ok(())).unwrap(), change, "{before:?}");
            assert_eq!(copies(esp.path()), ["new", "new"]);
        }
        let esp = tempfile::tempdir().unwrap();
        std::fs::create_dir(esp.path().join(EFI)).unwrap();
        let loader = Loader::open(esp.path()).unwrap();
        assert_eq!(loader.update_with(b"new", |_| Ok(())).unwrap(), Change::Made);
        assert_eq!(copies(esp.path()), ["new", "new"]);
    }

    #[test]
    fn a_failure_with_one_leaves_the_other_alone() {
        let (esp, loader) = esp(["old", "old"]);
        std::fs::create_dir(esp.path().join("EFI/systemd/systemd-bootx64.new")).unwrap();
        assert!(loader.update_with(b"new", |_| Ok(())).is_err());
        assert_eq!(copies(esp.path()), ["old", "old"]);
        assert!(matches!(loader.update_with(b"", |_| Ok(())), Err(Error::File { .. })));
        std::fs::remove_dir(esp.path().join("EFI/systemd/systemd-bootx64.new")).unwrap();
        assert!(matches!(loader.update_with(b"", |_| Ok(())), Err(Error::Empty { .. })));
        assert!(matches!(loader.update(b"new"), Err(Error::NotVfat { .. })));
        assert_eq!(copies(esp.path()), ["old", "old"]);
    }

    #[test]
    fn temporary_names_take_as_many_records() {
        for (folder, file) in COPIES {
            assert_eq!(records(folder.file), records(folder.temporary));
            assert_eq!(records(file.file), records(file.temporary));
            assert_eq!(file.file.to_ascii_uppercase() == file.file, {
                file.temporary.to_ascii_uppercase() == file.temporary
            });
        }
    }
}
