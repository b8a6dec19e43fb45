//! Outputs in their order, gathered to aligned pieces, which the scribe writes meanwhile.

use std::cell::RefCell;
use std::io;

use coracle_ops::ReadAt;

use crate::slot::device::{BlockDevice, Origin, Part};
use crate::slot::error::{Error, Operation};
use crate::slot::scribe::{Orders, Piece};

/// Pieces that there are: one is gathered, the others are written or wait for it.
const PIECES: usize = 4;

/// What is written, then what the scribe has, then what is gathered: reading makes no difference between them.
pub(crate) struct Stream<'d, D> {
    part: &'d Part<D>,
    orders: Orders,
    size: usize,
    gathered: Piece,
    settled: RefCell<Settled>,
}

/// What the scribe has done.
struct Settled {
    /// Bytes that are written.
    end: u64,
    /// Room that it gave back.
    room: Vec<Vec<u8>>,
}

impl<'d, D: BlockDevice> Stream<'d, D> {
    /// A stream that goes on at this byte, in pieces of this size.
    pub fn at(part: &'d Part<D>, orders: Orders, start: u64, size: usize) -> Self {
        let room = (1..PIECES).map(|_| Vec::with_capacity(size)).collect();
        let settled = RefCell::new(Settled { end: start, room });
        let gathered = Piece { at: start, bytes: Vec::with_capacity(size) };
        Self { part, orders, size, gathered, settled }
    }

    /// Takes the next bytes, and hands on each piece that is full.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let mut left = bytes;
        while !left.is_empty() {
            // The first piece is shorter where the stream went on amid one.
            let whole = self.size - (self.gathered.at % self.size as u64) as usize;
            let room = whole - self.gathered.bytes.len();
            let (now, later) = left.split_at(room.min(left.len()));
            self.gathered.bytes.extend_from_slice(now);
            if now.len() == room {
                self.hand_on()?;
            }
            left = later;
        }
        Ok(())
    }

    /// Has everything pushed made durable, and then noted that so many operations are done.
    pub fn note(&mut self, done: usize) -> Result<(), Error> {
        self.hand_on()?;
        self.orders.note(done).map_err(|source| self.failed(source))
    }

    fn hand_on(&mut self) -> Result<(), Error> {
        self.try_hand_on().map_err(|source| self.failed(source))
    }

    fn try_hand_on(&mut self) -> io::Result<()> {
        let settled = self.settled.get_mut();
        let mut bytes = loop {
            match settled.room.pop() {
                Some(bytes) => break bytes,
                None => settled.wait(&self.orders)?,
            }
        };
        bytes.clear();
        let next = Piece { at: self.gathered.end(), bytes };
        self.orders.write(std::mem::replace(&mut self.gathered, next))
    }

    /// Says that the scribe is gone; it knows better why.
    fn failed(&self, source: io::Error) -> Error {
        self.part.error(Operation::Write, self.gathered.at, source)
    }
}

impl Settled {
    /// Waits until everything before this byte is written, which is at most what was handed on.
    fn wait_for(&mut self, end: u64, orders: &Orders) -> io::Result<()> {
        while self.end < end {
            self.wait(orders)?;
        }
        Ok(())
    }

    /// Takes what the scribe gives back next.
    fn wait(&mut self, orders: &Orders) -> io::Result<()> {
        let piece = orders.written()?;
        self.end = piece.end();
        self.room.push(piece.bytes);
        Ok(())
    }
}

impl<D: BlockDevice> ReadAt for Stream<'_, D> {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let before = self.gathered.at.saturating_sub(at).min(buffer.len() as u64) as usize;
        let (before, behind) = buffer.split_at_mut(before);
        if !before.is_empty() {
            self.settled.borrow_mut().wait_for(at + before.len() as u64, &self.orders)?;
            self.part.try_read(before, at, Origin::Nearest)?;
        }
        self.gathered.bytes[..].read_exact_at(behind, at.saturating_sub(self.gathered.at))
    }
}
