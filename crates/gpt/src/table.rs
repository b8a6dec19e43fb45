//! The table as a value: whatever exists is valid and can be written.

use std::fmt;

use crate::disk::{Lba, SectorSize};
use crate::error::Error;
use crate::guid::Guid;
use crate::header::MAX_ENTRIES;
use crate::label::Label;

/// The number of a partition, 1 to 128: its place in the array and the end of its device's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number(u8);

impl Number {
    /// Takes a number from 1 to 128.
    pub fn new(number: u32) -> Result<Self, Error> {
        match u8::try_from(number) {
            Ok(small) if (1..=MAX_ENTRIES).contains(&number) => Ok(Self(small)),
            _ => Err(Error::Number { number }),
        }
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.into()
    }

    /// The place in the array, from 0.
    pub(crate) fn index(self) -> usize {
        usize::from(self.0) - 1
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One used entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its place in the array.
    pub number: Number,
    /// What it is for; never zero in a table.
    pub type_guid: Guid,
    /// Which one it is.
    pub guid: Guid,
    /// First sector.
    pub first_lba: Lba,
    /// Last sector, inclusive.
    pub last_lba: Lba,
    /// The 64 attribute bits, kept as they are.
    pub attributes: u64,
    /// Its name.
    pub label: Label,
}

/// A valid table: partitions have distinct numbers, lie within the usable sectors and do not overlap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    disk_guid: Guid,
    sector_size: SectorSize,
    sectors: u64,
    partitions: Vec<Partition>,
}

impl Table {
    /// A table over a disk of this size (an incomplete last sector is not used), with partitions in any order.
    pub fn new(
        disk_guid: Guid,
        sector_size: SectorSize,
        disk_bytes: u64,
        mut partitions: Vec<Partition>,
    ) -> Result<Self, Error> {
        let sectors = disk_bytes / sector_size.bytes();
        if sectors < 2 * (2 + sector_size.array_sectors()) {
            return Err(Error::SmallDisk { bytes: disk_bytes });
        }
        partitions.sort_by_key(|partition| partition.number);
        let table = Self { disk_guid, sector_size, sectors, partitions };
        table.check_each()?;
        table.check_overlaps()?;
        Ok(table)
    }

    fn check_each(&self) -> Result<(), Error> {
        let (usable_first, usable_last) = (self.first_usable(), self.last_usable());
        for partition in &self.partitions {
            let &Partition { number, first_lba: first, last_lba: last, .. } = partition;
            if partition.type_guid == Guid::ZERO {
                return Err(Error::Untyped { number });
            }
            if first > last || first < usable_first || last > usable_last {
                return Err(Error::Bounds { number, first, last, usable_first, usable_last });
            }
        }
        match self.partitions.windows(2).find(|pair| pair[0].number == pair[1].number) {
            Some(pair) => Err(Error::Twice { number: pair[0].number }),
            None => Ok(()),
        }
    }

    fn check_overlaps(&self) -> Result<(), Error> {
        let mut by_place: Vec<_> = self.partitions.iter().collect();
        by_place.sort_by_key(|partition| partition.first_lba);
        match by_place.windows(2).find(|pair| pair[1].first_lba <= pair[0].last_lba) {
            Some(pair) => Err(Error::Overlap { lower: pair[0].number, upper: pair[1].number }),
            None => Ok(()),
        }
    }

    /// Which disk it is.
    pub fn disk_guid(&self) -> Guid {
        self.disk_guid
    }

    /// The unit of its addresses.
    pub fn sector_size(&self) -> SectorSize {
        self.sector_size
    }

    /// The size it covers, backup included; less than the disk's if that has grown since.
    pub fn disk_bytes(&self) -> u64 {
        self.sectors * self.sector_size.bytes()
    }

    /// The partitions by number.
    pub fn partitions(&self) -> &[Partition] {
        &self.partitions
    }

    /// First sector that a partition may have.
    pub fn first_usable(&self) -> Lba {
        Lba(2 + self.sector_size.array_sectors())
    }

