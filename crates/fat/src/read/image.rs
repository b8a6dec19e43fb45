//! Walking a volume: chains of clusters, folders, files.

use std::io::{Read, Seek, SeekFrom};

use super::boot_sector::BootSector;
use super::folder::{self, Found};
use super::{Entry, Error, Kind, Limits, Listing};
use crate::geometry::SECTOR_LEN;

/// Entries from here on end a chain.
const END_OF_CHAIN: u32 = 0x0fff_fff8;
/// The top four bits of an entry belong to no number.
const MASK: u32 = 0x0fff_ffff;
/// Bytes of the longest folder: 65 536 entries.
const MAX_FOLDER: u64 = 65_536 * 32;
/// Bytes of the longest table taken into memory, of a volume of 64 GiB with clusters of 4 KiB.
const MAX_TABLE: u64 = 64 << 20;
/// Where Linux marks a volume as in use, in the first boot sector only.
const STATE: usize = 65;

/// A volume whose boot sector was found good.
#[derive(Debug)]
pub struct Image<R> {
    input: R,
    boot: BootSector,
    sector: [u8; SECTOR_LEN as usize],
    table: Vec<u8>,
}

/// A folder that is still to be read.
struct Pending {
    path: String,
    depth: usize,
    cluster: u32,
    parent: u32,
}

/// What is wrong with the clusters of something.
enum Fault {
    Chain(&'static str),
    Shared,
}

impl Fault {
    fn of(self, path: String) -> Error {
        match self {
            Self::Chain(what) => Error::Chain { path, what },
            Self::Shared => Error::Shared { path },
        }
    }
}

/// Clusters that have been met.
struct Seen(Vec<u64>);

impl Seen {
    /// Notes a cluster; false if it was met before.
    fn insert(&mut self, cluster: u32) -> bool {
        let (word, bit) = (cluster as usize / 64, 1 << (cluster % 64));
        self.0.get_mut(word).is_some_and(|word| {
            let is_new = *word & bit == 0;
            *word |= bit;
            is_new
        })
    }
}

impl<R: Read + Seek> Image<R> {
    /// Reads the boot sector and the first table of a volume of `len` bytes at the input's beginning.
    ///
    /// # Errors
    /// There is no FAT32 volume, or more than 64 MiB of table.
    pub fn open(mut input: R, len: u64) -> Result<Self, Error> {
        let mut sector = [0; SECTOR_LEN as usize];
        read_at(&mut input, 0, &mut sector)?;
        let boot = BootSector::parse(&sector, len).map_err(|what| Error::BootSector { what })?;
        if boot.table_len() > MAX_TABLE {
            return Err(Error::BootSector { what: "its table is longer than 64 MiB" });
        }
        let mut table = vec![0; boot.table_len() as usize];
        for offset in boot.tables().take(1) {
            read_at(&mut input, offset, &mut table)?;
        }
        Ok(Self { input, boot, sector, table })
    }

    /// Lists everything, after comparing what is there twice: boot sectors and tables.
    pub fn list(&mut self, limits: Limits) -> Listing {
        let mut listing = Listing::default();
        if let Err(error) = self.compare_copies(&mut listing.faults) {
            listing.faults.push(error);
        }
        let mut seen = Seen(vec![0; self.boot.clusters as usize / 64 + 1]);
        let root = Pending { path: String::new(), depth: 0, cluster: self.boot.root, parent: 0 };
        let mut pending = vec![root];
        while let Some(folder) = pending.pop() {
            let mut below = self.folder(&folder, limits, &mut seen, &mut listing);
            below.reverse();
            pending.append(&mut below);
        }
        listing
    }

    /// The bytes of a file, if they are not more than `max`; those of a folder are its entries.
    ///
    /// # Errors
    /// Reading fails, or there are more.
    pub fn content(&mut self, entry: &Entry, max: u64) -> Result<Vec<u8>, Error> {
        let cluster_len = self.boot.cluster_len();
        let held = entry.clusters.len() as u64 * cluster_len;
        let len = match entry.kind {
            Kind::Folder => held,
            Kind::File { len } => u64::from(len).min(held),
        };
        if len > max {
            return Err(Error::Limit { path: entry.path.clone(), what: "longer than is read" });
        }
        let mut bytes = vec![0; len as usize];
        for (cluster, piece) in entry.clusters.iter().zip(bytes.chunks_mut(cluster_len as usize)) {
            read_at(&mut self.input, self.boot.offset(*cluster), piece)?;
        }
        Ok(bytes)
    }

    fn compare_copies(&mut self, faults: &mut Vec<Error>) -> Result<(), Error> {
        if let Some(backup) = self.boot.backup {
            let offset = backup * SECTOR_LEN;
            let mut copy = [0; SECTOR_LEN as usize];
            read_at(&mut self.input, offset, &mut copy)?;
            copy[STATE] = self.sector[STATE];
            if copy != self.sector {
                faults.push(Error::BackupBootSector { offset });
            }
        }
        let mut tables = self.boot.tables();
        let first = tables.next().unwrap_or_default();
        if self.table.first() != Some(&self.boot.media) {
            faults.push(Error::Table { offset: first, what: "it does not begin with the media byte" });
        }
        for offset in tables {
            let mut copy = vec![0; self.table.len()];
            read_at(&mut self.input, offset, &mut copy)?;
            if let Some(at) = copy.iter().zip(&self.table).position(|(copy, own)| copy != own) {
                let offset = first + at as u64;
                faults.push(Error::Table { offset, what: "the second differs from the first" });
            }
        }
        Ok(())
    }

