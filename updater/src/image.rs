//! A kernel image, made of an ops file into a file on the state partition.
//!
//! There it waits until it may become a boot entry: the EFI system partition is written once, at the last moment. What a kill or a
//! power cut has left of it is taken as far as its operations' tags vouch for it, so nothing has to be noted on the way.
//!
//! | # | step | power lost here means |
//! |---|---|---|
//! | 1 | outputs that stand in `uki.part` are held against their tags, from the first on | nothing |
//! | 2 | the other operations: body verified, output verified, written | a part, or bytes that no tag vouches for |
//! | 3 | all of it is held against the digest in the manifest; `fsync` | the whole of it, or as above |
//! | 4 | renamed to `uki`, `fsync` of the folder | `uki.part`, or `uki`, each whole |
//!
//! An ops file may say that it leads from one unpacked form to another (`coracle_bzimage`). Then the operations make that:
//!
//! | # | step | power lost here means |
//! |---|---|---|
//! | 1 | the image that runs is unpacked into `uki.from` | a part of it, which is not read again |
//! | 2 | the outputs that stand in `uki.form`, then the other operations, as above; all of it is held against the digest in the ops file's header | a part, or bytes that no tag vouches for |
//! | 3 | `uki.from` is removed; `uki.form` is packed into `uki.part` | both, and nothing believes `uki.part` |
//! | 4 | `uki.part` is held against the digest in the manifest; `fsync` | the same |
//! | 5 | renamed to `uki`, `fsync` of the folder; then `uki.form` is removed | `uki`, whole; a form that goes when `uki` does |
//!
//! A form is on the disk only while its image is made, or while bytes of it are missing that may come yet.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Seek, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use coracle_bzimage::{pack, unpack};
use coracle_ops::{Applier, Hash, Header, MAX_BODY, ReadAt, Request};
use sha2::{Digest, Sha256};

use crate::file::{self, failed};
use crate::slot::Bodies;

/// Bytes that are read at a time.
const PIECE: usize = 256 << 10;

