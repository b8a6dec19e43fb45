//! Header and array of one copy, little-endian.
//!
//! | offset | bytes | header field               | here                                       |
//! |-------:|------:|----------------------------|--------------------------------------------|
//! |      0 |     8 | `Signature`                | `EFI PART`                                 |
//! |      8 |     4 | `Revision`                 | 0x00010000                                 |
//! |     12 |     4 | `HeaderSize`               | 92                                         |
//! |     16 |     4 | `HeaderCRC32`              | of the 92 bytes, itself taken as zero      |
//! |     20 |     4 | `Reserved`                 | 0                                          |
//! |     24 |     8 | `MyLBA`                    | 1, or the last sector                      |
//! |     32 |     8 | `AlternateLBA`             | the other one                              |
//! |     40 |     8 | `FirstUsableLBA`           |                                            |
//! |     48 |     8 | `LastUsableLBA`            | inclusive                                  |
//! |     56 |    16 | `DiskGUID`                 |                                            |
//! |     72 |     8 | `PartitionEntryLBA`        | first sector of the array                  |
//! |     80 |     4 | `NumberOfPartitionEntries` | read: 1 ..= 128, written: 128              |
//! |     84 |     4 | `SizeOfPartitionEntry`     | 128                                        |
//! |     88 |     4 | `PartitionEntryArrayCRC32` | of all entries                             |
//!
//! | offset | bytes | entry field           | here                                            |
//! |-------:|------:|-----------------------|-------------------------------------------------|
//! |      0 |    16 | `PartitionTypeGUID`   | zero: unused                                    |
//! |     16 |    16 | `UniquePartitionGUID` |                                                 |
//! |     32 |     8 | `StartingLBA`         |                                                 |
//! |     40 |     8 | `EndingLBA`           | inclusive                                       |
//! |     48 |     8 | `Attributes`          |                                                 |
//! |     56 |    72 | `PartitionName`       | UTF-16, zeros after                             |

use crc::{CRC_32_ISO_HDLC, Crc, NoTable};
use std::io::{self, Read, Seek, SeekFrom};

use crate::disk::{Lba, SectorSize};
use crate::error::{Error, Flaw, Side};
use crate::guid::Guid;
use crate::label::Label;
use crate::table::{Number, Partition, Table};

/// CRC-32 (IEEE) without a table: the inputs are short, and a table would be as long as what reads them.
const CRC32: Crc<u32, NoTable> = Crc::<u32, NoTable>::new(&CRC_32_ISO_HDLC);
/// The most entries that are read, and the count that is written.
pub(crate) const MAX_ENTRIES: u32 = 128;

/// Bytes of a full array.
pub(crate) const ARRAY_BYTES: usize = MAX_ENTRIES as usize * ENTRY_BYTES;

const ENTRY_BYTES: usize = 128;
const HEADER_BYTES: usize = 92;
const SIGNATURE: [u8; 8] = *b"EFI PART";
const REVISION: u32 = 0x0001_0000;
const CRC_AT: usize = 16;

/// Whether a header may begin at this offset; what cannot be read has none.
pub(crate) fn has_signature(disk: &mut (impl Read + Seek), offset: u64) -> bool {
    let mut found = [0; 8];
    read_at(disk, offset, &mut found).is_ok() && found == SIGNATURE
}

/// Reads a range, at most an array long.
pub(crate) fn read_at(disk: &mut (impl Read + Seek), offset: u64, into: &mut [u8]) -> Result<(), Flaw> {
    let read = disk.seek(SeekFrom::Start(offset)).and_then(|_| disk.read_exact(into));
    read.map_err(|cause: io::Error| Flaw::Read { offset, len: into.len(), cause })
}

/// The array of a table, all 128 entries.
pub(crate) fn encode_array(table: &Table) -> Vec<u8> {
    let mut array = vec![0; ARRAY_BYTES];
    let mut entries: Vec<_> = array.chunks_exact_mut(ENTRY_BYTES).collect();
    for partition in table.partitions() {
        let entry = &mut entries[partition.number.index()];
        entry[..16].copy_from_slice(&partition.type_guid.to_disk());
        entry[16..32].copy_from_slice(&partition.guid.to_disk());
        entry[32..40].copy_from_slice(&partition.first_lba.0.to_le_bytes());
        entry[40..48].copy_from_slice(&partition.last_lba.0.to_le_bytes());
        entry[48..56].copy_from_slice(&partition.attributes.to_le_bytes());
        entry[56..].copy_from_slice(&partition.label.to_disk());
    }
    array
}

/// The first sector of the array that we write for one copy.
pub(crate) fn array_lba(table: &Table, side: Side) -> Lba {
    match side {
        Side::Primary => Lba(2),
        Side::Backup => Lba(table.last_usable().0 + 1),
    }
}

