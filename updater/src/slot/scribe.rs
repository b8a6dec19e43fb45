//! Who writes a root while the next of it is made: a thread that does what it is told, in this order and no other.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::keep::Store;
use crate::slot::device::BlockDevice;
use crate::slot::error::Error;
use crate::slot::store;
use crate::slot::target::Under;

/// Bytes and their place.
pub(crate) struct Piece {
    pub at: u64,
    pub bytes: Vec<u8>,
}

impl Piece {
    pub fn end(&self) -> u64 {
        self.at + self.bytes.len() as u64
    }
}

/// What is to be done.
enum Order {
    Write(Piece),
    /// Make everything written before durable, and only then save the checkpoint after so many operations.
    Note(usize),
}

/// The thread's side.
pub(crate) struct Scribe<'u, 'j, D, S, P> {
    under: &'u Under<'j, D>,
    store: &'u S,
    progress: P,
    orders: Receiver<Order>,
    written: Sender<Piece>,
}

/// The other side. That it is dropped is the last order.
///
/// A scribe that met an error is gone, and every request here a broken pipe: the error is what [`Scribe::run`] returns.
pub(crate) struct Orders {
    orders: Sender<Order>,
    written: Receiver<Piece>,
}

impl<'u, 'j, D: BlockDevice, S: Store, P: FnMut(usize)> Scribe<'u, 'j, D, S, P> {
    /// Both sides.
    pub fn new(under: &'u Under<'j, D>, store: &'u S, progress: P) -> (Self, Orders) {
        let ((give, orders), (give_back, written)) = (channel(), channel());
        let scribe = Self { under, store, progress, orders, written: give_back };
        (scribe, Orders { orders: give, written })
    }

    /// Does its orders until there are no more, or until one fails: then none that came after it is begun.
    pub fn run(mut self) -> Result<(), Error> {
        let root = &self.under.target.root;
        for order in self.orders {
            match order {
                Order::Write(piece) => {
                    root.write(&piece.bytes, piece.at)?;
                    // Whoever made the pieces may be done, and need no more room.
                    let _ = self.written.send(piece);
                }
                Order::Note(done) => {
                    root.flush()?;
                    store::save(self.store, &self.under.checkpoint(done))?;
                    (self.progress)(done);
                }
            }
        }
        Ok(())
    }
}

impl Orders {
    pub fn write(&self, piece: Piece) -> io::Result<()> {
        self.orders.send(Order::Write(piece)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    pub fn note(&self, done: usize) -> io::Result<()> {
        self.orders.send(Order::Note(done)).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    /// Waits for the next piece to be written.
    pub fn written(&self) -> io::Result<Piece> {
        self.written.recv().map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
