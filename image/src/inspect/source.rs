//! From a file of any supported form to the raw disk in it.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::NamedTempFile;

use super::Error;

/// The largest disk that is taken out of another form. It is written sparsely, so that zeros cost nothing.
const MAX_DISK: u64 = 1 << 40;
const PIECE: usize = 1 << 20;
const BLOCK: usize = 4096;

/// How a file holds a disk, told by its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// Byte for byte.
    Raw,
    /// In a zstd frame.
    RawZst,
    /// QEMU's format 2 or 3.
    Qcow2,
    /// VMware's.
    Vmdk,
    /// Microsoft's, before VHDX.
    Vhd,
}

impl Form {
    /// Its name, the usual end of such files' names.
    pub fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::RawZst => "raw.zst",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vhd => "vhd",
        }
    }

    /// What `qemu-img` calls it, if it takes `qemu-img` to read it.
    fn driver(self) -> Option<&'static str> {
        match self {
            Self::Raw | Self::RawZst => None,
            Self::Qcow2 => Some("qcow2"),
            Self::Vmdk => Some("vmdk"),
            Self::Vhd => Some("vpc"),
        }
    }

    fn of(file: &File, len: u64) -> io::Result<Self> {
        let mut head = [0; 4];
        let mut tail = [0; 8];
        if len >= head.len() as u64 {
            file.read_exact_at(&mut head, 0)?;
        }
        if len >= 512 {
            file.read_exact_at(&mut tail, len - 512)?;
        }
        Ok(match (&head, &tail) {
            (b"\x28\xb5\x2f\xfd", _) => Self::RawZst,
            (b"QFI\xfb", _) => Self::Qcow2,
            (b"KDMV", _) => Self::Vmdk,
            (_, b"conectix") => Self::Vhd,
            _ => Self::Raw,
        })
    }
}

/// A disk, open for reading.
#[derive(Debug)]
pub(super) struct Disk {
    pub form: Form,
    /// Bytes of the file as it was given.
    pub file_bytes: u64,
    pub raw: File,
    pub len: u64,
}

/// The form of an image.
///
/// # Errors
/// It cannot be read.
pub fn form(path: &Path) -> Result<Form, Error> {
    let (file, len) = open_file(path)?;
    Form::of(&file, len).map_err(|source| Error::Open { path: path.to_owned(), source })
}

fn open_file(path: &Path) -> Result<(File, u64), Error> {
    let failed = |source| Error::Open { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    // A block device has no length of its own; its end is where one can seek to.
    let len = file.seek(SeekFrom::End(0)).and_then(|len| file.rewind().map(|()| len)).map_err(failed)?;
    Ok((file, len))
}

/// Opens an image. What is not raw is put into a file without a name first.
pub(super) fn open(path: &Path) -> Result<Disk, Error> {
    let (file, file_bytes) = open_file(path)?;
    let form = Form::of(&file, file_bytes).map_err(|source| Error::Open { path: path.to_owned(), source })?;
    let raw = match form.driver() {
        None if form == Form::Raw => file,
        None => decompress(path)?.into_file(),
        Some(driver) => convert(path, driver)?,
    };
    let len = match form {
        Form::Raw => file_bytes,
        _ => raw.metadata().map_err(Error::Temporary)?.len(),
    };
    Ok(Disk { form, file_bytes, raw, len })
}

/// Takes the disk out of a zstd frame, whose checksum is checked on the way. The file is sparse, and gone with the value.
///
/// # Errors
/// The frame is damaged or holds more than 1 TiB, or there is no room.
pub fn decompress(path: &Path) -> Result<NamedTempFile, Error> {
    let failed = |source| Error::Decompress { path: path.to_owned(), source };
    let mut decoder = zstd::Decoder::new(open_file(path)?.0).map_err(failed)?;
    let mut out = NamedTempFile::with_prefix("coracle-disk-").map_err(Error::Temporary)?;
    let mut piece = vec![0; PIECE];
    let mut len = 0;
    loop {
        let count = fill(&mut decoder, &mut piece).map_err(failed)?;
        if count == 0 {
            break;
        }
        for (index, block) in piece[..count].chunks(BLOCK).enumerate() {
            if block.iter().any(|byte| *byte != 0) {
                let at = len + (index * BLOCK) as u64;
                out.seek(SeekFrom::Start(at)).and_then(|_| out.write_all(block)).map_err(Error::Temporary)?;
            }
        }
        len += count as u64;
        if len > MAX_DISK {
            return Err(failed(io::Error::other("it holds more than 1 TiB")));
        }
    }
    out.as_file().set_len(len).map_err(Error::Temporary)?;
    Ok(out)
}

/// Reads until the buffer is full or the input ends.
fn fill(input: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match input.read(&mut buffer[filled..])? {
            0 => break,
            count => filled += count,
        }
    }
    Ok(filled)
}

fn convert(path: &Path, driver: &str) -> Result<File, Error> {
    let out = NamedTempFile::new().map_err(Error::Temporary)?;
    // The driver is named, so that no content makes qemu-img take the file for something else.
    let mut command = Command::new("qemu-img");
    command
        .args(["convert", "-f", driver, "-O", "raw", "-S", "4k", "--"])
        .arg(absolute(path)?)
        .arg(out.path());
    let output = command.output().map_err(|source| Error::QemuImg { path: path.to_owned(), source })?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).trim().replace('\n', "; ");
        return Err(Error::Convert { path: path.to_owned(), said });
    }
    // Opened anew: qemu-img may have put another file in its place.
    File::open(out.path()).map_err(Error::Temporary)
}

/// A path that `qemu-img` cannot take for an address such as `json:` or `nbd:`.
fn absolute(path: &Path) -> Result<std::path::PathBuf, Error> {
    std::path::absolute(path).map_err(|source| Error::Open { path: path.to_owned(), source })
}
