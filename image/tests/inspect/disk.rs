//! A whole disk, small, with everything on it that an inspection looks at.

use std::fs::{File, OpenOptions};
use std::io::{Cursor, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use coracle_fat::Volume;
use coracle_gpt::{Guid, Lba, Number, SectorSize, Side, Table};
use coracle_layout::partition::Partition;
use coracle_layout::{Slot, VERITY_SALT};
use coracle_tree::{Content, Meta, Mode, Tree};
use coracle_uki::{Sections, Stub, assemble};
use coracle_verity::{DataBlocks, Salt, Superblock};
use tempfile::TempDir;

const MIB: u64 = 1 << 20;
const EFI: &str = "/usr/lib/systemd/boot/efi";
pub const ENTRY: &str = "EFI/Linux/coracle_1.2.3+3-0.efi";

/// A disk in a folder of its own, and where things are in it.
pub struct Disk {
    folder: TempDir,
    pub uki: Vec<u8>,
    pub root_hash: String,
    /// Blocks of the root filesystem.
    pub blocks: u64,
}

/// Length and place of each partition, in MiB.
fn places() -> Vec<(Partition, u64, u64)> {
    let mut start = 1;
    let place = |partition| {
        let len = match partition {
            Partition::Esp => coracle_fat::MIN_LEN.div_ceil(MIB),
            Partition::Root(_) => 8,
            Partition::Verity(_) | Partition::BootRecord => 1,
            Partition::State => 16,
        };
        start += len;
        (partition, start - len, len)
    };
    Partition::ALL.into_iter().map(place).collect()
}

/// First byte of a partition.
pub fn start(wanted: Partition) -> u64 {
    places().into_iter().find(|(partition, ..)| *partition == wanted).unwrap().1 * MIB
}

fn table(len: u64) -> Table {
    let partitions = places().into_iter().map(|(partition, start, len)| coracle_gpt::Partition {
        number: Number::new(partition.number()).unwrap(),
        type_guid: partition.type_guid().parse().unwrap(),
        guid: Guid::from_u128(0x1000 + u128::from(partition.number())),
        first_lba: Lba(start * MIB / 512),
        last_lba: Lba((start + len) * MIB / 512 - 1),
        attributes: 0,
        label: partition.label().parse().unwrap(),
    });
    Table::new(Guid::from_u128(0xd15c), SectorSize::B512, len, partitions.collect()).unwrap()
}

fn root() -> Vec<u8> {
    let (dir, file) = (Meta::root(Mode::EXECUTABLE), Meta::root(Mode::EXECUTABLE));
    let mut tree = Tree::new(dir.clone());
    tree.dir_all("sbin", &dir).unwrap();
    // Enough for a tree of two levels.
    let init: Vec<u8> = (0..700_000u32).map(|n| (n / 5) as u8).collect();
    tree.file("sbin/init", file, Content::from(init)).unwrap();
    let volume_label = coracle_erofs::Label::new("root").unwrap();
    let options = coracle_erofs::Options { uuid: [3; 16], build_time: 0, volume_label };
    let mut out = Cursor::new(Vec::new());
    coracle_erofs::write(&tree, &options, &mut out).unwrap();
    out.into_inner()
}

/// The smallest file that passes for a kernel: header, version, CRC-32.
fn kernel() -> Vec<u8> {
    let mut image = vec![0x5a; 8192];
    image[0x1f1] = 3;
    image[0x1f4..0x1f8].copy_from_slice(&((8192 - 2048) / 16u32).to_le_bytes());
    image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x20e..0x210].copy_from_slice(&0x100u16.to_le_bytes());
    image[0x300..0x30f].copy_from_slice(b"6.12.1 (test)\0\0");
    let crc = !crc32fast::hash(&image[..8188]);
    image[8188..].copy_from_slice(&crc.to_le_bytes());
    image
}

fn initrd() -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3).unwrap();
    encoder.include_checksum(true).unwrap();
    encoder.write_all(b"070701 and what else an archive has").unwrap();
    encoder.finish().unwrap()
}

