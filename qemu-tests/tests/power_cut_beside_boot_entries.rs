//! Wherever the power goes while the boot manager, the fallback or the entry of what runs is made anew, each is the old one or the new
//! one, whole, and no other was touched: neither the other entry, nor the copy that a rotten one is made anew from.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use coracle_fat::read::Error as Fault;
use coracle_qemu_tests::crash::{self, State};
use coracle_qemu_tests::esp::{self, ROTTEN, is_mark};
use coracle_qemu_tests::recording::{Recording, key_of};
use coracle_qemu_tests::sample::Sample;
use coracle_qemu_tests::writes::Event;
use coracle_qemu_tests::{Error, disk, image};
use tempfile::NamedTempFile;

/// How long a run of some cases may go on; all of them take about as long.
const BUDGET: Duration = Duration::from_secs(60);

const FIRST: &str = "EFI/systemd/systemd-bootx64.efi";
const SECOND: &str = "EFI/BOOT/BOOTX64.EFI";
const ENTRY: &str = "EFI/Linux/coracle_1.1.0.efi";
const FALLBACK: &str = "EFI/coracle/fallback.efi";
/// The entry that nothing is done to.
const OTHER: (&str, &str) = ("EFI/Linux/coracle_1.0.0.efi", "1.0.0");
/// What a power cut during an update has left.
const LEFT: &str = "EFI/systemd/systemd-bootx64.new";
/// What is being made or thrown away, and may be there in part while a step is under way that makes it.
const MAKES_LOADER: &[&str] = &[LEFT, "EFI/BOOT/BOOTX64.NEW"];
const MAKES_ENTRY: &[&str] = &["EFI/Linux/coracle_1.1.0.tmp"];
const MAKES_FALLBACK: &[&str] = &["EFI/coracle/fallback.new"];
/// The folder of the fallback before it has its name. What it lists is not looked at by anybody.
const FOLDER: &str = "EFI/coracle.new";

/// Boot manager, entry and fallback, by their content.
type Files = [(&'static str, Option<&'static str>); 4];

/// What the guest does between two marks.
struct Step {
    name: &'static str,
    /// What is there when it is done. The step before says what was.
    after: Files,
    partial: &'static [&'static str],
}

const fn files(loader: &'static str, entry: Option<&'static str>, fallback: Option<&'static str>) -> Files {
    [(FIRST, Some(loader)), (SECOND, Some(loader)), (ENTRY, entry), (FALLBACK, fallback)]
}

const fn copies(entry: Option<&'static str>, fallback: Option<&'static str>) -> Files {
    files("loader 2", entry, fallback)
}

const OLD: Option<&str> = Some("1.0.0");
const NEW: Option<&str> = Some("1.1.0");
const BAD: Option<&str> = Some("rotten");

const BEFORE: Files = files("loader 1", NEW, None);

const STEPS: [Step; 15] = [
    Step { name: "loader replaced", after: copies(NEW, None), partial: MAKES_LOADER },
    Step { name: "loader left", after: copies(NEW, None), partial: &[] },
    Step { name: "fallback made", after: copies(NEW, OLD), partial: MAKES_FALLBACK },
    Step { name: "fallback replaced", after: copies(NEW, NEW), partial: MAKES_FALLBACK },
    Step { name: "fallback left", after: copies(NEW, NEW), partial: &[] },
    Step { name: "fallback of another left", after: copies(NEW, NEW), partial: &[] },
    Step { name: "fallback rots", after: copies(NEW, BAD), partial: &[] },
    Step { name: "fallback mended", after: copies(NEW, NEW), partial: MAKES_FALLBACK },
    Step { name: "fallback removed", after: copies(NEW, None), partial: &[] },
    Step { name: "fallback made again", after: copies(NEW, NEW), partial: MAKES_FALLBACK },
    Step { name: "entry rots", after: copies(BAD, NEW), partial: &[] },
    Step { name: "entry mended", after: copies(NEW, NEW), partial: MAKES_ENTRY },
    Step { name: "entry removed", after: copies(None, NEW), partial: &[] },
    Step { name: "entry restored", after: copies(NEW, NEW), partial: MAKES_ENTRY },
    Step { name: "entry left", after: copies(NEW, NEW), partial: &[] },
];

