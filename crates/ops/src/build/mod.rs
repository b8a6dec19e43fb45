//! Making ops files, on a machine that has the memory: what reads them has no use for this.
//!
//! The same images give the same bytes, on any machine and on any number of its processors: nothing is drawn by lot, timed or raced.
//! Memory grows with the images only by some 21 bytes a block, 11 MiB for every GiB of both; besides, anchors take up to 256 MiB
//! and packing up to 150 a thread.
//!
//! 1. Blocks that the source has as well, or the target before them, are found by hash, runs of zeros by looking (`blocks`).
//! 2. The target is cut into pieces: zeros, copies, and new ones of at most 256 KiB (`pieces`).
//! 3. For a new piece the parts of both that look like it are found by sampled hashes (`anchors`, `extents`).
//! 4. It is packed in each way there is, several pieces at a time (`crew`); the shortest is tried out, and taken (`candidates`).

mod anchors;
mod blocks;
mod bsdiff;
mod candidates;
mod crew;
mod extents;
mod made;
mod pack;
mod pieces;
mod suffix;

use std::io::{self, Write};
use std::num::NonZero;

use sha2::{Digest as _, Sha256};

use crate::apply::{Old, ReadAt};
use crate::error::Error;
use crate::identity::{Digest, Hash, Identity};
use crate::limits::{BLOCK, MAX_EXTENTS, MAX_IMAGE, MAX_OLD, MAX_OUTPUT};
use anchors::Anchors;
use candidates::Candidate;
use extents::Worth;
pub use made::Made;
use made::Writer;
use pieces::{From, Grain, Piece};

/// Most blocks of a new piece in a full file: as many as there may be, as each has little to refer to.
const FULL_SEGMENT: u32 = (MAX_OUTPUT / BLOCK) as u32;

/// Most blocks of a new piece in a delta: few, so that what looks like them fits into an operation's old bytes.
const DELTA_SEGMENT: u32 = 64;

/// Fewest blocks of a copy.
const MIN_COPY: u32 = 16;

/// An image and what it is known by.
#[derive(Debug, Clone, Copy)]
pub struct Image<R> {
    /// Its bytes.
    pub bytes: R,
    /// Its length and hash. Nobody checks here that they are the bytes'.
    pub identity: Identity,
}

impl<R: ReadAt> Image<R> {
    /// An image known by the SHA-256 of its bytes, of which there are so many.
    pub fn hashed(bytes: R, len: u64) -> Result<Self, Error> {
        Self::of(bytes, len, Hash::Sha256)
    }

    /// The same for the unpacked form of a kernel image.
    pub fn unpacked(bytes: R, len: u64) -> Result<Self, Error> {
        Self::of(bytes, len, Hash::Unpacked)
    }

    fn of(bytes: R, len: u64, hash: impl FnOnce(Digest) -> Hash) -> Result<Self, Error> {
        if !(1..=MAX_IMAGE).contains(&len) {
            return Err(Error::ImageLength { len });
        }
        let (mut hasher, mut buffer) = (Sha256::new(), vec![0; MAX_OUTPUT]);
        for at in (0..len).step_by(MAX_OUTPUT) {
            let there = (len - at).min(MAX_OUTPUT as u64) as usize;
            read(&bytes, &mut buffer[..there], at, |at, source| Error::ReadTarget { at, source })?;
            hasher.update(&buffer[..there]);
        }
        Ok(Self { bytes, identity: Identity { len, hash: hash(hasher.finalize().into()) } })
    }
}

/// Makes a file that needs no source. The bodies go to `bodies`; the file is [`Made::head`] and then those.
pub fn full<T: ReadAt + Sync>(target: &Image<T>, bodies: &mut impl Write) -> Result<Made, Error> {
    make::<[u8; 0], T>(None, target, FULL_SEGMENT, crew::threads(), bodies)
}

/// Makes a file that turns the source into the target. Where its parts go is as with [`full`].
pub fn delta<S: ReadAt + Sync, T: ReadAt + Sync>(
    source: &Image<S>,
    target: &Image<T>,
    bodies: &mut impl Write,
) -> Result<Made, Error> {
    make(Some(source), target, DELTA_SEGMENT, crew::threads(), bodies)
}

/// What the threads take: a piece, its bytes, and what of the old ones it may be made from.
struct Task {
    piece: Piece,
    bytes: Vec<u8>,
    /// Of a new piece.
    worth: Option<Worth>,
}

