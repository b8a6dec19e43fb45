//! A whole volume: what is given, where it goes, and the writing of it.

use std::{
    collections::BTreeMap,
    io::{self, Seek, SeekFrom, Write},
};

use crate::{
    folder::{Folder, Node, PathError, Place},
    geometry::{CLUSTER_LEN, Geometry, MAX_LEN, MIN_LEN, SECTOR_LEN},
};

const END_OF_CHAIN: u32 = 0x0fff_ffff;
const ROOT_CLUSTER: u32 = 2;

/// What is to be written.
#[derive(Debug, Clone)]
pub struct Volume<'a> {
    /// Bytes of the volume: a partition's.
    pub len: u64,
    /// Volume identifier.
    pub id: u32,
    /// Volume label, padded with spaces.
    pub label: [u8; 11],
    /// Files by path, with `/` between the names; folders appear as they are needed.
    pub files: &'a [(&'a str, &'a [u8])],
}

/// Why a volume could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Too small or too large for FAT32.
    #[error("a FAT32 volume takes {MIN_LEN} to {MAX_LEN} bytes, this one has {len}")]
    Len {
        /// Bytes of the volume.
        len: u64,
    },
    /// A path that the volume cannot have.
    #[error("{path} cannot be on a FAT volume")]
    Path {
        /// The refused path.
        path: String,
        /// What is wrong with it.
        source: PathError,
    },
    /// A file of 4 GiB or more.
    #[error("{path} is larger than a file on FAT can be, 4 GiB")]
    LargeFile {
        /// Path on the volume.
        path: String,
    },
    /// More content than clusters.
    #[error("the files take {needed} clusters of {CLUSTER_LEN} bytes, the volume has {available}")]
    Full {
        /// Clusters that the files and folders take.
        needed: u64,
        /// Clusters that there are.
        available: u32,
    },
    /// The output failed.
    #[error("could not write the FAT volume")]
    Write(#[from] io::Error),
}

/// Writes the volume to the start of `out`. What is not written, free clusters above all, must read as zeros.
pub fn write(out: &mut (impl Write + Seek), volume: &Volume<'_>) -> Result<(), Error> {
    if !(MIN_LEN..=MAX_LEN).contains(&volume.len) {
        return Err(Error::Len { len: volume.len });
    }
    let geometry = Geometry::of(volume.len);
    let root = tree_of(volume.files)?;
    let mut runs =
        Runs { clusters: vec![], next: ROOT_CLUSTER, available: geometry.clusters, extents: vec![] };
    runs.folder(&root, Place::Root { label: &volume.label })?;

    let boot_sector = geometry.boot_sector(volume.id, &volume.label);
    let fs_info = geometry.fs_info(runs.next);
    for (sector, bytes) in [(0, &boot_sector), (1, &fs_info), (6, &boot_sector), (7, &fs_info)] {
        put(out, sector * SECTOR_LEN, bytes)?;
    }
    // The first two entries are no clusters: media byte, and "closed in order, without errors".
    let head = [0x0fff_fff8, END_OF_CHAIN];
    let table: Vec<u8> = head.iter().chain(&runs.clusters).flat_map(|entry| entry.to_le_bytes()).collect();
    for offset in geometry.fat_offsets() {
        put(out, offset, &table)?;
    }
    for (cluster, extent) in &runs.extents {
        put(out, geometry.cluster_offset(*cluster), extent.bytes())?;
    }
    Ok(())
}

fn put(out: &mut (impl Write + Seek), offset: u64, bytes: &[u8]) -> io::Result<()> {
    out.seek(SeekFrom::Start(offset))?;
    out.write_all(bytes)
}

fn tree_of<'a>(files: &'a [(&'a str, &'a [u8])]) -> Result<Folder<'a>, Error> {
    let mut root = Folder::default();
    for (path, content) in files {
        if u32::try_from(content.len()).is_err() {
            return Err(Error::LargeFile { path: (*path).to_owned() });
        }
        root.add(path, content).map_err(|source| Error::Path { path: (*path).to_owned(), source })?;
    }
    Ok(root)
}

/// What stands in a run of clusters.
enum Extent<'a> {
    Folder(Vec<u8>),
    File(&'a [u8]),
}

impl Extent<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Folder(entries) => entries,
            Self::File(content) => content,
        }
    }
}

/// Hands out clusters, one run after the other.
struct Runs<'a> {
    /// The file allocation table from cluster 2 on.
    clusters: Vec<u32>,
    next: u32,
    available: u32,
    extents: Vec<(u32, Extent<'a>)>,
}

impl<'a> Runs<'a> {
    /// A run for `len` bytes; 0, which stands for none, when there are none.
    fn allocate(&mut self, len: usize) -> Result<u32, Error> {
        let count = (len as u64).div_ceil(CLUSTER_LEN);
        let needed = self.clusters.len() as u64 + count;
        if needed > u64::from(self.available) {
            return Err(Error::Full { needed, available: self.available });
        }
        if count == 0 {
            return Ok(0);
        }
        let first = self.next;
        self.next += count as u32;
        self.clusters.extend(first + 1..self.next);
        self.clusters.push(END_OF_CHAIN);
        Ok(first)
    }

