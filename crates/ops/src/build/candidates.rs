//! The ways to make a piece, and the shortest of them.

use super::{bsdiff, pack::pack};
use crate::apply::{Old, ReadAt};
use crate::error::Error;
use crate::frame;
use crate::identity::Tag;
use crate::limits::{BLOCK, MAX_OLD, PATCH_SLACK};
use crate::op::{Extent, Kind};
use crate::patch;

/// One way to make a piece.
#[derive(Debug)]
pub(super) struct Candidate {
    pub kind: Kind,
    pub extents: Vec<Extent>,
    pub body: Vec<u8>,
}

impl Candidate {
    pub fn zeros() -> Self {
        Self { kind: Kind::Zero, extents: Vec::new(), body: Vec::new() }
    }

    pub fn copy(extents: Vec<Extent>) -> Self {
        Self { kind: Kind::Copy, extents, body: Vec::new() }
    }

    pub fn zstd(bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self { kind: Kind::Zstd, extents: Vec::new(), body: pack(bytes, &[])? })
    }

    fn prefix(bytes: &[u8], extents: Vec<Extent>, old: &[u8]) -> Result<Self, Error> {
        Ok(Self { kind: Kind::Prefix, extents, body: pack(bytes, old)? })
    }

    /// None if looking for a patch takes too long, or it is longer than one may be.
    fn bsdiff(bytes: &[u8], extents: Vec<Extent>, old: &[u8]) -> Result<Option<Self>, Error> {
        match bsdiff::diff(old, bytes) {
            Some(patch) if patch.len() <= bytes.len() + PATCH_SLACK => {
                Ok(Some(Self { kind: Kind::Bsdiff, extents, body: pack(&patch, &[])? }))
            }
            _ => Ok(None),
        }
    }

    /// Bytes that it takes in the file; what all of them take is left out.
    fn cost(&self) -> usize {
        self.body.len() + 4 * self.extents.len()
    }

    /// Whether an applier would make these bytes from these old ones.
    pub fn makes(&self, bytes: &[u8], old: &[u8]) -> Result<bool, Error> {
        let mut out = vec![0; bytes.len()];
        match self.kind {
            Kind::Zero => {}
            Kind::Copy => return Ok(old.get(..bytes.len()) == Some(bytes)),
            Kind::Zstd => frame::unpack(&self.body, &[], &mut out)?,
            Kind::Prefix => frame::unpack(&self.body, old, &mut out)?,
            Kind::Bsdiff => {
                let mut patch = vec![0; frame::content_len(&self.body)? as usize];
                frame::unpack(&self.body, &[], &mut patch)?;
                patch::apply(&patch, old, &mut out)?;
            }
        }
        Ok(Tag::of(&out) == Tag::of(bytes))
    }
}

/// Most blocks of old bytes for a piece of so many bytes. A patch finds what it needs in half of what it may have, in half the
/// time; and a short piece in a few, of which each extent is a part of its cost.
pub(super) fn most_old(kind: Kind, len: usize) -> u32 {
    let (most, share) = if kind == Kind::Bsdiff { (MAX_OLD / 2, 4) } else { (MAX_OLD, 8) };
    (most.min((len + SHORT) * share) / BLOCK) as u32
}

/// What short pieces count for in addition: bytes are where they were, or not far.
const SHORT: usize = 4 * BLOCK;

/// The shortest way to make these bytes, with its old bytes; of equals the one that takes least to apply.
pub(super) fn shortest<S: ReadAt, T: ReadAt>(
    old: &Old<'_, S, T>,
    bytes: &[u8],
    extents: impl Fn(Kind) -> Vec<Extent>,
) -> Result<(Candidate, Vec<u8>), Error> {
    let mut best = (Candidate::zstd(bytes)?, Vec::new());
    for kind in [Kind::Prefix, Kind::Bsdiff] {
        let extents = extents(kind);
        if extents.is_empty() {
            continue;
        }
        let old = old_bytes(old, &extents)?;
        let candidate = match kind {
            Kind::Prefix => Some(Candidate::prefix(bytes, extents, &old)?),
            _ => Candidate::bsdiff(bytes, extents, &old)?,
        };
        if let Some(candidate) = candidate
            && candidate.cost() < best.0.cost()
        {
            best = (candidate, old);
        }
    }
    Ok(best)
}

/// The bytes of these extents in a row.
pub(super) fn old_bytes<S: ReadAt, T: ReadAt>(
    old: &Old<'_, S, T>,
    extents: &[Extent],
) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    for Extent { block, blocks } in extents {
        let start = bytes.len();
        bytes.resize(start + *blocks as usize * BLOCK, 0);
        old.read(u64::from(*block), &mut bytes[start..])?;
    }
    Ok(bytes)
}
