//! Directory blocks.
//!
//! A directory's data is a row of blocks; each is a table of entries followed by their names:
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 12·i | 8 | inode number of entry i |
//! | 12·i + 8 | 2 | where its name begins in this block; for entry 0 this is 12 × the number of entries |
//! | 12·i + 10 | 1 | file type |
//! | 12·i + 11 | 1 | 0 |
//!
//! A name ends where the next begins, the last one at the first NUL or the end of the block. Entries are in the order
//! of their names' bytes over the whole directory, `.` and `..` sorted among the rest. Every block but the last is
//! padded with NUL to 4096 bytes; the last ends with its last name.

use std::collections::BTreeMap;

use coracle_tree::{Ino, Name};

use crate::format::{BLOCK, FileType};

const ENTRY: usize = 12;

/// An entry to write: its name, the inode's number on disk, its type.
pub(crate) struct Dirent<'t> {
    pub(crate) name: &'t [u8],
    pub(crate) nid: u64,
    pub(crate) file_type: FileType,
}

/// The length of the directory with these children, without knowing their numbers.
pub(crate) fn len(children: &BTreeMap<Name, Ino>) -> u64 {
    let mut names: Vec<&[u8]> = children.keys().map(Name::as_bytes).chain([&b"."[..], b".."]).collect();
    names.sort_unstable();
    let (mut full, mut used) = (0, 0);
    for name in names {
        let grown = used + ENTRY + name.len();
        if grown > BLOCK as usize {
            full += BLOCK;
            used = ENTRY + name.len();
        } else {
            used = grown;
        }
    }
    full + used as u64
}

/// The bytes of a directory; `entries` hold `.` and `..` and come in any order.
pub(crate) fn encode(mut entries: Vec<Dirent<'_>>) -> Vec<u8> {
    entries.sort_unstable_by_key(|entry| entry.name);
    let mut bytes = Vec::new();
    let mut rest = &entries[..];
    while !rest.is_empty() {
        let mut used = 0;
        let fitting = rest
            .iter()
            .take_while(|entry| {
                used += ENTRY + entry.name.len();
                used <= BLOCK as usize
            })
            .count();
        let (block, later) = rest.split_at(fitting);
        bytes.resize(bytes.len().next_multiple_of(BLOCK as usize), 0);
        let mut name_at = ENTRY * block.len();
        for entry in block {
            bytes.extend_from_slice(&entry.nid.to_le_bytes());
            bytes.extend_from_slice(&(name_at as u16).to_le_bytes());
            bytes.extend_from_slice(&[entry.file_type as u8, 0]);
            name_at += entry.name.len();
        }
        for entry in block {
            bytes.extend_from_slice(entry.name);
        }
        rest = later;
    }
    bytes
}

/// An entry as read.
pub(crate) struct Found<'b> {
    pub(crate) name: &'b [u8],
    pub(crate) nid: u64,
    pub(crate) file_type: u8,
}

/// The entries of one directory block of at most 4096 bytes; nothing when the block is malformed.
pub(crate) fn decode(block: &[u8]) -> Option<Vec<Found<'_>>> {
    let name_at = |entry: &[u8]| usize::from(u16::from_le_bytes([entry[8], entry[9]]));
    let table_len = name_at(block.get(..ENTRY)?);
    let table = block.get(..table_len)?;
    if table_len == 0 || !table_len.is_multiple_of(ENTRY) {
        return None;
    }
    let entries: Vec<&[u8]> = table.chunks_exact(ENTRY).collect();
    let mut found = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let name = match entries.get(index + 1) {
            Some(next) => block.get(name_at(entry)..name_at(next))?,
            None => block.get(name_at(entry)..)?.split(|&byte| byte == 0).next()?,
        };
        let nid = u64::from_le_bytes(entry[..8].try_into().ok()?);
        found.push(Found { name, nid, file_type: entry[10] });
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use coracle_tree::{Content, Kind, Meta, Mode, Tree};

    use super::*;

    #[test]
    fn length_is_known_before_the_numbers() {
        for count in [0, 1, 2, 300, 2000] {
            let mut tree = Tree::new(Meta::root(Mode::EXECUTABLE));
            for index in 0..count {
                let name = format!("{index:0width$}", width = 4 + index % 200);
                tree.file(name, Meta::root(Mode::READABLE), Content::from(&b""[..])).unwrap();
            }
            let Kind::Directory(children) = tree.get("").unwrap().1.kind() else { panic!("no root") };
            let names = children.keys().map(Name::as_bytes).chain([&b"."[..], b".."]);
            let entries: Vec<Dirent<'_>> =
                names.map(|name| Dirent { name, nid: 7, file_type: FileType::Regular }).collect();
            let bytes = encode(entries);
            assert_eq!(bytes.len() as u64, len(children), "{count} entries");
            let found: usize = bytes.chunks(4096).map(|block| decode(block).unwrap().len()).sum();
            assert_eq!(found, count + 2);
        }
    }

    #[test]
    fn malformed_blocks_are_refused() {
        let mut backwards = encode(vec![
            Dirent { name: b"a", nid: 1, file_type: FileType::Regular },
            Dirent { name: b"b", nid: 1, file_type: FileType::Regular },
        ]);
        backwards[ENTRY + 8] = 1;
        let cases: [&[u8]; 4] = [&[], &[0; 11], &[0; 4096], &backwards];
        for case in cases {
            assert!(decode(case).is_none(), "{} bytes", case.len());
        }
    }
}
