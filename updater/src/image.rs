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
mod tests {
    use super::*;
    use crate::slot::Stored;
    use coracle_bzimage::specimen;
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

    /// What runs.
    fn running(bytes: &[u8]) -> Option<File> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file.rewind().unwrap();
        Some(file)
    }

    /// Two kernel images, the second one of a kernel that was built again: words changed everywhere, some were added.
    fn kernels() -> [Vec<u8>; 2] {
        let old = specimen::content(600_000, 1);
        let mut new = old.clone();
        for at in (0..new.len() - 8).step_by(9000) {
            new[at] ^= 1;
        }
        new.splice(300_000..300_000, specimen::content(5000, 2));
        [old, new].map(|content| specimen::image(&content))
    }

    fn form(image: &[u8]) -> Vec<u8> {
        let mut form = Vec::new();
        unpack(&mut io::Cursor::new(image), &mut form).unwrap();
        form
    }

    /// The header, the whole file, and the digest of the image that it makes by way of forms.
    fn by_forms(old: &[u8], new: &[u8]) -> (Header, Vec<u8>, [u8; 32]) {
        between(&form(old), &form(new), Sha256::digest(new).into())
    }

    fn between(old: &[u8], new: &[u8], digest: [u8; 32]) -> (Header, Vec<u8>, [u8; 32]) {
        let [old, new] = [old, new].map(|form| Image::unpacked(form, form.len() as u64).unwrap());
        let mut bodies = Vec::new();
        let made = delta(&old, &new, &mut bodies).unwrap();
        (made.header, [made.head, bodies].concat(), digest)
    }

    fn names(folder: &Path) -> Vec<String> {
        let names =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
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
        images.make(&header, &digest, None, &mut Stored(&file[..])).unwrap();
        assert_eq!((images.digest().unwrap(), fs::read(images.path()).unwrap() == new), (Some(digest), true));
        images.remove().unwrap();
        assert_eq!(images.digest().unwrap(), None);
        let (header, delta, digest) = ops(Some(&old), &new);
        assert!(delta.len() < file.len() / 20);
        images.make(&header, &digest, running(&old), &mut Stored(&delta[..])).unwrap();
        assert_eq!(images.digest().unwrap(), Some(digest));
    }

    #[test]
    fn what_was_made_before_a_kill_is_not_fetched_again() {
        let new = image(3);
        let folder = tempfile::tempdir().unwrap();
        let images = Images::in_folder(folder.path());
        let (header, file, digest) = ops(None, &new);
        let mut cut = Cut(&file, 1_200_000, vec![]);
        assert!(matches!(images.make(&header, &digest, None, &mut cut), Err(Error::Fetch { op: 1, .. })));
        // A write that the power cut.
        let part = OpenOptions::new().write(true).open(images.part()).unwrap();
        part.write_all_at(b"garbage", (1 << 20) + 4096).unwrap();
        let mut whole = Cut(&file, usize::MAX, vec![]);
        images.make(&header, &digest, None, &mut whole).unwrap();
        assert_eq!(images.digest().unwrap(), Some(digest));
        assert_eq!((cut.2[0] < whole.2[0], whole.2.len()), (true, 1), "{:?} {:?}", cut.2, whole.2);
    }

    #[test]
    fn another_image_is_none() {
        let (old, new) = (image(4), image(5));
        let folder = tempfile::tempdir().unwrap();
        let images = Images::in_folder(folder.path());
        let (header, file, digest) = ops(Some(&old), &new);
        let other = images.make(&header, &[9; 32], running(&old), &mut Stored(&file[..]));
        assert!(matches!(other, Err(Error::Differs)));
        let source = images.make(&header, &digest, running(&new[..100]), &mut Stored(&file[..]));
        assert!(matches!(source, Err(Error::Apply(coracle_ops::Error::ReadSource { .. }))), "{source:?}");
        let mut bad = file.clone();
        *bad.last_mut().unwrap() ^= 1;
        let body = images.make(&header, &digest, running(&old), &mut Stored(&bad[..]));
        assert!(matches!(body, Err(Error::Apply(coracle_ops::Error::Body { .. }))), "{body:?}");
        assert_eq!(images.digest().unwrap(), None);
    }

    #[test]
    fn a_kernel_built_again_is_made_by_way_of_its_form() {
        let [old, new] = kernels();
        let folder = tempfile::tempdir().unwrap();
        let images = Images::in_folder(folder.path());
        let (header, file, digest) = by_forms(&old, &new);
        let (_, raw, _) = ops(Some(&old), &new);
        assert!(file.len() * 4 < raw.len(), "{} of {}", file.len(), raw.len());
        let forms = form(&old).len() + form(&new).len();
        assert_eq!(images.room_for_forms(&header, 100).unwrap(), forms as u64 + 100);
        // What another attempt has left.
        for name in ["uki.part", "uki.from", "uki.form"] {
            fs::write(folder.path().join(name), vec![7; 3 << 20]).unwrap();
        }
        assert!(images.room_for_forms(&header, 100).unwrap() < forms as u64);
        images.make(&header, &digest, running(&old), &mut Stored(&file[..])).unwrap();
        assert!(fs::read(images.path()).unwrap() == new);
        assert_eq!(names(folder.path()), ["uki"]);
        // Once more over itself.
        images.make(&header, &digest, running(&old), &mut Stored(&file[..])).unwrap();
        assert_eq!((images.digest().unwrap(), names(folder.path())), (Some(digest), vec!["uki".to_owned()]));
    }

    /// From one body on and another, with the files as a kill leaves them.
    #[test]
    fn a_form_is_gone_on_with() {
        let [old, new] = kernels();
        let (header, file, digest) = by_forms(&old, &new);
        let bodies: Vec<u64> =
            header.ops().iter().filter(|op| op.kind.has_body()).map(|op| op.body_at).collect();
        assert!(bodies.len() > 3, "{} bodies", bodies.len());
        for at in bodies.iter().step_by(bodies.len() / 3) {
            let folder = tempfile::tempdir().unwrap();
            let images = Images::in_folder(folder.path());
            let mut cut = Cut(&file, (at - bodies[0]) as usize, vec![]);
            let failed = images.make(&header, &digest, running(&old), &mut cut);
            assert!(matches!(failed, Err(Error::Fetch { .. })), "{failed:?}");
            assert_eq!(names(folder.path()), ["uki.form"]);
            fs::write(folder.path().join("uki.from"), b"half of it").unwrap();
            fs::write(folder.path().join("uki.part"), b"half of it").unwrap();
            let mut rest = Cut(&file, usize::MAX, vec![]);
            images.make(&header, &digest, running(&old), &mut rest).unwrap();
            assert_eq!(rest.2, [*at]);
            assert_eq!(
                (images.digest().unwrap(), names(folder.path())),
                (Some(digest), vec!["uki".to_owned()])
            );
        }
        // Killed when it had been packed: nothing is fetched again.
        let folder = tempfile::tempdir().unwrap();
        let images = Images::in_folder(folder.path());
        fs::write(folder.path().join("uki.form"), form(&new)).unwrap();
        fs::write(folder.path().join("uki.part"), &new).unwrap();
        let mut none = Cut(&file, 0, vec![]);
        images.make(&header, &digest, running(&old), &mut none).unwrap();
        assert_eq!((none.2.len(), images.digest().unwrap()), (0, Some(digest)));
    }

    #[test]
    fn nothing_is_left_of_a_form_that_leads_nowhere() {
        let [old, new] = kernels();
        let (header, file, digest) = by_forms(&old, &new);
        let fails = |header: &Header, digest: &[u8; 32], source: &[u8], file: &[u8]| {
            let folder = tempfile::tempdir().unwrap();
            let images = Images::in_folder(folder.path());
            let error = images.make(header, digest, running(source), &mut Stored(file)).unwrap_err();
            (error, names(folder.path()))
        };
        // The image that runs is another one, or none that has a form.
        let (error, left) = fails(&header, &digest, &new, &file);
        assert!(matches!(error, Error::Apply(coracle_ops::Error::Output { .. })), "{error:?}");
        assert!(left.is_empty(), "{left:?}");
        let lies = [&old[..0x200], &old[..old.len() / 2], &[7; 70_000]];
        let mut damaged = old.clone();
        let at = old.len() / 2;
        damaged[at..at + 100].fill(0xa5);
        for source in lies.into_iter().chain([&damaged[..]]) {
            let (error, left) = fails(&header, &digest, source, &file);
            assert!(matches!(error, Error::Form { operation: "unpack", .. }), "{error:?}");
            assert!(left.is_empty(), "{left:?}");
        }
        // It is packed into something else here.
        let (error, left) = fails(&header, &[9; 32], &old, &file);
        assert!(matches!(error, Error::PackedOtherwise) && left.is_empty(), "{error:?} {left:?}");
        // What comes out is no form, or one whose frame would have another length.
        let mut other = form(&new);
        other[10] ^= 1;
        let mut long = form(&new);
        long[32] ^= 1;
        for bad in [other, long, vec![3; 50_000]] {
            let (header, file, digest) = between(&form(&old), &bad, digest);
            let (error, left) = fails(&header, &digest, &old, &file);
            assert!(
                matches!(error, Error::Form { operation: "pack", .. }) && left.is_empty(),
                "{error:?} {left:?}"
            );
        }
    }

    /// A folder that takes nothing: what is taken instead finds the room.
    #[test]
    fn a_disk_that_takes_nothing_keeps_no_form() {
        let [old, new] = kernels();
        let (header, file, digest) = by_forms(&old, &new);
        for name in ["uki.from", "uki.form", "uki.part"] {
            let folder = tempfile::tempdir().unwrap();
            let images = Images::in_folder(folder.path());
            std::os::unix::fs::symlink("/dev/full", folder.path().join(name)).unwrap();
            let error = images.make(&header, &digest, running(&old), &mut Stored(&file[..])).unwrap_err();
            let Error::File(failed) = &error else { panic!("{name}: {error:?}") };
            assert_eq!(failed.source.kind(), io::ErrorKind::StorageFull, "{name}");
            assert_eq!(names(folder.path()), [""; 0], "{name}");
        }
    }
}
