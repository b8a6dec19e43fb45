//! Wherever the power goes while the boot manager or the fallback is replaced, each is the old one or the new one, whole, and no
//! entry was touched.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use coracle_fat::read::Error as Fault;
use coracle_qemu_tests::crash::{self, State};
use coracle_qemu_tests::esp::{self, is_mark};
use coracle_qemu_tests::recording::{Recording, key_of};
use coracle_qemu_tests::sample::Sample;
use coracle_qemu_tests::writes::Event;
use coracle_qemu_tests::{Error, disk, image};
use tempfile::NamedTempFile;

/// How long a run of some cases may go on; all of them take about as long.
const BUDGET: Duration = Duration::from_secs(60);

const ENTRIES: [(&str, &str); 2] =
    [("EFI/Linux/coracle_1.0.0.efi", "1.0.0"), ("EFI/Linux/coracle_1.1.0.efi", "1.1.0")];
const FIRST: &str = "EFI/systemd/systemd-bootx64.efi";
const SECOND: &str = "EFI/BOOT/BOOTX64.EFI";
const FALLBACK: &str = "EFI/coracle/fallback.efi";
/// What a power cut during an update has left.
const LEFT: &str = "EFI/systemd/systemd-bootx64.new";
/// What is being made or thrown away, and may be there in part while a step is under way that makes it.
const FIRST_LOADER: &[&str] = &[LEFT, "EFI/BOOT/BOOTX64.NEW"];
const FIRST_FALLBACK: &[&str] = &["EFI/coracle/fallback.new"];
/// The folder of the fallback before it has its name. What it lists is not looked at by anybody.
const FOLDER: &str = "EFI/coracle.new";

/// What is in the files, made up once: each of many cases looks at all of it.
static CONTENTS: LazyLock<BTreeMap<&str, Vec<u8>>> = LazyLock::new(|| {
    ["1.0.0", "1.1.0", "loader 1", "loader 2"].map(|name| (name, esp::content(name))).into()
});

/// What the guest does between two marks.
struct Step {
    name: &'static str,
    /// Boot manager and fallback when it is done, by their content. The step before says what was.
    after: [(&'static str, Option<&'static str>); 3],
    partial: &'static [&'static str],
}

const fn all(
    loader: &'static str,
    fallback: Option<&'static str>,
) -> [(&'static str, Option<&'static str>); 3] {
    [(FIRST, Some(loader)), (SECOND, Some(loader)), (FALLBACK, fallback)]
}

const BEFORE: [(&str, Option<&str>); 3] = all("loader 1", None);

const STEPS: [Step; 5] = [
    Step { name: "loader replaced", after: all("loader 2", None), partial: FIRST_LOADER },
    Step { name: "loader left", after: all("loader 2", None), partial: &[] },
    Step { name: "fallback made", after: all("loader 2", Some("1.0.0")), partial: FIRST_FALLBACK },
    Step { name: "fallback replaced", after: all("loader 2", Some("1.1.0")), partial: FIRST_FALLBACK },
    Step { name: "fallback left", after: all("loader 2", Some("1.1.0")), partial: &[] },
];

#[test]
fn every_cut_leaves_boot_manager_and_fallback_whole() -> Result<(), Error> {
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
    for (step, marks) in STEPS.iter().skip(1).zip(marks.windows(2)) {
        let between = &events[marks[0].0 + 1..marks[1].0];
        let written = between.iter().filter(|event| matches!(event, Event::Write { .. })).count();
        assert_eq!(written == 0, step.partial.is_empty(), "{}: {written} writes", step.name);
    }

    let sample = Sample::new("power cut beside boot entries", recording.progress(), BUDGET)?;
    let states = crash::states(&events, base.as_file(), sample.seed()).unwrap();
    let cases = states.into_iter().map(|state| (state.name(), state)).collect();
    sample.run(cases, |state| leaves_whole_files(state, &events, base.path()))?.expect_success();
    Ok(())
}

fn base() -> NamedTempFile {
    let loaders = BEFORE.into_iter().filter_map(|(path, version)| Some((path, version?)));
    let mut files: Vec<_> =
        ENTRIES.into_iter().chain(loaders).map(|(path, version)| (path, content(version).clone())).collect();
    files.push((LEFT, vec![7; 9000]));
    let files: Vec<_> = files.iter().map(|(path, bytes)| (*path, &bytes[..])).collect();
    esp::disk_of(&files)
}

fn content(name: &str) -> &'static Vec<u8> {
    &CONTENTS[name]
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
    for (path, version) in ENTRIES {
        assert!(files.remove(path).as_ref() == Some(content(version)), "{what}: {path} was touched");
    }
    let mut is_new = Vec::new();
    for ((path, old), (_, new)) in before.into_iter().zip(after) {
        let found = files.remove(path);
        let found = found.as_ref();
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
