//! Building a tree in one pass over the data.
//!
//! Every level holds only the block it is filling. A full block goes to its place and its hash into the level above, so memory
//! is one block per level (five for 16 TiB) whatever the size of the data.

use std::io::{Read, Seek, SeekFrom, Write};

use crate::error::Error;
use crate::levels::{BLOCK, Block, Digest, FANOUT, Hasher, Level, levels};
use crate::superblock::Superblock;

/// Writes the whole hash area, superblock included, and returns the root hash.
///
/// `out` is written from its offset 0; `data` must hold at least the blocks that the superblock says and is read no further.
/// The superblock is the last write, but nothing is flushed in between: see [`build_unsealed`] for a disk in use.
pub fn build(
    data: impl Read,
    superblock: &Superblock,
    out: &mut (impl Write + Seek),
) -> Result<Digest, Error> {
    let root = build_unsealed(data, superblock, out)?;
    write_block(out, 0, &superblock.block())?;
    Ok(root)
}

/// Writes the tree behind a zeroed block 0 and returns the root hash.
///
/// 1. Block 0 is zeroed. Power lost here means: no hash area.
/// 2. The levels are written. Power lost here means: no hash area.
/// 3. The caller flushes, compares the root hash, reads the slot back, then writes [`Superblock::block`] to block 0. Power lost
///    before it means: no hash area; after its flush: a whole one.
///
/// The zero of step 1 is ordered before step 2 only if the caller flushed such a zero beforehand.
pub fn build_unsealed(
    mut data: impl Read,
    superblock: &Superblock,
    out: &mut (impl Write + Seek),
) -> Result<Digest, Error> {
    write_block(out, 0, &[0; BLOCK])?;
    let mut tree = Tree::new(superblock);
    let mut block = [0; BLOCK];
    for index in 0..superblock.data_blocks.get() {
        data.read_exact(&mut block).map_err(|source| Error::ReadData { block: index, source })?;
        let digest = tree.hasher.hash(&block);
        tree.push(0, digest, out)?;
    }
    tree.finish(out)
}

/// The blocks being filled, leaf level first.
struct Tree {
    hasher: Hasher,
    filling: Vec<Filling>,
    root: Digest,
}

/// One level's block in progress.
struct Filling {
    level: Level,
    written: u64,
    block: Box<Block>,
    digests: u64,
}

impl Tree {
    fn new(superblock: &Superblock) -> Self {
        let fill = |level| Filling { level, written: 0, block: Box::new([0; BLOCK]), digests: 0 };
        Self {
            hasher: Hasher::new(superblock.salt.as_bytes()),
            filling: levels(superblock.data_blocks).into_iter().map(fill).collect(),
            root: [0; 32],
        }
    }

    /// Adds a digest to a level; what comes out above the top is the root hash.
    fn push(&mut self, level: usize, digest: Digest, out: &mut (impl Write + Seek)) -> Result<(), Error> {
        let Some(filling) = self.filling.get_mut(level) else {
            self.root = digest;
            return Ok(());
        };
        let at = filling.digests as usize * digest.len();
        filling.block[at..at + digest.len()].copy_from_slice(&digest);
        filling.digests += 1;
        if filling.digests == FANOUT { self.write(level, out) } else { Ok(()) }
    }

    /// Puts a level's block in its place and its hash one level up.
    fn write(&mut self, level: usize, out: &mut (impl Write + Seek)) -> Result<(), Error> {
        let Some(filling) = self.filling.get_mut(level) else { return Ok(()) };
        write_block(out, filling.level.start + filling.written, &filling.block)?;
        let digest = self.hasher.hash(&filling.block);
        filling.written += 1;
        filling.digests = 0;
        filling.block.fill(0);
        self.push(level + 1, digest, out)
    }

    /// Writes the last, partly filled block of every level, from the leaves up.
    fn finish(mut self, out: &mut (impl Write + Seek)) -> Result<Digest, Error> {
        for level in 0..self.filling.len() {
            if self.filling[level].digests > 0 {
                self.write(level, out)?;
            }
        }
        Ok(self.root)
    }
}

fn write_block(out: &mut (impl Write + Seek), block: u64, bytes: &Block) -> Result<(), Error> {
    out.seek(SeekFrom::Start(block * BLOCK as u64))
        .and_then(|_| out.write_all(bytes))
        .map_err(|source| Error::WriteHash { block, source })
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::levels::{hash_area_len, top_block_hash};
    use crate::superblock::{DataBlocks, SUPERBLOCK_LEN, Salt};

    fn superblock(blocks: u64) -> Superblock {
        Superblock {
            uuid: [7; 16],
            data_blocks: DataBlocks::new(blocks).expect("in range"),
            salt: Salt::new(b"salt").expect("short"),
        }
    }

    #[test]
    fn unsealed_differs_only_in_block_zero() {
        let (data, superblock) = (vec![3; 200 * BLOCK], superblock(200));
        let (mut sealed, mut unsealed) = (Cursor::new(Vec::new()), Cursor::new(vec![0xff; 5 * BLOCK]));
        let root = build(&*data, &superblock, &mut sealed).expect("build");
        assert_eq!(build_unsealed(&*data, &superblock, &mut unsealed).expect("build"), root);
        let (sealed, unsealed) = (sealed.into_inner(), unsealed.into_inner());
        let len = hash_area_len(superblock.data_blocks) as usize;
        assert_eq!(sealed.len(), len);
        assert_eq!(unsealed[..BLOCK], [0; BLOCK]);
        assert_eq!(unsealed[BLOCK..len], sealed[BLOCK..]);
        assert_eq!(unsealed[len..], [0xff; BLOCK], "nothing behind the area is touched");
        assert_eq!(sealed[..SUPERBLOCK_LEN], superblock.encode());
        let top = sealed[BLOCK..2 * BLOCK].try_into().expect("one block");
        assert_eq!(top_block_hash(b"salt", top), root);
    }

    #[test]
    fn data_that_ends_early_is_named() {
        let result = build(&[0; BLOCK + 1][..], &superblock(2), &mut Cursor::new(Vec::new()));
        assert!(matches!(result, Err(Error::ReadData { block: 1, .. })));
    }
}
