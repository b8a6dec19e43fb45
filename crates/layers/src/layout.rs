//! An OCI image layout on disk: a folder, or an uncompressed tar archive of one.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use oci_spec::image::Descriptor;
use serde::de::DeserializeOwned;

use crate::digest;
use crate::error::{Error, Refusal};
use crate::path::TreePath;
use crate::records::{self, RecordKind};

/// Most members of a layout archive.
const ARCHIVE_MEMBERS: u64 = 4096;

/// An opened layout. Nothing in it is trusted: each blob is checked against its descriptor when used.
#[derive(Debug)]
pub struct Layout {
    path: PathBuf,
    form: Form,
}

#[derive(Debug)]
enum Form {
    Folder,
    /// Member name to range.
    Archive(BTreeMap<String, (u64, u64)>),
}

impl Layout {
    /// Opens a folder or an archive; of an archive the members are listed, not read.
    ///
    /// # Errors
    /// Unreadable path; an archive with damaged, repeated or unsafe members, or too many.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, Error> {
        let path = path.into();
        let failed = |source| Error::Io { operation: "open layout", path: path.clone(), source };
        if fs::metadata(&path).map_err(failed)?.is_dir() {
            return Ok(Self { path, form: Form::Folder });
        }
        let members = list(File::open(&path).map_err(failed)?)
            .map_err(|reason| Error::Archive { path: path.clone(), reason })?;
        Ok(Self { path, form: Form::Archive(members) })
    }

    /// Opens one file of the layout, with its length.
    fn file(&self, name: &str) -> Result<(io::Take<File>, u64), Error> {
        let missing = || Error::Missing { name: name.to_owned() };
        let failed = |path: &Path, source| Error::Io { operation: "open", path: path.to_owned(), source };
        match &self.form {
            Form::Folder => {
                let path = self.path.join(name);
                let meta = fs::symlink_metadata(&path).map_err(|_| missing())?;
                if !meta.is_file() {
                    return Err(missing());
                }
                let file = File::open(&path).map_err(|e| failed(&path, e))?;
                Ok((file.take(meta.len()), meta.len()))
            }
            Form::Archive(members) => {
                let (offset, len) = *members.get(name).ok_or_else(missing)?;
                let mut file = File::open(&self.path).map_err(|e| failed(&self.path, e))?;
                file.seek(SeekFrom::Start(offset)).map_err(|e| failed(&self.path, e))?;
                Ok((file.take(len), len))
            }
        }
    }

    /// Reads one bounded file of the layout that no descriptor vouches for.
    pub(crate) fn read(&self, name: &str, limit: u64) -> Result<Vec<u8>, Error> {
        let (file, size) = self.file(name)?;
        if size > limit {
            return Err(Error::DocumentTooLarge { name: name.to_owned(), size, limit });
        }
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).map_err(|source| self.broken(source))?;
        Ok(bytes)
    }

    /// Reads a JSON blob and checks size and digest before it is parsed.
    pub(crate) fn document<T: DeserializeOwned>(
        &self,
        descriptor: &Descriptor,
        limit: u64,
    ) -> Result<T, Error> {
        let (name, digest) = blob_name(descriptor)?;
        if descriptor.size() > limit {
            return Err(Error::DocumentTooLarge { name, size: descriptor.size(), limit });
        }
        let bytes = self.read(&name, limit)?;
        check(descriptor, &digest, digest::of(&bytes), bytes.len() as u64)?;
        parse(&name, &bytes)
    }

    /// Checks size and digest of a blob in one pass, then opens it again from its start.
    ///
    /// The second pass can differ if someone writes to the layout meanwhile: the diff ID covers it.
    pub(crate) fn blob(&self, descriptor: &Descriptor) -> Result<impl Read + use<>, Error> {
        let (name, digest) = blob_name(descriptor)?;
        let (file, size) = self.file(&name)?;
        if size != descriptor.size() {
            return Err(Error::Size { digest, want: descriptor.size(), got: size });
        }
        let (got, length) = digest::of_stream(file, size).map_err(|source| self.broken(source))?;
        check(descriptor, &digest, got, length)?;
        Ok(self.file(&name)?.0)
    }

    fn broken(&self, source: io::Error) -> Error {
        Error::Io { operation: "read", path: self.path.clone(), source }
    }
}

/// Parses a document whose name appears in the error.
pub(crate) fn parse<T: DeserializeOwned>(name: &str, bytes: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(bytes).map_err(|source| Error::Parse { name: name.to_owned(), source })
}

fn check(descriptor: &Descriptor, want: &str, got: String, length: u64) -> Result<(), Error> {
    if length != descriptor.size() {
        return Err(Error::Size { digest: want.to_owned(), want: descriptor.size(), got: length });
    }
    if got != want {
        return Err(Error::Digest { want: want.to_owned(), got });
    }
    Ok(())
}

/// Name inside the layout, and the digest. The hex digits were checked when the descriptor was parsed.
fn blob_name(descriptor: &Descriptor) -> Result<(String, String), Error> {
    let digest = descriptor.digest().to_string();
    match descriptor.as_digest_sha256() {
        Some(hex) => Ok((format!("blobs/sha256/{hex}"), digest)),
        None => Err(Error::DigestAlgorithm { digest }),
    }
}

fn list(file: File) -> Result<BTreeMap<String, (u64, u64)>, Refusal> {
    let length = file.metadata().map_err(Refusal::Stream)?.len();
    let mut members = BTreeMap::new();
    let mut archive = tar::Archive::new(file);
    let entries = archive.entries_with_seek().map_err(Refusal::Stream)?;
    records::for_each(
        entries,
        ARCHIVE_MEMBERS,
        |reason, _| reason,
        |record, _| {
            let path = TreePath::parse(&record.path, 8)?;
            let end = record.position.checked_add(record.size);
            match record.kind {
                RecordKind::Directory => return Ok(()),
                RecordKind::Regular if end.is_some_and(|end| end <= length) => {}
                RecordKind::Regular => return Err(Refusal::Stream(io::ErrorKind::UnexpectedEof.into())),
                _ => return Err(Refusal::Special("link or special file in a layout")),
            }
            let name = String::from_utf8_lossy(&path.to_bytes()).into_owned();
            match members.insert(name, (record.position, record.size)) {
                None => Ok(()),
                Some(_) => Err(Refusal::Repeated),
            }
        },
    )?;
    Ok(members)
}
