//! Reading a table from whichever copy is whole.

use std::io::{Read, Seek};

use crate::disk::SectorSize;
use crate::error::{Error, Flaw, Side};
use crate::header::read_copy;
use crate::mbr;
use crate::table::Table;

/// Three sectors: fewer have no place for an MBR and two headers.
const LEAST_SECTORS: u64 = 3;

impl Table {
    /// Reads the primary or, if that is not whole, the backup in the last sector, and says which it was.
    ///
    /// Nothing in a bad primary is believed, so its word on where the backup lies is not asked. At most 33 KiB are read.
    pub fn read(
        disk: &mut (impl Read + Seek),
        disk_bytes: u64,
        sector_size: SectorSize,
    ) -> Result<(Self, Side), Error> {
        let sectors = sectors(disk_bytes, sector_size)?;
        mbr::check(disk).map_err(Error::Mbr)?;
        let primary = match read_copy(disk, sector_size, sectors, Side::Primary) {
            Ok(table) => return Ok((table, Side::Primary)),
            Err(flaw) => Box::new(flaw),
        };
        match read_copy(disk, sector_size, sectors, Side::Backup) {
            Ok(table) => Ok((table, Side::Backup)),
            Err(flaw) => Err(Error::NoCopy { primary, backup: Box::new(flaw) }),
        }
    }
}

/// The state of everything that makes up a table on a disk.
#[derive(Debug)]
pub struct Inspection {
    /// The protective MBR.
    pub mbr: Result<(), Flaw>,
    /// The copy at the start.
    pub primary: Result<Table, Flaw>,
    /// The copy in the last sector.
    pub backup: Result<Table, Flaw>,
}

impl Inspection {
    /// Whether nothing needs repair: all is whole and both copies say the same.
    pub fn is_sound(&self) -> bool {
        match (&self.mbr, &self.primary, &self.backup) {
            (Ok(()), Ok(primary), Ok(backup)) => primary == backup,
            _ => false,
        }
    }
}

/// Reads both copies, for reports. Only a disk too small for them is an error.
pub fn check_both(
    disk: &mut (impl Read + Seek),
    disk_bytes: u64,
    sector_size: SectorSize,
) -> Result<Inspection, Error> {
    let sectors = sectors(disk_bytes, sector_size)?;
    Ok(Inspection {
        mbr: mbr::check(disk),
        primary: read_copy(disk, sector_size, sectors, Side::Primary),
        backup: read_copy(disk, sector_size, sectors, Side::Backup),
    })
}

fn sectors(disk_bytes: u64, sector_size: SectorSize) -> Result<u64, Error> {
    let sectors = disk_bytes / sector_size.bytes();
    if sectors < LEAST_SECTORS { Err(Error::SmallDisk { bytes: disk_bytes }) } else { Ok(sectors) }
}
