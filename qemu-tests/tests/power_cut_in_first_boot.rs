//! Wherever the power goes during the first boot, at any block that it writes, the next boot comes up whole.

use std::fs::File;
use std::time::Duration;

use coracle_gpt::{SectorSize, Table, check_both};
use coracle_layout::partition::Partition;
use coracle_qemu_tests::crash::{self, State};
use coracle_qemu_tests::disk::Disk;
use coracle_qemu_tests::overlay::Overlay;
use coracle_qemu_tests::recording::Recording;
use coracle_qemu_tests::sample::Sample;
use coracle_qemu_tests::writes::Event;
use coracle_qemu_tests::{Config, Deadline, Error, Exit, Machine, Specimen};

const BOOT: u64 = 180;
/// By so much the disk is larger than the image: the state partition gains what it had, and whole groups of blocks.
const GROWTH: u64 = 300 << 20;
/// How long a run of some cases may go on.
const BUDGET: Duration = Duration::from_secs(150);
/// How often what is missing and what is torn is drawn for the table: two hundred states and more each time.
const DRAWS: u64 = 12;
/// How long a run of some draws may go on.
const TABLES: Duration = Duration::from_secs(10);

#[test]
fn every_cut_is_survived() -> Result<(), Error> {
    let fresh = Specimen::new("test")?;
    fresh.disk()?.resize(len(&fresh) + GROWTH)?;
    let recording = Recording::of("first-boot", &fresh, first_boot)?;
    let events = recording.events()?;
    let flushes = events.iter().filter(|event| **event == Event::Flush).count();
    assert!(flushes > 10, "the log has the flushes, so what is not owed is known: {flushes}");

    let sample = Sample::new("power cut in first boot", recording.progress(), BUDGET)?;
    let base = File::open(fresh.path()).unwrap();
    let states = crash::states(&events, &base, sample.seed()).unwrap();
    let cases = states.into_iter().map(|state| (state.name(), state)).collect();
    sample.run(cases, |state| survives(state, &events, &fresh))?.expect_success();
    Ok(())
}

/// The same states and many more of their kind, by the partition table alone, which is what a boot finds the others by: it is there, and
/// each partition is where it was. The last one may have grown.
#[test]
fn every_cut_leaves_a_table() -> Result<(), Error> {
    let fresh = Specimen::new("test")?;
    fresh.disk()?.resize(len(&fresh) + GROWTH)?;
    let recording = Recording::of("first-boot", &fresh, first_boot)?;
    let (events, base) = (recording.events()?, File::open(fresh.path()).unwrap());
    let places = |table: &Table| -> Vec<_> {
        let places = table.partitions().iter().map(|partition| (partition.label, partition.first_lba));
        places.collect()
    };
    let want = places(fresh.disk()?.table());
    let progress = recording.progress().with_extension("table");
    let sample = Sample::new("power cut in the table's growth", progress, TABLES)?;
    let seed = sample.seed().wrapping_mul(DRAWS);
    let check = |draw: &u64| {
        let states = crash::states(&events, &base, seed + draw).unwrap();
        println!("{} states", states.len());
        for state in states {
            let writes = state.writes(&events).map(|(_, offset, bytes)| (offset, bytes));
            let disk = Overlay::new(&base, writes);
            let table = Table::read(&mut disk.window(0..len(&fresh)), len(&fresh), SectorSize::B512);
            let (table, _) = table.unwrap_or_else(|error| panic!("{state}: {error}"));
            assert_eq!(places(&table), want, "{state}");
        }
        Ok(())
    };
    let draws = (0..DRAWS).map(|draw| (format!("draw-{draw}"), draw)).collect();
    sample.run(draws, check)?.expect_success();
    Ok(())
}

/// From power on to an orderly power off after the boot has come to a good end.
fn first_boot(config: Config) -> Result<(), Error> {
    let mut machine = Machine::start(config)?;
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    machine.wait_for("coracle: boot record settled", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    Ok(())
}

fn survives(state: &State, events: &[Event<'_>], fresh: &Specimen) -> Result<(), Error> {
    let specimen = fresh.duplicate()?;
    let file = File::options().read(true).write(true).open(specimen.path()).unwrap();
    state.write(events, &file).unwrap();

    let mut machine = Machine::start(specimen.direct("")?)?;
    let phases = machine.wait_for("coracle: boot phases done", Deadline::seconds(BOOT))?;
    assert!(phases.ends_with("degraded=0"), "{}", machine.console().tail());
    let unusable = machine.console().find("coracle: the state partition cannot be used");
    assert_eq!(unusable, None, "{}", machine.console().tail());
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    is_whole(&specimen)
}

/// The disk has everything that a first boot gives it.
fn is_whole(specimen: &Specimen) -> Result<(), Error> {
    let disk = specimen.disk()?;
    disk.check_state()?;
    let mut file = File::open(specimen.path()).unwrap();
    let both = check_both(&mut file, len(specimen), SectorSize::B512).unwrap();
    assert!(both.is_sound(), "{both:?}");
    assert!(disk.table().disk_guid().is_random());
    assert_eq!(disk.table().disk_bytes(), len(specimen));
    let (start, bytes) = disk.extent(Partition::State)?;
    assert!(len(specimen) - (start + bytes) <= 2 << 20, "state reaches to the end");
    assert_eq!(state_blocks(&disk)?, bytes / 4096, "and so does the file system in it");
    let id = disk.state_file("/lib/coracle/init/machine-id")?;
    assert!(id.as_ref().is_some_and(|id| id.len() == 33), "{id:?}");
    let record = disk.boot_record()?;
    let entry = record.entry(&specimen.image().root_hash()?).expect("the boot was counted");
    assert_eq!((entry.attempts, entry.evidenced), (0, 0), "and came to a good end");
    Ok(())
}

/// The blocks of the file system, by the low half of its superblock's count.
fn state_blocks(disk: &Disk) -> Result<u64, Error> {
    let count = disk.read(Partition::State, 1024 + 4, 4)?;
    Ok(u32::from_le_bytes(count.try_into().unwrap()).into())
}

fn len(specimen: &Specimen) -> u64 {
    specimen.path().metadata().unwrap().len()
}
