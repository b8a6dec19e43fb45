//! The boot record on its partition.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Seek, SeekFrom, Write},
    path::Path,
};

use coracle_layout::{
    boot_record::{BootRecord, COPY_LEN, COPY_STRIDE},
    partition::Partition,
};

use crate::{
    boot::Machine,
    disk::Devices,
    log::{Chain, info, warning},
};

/// Reads both copies and chooses the newer.
pub(crate) fn read(partition: &Path) -> io::Result<BootRecord> {
    let mut file = File::open(partition)?;
    let mut copy = |offset| {
        let mut bytes = [0; COPY_LEN];
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut bytes).map(|()| bytes)
    };
    Ok(BootRecord::choose(&copy(0)?, &copy(COPY_STRIDE)?))
}

/// Writes over the older copy. When this returns, it is on the disk.
pub(crate) fn write(partition: &Path, record: &mut BootRecord) -> io::Result<()> {
    let next = record.next_write();
    let mut file = OpenOptions::new().write(true).open(partition)?;
    file.seek(SeekFrom::Start(next.offset))?;
    file.write_all(&next.bytes)?;
    file.sync_all()
}

/// Notes that this boot came to a good end. A machine that cannot has worse troubles: it is logged.
pub(crate) fn good(machine: &Machine) {
    let Some(root) = machine.root else { return };
    let Some(disk) = machine.facts.get("disk").and_then(|path| path.strip_prefix("/dev/")) else { return };
    let noted = Devices::real()
        .disk(disk)
        .and_then(|disk| disk.partition(Partition::BootRecord).map(|p| p.path.clone()));
    match noted {
        Ok(partition) => {
            let written = read(&partition).and_then(|mut record| {
                record.good(root);
                write(&partition, &mut record)
            });
            match written {
                Ok(()) => info!("boot record cleared root={root}"),
                Err(error) => {
                    warning!("boot record not written partition={} error={error:?}", partition.display())
                }
            }
        }
        Err(error) => warning!("boot record not found error={:?}", Chain(&error).to_string()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use coracle_layout::RootHash;

    #[test]
    fn what_is_written_is_read() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(1 << 20).unwrap();
        let root = RootHash::new([9; 32]);
        for attempts in 1..5 {
            let mut record = read(file.path()).unwrap();
            record.begin(root);
            write(file.path(), &mut record).unwrap();
            assert_eq!(read(file.path()).unwrap().entry(&root).map(|entry| entry.attempts), Some(attempts));
        }
    }

    #[test]
    fn a_short_partition_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(read(file.path()).is_err());
    }
}
