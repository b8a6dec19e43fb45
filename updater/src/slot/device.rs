//! What an installation asks of a disk.

use std::io;

use coracle_layout::partition::Partition;

use crate::slot::error::{Error, Operation};

/// One partition, or what stands for it in a test.
///
/// One thread reads while another writes.
pub trait BlockDevice: Sync {
    /// Its bytes.
    fn size(&self) -> u64;

    /// Reads some bytes from this place on, as [`std::os::unix::fs::FileExt::read_at`] does.
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize>;

    /// The same past every cache of the machine, so that what comes is what the disk has. Place and length are whole blocks.
    fn read_back_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        self.read_at(buffer, at)
    }

    /// Writes some of these bytes to this place, as [`std::os::unix::fs::FileExt::write_at`] does.
    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize>;

    /// Returns when everything written before stays, whatever happens to the power.
    fn flush(&self) -> io::Result<()>;
}

impl<D: BlockDevice + ?Sized> BlockDevice for &D {
    fn size(&self) -> u64 {
        (**self).size()
    }

    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        (**self).read_at(buffer, at)
    }

    fn read_back_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        (**self).read_back_at(buffer, at)
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        (**self).write_at(bytes, at)
    }

    fn flush(&self) -> io::Result<()> {
        (**self).flush()
    }
}

/// Where bytes are read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Wherever they are: a cache has what was written just now.
    Nearest,
    /// The disk.
    Disk,
}

/// A device and the partition that it is, which every error names.
#[derive(Debug)]
pub(crate) struct Part<D> {
    pub which: Partition,
    pub device: D,
}

impl<D: BlockDevice> Part<D> {
    /// Fills the buffer.
    pub fn read(&self, buffer: &mut [u8], at: u64, origin: Origin) -> Result<(), Error> {
        self.try_read(buffer, at, origin).map_err(|source| self.error(Operation::Read, at, source))
    }

    /// The same with the bare cause.
    pub fn try_read(&self, buffer: &mut [u8], mut at: u64, origin: Origin) -> io::Result<()> {
        let mut left = buffer;
        while !left.is_empty() {
            let count = match origin {
                Origin::Nearest => self.device.read_at(left, at),
                Origin::Disk => self.device.read_back_at(left, at),
            };
            let count = match count {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left = left.get_mut(count..).unwrap_or_default();
            at += count as u64;
        }
        Ok(())
    }

    /// Writes all bytes.
    pub fn write(&self, bytes: &[u8], at: u64) -> Result<(), Error> {
        self.try_write(bytes, at).map_err(|source| self.error(Operation::Write, at, source))
    }

    /// The same with the bare cause.
    pub fn try_write(&self, bytes: &[u8], mut at: u64) -> io::Result<()> {
        let mut left = bytes;
        while !left.is_empty() {
            let count = match self.device.write_at(left, at) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if count == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            left = left.get(count..).unwrap_or_default();
            at += count as u64;
        }
        Ok(())
    }

    /// Makes everything written before durable.
    pub fn flush(&self) -> Result<(), Error> {
        self.device.flush().map_err(|source| self.error(Operation::Flush, 0, source))
    }

    pub fn error(&self, operation: Operation, at: u64, source: io::Error) -> Error {
        Error::Device { operation, partition: self.which.label(), at, source }
    }
}
