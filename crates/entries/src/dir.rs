//! What is in the folder of the entries.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use coracle_layout::OsVersion;
use coracle_uki::{Assessment, EntryName};
use rustix::fs::{AtFlags, CWD, Dir as Stream, FileType, Mode, OFlags, openat, statat};

use crate::Error;
use crate::remove::is_temporary;

/// The file of an entry of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What its name says.
    pub name: EntryName,
    /// Its name as the folder has it, which may spell the counter in another way.
    pub file: String,
    /// Its bytes.
    pub len: u64,
}

/// What is in the folder, in no order.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Entries of ours.
    pub entries: Vec<Entry>,
    /// The names of everything else.
    pub others: Vec<String>,
}

impl Listing {
    /// The one entry of a version, if it has one.
    ///
    /// # Errors
    /// [`Error::Twice`].
    pub fn of(&self, version: OsVersion) -> Result<Option<&Entry>, Error> {
        let mut entries = self.entries.iter().filter(|entry| entry.name.version() == version);
        let first = entries.next();
        if entries.next().is_some() { Err(Error::Twice { version }) } else { Ok(first) }
    }

    /// The names of all that is there.
    pub(crate) fn files(self) -> Vec<String> {
        self.entries.into_iter().map(|entry| entry.file).chain(self.others).collect()
    }

    /// The names of what is there once all is gone that we may remove: leftovers, and every entry but that of `running`, which comes
    /// back if it is not there.
    pub(crate) fn files_beside(self, running: OsVersion) -> Result<Vec<String>, Error> {
        let own = match self.of(running)? {
            Some(entry) => entry.file.clone(),
            None => EntryName::new(running, None).map_err(Error::Name)?.to_string(),
        };
        let others = self.others.into_iter().filter(|name| !is_temporary(name));
        Ok(std::iter::once(own).chain(others).collect())
    }

    /// Whether an entry of another version is there that the loader never gives up.
    pub(crate) fn has_good_besides(&self, version: OsVersion) -> bool {
        let is_good = |entry: &Entry| entry.name.assessment() == Assessment::Good && entry.len > 0;
        self.entries.iter().any(|entry| entry.name.version() != version && is_good(entry))
    }
}

/// The open folder, on whatever filesystem.
#[derive(Debug)]
pub(crate) struct Dir {
    fd: OwnedFd,
    pub path: PathBuf,
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Dir {
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(CWD, path, flags, Mode::empty());
        let fd = fd.map_err(Error::on("open", path.display().to_string()))?;
        Ok(Self { fd, path: path.to_owned() })
    }

    pub(crate) fn list(&self) -> Result<Listing, Error> {
        let failed = || Error::on("list", self.path.display().to_string());
        let mut listing = Listing::default();
        for found in Stream::read_from(&self.fd).map_err(failed())? {
            let found = found.map_err(failed())?;
            let file = found.file_name().to_string_lossy().into_owned();
            if file == "." || file == ".." {
                continue;
            }
            let stat = statat(&self.fd, found.file_name(), AtFlags::SYMLINK_NOFOLLOW);
            let stat = stat.map_err(Error::on("look at", file.as_str()))?;
            let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
            match file.parse::<EntryName>() {
                Ok(name) if is_file => {
                    listing.entries.push(Entry { name, file, len: stat.st_size.unsigned_abs() });
                }
                _ => listing.others.push(file),
            }
        }
        Ok(listing)
    }

    pub(crate) fn open_file(&self, name: &str, flags: OFlags) -> Result<File, Error> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = openat(&self.fd, name, flags, Mode::RUSR | Mode::WUSR).map_err(Error::on("open", name))?;
        Ok(File::from(fd))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A folder with files of these names, each with its name in it; those in brackets are empty.
    pub(crate) fn folder(names: &[&str]) -> (tempfile::TempDir, Dir) {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let bare = name.trim_matches(['(', ')']);
            let content = if bare == *name { bare } else { "" };
            std::fs::write(folder.path().join(bare), content).unwrap();
        }
        let dir = Dir::open(folder.path()).unwrap();
        (folder, dir)
    }

    pub(crate) fn version(text: &str) -> OsVersion {
        text.parse().unwrap()
    }

    /// The names in the folder, in order.
    pub(crate) fn names(dir: &Dir) -> Vec<String> {
        let listing = dir.list().unwrap();
        let mut names: Vec<_> = listing.entries.into_iter().map(|entry| entry.file).collect();
        names.extend(listing.others);
        names.sort();
        names
    }

    #[test]
    fn entries_are_told_from_other_things() {
        let names = ["coracle_1.0.0.efi", "(coracle_1.1.0+3.efi)", "coracle_1.1.0+3-0.tmp", "linux.efi"];
        let (folder, dir) = folder(&names);
        std::fs::create_dir(folder.path().join("coracle_1.2.0.efi")).unwrap();
        let mut listing = dir.list().unwrap();
        listing.entries.sort_by_key(|entry| entry.name.version());
        listing.others.sort();
        let entry =
            |file: &str, name: &str, len| Entry { name: name.parse().unwrap(), file: file.into(), len };
        let first = entry("coracle_1.0.0.efi", "coracle_1.0.0.efi", 17);
        assert_eq!(
            listing.entries,
            [first.clone(), entry("coracle_1.1.0+3.efi", "coracle_1.1.0+3-0.efi", 0)]
        );
        assert_eq!(listing.others, ["coracle_1.1.0+3-0.tmp", "coracle_1.2.0.efi", "linux.efi"]);
        assert_eq!(listing.of(version("1.0.0")).unwrap(), Some(&first));
        assert_eq!(listing.of(version("2.0.0")).unwrap(), None);
        assert!(listing.has_good_besides(version("1.1.0")) && !listing.has_good_besides(version("1.0.0")));
    }

    #[test]
    fn two_entries_of_a_version_are_too_many() {
        let (_folder, dir) = folder(&["coracle_1.0.0.efi", "coracle_1.0.0+0-1.efi"]);
        let twice = dir.list().unwrap();
        assert!(matches!(twice.of(version("1.0.0")), Err(Error::Twice { .. })));
    }

    #[test]
    fn a_folder_that_is_none_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let missing = Dir::open(&folder.path().join("EFI")).unwrap_err();
        assert!(matches!(&missing, Error::File { operation: "open", object, .. } if object.ends_with("EFI")));
    }
}
