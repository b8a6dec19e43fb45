//! What runs has two kernel images on the partition, its entry and the [`Fallback`]. Each is made a copy of the other, and only if that
//! one is whole.
//!
//! Whole is a file that is as its own checksum says ([`check_whole`]), and whose command line names the root that runs. Nothing else
//! could be asked of them on the machine: a digest that was noted elsewhere may be lost, or rot.
//!
//! | entry | fallback | then |
//! |---|---|---|
//! | whole | whole, of this root or of another | it is replaced if [`Keep::Running`] says so |
//! | whole | rotten, or none | it is replaced |
//! | rotten, or none | whole, of this root | the entry is replaced |
//! | rotten, or none | anything else | nothing is written: [`Error::NoneWhole`] |
//!
//! Both are replaced in the order of [`replace`](mod@crate::replace), the entry under the name that it has.

use coracle_layout::{OsVersion, RootHash};
use coracle_uki::{Assessment, EntryName, check_whole, root_of};
use rustix::fs::OFlags;

use crate::dir::Dir;
use crate::replace::{Change, Names};
use crate::stage::{FINISHED, UNFINISHED};
use crate::{Content, Error, Fallback, Folder};

/// Which fallback stays beside a whole entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Only one of what runs.
    Running,
    /// Any that is whole: as long as nothing was written to the other slot, that one boots, too.
    Whole,
}

/// What became of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// The entry.
    pub entry: Change,
    /// The fallback.
    pub fallback: Change,
}

impl Fallback {
    /// Sees to it that the entry of what runs and the fallback are whole.
    ///
    /// # Errors
    /// [`Error::Twice`], [`Error::NotBlessed`] and [`Error::NoneWhole`] before anything is written; [`Error::Crowded`] and
    /// [`Error::Space`] before anything but perhaps an empty folder is; [`Error::Content`] if what is copied has other bytes than when it
    /// was looked at, [`Error::ReadBack`] and [`Error::Lost`] if the disk has other ones than were written; [`Error::Shared`] and
    /// [`Error::Volume`] as in [`Folder::remove`], about what is left over and about the old copy, which then stays under the temporary
    /// name.
    pub fn keep(
        &self,
        entries: &Folder,
        version: OsVersion,
        root: RootHash,
        keep: Keep,
    ) -> Result<Kept, Error> {
        let device = self.device()?;
        self.keep_with(&entries.dir, version, root, keep, |folder| folder.nothing_is_shared(&device))
    }

    /// Makes the entry of a version what the fallback is, from which it runs: whole, and with this root on its command line. The entry
    /// keeps its counter; one that is not there comes without.
    ///
    /// # Errors
    /// [`Error::Twice`], [`Error::Absent`] without a fallback, [`Error::Rotten`] and [`Error::OtherRoot`] if it is not whole; of those of
    /// [`keep`](Self::keep) all from [`Error::Crowded`] on.
    pub fn restore(&self, entries: &Folder, version: OsVersion, root: RootHash) -> Result<Change, Error> {
        let device = self.device()?;
        self.restore_with(&entries.dir, version, root, |folder| folder.nothing_is_shared(&device))
    }

