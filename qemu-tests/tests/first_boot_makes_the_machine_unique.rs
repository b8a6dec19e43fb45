//! The first boot gives disk, partitions, file system and machine identifiers of their own and takes the rest of the disk;
//! later boots keep them.

use coracle_layout::partition::Partition;
use coracle_qemu_tests::{Deadline, Error, Exit, Machine, Specimen};

const BOOT: u64 = 180;
const MACHINE_ID: &str = "/lib/coracle/init/machine-id";
/// Where the boot sector of a FAT32 volume has its serial number.
const VOLUME_ID: u64 = 67;
const GROWTH: u64 = 300 << 20;

/// Boots and switches off again; returns the console.
fn boot(specimen: &Specimen) -> Result<String, Error> {
    let mut machine = Machine::start(specimen.direct("")?)?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    Ok(machine.console().text())
}

/// Everything by which one machine is told from another: GUIDs of the table, serial number of the ESP, UUID of the state file
/// system, machine-id.
fn identifiers(specimen: &Specimen) -> Result<Vec<String>, Error> {
    let disk = specimen.disk()?;
    disk.check_state()?;
    let table = disk.table();
    assert!(table.disk_guid().is_random() && table.partitions().iter().all(|one| one.guid.is_random()));
    let machine_id = disk.state_file(MACHINE_ID)?.expect("there is one");
    let machine_id = String::from_utf8(machine_id).unwrap();
    assert_eq!(machine_id.trim_end().len(), 32, "{machine_id:?}");
    let uuid = disk.read(Partition::State, 1024 + 104, 16)?;
    let serial = disk.read(Partition::Esp, VOLUME_ID, 4)?;
    assert_eq!(disk.read(Partition::Esp, 6 * 512 + VOLUME_ID, 4)?, serial, "the boot sector's copy");
    disk.boot_entries()?;
    let guids = table.partitions().iter().map(|one| one.guid.to_string());
    let others =
        [table.disk_guid().to_string(), machine_id, format!("{uuid:02x?}"), format!("{serial:02x?}")];
    Ok(guids.chain(others).collect())
}

#[test]
fn identifiers_are_random_and_kept_and_the_disk_is_used_to_its_end() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let blank = specimen.disk()?;
    let (_, built) = blank.extent(Partition::State)?;
    blank.resize(blank.table().disk_bytes() + GROWTH)?;

    boot(&specimen)?;
    let first = identifiers(&specimen)?;
    let (_, grown) = specimen.disk()?.extent(Partition::State)?;
    assert_eq!(grown, built + GROWTH, "what was added to the disk");
    let blocks = specimen.disk()?.read(Partition::State, 1024 + 4, 4)?;
    let blocks = u32::from_le_bytes(blocks.try_into().unwrap());
    assert_eq!(u64::from(blocks), grown / 4096, "the file system fills its partition");

    let console = boot(&specimen)?;
    assert_eq!(identifiers(&specimen)?, first);
    for once in
        ["volume identified", "partition table written", "filesystem grown", "machine identifier made"]
    {
        assert!(!console.contains(once), "{once} again:\n{console}");
    }

    let other = Specimen::new("test")?;
    boot(&other)?;
    for (one, another) in first.iter().zip(identifiers(&other)?) {
        assert_ne!(*one, another, "two machines of one image");
    }
    Ok(())
}
