//! A new entry: written under a name that the loader passes over, compared with what it should be, then renamed.
//!
//! | # | step | power lost here means |
//! |---|---|---|
//! | 1 | there is room for it, in the filesystem and in the folder, and its version has no entry | nothing happened |
//! | 2 | `NAME+3-0.tmp`, as long as the name it will have, is made and written; `fsync` | the temporary file, in part, or none: cleaned up at the next start |
//! | 3 | `fsync` of the folder, `syncfs` | the same, or the whole of it |
//! | 4 | it is read back past every cache, and compared | the whole temporary file |
//! | 5 | it is renamed to `NAME+3-0.efi` in the order of [`rename`](mod@crate::rename), still open | the temporary file or the entry, each whole |
//! | 6 | the folder is listed once more | the entry |
//!
//! Step 5 is the one that makes the new system the next to boot.

use std::fs::File;
use std::io::{self, Read, Write};

use coracle_layout::OsVersion;
use coracle_uki::{EntryName, Tries};
use rustix::fs::{AtFlags, OFlags, fstatvfs, fsync, unlinkat};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::dir::Dir;

pub(crate) const UNFINISHED: &str = ".tmp";
pub(crate) const FINISHED: &str = ".efi";
/// What stays free: room for the folder to grow, and for a wrong count of free clusters.
const SPARE: u64 = 1 << 20;
/// So many entries of three records each, and the two names that a renaming needs at a time, stand in the first sector of
/// the folder. What is not ours takes records as well, and leaves holes that no entry fits in.
const MAX_FILES: usize = 3;
/// The two names that a renaming needs.
const RENAMED: usize = 2 * 3;
/// Bytes that are copied at a time.
const PIECE: usize = 256 << 10;
/// What reading past the caches asks of a buffer, on any disk in use.
const ALIGNMENT: usize = 4096;

/// What an entry is to consist of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// Its bytes; not none.
    pub len: u64,
    /// Their digest.
    pub sha256: [u8; 32],
}

/// An entry that is on the disk, whole and compared, under a name that is not started. When it is dropped, it stays so until
/// [`Folder::clean`](crate::Folder::clean).
#[derive(Debug)]
#[must_use = "it is not started before it is activated"]
pub struct Staged<'a> {
    dir: &'a Dir,
    file: File,
    name: EntryName,
    len: u64,
}

impl Staged<'_> {
    /// Steps 5 and 6: the next boot will try it.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::Lost`]. Either leaves it unknown whether it will be started: list.
    pub fn activate(self) -> Result<EntryName, Error> {
        let new = self.name.to_string();
        self.dir.rename(&self.file, &temporary(self.name), &new)?;
        let listing = self.dir.list()?;
        let found = listing.of(self.name.version())?;
        match found {
            Some(entry) if entry.file == new && entry.len == self.len => Ok(self.name),
            _ => Err(Error::Lost { name: new }),
        }
    }

    /// Takes it off the disk again.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn discard(self) -> Result<(), Error> {
        self.dir.unlink(&temporary(self.name))
    }
}

fn temporary(name: EntryName) -> String {
    let name = name.to_string();
    format!("{}{UNFINISHED}", name.trim_end_matches(FINISHED))
}

impl Dir {
    /// Steps 1 to 4. What is left of a failure is removed, as far as that is possible.
    pub(crate) fn stage(
        &self,
        version: OsVersion,
        content: &Content,
        from: impl Read,
    ) -> Result<Staged<'_>, Error> {
        let name = EntryName::new(version, Some(Tries::FRESH)).map_err(Error::Name)?;
        self.has_room(version, content)?;
        let temporary = temporary(name);
        let file = self.open_file(&temporary, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
        match self.fill(&file, &temporary, &name.to_string(), content, from) {
            Ok(()) => Ok(Staged { dir: self, file, name, len: content.len }),
            Err(error) => {
                drop(file);
                // The failure before it says more; what stays is cleaned up at the next start.
                let _ = unlinkat(self, &temporary, AtFlags::empty());
                Err(error)
            }
        }
    }

    /// Step 1.
    fn has_room(&self, version: OsVersion, content: &Content) -> Result<(), Error> {
        let listing = self.list()?;
        if listing.of(version)?.is_some() {
            return Err(Error::Exists { version });
        }
        self.has_place(listing.files())?;
        self.has_space(content.len)
    }

