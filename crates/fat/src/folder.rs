//! Folders: what was asked for as paths, as a tree, and the entries on disk.

use std::collections::{BTreeMap, HashSet};

use crate::name;

pub(crate) const DIRECTORY: u8 = 0x10;
const ARCHIVE: u8 = 0x20;
pub(crate) const VOLUME_ID: u8 = 0x08;
pub(crate) const ENTRY_LEN: usize = 32;
/// Things in one folder: FAT ends at 65 536 entries of 32 bytes, and a long name takes up to 21 of them.
const MAX_CHILDREN: usize = 3000;
/// 1 January 1980, the first day that FAT knows: no clock reaches the volume.
const DATE: u16 = (1 << 5) | 1;

/// Why a list of paths is not a tree that FAT can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// A name that FAT has no way to write, or that is not ASCII.
    #[error(
        "one of its names is empty, not ASCII, longer than 255 characters, or has a character that FAT lacks"
    )]
    Name,
    /// Something else has that name already; FAT takes no notice of case.
    #[error("something else has that name, or differs from it in case only")]
    Taken,
    /// The folder is full.
    #[error("its folder has {MAX_CHILDREN} things in it already")]
    Full,
}

/// A folder or a file of the volume.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    Folder(Folder<'a>),
    File(&'a [u8]),
}

/// A folder: its contents by name in capitals, with the name as it is shown.
#[derive(Debug, Default)]
pub(crate) struct Folder<'a>(pub(crate) BTreeMap<String, (&'a str, Node<'a>)>);

impl<'a> Folder<'a> {
    /// Adds a file, and the folders on the way to it.
    pub(crate) fn add(&mut self, path: &'a str, content: &'a [u8]) -> Result<(), PathError> {
        let (first, rest) = match path.split_once('/') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        if !name::is_allowed(first) {
            return Err(PathError::Name);
        }
        let key = first.to_ascii_uppercase();
        match rest {
            _ if self.0.len() == MAX_CHILDREN && !self.0.contains_key(&key) => Err(PathError::Full),
            None if self.0.contains_key(&key) => Err(PathError::Taken),
            None => {
                self.0.insert(key, (first, Node::File(content)));
                Ok(())
            }
            Some(rest) => match self.0.entry(key).or_insert((first, Node::Folder(Folder::default()))) {
                (shown, Node::Folder(folder)) if *shown == first => folder.add(rest, content),
                _ => Err(PathError::Taken),
            },
        }
    }

    /// Bytes of its entries on disk: as long as they are with any numbers and places in them.
    pub(crate) fn encoded_len(&self, place: Place<'_>) -> usize {
        self.encode(place, |_| (0, 0)).len()
    }

    /// Its entries on disk. `lookup` gives first cluster and length of each child, by its key.
    pub(crate) fn encode(&self, place: Place<'_>, lookup: impl Fn(&str) -> (u32, u32)) -> Vec<u8> {
        let mut bytes = Vec::new();
        match place {
            Place::Root { label } => bytes.extend(entry(label, VOLUME_ID, 0, 0)),
            Place::Below { own, parent } => {
                bytes.extend(entry(b".          ", DIRECTORY, own, 0));
                bytes.extend(entry(b"..         ", DIRECTORY, parent, 0));
            }
        }
        let mut taken: HashSet<[u8; 11]> =
            self.0.values().filter_map(|(shown, _)| name::as_short(shown)).collect();
        for (key, (shown, node)) in &self.0 {
            let short = name::as_short(shown).unwrap_or_else(|| {
                let mut number = 1;
                let mut short = name::generated(shown, number);
                while !taken.insert(short) {
                    number += 1;
                    short = name::generated(shown, number);
                }
                name::long_entries(shown, &short).iter().for_each(|entry| bytes.extend(entry));
                short
            });
            let (cluster, length) = lookup(key);
            let attributes = match node {
                Node::Folder(_) => DIRECTORY,
                Node::File(_) => ARCHIVE,
            };
            bytes.extend(entry(&short, attributes, cluster, length));
        }
        bytes
    }
}

/// Where a folder is, which decides its first entries.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// The root, which holds the volume label.
    Root { label: &'a [u8; 11] },
    /// Below another; `parent` is 0 below the root.
    Below { own: u32, parent: u32 },
}

/// One entry.
///
/// | offset | size | field |
/// |---|---|---|
/// | 0 | 11 | short name |
/// | 11 | 1 | attributes |
/// | 16, 18, 24 | 2, 2, 2 | dates of making, reading, writing; times of day stay zero |
/// | 20, 26 | 2, 2 | first cluster: high and low half |
/// | 28 | 4 | bytes of the file; 0 for folders |
fn entry(short: &[u8; 11], attributes: u8, cluster: u32, length: u32) -> [u8; ENTRY_LEN] {
    let mut entry = [0; ENTRY_LEN];
    entry[..11].copy_from_slice(short);
    entry[11] = attributes;
    for offset in [16, 18, 24] {
        entry[offset..][..2].copy_from_slice(&DATE.to_le_bytes());
    }
    entry[20..22].copy_from_slice(&((cluster >> 16) as u16).to_le_bytes());
    entry[26..28].copy_from_slice(&(cluster as u16).to_le_bytes());
    entry[28..].copy_from_slice(&length.to_le_bytes());
    entry
}
