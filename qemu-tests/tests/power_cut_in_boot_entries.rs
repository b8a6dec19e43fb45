//! Wherever the power goes while boot entries are changed, the loader finds a whole one, and nothing else was touched.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use coracle_loader as loader;
use coracle_qemu_tests::crash::{self, State};
use coracle_qemu_tests::esp::{self, FOLDER, content, is_found_by_content, is_mark};
use coracle_qemu_tests::recording::{Recording, key_of};
use coracle_qemu_tests::sample::Sample;
use coracle_qemu_tests::writes::Event;
use coracle_qemu_tests::{Error, disk, image};
use tempfile::NamedTempFile;

/// How long a run of some cases may go on; all of them take about as long.
const BUDGET: Duration = Duration::from_secs(60);
/// What a power cut during an update has left.
const UNFINISHED: &str = "coracle_0.9.0+3-0.tmp";
const EMPTY: &str = "coracle_0.8.0+3-0.efi";
/// The firmware's boot options that start the loader.
const OPTIONS: usize = 4;

/// What the guest does between two marks.
struct Step {
    name: &'static str,
    /// What is in the folder when it is done. The step before says what was.
    after: &'static [&'static str],
    /// What is being made or thrown away, and may be there in part.
    partial: &'static [&'static str],
}

const BEFORE: &[&str] = &["coracle_1.0.0.efi", UNFINISHED, EMPTY];

const STEPS: [Step; 9] = [
    Step { name: "clean", after: &["coracle_1.0.0.efi"], partial: &[UNFINISHED, EMPTY] },
    Step {
        name: "stage",
        after: &["coracle_1.0.0.efi", "coracle_1.1.0+3-0.tmp"],
        partial: &["coracle_1.1.0+3-0.tmp"],
    },
    Step { name: "activate", after: &["coracle_1.0.0.efi", "coracle_1.1.0+3-0.efi"], partial: &[] },
    Step { name: "bless", after: &["coracle_1.0.0.efi", "coracle_1.1.0.efi"], partial: &[] },
    Step { name: "demote", after: &["coracle_1.0.0+0-1.efi", "coracle_1.1.0.efi"], partial: &[] },
    Step { name: "remove", after: &["coracle_1.1.0.efi"], partial: &[] },
    Step {
        name: "stage again",
        after: &["coracle_1.1.0.efi", "coracle_1.2.0+3-0.tmp"],
        partial: &["coracle_1.2.0+3-0.tmp"],
    },
    Step { name: "activate again", after: &["coracle_1.1.0.efi", "coracle_1.2.0+3-0.efi"], partial: &[] },
    Step { name: "remove the newest", after: &["coracle_1.1.0.efi"], partial: &[] },
];

#[test]
fn every_cut_leaves_the_loader_a_whole_entry() -> Result<(), Error> {
    let base = disk_of(&[("coracle_1.0.0.efi", content("1.0.0")), (UNFINISHED, &[7; 9000]), (EMPTY, &[])]);
    let (kernel, initramfs) =
        (image::kernel()?, image::initramfs_with("coracle-qemu-tests", "guest-entries")?);
    let key = key_of(&[&kernel, initramfs.path(), base.path()]);
    let recording = Recording::kept("boot-entries", &key, |log| {
        let copy = NamedTempFile::new().unwrap();
        disk::copy(base.path(), copy.path())?;
        esp::run(esp::guest(&kernel, &initramfs, "change", copy.path()).record(log))
    })?;
    let events = recording.events()?;
    let steps: usize = events.iter().map(|event| usize::from(is_mark(event))).sum();
    assert_eq!(steps, STEPS.len(), "the guest has marked each step");

    let sample = Sample::new("power cut in boot entries", recording.progress(), BUDGET)?;
    let states = crash::states(&events, base.as_file(), sample.seed()).unwrap();
    let cases = states.into_iter().map(|state| (state.name(), state)).collect();
    sample.run(cases, |state| leaves_whole_entries(state, &events, base.path()))?.expect_success();
    Ok(())
}

#[test]
fn what_is_not_safe_is_refused() -> Result<(), Error> {
    let names = ["coracle_1.0.0.efi", "coracle_1.1.0+0-3.efi", UNFINISHED];
    let base = disk_of(&names.map(|name| (name, content("1.0.0"))));
    share_clusters(base.path());
    let (kernel, initramfs) =
        (image::kernel()?, image::initramfs_with("coracle-qemu-tests", "guest-entries")?);
    esp::run(esp::guest(&kernel, &initramfs, "refuse", base.path()))
}

