//! A file that keeps its name and gets other bytes: who reads it finds the old ones or the new ones, whole.
//!
//! | # | step | power lost here means |
//! |---|---|---|
//! | 1 | what is left under the temporary name is removed, in the order of `remove`; there is room, in the filesystem and in the folder | the old file, or none if there was none |
//! | 2 | the temporary file is made in the same folder and written; `fsync` | the same; the temporary file, in part, or none |
//! | 3 | `fsync` of the folder, `syncfs` | the same, or the whole of it |
//! | 4 | it is read back past every cache, and compared | the same; the whole temporary file |
//! | 5 | where there is no file yet: it is renamed in the order of [`rename`](mod@crate::rename), still open | none, or the new file, whole |
//! | 6 | where there is one: `renameat2` with `RENAME_EXCHANGE`, then `syncfs`, which writes the sector that has both names once; `fsync` of the folder, which flushes the disk | the old file or the new one, each whole, the other under the temporary name |
//! | 7 | it is read back past every cache, and compared | the new file |
//! | 8 | the old file is removed, in the order of `remove` | the new file |
//!
//! In step 6 an `fsync` of either file, or of the folder first, could write its place and length alone: then both names have the
//! same clusters. What remains is that the kernel may do so by itself before `syncfs` does, where it has no reason to hurry. A
//! power cut just then leaves a whole file under the name, and another that shares its clusters, which nothing here deletes any more: it
//! says so by [`Error::Shared`].

use std::io::Read;

use rustix::fs::{AtFlags, OFlags, RenameFlags, renameat_with, unlinkat};

use crate::dir::Dir;
use crate::{Content, Error};

/// Records of a folder that a sector has.
const RECORDS: usize = 16;
/// Those for the folder itself and the one above.
const DOTS: usize = 2;
/// Characters that one record of a long name has.
const LONG_PART: usize = 13;
/// A longer file is none of ours.
const MAX_LEN: u64 = 256 << 20;

/// The names of a file; the temporary one takes as many records.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names<'a> {
    pub file: &'a str,
    pub temporary: &'a str,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It had these bytes already.
    None,
    /// It has them now.
    Made,
}

impl Dir {
    /// Steps 1 to 8. `may_delete` says whether deleting a file could cost another its clusters, as the disk is then.
    pub(crate) fn replace(
        &self,
        names: Names<'_>,
        content: &Content,
        from: impl Read,
        may_delete: impl Fn() -> Result<(), Error>,
    ) -> Result<Change, Error> {
        self.clear(names.temporary, &may_delete)?;
        let old = self.content(names.file)?;
        if old == Some(*content) {
            // It may have them in memory only: a sync may have failed.
            self.flush_all()?;
            return Ok(Change::None);
        }
        self.has_records(names, old.is_some())?;
        self.has_space(content.len)?;
        self.make(names.temporary, names.file, content, from)?;
        match old {
            None => {
                let file = self.open_file(names.temporary, OFlags::RDONLY)?;
                self.rename(&file, names.temporary, names.file)?;
            }
            Some(_) => {
                renameat_with(self, names.temporary, self, names.file, RenameFlags::EXCHANGE)
                    .map_err(Error::on("exchange", names.file))?;
                self.flush_all()?;
            }
        }
        if self.read_back(names.file, content.len)? != *content {
            return Err(Error::Lost { name: names.file.to_owned() });
        }
        self.clear(names.temporary, &may_delete)?;
        Ok(Change::Made)
    }

