//! Growing a table over a disk that has become larger.

use crate::disk::Lba;
use crate::error::Error;
use crate::table::{Number, Table};

/// Ends of partitions stay on whole MiB.
const ALIGN: u64 = 1 << 20;

/// What growing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Growth {
    /// Nothing: there is nothing to write.
    None,
    /// The backup moves to the new end; too little was gained for the partition.
    BackupMoved,
    /// The backup moves and the partition reaches further.
    Grown {
        /// The partition.
        number: Number,
        /// Its last sector before.
        from: Lba,
        /// Its last sector now.
        to: Lba,
    },
}

impl Table {
    /// Covers a disk of this size, the partition that lies last reaching to the end, rounded down to a MiB. Never shrinks.
    ///
    /// The old backup stays where it was, inside the grown partition; no one looks for it there.
    pub fn grow_last(&mut self, disk_bytes: u64) -> Result<Growth, Error> {
        let (sector_size, old_bytes) = (self.sector_size(), self.disk_bytes());
        if disk_bytes < old_bytes {
            return Err(Error::Shrunk { disk: disk_bytes, table: old_bytes });
        }
        let empty = Self::new(self.disk_guid(), sector_size, disk_bytes, vec![])?;
        let mut partitions = self.partitions().to_vec();
        let align = ALIGN / sector_size.bytes();
        let end = (empty.last_usable().0 + 1) / align * align;
        let mut growth = if empty.disk_bytes() > old_bytes { Growth::BackupMoved } else { Growth::None };
        if let Some(last) = partitions.iter_mut().max_by_key(|partition| partition.last_lba)
            && end > last.last_lba.0 + 1
        {
            let from = last.last_lba;
            last.last_lba = Lba(end - 1);
            growth = Growth::Grown { number: last.number, from, to: last.last_lba };
        }
        *self = Self::new(self.disk_guid(), sector_size, disk_bytes, partitions)?;
        Ok(growth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::tests::{MIB, partition, table};

    #[test]
    fn the_last_partition_reaches_the_last_whole_mib() {
        let sector = |mib: u64| mib * 2048;
        let parts = || vec![partition(2, sector(2), sector(7) - 1), partition(7, sector(1), sector(2) - 1)];
        let old = table(8 * MIB, parts()).expect("valid");
        let grown = |to| Growth::Grown { number: parts()[0].number, from: Lba(sector(7) - 1), to: Lba(to) };
        for (bytes, want) in [
            (8 * MIB, Growth::None),
            (8 * MIB + 511, Growth::None),
            (8 * MIB + 512, Growth::BackupMoved),
            (8 * MIB + 33 * 512, grown(sector(8) - 1)),
            (64 * MIB, grown(sector(63) - 1)),
        ] {
            let mut table = old.clone();
            assert_eq!(table.grow_last(bytes).expect("larger"), want, "{bytes} bytes");
            assert_eq!(table.disk_bytes(), bytes / 512 * 512);
            assert_eq!(table.partitions()[1], parts()[1], "the other partition stays");
            let once = table.clone();
            assert_eq!(table.grow_last(bytes).expect("same size"), Growth::None, "again");
            assert_eq!(table, once);
        }
    }

    #[test]
    fn a_smaller_disk_is_refused_and_an_unaligned_end_kept() {
        let mut small = table(8 * MIB, vec![partition(1, 2048, 16384 - 34)]).expect("valid");
        let before = small.clone();
        assert!(matches!(small.grow_last(7 * MIB), Err(Error::Shrunk { .. })));
        assert!(matches!(small.grow_last(0), Err(Error::Shrunk { .. })));
        assert_eq!(small.grow_last(8 * MIB).expect("same size"), Growth::None);
        assert_eq!(small, before);
        assert_eq!(
            table(MIB, vec![]).expect("valid").grow_last(2 * MIB).expect("larger"),
            Growth::BackupMoved
        );
    }
}
