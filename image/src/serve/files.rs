//! The files that are served: plain ones below a folder, and no way out of it.

use std::fs::File;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

use crate::Error;

/// The folder.
#[derive(Debug)]
pub struct Files {
    folder: File,
}

/// A file that was found.
#[derive(Debug)]
pub struct Found {
    /// Open for reading.
    pub file: File,
    /// Its length in bytes.
    pub len: u64,
    /// Its entity tag, in quotes: another one when its name, length or time of change is another.
    pub tag: String,
}

impl Files {
    /// Opens the folder.
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let file = File::open(folder).map_err(Error::file("open", folder))?;
        if !file.metadata().map_err(Error::file("look at", folder))?.is_dir() {
            let source = std::io::ErrorKind::NotADirectory.into();
            return Err(Error::File { operation: "serve", path: folder.to_owned(), source });
        }
        Ok(Self { folder: file })
    }

    /// The file that a request's target names. `None` for everything else: what is not there or may not be read, folders, names
    /// that begin with a dot, ways and links out of the folder.
    pub fn find(&self, target: &str) -> Option<Found> {
        let path = target.split(['?', '#']).next().unwrap_or_default().strip_prefix('/')?;
        let path = decoded(path)?;
        if path.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            return None;
        }
        // Opening must not wait for the other end of a pipe.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let file = File::from(openat2(&self.folder, &path, flags, Mode::empty(), beneath).ok()?);
        let about = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
        let name = crc32fast::hash(path.as_bytes());
        let tag = format!("\"{name:x}-{:x}-{:x}-{:x}\"", about.len(), about.mtime(), about.mtime_nsec());
        Some(Found { file, len: about.len(), tag })
    }
}

/// A path without its percent signs; `None` if what they stand for has no place in one.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok().filter(|byte| ![0, b'/'].contains(byte))?
            }
            plain => plain,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_outside_the_folder_is_found() {
        let outer = tempfile::tempdir().unwrap();
        let at = |name: &str| outer.path().join(name);
        fs::create_dir_all(at("repo/metadata")).unwrap();
        for (name, text) in [("secret", "s"), ("repo/metadata/a+b.json", "abc"), ("repo/.hidden", "h")] {
            fs::write(at(name), text).unwrap();
        }
        symlink("../secret", at("repo/up")).unwrap();
        symlink(at("secret"), at("repo/absolute")).unwrap();
        symlink("metadata/a+b.json", at("repo/inside")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, at("repo/pipe"), rustix::fs::FileType::Fifo, Mode::RUSR, 0)
            .unwrap();
        let files = Files::open(&at("repo")).unwrap();
        for (target, len) in [
            ("/metadata/a+b.json", Some(3)),
            ("/metadata/a%2Bb.json?x=1", Some(3)),
            ("/inside", Some(3)),
            ("/", None),
            ("/metadata", None),
            ("/metadata/", None),
            ("/metadata/gone", None),
            ("//metadata/a+b.json", None),
            ("/metadata/../metadata/a+b.json", None),
            ("/../secret", None),
            ("/%2e%2e/secret", None),
            ("/..%2fsecret", None),
            ("/.hidden", None),
            ("/up", None),
            ("/absolute", None),
            ("/pipe", None),
            ("/%00", None),
            ("/%f", None),
            ("/%ff", None),
        ] {
            assert_eq!(files.find(target).map(|found| found.len), len, "{target}");
        }
        let before = files.find("/metadata/a+b.json").unwrap().tag;
        assert_ne!(files.find("/inside").unwrap().tag, before);
        fs::write(at("repo/metadata/a+b.json"), "abcd").unwrap();
        assert_ne!(files.find("/metadata/a+b.json").unwrap().tag, before);
        assert!(Files::open(&at("secret")).is_err());
    }
}
