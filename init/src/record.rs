//! The boot record on its partition.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::Path,
};

use coracle_layout::{
    RootHash,
    boot_record::{BootRecord, COPY_LEN, COPY_STRIDE, Evidence},
    partition::Partition,
};

use crate::{
    boot::{Error, Machine},
    log::{Chain, info, warning},
};

/// The record, and the partition it came from.
pub(crate) struct Record {
    file: File,
    pub(crate) known: BootRecord,
}

impl Record {
    /// Reads both copies.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let copy = |offset| {
            let mut bytes = [0; COPY_LEN];
            file.read_exact_at(&mut bytes, offset).map(|()| bytes)
        };
        let known = BootRecord::choose(&copy(0)?, &copy(COPY_STRIDE)?);
        Ok(Self { file, known })
    }

    /// Writes what is known over the older copy, and waits until the disk has it.
    pub(crate) fn write(&mut self) -> io::Result<()> {
        let write = self.known.next_write();
        self.file.write_all_at(&write.bytes, write.offset).and_then(|()| self.file.sync_data())
    }
}

/// Notes that this boot proved healthy.
pub(crate) fn settled(machine: &Machine) {
    note(machine, "settled", BootRecord::settle);
}

/// Notes that this boot has lasted, or came to a good end.
pub(crate) fn good(machine: &Machine) {
    note(machine, "cleared", BootRecord::good);
}

/// Notes that this boot did not prove itself in time.
pub(crate) fn missed(machine: &Machine, reason: &str) {
    note(machine, "notes a failure", |known, root| known.fail(root, Evidence::Deadline, reason));
}

/// A machine that cannot note it has worse troubles: it is logged.
fn note(machine: &Machine, what: &str, change: impl FnOnce(&mut BootRecord, RootHash)) {
    let Some(root) = machine.root else { return };
    match write(machine, |known| change(known, root)) {
        Ok(()) => info!("boot record {what} root={root}"),
        Err(error) => warning!("boot record not written error={:?}", Chain(&error).to_string()),
    }
}

fn write(machine: &Machine, change: impl FnOnce(&mut BootRecord)) -> Result<(), Error> {
    let disk = machine.disk()?;
    let path = &disk.partition(Partition::BootRecord)?.path;
    let mut record =
        Record::open(path).map_err(Error::os("read the boot record on", path.to_string_lossy()))?;
    change(&mut record.known);
    record.write().map_err(Error::os("write the boot record on", path.to_string_lossy()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_are_counted_across_boots() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        File::create(&path).unwrap().set_len(1 << 20).unwrap();
        let root = RootHash::new([3; 32]);
        for attempt in 1..=5 {
            let mut record = Record::open(&path).unwrap();
            record.known.begin(root);
            record.write().unwrap();
            let read = Record::open(&path).unwrap();
            assert_eq!(read.known.entry(&root).map(|entry| entry.attempts), Some(attempt));
        }
    }

    #[test]
    fn a_partition_too_small_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        File::create(&path).unwrap().set_len(COPY_STRIDE).unwrap();
        assert!(Record::open(&path).is_err_and(|error| error.kind() == io::ErrorKind::UnexpectedEof));
    }
}