fn make<S: ReadAt + Sync, T: ReadAt + Sync>(
    source: Option<&Image<S>>,
    target: &Image<T>,
    segment: u32,
    threads: NonZero<usize>,
    bodies: &mut impl Write,
) -> Result<Made, Error> {
    let identity = source.map(|source| source.identity);
    let mut writer = Writer::new(identity, target.identity, bodies)?;
    let source_blocks = identity.map_or(0, Identity::blocks) as u32;
    let grain = Grain { segment, source: source_blocks, min_copy: MIN_COPY };
    let pieces = pieces::cut_to_fit(&blocks::find(source, target)?, grain);
    let new = pieces.iter().filter(|piece| piece.from == From::New).count().max(1);
    let most_extents = ((MAX_EXTENTS - pieces::copied_extents(&pieces)) / new).min(64);
    let source_len = identity.map_or(0, |identity| identity.len);
    let old = Old { source: &source.map(|source| &source.bytes), source_len, target: &target.bytes };
    let anchors = Anchors::of(&old, u64::from(source_blocks) * BLOCK as u64 + target.identity.len)?;
    // Without a source, what was put out before is all there is to refer to.
    let near = if source.is_none() { (MAX_OLD / BLOCK) as u32 } else { 0 };
    let mut shift = 0;
    let tasks = pieces.into_iter().map(|piece| {
        let bytes = piece_bytes(target, &piece)?;
        let worth = (piece.from == From::New).then(|| {
            let end = source_blocks + piece.block;
            Worth::of(&anchors, &bytes, piece.block, end, near, &mut shift)
        });
        Ok(Task { piece, bytes, worth })
    });
    let work = |task: Task| {
        let Task { piece, bytes, worth } = task;
        let (candidate, old) = match (piece.from, worth) {
            (From::Copy(extents), _) => {
                let old = candidates::old_bytes(&old, &extents)?;
                (Candidate::copy(extents), old)
            }
            (From::New, Some(worth)) => candidates::shortest(&old, &bytes, |kind| {
                worth.best(candidates::most_old(kind, bytes.len()), most_extents)
            })?,
            _ => (Candidate::zeros(), Vec::new()),
        };
        if !candidate.makes(&bytes, &old)? {
            return Err(Error::Unfaithful { at: u64::from(piece.block) * BLOCK as u64 });
        }
        Ok((candidate, bytes))
    };
    crew::in_order(threads, tasks, work, |(candidate, bytes)| writer.push(candidate, &bytes))?;
    writer.finish()
}

fn piece_bytes<T: ReadAt>(target: &Image<T>, piece: &Piece) -> Result<Vec<u8>, Error> {
    let at = u64::from(piece.block) * BLOCK as u64;
    let len = (u64::from(piece.blocks) * BLOCK as u64).min(target.identity.len - at);
    let mut bytes = vec![0; len as usize];
    read(&target.bytes, &mut bytes, at, |at, source| Error::ReadTarget { at, source })?;
    Ok(bytes)
}

fn read(
    from: &impl ReadAt,
    buffer: &mut [u8],
    at: u64,
    failed: impl FnOnce(u64, io::Error) -> Error,
) -> Result<(), Error> {
    from.read_exact_at(buffer, at).map_err(|source| failed(at, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A mebibyte that looks random, but for every sixteenth KiB the same for each seed.
    fn bytes(seed: u32) -> Vec<u8> {
        let word =
            |at: u32| at.wrapping_add(if at >> 10 & 15 == 3 { seed } else { 0 }).wrapping_mul(0x9e37_79b9);
        (0..1 << 20).map(|at| (word(at) >> 13) as u8).collect()
    }

    #[test]
    fn any_number_of_threads_makes_the_same_bytes() {
        let (old, new) = (bytes(1), bytes(2));
        let [old, new] = [&old, &new].map(|bytes| Image::hashed(&bytes[..], bytes.len() as u64).unwrap());
        let [one, two, many] = [1, 2, 5].map(|threads| {
            let mut bodies = Vec::new();
            let made =
                make(Some(&old), &new, DELTA_SEGMENT, NonZero::new(threads).unwrap(), &mut bodies).unwrap();
            assert!(made.header.ops().len() >= 4, "{} operations", made.header.ops().len());
            [made.head, bodies].concat()
        });
        assert!(one == two && two == many);
    }
}
