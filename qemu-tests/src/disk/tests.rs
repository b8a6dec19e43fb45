use coracle_gpt::{Guid, Label, Lba, Number, apply};
use coracle_layout::{RootHash, Slot};
use tempfile::TempDir;

use super::*;

const MIB: u64 = 1 << 20;

/// A disk of 16 MiB with a boot record and a state partition that holds `/lib/one`.
fn disk() -> (TempDir, Disk) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("disk");
    let mut file = File::options().read(true).write(true).create_new(true).open(&path).unwrap();
    file.set_len(16 * MIB).unwrap();
    let entry = |partition: Partition, first: u64, last: u64| coracle_gpt::Partition {
        number: Number::new(partition.number()).unwrap(),
        type_guid: Guid::from_u128(1),
        guid: Guid::from_u128(2),
        first_lba: Lba(first),
        last_lba: Lba(last),
        attributes: 0,
        label: partition.label().parse::<Label>().unwrap(),
    };
    let partitions =
        vec![entry(Partition::BootRecord, 2048, 4095), entry(Partition::State, 4096, 4096 * 7 - 1)];
    let table = Table::new(Guid::from_u128(3), SectorSize::B512, 16 * MIB, partitions).unwrap();
    apply(&table.steps(coracle_gpt::Side::Primary), &mut file, |file| file.sync_data()).unwrap();

    let content = folder.path().join("content");
    fs::create_dir_all(content.join("lib")).unwrap();
    fs::write(content.join("lib/one"), "uno\n").unwrap();
    let options = format!("offset={}", 2 * MIB);
    let mut mkfs = Command::new("mkfs.ext4");
    mkfs.args(["-q", "-E", &options, "-d"]).arg(&content).arg(&path).arg("12M");
    successful(&mut mkfs).unwrap();
    let disk = Disk::open(&path).unwrap();
    (folder, disk)
}

#[test]
fn files_of_the_state_partition_are_read_in_place() {
    let (_folder, disk) = disk();
    assert_eq!(disk.state_file("/lib/one").unwrap(), Some(b"uno\n".to_vec()));
    assert_eq!(disk.state_file("/lib/two").unwrap(), None);
    assert_eq!(disk.state_file("/nowhere/two").unwrap(), None);
    assert_eq!(disk.state_names("/lib").unwrap(), ["one"]);
    assert_eq!(disk.state_names("/").unwrap(), ["lib", "lost+found"]);
    assert!(disk.state_names("/nowhere").unwrap().is_empty());
}

#[test]
fn damage_to_the_state_partition_is_found() {
    let (_folder, disk) = disk();
    disk.check_state().unwrap();
    disk.replay_journal().unwrap();
    disk.flip(Partition::State, 1024).unwrap();
    assert!(matches!(disk.check_state(), Err(Error::Program { program, .. }) if program == "e2fsck"));
    disk.flip(Partition::State, 1024).unwrap();
    disk.check_state().unwrap();
    disk.write(Partition::State, 0, &vec![0; MIB as usize]).unwrap();
    assert!(disk.check_state().is_err() && disk.state_file("/lib/one").is_err());
}

#[test]
fn the_boot_record_is_the_newer_copy() {
    let (_folder, disk) = disk();
    assert_eq!(disk.boot_record().unwrap(), BootRecord::default());
    let root = RootHash::new([7; 32]);
    let mut record = BootRecord::default();
    for attempts in 1..4 {
        record.begin(root);
        let write = record.next_write();
        disk.write(Partition::BootRecord, write.offset, &write.bytes).unwrap();
        assert_eq!(disk.boot_record().unwrap().entry(&root).unwrap().attempts, attempts);
    }
}

#[test]
fn what_is_not_there_is_named() {
    let (folder, disk) = disk();
    assert!(matches!(disk.extent(Partition::Root(Slot::A)), Err(Error::NoPartition { label: "root-a", .. })));
    assert_eq!(disk.extent(Partition::BootRecord).unwrap(), (MIB, MIB));
    disk.resize(MIB).unwrap();
    assert!(matches!(disk.read(Partition::State, 0, 1), Err(Error::File { operation: "read", .. })));
    let blank = folder.path().join("blank");
    fs::write(&blank, vec![0; MIB as usize]).unwrap();
    assert!(matches!(Disk::open(&blank), Err(Error::Table { .. })));
}

#[test]
fn a_copy_is_equal_and_its_own() {
    let (folder, disk) = disk();
    let path = folder.path().join("copy");
    copy(&disk.path, &path).unwrap();
    let other = Disk::open(&path).unwrap();
    assert_eq!(other.table(), disk.table());
    other.flip(Partition::BootRecord, 0).unwrap();
    assert_eq!(disk.read(Partition::BootRecord, 0, 1).unwrap(), [0]);
    assert!(matches!(copy(&folder.path().join("none"), &path), Err(Error::Program { .. })));
}
