//! Which slot to boot: the one whose tree has the root hash, whatever its partitions are called.
//!
//! The superblock and the top block are read from the disk unverified. The top block is then either the one that the root
//! hash was made of, or another; the superblock says nothing that the top block does not prove, save the count of blocks,
//! which the kernel and the size of the partitions bound.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use coracle_layout::{RootHash, Slot, VERITY_SALT, partition::Partition};
use coracle_verity::{BLOCK, Block, SUPERBLOCK_LEN, Superblock, hash_area_len, top_block_hash};

use super::Error;
use crate::disk::Disk;

/// Why a slot is not the one.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// It is not there.
    Missing,
    /// Nothing is written in it.
    Empty,
    /// Its superblock is not one of ours.
    Superblock,
    /// It is larger than its partitions.
    TooLarge,
    /// It holds another root, or a damaged one.
    OtherRoot,
    /// The disk does not give it.
    Unreadable(io::Error),
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Empty => f.write_str("empty"),
            Self::Superblock => f.write_str("alien"),
            Self::TooLarge => f.write_str("too large"),
            Self::OtherRoot => f.write_str("other"),
            Self::Unreadable(cause) => write!(f, "unreadable ({cause})"),
        }
    }
}

/// What both slots of a disk hold.
pub(crate) type Slots = [Result<Superblock, Unfit>; 2];

/// Looks at both slots. 8 KiB are read.
pub(crate) fn look(disk: &Disk, root: &RootHash) -> Slots {
    Slot::BOTH.map(|slot| {
        let data = disk.partition(Partition::Root(slot)).map_err(|_| Unfit::Missing)?;
        let tree = disk.partition(Partition::Verity(slot)).map_err(|_| Unfit::Missing)?;
        let mut file = File::open(&tree.path).map_err(Unfit::Unreadable)?;
        examine(&mut file, tree.bytes, data.bytes, root)
    })
}

/// Whether a hash area of at most `tree_bytes`, for data of at most `data_bytes`, has this root.
fn examine(
    tree: &mut (impl Read + Seek),
    tree_bytes: u64,
    data_bytes: u64,
    root: &RootHash,
) -> Result<Superblock, Unfit> {
    let superblock: [u8; SUPERBLOCK_LEN] = read(tree, 0)?;
    let superblock = Superblock::parse(&superblock).map_err(|error| match error {
        coracle_verity::Error::NoSuperblock => Unfit::Empty,
        _ => Unfit::Superblock,
    })?;
    // One block of data has no tree, and no room for a system.
    if superblock.salt.as_bytes() != VERITY_SALT || superblock.data_blocks.get() < 2 {
        return Err(Unfit::Superblock);
    }
    let data_len = superblock.data_blocks.get().saturating_mul(BLOCK as u64);
    if data_len > data_bytes || hash_area_len(superblock.data_blocks) > tree_bytes {
        return Err(Unfit::TooLarge);
    }
    let top: Block = read(tree, BLOCK as u64)?;
    if top_block_hash(superblock.salt.as_bytes(), &top) != *root.as_bytes() {
        return Err(Unfit::OtherRoot);
    }
    Ok(superblock)
}

fn read<const N: usize>(from: &mut (impl Read + Seek), offset: u64) -> Result<[u8; N], Unfit> {
    let mut bytes = [0; N];
    from.seek(SeekFrom::Start(offset))
        .and_then(|_| from.read_exact(&mut bytes))
        .map_err(Unfit::Unreadable)?;
    Ok(bytes)
}

/// The slot to boot; A where both hold the same.
pub(crate) fn choose(disk: &str, slots: Slots) -> Result<(Slot, Superblock), Error> {
    match slots {
        [Ok(superblock), _] => Ok((Slot::A, superblock)),
        [_, Ok(superblock)] => Ok((Slot::B, superblock)),
        [Err(a), Err(b)] => Err(Error::NoSlot { disk: disk.to_owned(), a, b }),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Cursor;

    use super::*;
    use coracle_verity::{DataBlocks, Salt, build};

    /// A hash area for `blocks` blocks of ones, and its root.
    pub(crate) fn tree(blocks: u64, salt: &[u8]) -> (Vec<u8>, RootHash) {
        let superblock = Superblock {
            uuid: [1; 16],
            data_blocks: DataBlocks::new(blocks).unwrap(),
            salt: Salt::new(salt).unwrap(),
        };
        let mut out = Cursor::new(vec![]);
        let root = build(io::repeat(1), &superblock, &mut out).unwrap();
        (out.into_inner(), RootHash::new(root))
    }

    #[test]
    fn only_the_whole_tree_of_this_root_fits() {
        let (good, root) = tree(200, &VERITY_SALT);
        let data = 200 * BLOCK as u64;
        let look = |bytes: &[u8], tree_bytes: u64, data_bytes: u64, root: &RootHash| {
            examine(&mut Cursor::new(bytes), tree_bytes, data_bytes, root)
                .map_or_else(|why| why.to_string(), |superblock| superblock.data_blocks.get().to_string())
        };
        let len = good.len() as u64;
        assert_eq!(look(&good, len, data, &root), "200");
        assert_eq!(look(&good, len, data, &RootHash::new([0; 32])), "other");
        assert_eq!(look(&good, len - 1, data, &root), "too large");
        assert_eq!(look(&good, len, data - 1, &root), "too large");
        assert_eq!(look(&vec![0; good.len()], len, data, &root), "empty");
        assert!(look(&good[..BLOCK], len, data, &root).starts_with("unreadable"));

        for (place, want) in
            [(BLOCK, "other"), (2 * BLOCK - 1, "other"), (0, "empty"), (8, "alien"), (90, "alien")]
        {
            let mut bad = good.clone();
            bad[place] ^= 1;
            assert_eq!(look(&bad, len, data, &root), want, "byte {place}");
        }
        let (salted, root) = tree(200, b"another salt");
        assert_eq!(look(&salted, len, data, &root), "alien");
        let (single, root) = tree(1, &VERITY_SALT);
        assert_eq!(look(&single, len, data, &root), "alien");
    }

    #[test]
    fn the_slot_that_fits_is_taken() {
        let superblock = || {
            let (bytes, _) = tree(2, &VERITY_SALT);
            Ok(Superblock::parse(bytes.first_chunk().unwrap()).unwrap())
        };
        let cases: [(Slots, Option<Slot>); 4] = [
            ([superblock(), Err(Unfit::Empty)], Some(Slot::A)),
            ([Err(Unfit::OtherRoot), superblock()], Some(Slot::B)),
            ([superblock(), superblock()], Some(Slot::A)),
            ([Err(Unfit::OtherRoot), Err(Unfit::Empty)], None),
        ];
        for (slots, want) in cases {
            match (choose("vda", slots), want) {
                (Ok((slot, _)), Some(want)) => assert_eq!(slot, want),
                (Err(error), None) => {
                    assert_eq!(error.to_string(), "no slot of vda has this root: A other, B empty");
                }
                (other, want) => panic!("{other:?}, not {want:?}"),
            }
        }
    }
}