impl Disk {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("disk.raw")).unwrap();
        let last = places().pop().unwrap();
        let len = (last.1 + last.2 + 1) * MIB;
        file.set_len(len).unwrap();
        let steps = table(len).steps(Side::Primary);
        coracle_gpt::apply(&steps, &mut (&file), |_| Ok(())).unwrap();

        let data = root();
        let blocks = data.len() as u64 / 4096;
        let superblock = Superblock {
            uuid: [4; 16],
            data_blocks: DataBlocks::new(blocks).unwrap(),
            salt: Salt::new(&VERITY_SALT).unwrap(),
        };
        let mut hashes = Cursor::new(Vec::new());
        let hash = coracle_verity::build(&*data, &superblock, &mut hashes).unwrap();
        let root_hash = coracle_layout::RootHash::new(hash).to_string();
        file.write_all_at(&data, start(Partition::Root(Slot::A))).unwrap();
        file.write_all_at(hashes.get_ref(), start(Partition::Verity(Slot::A))).unwrap();

        let uki = uki(&root_hash);
        write_esp(&file, &uki);
        let disk = Self { folder, uki, root_hash, blocks };
        disk.make_state();
        disk
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk.raw")
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn open(&self) -> File {
        OpenOptions::new().read(true).write(true).open(self.path()).unwrap()
    }

    /// Turns a bit of a byte around.
    pub fn flip(&self, at: u64) {
        let (file, mut byte) = (self.open(), [0]);
        file.read_exact_at(&mut byte, at).unwrap();
        file.write_all_at(&[byte[0] ^ 0x04], at).unwrap();
    }

    /// Lets two different words of 16 bits change places.
    pub fn exchange(&self, at: [u64; 2]) {
        let file = self.open();
        let words = at.map(|at| {
            let mut word = [0; 2];
            file.read_exact_at(&mut word, at).unwrap();
            word
        });
        assert_ne!(words[0], words[1]);
        file.write_all_at(&words[1], at[0]).unwrap();
        file.write_all_at(&words[0], at[1]).unwrap();
    }

    /// Where the UKI's bytes are: this crate's writer puts a file into one run.
    pub fn uki_at(&self) -> u64 {
        let esp = start(Partition::Esp);
        let mut clusters = vec![0; 4 << 20];
        self.open().read_exact_at(&mut clusters, esp).unwrap();
        let head = &self.uki[..4096];
        let found = clusters.chunks(512).position(|sector| *sector == head[..512]).unwrap();
        esp + found as u64 * 512
    }

    /// Where a section's bytes are on the disk.
    pub fn section_at(&self, name: &str) -> u64 {
        let uki = coracle_uki::Uki::parse(&self.uki).unwrap();
        let data = uki.section(name).unwrap();
        self.uki_at() + (data.as_ptr() as usize - self.uki.as_ptr() as usize) as u64
    }

    fn make_state(&self) {
        let (start, len) = (start(Partition::State), 16 * MIB);
        let mut mke2fs = Command::new("mke2fs");
        mke2fs.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").args(["-q", "-F", "-t", "ext4"]);
        mke2fs.args(["-O", "verity,quota,project,metadata_csum", "-L", "state"]);
        mke2fs
            .arg("-E")
            .arg(format!("offset={start},nodiscard"))
            .arg(self.path())
            .arg(format!("{}k", len / 1024));
        assert!(mke2fs.status().unwrap().success());
    }
}

fn uki(root_hash: &str) -> Vec<u8> {
    let stub = std::fs::read(format!("{EFI}/linuxx64.efi.stub")).unwrap();
    let cmdline = format!("roothash={root_hash} console=ttyS0 panic=-1");
    let (linux, initrd) = (kernel(), initrd());
    let sections = Sections {
        osrel: b"ID=coracle\nIMAGE_VERSION=1.2.3\n",
        cmdline: cmdline.as_bytes(),
        uname: b"6.12.1",
        sbat: Some(b"sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n"),
        linux: &linux,
        initrd: Some(&initrd),
    };
    assemble(&Stub::parse(&stub).unwrap(), &sections).unwrap()
}

fn write_esp(file: &File, uki: &[u8]) {
    let loader = std::fs::read(format!("{EFI}/systemd-bootx64.efi")).unwrap();
    let files: [(&str, &[u8]); 4] = [
        ("EFI/BOOT/BOOTX64.EFI", &loader),
        ("EFI/systemd/systemd-bootx64.efi", &loader),
        (ENTRY, uki),
        ("loader/loader.conf", b"timeout 0\n"),
    ];
    let len = coracle_fat::MIN_LEN.next_multiple_of(MIB);
    let mut volume = tempfile::tempfile().unwrap();
    coracle_fat::write(&mut volume, &Volume { len, id: 1, label: *b"ESP        ", files: &files }).unwrap();
    let mut bytes = vec![0; volume.metadata().unwrap().len() as usize];
    volume.read_exact_at(&mut bytes, 0).unwrap();
    file.write_all_at(&bytes, start(Partition::Esp)).unwrap();
}