fn leaves_whole_entries(state: &State, events: &[Event<'_>], base: &Path) -> Result<(), Error> {
    let copy = NamedTempFile::new().unwrap();
    disk::copy(base, copy.path())?;
    let file = File::options().read(true).write(true).open(copy.path()).unwrap();
    state.write(events, &file).unwrap();

    let done = events[..state.cut()].iter().filter(|event| is_mark(event)).count();
    let files = files_on(&file);
    let during = STEPS.get(done);
    let partial = during.map_or(&[][..], |step| step.partial);
    let before = if done == 0 { BEFORE } else { STEPS[done - 1].after };
    let what = during.map_or("in the end", |step| step.name);
    let settled = |names: &[&str]| -> Vec<String> {
        let mut names: Vec<_> =
            names.iter().filter(|name| !partial.contains(name)).map(|name| name.to_string()).collect();
        names.sort();
        names
    };
    let found: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    let allowed = [settled(before), settled(during.map_or(before, |step| step.after))];
    assert!(allowed.contains(&settled(&found)), "{what}: {found:?}, not one of {allowed:?}");
    for (name, bytes) in files.iter().filter(|(name, _)| !partial.contains(&name.as_str())) {
        assert!(is_whole(name, bytes), "{what}: {name} is there in part");
    }
    starts_something_whole(&files);
    Ok(())
}

/// What the loader would start now is whole, and with nothing but the entries without counter being any good, the machine
/// comes up.
fn starts_something_whole(files: &[(String, Vec<u8>)]) {
    let seen: Vec<_> = files.iter().map(|(name, bytes)| seen_by_loader(name, bytes)).collect();
    let chosen = loader::choose(&seen, &loader::Pins::default()).expect("an entry");
    assert!(matches!(chosen.content, loader::Content::Whole(_)), "{} is chosen", chosen.name);
    let machine = loader::Machine::new(seen, OPTIONS);
    assert!(machine.survives(|file| file.tries().is_none()), "{machine:?}");
}

/// A file that is not whole is taken for the worst: the loader lists it and the firmware refuses it.
fn seen_by_loader(name: &str, bytes: &[u8]) -> loader::File {
    let facts = loader::Facts { sort_key: Some("coracle".into()), version: Some(version_in(name).into()) };
    let content = match bytes {
        [] => loader::Content::Nothing,
        _ if is_whole(name, bytes) => loader::Content::Whole(facts),
        _ => loader::Content::Refused(facts),
    };
    loader::File { name: name.into(), content }
}

fn is_whole(name: &str, bytes: &[u8]) -> bool {
    bytes == content(version_in(name))
}

/// `1.2.3` of `coracle_1.2.3+3-0.efi`.
fn version_in(name: &str) -> &str {
    let version = name.trim_start_matches("coracle_").trim_end_matches(".efi").trim_end_matches(".tmp");
    version.split('+').next().unwrap_or_default()
}

/// The files of the folder with what is in them.
fn files_on(disk: &File) -> Vec<(String, Vec<u8>)> {
    let in_folder = |path: &str| path.strip_prefix(FOLDER)?.strip_prefix('/').map(str::to_owned);
    let files = esp::files(disk, is_found_by_content);
    files.into_iter().filter_map(|(path, bytes)| Some((in_folder(&path)?, bytes))).collect()
}

fn disk_of(files: &[(&str, &[u8])]) -> NamedTempFile {
    let paths: Vec<_> = files.iter().map(|(name, _)| format!("{FOLDER}/{name}")).collect();
    let files: Vec<_> = paths.iter().map(String::as_str).zip(files.iter().map(|(_, bytes)| *bytes)).collect();
    esp::disk_of(&files)
}

/// Gives the temporary file the clusters of the first entry.
fn share_clusters(disk: &Path) {
    let mut bytes = std::fs::read(disk).unwrap();
    let at = |bytes: &[u8], short: &[u8; 11]| bytes.windows(11).position(|window| window == short).unwrap();
    let (from, to) = (at(&bytes, b"CORACL~1EFI"), at(&bytes, b"CORACL~1TMP"));
    for offset in [20, 21, 26, 27] {
        bytes[to + offset] = bytes[from + offset];
    }
    let sector = to / 512 * 512;
    let file = File::options().write(true).open(disk).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &bytes[sector..sector + 512], sector as u64).unwrap();
}
