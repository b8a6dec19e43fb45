//! Walking an image: inodes, directories, data.

use std::collections::BTreeMap;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use coracle_tree::Name;
use sha2::{Digest, Sha256};

use super::superblock::{self, u16_at, u32_at, u64_at};
use super::{Entry, Error, Inode, Kind, Limits, Superblock};
use crate::format::{self, BLOCK, COMPACT, EXTENDED, FileType, INLINE, PLAIN, SLOT};
use crate::{dirents, xattrs};

/// An image whose superblock was found good.
#[derive(Debug)]
pub struct Image<R> {
    input: R,
    len: u64,
    superblock: Superblock,
}

/// An inode's fields, and where its data lies.
struct Raw {
    nid: u64,
    file_type: FileType,
    mode: u16,
    uid: u32,
    gid: u32,
    nlink: u32,
    union: u32,
    size: u64,
    /// Of `size`, what lies in data blocks; the rest is the tail.
    in_blocks: u64,
    tail_at: u64,
    xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl<R: Read + Seek> Image<R> {
    /// Reads the superblock. The image begins at the input's beginning; what follows its last block is ignored.
    pub fn open(mut input: R) -> Result<Self, Error> {
        let present = input.seek(SeekFrom::End(0))?;
        if present < BLOCK {
            return Err(Error::Superblock { what: "shorter than a block" });
        }
        let mut block = [0; BLOCK as usize];
        input.seek(SeekFrom::Start(0))?;
        input.read_exact(&mut block)?;
        let superblock = superblock::parse(&mut block)?;
        let len = u64::from(superblock.blocks) * BLOCK;
        if len > present || len < BLOCK {
            return Err(Error::Superblock { what: "its length is not that of the input" });
        }
        Ok(Self { input, len, superblock })
    }

    /// What the superblock says.
    pub fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Every name with its inode, each directory before its entries, entries in the order of their bytes.
    pub fn entries(&mut self, limits: Limits) -> Result<Vec<Entry>, Error> {
        let mut budget = self.len;
        let mut known: BTreeMap<u64, (u8, Arc<Inode>)> = BTreeMap::new();
        let mut entries: Vec<Entry> = Vec::new();
        let root = self.superblock.root_nid;
        let mut pending = vec![(Vec::new(), root, root, FileType::Directory as u8)];
        while let Some((path, parent, nid, file_type)) = pending.pop() {
            let wrong = |what| Error::Inode { nid, what };
            let (found_type, inode) = match known.get(&nid) {
                Some((_, inode)) if inode.kind == Kind::Directory => {
                    return Err(wrong("a directory with two names"));
                }
                Some((found_type, inode)) => (*found_type, Arc::clone(inode)),
                None => {
                    let raw = self.raw(nid, &mut budget)?;
                    if raw.file_type == FileType::Directory {
                        let room = limits.entries.saturating_sub(entries.len() + pending.len() + 1);
                        let children = self.directory(&raw, parent, room, &mut budget)?;
                        for (name, child, file_type) in children.into_iter().rev() {
                            let below = join(&path, &name);
                            if below.len() > limits.path {
                                return Err(Error::Limit { what: "length of paths" });
                            }
                            pending.push((below, nid, child, file_type));
                        }
                    }
                    let found_type = raw.file_type as u8;
                    let inode = Arc::new(self.inode(raw, &mut budget)?);
                    known.insert(nid, (found_type, Arc::clone(&inode)));
                    (found_type, inode)
                }
            };
            if found_type != file_type {
                return Err(wrong("its directory entry has another file type"));
            }
            entries.push(Entry { path, inode });
        }
        Ok(entries)
    }

    /// The bytes of a file of at most so many; what is longer, or no file, has none.
    pub fn content(&mut self, entry: &Entry, limit: u64) -> Result<Option<Vec<u8>>, Error> {
        match entry.inode.kind {
            Kind::Regular { size, .. } if size <= limit => {}
            _ => return Ok(None),
        }
        let (mut budget, mut bytes) = (self.len, Vec::new());
        let raw = self.raw(entry.inode.nid, &mut budget)?;
        self.data(&raw, &mut budget, |block| {
            bytes.extend_from_slice(block);
            Ok(())
        })?;
        Ok(Some(bytes))
    }

    fn raw(&mut self, nid: u64, budget: &mut u64) -> Result<Raw, Error> {
        let wrong = |what| Error::Inode { nid, what };
        let at = nid
            .checked_mul(SLOT)
            .and_then(|offset| offset.checked_add(self.superblock.meta_at))
            .ok_or(wrong("its number is out of range"))?;
        let mut bytes = [0; 64];
        self.read_at(nid, at, &mut bytes[..COMPACT as usize])?;
        let format = u16_at(&bytes, 0);
        let fixed = if format & 1 == 0 { COMPACT } else { EXTENDED };
        if fixed == EXTENDED {
            self.read_at(nid, at, &mut bytes)?;
        }
        let (size, uid, gid, nlink) = if fixed == COMPACT {
            let short = |at| u32::from(u16_at(&bytes, at));
            (u64::from(u32_at(&bytes, 8)), short(24), short(26), short(6))
        } else {
            (u64_at(&bytes, 8), u32_at(&bytes, 24), u32_at(&bytes, 28), u32_at(&bytes, 44))
        };
        let mode = u16_at(&bytes, 4);
        let file_type = FileType::from_mode(mode).ok_or(wrong("its file type is unknown"))?;
        let in_blocks = match format >> 1 {
            PLAIN => size,
            INLINE => size - size % BLOCK,
            _ => return Err(Error::Unsupported { what: "a data layout other than plain and inline" }),
        };
        let xattrs_len = xattrs::len(u16_at(&bytes, 2));
        let mut encoded = vec![0; spend(nid, budget, xattrs_len)?];
        self.read_at(nid, at + fixed, &mut encoded)?;
        let xattrs = xattrs::decode(&encoded).ok_or(wrong("its attributes are malformed or shared"))?;
        let tail_at = at + fixed + xattrs_len;
        if tail_at % BLOCK + (size - in_blocks) > BLOCK {
            return Err(wrong("its tail crosses a block"));
        }
        let union = u32_at(&bytes, 16);
        Ok(Raw {
            nid,
            file_type,
            mode: mode & 0o7777,
            uid,
            gid,
            nlink,
            union,
            size,
            in_blocks,
            tail_at,
            xattrs,
        })
    }

    /// The children of a directory, checked for order, names and its two dots.
    fn directory(
        &mut self,
        inode: &Raw,
        parent: u64,
        room: usize,
        budget: &mut u64,
    ) -> Result<Vec<(Name, u64, u8)>, Error> {
        let nid = inode.nid;
        let wrong = |what| Error::Inode { nid, what };
        let mut children = Vec::new();
        let mut last: Vec<u8> = Vec::new();
        let mut dots = 0;
        self.data(inode, budget, |block| {
            for found in dirents::decode(block).ok_or(wrong("its directory block is malformed"))? {
                if found.name <= &last[..] {
                    return Err(wrong("its entries are not in order"));
                }
                last = found.name.to_vec();
                match found.name {
                    b"." if found.nid == nid => dots += 1,
                    b".." if found.nid == parent => dots += 1,
                    b"." | b".." => return Err(wrong("its '.' or '..' points elsewhere")),
                    _ if children.len() >= room => return Err(Error::Limit { what: "number of entries" }),
                    name => {
                        let name = Name::new(name).map_err(|_| wrong("a name is refused"))?;
                        children.push((name, found.nid, found.file_type));
                    }
                }
            }
            Ok(())
        })?;
        if dots == 2 { Ok(children) } else { Err(wrong("its '.' or '..' is missing")) }
    }

    fn inode(&mut self, inode: Raw, budget: &mut u64) -> Result<Inode, Error> {
        let nid = inode.nid;
        let device = || {
            format::decode_device(inode.union).ok_or(Error::Inode { nid, what: "its device is out of range" })
        };
        let kind = match inode.file_type {
            FileType::Directory => Kind::Directory,
            FileType::Regular => {
                let mut hash = Sha256::new();
                self.data(&inode, budget, |block| {
                    hash.update(block);
                    Ok(())
                })?;
                Kind::Regular { size: inode.size, sha256: hash.finalize().into() }
            }
            FileType::Symlink if inode.size > coracle_tree::Target::MAX as u64 => {
                return Err(Error::Inode { nid, what: "its target is too long" });
            }
            FileType::Symlink => {
                let mut target = Vec::new();
                self.data(&inode, budget, |block| {
                    target.extend_from_slice(block);
                    Ok(())
                })?;
                Kind::Symlink(target)
            }
            FileType::CharDevice => Kind::CharDevice(device()?),
            FileType::BlockDevice => Kind::BlockDevice(device()?),
            FileType::Fifo => Kind::Fifo,
        };
        let Raw { mode, uid, gid, nlink, xattrs, .. } = inode;
        Ok(Inode { nid, mode, uid, gid, nlink, xattrs, kind })
    }

    /// Gives an inode's data to `each`, block by block; only the last may be shorter than 4096 bytes.
    fn data(
        &mut self,
        inode: &Raw,
        budget: &mut u64,
        mut each: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        spend(inode.nid, budget, inode.size)?;
        let mut block = [0; BLOCK as usize];
        let mut done = 0;
        while done < inode.size {
            let (at, until) = if done < inode.in_blocks {
                (u64::from(inode.union) * BLOCK + done, inode.in_blocks)
            } else {
                (inode.tail_at, inode.size)
            };
            let count = (until - done).min(BLOCK);
            let piece = &mut block[..count as usize];
            self.read_at(inode.nid, at, piece)?;
            each(piece)?;
            done += count;
        }
        Ok(())
    }

    /// Fills `bytes` from inside the image.
    fn read_at(&mut self, nid: u64, at: u64, bytes: &mut [u8]) -> Result<(), Error> {
        let end = at.checked_add(bytes.len() as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(Error::Inode { nid, what: "it lies outside the image" });
        }
        self.input.seek(SeekFrom::Start(at))?;
        Ok(self.input.read_exact(bytes)?)
    }
}

/// Takes `len` from what may still be read.
fn spend(nid: u64, budget: &mut u64, len: u64) -> Result<usize, Error> {
    let wrong = Error::Inode { nid, what: "its data overlaps other data or exceeds the image" };
    match (budget.checked_sub(len), usize::try_from(len)) {
        (Some(left), Ok(len)) => {
            *budget = left;
            Ok(len)
        }
        _ => Err(wrong),
    }
}

fn join(path: &[u8], name: &Name) -> Vec<u8> {
    let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
    [path, slash, name.as_bytes()].concat()
}
