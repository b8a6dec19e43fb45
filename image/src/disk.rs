//! The raw disk: a sparse file with the partitions of the layout, in its order.
//!
//! | from | what |
//! |---|---|
//! | 0 | protective MBR, partition table |
//! | 1 MiB | the partitions of [`coracle_layout::partition`], each a whole number of MiB |
//! | last MiB | backup table |
//!
//! Slot B and the boot record are holes: they read as zeros, which nobody takes for a root or a record.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use coracle_gpt::{Guid, Label, Lba, Number, SectorSize, Table, apply};
use coracle_layout::Slot;
use coracle_layout::partition::Partition;
use coracle_recipe::recipe::Image;

use crate::identity::Identity;
use crate::{Error, state};

const MIB: u64 = 1 << 20;
const SECTOR: SectorSize = SectorSize::B512;
/// Two sectors of it are used; a MiB keeps the next partition aligned.
const BOOT_RECORD: u64 = MIB;

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    parts: Vec<(Partition, u64, u64)>,
    len: u64,
}

impl Disk {
    /// The disk for a recipe's sizes.
    pub fn new(image: &Image) -> Self {
        let mut at = MIB;
        let mut parts = Vec::new();
        for partition in Partition::ALL {
            let len = match partition {
                Partition::Esp => image.esp.get(),
                Partition::Root(_) => image.slot.get(),
                Partition::Verity(_) => image.verity.get(),
                Partition::BootRecord => BOOT_RECORD,
                Partition::State => state::LEN,
            };
            parts.push((partition, at, len));
            at += len;
        }
        Self { parts, len: at + MIB }
    }

    /// Its length in bytes.
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// A partition's first byte and length.
    pub fn place(&self, partition: Partition) -> (u64, u64) {
        let found = self.parts.iter().find(|(one, ..)| *one == partition);
        found.map_or((0, 0), |(_, at, len)| (*at, *len))
    }

    /// Makes the file, all holes.
    pub fn create(&self, path: &Path) -> Result<File, Error> {
        let file = File::options().read(true).write(true).create_new(true).open(path);
        let file = file.map_err(Error::file("create", path))?;
        file.set_len(self.len).map_err(Error::file("size", path))?;
        Ok(file)
    }

    /// A window onto a partition.
    pub fn window<'f>(&self, file: &'f File, partition: Partition) -> Window<'f> {
        let (base, len) = self.place(partition);
        Window { file, base, len, at: 0 }
    }

    /// Copies a file to the start of a partition, holes staying holes.
    pub fn put(&self, file: &File, partition: Partition, from: &Path) -> Result<(), Error> {
        let mut source = File::open(from).map_err(Error::file("open", from))?;
        let mut window = self.window(file, partition);
        let mut buffer = vec![0; 64 << 10];
        loop {
            let count = source.read(&mut buffer).map_err(Error::file("read", from))?;
            let bytes = &buffer[..count];
            if bytes.is_empty() {
                return Ok(());
            }
            let failed = Error::file("write partition", partition.label());
            match bytes.iter().all(|byte| *byte == 0) {
                true => window.seek(SeekFrom::Current(count as i64)).map(drop),
                false => window.write_all(bytes),
            }
            .map_err(failed)?;
        }
    }

    /// The table; slot B's partitions have the types of slot A's and identifiers of their own.
    pub fn table(&self, identity: &Identity) -> Result<Table, Error> {
        let sector = SECTOR.bytes();
        let entry = |(partition, at, len): &(Partition, u64, u64)| {
            let label = partition.label();
            // Both texts are constants of the layout, which its own tests hold to these forms.
            let type_guid: Guid = partition.type_guid().parse().unwrap_or(Guid::ZERO);
            let label_units: Option<Label> = label.parse().ok();
            Ok(coracle_gpt::Partition {
                number: Number::new(partition.number())?,
                type_guid,
                guid: identity.guid(label),
                first_lba: Lba(at / sector),
                last_lba: Lba((at + len) / sector - 1),
                attributes: attributes(*partition),
                label: label_units.ok_or(coracle_gpt::Error::Number { number: partition.number() })?,
            })
        };
        let parts = self.parts.iter().map(entry).collect::<Result<_, coracle_gpt::Error>>()?;
        Ok(Table::new(identity.guid("disk"), SECTOR, self.len, parts)?)
    }

    /// Writes the table, after everything else.
    pub fn write_table(&self, file: &mut File, identity: &Identity, path: &Path) -> Result<(), Error> {
        let table = self.table(identity)?;
        let steps = table.steps(coracle_gpt::Side::Primary);
        apply(&steps, file, |_| Ok(())).map_err(Error::file("write the partition table of", path))
    }
}

/// The specification's bit 60, "read-only": a tool that mounts a root by its type must not write to it.
fn attributes(partition: Partition) -> u64 {
    match partition {
        Partition::Root(Slot::A | Slot::B) | Partition::Verity(Slot::A | Slot::B) => 1 << 60,
        _ => 0,
    }
}

/// A partition of the file as a writer of its own, which cannot leave it.
#[derive(Debug)]
pub struct Window<'f> {
    file: &'f File,
    base: u64,
    len: u64,
    at: u64,
}

impl Write for Window<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt as _;
        let room = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let bytes = &bytes[..bytes.len().min(room)];
        let count = self.file.write_at(bytes, self.base + self.at)?;
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coracle_recipe::Recipe;

    fn image() -> Image {
        let text =
            "name=\"edge\"\nversion=\"1.0.0\"\n[image]\nesp=\"300MiB\"\nslot=\"16MiB\"\nverity=\"1MiB\"\n";
        Recipe::parse(text, "coracle.toml").unwrap().image
    }

    #[test]
    fn partitions_follow_each_other_to_the_mebibyte() {
        let disk = Disk::new(&image());
        let places: Vec<_> = Partition::ALL.map(|one| disk.place(one)).to_vec();
        let mib = [(1, 300), (301, 16), (317, 1), (318, 16), (334, 1), (335, 1), (336, 64)];
        assert_eq!(places, mib.map(|(at, len)| (at * MIB, len * MIB)));
        assert_eq!(disk.bytes(), 401 * MIB);
        let table = disk.table(&Identity::new("edge", "1.0.0".parse().unwrap())).unwrap();
        let labels: Vec<_> = table.partitions().iter().map(|one| one.label.to_string()).collect();
        assert_eq!(labels, Partition::ALL.map(Partition::label));
    }

    #[test]
    fn a_window_ends_where_its_partition_does() {
        let folder = tempfile::tempdir().unwrap();
        let disk = Disk::new(&image());
        let file = disk.create(&folder.path().join("disk")).unwrap();
        let mut window = disk.window(&file, Partition::BootRecord);
        window.seek(SeekFrom::End(-2)).unwrap();
        assert!(window.write_all(b"ab").is_ok());
        assert_eq!(window.write_all(b"c").unwrap_err().kind(), io::ErrorKind::WriteZero);
        assert!(window.seek(SeekFrom::Current(-1 << 40)).is_err());
    }
}
