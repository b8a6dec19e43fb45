//! A raw disk while no guest runs on it: what a boot left there, and damage for the next boot to meet.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use coracle_gpt::{SectorSize, Table};
use coracle_layout::boot_record::{BootRecord, COPY_LEN, COPY_STRIDE};
use coracle_layout::partition::Partition;

use tempfile::NamedTempFile;

use crate::Error;

/// Where the boot entries are, in the words of mtools.
const BOOT_ENTRIES: &str = "::/EFI/Linux/";

/// A raw disk with a Coracle layout.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    file: File,
    table: Table,
}

/// Copies a raw disk without the parts that are zero.
///
/// # Errors
/// [`Error::Run`] or [`Error::Program`] of `cp`.
pub fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    let mut command = Command::new("cp");
    command.args(["--sparse=always", "--reflink=auto", "--"]).arg(from).arg(to);
    successful(&mut command).map(drop)
}

impl Disk {
    /// Opens the disk and reads its partition table, the backup if need be.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Table`].
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |source| Error::File { operation: "open", path: path.to_owned(), source };
        let mut file = File::options().read(true).write(true).open(path).map_err(failed)?;
        let bytes = file.metadata().map_err(failed)?.len();
        let (table, _) = Table::read(&mut file, bytes, SectorSize::B512)
            .map_err(|source| Error::Table { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file, table })
    }

    /// The partition table.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// Where a partition begins on the disk, and its length, in bytes.
    ///
    /// # Errors
    /// [`Error::NoPartition`].
    pub fn extent(&self, partition: Partition) -> Result<(u64, u64), Error> {
        let size = self.table.sector_size();
        self.table
            .partitions()
            .iter()
            .find(|entry| entry.number.get() == partition.number())
            .map(|entry| {
                (entry.first_lba.offset(size), (entry.last_lba.0 - entry.first_lba.0 + 1) * size.bytes())
            })
            .ok_or_else(|| Error::NoPartition { path: self.path.clone(), label: partition.label() })
    }

    /// Reads `len` bytes at `offset` of a partition.
    ///
    /// # Errors
    /// [`Error::NoPartition`], [`Error::File`].
    pub fn read(&self, partition: Partition, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; len];
        let at = self.extent(partition)?.0 + offset;
        self.file.read_exact_at(&mut bytes, at).map_err(self.failed("read"))?;
        Ok(bytes)
    }

    /// Writes `bytes` at `offset` of a partition.
    ///
    /// # Errors
    /// [`Error::NoPartition`], [`Error::File`].
    pub fn write(&self, partition: Partition, offset: u64, bytes: &[u8]) -> Result<(), Error> {
        let at = self.extent(partition)?.0 + offset;
        self.file.write_all_at(bytes, at).map_err(self.failed("write"))
    }

    /// Inverts one byte at `offset` of a partition.
    ///
    /// # Errors
    /// [`Error::NoPartition`], [`Error::File`].
    pub fn flip(&self, partition: Partition, offset: u64) -> Result<(), Error> {
        let inverted = !self.read(partition, offset, 1)?[0];
        self.write(partition, offset, &[inverted])
    }

    /// The boot record.
    ///
    /// # Errors
    /// [`Error::NoPartition`], [`Error::File`].
    pub fn boot_record(&self) -> Result<BootRecord, Error> {
        let mut copies = [[0; COPY_LEN]; 2];
        for (copy, offset) in copies.iter_mut().zip([0, COPY_STRIDE]) {
            copy.copy_from_slice(&self.read(Partition::BootRecord, offset, COPY_LEN)?);
        }
        Ok(BootRecord::choose(&copies[0], &copies[1]))
    }

    /// A file of the state partition, by its path there; `None` if there is none. The journal is not replayed: see
    /// [`replay_journal`](Self::replay_journal).
    ///
    /// # Errors
    /// [`Error::NoPartition`], [`Error::Run`], [`Error::Program`] of `debugfs`.
    pub fn state_file(&self, path: &str) -> Result<Option<Vec<u8>>, Error> {
        let output = self.debugfs(&format!("cat \"{path}\""))?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // The first line is the version. debugfs succeeds whatever happens.
        match said.lines().nth(1) {
            None => Ok(Some(output.stdout)),
            Some(complaint) if complaint.contains("File not found") => Ok(None),
            Some(_) => Err(Error::Program { program: "debugfs".into(), status: output.status, output: said }),
        }
    }

    /// The names in a folder of the state partition, sorted; none if there is no such folder.
    ///
    /// # Errors
    /// [`Error::NoPartition`], [`Error::Run`].
    pub fn state_names(&self, folder: &str) -> Result<Vec<String>, Error> {
        let listing = self.debugfs(&format!("ls -p \"{folder}\""))?;
        // `/12/040755/0/0/name//` a line.
        let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
        let names = listing.lines().filter_map(|line| line.split('/').nth(5));
        let mut names: Vec<_> =
            names.filter(|name| !matches!(*name, "" | "." | "..")).map(str::to_owned).collect();
        names.sort();
        Ok(names)
    }

    /// Checks the state partition without changing it.
    ///
    /// # Errors
    /// [`Error::Program`] with what `e2fsck` found.
    pub fn check_state(&self) -> Result<(), Error> {
        successful(Command::new("e2fsck").args(["-f", "-n"]).arg(self.state_device()?)).map(drop)
    }

    /// Replays the journal of the state partition, as the next mount would: after a power cut the files are only then whole.
    ///
    /// # Errors
    /// [`Error::Program`] with what `e2fsck` found.
    pub fn replay_journal(&self) -> Result<(), Error> {
        // In a file of its own: having replayed, e2fsck forgets where in a disk the file system began.
        let (_, len) = self.extent(Partition::State)?;
        let apart = NamedTempFile::new().map_err(self.failed("set aside"))?;
        let state = self.read(Partition::State, 0, len as usize)?;
        fs::write(apart.path(), state).map_err(self.failed("set aside"))?;
        successful(Command::new("e2fsck").args(["-y", "-E", "journal_only"]).arg(apart.path()))?;
        let state = fs::read(apart.path()).map_err(self.failed("set aside"))?;
        self.write(Partition::State, 0, &state)
    }

    /// The names of the boot entries on the ESP, sorted.
    ///
    /// # Errors
    /// [`Error::NoPartition`], [`Error::Run`], [`Error::Program`] of `mdir`.
    pub fn boot_entries(&self) -> Result<Vec<String>, Error> {
        let listing = successful(Command::new("mdir").arg("-b").args(["-i", &self.esp()?, BOOT_ENTRIES]))?;
        let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
        let mut names: Vec<_> =
            listing.lines().filter_map(|path| Some(path.strip_prefix(BOOT_ENTRIES)?.to_owned())).collect();
        names.sort();
        Ok(names)
    }

    /// Gives a boot entry another name.
    ///
    /// # Errors
    /// [`Error::NoPartition`], [`Error::Run`], [`Error::Program`] of `mren`.
    pub fn rename_boot_entry(&self, from: &str, to: &str) -> Result<(), Error> {
        let paths = [format!("{BOOT_ENTRIES}{from}"), format!("{BOOT_ENTRIES}{to}")];
        successful(Command::new("mren").args(["-i", &self.esp()?]).args(paths)).map(drop)
    }

    /// Leaves half of a file on the ESP.
    ///
    /// # Errors
    /// [`Error::NoPartition`], [`Error::Run`], [`Error::Program`] of `mtype` and `mcopy`, [`Error::File`] of the half.
    pub fn cut_on_esp(&self, path: &str) -> Result<(), Error> {
        let (bytes, temporary) = (self.esp_file(path)?, std::env::temp_dir());
        let failed = |source| Error::File { operation: "write a file in", path: temporary.clone(), source };
        let half = tempfile::NamedTempFile::new_in(&temporary).map_err(failed)?;
        half.as_file().write_all_at(&bytes[..bytes.len() / 2], 0).map_err(failed)?;
        let mut copy = Command::new("mcopy");
        copy.args(["-n", "-o", "-i", &self.esp()?]).arg(half.path()).arg(format!("::/{path}"));
        successful(&mut copy).map(drop)
    }

    /// A file of the ESP, by its path there.
    ///
    /// # Errors
    /// [`Error::NoPartition`], [`Error::Run`], [`Error::Program`] of `mtype`.
    pub fn esp_file(&self, path: &str) -> Result<Vec<u8>, Error> {
        let path = format!("::/{path}");
        Ok(successful(Command::new("mtype").args(["-i", &self.esp()?, &path]))?.stdout)
    }

    /// Fills the ESP until so many bytes are free, or a little more.
    ///
    /// # Errors
    /// [`Error::NoPartition`], [`Error::Run`], [`Error::Program`] of `mdir` and `mcopy`, [`Error::File`] of what fills it.
    pub fn fill_esp(&self, left: u64) -> Result<(), Error> {
        let esp = self.esp()?;
        let listing = successful(Command::new("mdir").args(["-i", &esp, "::/"]))?;
        let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
        let free = listing.lines().rev().find_map(|line| line.trim().strip_suffix("bytes free"));
        let digits: String = free.unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
        let free: u64 = digits.parse().unwrap_or_default();
        let temporary = std::env::temp_dir();
        let failed = |source| Error::File { operation: "fill a file in", path: temporary.clone(), source };
        let filler = tempfile::NamedTempFile::new_in(&temporary).map_err(failed)?;
        filler.as_file().set_len(free.saturating_sub(left)).map_err(failed)?;
        successful(Command::new("mcopy").args(["-i", &esp]).arg(filler.path()).arg("::/filler")).map(drop)
    }

    /// The ESP in the words of mtools.
    fn esp(&self) -> Result<String, Error> {
        Ok(format!("{}@@{}", self.path.display(), self.extent(Partition::Esp)?.0))
    }

    /// Cuts or grows the disk to this many bytes; the table that was read stays.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn resize(&self, bytes: u64) -> Result<(), Error> {
        self.file.set_len(bytes).map_err(self.failed("resize"))
    }

    fn debugfs(&self, request: &str) -> Result<Output, Error> {
        successful(Command::new("debugfs").args(["-R", request]).arg(self.state_device()?))
    }

    /// The state partition in the words of e2fsprogs, which open a file system inside a file.
    fn state_device(&self) -> Result<String, Error> {
        let path = fs::canonicalize(&self.path).map_err(self.failed("find"))?;
        Ok(format!("{}?offset={}", path.display(), self.extent(Partition::State)?.0))
    }

    fn failed(&self, operation: &'static str) -> impl FnOnce(io::Error) -> Error {
        let path = self.path.clone();
        move |source| Error::File { operation, path, source }
    }
}

/// Runs a tool of the host, which may live where only root looks for programs.
fn successful(command: &mut Command) -> Result<Output, Error> {
    let path = std::env::var("PATH").unwrap_or_default();
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .env("PATH", format!("{path}:/usr/sbin:/sbin"))
        .stdin(Stdio::null())
        .output()
        .map_err(|source| Error::Run { program: program.clone(), source })?;
    if output.status.success() {
        return Ok(output);
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Error::Program {
        program,
        status: output.status,
        output: String::from_utf8_lossy(&said).into_owned(),
    })
}

#[cfg(test)]
mod tests;
