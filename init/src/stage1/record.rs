//! The boot record on its partition.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use coracle_layout::boot_record::{BootRecord, COPY_LEN, COPY_STRIDE};

use super::Error;

/// The record, and the partition it came from.
pub(crate) struct Record {
    file: File,
    path: PathBuf,
    pub(crate) known: BootRecord,
}

impl Record {
    /// Reads both copies.
    pub(crate) fn open(path: &Path) -> Result<Self, Error> {
        let named = || path.display().to_string();
        let file =
            OpenOptions::new().read(true).write(true).open(path).map_err(Error::on("open", named()))?;
        let copy = |offset| {
            let mut bytes = [0; COPY_LEN];
            file.read_exact_at(&mut bytes, offset).map(|()| bytes).map_err(Error::on("read", named()))
        };
        let known = BootRecord::choose(&copy(0)?, &copy(COPY_STRIDE)?);
        Ok(Self { file, path: path.to_owned(), known })
    }

    /// Writes what is known over the older copy, and waits until the disk has it.
    pub(crate) fn write(&mut self) -> Result<(), Error> {
        let write = self.known.next_write();
        self.file
            .write_all_at(&write.bytes, write.offset)
            .and_then(|()| self.file.sync_data())
            .map_err(Error::on("write", self.path.display().to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use coracle_layout::RootHash;

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
    fn a_partition_too_small_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record");
        File::create(&path).unwrap().set_len(COPY_STRIDE).unwrap();
        let error = Record::open(&path).err().unwrap().to_string();
        assert!(error.starts_with("could not read") && error.ends_with("record"), "{error}");
    }
}
