//! A writer for the cpio archives that hold the first program.
//!
//! The layout is the kernel's `Documentation/driver-api/early-userspace/buffer-format.rst`. Inode numbers count
//! from 1, owner and times are zero: the same entries give the same bytes.
//!
//! | at | size | field of an entry |
//! |---|---|---|
//! | 0 | 6 | `070702`: `newc` with checks |
//! | 6 | 8 × 13 | hexadecimal: ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize with its NUL, check: the sum of a file's bytes, else 0 |
//! | 110 | namesize | the name and a NUL, padded with zeros so that the data begins at a multiple of 4 |
//! | … | filesize | the data, padded to a multiple of 4 |
//!
//! An entry called `TRAILER!!!` ends the archive, which is then padded to 512 bytes.
//!
//! The kernel compares the check only when the file is written. It goes on to the end of that archive, and stops before the
//! next one. So what must not exist unless a file is sound belongs into a second archive behind the file's.

use std::collections::BTreeMap;

const MAGIC: &[u8] = b"070702";
const TRAILER: &str = "TRAILER!!!";
/// PATH_MAX of the kernel, with the NUL.
const MAX_NAME: usize = 4096;
const BLOCK: usize = 512;

/// Why an entry was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Not a plain relative path: empty, absolute, too long, with `.`, `..`, an empty component or a NUL.
    #[error("adding {path:?}: not a plain relative path")]
    Path {
        /// The refused path.
        path: String,
    },
    /// The parent was not added as a directory before; the kernel would skip the entry silently.
    #[error("adding {path:?}: its parent is not a directory of the archive")]
    NoParent {
        /// The refused path.
        path: String,
    },
    /// The path is there already.
    #[error("adding {path:?}: it is already in the archive")]
    Duplicate {
        /// The refused path.
        path: String,
    },
    /// The mode has bits besides permissions, set-ID and sticky.
    #[error("adding {path:?}: mode {mode:o} has bits beyond 7777")]
    Mode {
        /// The refused path.
        path: String,
        /// Its mode.
        mode: u32,
    },
    /// The file has 4 GiB or more.
    #[error("adding {path:?}: {len} bytes do not fit a newc archive")]
    TooLarge {
        /// The refused path.
        path: String,
        /// Its length.
        len: usize,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Directory,
    CharDevice { major: u32, minor: u32 },
    File,
    Symlink,
}

impl Kind {
    /// The S_IFMT bits.
    fn bits(self) -> u32 {
        match self {
            Kind::Directory => 0o040_000,
            Kind::CharDevice { .. } => 0o020_000,
            Kind::File => 0o100_000,
            Kind::Symlink => 0o120_000,
        }
    }
}

/// An archive being written, in the order of the calls: parents first.
#[derive(Default)]
pub struct Archive {
    out: Vec<u8>,
    entries: BTreeMap<String, Kind>,
}

impl Archive {
    /// An archive without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a directory.
    ///
    /// # Errors
    /// Any of [`Error`] but `TooLarge`.
    pub fn directory(&mut self, path: &str, mode: u32) -> Result<&mut Self, Error> {
        self.add(path, mode, Kind::Directory, &[])
    }

    /// Adds a regular file.
    ///
    /// # Errors
    /// Any of [`Error`].
    pub fn file(&mut self, path: &str, mode: u32, data: &[u8]) -> Result<&mut Self, Error> {
        self.add(path, mode, Kind::File, data)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// Any of [`Error`] but `Mode`.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<&mut Self, Error> {
        self.add(path, 0o777, Kind::Symlink, target.as_bytes())
    }

    /// Adds a character device, such as the console that PID 1 gets as its standard streams.
    ///
    /// # Errors
    /// Any of [`Error`] but `TooLarge`.
    pub fn char_device(&mut self, path: &str, mode: u32, major: u32, minor: u32) -> Result<&mut Self, Error> {
        self.add(path, mode, Kind::CharDevice { major, minor }, &[])
    }

