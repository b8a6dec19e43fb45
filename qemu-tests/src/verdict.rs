//! Whether a machine with such a disk comes up, judged by what stage 1, the firmware and the boot manager look at.
//!
//! | part of the disk | is sound when |
//! |---|---|
//! | partition table | both copies say the same |
//! | ESP | its file system has no fault but those that the content of a file shows; boot manager and fallback are whole |
//! | slot of what ran first | every block of it verifies, whatever happens to the other |
//! | boot record | a copy of it can be read |
//!
//! All together are sound when the boot manager's model comes up: with every whole entry holding, and with every one that is on
//! trial failing. An entry holds when it is whole and the slot in which stage 1 finds its root verifies.
//!
//! A part is judged once for the same writes to it: most states differ in one part only.

mod parts;

use std::collections::HashMap;
use std::fs::File;
use std::ops::Range;
use std::path::Path;

use coracle_layout::partition::Partition;
use coracle_layout::{RootHash, Slot};
use coracle_loader as loader;
use coracle_uki::Uki;
use sha2::{Digest, Sha256};

use crate::Error;
use crate::crash::State;
use crate::disk::Disk;
use crate::image::{Image, failed};
use crate::overlay::Overlay;
use crate::writes::Event;

/// The firmware's boot options that start the boot manager.
const OPTIONS: usize = 4;

/// A release that may be on the disk.
#[derive(Debug)]
struct Release {
    version: String,
    root: RootHash,
    uki: [u8; 32],
    facts: loader::Facts,
}

/// What a part of the disk is looked at for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Table,
    Esp,
    Slot(Slot),
    Record,
}

const PARTS: [Part; 5] = [Part::Table, Part::Esp, Part::Slot(Slot::A), Part::Slot(Slot::B), Part::Record];

/// What was found in one.
#[derive(Debug, Clone)]
enum Found {
    /// Nothing but that it is sound.
    Sound,
    /// The boot entries.
    Entries(Vec<loader::File>),
    /// The root that stage 1 finds there, and whether all of it verifies.
    Root(Option<(RootHash, bool)>),
}

/// Where the parts are, in bytes.
#[derive(Debug)]
struct Extents {
    len: u64,
    partitions: Vec<(Partition, Range<u64>)>,
}

/// Judges the states of a recorded run.
#[derive(Debug)]
pub struct Judge<'a> {
    events: &'a [Event<'a>],
    base: &'a File,
    extents: Extents,
    /// Per event, what it writes to.
    written: Vec<Option<Part>>,
    releases: Vec<Release>,
    /// Other files of the ESP, which stay as they are.
    fixed: Vec<(String, [u8; 32])>,
    known: HashMap<(Part, [u8; 32]), Found>,
}

