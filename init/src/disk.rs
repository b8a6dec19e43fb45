//! The disk that this system lives on: whole disks from sysfs, their tables by the `gpt` crate, and which of the kernel's
//! devices is which partition of the layout.
//!
//! Read under `/sys/block` (the sysfs documents of the kernel, `ABI/stable/sysfs-block`):
//!
//! | file | says |
//! |---|---|
//! | `DISK/device` | a link; there for hardware, not for loop, ram and device-mapper devices |
//! | `DISK/hidden` | 1 for a path of a multipath disk, which has no device node |
//! | `DISK/size` | length in units of 512 bytes; 0 for a drive without a medium |
//! | `DISK/queue/logical_block_size` | the sector size, in bytes |
//! | `DISK/PART/partition` | the partition's number |
//! | `DISK/PART/start`, `DISK/PART/size` | where it is, in units of 512 bytes |
//! | `DISK/PART/dev` | its device number, `MAJOR:MINOR` |

mod error;
#[cfg(test)]
pub(crate) mod fake;

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use coracle_gpt::{Guid, SectorSize, Side, Table};
use coracle_layout::partition::Partition;

pub(crate) use error::Error;

/// The unit of sysfs, whatever the sectors of the disk.
const UNIT: u64 = 512;

/// Where the kernel shows its devices.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Devices<'a> {
    sys: &'a Path,
    dev: &'a Path,
}

impl Devices<'static> {
    /// `/sys` and `/dev`.
    pub(crate) fn real() -> Self {
        Self { sys: Path::new("/sys"), dev: Path::new("/dev") }
    }
}

impl Devices<'_> {
    /// The names of the disks that are hardware and have a medium, sorted.
    pub(crate) fn disks(&self) -> Result<Vec<String>, Error> {
        let block = self.sys.join("block");
        let mut names = vec![];
        for entry in fs::read_dir(&block).map_err(Error::read(&block))? {
            let entry = entry.map_err(Error::read(&block))?;
            let folder = entry.path();
            let hidden = fs::read_to_string(folder.join("hidden")).is_ok_and(|text| text.trim() == "1");
            let medium = number(&folder.join("size")).is_ok_and(|size| size > 0);
            if folder.join("device").exists() && !hidden && medium {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        names.sort();
        Ok(names)
    }

    /// Reads the table of the disk called `name` in sysfs. At most 33 KiB are read.
    pub(crate) fn disk(&self, name: &str) -> Result<Disk, Error> {
        let folder = self.sys.join("block").join(name);
        let bytes = number(&folder.join("size"))?.saturating_mul(UNIT);
        let sector = number(&folder.join("queue/logical_block_size"))?;
        let sector = SectorSize::from_bytes(sector)
            .ok_or_else(|| Error::SectorSize { disk: name.to_owned(), bytes: sector })?;
        let path = self.node(name);
        let mut file = File::open(&path).map_err(Error::read(&path))?;
        let (table, side) = Table::read(&mut file, bytes, sector)
            .map_err(|source| Error::Table { disk: name.to_owned(), source })?;
        Ok(Disk { name: name.to_owned(), path, table, side, devices: self.partitions(&folder)? })
    }

    /// The partitions of a disk that the kernel knows.
    fn partitions(&self, disk: &Path) -> Result<Vec<Device>, Error> {
        let mut devices = vec![];
        for entry in fs::read_dir(disk).map_err(Error::read(disk))? {
            let entry = entry.map_err(Error::read(disk))?;
            let folder = entry.path();
            let Ok(partition) = number(&folder.join("partition")) else { continue };
            let Ok(name) = entry.file_name().into_string() else { continue };
            let dev = folder.join("dev");
            devices.push(Device {
                path: self.node(&name),
                numbers: fs::read_to_string(&dev).map_err(Error::read(&dev))?.trim().to_owned(),
                partition,
                start: number(&folder.join("start"))?.saturating_mul(UNIT),
                bytes: number(&folder.join("size"))?.saturating_mul(UNIT),
            });
        }
        Ok(devices)
    }

    /// sysfs writes `!` where a device's name has a slash.
    fn node(&self, name: &str) -> PathBuf {
        self.dev.join(name.replace('!', "/"))
    }
}

/// A disk with a partition table.
#[derive(Debug)]
pub(crate) struct Disk {
    /// As sysfs calls it.
    pub(crate) name: String,
    /// Its device node.
    pub(crate) path: PathBuf,
    /// Its table.
    pub(crate) table: Table,
    /// Which copy of the table was whole.
    pub(crate) side: Side,
    devices: Vec<Device>,
}

/// A partition as the kernel shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Device {
    /// Its device node.
    pub(crate) path: PathBuf,
    /// `MAJOR:MINOR`.
    pub(crate) numbers: String,
    /// Its length.
    pub(crate) bytes: u64,
    partition: u64,
    start: u64,
}

