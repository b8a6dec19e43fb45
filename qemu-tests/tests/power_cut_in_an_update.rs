//! Wherever the power goes in an update, from the order to the blessing, the machine comes up, and the update is made.
//!
//! One update of a real machine is recorded, through firmware, boot manager and both boots. What may then be on the disk is
//! judged state by state, and some of the states are booted.

use std::fs::{self, File};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use coracle_layout::Slot;
use coracle_layout::partition::Partition;
use coracle_qemu_tests::crash::{self, State};
use coracle_qemu_tests::disk::Disk;
use coracle_qemu_tests::image::Image;
use coracle_qemu_tests::machine::{Reset, Writes};
use coracle_qemu_tests::operator::{Operator, Report, Request};
use coracle_qemu_tests::recording::{Recording, key_of};
use coracle_qemu_tests::releases::{Changes, Repository};
use coracle_qemu_tests::sample::{Random, Sample};
use coracle_qemu_tests::verdict::Judge;
use coracle_qemu_tests::writes::{Event, Reach};
use coracle_qemu_tests::{Config, Deadline, Error, Exit, Machine, Specimen, disk};
use tempfile::TempDir;

/// Seconds for a boot through firmware, and for an update.
const BOOT: u64 = 240;
const UPDATE: u64 = 600;
/// How long judging, and booting, of some states may go on.
const JUDGED: Duration = Duration::from_secs(40);
const BOOTED: Duration = Duration::from_secs(45);
/// How often what is missing and what is torn is drawn anew.
const DRAWS: u64 = 3;
/// So many states are booted when all are.
const BOOTS: usize = 120;
/// Every so many of them is brought to the end of the update.
const COMPLETED: usize = 4;
/// Of every so many states that are judged, the state partition's journal is replayed and its file system checked.
const CHECKED: usize = 40;
/// Where the superblock of its file system is, in bytes.
const SUPERBLOCK: Range<u64> = 1024..2048;
/// Beside the log: the disk and the firmware's variables as they were before.
const DISK: &str = "disk.raw";
const VARIABLES: &str = "variables";
const OLD: &str = "1.0.0";
const NEW: &str = "1.1.0";

/// The update, recorded.
struct Update {
    repository: Repository,
    images: [Image; 2],
    recording: Recording,
}

impl Update {
    fn new() -> Result<Self, Error> {
        let repository = Repository::new("crash")?;
        let images = [repository.release(OLD, &Changes::none())?, repository.release(NEW, &Changes::none())?];
        let ukis = [images[0].file("uki")?, images[1].file("uki")?];
        let recording = Recording::kept("update", &key_of(&[&ukis[0], &ukis[1]]), |log| {
            let folder = log.parent().expect("a folder");
            repository.publish(&images[0])?;
            settle(&images[0], folder)?;
            // Not before: a machine takes what is offered, told or not.
            repository.publish(&images[1])?;
            let apart = copy(folder)?;
            update(machine(apart.path()).record(log))
        })?;
        Ok(Self { repository, images, recording })
    }

    /// Offers both releases to whatever boots from now on.
    fn offer(&self) -> Result<(), Error> {
        self.images.iter().try_for_each(|image| self.repository.publish(image))
    }

    fn disk(&self) -> std::path::PathBuf {
        self.recording.folder().join(DISK)
    }
}

/// The machine that is kept up to date.
fn machine(folder: &Path) -> Config {
    let config = Config::uefi(folder.join(VARIABLES)).disk(folder.join(DISK), Writes::Stay);
    config.firmware_decides().reach_host().operator().forward(8080).on_reset(Reset::Boots)
}

/// Disk and variables in a folder of their own.
fn copy(folder: &Path) -> Result<TempDir, Error> {
    let apart = tempfile::tempdir().expect("a folder");
    disk::copy(&folder.join(DISK), &apart.path().join(DISK))?;
    fs::copy(folder.join(VARIABLES), apart.path().join(VARIABLES)).expect("variables");
    Ok(apart)
}