    /// Ends the archive and gives its bytes, a multiple of 512.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry(&Entry { name: TRAILER, ino: 0, mode: 0, nlink: 1, len: 0, rdev: (0, 0), check: 0 }, &[]);
        self.out.resize(self.out.len().next_multiple_of(BLOCK), 0);
        self.out
    }

    fn add(&mut self, path: &str, mode: u32, kind: Kind, data: &[u8]) -> Result<&mut Self, Error> {
        let name = || path.to_owned();
        let plain = |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\0');
        if path == TRAILER || path.len() >= MAX_NAME || !path.split('/').all(plain) {
            return Err(Error::Path { path: name() });
        }
        if mode & !0o7777 != 0 {
            return Err(Error::Mode { path: name(), mode });
        }
        if let Some((parent, _)) = path.rsplit_once('/')
            && self.entries.get(parent) != Some(&Kind::Directory)
        {
            return Err(Error::NoParent { path: name() });
        }
        if self.entries.contains_key(path) {
            return Err(Error::Duplicate { path: name() });
        }
        let len = u32::try_from(data.len()).map_err(|_| Error::TooLarge { path: name(), len: data.len() })?;
        self.entries.insert(name(), kind);
        let ino = self.entries.len() as u32;
        let nlink = if kind == Kind::Directory { 2 } else { 1 };
        let rdev = match kind {
            Kind::CharDevice { major, minor } => (major, minor),
            Kind::Directory | Kind::File | Kind::Symlink => (0, 0),
        };
        let check = if kind == Kind::File { sum(data) } else { 0 };
        self.entry(&Entry { name: path, ino, mode: kind.bits() | mode, nlink, len, rdev, check }, data);
        Ok(self)
    }

    fn entry(&mut self, entry: &Entry<'_>, data: &[u8]) {
        let (major, minor) = entry.rdev;
        let name_len = entry.name.len() as u32 + 1;
        let fields = [
            entry.ino,
            entry.mode,
            0,
            0,
            entry.nlink,
            0,
            entry.len,
            0,
            0,
            major,
            minor,
            name_len,
            entry.check,
        ];
        self.out.extend_from_slice(MAGIC);
        for field in fields {
            self.out.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.out.extend_from_slice(entry.name.as_bytes());
        self.out.push(0);
        self.pad();
        self.out.extend_from_slice(data);
        self.pad();
    }

    /// Every entry begins at a multiple of 4, so padding the whole archive pads the entry.
    fn pad(&mut self) {
        self.out.resize(self.out.len().next_multiple_of(4), 0);
    }
}

struct Entry<'a> {
    name: &'a str,
    ino: u32,
    mode: u32,
    nlink: u32,
    len: u32,
    rdev: (u32, u32),
    check: u32,
}

/// The check of a file's bytes.
fn sum(data: &[u8]) -> u32 {
    data.iter().fold(0, |sum, byte| sum.wrapping_add(u32::from(*byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_that_the_kernel_would_lose_are_refused() {
        let mut archive = Archive::new();
        archive.directory("dev", 0o755).unwrap().file("init", 0o755, b"").unwrap();
        for path in ["", "/dev", "dev/", "dev//x", "./x", "dev/../x", "x\0y", TRAILER] {
            assert_eq!(
                archive.file(path, 0o644, b"").err(),
                Some(Error::Path { path: path.into() }),
                "{path:?}"
            );
        }
        let long = "x".repeat(MAX_NAME);
        assert_eq!(archive.file(&long, 0o644, b"").err(), Some(Error::Path { path: long.clone() }));
        for path in ["proc/x", "init/x"] {
            assert_eq!(archive.directory(path, 0o755).err(), Some(Error::NoParent { path: path.into() }));
        }
        assert_eq!(archive.directory("dev", 0o755).err(), Some(Error::Duplicate { path: "dev".into() }));
        assert_eq!(
            archive.file("x", 0o100_644, b"").err(),
            Some(Error::Mode { path: "x".into(), mode: 0o100_644 })
        );
    }

    #[test]
    fn a_refused_entry_leaves_no_trace() {
        let mut archive = Archive::new();
        archive.directory("dev", 0o755).unwrap();
        let before = archive.out.clone();
        assert!(archive.file("proc/x", 0o644, b"x").is_err());
        assert_eq!(archive.out, before);
    }
}
