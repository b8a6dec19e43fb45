//! Doing the operations, one at a time, in bounded memory.

use std::io;

use crate::error::Error;
use crate::frame;
use crate::header::Header;
use crate::identity::Tag;
use crate::limits::{BLOCK, MAX_OLD, MAX_OUTPUT, PATCH_SLACK};
use crate::op::{Kind, Op};
use crate::patch;

/// Bytes that can be read at any place.
pub trait ReadAt {
    /// Fills the buffer with the bytes from this place on, or fails.
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()>;
}

impl ReadAt for [u8] {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        let bytes = usize::try_from(at).ok().and_then(|at| self.get(at..)?.get(..buffer.len()));
        buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

impl<const N: usize> ReadAt for [u8; N] {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        self[..].read_exact_at(buffer, at)
    }
}

impl ReadAt for std::fs::File {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(self, buffer, at)
    }
}

impl<T: ReadAt + ?Sized> ReadAt for &T {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        (**self).read_exact_at(buffer, at)
    }
}

impl<T: ReadAt> ReadAt for Option<T> {
    fn read_exact_at(&self, buffer: &mut [u8], at: u64) -> io::Result<()> {
        match self {
            Some(bytes) => bytes.read_exact_at(buffer, at),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

/// What an operation puts out, checked: to be written at this place of the target.
#[derive(Debug, PartialEq, Eq)]
pub struct Output<'a> {
    /// First byte in the target.
    pub at: u64,
    /// The bytes.
    pub bytes: &'a [u8],
}

/// Does the operations of one header on one source.
///
/// It never writes: the caller does, and notes from time to time, after a flush, which operation comes next. An operation depends
/// on the source, its body, and what the operations before it put out. So each may be done again, and a new applier goes on at
/// any of them, given the target as it is by then.
///
/// Buffers are made when first needed and kept: [`MAX_OUTPUT`] for the output, [`MAX_OLD`] for old bytes, [`MAX_OUTPUT`] and
/// [`PATCH_SLACK`] for a patch. With header, body and decoder that is within [`crate::MEMORY`], which a test counts.
#[derive(Debug)]
pub struct Applier<'h, S> {
    header: &'h Header,
    source: S,
    out: Vec<u8>,
    old: Vec<u8>,
    patch: Vec<u8>,
}

impl<'h, S: ReadAt> Applier<'h, S> {
    /// An applier on this source. A header without a source never reads it: any will do, `&[][..]` too.
    ///
    /// Whether it is the source that the header names is for the caller to know; with another one, [`Error::Output`] comes of it.
    pub fn new(header: &'h Header, source: S) -> Self {
        Self { header, source, out: Vec::new(), old: Vec::new(), patch: Vec::new() }
    }

    /// Does one operation with its body: the bytes of the file that [`Op::body_at`] and [`Op::body_len`] say, empty if it has none.
    ///
    /// `target` is where outputs went: only those of operations before this one are read, and only if it refers to them.
    ///
    /// 1. The body is held against its tag, so nothing that a network brought is unpacked unchecked.
    /// 2. Old bytes are read, the body is unpacked, both within the caps.
    /// 3. The output is held against its tag. Before that nobody sees it.
    pub fn apply(
        &mut self,
        op: usize,
        body: &[u8],
        target: &(impl ReadAt + ?Sized),
    ) -> Result<Output<'_>, Error> {
        let ops = self.header.ops();
        let this = ops.get(op).ok_or(Error::NoSuchOp { op, ops: ops.len() })?;
        let body_fits = body.len() == this.body_len as usize;
        if !body_fits || this.body_tag.is_some_and(|tag| tag != Tag::of(body)) {
            return Err(Error::Body { op });
        }
        resize(&mut self.out, this.len as usize, MAX_OUTPUT);
        match this.kind {
            Kind::Zero => self.out.fill(0),
            Kind::Copy => read_extents(self.header, &self.source, target, this, &mut self.out)?,
            Kind::Zstd => frame::unpack(body, &[], &mut self.out)?,
            Kind::Prefix => {
                self.read_old(this, target)?;
                frame::unpack(body, &self.old, &mut self.out)?;
            }
            Kind::Bsdiff => {
                self.read_old(this, target)?;
                let (len, want) = (frame::content_len(body)?, u64::from(this.len) + PATCH_SLACK as u64);
                if len > want {
                    return Err(Error::FrameLength { want, got: len });
                }
                resize(&mut self.patch, len as usize, MAX_OUTPUT + PATCH_SLACK);
                frame::unpack(body, &[], &mut self.patch)?;
                patch::apply(&self.patch, &self.old, &mut self.out)?;
            }
        }
        let got = Tag::of(&self.out);
        match this.tag {
            Some(want) if want != got => Err(Error::Output { op, want, got }),
            _ => Ok(Output { at: this.at, bytes: &self.out }),
        }
    }

    fn read_old(&mut self, op: &Op, target: &(impl ReadAt + ?Sized)) -> Result<(), Error> {
        let blocks: u32 = self.header.extents(op).iter().map(|extent| extent.blocks).sum();
        resize(&mut self.old, blocks as usize * BLOCK, MAX_OLD);
        read_extents(self.header, &self.source, target, op, &mut self.old)
    }
}

/// Gives a buffer this length; the first time it is given all the memory that it may ever need.
fn resize(buffer: &mut Vec<u8>, len: usize, most: usize) {
    if buffer.capacity() == 0 {
        buffer.reserve_exact(most);
    }
    buffer.resize(len, 0);
}

/// Fills the buffer with the bytes of the operation's extents.
fn read_extents(
    header: &Header,
    source: &impl ReadAt,
    target: &(impl ReadAt + ?Sized),
    op: &Op,
    buffer: &mut [u8],
) -> Result<(), Error> {
    let old = Old { source, source_len: header.source().map_or(0, |source| source.len), target };
    let mut left = buffer;
    for extent in header.extents(op) {
        let len = (extent.blocks as usize * BLOCK).min(left.len());
        let (part, rest) = left.split_at_mut_checked(len).unwrap_or_default();
        left = rest;
        old.read(u64::from(extent.block), part)?;
    }
    Ok(())
}

/// What extents count: the blocks of the source, then those of the target.
pub(crate) struct Old<'a, S: ?Sized, T: ?Sized> {
    pub source: &'a S,
    pub source_len: u64,
    pub target: &'a T,
}

impl<S: ReadAt + ?Sized, T: ReadAt + ?Sized> Old<'_, S, T> {
    /// Fills the buffer from this block on, zeros standing for what a source's last block lacks.
    pub fn read(&self, block: u64, buffer: &mut [u8]) -> Result<(), Error> {
        let (at, of_source) = (block * BLOCK as u64, self.source_len.next_multiple_of(BLOCK as u64));
        let before = of_source.saturating_sub(at).min(buffer.len() as u64) as usize;
        let (before, behind) = buffer.split_at_mut_checked(before).unwrap_or_default();
        let there = self.source_len.saturating_sub(at).min(before.len() as u64) as usize;
        let (bytes, lacking) = before.split_at_mut_checked(there).unwrap_or_default();
        lacking.fill(0);
        if !bytes.is_empty() {
            self.source.read_exact_at(bytes, at).map_err(|source| Error::ReadSource { at, source })?;
        }
        if !behind.is_empty() {
            let at = at.saturating_sub(of_source);
            self.target.read_exact_at(behind, at).map_err(|source| Error::ReadTarget { at, source })?;
        }
        Ok(())
    }
}
