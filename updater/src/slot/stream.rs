//! Outputs in their order, gathered to aligned pieces.

use std::io;

use coracle_ops::ReadAt;

use crate::slot::device::{BlockDevice, Origin, Part};
use crate::slot::error::Error;

/// What is written, and at its end what is not yet: reading it makes no difference between the two.
pub(crate) struct Stream<'d, D> {
    part: &'d Part<D>,
    piece: usize,
    /// Bytes that were written before those gathered.
    start: u64,
    gathered: Vec<u8>,
}

impl<'d, D: BlockDevice> Stream<'d, D> {
    /// A stream that goes on at this byte.
    pub fn at(part: &'d Part<D>, start: u64, piece: usize) -> Self {
        Self { part, piece, start, gathered: Vec::with_capacity(piece) }
    }

    /// Takes the next bytes, and writes each piece that is full.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut left = bytes;
        while !left.is_empty() {
            // The first piece is shorter where the stream went on amid one.
            let whole = self.piece - (self.start % self.piece as u64) as usize;
            let room = whole - self.gathered.len();
            let (now, later) = left.split_at(room.min(left.len()));
            if now.len() == whole {
                self.part.write(now, self.start)?;
                self.start += now.len() as u64;
            } else {
                self.gathered.extend_from_slice(now);
                if now.len() == room {
                    self.write()?;
                }
            }
            left = later;
        }
        Ok(())
    }

    /// Writes what is gathered, and makes everything durable.
    pub fn settle(&mut self) -> Result<(), Error> {
        self.write()?;
        self.part.flush()
    }

    fn write(&mut self) -> Result<(), Error> {
        self.part.write(&self.gathered, self.start)?;
        self.start += self.gathered.len() as u64;
        self.gathered.clear();
        Ok(())
    }
}

impl<D: BlockDevice> ReadAt for Stream<'_, D> {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let written = self.start.saturating_sub(at).min(buffer.len() as u64) as usize;
        let (before, behind) = buffer.split_at_mut(written);
        self.part.try_read(before, at, Origin::Nearest)?;
        self.gathered[..].read_exact_at(behind, at.saturating_sub(self.start))
    }
}
