//! A machine whose power goes again and again loses no update: it comes up each time, and in the end runs the last release,
//! blessed.
//!
//! A life begins with a machine of the first release and leads over every other one, because each is a stepping stone. Its disk
//! has a cache: at each cut some of what was not flushed is lost, and the last write is torn.
//!
//! Of the six tries that a release has when the power goes in three of them, five are cut at the most: when all six are, nothing
//! tells it from one that hangs, and the machine stays with the old one until an operator says `retry`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use coracle_qemu_tests::crash::State;
use coracle_qemu_tests::disk::Disk;
use coracle_qemu_tests::machine::{Reset, Writes};
use coracle_qemu_tests::operator::{Operator, Report, Request};
use coracle_qemu_tests::releases::{Changes, Repository};
use coracle_qemu_tests::sample::{Random, Sample};
use coracle_qemu_tests::writes::{self, Flaw};
use coracle_qemu_tests::{Config, Deadline, Error, Machine, Specimen, disk, image};
use tempfile::TempDir;

const VERSIONS: [&str; 4] = ["1.0.0", "1.1.0", "1.2.0", "1.3.0"];
/// Lives, and cuts in one: 204 cuts in all.
const LIVES: u64 = 17;
const CUTS: usize = 12;
/// Tries of one release that are cut.
const CUT_TRIES: usize = 5;
/// Some lives are as many as begin within this.
const BUDGET: Duration = Duration::from_secs(1);
/// The latest moment of a cut, in seconds from power on: a boot, an update, the next boot and its probation.
const LATEST: usize = 60;
/// What a cut may wait for instead, to come at most [`SOON`] milliseconds after it.
const EVENTS: [&str; 8] = [
    "agent begins",
    "update state=Preparing",
    "slot is written",
    "slot holds the new root",
    "boot entry made",
    "health gates hold",
    "boot entry blessed",
    "coracle: boot phases done",
];
const SOON: usize = 1500;
/// Between two looks at the console.
const LOOK: Duration = Duration::from_millis(100);
/// Seconds for the rest of a life, with nothing to disturb it.
const REST: u64 = 900;

#[test]
fn every_life_ends_blessed_at_the_last_version() -> Result<(), Error> {
    let repository = Repository::new("cuts")?;
    let mut images = Vec::new();
    for version in VERSIONS {
        let image = repository.release(version, &Changes::none())?;
        repository.publish_with(&image, &["--at-once", "--barrier", "--deltas", "1"])?;
        images.push(image);
    }
    let progress = image::repository().join("build/test/recordings/power-cuts");
    let sample = Sample::new("power cuts lose no update", progress, BUDGET)?;
    let seed = sample.seed();
    let lives = (0..LIVES).map(|life| (format!("life-{life}"), life)).collect();
    sample
        .run(lives, |life| live(&Specimen::of(images[0].clone())?, seed.wrapping_mul(1000) + life))?
        .expect_success();
    Ok(())
}

/// A machine, on a disk that forgets.
struct Owner {
    folder: TempDir,
}

impl Owner {
    fn disk(&self) -> PathBuf {
        self.folder.path().join("disk.raw")
    }

    fn machine(&self, disk: &Path) -> Config {
        let config = Config::uefi(self.folder.path().join("variables")).disk(disk, Writes::Stay);
        config.firmware_decides().reach_host().operator().on_reset(Reset::Boots)
    }

    /// The entry that has tries left, if one has, without its counter.
    fn on_trial(&self) -> Result<Option<String>, Error> {
        let entries = Disk::open(&self.disk())?.boot_entries()?;
        let counted = entries.iter().find_map(|name| name.split_once('+'));
        Ok(counted.filter(|(_, tries)| !tries.starts_with("0-")).map(|(name, _)| name.to_owned()))
    }

    /// From power on to the cut; what the disk then has is the disk of the next boot.
    fn until_cut(&self, random: &mut Random) -> Result<String, Error> {
        let (written, log) = (self.folder.path().join("written.raw"), self.folder.path().join("log"));
        disk::copy(&self.disk(), &written)?;
        File::create(&log).unwrap();
        let mut machine = Machine::start(self.machine(&written).record(&log))?;
        let moment = Moment::any(random);
        moment.wait(&mut machine)?;
        machine.cut_power()?;

        let log = fs::read(log).unwrap();
        let events = match writes::parse(&log) {
            // The power went before the first write.
            Err(Flaw::NoSuperblock) => Vec::new(),
            events => events.unwrap(),
        };
        let state = State::after(&events, random);
        let disk = File::options().write(true).open(self.disk()).unwrap();
        state.write(&events, &disk).unwrap();
        Ok(format!("{moment:?}, {state}"))
    }
}