    /// Places a folder and all that is below it; gives the folder's first cluster.
    fn folder(&mut self, folder: &Folder<'a>, place: Place<'_>) -> Result<u32, Error> {
        let own = self.allocate(folder.encoded_len(place))?;
        let parent = if matches!(place, Place::Root { .. }) { 0 } else { own };
        let mut places = BTreeMap::new();
        for (key, (_, node)) in &folder.0 {
            let found = match node {
                Node::Folder(child) => (self.folder(child, Place::Below { own: 0, parent })?, 0),
                Node::File(content) => {
                    let cluster = self.allocate(content.len())?;
                    if cluster != 0 {
                        self.extents.push((cluster, Extent::File(content)));
                    }
                    (cluster, content.len() as u32)
                }
            };
            places.insert(key.as_str(), found);
        }
        let place = match place {
            Place::Below { parent, .. } => Place::Below { own, parent },
            root => root,
        };
        let entries = folder.encode(place, |key| places.get(key).copied().unwrap_or_default());
        self.extents.push((own, Extent::Folder(entries)));
        Ok(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs::File, path::Path, process::Command};

    type Files<'a> = &'a [(&'a str, &'a [u8])];

    const LEN: u64 = 512 * 1024 * 1024;

    fn make(path: &Path, len: u64, files: &[(&str, &[u8])]) -> Result<(), Error> {
        let mut file = File::create(path).unwrap();
        file.set_len(len).unwrap();
        write(&mut file, &Volume { len, id: 0x00c0_ac1e, label: *b"ESP        ", files })
    }

    fn stdout_of(command: &mut Command) -> Vec<u8> {
        let output = command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{command:?}: {said} {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    #[test]
    fn stock_tools_find_no_fault_and_read_what_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("esp");
        let uki: Vec<u8> = (0..3_000_001u32).map(|i| (i * 7 + i / 4096) as u8).collect();
        let names: Vec<String> = (0..400).map(|i| format!("many/coracle_1.0.{i}+3-0.efi")).collect();
        let mut files: Vec<(&str, &[u8])> = vec![
            ("EFI/BOOT/BOOTX64.EFI", &uki[..100_001]),
            ("EFI/systemd/systemd-bootx64.efi", &uki[..4096]),
            ("EFI/Linux/coracle_1.2.3+3-0.efi", &uki),
            ("EFI/Linux/CORACL~1.EFI", b"has the short name that would be generated"),
            ("loader/loader.conf", b"timeout 0\n"),
            ("empty", b""),
        ];
        files.extend(names.iter().map(|name| (name.as_str(), name.as_bytes())));
        make(&image, LEN, &files).unwrap();
        stdout_of(Command::new("fsck.vfat").arg("-nv").arg(&image));
        let out = folder.path().join("out");
        std::fs::create_dir(&out).unwrap();
        stdout_of(Command::new("mcopy").args(["-s", "-i"]).arg(&image).arg("::/").arg(&out));
        for (path, content) in &files {
            assert!(std::fs::read(out.join(path)).unwrap() == *content, "{path}");
        }
    }

    #[test]
    fn the_same_files_give_the_same_bytes_in_any_order() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["one", "two"].map(|name| folder.path().join(name));
        let mut files: Vec<(&str, &[u8])> = vec![("a/b", b"1"), ("a/c", b"2"), ("d", b"3")];
        for path in &paths {
            make(path, MIN_LEN, &files).unwrap();
            files.reverse();
        }
        stdout_of(Command::new("cmp").args(&paths));
        stdout_of(Command::new("fsck.vfat").arg("-n").arg(&paths[0]));
    }

    #[test]
    fn what_does_not_fit_is_said_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("esp");
        assert!(matches!(make(&image, MIN_LEN - 1, &[]), Err(Error::Len { .. })));
        let large = vec![0; MIN_LEN as usize];
        assert!(matches!(make(&image, MIN_LEN, &[("a", &large)]), Err(Error::Full { .. })));
        let cases: [(Files<'_>, &str, PathError); 5] = [
            (&[("a", b""), ("A", b"")], "A", PathError::Taken),
            (&[("a", b""), ("a/b", b"")], "a/b", PathError::Taken),
            (&[("a/b", b""), ("a", b"")], "a", PathError::Taken),
            (&[("a/../b", b"")], "a/../b", PathError::Name),
            (&[("/a", b"")], "/a", PathError::Name),
        ];
        for (files, refused, why) in cases {
            let error = make(&image, MIN_LEN, files).unwrap_err();
            assert!(
                matches!(&error, Error::Path { path, source } if path == refused && *source == why),
                "{error:?}"
            );
        }
    }
}