impl<'a> Judge<'a> {
    /// A judge of what `events` do to the disk `base`, at `path`, on which the first of the images runs in slot A.
    ///
    /// # Errors
    /// Those of reading disk and images.
    ///
    /// # Panics
    /// When the disk is not sound at first, or an image has no UKI.
    pub fn new(
        events: &'a [Event<'a>],
        base: &'a File,
        path: &Path,
        images: &[&Image],
    ) -> Result<Self, Error> {
        let disk = Disk::open(path)?;
        let slots = Slot::BOTH.map(|slot| [Partition::Root(slot), Partition::Verity(slot)]);
        let mut partitions = Vec::new();
        for which in [Partition::Esp, Partition::BootRecord].into_iter().chain(slots.concat()) {
            let (start, len) = disk.extent(which)?;
            partitions.push((which, start..start + len));
        }
        let extents = Extents { len: disk.table().disk_bytes(), partitions };
        let releases = images.iter().map(|image| release(image)).collect::<Result<_, _>>()?;
        let written = events.iter().map(|event| extents.written(event)).collect();
        let mut judge =
            Self { events, base, extents, written, releases, fixed: Vec::new(), known: HashMap::new() };
        judge.fixed = judge.other_files(&Overlay::new(base, std::iter::empty()));
        Ok(judge)
    }

    /// Judges a state.
    ///
    /// # Panics
    /// When something is wrong with it, in words that say what.
    pub fn judge(&mut self, state: &State) {
        let writes: Vec<_> = state.writes(self.events).collect();
        let [_, esp, a, b, _] = PARTS.map(|part| self.look(part, &writes));
        let (Found::Entries(entries), Found::Root(a), Found::Root(b)) = (esp, a, b) else {
            unreachable!("each part has its own kind of finding");
        };
        assert_eq!(a, Some((self.releases[0].root, true)), "the slot of what ran first is as it was");
        let holds = |file: &loader::File| {
            let loader::Content::Whole(facts) = &file.content else { return false };
            let release = self.releases.iter().find(|release| release.facts == *facts);
            let root = release.expect("a whole one is a known one").root;
            // The first slot with that root is the one, whatever else is in it.
            [&a, &b].into_iter().flatten().find(|(of, _)| *of == root).is_some_and(|(_, sound)| *sound)
        };
        let names: Vec<_> = entries.iter().map(|file| &file.name).collect();
        let chosen = loader::choose(&entries, &loader::Pins::default());
        let chosen = chosen.unwrap_or_else(|| panic!("nothing to boot: {names:?}"));
        assert!(holds(chosen), "{} is chosen, of {names:?}, and slot B has {b:?}", chosen.name);
        let machine = loader::Machine::new(entries.clone(), OPTIONS);
        assert!(machine.survives(holds), "with every whole entry holding: {names:?}");
        let is_steady = |file: &loader::File| file.tries().is_none() && holds(file);
        assert!(machine.survives(is_steady), "with what is on trial failing: {names:?}");
    }

    /// The names of the boot entries, sorted.
    ///
    /// # Panics
    /// When the ESP is not sound.
    pub fn entries(&mut self, state: &State) -> Vec<String> {
        let writes: Vec<_> = state.writes(self.events).collect();
        let Found::Entries(entries) = self.look(Part::Esp, &writes) else { return Vec::new() };
        let mut names: Vec<_> = entries.into_iter().map(|file| file.name).collect();
        names.sort();
        names
    }

    /// Looks at a part, unless the same writes have led there before.
    fn look(&mut self, part: Part, writes: &[(usize, u64, &'a [u8])]) -> Found {
        let own = || writes.iter().filter(|(event, ..)| self.written[*event] == Some(part));
        let mut key = Sha256::new();
        for (event, offset, bytes) in own() {
            key.update([*event as u64, *offset, bytes.len() as u64].map(u64::to_le_bytes).concat());
        }
        let key = (part, key.finalize().into());
        if let Some(found) = self.known.get(&key) {
            return found.clone();
        }
        let disk = Overlay::new(self.base, own().map(|(_, offset, bytes)| (*offset, *bytes)));
        let found = match part {
            Part::Table => self.table(&disk),
            Part::Esp => self.esp(&disk),
            Part::Slot(slot) => self.slot(slot, &disk),
            Part::Record => self.record(&disk),
        };
        self.known.insert(key, found.clone());
        found
    }
}

impl Extents {
    fn of(&self, which: Partition) -> Range<u64> {
        let found = self.partitions.iter().find(|(of, _)| *of == which);
        found.map(|(_, extent)| extent.clone()).unwrap_or_default()
    }

    /// No write reaches over the end of a partition.
    fn written(&self, event: &Event<'_>) -> Option<Part> {
        let Event::Write { offset, .. } = event else { return None };
        let found = self.partitions.iter().find(|(_, extent)| extent.contains(offset));
        match found {
            Some((Partition::Esp, _)) => Some(Part::Esp),
            Some((Partition::BootRecord, _)) => Some(Part::Record),
            Some((Partition::Root(slot) | Partition::Verity(slot), _)) => Some(Part::Slot(*slot)),
            // The state partition has its own judge.
            Some((Partition::State, _)) => None,
            None => (*offset < 1 << 20 || *offset >= self.len - (1 << 20)).then_some(Part::Table),
        }
    }
}

fn release(image: &Image) -> Result<Release, Error> {
    let path = image.file("uki")?;
    let bytes = std::fs::read(&path).map_err(failed("read", &path))?;
    let uki = Uki::parse(&bytes).expect("a UKI");
    let os_release =
        uki.section(".osrel").and_then(|text| str::from_utf8(text).ok()).expect("its os-release");
    let facts = loader::Facts::of(os_release.trim_end_matches('\0')).expect("facts");
    let version = facts.version.clone().expect("a version");
    Ok(Release { version, root: image.root_hash()?, uki: Sha256::digest(&bytes).into(), facts })
}
