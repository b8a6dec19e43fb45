//! A bounded reader: what an image says, and what its files hash to.
//!
//! It takes images of the kind [`write()`](crate::write()) makes and refuses the rest by name. Any bytes may be given:
//! every offset is checked against the image's length, directories may not contain each other, and the data that is
//! read, all inodes together, may not exceed that length, so overlapping inodes cannot multiply the work.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek, SeekFrom};

use coracle_tree::{Device, Name};
use sha2::{Digest, Sha256};

use crate::format::{self, BLOCK, COMPACT, EXTENDED, FileType, INLINE, PLAIN, SLOT};
use crate::{dirents, xattrs};

/// An image is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The image could not be read.
    #[error("read the image")]
    Read {
        /// What the input said.
        #[from]
        source: io::Error,
    },
    /// There is no superblock, or the image is shorter than it says.
    #[error("not an EROFS image: {what}")]
    Superblock {
        /// What is wrong.
        what: &'static str,
    },
    /// The superblock's checksum is wrong.
    #[error("the superblock's checksum is {want:#x}, computed {got:#x}")]
    Checksum {
        /// What the superblock says.
        want: u32,
        /// What was computed.
        got: u32,
    },
    /// The image uses what this reader does not know.
    #[error("the image uses {what}, which is not supported")]
    Unsupported {
        /// The feature.
        what: &'static str,
    },
    /// An inode or what belongs to it breaks the format.
    #[error("inode {nid}: {what}")]
    Inode {
        /// Its number on disk.
        nid: u64,
        /// What is wrong.
        what: &'static str,
    },
    /// There are more entries, or longer paths, than the limits allow.
    #[error("the image exceeds the limit: {what}")]
    Limit {
        /// Which one.
        what: &'static str,
    },
}

/// How much of an image is listed before it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most names.
    pub entries: usize,
    /// The longest path, in bytes.
    pub path: usize,
}

impl Default for Limits {
    /// A million names, paths of 4096 bytes.
    fn default() -> Self {
        Self { entries: 1 << 20, path: 4096 }
    }
}

/// What the superblock says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// The number of the root inode.
    pub root_nid: u64,
    /// How many inodes there are.
    pub inodes: u64,
    /// The time of compact inodes, in seconds since 1970.
    pub build_time: u64,
    /// The length of the image in blocks.
    pub blocks: u32,
    /// The volume's UUID.
    pub uuid: [u8; 16],
    /// The volume's label up to its first NUL.
    pub volume_label: Vec<u8>,
    meta_at: u64,
}

/// What an inode is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Directory,
    /// A file with its size and the SHA-256 of its bytes.
    Regular {
        /// How many bytes.
        size: u64,
        /// Their SHA-256.
        sha256: [u8; 32],
    },
    /// A symbolic link and where it points.
    Symlink(Vec<u8>),
    /// A character device.
    CharDevice(Device),
    /// A block device.
    BlockDevice(Device),
    /// A named pipe.
    Fifo,
}

/// One name of an image. Hard links share `nid`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The names from the root, joined by `/`; empty for the root.
    pub path: Vec<u8>,
    /// The inode's number on disk.
    pub nid: u64,
    /// Permission bits, without the file type.
    pub mode: u16,
    /// The owner.
    pub uid: u32,
    /// The owning group.
    pub gid: u32,
    /// How many names it has.
    pub nlink: u32,
    /// Extended attributes by full name.
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
    /// What it is.
    pub kind: Kind,
}

/// An image whose superblock was found good.
#[derive(Debug)]
pub struct Image<R> {
    input: R,
    len: u64,
    superblock: Superblock,
}

/// An inode's fields, and where its data lies.
struct Inode {
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
        let superblock = superblock(&mut block)?;
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
        let mut known: BTreeMap<u64, Entry> = BTreeMap::new();
        let mut directories = BTreeSet::new();
        let mut entries: Vec<Entry> = Vec::new();
        let root = self.superblock.root_nid;
        let mut pending = vec![(Vec::new(), root, root, FileType::Directory as u8)];
        while let Some((path, parent, nid, file_type)) = pending.pop() {
            if let Some(first) = known.get(&nid) {
                entries.push(Entry { path, ..first.clone() });
                continue;
            }
            let inode = self.inode(nid, &mut budget)?;
            if inode.file_type as u8 != file_type {
                return Err(Error::Inode { nid, what: "its directory entry has another file type" });
            }
            let is_dir = inode.file_type == FileType::Directory;
            if is_dir {
                if !directories.insert(nid) {
                    return Err(Error::Inode { nid, what: "a directory with two names" });
                }
                let room = limits.entries.saturating_sub(entries.len() + pending.len() + 1);
                let found = self.directory(&inode, parent, room, &mut budget)?;
                for (name, child, file_type) in found.into_iter().rev() {
                    let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
                    let below = [&path[..], slash, name.as_bytes()].concat();
                    if below.len() > limits.path {
                        return Err(Error::Limit { what: "length of paths" });
                    }
                    pending.push((below, nid, child, file_type));
                }
            }
            let entry = self.entry(path, inode, &mut budget)?;
            if !is_dir {
                known.insert(nid, entry.clone());
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn inode(&mut self, nid: u64, budget: &mut u64) -> Result<Inode, Error> {
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
        Ok(Inode {
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
        inode: &Inode,
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

    fn entry(&mut self, path: Vec<u8>, inode: Inode, budget: &mut u64) -> Result<Entry, Error> {
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
        let Inode { mode, uid, gid, nlink, xattrs, .. } = inode;
        Ok(Entry { path, nid, mode, uid, gid, nlink, xattrs, kind })
    }

    /// Gives an inode's data to `each`, block by block; only the last may be shorter than 4096 bytes.
    fn data(
        &mut self,
        inode: &Inode,
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

/// Parses block 0, and clears the checksum in it.
fn superblock(block: &mut [u8; BLOCK as usize]) -> Result<Superblock, Error> {
    let fields = &mut block[format::SUPER_OFFSET..];
    if u32_at(fields, 0) != format::MAGIC {
        return Err(Error::Superblock { what: "its magic number is missing" });
    }
    if fields[12] != format::BLOCK_BITS || fields[90] != 0 {
        return Err(Error::Unsupported { what: "another block size" });
    }
    if u32_at(fields, 80) & !format::INCOMPAT_ZERO_PADDING != 0 || fields[13] != 0 {
        return Err(Error::Unsupported { what: "incompatible features" });
    }
    let want = u32_at(fields, 4);
    format::put(fields, 4, &[0; 4]);
    let got = format::crc32c(fields);
    if u32_at(fields, 8) & format::COMPAT_CHECKSUM != 0 && got != want {
        return Err(Error::Checksum { want, got });
    }
    let label = &fields[64..80];
    let mut uuid = [0; 16];
    uuid.copy_from_slice(&fields[48..64]);
    Ok(Superblock {
        root_nid: u64::from(u16_at(fields, 14)),
        inodes: u64_at(fields, 16),
        build_time: u64_at(fields, 24),
        blocks: u32_at(fields, 36),
        uuid,
        volume_label: label.split(|&byte| byte == 0).next().unwrap_or(label).to_vec(),
        meta_at: u64::from(u32_at(fields, 40)) * BLOCK,
    })
}

// Of a constant offset in a buffer of constant size.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
