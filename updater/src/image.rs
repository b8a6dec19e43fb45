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

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use coracle_ops::{Applier, Header, MAX_BODY, ReadAt, Request};
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
        for path in [self.path(), self.part()] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(failed("remove", &path)(error).into());
                }
                _ => {}
            }
        }
        self.sync()
    }

    /// Makes the image that has this digest.
    ///
    /// # Errors
    /// After [`Error::Fetch`], and where a body is damaged, what was made stays; after anything else in the ops file it is removed.
    pub fn make(
        &self,
        header: &Header,
        sha256: &[u8; 32],
        source: impl ReadAt,
        bodies: &mut impl Bodies,
    ) -> Result<(), Error> {
        let (path, name) = (self.part(), "write");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(failed("open", &path))?;
        let made = apply(header, source, &file, bodies, &path).and_then(|()| {
            file.set_len(header.target().len).map_err(failed(name, &path))?;
            let got = digest(&file).map_err(failed("read", &path))?;
            if got == *sha256 { Ok(()) } else { Err(Error::Differs) }
        });
        match &made {
            Ok(()) => {}
            Err(Error::Fetch { .. } | Error::File(_) | Error::Apply(coracle_ops::Error::Body { .. })) => {
                return made;
            }
            Err(_) => {
                self.remove()?;
                return made;
            }
        }
        file.sync_all().map_err(failed("sync", &path))?;
        fs::rename(&path, self.path()).map_err(failed("rename", &path))?;
        self.sync()
    }

    fn part(&self) -> PathBuf {
        self.folder.join("uki.part")
    }

    fn sync(&self) -> Result<(), Error> {
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        Ok(synced.map_err(failed("sync", &self.folder))?)
    }
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
    use std::io::Seek;
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
mod tests {
    use super::*;
    use crate::slot::Stored;
    use coracle_ops::build::{Image, delta, full};

    /// Images of 2 MiB that differ in the middle: operations with bodies, and blocks that stay.
    fn image(middle: u8) -> Vec<u8> {
        let mut state = 7_u32;
        let mut noise = move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let mut bytes: Vec<u8> = (0..2 << 20).map(|_| noise()).collect();
        bytes[1 << 20..(1 << 20) + 5000].fill(middle);
        bytes.truncate((2 << 20) - 100);
        bytes
    }

    fn of(bytes: &[u8]) -> Image<&[u8]> {
        Image::hashed(bytes, bytes.len() as u64).unwrap()
    }

    /// The header, the whole file, and the digest of what it makes.
    fn ops(old: Option<&[u8]>, new: &[u8]) -> (Header, Vec<u8>, [u8; 32]) {
        let mut bodies = Vec::new();
        let made = match old {
            Some(old) => delta(&of(old), &of(new), &mut bodies).unwrap(),
            None => full(&of(new), &mut bodies).unwrap(),
        };
        (made.header, [made.head, bodies].concat(), Sha256::digest(new).into())
    }

    /// Gives so many bytes, then fails; notes where it was asked to begin.
    struct Cut<'b>(&'b [u8], usize, Vec<u64>);

    impl Bodies for Cut<'_> {
        fn range(&mut self, bytes: std::ops::Range<u64>) -> io::Result<impl Read> {
            self.2.push(bytes.start);
            let part = &self.0[bytes.start as usize..bytes.end as usize];
            let rest = io::Error::from(io::ErrorKind::ConnectionReset);
            Ok(part.take(self.1 as u64).chain(Fails(Some(rest))))
        }
    }

    struct Fails(Option<io::Error>);

    impl Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            self.0.take().map_or(Ok(0), Err)
        }
    }

    #[test]
    fn an_image_is_made_of_nothing_and_of_what_runs() {
        let (old, new) = (image(1), image(2));
        let folder = tempfile::tempdir().unwrap();
        let images = Images::in_folder(folder.path());
        assert_eq!(images.digest().unwrap(), None);
        let (header, file, digest) = ops(None, &new);
        images.make(&header, &digest, &[][..], &mut Stored(&file[..])).unwrap();
        assert_eq!((images.digest().unwrap(), fs::read(images.path()).unwrap() == new), (Some(digest), true));
        images.remove().unwrap();
        assert_eq!(images.digest().unwrap(), None);
        let (header, delta, digest) = ops(Some(&old), &new);
        assert!(delta.len() < file.len() / 20);
        images.make(&header, &digest, &old[..], &mut Stored(&delta[..])).unwrap();
        assert_eq!(images.digest().unwrap(), Some(digest));
    }

    #[test]
    fn what_was_made_before_a_kill_is_not_fetched_again() {
        let new = image(3);
        let folder = tempfile::tempdir().unwrap();
        let images = Images::in_folder(folder.path());
        let (header, file, digest) = ops(None, &new);
        let mut cut = Cut(&file, 1_200_000, vec![]);
        assert!(matches!(images.make(&header, &digest, &[][..], &mut cut), Err(Error::Fetch { op: 1, .. })));
        // A write that the power cut.
        let part = OpenOptions::new().write(true).open(images.part()).unwrap();
        part.write_all_at(b"garbage", (1 << 20) + 4096).unwrap();
        let mut whole = Cut(&file, usize::MAX, vec![]);
        images.make(&header, &digest, &[][..], &mut whole).unwrap();
        assert_eq!(images.digest().unwrap(), Some(digest));
        assert_eq!((cut.2[0] < whole.2[0], whole.2.len()), (true, 1), "{:?} {:?}", cut.2, whole.2);
    }

    #[test]
    fn another_image_is_none() {
        let (old, new) = (image(4), image(5));
        let folder = tempfile::tempdir().unwrap();
        let images = Images::in_folder(folder.path());
        let (header, file, digest) = ops(Some(&old), &new);
        let other = images.make(&header, &[9; 32], &old[..], &mut Stored(&file[..]));
        assert!(matches!(other, Err(Error::Differs)));
        let source = images.make(&header, &digest, &new[..100], &mut Stored(&file[..]));
        assert!(matches!(source, Err(Error::Apply(coracle_ops::Error::ReadSource { .. }))), "{source:?}");
        let mut bad = file.clone();
        *bad.last_mut().unwrap() ^= 1;
        let body = images.make(&header, &digest, &old[..], &mut Stored(&bad[..]));
        assert!(matches!(body, Err(Error::Apply(coracle_ops::Error::Body { .. }))), "{body:?}");
        assert_eq!(images.digest().unwrap(), None);
    }
}