#[test]
fn every_cut_leaves_boot_manager_entry_and_fallback_whole() -> Result<(), Error> {
    let base = base();
    let (kernel, initramfs) =
        (image::kernel()?, image::initramfs_with("coracle-qemu-tests", "guest-entries")?);
    let key = key_of(&[&kernel, initramfs.path(), base.path()]);
    let recording = Recording::kept("beside-boot-entries", &key, |log| {
        let copy = NamedTempFile::new().unwrap();
        disk::copy(base.path(), copy.path())?;
        esp::run(esp::guest(&kernel, &initramfs, "replace", copy.path()).record(log))
    })?;
    let events = recording.events()?;
    let marks: Vec<_> = events.iter().enumerate().filter(|(_, event)| is_mark(event)).collect();
    assert_eq!(marks.len(), STEPS.len(), "the guest has marked each step");
    for (steps, marks) in STEPS.windows(2).zip(marks.windows(2)) {
        let between = &events[marks[0].0 + 1..marks[1].0];
        let written = between.iter().filter(|event| matches!(event, Event::Write { .. })).count();
        assert_eq!(written == 0, steps[0].after == steps[1].after, "{}: {written} writes", steps[1].name);
    }

    let sample = Sample::new("power cut beside boot entries", recording.progress(), BUDGET)?;
    let states = crash::states(&events, base.as_file(), sample.seed()).unwrap();
    let cases = states.into_iter().map(|state| (state.name(), state)).collect();
    sample.run(cases, |state| leaves_whole_files(state, &events, base.path()))?.expect_success();
    Ok(())
}

fn base() -> NamedTempFile {
    let files = BEFORE.into_iter().filter_map(|(path, name)| Some((path, name?))).chain([OTHER]);
    let files = files.map(|(path, name)| (path, content(name))).chain([(LEFT, &[7; 9000][..])]);
    esp::disk_of(&files.collect::<Vec<_>>())
}

fn content(name: &str) -> &'static [u8] {
    static OF_BAD: LazyLock<Vec<u8>> = LazyLock::new(|| {
        let mut bytes = esp::content("1.1.0").to_vec();
        bytes[ROTTEN] ^= 1;
        bytes
    });
    if Some(name) == BAD { &OF_BAD } else { esp::content(name) }
}

fn leaves_whole_files(state: &State, events: &[Event<'_>], base: &Path) -> Result<(), Error> {
    let copy = NamedTempFile::new().unwrap();
    disk::copy(base, copy.path())?;
    let file = File::options().read(true).write(true).open(copy.path()).unwrap();
    state.write(events, &file).unwrap();

    let done = events[..state.cut()].iter().filter(|event| is_mark(event)).count();
    let during = STEPS.get(done);
    let what = during.map_or("in the end", |step| step.name);
    let before = if done == 0 { BEFORE } else { STEPS[done - 1].after };
    let after = during.map_or(before, |step| step.after);
    let partial = during.map_or(&[][..], |step| step.partial);
    let mut files: BTreeMap<_, _> = esp::files(&file, is_tolerated).into_iter().collect();

    files.retain(|path, _| !partial.contains(&path.as_str()) && !path.starts_with(FOLDER));
    let (path, name) = OTHER;
    assert!(files.remove(path).as_deref() == Some(content(name)), "{what}: {path} was touched");
    let mut is_new = Vec::new();
    for ((path, old), (_, new)) in before.into_iter().zip(after) {
        let found = files.remove(path);
        let found = found.as_deref();
        let (old, new) = (old.map(content), new.map(content));
        assert!(found == old || found == new, "{what}: {path} is neither the old one nor the new one");
        is_new.push(found == new);
    }
    assert!(is_new[0] || !is_new[1] || before[1] == after[1], "{what}: the second copy came first");
    assert!(files.is_empty(), "{what}: {:?} is left", files.keys());
    Ok(())
}

/// Nothing may share, and no folder be damaged that has its name already.
fn is_tolerated(fault: &Fault) -> bool {
    esp::is_found_by_content(fault) || matches!(fault, Fault::Folder { path, .. } if path == FOLDER)
}
