//! Whatever a disk holds, reading it neither panics nor gives a table that cannot be written back.

mod common;

use std::io::Cursor;

use common::{MIB, disk, table};
use coracle_gpt::{SectorSize, Side, Table, apply, check_both};
use proptest::prelude::*;

/// The last sector of the test disk, which is kept short.
const SECTORS: usize = 10 * 2048;

fn read_all(disk: &[u8]) {
    for size in [SectorSize::B512, SectorSize::B4096] {
        let len = disk.len() as u64;
        SectorSize::guess(&mut Cursor::new(disk), len);
        let _ = check_both(&mut Cursor::new(disk), len, size); // only a panic would be wrong
        if let Ok((table, side)) = Table::read(&mut Cursor::new(disk), len, size) {
            let mut copy = Cursor::new(disk.to_vec());
            apply(&table.steps(side), &mut copy, |_| Ok(())).expect("memory takes everything");
            let (again, _) = Table::read(&mut copy, table.disk_bytes(), size).expect("own table");
            assert_eq!(again, table);
        }
    }
}

/// Makes both checksums of a header hold again, so that what lies behind them is reached.
fn reseal(disk: &mut [u8], header: usize, array: usize) {
    let array_crc = crc32fast::hash(&disk[array..array + 128 * 128]);
    disk[header + 88..header + 92].copy_from_slice(&array_crc.to_le_bytes());
    disk[header + 16..header + 20].fill(0);
    let crc = crc32fast::hash(&disk[header..header + 92]);
    disk[header + 16..header + 20].copy_from_slice(&crc.to_le_bytes());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn arbitrary_bytes_never_panic(disk in proptest::collection::vec(any::<u8>(), 0..8192)) {
        read_all(&disk);
    }

    #[test]
    fn edited_tables_with_valid_checksums_never_panic(
        header_edits in proptest::collection::vec((24usize..88, any::<u8>()), 0..4),
        entry_edits in proptest::collection::vec((0usize..1024, any::<u8>()), 0..6),
    ) {
        let mut disk = disk(&table(SectorSize::B512, 10 * MIB), 10 * MIB);
        let last = (SECTORS - 1) * 512;
        for (header, array) in [(512, 1024), (last, last - 32 * 512)] {
            for (at, value) in &header_edits {
                disk[header + at] = *value;
            }
            for (at, value) in &entry_edits {
                disk[array + at] = *value;
            }
            reseal(&mut disk, header, array);
        }
        read_all(&disk);
    }

    #[test]
    fn extreme_addresses_never_panic(which in 0usize..7, value in prop_oneof![Just(u64::MAX), Just(u64::MAX - 31), Just(0), any::<u64>()]) {
        let mut disk = disk(&table(SectorSize::B512, 10 * MIB), 10 * MIB);
        let last = (SECTORS - 1) * 512;
        for (header, array) in [(512, 1024), (last, last - 32 * 512)] {
            let at = [header + 24, header + 32, header + 40, header + 48, header + 72, array + 32, array + 40][which];
            disk[at..at + 8].copy_from_slice(&value.to_le_bytes());
            reseal(&mut disk, header, array);
        }
        read_all(&disk);
        let found = Table::read(&mut Cursor::new(&disk), 10 * MIB, SectorSize::B512);
        if let Ok((_, side)) = found {
            prop_assert!(matches!(side, Side::Primary | Side::Backup));
        }
    }
}