    /// Whether it is there, whole, and boots this root.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn boots(&self, root: RootHash) -> Result<bool, Error> {
        Ok(self.named()?.is_some_and(|named| named == Some(root)))
    }

    fn keep_with(
        &self,
        entries: &Dir,
        version: OsVersion,
        root: RootHash,
        keep: Keep,
        may_delete: impl Fn(&Dir) -> Result<(), Error>,
    ) -> Result<Kept, Error> {
        let listing = entries.list()?;
        let entry = listing.of(version)?;
        if entry.is_some_and(|entry| entry.name.assessment() != Assessment::Good) {
            return Err(Error::NotBlessed { version });
        }
        let whole = entry
            .ok_or(Error::Absent { version })
            .and_then(|entry| Ok((&entry.file, of_root(entries, &entry.file, root)?)));
        match whole {
            Ok(_) if keep == Keep::Whole && self.named()?.is_some() => {
                Ok(Kept { entry: Change::None, fallback: Change::None })
            }
            Ok((entry, content)) => {
                let fallback = self.replace_with(entries, entry, &content, may_delete)?;
                Ok(Kept { entry: Change::None, fallback })
            }
            Err(rot) => match self.restore_with(entries, version, root, may_delete) {
                Ok(entry) => Ok(Kept { entry, fallback: Change::None }),
                Err(Error::Absent { .. } | Error::Rotten { .. } | Error::OtherRoot { .. }) => {
                    Err(Error::NoneWhole { version, source: Box::new(rot) })
                }
                Err(error) => Err(error),
            },
        }
    }

    fn restore_with(
        &self,
        entries: &Dir,
        version: OsVersion,
        root: RootHash,
        may_delete: impl Fn(&Dir) -> Result<(), Error>,
    ) -> Result<Change, Error> {
        let (folder, name) = self.place()?.ok_or(Error::Absent { version })?;
        let content = of_root(&folder, name, root)?;
        let from = folder.open_file(name, OFlags::RDONLY)?;
        let listing = entries.list()?;
        let file = match listing.of(version)? {
            Some(entry) => entry.file.clone(),
            None => EntryName::new(version, None).map_err(Error::Name)?.to_string(),
        };
        // What a power cut leaves of it is cleaned up as an entry in the making.
        let temporary = format!("{}{UNFINISHED}", file.trim_end_matches(FINISHED));
        let names = Names { file: &file, temporary: &temporary };
        entries.replace(names, &content, from, || may_delete(entries))
    }

    /// What it names as its root, if it is there and whole.
    fn named(&self) -> Result<Option<Option<RootHash>>, Error> {
        let Some((folder, name)) = self.place()? else { return Ok(None) };
        match whole(&folder, name) {
            Ok(named) => Ok(Some(named)),
            Err(Error::Rotten { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The root that a kernel image names, which is as its own checksum says.
fn whole(dir: &Dir, name: &str) -> Result<Option<RootHash>, Error> {
    let mut file = dir.open_file(name, OFlags::RDONLY)?;
    let root = check_whole(&mut file).and_then(|()| root_of(&mut file));
    root.map_err(|source| Error::Rotten { name: name.to_owned(), source })
}

/// What is in a kernel image that is whole and boots this root.
fn of_root(dir: &Dir, name: &str, root: RootHash) -> Result<Content, Error> {
    if whole(dir, name)? != Some(root) {
        return Err(Error::OtherRoot { name: name.to_owned() });
    }
    dir.content(name)?.ok_or_else(|| Error::Lost { name: name.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::tests::{names, version};
    use coracle_uki::specimen;
    use std::path::Path;

    const ENTRY: &str = "EFI/Linux/coracle_1.0.0.efi";
    const FALLBACK: &str = "EFI/coracle/fallback.efi";
    const OURS: RootHash = RootHash::new([1; 32]);

    fn uki(root: RootHash) -> Vec<u8> {
        specimen::uki(&format!("quiet roothash={root}"), &[7; 70_000])
    }

    fn flipped(mut uki: Vec<u8>) -> Vec<u8> {
        let at = uki.len() - 5000;
        uki[at] ^= 1;
        uki
    }

    fn cut(uki: Vec<u8>) -> Vec<u8> {
        uki[..uki.len() / 2].to_vec()
    }

    struct Esp {
        at: tempfile::TempDir,
        fallback: Fallback,
        entries: Dir,
    }

    impl Esp {
        fn with(entry: Option<&[u8]>, fallback: Option<&[u8]>) -> Self {
            let at = tempfile::tempdir().unwrap();
            for (path, bytes) in [(ENTRY, entry), (FALLBACK, fallback)] {
                let path = at.path().join(path);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                if let Some(bytes) = bytes {
                    std::fs::write(path, bytes).unwrap();
                }
            }
            let fallback = Fallback::open(at.path()).unwrap();
            let entries = Dir::open(&at.path().join("EFI/Linux")).unwrap();
            Self { at, fallback, entries }
        }

        fn keep(&self, keep: Keep) -> Result<Kept, Error> {
            self.fallback.keep_with(&self.entries, version("1.0.0"), OURS, keep, |_| Ok(()))
        }

        fn restore(&self) -> Result<Change, Error> {
            self.fallback.restore_with(&self.entries, version("1.0.0"), OURS, |_| Ok(()))
        }

        fn read(&self, path: &str) -> Option<Vec<u8>> {
            std::fs::read(self.at.path().join(Path::new(path))).ok()
        }
    }

    #[test]
    fn what_has_rotted_is_mended_from_what_is_whole() {
        let (ours, other) = (uki(OURS), uki(RootHash::new([2; 32])));
        let (flipped, cut, flipped_other) =
            (flipped(ours.clone()), cut(ours.clone()), flipped(other.clone()));
        let kept = |entry, fallback| Kept { entry, fallback };
        let (entry, fallback, neither) = (
            kept(Change::Made, Change::None),
            kept(Change::None, Change::Made),
            kept(Change::None, Change::None),
        );
        for (before, keep, expected) in [
            ((Some(&ours), Some(&ours)), Keep::Running, neither),
            ((Some(&ours), Some(&other)), Keep::Running, fallback),
            ((Some(&ours), None), Keep::Running, fallback),
            ((Some(&ours), Some(&cut)), Keep::Whole, fallback),
            ((Some(&ours), Some(&flipped_other)), Keep::Whole, fallback),
            ((Some(&ours), None), Keep::Whole, fallback),
            ((Some(&flipped), Some(&ours)), Keep::Running, entry),
            ((Some(&cut), Some(&ours)), Keep::Whole, entry),
            ((Some(&other), Some(&ours)), Keep::Running, entry),
            ((None, Some(&ours)), Keep::Whole, entry),
        ] {
            let esp = Esp::with(before.0.map(|bytes| &bytes[..]), before.1.map(|bytes| &bytes[..]));
            assert_eq!(esp.keep(keep).unwrap(), expected);
            assert!(esp.read(ENTRY).as_ref() == Some(&ours) && esp.read(FALLBACK).as_ref() == Some(&ours));
            assert_eq!(esp.keep(Keep::Running).unwrap(), neither, "once more");
            assert_eq!(names(&esp.entries), ["coracle_1.0.0.efi"]);
        }
        let esp = Esp::with(Some(&ours), Some(&other));
        assert_eq!(esp.keep(Keep::Whole).unwrap(), neither, "the other slot boots, too");
        assert!(esp.read(FALLBACK) == Some(other));
    }

    #[test]
    fn nothing_is_written_where_neither_is_whole() {
        let (ours, other) = (uki(OURS), uki(RootHash::new([2; 32])));
        for entry in [Some(&flipped(ours.clone())), Some(&cut(ours.clone())), Some(&other), None] {
            for fallback in [Some(&other), Some(&flipped(ours.clone())), None] {
                let esp = Esp::with(entry.map(|bytes| &bytes[..]), fallback.map(|bytes| &bytes[..]));
                for keep in [Keep::Running, Keep::Whole] {
                    let error = esp.keep(keep).unwrap_err();
                    assert!(matches!(error, Error::NoneWhole { .. }), "{error:?}");
                    assert!(esp.read(ENTRY).as_ref() == entry && esp.read(FALLBACK).as_ref() == fallback);
                }
                assert!(esp.restore().is_err() && !esp.fallback.boots(OURS).unwrap());
                assert!(esp.read(ENTRY).as_ref() == entry);
            }
        }
    }

    #[test]
    fn nothing_is_changed_on_another_filesystem() {
        let ours = uki(OURS);
        for (entry, fallback) in [(None, Some(&ours[..])), (Some(&ours[..]), None)] {
            let esp = Esp::with(entry, fallback);
            let entries = Folder { dir: Dir::open(&esp.entries.path).unwrap() };
            let kept = esp.fallback.keep(&entries, version("1.0.0"), OURS, Keep::Running);
            let restored = esp.fallback.restore(&entries, version("1.0.0"), OURS);
            assert!(matches!(kept, Err(Error::NotVfat { .. })), "{kept:?}");
            assert!(matches!(restored, Err(Error::NotVfat { .. })), "{restored:?}");
            assert!(esp.read(ENTRY).as_deref() == entry && esp.read(FALLBACK).as_deref() == fallback);
        }
    }

    #[test]
    fn an_entry_that_is_not_blessed_is_no_copy_of_anything_and_is_restored_on_demand() {
        let ours = uki(OURS);
        for name in ["coracle_1.0.0+0-1.efi", "coracle_1.0.0+3-0.efi"] {
            let esp = Esp::with(None, Some(&ours));
            let path = esp.at.path().join("EFI/Linux").join(name);
            for (entry, change) in [(&flipped(ours.clone()), Change::Made), (&ours, Change::None)] {
                std::fs::write(&path, entry).unwrap();
                assert!(matches!(esp.keep(Keep::Running), Err(Error::NotBlessed { .. })));
                assert!(esp.fallback.boots(OURS).unwrap());
                assert_eq!(esp.restore().unwrap(), change);
                assert_eq!(names(&esp.entries), [name]);
                assert!(std::fs::read(&path).unwrap() == ours);
            }
        }
    }
}