/// When the power goes.
#[derive(Debug)]
struct Moment {
    /// The line that is waited for first, and how often it comes before.
    event: Option<(&'static str, usize)>,
    then: Duration,
}

impl Moment {
    fn any(random: &mut Random) -> Self {
        if random.coin() {
            return Self { event: None, then: Duration::from_millis((random.below(LATEST) * 1000) as u64) };
        }
        let event = EVENTS[random.below(EVENTS.len())];
        let then = Duration::from_millis(random.below(SOON) as u64);
        Self { event: Some((event, random.below(2))), then }
    }

    /// Orders the update whenever an agent begins, until the moment has come.
    fn wait(&self, machine: &mut Machine) -> Result<(), Error> {
        let latest = Deadline::seconds(LATEST as u64);
        let mut end = self.event.is_none().then(|| Deadline::after(self.then));
        let mut agents = 0;
        while end.is_none_or(|end| end.remaining().is_some()) && latest.remaining().is_some() {
            thread::sleep(LOOK);
            machine.console().refresh()?;
            let console = machine.console().text();
            let count = |line: &str| console.matches(line).count();
            if let (None, Some((event, before))) = (end, self.event)
                && count(event) > before
            {
                end = Some(Deadline::after(self.then));
            }
            if count("agent begins") > agents {
                agents = count("agent begins");
                order(machine)?;
            }
        }
        Ok(())
    }
}

/// Tells the agent to go on. It may be at something that is not to be disturbed, or just end.
fn order(machine: &Machine) -> Result<(), Error> {
    match Operator::of(machine).ask_within(Request::Apply, Duration::from_secs(2)) {
        Ok(_) | Err(Error::Refused { .. } | Error::Operator { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

fn live(fresh: &Specimen, seed: u64) -> Result<(), Error> {
    let owner = Owner { folder: tempfile::tempdir().unwrap() };
    disk::copy(&fresh.path(), &owner.disk())?;
    let mut random = Random::new(seed);
    // At most so many: a cut may come before the boot manager, or after a blessing.
    let mut tries: BTreeMap<String, usize> = BTreeMap::new();
    for cut in 0..CUTS {
        let before = owner.on_trial()?;
        if before.as_ref().is_some_and(|name| tries.get(name) >= Some(&CUT_TRIES)) {
            let mut machine = Machine::start(owner.machine(&owner.disk()))?;
            machine.wait_for("boot entry blessed", Deadline::seconds(REST))?;
            machine.cut_power()?;
        }
        let what = owner.until_cut(&mut random)?;
        println!("seed {seed}, cut {cut}: {what}");
        let tried: BTreeSet<_> = before.into_iter().chain(owner.on_trial()?).collect();
        tried.into_iter().for_each(|name| *tries.entry(name).or_default() += 1);
    }
    let last = VERSIONS[VERSIONS.len() - 1];
    let mut machine = Machine::start(owner.machine(&owner.disk()))?;
    let is_last = |report: &Report| {
        let is = |version: String| version == last;
        report.state == "Idle" && report.confirmed.is_some_and(|system| is(system.version.to_string()))
    };
    let deadline = Deadline::seconds(REST);
    let report = loop {
        let report = Operator::of(&machine).ask(Request::Status)?;
        machine.console().refresh()?;
        assert!(
            report.denied.is_empty(),
            "a cut is no fault of a release: {report:#?}\n{}",
            machine.console().text()
        );
        if is_last(&report) {
            break report;
        }
        assert!(deadline.pause(), "{report:#?}\n{}", machine.console().text());
        if report.state == "Idle" || report.state == "Failed" {
            order(&machine)?;
        }
        thread::sleep(Duration::from_secs(1));
    };
    assert_eq!(report.running.version.to_string(), last);
    drop(machine);
    Ok(())
}
