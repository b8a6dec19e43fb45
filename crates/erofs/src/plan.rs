//! Which byte goes where.
//!
//! | blocks | hold |
//! |---|---|
//! | 0 | zeros, the superblock at byte 1024, zeros |
//! | 1 ..= m | inodes in the order of the tree's walk, each with its attributes and, layout inline, its tail |
//! | m + 1 .. | whole blocks of data, in the same order |
//!
//! An inode begins at a multiple of 32. It moves to the next block when its fixed part or its tail would cross a block
//! boundary; a tail that could not share any block with its inode goes to the data blocks instead (layout plain).
//! The kernel lets attributes cross a boundary. Block 0 keeps no inodes, so that the checksum over it is known before
//! any data was read.

use std::collections::BTreeMap;

use coracle_tree::{Ino, Kind, Node, Tree};

use crate::format::{BLOCK, COMPACT, EXTENDED, INLINE, PLAIN, SLOT};
use crate::{Error, dirents, xattrs};

/// One inode with its place.
pub(crate) struct Planned<'t> {
    /// The first path that names it.
    pub(crate) path: Vec<u8>,
    pub(crate) parent: Ino,
    pub(crate) ino: Ino,
    pub(crate) node: &'t Node,
    /// Where the inode begins, in bytes from the image's beginning.
    pub(crate) at: u64,
    /// [`COMPACT`] or [`EXTENDED`].
    pub(crate) fixed: u64,
    pub(crate) xattrs: u64,
    pub(crate) size: u64,
    pub(crate) nlink: u32,
    /// [`PLAIN`] or [`INLINE`].
    pub(crate) data_layout: u16,
    /// The first of its data blocks; 0 when it has none.
    pub(crate) first_block: u32,
}

impl Planned<'_> {
    /// How much of the data lies in data blocks, without padding.
    pub(crate) fn in_blocks(&self) -> u64 {
        match self.data_layout {
            INLINE => self.size - self.size % BLOCK,
            _ => self.size,
        }
    }

    /// Where the tail begins.
    pub(crate) fn tail_at(&self) -> u64 {
        self.at + self.fixed + self.xattrs
    }
}

/// The whole image.
pub(crate) struct Plan<'t> {
    pub(crate) tree: &'t Tree,
    pub(crate) inodes: Vec<Planned<'t>>,
    /// The inode numbers on disk.
    pub(crate) nids: BTreeMap<Ino, u64>,
    /// Where the data blocks begin, in bytes.
    pub(crate) data_at: u64,
    /// The length of the image, in blocks.
    pub(crate) blocks: u32,
}

impl<'t> Plan<'t> {
    pub(crate) fn new(tree: &'t Tree) -> Result<Self, Error> {
        let mut inodes = Vec::with_capacity(tree.inodes());
        let mut nids = BTreeMap::new();
        let mut cursor = BLOCK;
        for entry in tree.walk() {
            if nids.contains_key(&entry.ino) {
                continue;
            }
            let size = size(entry.node);
            let nlink = nlink(tree, entry.node);
            let fixed = fixed(entry.node, size, nlink);
            let xattrs = xattrs::encode(&entry.node.meta().xattrs, &entry.path)?.len() as u64;
            let (at, data_layout) = place(cursor, fixed, xattrs, size % BLOCK);
            let planned = Planned {
                path: entry.path,
                parent: entry.parent,
                ino: entry.ino,
                node: entry.node,
                at,
                fixed,
                xattrs,
                size,
                nlink,
                data_layout,
                first_block: 0,
            };
            cursor = planned.tail_at() + if data_layout == INLINE { size % BLOCK } else { 0 };
            nids.insert(entry.ino, at / SLOT);
            inodes.push(planned);
        }
        let data_at = cursor.next_multiple_of(BLOCK);
        let blocks = assign_blocks(&mut inodes, data_at / BLOCK)?;
        Ok(Self { tree, inodes, nids, data_at, blocks })
    }
}

/// Gives each inode its data blocks, from `next` on; returns where they end.
fn assign_blocks(inodes: &mut [Planned<'_>], mut next: u64) -> Result<u32, Error> {
    for planned in inodes {
        let count = planned.in_blocks().div_ceil(BLOCK);
        if count > 0 {
            planned.first_block = u32::try_from(next).map_err(|_| Error::TooLarge)?;
        }
        next = next.checked_add(count).ok_or(Error::TooLarge)?;
    }
    u32::try_from(next).map_err(|_| Error::TooLarge)
}

/// Where an inode goes, at or after `cursor`, and how its data is laid out.
fn place(cursor: u64, fixed: u64, xattrs: u64, tail: u64) -> (u64, u16) {
    let here = cursor.next_multiple_of(SLOT);
    let next_block = here.next_multiple_of(BLOCK);
    let within = |at: u64, len: u64| at % BLOCK + len <= BLOCK;
    let inline = |at: u64| within(at, fixed) && within(at + fixed + xattrs, tail);
    let data_layout = if tail > 0 && (inline(here) || inline(next_block)) { INLINE } else { PLAIN };
    let stays = if data_layout == INLINE { inline(here) } else { within(here, fixed) };
    (if stays { here } else { next_block }, data_layout)
}

fn size(node: &Node) -> u64 {
    match node.kind() {
        Kind::Directory(children) => dirents::len(children),
        Kind::Regular(content) => content.len(),
        Kind::Symlink(target) => target.as_bytes().len() as u64,
        Kind::CharDevice(_) | Kind::BlockDevice(_) | Kind::Fifo => 0,
    }
}

/// A directory is named by its parent, by its own `.` and by the `..` of each directory in it.
fn nlink(tree: &Tree, node: &Node) -> u32 {
    let Kind::Directory(children) = node.kind() else { return node.names() };
    let is_dir = |ino: &&Ino| tree.node(**ino).is_some_and(|node| matches!(node.kind(), Kind::Directory(_)));
    2 + children.values().filter(is_dir).count() as u32
}

fn fixed(node: &Node, size: u64, nlink: u32) -> u64 {
    let short = u32::from(u16::MAX);
    let fits =
        node.meta().uid <= short && node.meta().gid <= short && nlink <= short && size <= u64::from(u32::MAX);
    if fits { COMPACT } else { EXTENDED }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inodes_stay_where_they_fit() {
        // cursor, fixed, attributes, tail -> place, layout
        let cases = [
            (4096, 32, 0, 0, 4096, PLAIN),
            (4097, 32, 0, 100, 4128, INLINE),
            (8192 - 32, 32, 0, 0, 8192 - 32, PLAIN),
            (8192 - 32, 64, 0, 0, 8192, PLAIN),
            (8192 - 64, 32, 0, 32, 8192 - 64, INLINE),
            (8192 - 64, 32, 0, 33, 8192, INLINE),
            (4096, 32, 0, 4064, 4096, INLINE),
            (4096, 32, 0, 4065, 4096, PLAIN),
            (8192 - 32, 32, 16, 4080, 8192 - 32, INLINE),
            (4128, 32, 16, 4080, 4128, PLAIN),
        ];
        for (cursor, fixed, xattrs, tail, at, layout) in cases {
            assert_eq!(place(cursor, fixed, xattrs, tail), (at, layout), "{cursor} {fixed} {xattrs} {tail}");
        }
    }
}