    /// Last sector that a partition may have.
    pub fn last_usable(&self) -> Lba {
        Lba(self.last().0 - self.sector_size.array_sectors() - 1)
    }

    /// The last sector, where the backup header is.
    pub(crate) fn last(&self) -> Lba {
        Lba(self.sectors - 1)
    }

    /// Gives the disk and then each partition, by number, a new GUID.
    pub fn randomize(&mut self, mut rng: impl FnMut() -> Guid) {
        self.disk_guid = rng();
        for partition in &mut self.partitions {
            partition.guid = rng();
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const MIB: u64 = 1 << 20;

    pub(crate) fn partition(number: u32, first: u64, last: u64) -> Partition {
        Partition {
            number: Number::new(number).expect("in range"),
            type_guid: Guid::from_u128(0x0fc63daf_8483_4772_8e79_3d69d8477de4),
            guid: Guid::from_u128(0x1000 + u128::from(number)),
            first_lba: Lba(first),
            last_lba: Lba(last),
            attributes: 0,
            label: format!("part-{number}").parse().expect("short"),
        }
    }

    pub(crate) fn table(disk_bytes: u64, partitions: Vec<Partition>) -> Result<Table, Error> {
        Table::new(Guid::from_u128(0xd15c), SectorSize::B512, disk_bytes, partitions)
    }

    #[test]
    fn usable_sectors_are_those_of_uefi() {
        let table = table(8 * MIB, vec![]).expect("large enough");
        assert_eq!((table.first_usable(), table.last_usable()), (Lba(34), Lba(16384 - 34)));
        let table = Table::new(Guid::ZERO, SectorSize::B4096, 8 * MIB, vec![]).expect("large enough");
        assert_eq!((table.first_usable(), table.last_usable()), (Lba(6), Lba(2048 - 6)));
    }

    #[test]
    fn impossible_tables_are_refused() {
        let end = 16384 - 34;
        type Case = (Vec<Partition>, fn(&Error) -> bool);
        let cases: [Case; 6] = [
            (vec![partition(1, 33, 40)], |e| matches!(e, Error::Bounds { .. })),
            (vec![partition(1, 34, end + 1)], |e| matches!(e, Error::Bounds { .. })),
            (vec![partition(1, 50, 49)], |e| matches!(e, Error::Bounds { .. })),
            (vec![partition(2, 100, 200), partition(1, 200, end)], |e| matches!(e, Error::Overlap { .. })),
            (vec![partition(2, 100, 200), partition(2, 201, end)], |e| matches!(e, Error::Twice { .. })),
            (vec![Partition { type_guid: Guid::ZERO, ..partition(1, 40, 50) }], |e| {
                matches!(e, Error::Untyped { .. })
            }),
        ];
        for (partitions, wanted) in cases {
            let error = table(8 * MIB, partitions.clone()).expect_err("refused");
            assert!(wanted(&error), "{partitions:?}: {error}");
        }
        assert!(table(8 * MIB, vec![partition(1, 34, 34), partition(9, 35, end)]).is_ok());
        assert!(matches!(table(67 * 512, vec![]), Err(Error::SmallDisk { .. })));
        assert!(table(68 * 512, vec![]).is_ok());
        assert!(Number::new(0).is_err() && Number::new(129).is_err() && Number::new(256 + 1).is_err());
    }

    #[test]
    fn randomize_renews_every_guid_once() {
        let mut table = table(8 * MIB, vec![partition(1, 40, 50), partition(3, 60, 70)]).expect("valid");
        let mut next = 0;
        table.randomize(|| {
            next += 1;
            Guid::from_u128(next)
        });
        let guids: Vec<_> = table.partitions().iter().map(|partition| partition.guid).collect();
        assert_eq!(table.disk_guid(), Guid::from_u128(1));
        assert_eq!(guids, [Guid::from_u128(2), Guid::from_u128(3)]);
    }
}