    /// Whether an entry more has its place beside these files.
    pub(crate) fn has_place(&self, files: Vec<String>) -> Result<(), Error> {
        if files.len() >= MAX_FILES {
            return Err(Error::Crowded { path: self.path.clone(), files });
        }
        self.has_records_beside(files, RENAMED)
    }

    /// Whether the filesystem takes a file of so many bytes.
    pub(crate) fn has_space(&self, len: u64) -> Result<(), Error> {
        let stat = fstatvfs(self).map_err(Error::on("measure", self.path.display().to_string()))?;
        let (needed, free) = (len.saturating_add(SPARE), stat.f_bavail.saturating_mul(stat.f_frsize));
        if free < needed { Err(Error::Space { needed, free }) } else { Ok(()) }
    }

    /// Steps 2 to 4 with the new file `temporary`, which is to become `name`.
    pub(crate) fn fill(
        &self,
        file: &File,
        temporary: &str,
        name: &str,
        content: &Content,
        from: impl Read,
    ) -> Result<(), Error> {
        if content.len == 0 {
            return Err(Error::Empty { name: name.to_owned() });
        }
        let written = copy(file, from, content.len).map_err(Error::on("write", temporary))?;
        if written != *content {
            return Err(Error::Content { name: name.to_owned() });
        }
        fsync(file).map_err(Error::on("sync", temporary))?;
        self.sync()?;
        let read = self.read_back(temporary, content.len)?;
        if read == *content { Ok(()) } else { Err(Error::ReadBack { name: temporary.to_owned() }) }
    }

    /// What a file has on the disk, of at most `len` bytes.
    pub(crate) fn read_back(&self, name: &str, len: u64) -> Result<Content, Error> {
        let direct = self.open_file(name, OFlags::RDONLY | OFlags::DIRECT)?;
        read_back(direct, len).map_err(Error::on("read back", name))
    }
}

/// Copies at most one byte more than `len`; returns what went over.
fn copy(mut file: &File, from: impl Read, len: u64) -> io::Result<Content> {
    let (mut from, mut piece) = (from.take(len.saturating_add(1)), vec![0; PIECE]);
    let (mut digest, mut done) = (Sha256::new(), 0);
    loop {
        let count = match from.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => other?,
        };
        let bytes = piece.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(Content { len: done, sha256: digest.finalize().into() });
        }
        file.write_all(bytes)?;
        digest.update(bytes);
        done += bytes.len() as u64;
    }
}