impl Disk {
    /// The device of a partition of the layout: the one that has its label and its type.
    ///
    /// A label that is there twice is no answer, and neither is a device that lies elsewhere than the table says.
    pub(crate) fn partition(&self, which: Partition) -> Result<&Device, Error> {
        let label = which.label();
        let entry =
            entry(&self.table, which).ok_or_else(|| Error::NoPartition { disk: self.name.clone(), label })?;
        let sector = self.table.sector_size();
        let start = entry.first_lba.offset(sector);
        let bytes = entry.last_lba.offset(sector).saturating_sub(start).saturating_add(sector.bytes());
        self.devices
            .iter()
            .find(|device| {
                (device.partition, device.start, device.bytes) == (entry.number.get().into(), start, bytes)
            })
            .ok_or_else(|| Error::NotShown { disk: self.name.clone(), label })
    }

    /// Whether one of its EFI system partitions is the one with this GUID.
    pub(crate) fn has_esp(&self, guid: Guid) -> bool {
        self.table.partitions().iter().any(|entry| entry.guid == guid && is_type(entry, Partition::Esp))
    }
}

/// The one entry with the label and the type of `which`.
fn entry(table: &Table, which: Partition) -> Option<&coracle_gpt::Partition> {
    let mut named = table.partitions().iter().filter(|entry| entry.label == which.label());
    let entry = named.next().filter(|entry| is_type(entry, which))?;
    named.next().is_none().then_some(entry)
}

fn is_type(entry: &coracle_gpt::Partition, which: Partition) -> bool {
    which.type_guid().parse() == Ok(entry.type_guid)
}

/// A number from a file of one line.
fn number(path: &Path) -> Result<u64, Error> {
    let text = fs::read_to_string(path).map_err(Error::read(path))?;
    let parsed = text.trim().parse();
    parsed.map_err(|cause| Error::read(path)(io::Error::new(io::ErrorKind::InvalidData, cause)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use coracle_layout::Slot;
    use fake::{ESP, Fake, MIB};

    #[test]
    fn only_hardware_with_a_medium_is_a_disk() {
        let fake = Fake::new();
        fake.disk("vdb", &[]);
        fake.disk("nvme0n1", &[]);
        for (name, file, text) in [("nvme0c0n1", "hidden", "1\n"), ("sr0", "size", "0\n")] {
            fake.disk(name, &[]);
            fake.put(name, file, text);
        }
        fake.disk("loop0", &[]);
        fake.remove("loop0", "device");
        assert_eq!(fake.devices().disks().unwrap(), ["nvme0n1", "vdb"]);
    }

    #[test]
    fn partitions_are_found_by_label_and_type() {
        let fake = Fake::new();
        fake.disk("cciss!c0d0", &Partition::ALL);
        let disk = fake.devices().disk("cciss!c0d0").unwrap();
        assert!(disk.path.ends_with("dev/cciss/c0d0") && disk.side == Side::Primary);
        for which in Partition::ALL {
            let device = disk.partition(which).unwrap();
            assert_eq!((device.partition, device.bytes), (which.number().into(), MIB), "{which:?}");
            assert_eq!(device.numbers, format!("254:{}", which.number()));
            assert!(device.path.to_string_lossy().ends_with(&format!("dev/cciss/c0d0p{}", which.number())));
        }
        assert!(disk.has_esp(ESP) && !disk.has_esp(Guid::ZERO));
    }

    #[test]
    fn what_is_not_plainly_there_is_not_there() {
        let root = Partition::Root(Slot::A);
        let fake = Fake::new();
        fake.disk("vda", &[Partition::Esp]);
        let disk = fake.devices().disk("vda").unwrap();
        assert!(matches!(disk.partition(root), Err(Error::NoPartition { label: "root-a", .. })));

        fake.disk("vdb", &[root, root]);
        let disk = fake.devices().disk("vdb").unwrap();
        assert!(matches!(disk.partition(root), Err(Error::NoPartition { .. })), "the label is there twice");

        fake.disk("vdc", &[root]);
        fake.put("vdc", "vdc1/start", "7\n");
        let disk = fake.devices().disk("vdc").unwrap();
        assert!(matches!(disk.partition(root), Err(Error::NotShown { .. })), "the kernel has an older table");

        fake.retype("vdd", root, Partition::State);
        let disk = fake.devices().disk("vdd").unwrap();
        assert!(matches!(disk.partition(root), Err(Error::NoPartition { .. })), "another type");
        assert!(!disk.has_esp(ESP));
    }

    #[test]
    fn disks_without_a_table_are_named() {
        let fake = Fake::new();
        fake.disk("vda", &[]);
        fs::write(fake.node("vda"), vec![0; MIB as usize]).unwrap();
        assert!(matches!(fake.devices().disk("vda"), Err(Error::Table { disk, .. }) if disk == "vda"));
        fake.put("vda", "queue/logical_block_size", "2048\n");
        assert!(matches!(fake.devices().disk("vda"), Err(Error::SectorSize { bytes: 2048, .. })));
        fake.put("vda", "size", "many\n");
        assert!(matches!(fake.devices().disk("vda"), Err(Error::Read { .. })));
        assert!(matches!(fake.devices().disk("vdb"), Err(Error::Read { .. })));
    }
}
