//! The partition table: both copies, and whether it has the partitions of the layout.

use std::fs::File;

use coracle_gpt::{Flaw, SectorSize, Table, check_both};
use coracle_layout::partition::Partition;

use super::report::{Faults, PartitionFacts, chain};
use super::window::Window;

/// A table that can be gone by.
#[derive(Debug)]
pub(super) struct Partitions<'a> {
    file: &'a File,
    disk_len: u64,
    table: Table,
}

/// Reads the table from the primary or, where that is damaged, from the backup; every flaw is a fault.
pub(super) fn read<'a>(file: &'a File, disk_len: u64, faults: &mut Faults<'_>) -> Option<Partitions<'a>> {
    let mut disk = Window::new(file, 0, disk_len);
    let size = SectorSize::guess(&mut disk, disk_len).unwrap_or(SectorSize::B512);
    let found = match check_both(&mut disk, disk_len, size) {
        Ok(found) => found,
        Err(error) => {
            faults.add(chain(&error));
            return None;
        }
    };
    let last = (disk_len / size.bytes() - 1) * size.bytes();
    let mut judge = |what: &str, at: u64, flaw: &Flaw| faults.add_at(at, format!("{what}: {flaw}"));
    if let Err(flaw) = &found.mbr {
        judge("protective MBR", 0, flaw);
    }
    if let Err(flaw) = &found.primary {
        judge("primary table", size.bytes(), flaw);
    }
    if let Err(flaw) = &found.backup {
        judge("backup table", last, flaw);
    }
    let table = match (found.primary, found.backup) {
        (Ok(primary), Ok(backup)) => {
            if primary != backup {
                faults.add_at(last, "backup table: it is not the same as the primary");
            }
            primary
        }
        (Ok(table), Err(_)) | (Err(_), Ok(table)) => table,
        (Err(_), Err(_)) => return None,
    };
    check_layout(&table, faults);
    Some(Partitions { file, disk_len, table })
}

fn check_layout(table: &Table, faults: &mut Faults<'_>) {
    for wanted in Partition::ALL {
        let found = table.partitions().iter().find(|partition| partition.number.get() == wanted.number());
        let (number, label) = (wanted.number(), wanted.label());
        match found {
            None => faults.add(format!("partition {number} ({label}) is missing")),
            Some(found) => {
                if found.label != label {
                    faults.add(format!("partition {number} is called {:?}, not {label:?}", found.label));
                }
                if found.type_guid.to_string() != wanted.type_guid() {
                    let (got, want) = (found.type_guid, wanted.type_guid());
                    faults.add(format!("partition {number} ({label}) has the type {got}, not {want}"));
                }
            }
        }
    }
}

impl<'a> Partitions<'a> {
    /// The disk's identifier.
    pub fn disk_guid(&self) -> String {
        self.table.disk_guid().to_string()
    }

    /// All of them, for the report.
    pub fn facts(&self) -> Vec<PartitionFacts> {
        let size = self.table.sector_size();
        let facts = self.table.partitions().iter().map(|partition| PartitionFacts {
            number: partition.number.get(),
            label: partition.label.to_string(),
            start: partition.first_lba.offset(size),
            bytes: (partition.last_lba.0 - partition.first_lba.0 + 1) * size.bytes(),
            guid: partition.guid.to_string(),
        });
        facts.collect()
    }

    /// The content of a partition of the layout. `None`, and a fault, where it is not wholly on the disk.
    pub fn window(&self, wanted: Partition, faults: &mut Faults<'_>) -> Option<Window<'a>> {
        let facts = self.facts().into_iter().find(|facts| facts.number == wanted.number())?;
        let is_there = facts.start.checked_add(facts.bytes).is_some_and(|end| end <= self.disk_len);
        if !is_there {
            faults.add("the partition reaches past the end of the disk");
        }
        is_there.then(|| Window::new(self.file, facts.start, facts.bytes))
    }
}