/// What a file opened for direct reading has, which ends where a read does not fill the buffer.
fn read_back(mut file: File, len: u64) -> io::Result<Content> {
    let mut space = vec![0; PIECE + ALIGNMENT];
    let start = space.as_ptr().align_offset(ALIGNMENT);
    let buffer = space.get_mut(start..start.saturating_add(PIECE)).ok_or(io::ErrorKind::OutOfMemory)?;
    let (mut digest, mut done) = (Sha256::new(), 0);
    while done < len {
        let count = file.read(buffer)?;
        let bytes = buffer.get(..count).unwrap_or_default();
        digest.update(bytes);
        done += bytes.len() as u64;
        if bytes.len() < PIECE {
            break;
        }
    }
    let own = file.metadata()?.len();
    Ok(Content { len: if own == done { done } else { own }, sha256: digest.finalize().into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Folder;
    use crate::dir::tests::{folder, names, version};

    fn content(bytes: &[u8]) -> Content {
        Content { len: bytes.len() as u64, sha256: Sha256::digest(bytes).into() }
    }

    #[test]
    fn an_entry_is_named_only_when_it_is_whole() {
        for len in [1, 511, 4096, PIECE - 1, PIECE, 2 * PIECE + 4097] {
            let bytes: Vec<u8> = (0..len).map(|at| (at * 7 + at / 4096) as u8).collect();
            let (folder, dir) = folder(&["coracle_1.0.0.efi"]);
            let staged = dir.stage(version("1.1.0"), &content(&bytes), &bytes[..]).unwrap();
            assert_eq!(names(&dir), ["coracle_1.0.0.efi", "coracle_1.1.0+3-0.tmp"]);
            assert_eq!(staged.activate().unwrap().to_string(), "coracle_1.1.0+3-0.efi");
            assert_eq!(names(&dir), ["coracle_1.0.0.efi", "coracle_1.1.0+3-0.efi"]);
            assert!(std::fs::read(folder.path().join("coracle_1.1.0+3-0.efi")).unwrap() == bytes);
        }
    }

    #[test]
    fn one_that_is_discarded_is_gone() {
        let (_folder, dir) = folder(&["coracle_1.0.0.efi"]);
        dir.stage(version("1.1.0"), &content(b"uki"), &b"uki"[..]).unwrap().discard().unwrap();
        assert_eq!(names(&dir), ["coracle_1.0.0.efi"]);
    }

    #[test]
    fn what_is_not_as_announced_leaves_nothing() {
        let announced = content(b"what was announced");
        for bytes in [&b""[..], b"what was announce", b"what was announced.", b"what was announcec"] {
            let (_folder, dir) = folder(&["coracle_1.0.0.efi"]);
            let error = dir.stage(version("1.1.0"), &announced, bytes).unwrap_err();
            assert!(
                matches!(&error, Error::Content { name } if name == "coracle_1.1.0+3-0.efi"),
                "{error:?}"
            );
            assert_eq!(names(&dir), ["coracle_1.0.0.efi"]);
        }
        let (_folder, dir) = folder(&[]);
        let error = dir.stage(version("1.1.0"), &content(b""), &b""[..]).unwrap_err();
        assert!(matches!(error, Error::Empty { .. }), "{error:?}");
    }

    #[test]
    fn nothing_is_begun_that_does_not_fit() {
        type Expected = fn(&Error) -> bool;
        // Six records, where five are left.
        let long = "a".repeat(53);
        let cases: [(&[&str], Expected); 5] = [
            (&["coracle_1.1.0.efi"], |e| matches!(e, Error::Exists { .. })),
            (&["coracle_1.1.0+0-3.efi"], |e| matches!(e, Error::Exists { .. })),
            (&["coracle_1.0.0.efi", "a", "b"], |e| matches!(e, Error::Crowded { .. })),
            (&["coracle_1.0.0.efi", &long], |e| matches!(e, Error::Crowded { .. })),
            (&["coracle_1.1.0+3-0.tmp"], |e| matches!(e, Error::File { operation: "open", .. })),
        ];
        for (files, expected) in cases {
            let (_folder, dir) = folder(files);
            let before = names(&dir);
            let error = dir.stage(version("1.1.0"), &content(b"uki"), &b"uki"[..]).unwrap_err();
            assert!(expected(&error), "{files:?}: {error:?}");
            assert_eq!(names(&dir), before);
        }
        let (_folder, dir) = folder(&[]);
        let huge = Content { len: u64::MAX, ..content(b"uki") };
        let error = dir.stage(version("1.1.0"), &huge, &b"uki"[..]).unwrap_err();
        assert!(matches!(error, Error::Space { needed: u64::MAX, .. }), "{error:?}");
        let error = dir.stage(version("1234.5.678"), &content(b"uki"), &b"uki"[..]);
        assert!(error.is_ok(), "every version has room for its counter");
    }

    #[test]
    fn a_crowded_folder_is_known_before_anything_is_removed() {
        let crowded = |files: &[&str]| {
            let (folder, dir) = folder(files);
            let planned = Folder { dir }.has_place(version("1.0.0"));
            // What an update does before it comes to its entry.
            let dir = Dir::open(folder.path()).unwrap();
            dir.leftovers().unwrap().iter().for_each(|name| dir.unlink(name).unwrap());
            for entry in
                dir.list().unwrap().entries.iter().filter(|entry| entry.name.version() != version("1.0.0"))
            {
                dir.unlink(&entry.file).unwrap();
            }
            let staged = dir.stage(version("1.2.0"), &content(b"uki"), &b"uki"[..]).map(drop);
            assert_eq!(planned.is_ok(), staged.is_ok(), "{files:?}: {planned:?}, {staged:?}");
            planned.err().map(|error| error.to_string())
        };
        let own = "coracle_1.0.0.efi";
        assert_eq!(crowded(&[own, "coracle_1.1.0.efi", "linux.efi"]), None);
        assert_eq!(crowded(&[own, "coracle_1.1.0+3-0.tmp", "(coracle_1.3.0.efi)", "linux.efi"]), None);
        let said = crowded(&[own, "linux.efi", "notes"]).unwrap();
        assert!(said.contains("linux.efi") && said.contains("notes"), "{said}");
        assert!(crowded(&[own, "coracle_1.1.0.efi", "linux.efi", "notes"]).is_some());
        assert!(crowded(&[own, &"a".repeat(53)]).is_some());
    }
}
