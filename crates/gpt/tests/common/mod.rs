//! Small tables and disks in memory.

use std::io::Cursor;

use coracle_gpt::{Guid, Lba, Number, Partition, SectorSize, Side, Table, apply};

pub const MIB: u64 = 1 << 20;

/// Partitions 1, 2 and 7, as on a disk where some were removed, on whole MiB; number 2 lies last.
pub fn table(size: SectorSize, disk_bytes: u64) -> Table {
    let mib = MIB / size.bytes();
    let partition = |number, first: u64, last: u64, label: &str| Partition {
        number: Number::new(number).expect("in range"),
        type_guid: Guid::from_u128(0x0fc63daf_8483_4772_8e79_3d69d8477de4),
        guid: Guid::from_u128(0x6b1d_2c3e_4f50_4a61_8b72_9c83_0da4_1eb0 + u128::from(number)),
        first_lba: Lba(first * mib),
        last_lba: Lba(last * mib - 1),
        attributes: u64::from(number) << 60 | 1,
        label: label.parse().expect("a label"),
    };
    let partitions =
        vec![partition(1, 1, 2, "esp"), partition(7, 2, 3, "caf\u{e9}"), partition(2, 3, 4, "state")];
    Table::new(Guid::from_u128(0x8a0f_4b5c_6d7e_4f80_91a2_b3c4_d5e6_f708), size, disk_bytes, partitions)
        .expect("a valid table")
}

/// A zeroed disk with this table on it.
pub fn disk(table: &Table, disk_bytes: u64) -> Vec<u8> {
    let mut disk = Cursor::new(vec![0; disk_bytes as usize]);
    apply(&table.steps(Side::Primary), &mut disk, |_| Ok(())).expect("memory takes everything");
    disk.into_inner()
}
