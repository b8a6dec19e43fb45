//! Partitions of a disk.

use std::fs::{File, OpenOptions};
use std::io;
use std::num::NonZero;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use coracle_layout::Slot;
use coracle_layout::partition::Partition;
use rustix::fs::{Advice, FlockOperation, OFlags, fadvise, flock};
use rustix::io::Errno;

use crate::slot::aligned::{ALIGNMENT, Aligned};
use crate::slot::device::BlockDevice;
use crate::slot::error::Error;
use crate::slot::target::Target;

/// A partition, or a file in its place, that nobody else has.
///
/// Writes go through the page cache, as operations read what others put out. Reading back goes past it (`O_DIRECT`), and drops the
/// pages before; where the filesystem of a file does not know `O_DIRECT`, only the latter.
#[derive(Debug)]
pub struct PartitionDevice {
    file: File,
    direct: Option<File>,
    size: u64,
    id: Id,
}

/// What a node leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Id {
    Device(u64),
    File(u64, u64),
}

impl Target<PartitionDevice> {
    /// Opens the partitions of the slot that does not run; `node` says where each partition of the disk is.
    ///
    /// # Errors
    /// [`Error::Busy`] if one is mounted, open through dm-verity, or being written; [`Error::NotOther`] if one is a partition of
    /// the running slot; [`Error::Open`].
    pub fn open(running: Slot, node: impl Fn(Partition) -> PathBuf) -> Result<Self, Error> {
        let mut taken = Vec::new();
        for which in [Partition::Root(running), Partition::Verity(running)] {
            let path = node(which);
            taken.push(Id::of(&path).map_err(|source| Error::Open { path, source })?);
        }
        let mut open = |which| {
            let path = node(which);
            match Id::of(&path) {
                Ok(id) if taken.contains(&id) => return Err(Error::NotOther { path }),
                Ok(id) => taken.push(id),
                Err(source) => return Err(Error::Open { path, source }),
            }
            let device = PartitionDevice::open(&path)?;
            // The node may have changed since it was looked at.
            if taken.last() != Some(&device.id) { Err(Error::NotOther { path }) } else { Ok(device) }
        };
        let slot = running.other();
        let (root, tree) = (open(Partition::Root(slot))?, open(Partition::Verity(slot))?);
        Ok(Self::beside(running, root, tree))
    }
}

impl PartitionDevice {
    /// Opens it for nobody else: `O_EXCL`, which the kernel grants on a block device only if nothing is mounted from it and no
    /// device mapper holds it, and a lock, which holds off others of our kind on a file.
    ///
    /// # Errors
    /// [`Error::Busy`], [`Error::Open`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        Self::try_open(path).map_err(|source| match Errno::from_io_error(&source) {
            Some(Errno::BUSY | Errno::WOULDBLOCK) => Error::Busy { path: path.to_owned() },
            _ => Error::Open { path: path.to_owned(), source },
        })
    }

    fn try_open(path: &Path) -> io::Result<Self> {
        let flags = |flags: OFlags| (flags | OFlags::CLOEXEC).bits().cast_signed();
        let file = OpenOptions::new().read(true).write(true).custom_flags(flags(OFlags::EXCL)).open(path)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        let direct = OpenOptions::new().read(true).custom_flags(flags(OFlags::DIRECT)).open(path).ok();
        let id = Id::of_file(&file)?;
        // Not another one, should the node have changed in between.
        let direct = direct.filter(|direct| Id::of_file(direct).is_ok_and(|of| of == id));
        let size = io::Seek::seek(&mut &file, io::SeekFrom::End(0))?;
        Ok(Self { file, direct, size, id })
    }
}

impl Id {
    fn of(path: &Path) -> io::Result<Self> {
        path.metadata().map(|metadata| Self::new(&metadata))
    }

    fn of_file(file: &File) -> io::Result<Self> {
        file.metadata().map(|metadata| Self::new(&metadata))
    }

    fn new(metadata: &std::fs::Metadata) -> Self {
        if metadata.file_type().is_block_device() {
            Self::Device(metadata.rdev())
        } else {
            Self::File(metadata.dev(), metadata.ino())
        }
    }
}

impl BlockDevice for PartitionDevice {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.file.read_at(buffer, at)
    }

    fn read_back_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        // Also so that a slot's worth of pages does not stay in the place of what containers use.
        fadvise(&self.file, at, NonZero::new(buffer.len() as u64), Advice::DontNeed)?;
        let fits = at.is_multiple_of(ALIGNMENT as u64) && buffer.len().is_multiple_of(ALIGNMENT);
        let Some(direct) = self.direct.as_ref().filter(|_| fits) else {
            return self.file.read_at(buffer, at);
        };
        if buffer.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return direct.read_at(buffer, at);
        }
        let mut space = Aligned::with_room(buffer.len());
        space.resize(buffer.len());
        let count = direct.read_at(&mut space, at)?;
        buffer.iter_mut().zip(space.iter()).take(count).for_each(|(to, from)| *to = *from);
        Ok(count)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        // A file would grow.
        let room = self.size.saturating_sub(at).min(bytes.len() as u64) as usize;
        let count = self.file.write_at(bytes.get(..room).unwrap_or_default(), at)?;
        // The kernel begins to write these pages out and does not wait for it, so a flush finds little left to do. Nothing is lost
        // if it does not.
        let _ = fadvise(&self.file, at, NonZero::new(count as u64), Advice::DontNeed);
        Ok(count)
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