/// Why there is no kernel image.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file, or its folder.
    #[error(transparent)]
    File(#[from] file::Failed),
    /// The bytes do not come.
    #[error("fetch the body of operation {op}")]
    Fetch {
        /// The operation.
        op: usize,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// An operation cannot be done.
    #[error("apply the ops file")]
    Apply(#[source] coracle_ops::Error),
    /// What runs has no unpacked form, or what came out is none.
    #[error("{operation} a kernel image")]
    Form {
        /// What was to be done.
        operation: &'static str,
        /// The cause.
        #[source]
        source: coracle_bzimage::Error,
    },
    /// What was packed again is not what the manifest says: here it is packed differently.
    #[error("the kernel image, packed again, is not the one in the manifest")]
    PackedOtherwise,
    /// What came out is not what the manifest says.
    #[error("the kernel image is not the one in the manifest")]
    Differs,
}

/// The folder in which it is made.
#[derive(Debug)]
pub struct Images {
    folder: PathBuf,
}

impl Images {
    /// A folder on the state partition, which must be there.
    pub fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// Where the finished one is.
    pub fn path(&self) -> PathBuf {
        self.folder.join("uki")
    }

    /// The digest of the finished one, if there is one.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn digest(&self) -> Result<Option<[u8; 32]>, Error> {
        let path = self.path();
        match File::open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("open", &path)(source).into()),
            Ok(file) => Ok(Some(digest(&file).map_err(failed("read", &path))?)),
        }
    }

    /// Removes it, and what was to become one.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn remove(&self) -> Result<(), Error> {
        remove(&[self.path(), self.part(), self.form(), self.from()])?;
        self.sync()
    }

    /// Makes the image that has this digest: of the image that runs, if the ops file starts from one.
    ///
    /// # Errors
    /// After [`Error::Fetch`], and where a body is damaged, what was made stays; after anything else in the ops file it is removed.
    pub fn make(
        &self,
        header: &Header,
        sha256: &[u8; 32],
        running: Option<File>,
        bodies: &mut impl Bodies,
    ) -> Result<(), Error> {
        let is_form = matches!(header.target().hash, Hash::Unpacked(_));
        let made = match header.target().hash {
            Hash::Unpacked(form) => self.make_of_form(header, &form, sha256, running, bodies),
            Hash::Sha256(_) | Hash::Verity(_) => {
                // Of an attempt at other files.
                remove(&[self.form(), self.from()])?;
                self.make_as_it_is(header, sha256, running, bodies)
            }
        };
        match &made {
            Ok(()) => {
                fs::rename(self.part(), self.path()).map_err(failed("rename", self.part()))?;
                self.sync()?;
                remove(&[self.form(), self.from()])?;
            }
            Err(Error::Fetch { .. } | Error::Apply(coracle_ops::Error::Body { .. })) => {
                remove(&[self.from()])?;
            }
            // What is taken instead needs the room.
            Err(Error::File(_)) if !is_form => {}
            Err(_) => self.remove()?,
        }
        made
    }

    /// Bytes that must be free besides what is there, to make the image by its forms.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn room_for_forms(&self, header: &Header, image: u64) -> Result<u64, Error> {
        use std::os::unix::fs::MetadataExt;
        let mut there = 0;
        for path in [self.form(), self.from(), self.part()] {
            match fs::metadata(&path) {
                Ok(about) => there += about.blocks() * 512,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(failed("look at", &path)(source).into()),
            }
        }
        let source = header.source().map_or(0, |source| source.len);
        Ok(source.saturating_add(header.target().len).saturating_add(image).saturating_sub(there))
    }

    fn make_as_it_is(
        &self,
        header: &Header,
        sha256: &[u8; 32],
        running: Option<File>,
        bodies: &mut impl Bodies,
    ) -> Result<(), Error> {
        let path = self.part();
        let file = open(&path)?;
        made(header, running, &file, bodies, &path)?;
        if digest(&file).map_err(failed("read", &path))? != *sha256 {
            return Err(Error::Differs);
        }
        Ok(file.sync_all().map_err(failed("sync", &path))?)
    }

    fn make_of_form(
        &self,
        header: &Header,
        form_sha256: &[u8; 32],
        sha256: &[u8; 32],
        running: Option<File>,
        bodies: &mut impl Bodies,
    ) -> Result<(), Error> {
        let (from, form, part) = (self.from(), self.form(), self.part());
        let source = running.map(|running| unpacked(running, &from)).transpose()?;
        let file = open(&form)?;
        made(header, source, &file, bodies, &form)?;
        if digest(&file).map_err(failed("read", &form))? != *form_sha256 {
            return Err(Error::Differs);
        }
        remove(&[from])?;
        let image = create(&part)?;
        rewound(&file, &form)?;
        let mut out = BufWriter::with_capacity(PIECE, &image);
        pack(&mut BufReader::with_capacity(PIECE, &file), &mut out)
            .and_then(|_| out.flush().map_err(coracle_bzimage::Error::Write))
            .map_err(|source| of_form("pack", source, &form, &part))?;
        if digest(&image).map_err(failed("read", &part))? != *sha256 {
            return Err(Error::PackedOtherwise);
        }
        Ok(image.sync_all().map_err(failed("sync", &part))?)
    }

    fn part(&self) -> PathBuf {
        self.folder.join("uki.part")
    }

    /// The unpacked form of the image that is to be.
    fn form(&self) -> PathBuf {
        self.folder.join("uki.form")
    }

    /// The unpacked form of the image that runs.
    fn from(&self) -> PathBuf {
        self.folder.join("uki.from")
    }

    fn sync(&self) -> Result<(), Error> {
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        Ok(synced.map_err(failed("sync", &self.folder))?)
    }
}

