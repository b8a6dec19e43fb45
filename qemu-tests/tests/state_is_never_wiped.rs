//! State that cannot be used is left as it is, to the last byte: the machine says so and holds its workloads, unless its
//! recipe prefers to go on in memory.

use coracle_gpt::{Side, Table, apply};
use coracle_layout::partition::Partition;
use coracle_qemu_tests::disk::Disk;
use coracle_qemu_tests::{Deadline, Error, Exit, Machine, Specimen, http};

const BOOT: u64 = 180;
const MACHINE_ID: &str = "/lib/coracle/init/machine-id";
const UNUSABLE: &str = "coracle: the state partition cannot be used";

/// The state partition before anything is done to it; boots only differ in the damage.
fn content(disk: &Disk) -> Result<Vec<u8>, Error> {
    let (_, len) = disk.extent(Partition::State)?;
    disk.read(Partition::State, 0, len as usize)
}

/// Takes out what makes it a file system, as a wrong write to the disk's start of it would.
fn corrupt(disk: &Disk) -> Result<(), Error> {
    disk.write(Partition::State, 1024, &[0xff; 1024])
}

#[test]
fn corrupt_state_holds_the_workloads_and_stays_as_it_is() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    corrupt(&specimen.disk()?)?;
    let before = content(&specimen.disk()?)?;
    let mut machine = Machine::start(specimen.direct("")?)?;
    machine.wait_for(UNUSABLE, Deadline::seconds(BOOT))?;
    machine.wait_for("coracle: recovery mode: workloads are held", Deadline::seconds(BOOT))?;
    machine.wait_for("RECOVERY", Deadline::seconds(BOOT))?;
    machine.wait_for("coracle: running name=netd", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    assert!(machine.console().find("name=confined").is_none(), "no pod was touched");
    assert!(content(&specimen.disk()?)? == before, "not one byte");
    Ok(())
}

#[test]
fn corrupt_state_is_left_alone_where_the_recipe_goes_on_in_memory() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    corrupt(&specimen.disk()?)?;
    let before = content(&specimen.disk()?)?;
    let mut machine = Machine::start(specimen.direct("coracle.state=volatile")?)?;
    machine.wait_for(UNUSABLE, Deadline::seconds(BOOT))?;
    machine.wait_for("IN MEMORY", Deadline::seconds(BOOT))?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    assert!(content(&specimen.disk()?)? == before, "not one byte");
    Ok(())
}

#[test]
fn a_missing_partition_is_not_made() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let table = specimen.disk()?.table().clone();
    let others = table.partitions().iter().filter(|one| one.number.get() != Partition::State.number());
    let without =
        Table::new(table.disk_guid(), table.sector_size(), table.disk_bytes(), others.cloned().collect())
            .unwrap();
    let mut file = std::fs::File::options().read(true).write(true).open(specimen.path()).unwrap();
    apply(&without.steps(Side::Primary), &mut file, |file| file.sync_data()).unwrap();

    let mut machine = Machine::start(specimen.direct("")?)?;
    machine.wait_for(UNUSABLE, Deadline::seconds(BOOT))?;
    machine.wait_for("RECOVERY", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    assert!(matches!(specimen.disk()?.extent(Partition::State), Err(Error::NoPartition { .. })));
    Ok(())
}

/// Takes the last MiB of the disk away, and with it the end of the file system; returns what is left.
fn cut(specimen: &Specimen) -> Result<u64, Error> {
    let disk = specimen.disk()?;
    let len = disk.table().disk_bytes() - (1 << 20);
    disk.resize(len)?;
    Ok(len)
}

#[test]
fn a_disk_that_lost_its_end_is_refused_as_a_whole() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    cut(&specimen)?;
    let before = std::fs::read(specimen.path()).unwrap();
    let mut machine = Machine::start(specimen.direct("rootwait=2")?)?;
    assert_eq!(machine.wait_exit(Deadline::seconds(BOOT))?, Exit::Reset);
    let console = machine.console().text();
    assert!(console.contains("coracle: stage 1 failed") && console.contains("AlternateLBA"), "{console}");
    assert!(std::fs::read(specimen.path()).unwrap() == before, "not one byte");
    Ok(())
}

#[test]
fn a_partition_smaller_than_its_file_system_holds_the_workloads() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let table = specimen.disk()?.table().clone();
    let len = cut(&specimen)?;
    let mut partitions = table.partitions().to_vec();
    let state = partitions.iter_mut().find(|one| one.number.get() == Partition::State.number()).unwrap();
    state.last_lba.0 -= (1 << 20) / 512;
    let smaller = Table::new(table.disk_guid(), table.sector_size(), len, partitions).unwrap();
    let mut file = std::fs::File::options().read(true).write(true).open(specimen.path()).unwrap();
    apply(&smaller.steps(Side::Primary), &mut file, |file| file.sync_data()).unwrap();

    let before = content(&specimen.disk()?)?;
    let mut machine = Machine::start(specimen.direct("")?)?;
    machine.wait_for(UNUSABLE, Deadline::seconds(BOOT))?;
    machine.wait_for("RECOVERY", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    assert!(content(&specimen.disk()?)? == before, "not one byte");
    Ok(())
}

#[test]
fn a_full_disk_stops_neither_a_restart_nor_the_boot_after_an_orderly_end() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let mut machine = Machine::start(specimen.direct("")?.forward(8080))?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    let address = machine.forwarded(8080)?;
    let fill = || http::get(address, "/write?bytes=1000000000&path=/ballast", Deadline::seconds(BOOT));
    assert_eq!(fill()?.status, 507);
    machine.console().refresh()?;
    machine.console().skip();
    http::get_once(address, "/exit?code=3", Deadline::seconds(BOOT))?;
    machine.wait_for("ended name=confined", Deadline::seconds(BOOT))?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    assert_eq!(fill()?.status, 507, "the first layer has gone, and the second filled the disk again");
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);

    let mut machine = Machine::start(specimen.direct("")?)?;
    machine.wait_for("coracle: boot phases done phases=11 degraded=0", Deadline::seconds(BOOT))?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    specimen.disk()?.check_state()
}

#[test]
fn a_container_that_fills_it_harms_neither_this_boot_nor_the_next() -> Result<(), Error> {
    let specimen = Specimen::new("test")?;
    let mut machine = Machine::start(specimen.direct("")?.forward(8080))?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    let address = machine.forwarded(8080)?;
    let full = http::get(address, "/write?bytes=1000000000&path=/ballast", Deadline::seconds(BOOT))?;
    assert_eq!(full.status, 507, "{}", full.text());
    // The ballast is on the disk: the next boot meets a full file system.
    assert_eq!(http::get(address, "/", Deadline::seconds(BOOT))?.status, 200);
    machine.cut_power()?;
    let disk = specimen.disk()?;
    disk.replay_journal()?;
    let identifier = disk.state_file(MACHINE_ID)?.expect("made at the first boot");
    let layers = disk.state_names("/lib/coracle/containers/confined")?;
    assert_eq!(layers, ["1"], "the layer with the ballast");

    let mut machine = Machine::start(specimen.direct("")?)?;
    machine.wait_for("coracle: boot phases done phases=11 degraded=0", Deadline::seconds(BOOT))?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    disk.check_state()?;
    assert_eq!(disk.state_file(MACHINE_ID)?, Some(identifier));
    Ok(())
}
