//! What an agent finds when it starts.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use coracle_layout::boot_record::{BootRecord, COPY_LEN, COPY_STRIDE, Evidence};
use coracle_layout::{RootHash, control, partition::Partition, paths};
use coracle_log::{Chain, error, info, warning};
use coracle_rollout::Time;
use coracle_rollout::deny::{Class, MAX_REASON};
use coracle_rollout::machine::{Boot, Entry, Facts, Journal, Selected, SlotContent, State, UkiContent};
use rustix::fs::{FlockOperation, flock};

use super::act::{self, Tools, install};
use super::esp::Esp;
use super::machine::Machine;
use super::{Error, Sure, firmware};
use crate::forms::{self, Forms, Standing};
use crate::keep::{Kept, Store};

/// The journal's file.
const JOURNAL: &str = "journal";
/// Of a crash record so much of the end is told.
const TAIL: usize = 400;
/// How the kernel begins to say that a block is corrupt, or cannot be read (drivers/md/dm-verity-target.c).
const ROTTEN: &str = "Kernel panic - not syncing: dm-verity device ";
/// The longest crash record that is read, and the most parts that it may be in.
const MAX_RECORD: u64 = 256 << 10;
const MAX_PARTS: usize = 32;

/// The journal, and where it is kept. One that cannot be read is put aside: what it knew is lost, and the disk says where things stand.
pub(super) fn journal(folder: &Path) -> Result<(Kept, Journal), Error> {
    let limit = 1 << 20;
    let kept = Kept::open(folder, JOURNAL, limit).map_err(Error::file("open", folder))?;
    let journal = match kept.load().map_err(Error::file("read", folder.join(JOURNAL)))? {
        None => Journal::default(),
        Some(bytes) => Journal::parse(&bytes).unwrap_or_else(|error| {
            error!("journal not read, beginning without error=\"{}\"", Chain(&error));
            let aside = Kept::open(folder, "journal.bad", limit).and_then(|aside| aside.save(&bytes));
            if let Err(error) = aside {
                warning!("nor kept for a look error=\"{error}\"");
            }
            Journal::default()
        }),
    };
    Ok((kept, journal))
}

/// Held as long as the agent runs: a disk has one.
pub(super) fn alone(folder: &Path) -> Result<File, Error> {
    let file = File::open(folder).map_err(Error::file("open", folder))?;
    flock(&file, FlockOperation::NonBlockingLockExclusive)
        .map_err(|errno| Error::file("be the only agent in", folder)(errno.into()))?;
    Ok(file)
}

/// The state as this program reads it. While the system is on trial, it is a copy if the one before kept it in another form.
pub(super) fn state(forms: &Forms, entry: Entry) -> Result<forms::State, Error> {
    let mark = marker("state");
    let standing = match entry {
        Entry::Good => Standing::Good,
        _ => Standing::OnTrial(&mark),
    };
    forms::State::open(Path::new(paths::STATE_UPDATER), forms, standing).map_err(Error::State)
}

/// How everything stands.
pub(super) fn gather(tools: &Tools, journal: &Journal, now: Time) -> Result<Facts, Error> {
    let (machine, running) = (&tools.machine, tools.machine.running);
    let (entry, other) = {
        let esp = Esp::look(machine)?;
        (esp.standing(&running)?, esp.other(running.system.version)?)
    };
    let slot = match install::target(machine).and_then(|target| target.content().map_err(Error::Slot)) {
        Ok(Some(root)) => SlotContent::Sealed(root),
        Ok(None) => SlotContent::Poisoned,
        Err(error) => {
            warning!("other slot not read error=\"{}\"", Chain(&error));
            SlotContent::Poisoned
        }
    };
    let tried = tried(&journal.state).or(other.map(|other| other.system.root));
    let failure = tried.map_or_else(|| (Class::NeverStarted, String::new()), |root| failure(tools, root));
    Ok(Facts {
        now,
        running,
        entry,
        other,
        slot,
        selected: match firmware::selected() {
            Ok(Some(name)) if name.version() == running.system.version => Selected::Running,
            _ => Selected::Another,
        },
        uki: act::waiting(&tools.state)?.map_or(UkiContent::Absent, UkiContent::Ready),
        boot: if marker("journaled").exists() { Boot::Same } else { Boot::New },
        failure,
    })
}

