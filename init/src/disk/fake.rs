//! A `/sys` and a `/dev` in a temporary folder, with disks that are image files.

use std::{
    fs::{self, File},
    path::PathBuf,
};

use coracle_gpt::{Guid, Lba, Number, SectorSize, Side, Table, apply};
use coracle_layout::partition::Partition;

use super::Devices;

pub(crate) const MIB: u64 = 1 << 20;
/// The GUID of every ESP made here.
pub(crate) const ESP: Guid = Guid::from_u128(0xe59);

pub(crate) struct Fake {
    sys: PathBuf,
    dev: PathBuf,
    // Removes everything when it goes.
    _folder: tempfile::TempDir,
}

impl Fake {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (sys, dev) = (folder.path().join("sys"), folder.path().join("dev"));
        fs::create_dir_all(sys.join("block")).unwrap();
        fs::create_dir_all(&dev).unwrap();
        Self { sys, dev, _folder: folder }
    }

    pub(crate) fn devices(&self) -> Devices<'_> {
        Devices { sys: &self.sys, dev: &self.dev }
    }

    /// The device node of a disk or partition.
    pub(crate) fn node(&self, name: &str) -> PathBuf {
        self.devices().node(name)
    }

    /// A disk with these partitions of 1 MiB each, in this order.
    pub(crate) fn disk(&self, name: &str, partitions: &[Partition]) {
        let entries: Vec<_> = partitions.iter().map(|which| (*which, *which)).collect();
        self.write(name, &entries);
    }

    /// A disk with one partition that has another one's type.
    pub(crate) fn retype(&self, name: &str, label: Partition, kind: Partition) {
        self.write(name, &[(label, kind)]);
    }

    fn write(&self, name: &str, entries: &[(Partition, Partition)]) {
        let bytes = (entries.len() as u64 + 2) * MIB;
        let partitions = entries.iter().zip(1u32..).map(|((label, kind), number)| coracle_gpt::Partition {
            number: Number::new(number).unwrap(),
            type_guid: kind.type_guid().parse().unwrap(),
            guid: if *kind == Partition::Esp { ESP } else { Guid::from_u128(number.into()) },
            first_lba: Lba(u64::from(number) * MIB / 512),
            last_lba: Lba(u64::from(number + 1) * MIB / 512 - 1),
            attributes: 0,
            label: label.label().parse().unwrap(),
        });
        let table = Table::new(Guid::from_u128(1), SectorSize::B512, bytes, partitions.collect()).unwrap();
        let node = self.node(name);
        fs::create_dir_all(node.parent().unwrap()).unwrap();
        let mut file = File::create(&node).unwrap();
        file.set_len(bytes).unwrap();
        apply(&table.steps(Side::Primary), &mut file, |_| Ok(())).unwrap();

        self.put(name, "device/vendor", "0x1af4\n");
        self.put(name, "size", &format!("{}\n", bytes / 512));
        self.put(name, "queue/logical_block_size", "512\n");
        let p = if name.ends_with(|c: char| c.is_ascii_digit()) { "p" } else { "" };
        for (number, _) in (1u64..).zip(entries) {
            let part = format!("{name}{p}{number}");
            self.put(name, &format!("{part}/partition"), &format!("{number}\n"));
            self.put(name, &format!("{part}/dev"), &format!("254:{number}\n"));
            self.put(name, &format!("{part}/start"), &format!("{}\n", number * MIB / 512));
            self.put(name, &format!("{part}/size"), &format!("{}\n", MIB / 512));
            File::create(self.node(&part)).unwrap().set_len(MIB).unwrap();
        }
    }

    /// Writes a file of a disk in sysfs.
    pub(crate) fn put(&self, disk: &str, file: &str, text: &str) {
        let path = self.sys.join("block").join(disk).join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn remove(&self, disk: &str, folder: &str) {
        fs::remove_dir_all(self.sys.join("block").join(disk).join(folder)).unwrap();
    }
}
