//! Checking a whole hash area and its data, from the root down.

use std::io::{Read, Seek, SeekFrom};

use crate::error::{Damage, Error};
use crate::levels::{BLOCK, Block, Digest, FANOUT, Hasher, levels};
use crate::superblock::{SUPERBLOCK_LEN, Superblock};

/// Checks every block of the tree and of the data, and that the tree has this root hash.
///
/// Both readers are read from offset 0 and may be longer than what the superblock describes. The first bad block is named, and
/// rightly: every hash it was compared with has itself been checked, up to `root`.
pub fn verify(
    data: &mut (impl Read + Seek),
    hash: &mut (impl Read + Seek),
    root: &Digest,
) -> Result<(), Error> {
    walk(Some(data), hash, Some(root), &mut |damage| Err(damage.into())).map(drop)
}

/// Checks every block of the tree, and that it has this root hash, but reads no data: for who has just made this root hash of them.
///
/// Data of one block has no tree, and nothing is checked.
pub fn verify_tree(hash: &mut (impl Read + Seek), root: &Digest) -> Result<(), Error> {
    let no_data = None::<&mut std::io::Empty>;
    walk(no_data, hash, Some(root), &mut |damage| Err(damage.into())).map(drop)
}

/// Checks as [`verify`] does and goes on behind what is damaged: every bad block is given to `found`, from the root down.
///
/// What lies below a damaged tree block cannot be judged and is passed over, so with [`Damage::Root`] nothing follows.
pub fn scan(
    data: &mut (impl Read + Seek),
    hash: &mut (impl Read + Seek),
    root: &Digest,
    mut found: impl FnMut(Damage),
) -> Result<(), Error> {
    let mut keep = |damage| {
        found(damage);
        Ok(())
    };
    walk(Some(data), hash, Some(root), &mut keep).map(drop)
}

/// Checks that tree and data agree and returns the root hash, for the caller to compare or to record.
///
/// Without a known root hash the top block is taken at its word, so a flaw in it is reported as damage of what lies below.
pub fn measure(data: &mut (impl Read + Seek), hash: &mut (impl Read + Seek)) -> Result<Digest, Error> {
    walk(Some(data), hash, None, &mut |damage| Err(damage.into()))
}

/// Without data the leaf level is the last that is looked at.
fn walk(
    mut data: Option<&mut (impl Read + Seek)>,
    hash: &mut (impl Read + Seek),
    want: Option<&Digest>,
    found: &mut dyn FnMut(Damage) -> Result<(), Error>,
) -> Result<Digest, Error> {
    let superblock = read_superblock(hash)?;
    let hasher = Hasher::new(superblock.salt.as_bytes());
    let levels = levels(superblock.data_blocks);

    let got = match (levels.last(), data.as_mut()) {
        (Some(top), _) => hasher.hash(&read_hash(hash, top.start)?),
        (None, Some(data)) => hasher.hash(&read_data(data, 0)?),
        (None, None) => return Ok(want.copied().unwrap_or_default()),
    };
    if let Some(want) = want.filter(|want| **want != got) {
        found(Damage::Root { want: *want, got })?;
        return Ok(got);
    }
    let mut spoilt = Spoilt::default();
    for (level, parents) in levels.iter().enumerate().rev() {
        let children = level.checked_sub(1).and_then(|below| levels.get(below).map(|at| (below, at)));
        let count = children.map_or(superblock.data_blocks.get(), |(_, at)| at.blocks);
        let above = std::mem::take(&mut spoilt);
        for parent in 0..parents.blocks {
            let range = parent * FANOUT..count.min((parent + 1) * FANOUT);
            if above.contains(&parent) {
                spoilt.extend(range.filter(|_| children.is_some()));
                continue;
            }
            let entries = read_hash(hash, parents.start + parent)?;
            for (block, entry) in range.zip(entries.chunks_exact(got.len())) {
                let (bytes, damage) = match (children, data.as_mut()) {
                    (Some((level, at)), _) => {
                        (read_hash(hash, at.start + block)?, Damage::Tree { level, block })
                    }
                    (None, Some(data)) => (read_data(data, block)?, Damage::Data { block }),
                    (None, None) => break,
                };
                if hasher.hash(&bytes) != *entry {
                    found(damage)?;
                    spoilt.extend(children.is_some().then_some(block));
                }
            }
        }
    }
    Ok(got)
}

/// Blocks of one level that are damaged or lie below damaged ones.
type Spoilt = std::collections::BTreeSet<u64>;

fn read_superblock(hash: &mut (impl Read + Seek)) -> Result<Superblock, Error> {
    let mut bytes = [0; SUPERBLOCK_LEN];
    hash.seek(SeekFrom::Start(0))
        .and_then(|_| hash.read_exact(&mut bytes))
        .map_err(|source| Error::ReadHash { block: 0, source })?;
    Superblock::parse(&bytes)
}

fn read_hash(hash: &mut (impl Read + Seek), block: u64) -> Result<Block, Error> {
    read_block(hash, block).map_err(|source| Error::ReadHash { block, source })
}

fn read_data(data: &mut (impl Read + Seek), block: u64) -> Result<Block, Error> {
    read_block(data, block).map_err(|source| Error::ReadData { block, source })
}

