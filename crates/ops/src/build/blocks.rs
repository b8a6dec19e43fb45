//! Which blocks of the target are zeros, or blocks that are there before: of the source, or of the target itself.

use sha2::{Digest as _, Sha256};

use super::{Image, read};
use crate::apply::ReadAt;
use crate::error::Error;
use crate::limits::BLOCK;

/// What a block of the target is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing but zeros.
    Zeros,
    /// This block, counted as extents count.
    Copy(u32),
    /// Neither.
    New,
}

/// A block's content, filled up with zeros; `None` for nothing but zeros.
type Content = Option<[u8; 16]>;

/// Blocks with equal content that are tried when a copy begins.
const CANDIDATES: usize = 16;

/// Blocks by which candidates are compared.
const LOOK_AHEAD: usize = 256;

/// Finds each block of the target. Holds some 21 bytes for each block of both images.
pub(super) fn find<S: ReadAt, T: ReadAt>(
    source: Option<&Image<S>>,
    target: &Image<T>,
) -> Result<Vec<Found>, Error> {
    let mut old = match source {
        Some(source) => contents(source, |at, source| Error::ReadSource { at, source })?,
        None => Vec::new(),
    };
    let source_blocks = old.len();
    old.extend(contents(target, |at, source| Error::ReadTarget { at, source })?);
    let new = &old[source_blocks..];
    let mut by_content: Vec<u32> =
        (0..old.len() as u32).filter(|block| old[*block as usize].is_some()).collect();
    by_content.sort_unstable_by_key(|block| (old[*block as usize], *block));
    let mut found: Vec<Found> = Vec::with_capacity(new.len());
    for (index, content) in new.iter().enumerate() {
        let next = match found.last() {
            Some(Found::Copy(block)) => Some(block + 1),
            _ => None,
        };
        let continues = next.filter(|block| old.get(*block as usize) == Some(content));
        found.push(match continues.or_else(|| begin(&old, &by_content, source_blocks + index)) {
            Some(block) => Found::Copy(block),
            None if content.is_none() => Found::Zeros,
            None => Found::New,
        });
    }
    Ok(found)
}

/// The block that a copy to this one best begins at: one before it, from which most blocks are the same.
fn begin(old: &[Content], by_content: &[u32], to: usize) -> Option<u32> {
    let new = &old[to..];
    let content = new.first()?;
    content.as_ref()?;
    let first = by_content.partition_point(|block| old[*block as usize] < *content);
    let equal = by_content[first..]
        .iter()
        .take_while(|block| old[**block as usize] == *content && (**block as usize) < to);
    let ahead = |block: &u32| {
        old[*block as usize..].iter().zip(new).take(LOOK_AHEAD).take_while(|(old, new)| old == new).count()
    };
    // Of equally good ones the last is the maximum: reversed, that is the first.
    let candidates: Vec<u32> = equal.take(CANDIDATES).copied().collect();
    candidates.into_iter().rev().max_by_key(ahead)
}

fn contents<R: ReadAt>(
    image: &Image<R>,
    failed: impl Fn(u64, std::io::Error) -> Error,
) -> Result<Vec<Content>, Error> {
    let len = image.identity.len;
    let mut contents = Vec::with_capacity(len.div_ceil(BLOCK as u64) as usize);
    let mut block = [0; BLOCK];
    for at in (0..len).step_by(BLOCK) {
        let there = (len - at).min(BLOCK as u64) as usize;
        block.fill(0);
        read(&image.bytes, &mut block[..there], at, &failed)?;
        contents.push(if block == [0; BLOCK] {
            None
        } else {
            let digest: [u8; 32] = Sha256::digest(block).into();
            digest.first_chunk().copied()
        });
    }
    Ok(contents)
}
