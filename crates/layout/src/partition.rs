//! The partitions of a Coracle disk.
//!
//! | # | label | type | holds |
//! |---|---|---|---|
//! | 1 | `esp` | EFI system partition | FAT32 with systemd-boot and the UKIs |
//! | 2 | `root-a` | root, x86-64 | EROFS |
//! | 3 | `verity-a` | root verity, x86-64 | dm-verity hash tree of `root-a` |
//! | 4 | `root-b` | root, x86-64 | EROFS, empty until the first update |
//! | 5 | `verity-b` | root verity, x86-64 | dm-verity hash tree of `root-b` |
//! | 6 | `boot-record` | Coracle boot record | two raw [boot records](crate::boot_record) |
//! | 7 | `state` | variable data | ext4, mounted at `/var` |
//!
//! Type GUIDs are those of the UAPI Discoverable Partitions Specification; the boot record has one of its own.

use crate::Slot;

/// One partition of the layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Partition {
    /// The EFI system partition.
    Esp,
    /// A slot's root filesystem.
    Root(Slot),
    /// A slot's dm-verity hash tree.
    Verity(Slot),
    /// The two alternating boot records.
    BootRecord,
    /// What persists: `/var`.
    State,
}

impl Partition {
    /// Every partition, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Esp,
        Self::Root(Slot::A),
        Self::Verity(Slot::A),
        Self::Root(Slot::B),
        Self::Verity(Slot::B),
        Self::BootRecord,
        Self::State,
    ];

    /// Its number in the table, from 1.
    pub const fn number(self) -> u32 {
        match self {
            Self::Esp => 1,
            Self::Root(Slot::A) => 2,
            Self::Verity(Slot::A) => 3,
            Self::Root(Slot::B) => 4,
            Self::Verity(Slot::B) => 5,
            Self::BootRecord => 6,
            Self::State => 7,
        }
    }

    /// Its GPT partition name.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Esp => "esp",
            Self::Root(Slot::A) => "root-a",
            Self::Verity(Slot::A) => "verity-a",
            Self::Root(Slot::B) => "root-b",
            Self::Verity(Slot::B) => "verity-b",
            Self::BootRecord => "boot-record",
            Self::State => "state",
        }
    }

    /// Its GPT partition type, as the specification writes it.
    pub const fn type_guid(self) -> &'static str {
        match self {
            Self::Esp => "c12a7328-f81f-11d2-ba4b-00a0c93ec93b",
            Self::Root(_) => "4f68bce3-e8cd-4db1-96e7-fbcaf984b709",
            Self::Verity(_) => "2c7357ed-ebd2-46d9-aec1-23d437ec2bf5",
            Self::BootRecord => "d0f1b7a5-4c6e-4b0e-9c55-6f2a8d3f7e01",
            Self::State => "4d21b016-b534-45c2-a9fb-5c16e091fd2d",
        }
    }

    /// The partition of that name, if the layout has one.
    pub fn by_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|partition| partition.label() == label)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_follow_the_table_and_labels_are_found_again() {
        for (index, partition) in Partition::ALL.into_iter().enumerate() {
            assert_eq!(partition.number() as usize, index + 1);
            assert_eq!(Partition::by_label(partition.label()), Some(partition));
        }
        assert_eq!(Partition::by_label("root-c"), None);
    }

    #[test]
    fn both_slots_have_the_same_types() {
        assert_eq!(Partition::Root(Slot::A).type_guid(), Partition::Root(Slot::B).type_guid());
        assert_eq!(Partition::Verity(Slot::A).type_guid(), Partition::Verity(Slot::B).type_guid());
    }
}