/// A machine after its first boot, with everything that a machine has then.
fn settle(image: &Image, folder: &Path) -> Result<(), Error> {
    let fresh = Specimen::of(image.clone())?;
    disk::copy(&fresh.path(), &folder.join(DISK))?;
    let mut machine = Machine::start(machine(folder))?;
    machine.wait_for("boot options written", Deadline::seconds(BOOT))?;
    machine.wait_for("update state=Idle", Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    Ok(())
}

/// From power on over the order to the new version's blessing and an orderly power off.
fn update(config: Config) -> Result<(), Error> {
    let mut machine = Machine::start(config)?;
    machine.wait_for("agent begins", Deadline::seconds(BOOT))?;
    apply(&machine)?;
    machine.wait_for("boot entry blessed", Deadline::seconds(UPDATE))?;
    Operator::of(&machine).wait_until(is_new, Deadline::seconds(BOOT))?;
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    Ok(())
}

/// Orders the update, which the machine may be at already.
fn apply(machine: &Machine) -> Result<(), Error> {
    match Operator::of(machine).ask(Request::Apply) {
        Ok(_) | Err(Error::Refused { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn is_new(report: &Report) -> bool {
    let is = |version: String| version == NEW;
    report.state == "Idle"
        && report.confirmed.is_some_and(|system| is(system.version.to_string()))
        && is(report.running.version.to_string())
}

#[test]
fn every_cut_leaves_a_machine_that_comes_up() -> Result<(), Error> {
    let update = Update::new()?;
    let (events, base) = (update.recording.events()?, File::open(update.disk()).expect("the disk before"));
    let flushes = events.iter().filter(|event| **event == Event::Flush).count();
    println!("{} events, {flushes} of them flushes", events.len());
    let [old, new] = &update.images;
    let mut judge = Judge::new(&events, &base, &update.disk(), &[old, new])?;

    let whole = State::whole(&events);
    judge.judge(&whole);
    assert_eq!(judge.entries(&whole), ["coracle_1.0.0.efi", "coracle_1.1.0.efi"], "the update was made");

    let sample = Sample::new("power cut in an update", update.recording.progress(), JUDGED)?;
    let mut cases = Vec::new();
    for draw in 0..DRAWS {
        let states =
            crash::states(&events, &base, sample.seed().wrapping_mul(DRAWS) + draw).expect("the states");
        cases.extend(states.into_iter().map(|state| (format!("{draw}-{}", state.name()), state)));
    }
    println!("{} states", cases.len());
    let (judge, count) = (Mutex::new(judge), AtomicUsize::new(0));
    let check = |state: &State| {
        // What it found wrong in one state it does not find in the next.
        judge.lock().unwrap_or_else(PoisonError::into_inner).judge(state);
        let is_checked = count.fetch_add(1, Ordering::Relaxed).is_multiple_of(CHECKED);
        if is_checked { has_sound_state(state, &events, &update) } else { Ok(()) }
    };
    sample.run(cases, check)?.expect_success();
    Ok(())
}

/// The judge is no use if it finds nothing: with one more write, each time to another part of the disk, it does.
#[test]
fn what_is_broken_is_found() -> Result<(), Error> {
    let update = Update::new()?;
    let (events, base) = (update.recording.events()?, File::open(update.disk()).expect("the disk before"));
    let disk = Disk::open(&update.disk())?;
    let garbage = vec![0xa5; 64 << 10];
    let places = [
        ("table", 512),
        ("boot sector", disk.extent(Partition::Esp)?.0),
        ("running root", disk.extent(Partition::Root(Slot::A))?.0 + 4096),
        ("running tree", disk.extent(Partition::Verity(Slot::A))?.0),
        ("new root", disk.extent(Partition::Root(Slot::B))?.0 + 4096),
        ("new tree", disk.extent(Partition::Verity(Slot::B))?.0),
        ("boot record", disk.extent(Partition::BootRecord)?.0),
    ];
    for (what, offset) in places {
        let mut events = events.clone();
        events.push(Event::Write { offset, bytes: &garbage, reach: Reach::Cache });
        let mut judge = Judge::new(&events, &base, &update.disk(), &[&update.images[0], &update.images[1]])?;
        let found = catch_unwind(AssertUnwindSafe(|| judge.judge(&State::whole(&events))));
        assert!(found.is_err(), "nothing was found in the {what}");
    }
    // A UKI that has lost what was written of it: every write to the ESP that is as long as a part of one.
    let is_long = |event: &Event<'_>| matches!(event, Event::Write { bytes, offset, .. } if bytes.len() > 1 << 16 && *offset < 256 << 20);
    let shorter: Vec<_> = events.iter().filter(|event| !is_long(event)).copied().collect();
    assert!(shorter.len() < events.len(), "the UKI was written");
    let mut judge = Judge::new(&shorter, &base, &update.disk(), &[&update.images[0], &update.images[1]])?;
    let found = catch_unwind(AssertUnwindSafe(|| judge.judge(&State::whole(&shorter))));
    assert!(found.is_err(), "nothing was found in the UKI");
    Ok(())
}

/// The state partition's journal replays, and there is nothing left to repair.
fn has_sound_state(state: &State, events: &[Event<'_>], update: &Update) -> Result<(), Error> {
    let apart = copy(update.recording.folder())?;
    let path = apart.path().join(DISK);
    state.write(events, &File::options().write(true).open(&path).expect("the copy")).expect("the state");
    let disk = Disk::open(&path)?;
    let (start, _) = disk.extent(Partition::State)?;
    let superblock = start + SUPERBLOCK.start..start + SUPERBLOCK.end;
    if state.tears(events, superblock) {
        // `init` mends that one before the kernel reads it: see the states that are booted.
        return Ok(());
    }
    disk.replay_journal()?;
    disk.check_state()
}

#[test]
fn machines_go_on_from_any_cut() -> Result<(), Error> {
    let update = Update::new()?;
    update.offer()?;
    let (events, base) = (update.recording.events()?, File::open(update.disk()).expect("the disk before"));
    let progress = update.recording.progress().with_extension("booted");
    let sample = Sample::new("power cut in an update, booted", progress, BOOTED)?;
    let mut states = crash::states(&events, &base, sample.seed()).expect("the states");
    Random::new(sample.seed()).shuffle(&mut states);
    states.truncate(BOOTS);
    let count = AtomicUsize::new(0);
    let cases = states.into_iter().map(|state| (state.name(), state)).collect();
    let check = |state: &State| {
        let to_the_end = count.fetch_add(1, Ordering::Relaxed).is_multiple_of(COMPLETED);
        goes_on(state, &events, &update, to_the_end)
    };
    sample.run(cases, check)?.expect_success();
    Ok(())
}

fn goes_on(state: &State, events: &[Event<'_>], update: &Update, to_the_end: bool) -> Result<(), Error> {
    let apart = copy(update.recording.folder())?;
    let disk = File::options().write(true).open(apart.path().join(DISK)).expect("the copy");
    state.write(events, &disk).expect("the state");

    let mut machine = Machine::start(machine(apart.path()))?;
    let phases = machine.wait_for("coracle: boot phases done", Deadline::seconds(BOOT))?;
    assert!(phases.ends_with("degraded=0"), "{}", machine.console().tail());
    machine.wait_for("confined: payload: serving", Deadline::seconds(BOOT))?;
    let running = Operator::of(&machine).ask(Request::Status)?.running.version.to_string();
    assert!([OLD, NEW].contains(&&*running), "{running} runs");
    if to_the_end {
        apply(&machine)?;
        let report = Operator::of(&machine).wait_until(is_new, Deadline::seconds(UPDATE))?;
        assert!(report.denied.is_empty(), "{report:#?}");
    }
    assert_eq!(machine.power_off(Deadline::seconds(BOOT))?, Exit::PowerOff);
    Ok(())
}