    /// Lists one folder; gives the folders in it.
    fn folder(
        &mut self,
        folder: &Pending,
        limits: Limits,
        seen: &mut Seen,
        listing: &mut Listing,
    ) -> Vec<Pending> {
        let (clusters, fault) = self.chain(folder.cluster, seen);
        let path = || folder.path.clone();
        listing.faults.extend(fault.map(|fault| fault.of(path())));
        let mut own = Entry { path: path(), kind: Kind::Folder, clusters };
        let longest = (MAX_FOLDER / self.boot.cluster_len()) as usize;
        if own.clusters.len() > longest {
            listing.faults.push(Error::Limit { path: path(), what: "longer than a folder can be" });
            own.clusters.truncate(longest);
        }
        let mut found = match self.content(&own, MAX_FOLDER) {
            Ok(bytes) => {
                let decoded = folder::decode(&bytes);
                let named = decoded.faults.into_iter().map(|what| Error::Folder { path: path(), what });
                listing.faults.extend(named);
                decoded.found
            }
            Err(error) => {
                listing.faults.push(error);
                return Vec::new();
            }
        };
        if folder.depth > 0 {
            listing.entries.push(own);
            found = below_dots(found, folder, &mut listing.faults);
        }
        let mut folders = Vec::new();
        for found in found {
            let slash = if folder.path.is_empty() { "" } else { "/" };
            let path = format!("{}{slash}{}", folder.path, found.name);
            let full = listing.entries.len() + folders.len() >= limits.entries;
            if full || (found.is_folder && folder.depth >= limits.depth) {
                let what = if full { "too many files and folders" } else { "too many folders on the way" };
                listing.faults.push(Error::Limit { path, what });
                if full {
                    break;
                }
            } else if found.is_folder {
                let (cluster, parent) = (found.cluster, own_number(folder));
                folders.push(Pending { path, depth: folder.depth + 1, cluster, parent });
            } else {
                self.file(path, &found, seen, listing);
            }
        }
        folders
    }

    fn file(&self, path: String, found: &Found, seen: &mut Seen, listing: &mut Listing) {
        let (clusters, fault) = match found.cluster {
            0 => (Vec::new(), None),
            first => self.chain(first, seen),
        };
        let wanted = u64::from(found.len).div_ceil(self.boot.cluster_len());
        let length = Fault::Chain("its length is not that of its clusters");
        let length = (clusters.len() as u64 != wanted).then_some(length);
        listing.faults.extend(fault.or(length).map(|fault| fault.of(path.clone())));
        listing.entries.push(Entry { path, kind: Kind::File { len: found.len }, clusters });
    }

    /// The clusters from `first` on, up to the end or to what is wrong.
    fn chain(&self, first: u32, seen: &mut Seen) -> (Vec<u32>, Option<Fault>) {
        let mut clusters = Vec::new();
        let mut next = first;
        loop {
            if !self.boot.has(next) {
                return (clusters, Some(Fault::Chain("its chain of clusters leaves the volume")));
            }
            if !seen.insert(next) {
                return (clusters, Some(Fault::Shared));
            }
            clusters.push(next);
            next = self.entry(next);
            if next >= END_OF_CHAIN {
                return (clusters, None);
            }
        }
    }

    fn entry(&self, cluster: u32) -> u32 {
        let entry = self.table.as_chunks::<4>().0.get(cluster as usize);
        entry.map_or(0, |bytes| u32::from_le_bytes(*bytes) & MASK)
    }
}

/// The number by which a folder is its children's parent: 0 for the root.
fn own_number(folder: &Pending) -> u32 {
    if folder.depth == 0 { 0 } else { folder.cluster }
}

/// Takes off the two entries that every folder but the root begins with.
fn below_dots(found: Vec<Found>, folder: &Pending, faults: &mut Vec<Error>) -> Vec<Found> {
    let is = |at: usize, name: &str, cluster: u32| {
        found.get(at).is_some_and(|dot| dot.name == name && dot.is_folder && dot.cluster == cluster)
    };
    if !is(0, ".", folder.cluster) || !is(1, "..", folder.parent) {
        let what = "its '.' or '..' is missing or points elsewhere";
        faults.push(Error::Folder { path: folder.path.clone(), what });
    }
    found.into_iter().filter(|found| found.name != "." && found.name != "..").collect()
}

fn read_at(input: &mut (impl Read + Seek), offset: u64, into: &mut [u8]) -> Result<(), Error> {
    let read = input.seek(SeekFrom::Start(offset)).and_then(|_| input.read_exact(into));
    read.map_err(|source| Error::Read { offset, source })
}
