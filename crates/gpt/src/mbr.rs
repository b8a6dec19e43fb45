//! The protective MBR, which keeps tools that know no GPT from taking the disk for empty.
//!
//! | offset | bytes | field                      | here                                             |
//! |-------:|------:|----------------------------|--------------------------------------------------|
//! |      0 |   446 | boot code, signature       | zeros                                            |
//! |    446 |     1 | status of entry 1          | 0                                                |
//! |    447 |     3 | first CHS                  | 00 02 00                                         |
//! |    450 |     1 | type                       | 0xee                                             |
//! |    451 |     3 | last CHS                   | ff ff ff                                         |
//! |    454 |     4 | first sector               | 1                                                |
//! |    458 |     4 | sectors                    | the disk's less one, at most 0xffffffff          |
//! |    462 |    48 | entries 2 to 4             | zeros                                            |
//! |    510 |     2 | signature                  | 55 aa                                            |

use std::io::{Read, Seek};

use crate::error::Flaw;
use crate::header::read_at;
use crate::table::Table;

const MBR_BYTES: usize = 512;
const ENTRIES_AT: usize = 446;
const ENTRY_BYTES: usize = 16;
const PROTECTIVE: u8 = 0xee;
const SIGNATURE: [u8; 2] = [0x55, 0xaa];

/// Sector 0 for a table, zeros behind the 512 bytes.
pub(crate) fn encode(table: &Table) -> Vec<u8> {
    let mut mbr = vec![0; table.sector_size().bytes() as usize];
    let count = u32::try_from(table.last().0).unwrap_or(u32::MAX);
    let entry = &mut mbr[ENTRIES_AT..ENTRIES_AT + ENTRY_BYTES];
    entry[..8].copy_from_slice(&[0, 0, 2, 0, PROTECTIVE, 0xff, 0xff, 0xff]);
    entry[8..12].copy_from_slice(&1u32.to_le_bytes());
    entry[12..].copy_from_slice(&count.to_le_bytes());
    mbr[510..512].copy_from_slice(&SIGNATURE);
    mbr
}

/// Looks for a protective entry from sector 1 in any place. Its length is not held to the disk's: copied and grown disks differ.
pub(crate) fn check(disk: &mut (impl Read + Seek)) -> Result<(), Flaw> {
    let mut mbr = [0; MBR_BYTES];
    read_at(disk, 0, &mut mbr)?;
    let mut entries = mbr[ENTRIES_AT..510].chunks_exact(ENTRY_BYTES);
    let protective = entries.any(|entry| entry[4] == PROTECTIVE && entry[8..12] == 1u32.to_le_bytes());
    if protective && mbr[510..] == SIGNATURE { Ok(()) } else { Err(Flaw::Mbr) }
}