/// The root that was to run.
fn tried(state: &State) -> Option<RootHash> {
    match state {
        State::Probation { trial } | State::Blessing { trial } | State::RolledBack { trial } => {
            Some(trial.system.root)
        }
        State::Releasing { then, .. } => tried(then),
        state => state.job().map(|job| job.system().root),
    }
}

/// How the last boots of a root failed, as the boot record and the crash records tell.
fn failure(tools: &Tools, root: RootHash) -> (Class, String) {
    let record = match boot_record(tools) {
        Ok(record) => record,
        Err(error) => return (Class::CutShort, format!("the boot record was not read: {}", Chain(&error))),
    };
    match record.entry(&root) {
        // It died before it could note anything; what the kernel said last is in the firmware, if anywhere.
        None => match last_record(journaled(&tools.state)) {
            Some(record) => panic(&record),
            None => (Class::NeverStarted, "its stage 1 never ran".to_owned()),
        },
        // A failure from before the last good end says nothing of these boots.
        Some(entry) => match entry.failure.as_ref().filter(|_| entry.evidenced > 0) {
            Some((Evidence::Stage1, reason)) => (Class::Stage1, reason.clone()),
            Some((Evidence::Pstore, reason)) => {
                last_record(None).map_or_else(|| (Class::Panic, reason.clone()), |record| panic(&record))
            }
            Some((Evidence::Watchdog, reason)) => (Class::Hang, reason.clone()),
            Some((Evidence::Deadline | Evidence::Other, reason)) => (Class::Unhealthy, reason.clone()),
            None => (Class::CutShort, "each of its boots was cut short before its deadline".to_owned()),
        },
    }
}

fn boot_record(tools: &Tools) -> Result<BootRecord, Error> {
    let node = tools.machine.node(Partition::BootRecord)?;
    let file = File::open(&node).map_err(Error::file("open", &node))?;
    let copy = |offset| {
        let mut bytes = [0; COPY_LEN];
        file.read_exact_at(&mut bytes, offset).map(|()| bytes).map_err(Error::file("read", &node))
    };
    Ok(BootRecord::choose(&copy(0)?, &copy(COPY_STRIDE)?))
}

/// When the journal was written last: before the reboot.
fn journaled(state: &Path) -> Option<SystemTime> {
    fs::metadata(state.join(JOURNAL)).and_then(|metadata| metadata.modified()).ok()
}

/// What the kernel said last of what PID 1 has saved, if it did so after `since`.
fn last_record(since: Option<SystemTime>) -> Option<String> {
    let folder = Path::new(paths::STATE_INIT).join("pstore");
    let mut records: Vec<_> = fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).collect();
    records.sort();
    let newest = records.last()?;
    if since
        .is_some_and(|since| fs::metadata(newest).and_then(|file| file.modified()).is_ok_and(|at| at < since))
    {
        return None;
    }
    let text = of_parts(records.iter().rev().map_while(|path| text(path)));
    (!text.is_empty()).then(|| text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect())
}