fn read_block(from: &mut (impl Read + Seek), block: u64) -> std::io::Result<Block> {
    let mut bytes = [0; BLOCK];
    from.seek(SeekFrom::Start(block * BLOCK as u64))?;
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::build::build;
    use crate::superblock::{DataBlocks, Salt};

    /// Two leaf blocks, the second nearly empty, under one top block.
    const BLOCKS: u64 = 130;

    fn sample(blocks: u64) -> (Vec<u8>, Vec<u8>, Digest) {
        let data: Vec<u8> = (0..blocks).flat_map(|block| [block as u8; BLOCK]).collect();
        let data_blocks = DataBlocks::new(blocks).expect("in range");
        let superblock = Superblock { uuid: [1; 16], data_blocks, salt: Salt::new(&[9; 32]).expect("short") };
        let mut hash = Cursor::new(Vec::new());
        let root = build(&*data, &superblock, &mut hash).expect("build");
        (data, hash.into_inner(), root)
    }

    fn damage(data: &[u8], hash: &[u8], root: &Digest) -> Damage {
        match verify(&mut Cursor::new(data), &mut Cursor::new(hash), root) {
            Err(Error::Damaged(damage)) => damage,
            other => panic!("not found: {other:?}"),
        }
    }

    #[test]
    fn own_areas_hold() {
        for blocks in [1, 2, 128, BLOCKS] {
            let (data, hash, root) = sample(blocks);
            verify(&mut Cursor::new(&data), &mut Cursor::new(&hash), &root).expect("whole");
            assert_eq!(measure(&mut Cursor::new(&data), &mut Cursor::new(&hash)).expect("whole"), root);
        }
    }

    #[test]
    fn a_flipped_data_byte_is_found_in_every_block() {
        let (mut data, hash, root) = sample(BLOCKS);
        for block in 0..BLOCKS {
            let at = block as usize * BLOCK + (block as usize * 31) % BLOCK;
            data[at] ^= 1;
            assert_eq!(damage(&data, &hash, &root), Damage::Data { block });
            data[at] ^= 1;
        }
    }

    #[test]
    fn a_flipped_tree_byte_is_found_and_its_block_named() {
        let (data, mut hash, root) = sample(BLOCKS);
        for at in (BLOCK..hash.len()).step_by(61) {
            hash[at] ^= 0x80;
            match (at / BLOCK, damage(&data, &hash, &root)) {
                (1, Damage::Root { want, .. }) => assert_eq!(want, root),
                (place, got) => assert_eq!(got, Damage::Tree { level: 0, block: place as u64 - 2 }),
            }
            assert!(
                measure(&mut Cursor::new(&data), &mut Cursor::new(&hash)).map_or(true, |got| got != root),
                "byte {at} changes nothing"
            );
            hash[at] ^= 0x80;
        }
    }

    #[test]
    fn a_tree_is_checked_alone_as_with_its_data() {
        let (data, mut hash, root) = sample(BLOCKS);
        verify_tree(&mut Cursor::new(&hash), &root).expect("whole");
        for at in (BLOCK..hash.len()).step_by(61) {
            hash[at] ^= 0x80;
            match verify_tree(&mut Cursor::new(&hash), &root) {
                Err(Error::Damaged(got)) => assert_eq!(got, damage(&data, &hash, &root)),
                other => panic!("byte {at}: {other:?}"),
            }
            hash[at] ^= 0x80;
        }
    }

    #[test]
    fn a_scan_finds_everything_that_can_be_judged() {
        // Three levels: 129 leaf blocks under two under one.
        let blocks = 128 * 128 + 1;
        let (mut data, mut hash, root) = sample(blocks);
        let data_blocks = DataBlocks::new(blocks).expect("in range");
        let scan_all = |data: &[u8], hash: &[u8]| {
            let mut all = Vec::new();
            let found = |damage| all.push(damage);
            scan(&mut Cursor::new(data), &mut Cursor::new(hash), &root, found).expect("readable");
            all
        };
        assert_eq!(scan_all(&data, &hash), []);
        let leaf = |block: u64| Damage::Tree { level: 0, block };
        let places = [leaf(3), Damage::Data { block: 200 }, Damage::Data { block: 16_383 }];
        for place in &places {
            let at = place.offset(data_blocks) as usize + 5;
            match place {
                Damage::Data { .. } => data[at] ^= 1,
                _ => hash[at] ^= 1,
            }
        }
        assert_eq!(scan_all(&data, &hash), places);
        // Below leaf 3 lie the data blocks 384 to 511: what is wrong there is not judged.
        data[400 * BLOCK] ^= 1;
        assert_eq!(scan_all(&data, &hash), places);
        // The first block of the middle level covers the first 128 leaves and their data.
        let middle = Damage::Tree { level: 1, block: 0 };
        hash[middle.offset(data_blocks) as usize] ^= 1;
        assert_eq!(scan_all(&data, &hash), [middle]);
        hash[BLOCK] ^= 1;
        assert!(matches!(scan_all(&data, &hash)[..], [Damage::Root { .. }]));
    }

    #[test]
    fn short_readers_are_named() {
        let (data, hash, root) = sample(BLOCKS);
        let cut = |bytes: &[u8]| Cursor::new(bytes[..bytes.len() - 1].to_vec());
        let last = BLOCKS - 1;
        let result = verify(&mut cut(&data), &mut Cursor::new(&hash), &root);
        assert!(matches!(result, Err(Error::ReadData { block, .. }) if block == last));
        let result = verify(&mut Cursor::new(&data), &mut cut(&hash), &root);
        assert!(matches!(result, Err(Error::ReadHash { block: 3, .. })));
    }
}
