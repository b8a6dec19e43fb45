//! Disks with boot entries on them, for guests that change these. An entry's content is made up from its version, so that
//! host and guest know it without a word.
//!
//! | partition | holds |
//! |---|---|
//! | `esp` | FAT32, as the builder makes it |
//! | `boot-record` | where a guest writes between its steps, so that these are found in the log of its writes |

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;

use coracle_fat::{MIN_LEN, Volume};
use coracle_gpt::{Guid, Lba, Number, SectorSize, Side, Table, apply};
use coracle_layout::partition::Partition;

/// Where the ESP is on the disk, in bytes.
pub const ESP: u64 = 1 << 20;
/// And how long.
pub const ESP_LEN: u64 = MIN_LEN.next_multiple_of(1 << 20);
/// Where the marks are.
pub const MARKS: u64 = ESP + ESP_LEN;
/// The folder of the entries.
pub const FOLDER: &str = "EFI/Linux";

/// What the entry of a version consists of: enough for its clusters to be listed in several sectors of the table.
pub fn content(version: &str) -> Vec<u8> {
    let mut state = version.bytes().fold(1u32, |state, byte| state.wrapping_mul(31) ^ u32::from(byte));
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..1_200_345).map(|_| next()).collect()
}

/// Writes a disk with these files on its ESP to an empty file.
///
/// # Errors
/// Those of writing.
///
/// # Panics
/// When the files do not fit on an ESP.
pub fn make(disk: &mut File, files: &[(&str, &[u8])]) -> io::Result<()> {
    let end = MARKS + (1 << 20);
    let partition = |which: Partition, from: u64, to: u64| coracle_gpt::Partition {
        number: Number::new(which.number()).expect("a number of ours"),
        type_guid: which.type_guid().parse().expect("a type of ours"),
        guid: Guid::from_u128(which.number().into()),
        first_lba: Lba(from / 512),
        last_lba: Lba(to / 512 - 1),
        attributes: 0,
        label: which.label().parse().expect("a label of ours"),
    };
    let partitions =
        vec![partition(Partition::Esp, ESP, MARKS), partition(Partition::BootRecord, MARKS, end)];
    let len = end + (1 << 20);
    disk.set_len(len)?;
    let table = Table::new(Guid::from_u128(1), SectorSize::B512, len, partitions).expect("a table of two");
    apply(&table.steps(Side::Primary), disk, |_| Ok(()))?;
    let volume = Volume { len: ESP_LEN, id: 0x00c0_ac1e, label: *b"ESP        ", files };
    coracle_fat::write(&mut Window::of(disk), &volume).expect("files that an ESP can hold");
    Ok(())
}

/// The ESP of a disk, as if it were a file.
#[derive(Debug)]
pub struct Window<'a> {
    disk: &'a File,
    at: u64,
}

impl<'a> Window<'a> {
    /// Opens it at its beginning.
    pub fn of(disk: &'a File) -> Self {
        Self { disk, at: 0 }
    }

    fn rest(&self, len: usize) -> usize {
        usize::try_from(ESP_LEN.saturating_sub(self.at)).map_or(len, |rest| rest.min(len))
    }
}

impl Read for Window<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.rest(into.len());
        let count = self.disk.read_at(&mut into[..len], ESP + self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Write for Window<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.disk.write_at(&bytes[..self.rest(bytes.len())], ESP + self.at)?;
        self.at += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Window<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => ESP_LEN.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coracle_fat::read::{Image, Limits};

    #[test]
    fn what_is_put_on_the_disk_is_found_there() {
        let mut disk = tempfile::tempfile().unwrap();
        let (one, two) = (content("1.0.0"), content("1.1.0"));
        assert!(one != two && one == content("1.0.0"));
        let path = format!("{FOLDER}/coracle_1.0.0.efi");
        make(&mut disk, &[(&path, &one)]).unwrap();
        let mut image = Image::open(Window::of(&disk), ESP_LEN).unwrap();
        let listing = image.list(Limits::default());
        assert!(listing.faults.is_empty(), "{:?}", listing.faults);
        let entry = listing.entries.iter().find(|entry| entry.path == path).unwrap();
        assert!(image.content(entry, 1 << 22).unwrap() == one);
        let (table, _) = Table::read(&mut disk, MARKS + (2 << 20), SectorSize::B512).unwrap();
        assert_eq!(table.partitions().len(), 2);
    }
}
