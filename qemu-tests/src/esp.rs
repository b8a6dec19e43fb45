//! Disks with boot entries on them, for guests that change these. An entry's kernel image is made up from its version, so that
//! host and guest know it without a word.
//!
//! | partition | holds |
//! |---|---|
//! | `esp` | FAT32, as the builder makes it |
//! | `boot-record` | where a guest writes between its steps, so that these are found in the log of its writes |

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use coracle_fat::read::{Error as Fault, Image, Kind, Limits};
use coracle_fat::{MIN_LEN, Volume};
use coracle_gpt::{Guid, Lba, Number, SectorSize, Side, Table, apply};
use coracle_layout::RootHash;
use coracle_layout::partition::Partition;
use coracle_uki::specimen;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::machine::Writes;
use crate::writes::Event;
use crate::{Config, Deadline, Error, Exit, Machine};

/// Where the ESP is on the disk, in bytes.
pub const ESP: u64 = 1 << 20;
/// And how long.
pub const ESP_LEN: u64 = MIN_LEN.next_multiple_of(1 << 20);
/// Where the marks are.
pub const MARKS: u64 = ESP + ESP_LEN;
/// The folder of the entries.
pub const FOLDER: &str = "EFI/Linux";
/// Where a kernel image rots: this byte of it has a bit changed.
pub const ROTTEN: usize = 600_000;
/// Seconds for a guest to come up, or to be done.
const BOOT: u64 = 120;
/// A longer file is not read.
const MAX_FILE: u64 = 1 << 25;

/// The kernel image of a version, made up once: each of many cases looks at some.
pub fn content(version: &str) -> &'static [u8] {
    static KNOWN: Mutex<BTreeMap<String, &[u8]>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    known.entry(version.to_owned()).or_insert_with(|| made_up(version).leak())
}

/// Long enough for its clusters to be listed in several sectors of the table.
fn made_up(version: &str) -> Vec<u8> {
    let mut state = version.bytes().fold(1u32, |state, byte| state.wrapping_mul(31) ^ u32::from(byte));
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    let kernel: Vec<_> = (0..1_200_345).map(|_| next()).collect();
    specimen::uki(&format!("roothash={}", root(version)), &kernel)
}

/// The root that it boots.
pub fn root(version: &str) -> RootHash {
    RootHash::new(Sha256::digest(version).into())
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

/// Like [`make`], in a file of its own.
///
/// # Panics
/// When it cannot be made.
pub fn disk_of(files: &[(&str, &[u8])]) -> NamedTempFile {
    let mut disk = NamedTempFile::new().expect("a temporary file");
    make(disk.as_file_mut(), files).expect("a disk");
    disk
}

/// A guest that does `task` to the disk and says so.
pub fn guest(kernel: &Path, initramfs: &NamedTempFile, task: &str, disk: &Path) -> Config {
    let config = Config::direct(kernel, initramfs.path(), &format!("guest={task}")).memory(128);
    config.without_network().disk(disk, Writes::Stay)
}

/// Runs such a guest to its end.
///
/// # Errors
/// Those of the machine, which may not come to its end.
///
/// # Panics
/// When it ends in another way.
pub fn run(config: Config) -> Result<(), Error> {
    let mut machine = Machine::start(config)?;
    machine.wait_for("guest: done", Deadline::seconds(BOOT))?;
    assert_eq!(machine.wait_exit(Deadline::seconds(BOOT))?, Exit::PowerOff);
    Ok(())
}

/// Whether a guest wrote this between two of its steps.
pub fn is_mark(event: &Event<'_>) -> bool {
    matches!(event, Event::Write { offset, .. } if *offset >= MARKS)
}

/// The files of a disk's ESP, each with its path and what is in it, which may end early.
///
/// # Panics
/// On a fault that `tolerated` does not take.
pub fn files(disk: &File, tolerated: impl Fn(&Fault) -> bool) -> Vec<(String, Vec<u8>)> {
    let mut image = Image::open(Window::of(disk), ESP_LEN).expect("a volume");
    let listing = image.list(Limits::default());
    for fault in &listing.faults {
        assert!(tolerated(fault), "{fault}");
    }
    let files = listing.entries.into_iter().filter(|entry| entry.kind != Kind::Folder);
    files
        .map(|entry| {
            let bytes = image.content(&entry, MAX_FILE).expect("a file");
            (entry.path, bytes)
        })
        .collect()
}

/// Faults of the kind that a comparison of what is in the files finds, or that nobody minds.
pub fn is_found_by_content(fault: &Fault) -> bool {
    matches!(fault, Fault::Chain { .. } | Fault::Table { .. })
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
        assert!(one != two && one == made_up("1.0.0"));
        let path = format!("{FOLDER}/coracle_1.0.0.efi");
        make(&mut disk, &[(&path, one)]).unwrap();
        let mut image = Image::open(Window::of(&disk), ESP_LEN).unwrap();
        let listing = image.list(Limits::default());
        assert!(listing.faults.is_empty(), "{:?}", listing.faults);
        let entry = listing.entries.iter().find(|entry| entry.path == path).unwrap();
        assert!(image.content(entry, 1 << 22).unwrap() == one);
        let (table, _) = Table::read(&mut disk, MARKS + (2 << 20), SectorSize::B512).unwrap();
        assert_eq!(table.partitions().len(), 2);
    }
}
