//! Variables as files of efivarfs, named `NAME-VENDOR`: <https://docs.kernel.org/filesystems/efivarfs.html>.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 4 | attributes, little endian |
//! | 4 | the rest | value |
//!
//! A value is written by one `write`, whole or not at all: what a power cut leaves is the firmware's promise. Most files cannot be
//! changed before a flag is taken off, which is a guard against a stray `rm`.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{IFlags, OFlags, ioctl_getflags, ioctl_setflags};
use rustix::io::Errno;

use crate::Error;

/// Kept without power, seen before and after the firmware hands over.
const ATTRIBUTES: u32 = 0x7;
/// Bytes of the attributes.
const PREFIX: usize = 4;
/// Bytes of the longest value that is read or written.
pub const MAX_VALUE: usize = 8192;
/// More files are not listed.
const MAX_FILES: usize = 4096;

/// Whose variable it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vendor {
    /// UEFI's own: boot options and their order.
    Firmware,
    /// The Boot Loader Interface's.
    Loader,
}

impl Vendor {
    fn guid(self) -> &'static str {
        match self {
            Self::Firmware => "8be4df61-93ca-11d2-aa0d-00e098032b8c",
            Self::Loader => "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f",
        }
    }
}

/// The folder with the variables.
#[derive(Debug, Clone)]
pub struct Efivars {
    folder: PathBuf,
}

impl Efivars {
    /// Where the kernel has them.
    pub const FOLDER: &str = "/sys/firmware/efi/efivars";

    /// Those under `folder`, which a machine without EFI does not have: then there are none.
    pub fn at(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The value of a variable, if there is one.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::TooLong`]; [`Error::Malformed`] if there are not even attributes.
    pub fn read(&self, name: &str, vendor: Vendor) -> Result<Option<Vec<u8>>, Error> {
        let path = self.path(name, vendor);
        let mut bytes = Vec::new();
        let limit = (PREFIX + MAX_VALUE + 1) as u64;
        match File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut bytes)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(failed("read", &path))?,
        };
        // A file that was made, and never written, is no variable.
        if bytes.is_empty() {
            return Ok(None);
        }
        let variable = || name.to_owned();
        let value = bytes.get(PREFIX..).ok_or_else(|| Error::Malformed { variable: variable() })?;
        if value.len() > MAX_VALUE {
            return Err(Error::TooLong { variable: variable(), max: MAX_VALUE });
        }
        Ok(Some(value.to_owned()))
    }

    /// Gives a variable a value, which is not empty, whether it is there or not.
    ///
    /// # Errors
    /// [`Error::File`], of the kind [`StorageFull`](io::ErrorKind::StorageFull) where the firmware has no room;
    /// [`Error::TooLong`].
    pub fn write(&self, name: &str, vendor: Vendor, value: &[u8]) -> Result<(), Error> {
        if value.len() > MAX_VALUE {
            return Err(Error::TooLong { variable: name.to_owned(), max: MAX_VALUE });
        }
        let path = self.path(name, vendor);
        let flags = changeable(&path)?;
        let is_new = flags.is_none();
        let result = write(&path, value);
        match (&result, flags) {
            // The failure says more; a file without a value is no variable.
            (Err(_), _) if is_new => drop(fs::remove_file(&path)),
            (_, Some(flags)) if flags.contains(IFlags::IMMUTABLE) => {
                let file = File::open(&path).map_err(failed("open", &path))?;
                ioctl_setflags(&file, flags).map_err(failed("guard", &path))?;
            }
            _ => {}
        }
        result.map_err(failed("write", &path))
    }

    /// Removes a variable, if it is there.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn remove(&self, name: &str, vendor: Vendor) -> Result<(), Error> {
        let path = self.path(name, vendor);
        match changeable(&path)? {
            Some(_) => fs::remove_file(&path).map_err(failed("remove", &path)),
            None => Ok(()),
        }
    }

    /// The names of a vendor's variables, in no order.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::TooMany`].
    pub fn names(&self, vendor: Vendor) -> Result<Vec<String>, Error> {
        let files = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other.map_err(failed("list", &self.folder))?,
        };
        let mut names = Vec::new();
        for (count, file) in files.enumerate() {
            if count == MAX_FILES {
                return Err(Error::TooMany { what: "EFI variables", max: MAX_FILES });
            }
            let file = file.map_err(failed("list", &self.folder))?.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(vendor.guid())?.strip_suffix('-'));
            names.extend(name.map(str::to_owned));
        }
        Ok(names)
    }

    fn path(&self, name: &str, vendor: Vendor) -> PathBuf {
        self.folder.join(format!("{name}-{}", vendor.guid()))
    }
}