/// The header sector of one copy, zeros behind the 92 bytes.
pub(crate) fn encode_header(table: &Table, side: Side, array: &[u8]) -> Vec<u8> {
    let (mine, other) = match side {
        Side::Primary => (Lba(1), table.last()),
        Side::Backup => (table.last(), Lba(1)),
    };
    let mut header = Vec::with_capacity(table.sector_size().bytes() as usize);
    header.extend(SIGNATURE);
    header.extend(REVISION.to_le_bytes());
    header.extend((HEADER_BYTES as u32).to_le_bytes());
    header.extend([0; 8]);
    for lba in [mine, other, table.first_usable(), table.last_usable()] {
        header.extend(lba.0.to_le_bytes());
    }
    header.extend(table.disk_guid().to_disk());
    header.extend(array_lba(table, side).0.to_le_bytes());
    header.extend(MAX_ENTRIES.to_le_bytes());
    header.extend((ENTRY_BYTES as u32).to_le_bytes());
    header.extend(CRC32.checksum(array).to_le_bytes());
    let crc = CRC32.checksum(&header);
    header[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    header.resize(table.sector_size().bytes() as usize, 0);
    header
}

/// Reads and checks one copy on a disk of `sectors` sectors, at least three.
pub(crate) fn read_copy(
    disk: &mut (impl Read + Seek),
    size: SectorSize,
    sectors: u64,
    side: Side,
) -> Result<Table, Flaw> {
    let at = match side {
        Side::Primary => Lba(1),
        Side::Backup => Lba(sectors - 1),
    };
    let mut bytes = [0; HEADER_BYTES];
    read_at(disk, at.offset(size), &mut bytes)?;
    let header = Header::parse(&bytes)?;
    header.check_place(size, sectors, side, at)?;

    let mut array = vec![0; header.array_bytes()];
    read_at(disk, Lba(header.array_lba).offset(size), &mut array)?;
    let got = CRC32.checksum(&array);
    if got != header.array_crc {
        return Err(Flaw::ArrayCrc { want: header.array_crc, got });
    }
    let end = if side == Side::Primary { header.alternate } else { header.mine };
    let entries = |error| Flaw::Entries(Box::new(error));
    let partitions = parse_array(&array).map_err(entries)?;
    Table::new(header.disk_guid, size, (end + 1) * size.bytes(), partitions).map_err(entries)
}

/// The fields of a header whose checksum holds.
struct Header {
    mine: u64,
    alternate: u64,
    first_usable: u64,
    last_usable: u64,
    disk_guid: Guid,
    array_lba: u64,
    entries: u32,
    array_crc: u32,
}

impl Header {
    fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Flaw> {
        if field::<8, _>(bytes, 0) != SIGNATURE {
            return Err(Flaw::Signature);
        }
        let u32_at = |at| u32::from_le_bytes(field(bytes, at));
        let u64_at = |at| u64::from_le_bytes(field(bytes, at));
        expect(u32_at(8) == REVISION, "Revision", u32_at(8).into())?;
        expect(u32_at(12) == HEADER_BYTES as u32, "HeaderSize", u32_at(12).into())?;
        let mut summed = *bytes;
        summed[CRC_AT..CRC_AT + 4].fill(0);
        let (want, got) = (u32_at(CRC_AT), CRC32.checksum(&summed));
        if want != got {
            return Err(Flaw::HeaderCrc { want, got });
        }
        let entries = u32_at(80);
        expect((1..=MAX_ENTRIES).contains(&entries), "NumberOfPartitionEntries", entries.into())?;
        expect(u32_at(84) == ENTRY_BYTES as u32, "SizeOfPartitionEntry", u32_at(84).into())?;
        Ok(Self {
            mine: u64_at(24),
            alternate: u64_at(32),
            first_usable: u64_at(40),
            last_usable: u64_at(48),
            disk_guid: Guid::from_disk(field(bytes, 56)),
            array_lba: u64_at(72),
            entries,
            array_crc: u32_at(88),
        })
    }

    fn array_bytes(&self) -> usize {
        self.entries as usize * ENTRY_BYTES
    }

    /// The header lies where it says, and its parts follow each other on this disk.
    fn check_place(&self, size: SectorSize, sectors: u64, side: Side, at: Lba) -> Result<(), Flaw> {
        expect(self.mine == at.0, "MyLBA", self.mine)?;
        let array_sectors = (self.array_bytes() as u64).div_ceil(size.bytes());
        // Each bound is below the number of sectors once the one before it holds, so no sum overflows.
        match side {
            Side::Primary => {
                expect(self.alternate > 1 && self.alternate < sectors, "AlternateLBA", self.alternate)?;
                expect(self.last_usable < self.alternate, "LastUsableLBA", self.last_usable)?;
            }
            Side::Backup => {
                expect(self.alternate == 1, "AlternateLBA", self.alternate)?;
                expect(self.last_usable < self.mine, "LastUsableLBA", self.last_usable)?;
            }
        }
        expect(
            self.first_usable > 1 && self.first_usable <= self.last_usable,
            "FirstUsableLBA",
            self.first_usable,
        )?;
        let (above, below) = match side {
            Side::Primary => (1, self.first_usable),
            Side::Backup => (self.last_usable, self.mine),
        };
        let fits =
            self.array_lba > above && self.array_lba < below && self.array_lba + array_sectors <= below;
        expect(fits, "PartitionEntryLBA", self.array_lba)
    }
}

fn parse_array(array: &[u8]) -> Result<Vec<Partition>, Error> {
    let mut partitions = Vec::new();
    for (number, entry) in (1..).zip(array.as_chunks::<ENTRY_BYTES>().0) {
        let type_guid = Guid::from_disk(field(entry, 0));
        if type_guid != Guid::ZERO {
            partitions.push(Partition {
                number: Number::new(number)?,
                type_guid,
                guid: Guid::from_disk(field(entry, 16)),
                first_lba: Lba(u64::from_le_bytes(field(entry, 32))),
                last_lba: Lba(u64::from_le_bytes(field(entry, 40))),
                attributes: u64::from_le_bytes(field(entry, 48)),
                label: Label::from_disk(&field(entry, 56)),
            });
        }
    }
    Ok(partitions)
}

fn expect(holds: bool, field: &'static str, value: u64) -> Result<(), Flaw> {
    if holds { Ok(()) } else { Err(Flaw::Field { field, value }) }
}

/// `N` bytes at a constant offset inside a structure of `L` bytes.
fn field<const N: usize, const L: usize>(bytes: &[u8; L], at: usize) -> [u8; N] {
    std::array::from_fn(|i| bytes[at + i])
}
