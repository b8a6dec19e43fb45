//! Power lost after any sector of any rewrite leaves the old or the new table.

mod common;

use std::io::Cursor;

use common::{MIB, disk, table};
use coracle_gpt::{Growth, Guid, SectorSize, Side, Step, Table};

/// Every state of the disk between two single-sector writes, those between two flushes in the given order or its reverse.
fn states(disk: &[u8], steps: &[Step], sector: usize, reverse: bool, mut see: impl FnMut(&[u8])) -> Vec<u8> {
    let mut disk = disk.to_vec();
    for group in steps.split(|step| *step == Step::Flush) {
        let mut sectors: Vec<(usize, &[u8])> = Vec::new();
        for step in group {
            if let Step::Write { offset, bytes } = step {
                assert_eq!(bytes.len() % sector, 0, "whole sectors");
                sectors.extend((*offset as usize..).step_by(sector).zip(bytes.chunks(sector)));
            }
        }
        if reverse {
            sectors.reverse();
        }
        for (at, bytes) in sectors {
            see(&disk);
            disk[at..at + sector].copy_from_slice(bytes);
        }
    }
    see(&disk);
    disk
}

fn cut_everywhere(before: &[u8], old: &Table, new: &Table) {
    let size = old.sector_size();
    let read = |disk: &[u8]| Table::read(&mut Cursor::new(disk), disk.len() as u64, size);
    let (at_first, good) = read(before).expect("a table to begin with");
    assert_eq!(at_first, *old);
    for reverse in [false, true] {
        let after = states(before, &new.steps(good), size.bytes() as usize, reverse, |disk| {
            let (found, _) = read(disk).expect("a whole copy at every moment");
            assert!(found == *old || found == *new, "neither old nor new: {found:?}");
        });
        assert_eq!(read(&after).expect("whole"), (new.clone(), Side::Primary));
        let both = coracle_gpt::check_both(&mut Cursor::new(&after), after.len() as u64, size);
        assert!(both.expect("large enough").is_sound());
    }
}

/// New GUIDs everywhere, and the growth to this size.
fn changed(old: &Table, disk_bytes: u64) -> Table {
    let (mut new, mut next) = (old.clone(), 0x77);
    new.randomize(|| {
        next += 1;
        Guid::from_u128(next)
    });
    new.grow_last(disk_bytes).expect("not smaller");
    new
}

#[test]
fn rewriting_in_place_and_after_growth() {
    for size in [SectorSize::B512, SectorSize::B4096] {
        let old = table(size, 5 * MIB);
        // By one sector, so that the new backup lies over the old one; and by much.
        for bytes in [5 * MIB, 5 * MIB + size.bytes(), 8 * MIB] {
            let mut before = disk(&old, 5 * MIB);
            before.resize(bytes as usize, 0);
            cut_everywhere(&before, &old, &changed(&old, bytes));
        }
    }
}

#[test]
fn repairing_either_copy() {
    for size in [SectorSize::B512, SectorSize::B4096] {
        let old = table(size, 5 * MIB);
        let sector = size.bytes() as usize;
        for bad_header in [sector, 5 * MIB as usize - sector] {
            let mut before = disk(&old, 5 * MIB);
            before[bad_header..bad_header + sector].fill(0xff);
            cut_everywhere(&before, &old, &old);
            cut_everywhere(&before, &old, &changed(&old, 5 * MIB));
        }
    }
}

#[test]
fn a_blank_disk_has_no_table_until_it_has_the_new_one() {
    let new = table(SectorSize::B512, 5 * MIB);
    let blank = vec![0; 5 * MIB as usize];
    states(&blank, &new.steps(Side::Primary), 512, false, |disk| {
        if let Ok((found, _)) = Table::read(&mut Cursor::new(disk), 5 * MIB, SectorSize::B512) {
            assert_eq!(found, new);
        }
    });
}

#[test]
fn growth_survives_a_round_trip() {
    let mut grown = table(SectorSize::B512, 5 * MIB);
    assert!(matches!(grown.grow_last(9 * MIB).expect("larger"), Growth::Grown { .. }));
    let disk = disk(&grown, 9 * MIB);
    let (mut found, _) = Table::read(&mut Cursor::new(&disk), 9 * MIB, SectorSize::B512).expect("whole");
    assert_eq!(found, grown);
    assert_eq!(found.grow_last(9 * MIB).expect("same size"), Growth::None);
}