fn text(path: &Path) -> Option<String> {
    let file = File::open(path).ok()?;
    let len = file.metadata().ok()?.len().min(MAX_RECORD);
    let mut bytes = vec![0; usize::try_from(len).ok()?];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The kernel's words in their order. Where a record has room for few, it keeps them in parts, the last words in the first: so
/// the newest record is the beginning (fs/pstore/platform.c, `pstore_dump`). Each says in its first line which part it is.
fn of_parts(newest_first: impl Iterator<Item = String>) -> String {
    let mut all = String::new();
    for part in newest_first.take(MAX_PARTS) {
        all.push_str(&part);
        if part.lines().next().is_some_and(|line| line.ends_with(" Part1")) {
            break;
        }
    }
    all
}

/// What a crash record tells. Where this disk's copy does not verify, it says nothing of the release.
fn panic(record: &str) -> (Class, String) {
    let class = if record.contains(ROTTEN) { Class::Stage1 } else { Class::Panic };
    let from = record.ceil_char_boundary(record.len().saturating_sub(TAIL.min(MAX_REASON)));
    (class, record.get(from..).unwrap_or_default().trim().to_owned())
}

/// What a good boot sees to: PID 1 knows that it is one, the firmware has its options, and they a fallback;
/// the boot manager is that of the image. Not while an update is under way.
pub(super) fn maintain(tools: &Tools, found: &Facts, state: &State) {
    if found.entry != Entry::Good || state.job().is_some() {
        return;
    }
    // PID 1 may think otherwise, from what an earlier choice of the firmware has left.
    if tools.machine.entry != Entry::Good
        && let Err(error) = tools.pid1.order(control::Request::Good)
    {
        warning!("PID 1 not told that the entry is good error=\"{}\"", Chain(&error));
    }
    if let Err(error) = tidy(tools) {
        warning!("esp not seen to error=\"{}\"", Chain(&error));
    }
    see_to_options(&tools.machine);
}

/// A firmware may have lost its options, or taken them away where a file was missing.
pub(super) fn see_to_options(machine: &Machine) {
    match firmware::ensure(machine) {
        Ok(0) => {}
        Ok(written) => info!("boot options written variables={written}"),
        Err(error) => warning!("boot options not written error=\"{}\"", Chain(&error)),
    }
}

/// What a power cut left on the ESP goes, and the fallback is there.
fn tidy(tools: &Tools) -> Result<(), Error> {
    let esp = Esp::mount(&tools.machine)?;
    for name in esp.entries()?.clean().map_err(Error::Entries)? {
        info!("leftover removed file={name}");
    }
    esp.keep_loader()?;
    esp.has_fallback(tools.machine.running.system.version)
}

/// Marks of this boot, gone with the power.
fn marker(name: &str) -> PathBuf {
    Path::new(paths::RUN_UPDATER).join(name)
}

fn mark(name: &str) {
    if let Err(error) = File::create(marker(name)) {
        warning!("not marked mark={name} error=\"{error}\"");
    }
}

pub(super) fn note_journaled() {
    mark("journaled");
}

pub(super) fn note_sure() {
    mark("clock-set");
}

/// Whether the clock was set in this boot.
pub(super) fn sure() -> Sure {
    if marker("clock-set").exists() { Sure::Yes } else { Sure::No }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_in_the_first_part() {
        let part = |number: u32, words: &str| format!("Panic#2 Part{number}\n{words}\n");
        let records =
            [part(3, "<6>booted"), part(2, "<6>then"), part(1, "<0>at last"), part(2, "of another")];
        let text = of_parts(records.into_iter());
        assert!(text.starts_with("Panic#2 Part3\n<6>booted") && text.ends_with("<0>at last\n"), "{text}");
        assert_eq!(of_parts(["of another backend".to_owned()].into_iter()), "of another backend");
    }

    #[test]
    fn a_panic_over_a_rotten_block_is_not_the_releases_fault() {
        let trace = "CPU: 0 UID: 0 PID: 1 ".repeat(40);
        for (panic_is, want) in [
            ("dm-verity device corrupted", Class::Stage1),
            ("dm-verity device has I/O error", Class::Stage1),
            ("Attempted to kill init! exitcode=0x00000100", Class::Panic),
        ] {
            let (class, words) = panic(&format!("<0>Kernel panic - not syncing: {panic_is} {trace}"));
            assert_eq!((class, words.len() <= TAIL), (want, true), "{panic_is}");
        }
    }
}
