//! Either copy alone gives the table back, and no flipped byte goes unseen.

mod common;

use std::io::Cursor;

use common::{MIB, disk, table};
use coracle_gpt::{Error, Flaw, SectorSize, Side, Table, check_both};

const SIZES: [SectorSize; 2] = [SectorSize::B512, SectorSize::B4096];

fn read(disk: &[u8], size: SectorSize) -> Result<(Table, Side), Error> {
    Table::read(&mut Cursor::new(disk), disk.len() as u64, size)
}

#[test]
fn what_is_written_is_read() {
    for size in SIZES {
        let table = table(size, 6 * MIB);
        let disk = disk(&table, 6 * MIB);
        assert_eq!(read(&disk, size).expect("whole"), (table, Side::Primary));
        let both = check_both(&mut Cursor::new(&disk), 6 * MIB, size).expect("large enough");
        assert!(both.is_sound(), "{both:?}");
        assert_eq!(SectorSize::guess(&mut Cursor::new(&disk), 6 * MIB), Some(size));
    }
}

#[test]
fn every_flipped_header_byte_is_found_in_either_copy() {
    for size in SIZES {
        let table = table(size, 6 * MIB);
        let mut disk = disk(&table, 6 * MIB);
        let sector = size.bytes() as usize;
        let last = disk.len() - sector;
        for at in 0..92 {
            disk[sector + at] ^= 1;
            assert_eq!(read(&disk, size).expect("backup"), (table.clone(), Side::Backup), "byte {at}");
            disk[last + at] ^= 0x10;
            assert!(matches!(read(&disk, size), Err(Error::NoCopy { .. })), "byte {at}");
            disk[sector + at] ^= 1;
            let both = check_both(&mut Cursor::new(&disk), 6 * MIB, size).expect("large enough");
            assert!(both.primary.is_ok() && both.backup.is_err() && !both.is_sound(), "byte {at}");
            disk[last + at] ^= 0x10;
        }
    }
}

#[test]
fn flipped_array_bytes_are_found() {
    let table = table(SectorSize::B512, 6 * MIB);
    let mut disk = disk(&table, 6 * MIB);
    for at in (1024..1024 + 128 * 128).step_by(37) {
        disk[at] ^= 4;
        assert_eq!(read(&disk, SectorSize::B512).expect("backup").1, Side::Backup, "byte {at}");
        let both = check_both(&mut Cursor::new(&disk), 6 * MIB, SectorSize::B512).expect("large enough");
        assert!(matches!(both.primary, Err(Flaw::ArrayCrc { .. })), "byte {at}");
        disk[at] ^= 4;
    }
}

#[test]
fn no_protective_mbr_no_table() {
    for at in [450, 454, 510, 511] {
        let mut disk = disk(&table(SectorSize::B512, 6 * MIB), 6 * MIB);
        disk[at] ^= 1;
        assert!(matches!(read(&disk, SectorSize::B512), Err(Error::Mbr(Flaw::Mbr))), "byte {at}");
    }
}

#[test]
fn a_grown_disk_is_read_and_a_cut_one_is_not() {
    let table = table(SectorSize::B512, 6 * MIB);
    let mut image = disk(&table, 6 * MIB);
    image.resize(9 * MIB as usize, 0);
    assert_eq!(read(&image, SectorSize::B512).expect("primary"), (table, Side::Primary));
    image.truncate(5 * MIB as usize);
    assert!(matches!(read(&image, SectorSize::B512), Err(Error::NoCopy { .. })));
    for len in [0, 511, 1024, 1536, 4096] {
        assert!(read(&image[..len], SectorSize::B512).is_err(), "{len} bytes");
    }
}
