//! A file on the state partition that is whole whenever the power goes: the old bytes, the new ones, or none.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, fsync, openat, renameat, unlinkat};
use rustix::io::Errno;

/// Keeps some bytes. What returns well is durable; what does not leaves the bytes before or these.
pub trait Store {
    /// The bytes, if there are any, in any state.
    fn load(&self) -> io::Result<Option<Vec<u8>>>;

    /// Puts these in place of any others.
    fn save(&self, bytes: &[u8]) -> io::Result<()>;

    /// Removes them, if there are any.
    fn remove(&self) -> io::Result<()>;
}

impl<S: Store + ?Sized> Store for &S {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        (**self).load()
    }

    fn save(&self, bytes: &[u8]) -> io::Result<()> {
        (**self).save(bytes)
    }

    fn remove(&self) -> io::Result<()> {
        (**self).remove()
    }
}

/// A file of a folder, on a filesystem with a journal.
///
/// It is saved by write, fsync, rename, fsync of the folder, and removed by unlink, fsync of the folder.
#[derive(Debug)]
pub struct Kept {
    folder: OwnedFd,
    name: CString,
    unfinished: CString,
    limit: u64,
}

impl Kept {
    /// The file `name` of a folder, which must be there. Of one that is longer than `limit` bytes, a byte more than that is read.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(folder: &Path, name: &str, limit: u64) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let (folder, unfinished) = (openat(CWD, folder, flags, Mode::empty())?, format!("{name}.tmp"));
        Ok(Self { folder, name: CString::new(name)?, unfinished: CString::new(unfinished)?, limit })
    }

    fn file(&self, name: &CString, flags: OFlags) -> Result<File, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.folder, name, flags, Mode::RUSR | Mode::WUSR).map(File::from)
    }
}

impl Store for Kept {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        let file = match self.file(&self.name, OFlags::RDONLY) {
            Err(Errno::NOENT) => return Ok(None),
            other => other?,
        };
        let mut bytes = Vec::new();
        file.take(self.limit + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn save(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file(&self.unfinished, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
        file.write_all(bytes)?;
        fsync(&file)?;
        renameat(&self.folder, &self.unfinished, &self.folder, &self.name)?;
        Ok(fsync(&self.folder)?)
    }

    fn remove(&self) -> io::Result<()> {
        match unlinkat(&self.folder, &self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        // Even if there was none: it may have been unlinked before a kill, and its folder not synced.
        Ok(fsync(&self.folder)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "name";
    const LIMIT: u64 = 100;

    #[test]
    fn what_is_kept_comes_back_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Kept::open(folder.path(), NAME, LIMIT).unwrap();
        assert_eq!(store.load().unwrap(), None);
        store.remove().unwrap();
        for bytes in [&b"first"[..], b"a second, longer one", b"3"] {
            store.save(bytes).unwrap();
            assert_eq!(store.load().unwrap().unwrap(), bytes);
        }
        assert!(!folder.path().join("name.tmp").exists());
        store.save(&[7; 4096]).unwrap();
        assert_eq!(store.load().unwrap().unwrap().len(), 101, "no more is read than tells it is wrong");
        store.remove().unwrap();
        assert_eq!(store.load().unwrap(), None);
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Kept::open(folder.path(), NAME, LIMIT).unwrap();
        std::fs::write(folder.path().join("other"), b"kept").unwrap();
        for name in [NAME, "name.tmp"] {
            std::os::unix::fs::symlink("other", folder.path().join(name)).unwrap();
        }
        assert!(store.load().is_err() && store.save(b"new").is_err());
        assert_eq!(std::fs::read(folder.path().join("other")).unwrap(), b"kept");
    }
}
