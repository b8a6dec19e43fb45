//! Cutting the target into pieces, one operation each.

use super::blocks::Found;
use crate::limits::{BLOCK, MAX_EXTENTS, MAX_OPS, MAX_OUTPUT};
use crate::op::Extent;

/// Blocks of the target that become one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    /// The first one.
    pub block: u32,
    /// How many.
    pub blocks: u32,
    /// What is known of them.
    pub from: From,
}

/// Where the bytes of a piece come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum From {
    Zeros,
    Copy(Vec<Extent>),
    New,
}

/// Zero blocks that are worth an operation: fewer are cheaper as a part of the piece around them.
const MIN_ZEROS: usize = 16;

/// Most blocks of one operation.
const MOST: u32 = (MAX_OUTPUT / BLOCK) as u32;

/// How finely to cut, in blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Grain {
    /// Most of a new piece.
    pub segment: u32,
    /// Blocks of the source: extents count those of the target from here on.
    pub source: u32,
    /// Fewest of a copy: fewer are cheaper as a part of the piece around them.
    pub min_copy: u32,
}

/// Cuts the target into pieces, as finely as the caps on operations and extents allow.
pub(super) fn cut_to_fit(found: &[Found], mut grain: Grain) -> Vec<Piece> {
    loop {
        let pieces = cut(found, grain);
        let fits = pieces.len() <= MAX_OPS && copied_extents(&pieces) <= MAX_EXTENTS / 2;
        if fits || grain.min_copy >= MOST {
            return pieces;
        }
        grain = Grain { segment: MOST.min(grain.segment * 2), min_copy: grain.min_copy * 2, ..grain };
    }
}

/// Extents of all copies.
pub(super) fn copied_extents(pieces: &[Piece]) -> usize {
    let copied = |piece: &Piece| if let From::Copy(extents) = &piece.from { extents.len() } else { 0 };
    pieces.iter().map(copied).sum()
}

fn cut(found: &[Found], grain: Grain) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut new = 0;
    let mut block = 0;
    while block < found.len() as u32 {
        let (blocks, from) = worthwhile(&found[block as usize..], grain.source + block, grain.min_copy);
        match from {
            From::New => new += blocks,
            from => {
                push_new(block - new, new, grain.segment, &mut pieces);
                new = 0;
                pieces.push(Piece { block, blocks, from });
            }
        }
        block += blocks;
    }
    push_new(block - new, new, grain.segment, &mut pieces);
    pieces
}

/// The longest piece of one kind that these blocks begin with; it may take old blocks before this one.
fn worthwhile(found: &[Found], end: u32, min_copy: u32) -> (u32, From) {
    let zeros = found.iter().take(MOST as usize).take_while(|found| **found == Found::Zeros).count();
    if zeros >= MIN_ZEROS || zeros == found.len() {
        return (zeros as u32, From::Zeros);
    }
    let (mut extents, mut blocks): (Vec<Extent>, u32) = (Vec::new(), 0);
    for found in found.iter().take(MOST as usize) {
        let Found::Copy(block) = *found else { break };
        match extents.last_mut() {
            _ if block >= end => break,
            Some(last) if block == last.block + last.blocks => last.blocks += 1,
            Some(last) if block < last.block + last.blocks => break,
            _ => extents.push(Extent { block, blocks: 1 }),
        }
        blocks += 1;
    }
    if blocks >= min_copy || (blocks > 0 && blocks as usize == found.len()) {
        return (blocks, From::Copy(extents));
    }
    (zeros.max(blocks as usize).max(1) as u32, From::New)
}

/// Cuts new blocks into as few pieces as possible, about equally long.
fn push_new(mut block: u32, mut blocks: u32, segment: u32, pieces: &mut Vec<Piece>) {
    while blocks > 0 {
        let len = blocks.div_ceil(blocks.div_ceil(segment));
        pieces.push(Piece { block, blocks: len, from: From::New });
        block += len;
        blocks -= len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copies(blocks: impl IntoIterator<Item = u32>) -> Vec<Found> {
        blocks.into_iter().map(Found::Copy).collect()
    }

    #[test]
    fn short_copies_and_zeros_join_what_is_new() {
        let found = [
            copies(0..7),
            vec![Found::New; 2],
            vec![Found::Zeros; 15],
            copies(50..58),
            vec![Found::Zeros; 16],
        ]
        .concat();
        let pieces = cut(&found, Grain { segment: 16, source: 1000, min_copy: 8 });
        let froms: Vec<_> = pieces.iter().map(|piece| (piece.block, piece.blocks, &piece.from)).collect();
        let copy = From::Copy(vec![Extent { block: 50, blocks: 8 }]);
        assert_eq!(
            froms,
            [(0, 12, &From::New), (12, 12, &From::New), (24, 8, &copy), (32, 16, &From::Zeros)]
        );
    }

    #[test]
    fn a_copy_ends_where_the_source_goes_back_or_an_operation_is_full() {
        let found = [copies(100..110), copies(120..130), copies(0..300)].concat();
        let pieces = cut(&found, Grain { segment: 16, source: 1000, min_copy: 8 });
        let blocks: Vec<_> = pieces.iter().map(|piece| piece.blocks).collect();
        assert_eq!(blocks, [20, 256, 44]);
        let extents = vec![Extent { block: 100, blocks: 10 }, Extent { block: 120, blocks: 10 }];
        assert_eq!(pieces[0].from, From::Copy(extents));
    }
}
