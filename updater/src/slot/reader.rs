//! A partition as the verity crate takes it: something to read, seek and write.

use std::io::{self, Read, Seek, SeekFrom, Write};

use coracle_verity::{BLOCK, Block};

use crate::slot::aligned::Aligned;
use crate::slot::device::{BlockDevice, Origin, Part};

/// Reads a partition back from the disk in aligned pieces, of which it keeps one.
pub(crate) struct Reader<'d, D> {
    part: &'d Part<D>,
    piece: usize,
    /// Read in place of the partition's first block.
    first: Option<Block>,
    at: u64,
    kept_at: u64,
    kept: Aligned,
}

impl<'d, D: BlockDevice> Reader<'d, D> {
    pub fn new(part: &'d Part<D>, piece: usize) -> Self {
        Self { part, piece, first: None, at: 0, kept_at: 0, kept: Aligned::with_room(piece) }
    }

    /// The same as if its first block were this one.
    pub fn headed(self, first: Block) -> Self {
        Self { first: Some(first), ..self }
    }

    /// The kept bytes from the present place on, after they were fetched if need be; none at the end.
    fn ahead(&mut self) -> io::Result<&[u8]> {
        if let Some(first) = self.first.as_ref().filter(|_| self.at < BLOCK as u64) {
            return Ok(first.get(self.at as usize..).unwrap_or_default());
        }
        if !(self.kept_at..self.kept_at + self.kept.len() as u64).contains(&self.at) {
            let start = self.at - self.at % self.piece as u64;
            let len = self.part.device.size().saturating_sub(start).min(self.piece as u64) as usize;
            self.kept.resize(len);
            // Nothing is kept if this fails halfway.
            if let Err(error) = self.part.try_read(&mut self.kept, start, Origin::Disk) {
                self.kept.resize(0);
                return Err(error);
            }
            self.kept_at = start;
        }
        let skip = self.at.saturating_sub(self.kept_at);
        Ok(self.kept.get(skip as usize..).unwrap_or_default())
    }
}

impl<D: BlockDevice> Read for Reader<'_, D> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.ahead()?.read(buffer)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl<D> Seek for Reader<'_, D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = from_start(to)?;
        Ok(self.at)
    }
}

/// Writes a partition.
pub(crate) struct Writer<'d, D> {
    part: &'d Part<D>,
    at: u64,
}

impl<'d, D: BlockDevice> Writer<'d, D> {
    pub fn new(part: &'d Part<D>) -> Self {
        Self { part, at: 0 }
    }
}

impl<D: BlockDevice> Write for Writer<'_, D> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.try_write(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.part.device.flush()
    }
}

impl<D> Seek for Writer<'_, D> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = from_start(to)?;
        Ok(self.at)
    }
}

fn from_start(to: SeekFrom) -> io::Result<u64> {
    match to {
        SeekFrom::Start(at) => Ok(at),
        SeekFrom::End(_) | SeekFrom::Current(_) => Err(io::ErrorKind::Unsupported.into()),
    }
}
