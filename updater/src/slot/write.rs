//! Doing the operations of an ops file.

use std::io::{self, Read};
use std::ops::Range;
use std::panic::resume_unwind;
use std::thread;

use coracle_ops::{Applier, MAX_BODY, ReadAt, Request};

use crate::keep::Store;
use crate::slot::device::BlockDevice;
use crate::slot::error::{Error, Remedy};
use crate::slot::scribe::{Orders, Scribe};
use crate::slot::store;
use crate::slot::stream::Stream;
use crate::slot::target::{Poisoned, Under, Written};

/// An ops file that can be read in ranges: a server's, or a local one.
pub trait Bodies {
    /// A reader of just these bytes of the file. It is asked for once, with everything from the first body needed on.
    fn range(&mut self, bytes: Range<u64>) -> io::Result<impl Read>;
}

/// An ops file that is here.
#[derive(Debug, Clone, Copy)]
pub struct Stored<R>(pub R);

impl<R: ReadAt> Bodies for Stored<R> {
    fn range(&mut self, bytes: Range<u64>) -> io::Result<impl Read> {
        Ok(StoredRange { file: &self.0, left: bytes })
    }
}

struct StoredRange<'f, R> {
    file: &'f R,
    left: Range<u64>,
}

impl<R: ReadAt> Read for StoredRange<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = (self.left.end - self.left.start).min(buffer.len() as u64);
        let part = buffer.get_mut(..count as usize).unwrap_or_default();
        self.file.read_exact_at(part, self.left.start)?;
        self.left.start += count;
        Ok(count as usize)
    }
}

impl<'j, D: BlockDevice> Poisoned<'j, D> {
    /// Does the operations that are left.
    ///
    /// 1. The operation's body is fetched, its output verified, then gathered. A [`Scribe`] writes it in pieces, while the next
    ///    operation is done. Power lost here means: on from the checkpoint, over what is there.
    /// 2. After 32 MiB, and at the end, the scribe flushes the root, then saves the checkpoint, then tells `progress` how many
    ///    operations are done. Power lost here means: on from this checkpoint or the one before; what either speaks of is on the disk.
    ///
    /// `source` is the running root, read through dm-verity; a full file reads none.
    ///
    /// # Errors
    /// [`Error::Fetch`] and a damaged body keep what was written: a checkpoint is made before they are returned. Another
    /// [`Error::Apply`] makes the next installation begin anew. [`Error::Device`], [`Error::Checkpoint`], [`Error::Thread`].
    pub fn write(
        self,
        source: impl ReadAt,
        bodies: &mut impl Bodies,
        store: &(impl Store + Sync),
        progress: impl FnMut(usize) + Send,
    ) -> Result<Written<'j, D>, Error> {
        let Self { under, done } = self;
        let (applied, written) = thread::scope(|scope| {
            let (scribe, orders) = Scribe::new(&under, store, progress);
            let thread = thread::Builder::new().name("scribe".to_owned());
            let scribe =
                thread.spawn_scoped(scope, || scribe.run()).map_err(|source| Error::Thread { source })?;
            let applied = Writing::new(&under, orders, done).run(source, bodies);
            Ok((applied, scribe.join().unwrap_or_else(|panic| resume_unwind(panic))))
        })?;
        // The worse news, and the cause of the other if that is but a scribe that was gone.
        written?;
        match applied {
            Ok(()) => Ok(Written(under)),
            Err(error) => {
                if error.remedy() == Remedy::TakeFull {
                    // Perhaps what a checkpoint spoke of is not there: it is not believed again.
                    store::remove(store)?;
                }
                Err(error)
            }
        }
    }
}

/// The operations, as far as they are done.
struct Writing<'u, D> {
    under: &'u Under<'u, D>,
    stream: Stream<'u, D>,
    /// Operations whose outputs the stream has.
    done: usize,
    /// Those of them that are to be noted.
    noted: usize,
    /// Bytes that the stream took since.
    since: u64,
}

impl<'u, D: BlockDevice> Writing<'u, D> {
    fn new(under: &'u Under<'_, D>, orders: Orders, done: usize) -> Self {
        let header = under.job.header;
        let start = header.ops().get(done).map_or(header.target().len, |op| op.at);
        let stream = Stream::at(&under.target.root, orders, start, under.job.pace.piece);
        Self { under, stream, done, noted: done, since: 0 }
    }

    /// Does all that are left. What was done before an error that leaves it good is noted, too.
    fn run(mut self, source: impl ReadAt, bodies: &mut impl Bodies) -> Result<(), Error> {
        let applied = self.apply(source, bodies);
        match applied.as_ref().map_err(Error::remedy) {
            Ok(()) | Err(Remedy::FetchAgain) => self.note()?,
            Err(_) => {}
        }
        applied
    }

    fn apply(&mut self, source: impl ReadAt, bodies: &mut impl Bodies) -> Result<(), Error> {
        let header = self.under.job.header;
        let Some(Request { ops, bytes }) = header.requests(self.done, u64::MAX).next() else { return Ok(()) };
        let failed = |op| move |source| Error::Fetch { op, source };
        let mut reader = match bytes.is_empty() {
            true => None,
            false => Some(bodies.range(bytes).map_err(failed(self.done))?),
        };
        let mut applier = Applier::new(header, source);
        let mut body = Vec::with_capacity(MAX_BODY);
        for op in ops {
            body.resize(header.ops().get(op).map_or(0, |op| op.body_len as usize), 0);
            if let Some(reader) = reader.as_mut() {
                reader.read_exact(&mut body).map_err(failed(op))?;
            }
            let output = applier.apply(op, &body, &self.stream).map_err(Error::Apply)?;
            self.stream.push(output.bytes)?;
            self.since += output.bytes.len() as u64;
            self.done = op + 1;
            if self.since >= self.under.job.pace.checkpoint {
                self.note()?;
            }
        }
        Ok(())
    }

    fn note(&mut self) -> Result<(), Error> {
        if self.done > self.noted {
            self.stream.note(self.done)?;
            (self.noted, self.since) = (self.done, 0);
        }
        Ok(())
    }
}