    /// What is in a file, if it is there.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(crate) fn content(&self, name: &str) -> Result<Option<Content>, Error> {
        match self.read_back(name, MAX_LEN) {
            Ok(content) => Ok(Some(content)),
            Err(Error::File { operation: "open", source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Removes a file, if it is there.
    fn clear(&self, name: &str, may_delete: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
        let listing = self.list()?;
        if !listing.others.iter().any(|other| other.eq_ignore_ascii_case(name)) {
            return Ok(());
        }
        may_delete()?;
        self.unlink(name)
    }

    /// Whether all names stand in the first sector of the folder, in the middle of a renaming, too.
    pub(crate) fn has_records(&self, names: Names<'_>, is_there: bool) -> Result<(), Error> {
        let new = if is_there { 0 } else { records(names.file) };
        self.has_records_beside(self.list()?.files(), records(names.temporary) + new)
    }

    /// Whether so many records more stand there beside these names.
    pub(crate) fn has_records_beside(&self, files: Vec<String>, more: usize) -> Result<(), Error> {
        let taken: usize = files.iter().map(|file| records(file)).sum();
        match DOTS + taken + more > RECORDS {
            true => Err(Error::Crowded { path: self.path.clone(), files }),
            false => Ok(()),
        }
    }

    /// Steps 2 to 4. What is left of a failure is removed, as far as that is possible.
    fn make(&self, temporary: &str, name: &str, content: &Content, from: impl Read) -> Result<(), Error> {
        let file = self.open_file(temporary, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        self.fill(&file, temporary, name, content, from).inspect_err(|_| {
            // The failure before it says more; what stays is cleaned up the next time.
            let _ = unlinkat(self, temporary, AtFlags::empty());
        })
    }
}

/// At most so many records make a name: its short form, and one for each part of the long one.
pub(crate) fn records(name: &str) -> usize {
    1 + name.encode_utf16().count().div_ceil(LONG_PART)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dir::tests::{folder, names};
    use sha2::{Digest, Sha256};

    const NAMES: Names<'_> = Names { file: "fallback.efi", temporary: "fallback.new" };

    fn content(bytes: &[u8]) -> Content {
        Content { len: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
    }

    fn put(dir: &Dir, bytes: &[u8]) -> Result<Change, Error> {
        dir.replace(NAMES, &content(bytes), bytes, || Ok(()))
    }

    #[test]
    fn a_file_is_made_replaced_and_left() {
        let (folder, dir) = folder(&[]);
        let read = || std::fs::read(folder.path().join("fallback.efi")).unwrap();
        assert_eq!(dir.content("fallback.efi").unwrap(), None);
        for (bytes, change) in [
            (vec![1; 5000], Change::Made),
            (vec![1; 5000], Change::None),
            (vec![2; 70_000], Change::Made),
            (vec![3; 1], Change::Made),
            (vec![3; 1], Change::None),
        ] {
            assert_eq!(put(&dir, &bytes).unwrap(), change);
            assert_eq!((read(), names(&dir)), (bytes.clone(), vec!["fallback.efi".to_owned()]));
            assert_eq!(dir.content("fallback.efi").unwrap(), Some(content(&bytes)));
        }
    }

    #[test]
    fn what_is_left_over_is_removed_first_if_that_is_safe() {
        let (_folder, dir) = folder(&["fallback.efi", "fallback.new"]);
        let refused = dir.replace(NAMES, &content(b"new"), &b"new"[..], || {
            Err(Error::Shared { path: "EFI/coracle/fallback.new".into() })
        });
        assert!(matches!(refused, Err(Error::Shared { .. })), "{refused:?}");
        assert_eq!(names(&dir), ["fallback.efi", "fallback.new"]);
        assert_eq!(put(&dir, b"fallback.efi").unwrap(), Change::None);
        assert_eq!(names(&dir), ["fallback.efi"]);
    }

    #[test]
    fn the_old_file_stays_when_deleting_it_is_not_safe() {
        let (_folder, dir) = folder(&["fallback.efi"]);
        let refused = dir.replace(NAMES, &content(b"new"), &b"new"[..], || {
            Err(Error::Shared { path: "EFI/coracle/fallback.new".into() })
        });
        assert!(matches!(refused, Err(Error::Shared { .. })), "{refused:?}");
        assert_eq!(dir.content("fallback.efi").unwrap(), Some(content(b"new")));
        assert_eq!(dir.content("fallback.new").unwrap(), Some(content(b"fallback.efi")));
    }

    #[test]
    fn other_bytes_than_announced_leave_the_old_file() {
        let announced = content(b"what was announced");
        for bytes in [&b""[..], b"what was announce", b"what was announced.", b"what was announcec"] {
            let (_folder, dir) = folder(&["fallback.efi"]);
            let error = dir.replace(NAMES, &announced, bytes, || Ok(())).unwrap_err();
            assert!(matches!(&error, Error::Content { name } if name == "fallback.efi"), "{error:?}");
            assert_eq!(names(&dir), ["fallback.efi"]);
            assert_eq!(dir.content("fallback.efi").unwrap(), Some(content(b"fallback.efi")));
        }
    }

    #[test]
    fn nothing_is_begun_that_does_not_fit() {
        let five = ["a", "b", "c", "d", "e"];
        for (files, fits) in [(&five[..], true), (&["a", "b", "c", "d", "fallback.efi", "e"], true)] {
            let (_folder, dir) = folder(files);
            assert_eq!(put(&dir, b"new").is_ok(), fits, "{files:?}");
        }
        let (_folder, dir) = folder(&["a", "b", "c", "d", "e", "fallback.efi", "f"]);
        let before = names(&dir);
        assert!(matches!(put(&dir, b"new"), Err(Error::Crowded { files, .. }) if files.len() == 7));
        let huge = Content { len: u64::MAX, ..content(b"new") };
        let (_folder, other) = folder(&["fallback.efi"]);
        let error = other.replace(NAMES, &huge, &b"new"[..], || Ok(())).unwrap_err();
        assert!(matches!(error, Error::Space { .. }), "{error:?}");
        assert_eq!((names(&dir), names(&other)), (before, vec!["fallback.efi".to_owned()]));
    }

    #[test]
    fn a_name_takes_a_record_and_one_for_each_thirteen_characters() {
        for (name, expected) in
            [("BOOTX64.EFI", 2), ("fallback.efi", 2), ("systemd-boot.", 2), ("systemd-bootx64.efi", 3)]
        {
            assert_eq!(records(name), expected, "{name}");
        }
    }
}
