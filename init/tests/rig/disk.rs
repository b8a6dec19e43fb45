//! A small disk with the layout, in a temporary file.

use std::{
    fs::{File, OpenOptions},
    io::Cursor,
    os::unix::fs::FileExt,
    path::Path,
};

use coracle_erofs::{Label, Options};
use coracle_gpt::{Guid, Lba, Number, SectorSize, Side, Table, apply};
use coracle_layout::{
    RootHash, Slot, VERITY_SALT,
    boot_record::{BootRecord, COPY_LEN, COPY_STRIDE},
    partition::Partition,
};
use coracle_tree::{Content, Meta, Mode, Tree};
use coracle_verity::{DataBlocks, Salt, Superblock, build};
use tempfile::NamedTempFile;

const MIB: u64 = 1 << 20;
/// FAT32 has at least 65 525 clusters.
const ESP_MIB: u64 = 264;

/// What a file in each root is full of.
pub const DATA: &[u8] = b"sixteen bytes, or";

/// A root filesystem and its tree.
pub struct Root {
    pub image: Vec<u8>,
    pub tree: Vec<u8>,
    pub hash: RootHash,
}

impl Root {
    /// A root that is told from others by its release.
    pub fn new(release: &str) -> Self {
        let meta = || Meta::root(Mode::EXECUTABLE);
        let mut tree = Tree::new(meta());
        for folder in ["dev", "proc", "sys", "run"] {
            tree.dir(folder, meta()).unwrap();
        }
        tree.file("data", meta(), Content::Bytes(DATA.repeat(1000).into())).unwrap();
        tree.file("release", meta(), Content::Bytes(release.as_bytes().into())).unwrap();
        Self::of(&tree)
    }

    fn of(tree: &Tree) -> Self {
        let options = Options { uuid: [1; 16], build_time: 0, volume_label: Label::new("root").unwrap() };
        let mut image = Cursor::new(vec![]);
        coracle_erofs::write(tree, &options, &mut image).unwrap();
        let image = image.into_inner();
        let superblock = Superblock {
            uuid: [2; 16],
            data_blocks: DataBlocks::new(image.len() as u64 / 4096).unwrap(),
            salt: Salt::new(&VERITY_SALT).unwrap(),
        };
        let mut tree = Cursor::new(vec![]);
        let hash = build(&*image, &superblock, &mut tree).unwrap();
        Self { image, tree: tree.into_inner(), hash: RootHash::new(hash) }
    }
}

/// A disk.
pub struct Disk {
    file: NamedTempFile,
}

impl Disk {
    /// A disk with these roots in slots A and B, and nothing else but the partitions.
    pub fn new(slots: [Option<&Root>; 2]) -> Self {
        Self::with_esp_guid(slots, 0xe59)
    }

    /// The same, with this GUID for its ESP.
    pub fn with_esp_guid(slots: [Option<&Root>; 2], esp: u128) -> Self {
        let room = |root: Option<&Root>| root.map_or(1, |root| (root.image.len() as u64).div_ceil(MIB)) * MIB;
        let mut next = MIB;
        let partitions = Partition::ALL.map(|which| {
            let len = match which {
                Partition::Esp => ESP_MIB * MIB,
                Partition::Root(Slot::A) => room(slots[0]),
                Partition::Root(Slot::B) => room(slots[1]),
                _ => MIB,
            };
            let first = next;
            next += len;
            coracle_gpt::Partition {
                number: Number::new(which.number()).unwrap(),
                type_guid: which.type_guid().parse().unwrap(),
                guid: Guid::from_u128(if which == Partition::Esp { esp } else { which.number().into() }),
                first_lba: Lba(first / 512),
                last_lba: Lba(next / 512 - 1),
                attributes: 0,
                label: which.label().parse().unwrap(),
            }
        });
        let bytes = next + MIB;
        let table = Table::new(Guid::from_u128(1), SectorSize::B512, bytes, partitions.to_vec()).unwrap();
        let disk = Self { file: NamedTempFile::new().unwrap() };
        disk.open().set_len(bytes).unwrap();
        apply(&table.steps(Side::Primary), &mut disk.open(), |_| Ok(())).unwrap();
        for (slot, root) in Slot::BOTH.into_iter().zip(slots) {
            if let Some(root) = root {
                disk.put(Partition::Root(slot), 0, &root.image);
                disk.put(Partition::Verity(slot), 0, &root.tree);
            }
        }
        disk
    }

    pub fn path(&self) -> &Path {
        self.file.path()
    }

    fn open(&self) -> File {
        OpenOptions::new().read(true).write(true).open(self.path()).unwrap()
    }

    /// Where a partition is: offset and length.
    fn range(&self, which: Partition) -> (u64, u64) {
        let mut file = self.open();
        let len = file.metadata().unwrap().len();
        let (table, _) = Table::read(&mut file, len, SectorSize::B512).unwrap();
        let entry = table.partitions().iter().find(|entry| entry.label == which.label()).unwrap();
        (entry.first_lba.0 * 512, (entry.last_lba.0 + 1 - entry.first_lba.0) * 512)
    }

    /// Writes into a partition.
    pub fn put(&self, which: Partition, offset: u64, bytes: &[u8]) {
        let (start, len) = self.range(which);
        assert!(offset + bytes.len() as u64 <= len, "{which:?} is too small");
        self.open().write_all_at(bytes, start + offset).unwrap();
    }

    /// Flips one bit.
    pub fn flip(&self, which: Partition, offset: u64) {
        let (start, _) = self.range(which);
        let mut byte = [0];
        self.open().read_exact_at(&mut byte, start + offset).unwrap();
        self.put(which, offset, &[byte[0] ^ 1]);
    }

    /// The boot record.
    pub fn record(&self) -> BootRecord {
        let (start, _) = self.range(Partition::BootRecord);
        let copy = |offset| {
            let mut bytes = [0; COPY_LEN];
            self.open().read_exact_at(&mut bytes, start + offset).unwrap();
            bytes
        };
        BootRecord::choose(&copy(0), &copy(COPY_STRIDE))
    }

    /// Writes a boot record.
    pub fn put_record(&self, record: &mut BootRecord) {
        let write = record.next_write();
        self.put(Partition::BootRecord, write.offset, &write.bytes);
    }

    /// Fills the ESP.
    pub fn put_esp(&self, files: &[(&str, &[u8])]) {
        let volume = coracle_fat::Volume { len: ESP_MIB * MIB, id: 1, label: *b"ESP        ", files };
        let mut bytes = Cursor::new(vec![]);
        coracle_fat::write(&mut bytes, &volume).unwrap();
        self.put(Partition::Esp, 0, &bytes.into_inner());
    }

    /// The paths of the files on the ESP, sorted, each with its bytes. A volume with any fault is refused.
    pub fn esp(&self) -> Vec<(String, Vec<u8>)> {
        let (start, len) = self.range(Partition::Esp);
        let mut bytes = vec![0; len as usize];
        self.open().read_exact_at(&mut bytes, start).unwrap();
        let mut image = coracle_fat::read::Image::open(Cursor::new(bytes), len).unwrap();
        let listing = image.list(coracle_fat::read::Limits::default());
        assert!(listing.faults.is_empty(), "{:?}", listing.faults);
        let files = listing.entries.iter().filter(|entry| entry.kind != coracle_fat::read::Kind::Folder);
        let mut files: Vec<_> =
            files.map(|entry| (entry.path.clone(), image.content(entry, 64 << 20).unwrap())).collect();
        files.sort();
        files
    }
}
