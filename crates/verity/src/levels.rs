//! The geometry of the tree and its one hash function.

use sha2::{Digest as _, Sha256};

use crate::error::Damage;
use crate::superblock::DataBlocks;

/// Bytes in a data block and in a hash block.
pub const BLOCK: usize = 4096;

/// One block.
pub type Block = [u8; BLOCK];

/// A SHA-256 hash; the one of the top block is the root hash.
pub type Digest = [u8; 32];

/// Digests in one hash block, as a shift: 4096 / 32 = 2^7.
const FANOUT_BITS: u32 = 7;

/// Digests in one hash block.
pub(crate) const FANOUT: u64 = 1 << FANOUT_BITS;

/// First block of the tree, right behind the superblock's.
const TREE_START: u64 = 1;

/// Where one level lies in the hash area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Level {
    /// First block, counted from the superblock.
    pub start: u64,
    /// Count of blocks, at least one.
    pub blocks: u64,
}

/// The levels of a tree, leaf level first; empty for a single data block.
pub(crate) fn levels(data_blocks: DataBlocks) -> Vec<Level> {
    let mut levels = Vec::new();
    let mut below = data_blocks.get();
    while below > 1 {
        below = below.div_ceil(FANOUT);
        levels.push(Level { start: 0, blocks: below });
    }
    let mut start = TREE_START;
    for level in levels.iter_mut().rev() {
        level.start = start;
        start += level.blocks;
    }
    levels
}

/// Bytes of the whole hash area, superblock included.
pub fn hash_area_len(data_blocks: DataBlocks) -> u64 {
    let tree: u64 = levels(data_blocks).iter().map(|level| level.blocks).sum();
    (TREE_START + tree) * BLOCK as u64
}

impl Damage {
    /// Where the bad block begins, in bytes: of the data for [`Damage::Data`], else of the hash area of so many data blocks.
    pub fn offset(&self, data_blocks: DataBlocks) -> u64 {
        let block = match self {
            Self::Root { .. } => TREE_START,
            Self::Tree { level, block } => {
                levels(data_blocks).get(*level).map_or(*block, |at| at.start + block)
            }
            Self::Data { block } => *block,
        };
        block.saturating_mul(BLOCK as u64)
    }
}

/// The root hash that a tree with this top block has.
///
/// The top block is block 1 of the hash area. Data of one block has no tree: its root hash is this function of the data block.
pub fn top_block_hash(salt: &[u8], block: &Block) -> Digest {
    Hasher::new(salt).hash(block)
}

/// SHA-256 with the salt already taken in.
pub(crate) struct Hasher(Sha256);

impl Hasher {
    pub fn new(salt: &[u8]) -> Self {
        Self(Sha256::new_with_prefix(salt))
    }

    pub fn hash(&self, block: &Block) -> Digest {
        self.0.clone().chain_update(block).finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_shrink_to_one_block_and_lie_top_first() {
        for (data, want) in [
            (1, vec![]),
            (2, vec![(1, 1)]),
            (128, vec![(1, 1)]),
            (129, vec![(2, 2), (1, 1)]),
            (128 * 128, vec![(2, 128), (1, 1)]),
            (128 * 128 + 1, vec![(4, 129), (2, 2), (1, 1)]),
        ] {
            let blocks = DataBlocks::new(data).expect("in range");
            let got: Vec<_> = levels(blocks).iter().map(|level| (level.start, level.blocks)).collect();
            assert_eq!(got, want, "{data} data blocks");
            let tree: u64 = want.iter().map(|(_, blocks)| blocks).sum();
            assert_eq!(hash_area_len(blocks), (1 + tree) * 4096, "{data} data blocks");
        }
    }

    #[test]
    fn the_largest_count_does_not_overflow() {
        let levels = levels(DataBlocks::new(DataBlocks::MAX).expect("in range"));
        assert_eq!(levels.last(), Some(&Level { start: 1, blocks: 1 }));
    }
}
