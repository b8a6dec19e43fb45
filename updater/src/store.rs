//! Where the checkpoint is kept.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, fsync, openat, renameat, unlinkat};
use rustix::io::Errno;

use crate::checkpoint::{Checkpoint, LEN};
use crate::error::{Error, Operation};

/// Keeps the bytes of one checkpoint. What returns well is durable; what does not leaves the bytes before or these.
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

pub(crate) fn load(store: &impl Store) -> Result<Option<Checkpoint>, Error> {
    let bytes = store.load().map_err(error(Operation::Read))?;
    Ok(bytes.and_then(|bytes| Checkpoint::parse(&bytes)))
}

pub(crate) fn save(store: &impl Store, checkpoint: &Checkpoint) -> Result<(), Error> {
    store.save(&checkpoint.encode()).map_err(error(Operation::Write))
}

pub(crate) fn remove(store: &impl Store) -> Result<(), Error> {
    store.remove().map_err(error(Operation::Remove))
}

fn error(operation: Operation) -> impl Fn(io::Error) -> Error {
    move |source| Error::Checkpoint { operation, source }
}

const NAME: &str = "slot-checkpoint";
const UNFINISHED: &str = "slot-checkpoint.tmp";

/// A folder with the checkpoint in it, on a filesystem with a journal.
///
/// It is saved by write, fsync, rename, fsync of the folder, and removed by unlink, fsync of the folder.
#[derive(Debug)]
pub struct Folder(OwnedFd);

impl Folder {
    /// The folder, which must be there.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self(openat(CWD, path, flags, Mode::empty())?))
    }

    fn file(&self, name: &str, flags: OFlags) -> Result<File, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        openat(&self.0, name, flags, Mode::RUSR | Mode::WUSR).map(File::from)
    }
}

impl Store for Folder {
    fn load(&self) -> io::Result<Option<Vec<u8>>> {
        let file = match self.file(NAME, OFlags::RDONLY) {
            Err(Errno::NOENT) => return Ok(None),
            other => other?,
        };
        let mut bytes = Vec::new();
        file.take(LEN as u64 + 1).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    fn save(&self, bytes: &[u8]) -> io::Result<()> {
        let mut file = self.file(UNFINISHED, OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC)?;
        file.write_all(bytes)?;
        fsync(&file)?;
        renameat(&self.0, UNFINISHED, &self.0, NAME)?;
        Ok(fsync(&self.0)?)
    }

    fn remove(&self) -> io::Result<()> {
        match unlinkat(&self.0, NAME, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
        // Even if there was none: it may have been unlinked before a kill, and its folder not synced.
        Ok(fsync(&self.0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back_until_it_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Folder::open(folder.path()).unwrap();
        assert_eq!(store.load().unwrap(), None);
        store.remove().unwrap();
        for bytes in [&b"first"[..], b"a second, longer one", b"3"] {
            store.save(bytes).unwrap();
            assert_eq!(store.load().unwrap().unwrap(), bytes);
        }
        assert!(!folder.path().join(UNFINISHED).exists());
        store.save(&[7; 4096]).unwrap();
        assert_eq!(store.load().unwrap().unwrap().len(), LEN + 1, "no more is read than tells it is wrong");
        store.remove().unwrap();
        assert_eq!(store.load().unwrap(), None);
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Folder::open(folder.path()).unwrap();
        std::fs::write(folder.path().join("other"), b"kept").unwrap();
        for name in [NAME, UNFINISHED] {
            std::os::unix::fs::symlink("other", folder.path().join(name)).unwrap();
        }
        assert!(store.load().is_err() && store.save(b"new").is_err());
        assert_eq!(std::fs::read(folder.path().join("other")).unwrap(), b"kept");
    }
}
