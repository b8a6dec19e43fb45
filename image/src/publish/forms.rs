//! Kernel images in their unpacked form, where a machine can use it.
//!
//! A machine unpacks the image that it runs, and packs what the operations make of it. So the old image must have a form, and the
//! new one must come back from its form, byte for byte: that is tried here. The payload has to be another one, too: where it is
//! the same, a delta of the images as they are has nothing of it, and a machine has less to do.

use std::cell::OnceCell;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek as _, Write};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use coracle_bzimage::{Error as Bad, Payload, pack, unpack};
use coracle_ops::Hash;
use coracle_ops::build::Image;
use sha2::{Digest as _, Sha256};

use super::Error;

/// The forms for one release.
#[derive(Debug, Default)]
pub(super) struct Forms {
    /// The same whichever release a delta starts from.
    new: OnceCell<Option<Image<File>>>,
}

impl Forms {
    /// The form of a release before, if it has one and its payload is not that of the new one.
    pub fn of_old(
        &self,
        old: &Image<File>,
        new: &Image<File>,
        scratch: &Path,
    ) -> Result<Option<Image<File>>, Error> {
        let [a, b] = [old, new].map(|image| Payload::find(&mut BufReader::new(&image.bytes)));
        let (Some(a), Some(b)) = (usable(a)?, usable(b)?) else { return Ok(None) };
        if a.frame == b.frame && same((&old.bytes, a.at), (&new.bytes, b.at), a.frame).map_err(read)? {
            return Ok(None);
        }
        form(old, scratch)
    }

    /// The form of the new release, if the image comes back from it.
    pub fn of_new(&self, new: &Image<File>, scratch: &Path) -> Result<Option<&Image<File>>, Error> {
        if self.new.get().is_none() {
            let form = form(new, scratch)?;
            let form = match form {
                Some(form) if comes_back(&form, new)? => Some(form),
                _ => None,
            };
            // Nobody else sets it: it is not shared between threads.
            let _ = self.new.set(form);
        }
        Ok(self.new.get().and_then(Option::as_ref))
    }
}

fn form(image: &Image<File>, scratch: &Path) -> Result<Option<Image<File>>, Error> {
    let mut file = tempfile::tempfile_in(scratch).map_err(Error::file("make a file in", scratch))?;
    let mut out = BufWriter::with_capacity(1 << 20, &mut file);
    let header = unpack(&mut BufReader::with_capacity(1 << 20, &image.bytes), &mut out);
    let Some(header) = usable(header)? else { return Ok(None) };
    out.flush().map_err(Error::file("write below", scratch))?;
    drop(out);
    Image::unpacked(file, header.form_len()).map(Some).map_err(Error::ops("the unpacked form"))
}

fn comes_back(form: &Image<File>, image: &Image<File>) -> Result<bool, Error> {
    let mut file = &form.bytes;
    file.rewind().map_err(read)?;
    let mut out = Hashing(Sha256::new());
    let packed = usable(pack(&mut BufReader::with_capacity(1 << 20, file), &mut out))?;
    Ok(packed.is_some() && Hash::Sha256(out.0.finalize().into()) == image.identity.hash)
}

/// `None` where it is the image's fault: then it is published as it is.
fn usable<T>(result: Result<T, Bad>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Bad::Read(error)) if error.kind() != io::ErrorKind::UnexpectedEof => Err(read(error)),
        Err(error @ Bad::Write(_)) => Err(Error::Form(error)),
        Err(_) => Ok(None),
    }
}

fn read(error: io::Error) -> Error {
    Error::Form(Bad::Read(error))
}

/// Whether so many bytes are the same in both files.
fn same(a: (&File, u64), b: (&File, u64), len: u64) -> io::Result<bool> {
    let (mut left, mut right) = (vec![0; 1 << 20], vec![0; 1 << 20]);
    for at in (0..len).step_by(1 << 20) {
        let count = (len - at).min(1 << 20) as usize;
        a.0.read_exact_at(&mut left[..count], a.1 + at)?;
        b.0.read_exact_at(&mut right[..count], b.1 + at)?;
        if left[..count] != right[..count] {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Keeps the hash of what is written.
struct Hashing(Sha256);

impl Write for Hashing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