/// Takes the guard off a file; returns the flags that it had, or `None` if it is not there.
fn changeable(path: &Path) -> Result<Option<IFlags>, Error> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed("open", path))?,
    };
    let flags = match ioctl_getflags(&file) {
        Ok(flags) => flags,
        // A filesystem without flags guards nothing.
        Err(Errno::NOTTY | Errno::OPNOTSUPP) => return Ok(Some(IFlags::empty())),
        Err(errno) => return Err(failed("look at", path)(errno)),
    };
    if flags.contains(IFlags::IMMUTABLE) {
        ioctl_setflags(&file, flags - IFlags::IMMUTABLE).map_err(failed("unguard", path))?;
    }
    Ok(Some(flags))
}

/// All of it in one call: what came in parts would be several values.
fn write(path: &Path, value: &[u8]) -> io::Result<()> {
    let bytes: Vec<u8> = ATTRIBUTES.to_le_bytes().into_iter().chain(value.iter().copied()).collect();
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o644)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    if file.write(&bytes)? != bytes.len() {
        return Err(io::ErrorKind::WriteZero.into());
    }
    // efivarfs sets the length by itself; elsewhere the end of a longer value would stay.
    if file.metadata()?.len() != bytes.len() as u64 { file.set_len(bytes.len() as u64) } else { Ok(()) }
}

fn failed<E: Into<io::Error>>(operation: &'static str, path: &Path) -> impl FnOnce(E) -> Error {
    let path = path.to_owned();
    move |source| Error::File { operation, path, source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Vendor::{Firmware, Loader};

    #[test]
    fn a_variable_is_written_read_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let efivars = Efivars::at(folder.path());
        assert_eq!(efivars.read("Boot0000", Firmware).unwrap(), None);
        efivars.remove("Boot0000", Firmware).unwrap();
        for value in [&b"longer"[..], b"short", b"x"] {
            efivars.write("Boot0000", Firmware, value).unwrap();
            assert_eq!(efivars.read("Boot0000", Firmware).unwrap().as_deref(), Some(value));
        }
        efivars.write("LoaderEntryOneShot", Loader, b"y").unwrap();
        let file = folder.path().join("Boot0000-8be4df61-93ca-11d2-aa0d-00e098032b8c");
        assert_eq!(fs::read(&file).unwrap(), b"\x07\0\0\0x");
        assert_eq!(efivars.names(Firmware).unwrap(), ["Boot0000"]);
        assert_eq!(efivars.names(Loader).unwrap(), ["LoaderEntryOneShot"]);
        efivars.remove("Boot0000", Firmware).unwrap();
        assert_eq!(efivars.read("Boot0000", Firmware).unwrap(), None);
    }

    #[test]
    fn a_machine_without_efi_has_none() {
        let efivars = Efivars::at(Path::new("/nonexistent"));
        assert_eq!(efivars.read("BootOrder", Firmware).unwrap(), None);
        assert!(efivars.names(Firmware).unwrap().is_empty());
        let error = efivars.write("BootOrder", Firmware, b"x").unwrap_err();
        assert!(matches!(error, Error::File { operation: "write", .. }), "{error:?}");
    }

    #[test]
    fn what_is_too_long_or_too_short_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let efivars = Efivars::at(folder.path());
        let put = |bytes: &[u8]| fs::write(efivars.path("BootOrder", Firmware), bytes).unwrap();
        put(&[]);
        assert_eq!(efivars.read("BootOrder", Firmware).unwrap(), None);
        put(&[7, 0, 0]);
        assert!(matches!(efivars.read("BootOrder", Firmware), Err(Error::Malformed { .. })));
        put(&vec![0; PREFIX + MAX_VALUE]);
        assert_eq!(efivars.read("BootOrder", Firmware).unwrap().map(|value| value.len()), Some(MAX_VALUE));
        put(&vec![0; PREFIX + MAX_VALUE + 1]);
        assert!(matches!(efivars.read("BootOrder", Firmware), Err(Error::TooLong { .. })));
        let long = efivars.write("BootOrder", Firmware, &[0; MAX_VALUE + 1]);
        assert!(matches!(long, Err(Error::TooLong { .. })));
    }

    /// Where the filesystem of the tests has the flag, and they may set it.
    #[test]
    fn a_guarded_variable_is_changed_and_guarded_again() {
        let folder = tempfile::tempdir().unwrap();
        let efivars = Efivars::at(folder.path());
        efivars.write("BootOrder", Firmware, b"old").unwrap();
        let file = File::open(efivars.path("BootOrder", Firmware)).unwrap();
        if ioctl_setflags(&file, IFlags::IMMUTABLE).is_err() {
            return eprintln!("no flags here");
        }
        assert!(write(&efivars.path("BootOrder", Firmware), b"no").is_err());
        efivars.write("BootOrder", Firmware, b"new").unwrap();
        assert!(ioctl_getflags(&file).unwrap().contains(IFlags::IMMUTABLE));
        assert_eq!(efivars.read("BootOrder", Firmware).unwrap().as_deref(), Some(&b"new"[..]));
        efivars.remove("BootOrder", Firmware).unwrap();
        assert_eq!(efivars.read("BootOrder", Firmware).unwrap(), None);
    }
}