fn remove(paths: &[PathBuf]) -> Result<(), Error> {
    for path in paths {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove", path)(error).into());
            }
            _ => {}
        }
    }
    Ok(())
}

/// A file with what it holds.
fn open(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
    Ok(file.map_err(failed("open", path))?)
}

/// A file that holds nothing.
fn create(path: &Path) -> Result<File, Error> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path);
    Ok(file.map_err(failed("create", path))?)
}

fn rewound(mut file: &File, path: &Path) -> Result<(), Error> {
    Ok(file.rewind().map_err(failed("read", path))?)
}

/// The unpacked form of what runs.
fn unpacked(running: File, path: &Path) -> Result<File, Error> {
    let file = create(path)?;
    let mut out = BufWriter::with_capacity(PIECE, &file);
    unpack(&mut BufReader::with_capacity(PIECE, running), &mut out)
        .and_then(|_| out.flush().map_err(coracle_bzimage::Error::Write))
        .map_err(|source| of_form("unpack", source, Path::new("the kernel image that runs"), path))?;
    drop(out);
    Ok(file)
}

/// Files are the machine's affair; everything else speaks of the form.
fn of_form(operation: &'static str, error: coracle_bzimage::Error, from: &Path, to: &Path) -> Error {
    match error {
        coracle_bzimage::Error::Write(source) => failed("write", to)(source).into(),
        coracle_bzimage::Error::Read(source) if source.kind() != io::ErrorKind::UnexpectedEof => {
            failed("read", from)(source).into()
        }
        source => Error::Form { operation, source },
    }
}

/// All that an ops file makes, in a file exactly as long.
fn made(
    header: &Header,
    source: Option<File>,
    file: &File,
    bodies: &mut impl Bodies,
    path: &Path,
) -> Result<(), Error> {
    apply(header, source, file, bodies, path)?;
    Ok(file.set_len(header.target().len).map_err(failed("write", path))?)
}

fn apply(
    header: &Header,
    source: impl ReadAt,
    file: &File,
    bodies: &mut impl Bodies,
    path: &Path,
) -> Result<(), Error> {
    let mut applier = Applier::new(header, source);
    let write = |applier: &mut Applier<'_, _>, op: usize, body: &[u8]| {
        let output = applier.apply(op, body, file).map_err(Error::Apply)?;
        file.write_all_at(output.bytes, output.at)
            .map_err(|source| Error::from(failed("write", path)(source)))
    };
    let mut first = header.ops().len();
    let mut output = Vec::new();
    for (number, op) in header.ops().iter().enumerate() {
        output.resize(op.len as usize, 0);
        let stands = ReadAt::read_exact_at(file, &mut output, op.at).is_ok() && op.is_output(&output);
        match (stands, op.kind.has_body()) {
            (true, _) => {}
            (false, false) => write(&mut applier, number, &[])?,
            (false, true) => {
                first = number;
                break;
            }
        }
    }
    let Some(Request { ops, bytes }) = header.requests(first, u64::MAX).next() else { return Ok(()) };
    let failed = |op| move |source| Error::Fetch { op, source };
    let mut reader = match bytes.is_empty() {
        true => None,
        false => Some(bodies.range(bytes).map_err(failed(first))?),
    };
    let mut body = Vec::with_capacity(MAX_BODY);
    for op in ops {
        body.resize(header.ops().get(op).map_or(0, |op| op.body_len as usize), 0);
        if let Some(reader) = reader.as_mut() {
            reader.read_exact(&mut body).map_err(failed(op))?;
        }
        write(&mut applier, op, &body)?;
    }
    Ok(())
}

pub(crate) fn digest(mut file: &File) -> io::Result<[u8; 32]> {
    file.rewind()?;
    let (mut digest, mut piece) = (Sha256::new(), vec![0; PIECE]);
    loop {
        let count = file.read(&mut piece)?;
        let bytes = piece.get(..count).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(digest.finalize().into());
        }
        digest.update(bytes);
    }
}

#[cfg(test)]
mod tests;
