//! Installing a root into a slot, against writing the same bytes in order.
//!
//! Both write files of the slot's size that were written before: on the disk that holds the cache of the benchmarks, which in a virtual
//! machine may be as fast as memory, and on disks that are held to a speed.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Instant;

use coracle_layout::{RootHash, Slot};
use coracle_qemu_tests::measure::Report;
use coracle_updater::slot::{Job, Pace, Stored, Target, checkpoint_in};
use serde_json::{Value, json};

use crate::Result;
use crate::bars::Bars;
use crate::disk::Disk;
use crate::image::Pair;
use crate::ours::{self, Made, header};

/// The cases, each with the speed of its disk in MB/s; the one without is on the disk of the cache.
pub const CASES: [(&str, Option<u64>); 3] =
    [("slot", None), ("slot-500", Some(500)), ("slot-200", Some(200))];

/// One turn on each disk.
pub fn run(pair: &Pair, made: &Made, scratch: &Path, report: &mut Report, bars: &mut Bars) -> Result<()> {
    // Two slots, and room for the file system's own.
    let len = 3 * fs::metadata(pair.new.path())?.len();
    for (case, speed) in CASES {
        let disk = speed.map(|speed| Disk::new(scratch, len, speed * 1_000_000)).transpose();
        let disk = match disk {
            Ok(disk) => disk,
            Err(error) => {
                eprintln!("bench: THE CASE {case} IS MISSING: {error}");
                continue;
            }
        };
        let folder = disk.as_ref().map_or(scratch, Disk::folder).join("slot");
        turn(case, pair, made, &folder, report, bars)?;
        fs::remove_dir_all(&folder)?;
    }
    Ok(())
}

/// The floor, then the root from the full file, then from the delta.
fn turn(
    case: &'static str,
    pair: &Pair,
    made: &Made,
    folder: &Path,
    report: &mut Report,
    bars: &mut Bars,
) -> Result<()> {
    prepare(pair, folder)?;
    let (new, len) = (pair.new.path().display().to_string(), fs::metadata(pair.new.path())?.len());
    let rate = |seconds: f64| len as f64 / 1e6 / seconds;
    let (target, times) = (folder.join("root-b"), folder.join("times"));
    let words = [&target, &times].map(|path| path.display().to_string());
    ours::run(&["floor", &new, &words[0], &words[1]], folder)?;
    let floor = rate(read(&times, "write")?);
    report.add(case, "floor", "write-MB/s", floor);
    for (subject, ops) in [("coracle-full", &made.full), ("coracle", &made.delta)] {
        let words = [ops.display().to_string(), folder.display().to_string()];
        let (root, running) = (pair.new.root_hash()?.to_string(), pair.old.root_hash()?.to_string());
        let cost = ours::run(&["install", &words[0], &words[1], &root, &running], folder)?;
        let (write, seal) = (read(&times, "write")?, read(&times, "seal")?);
        report.add(case, subject, "write-MB/s", rate(write));
        report.add(case, subject, "seal-MB/s", rate(seal));
        report.add(case, subject, "both-MB/s", rate(write + seal));
        report.add(case, subject, "cpu-s", cost.processor);
        report.add(case, subject, "MiB", cost.memory);
        bars.installed(case, subject, rate(write) / floor, cost.memory);
    }
    Ok(())
}

/// A running slot that is the old root, and another one, as large, with something else in it.
fn prepare(pair: &Pair, folder: &Path) -> Result<()> {
    fs::create_dir_all(folder)?;
    let verity = |path: &Path| path.with_extension("verity");
    for (source, name) in [
        (pair.old.path().to_owned(), "root-a"),
        (verity(pair.old.path()), "verity-a"),
        (pair.old.path().to_owned(), "root-b"),
        (verity(pair.old.path()), "verity-b"),
    ] {
        fs::copy(source, folder.join(name))?;
    }
    for (new, name) in [(pair.new.path().to_owned(), "root-b"), (verity(pair.new.path()), "verity-b")] {
        let (has, needs) = (File::options().write(true).open(folder.join(name))?, fs::metadata(new)?.len());
        let mut at = has.metadata()?.len();
        while at < needs {
            has.write_all_at(&[0xee; 4096], at)?;
            at += 4096;
        }
        has.sync_all()?;
    }
    Ok(())
}

fn read(times: &Path, name: &str) -> Result<f64> {
    let json: Value = serde_json::from_slice(&fs::read(times)?)?;
    json[name].as_f64().ok_or_else(|| format!("no {name} in {json}").into())
}

/// The task of the process that installs: as the updater does, from a file in place of a server.
pub fn install(ops: &Path, folder: &Path, root: &str, running: &str) -> Result<()> {
    let hash = |text: &str| -> Result<RootHash> {
        text.parse().map_err(|_| format!("{text} is no root hash").into())
    };
    let file = File::open(ops)?;
    let header = header(&file)?;
    let store = checkpoint_in(folder)?;
    let job = Job::new(&header, hash(root)?, hash(running)?)?;
    let source = File::open(folder.join("root-a"))?;
    let target = Target::open(Slot::A, |which| folder.join(which.label()))?;
    let start = Instant::now();
    let poisoned = target.plan(&job)?.begin(&store)?;
    let written = poisoned.write(&source, &mut Stored(file), &store, |_| {})?;
    let write = start.elapsed().as_secs_f64();
    let start = Instant::now();
    written.seal(&store)?;
    let times = json!({ "write": write, "seal": start.elapsed().as_secs_f64() });
    fs::write(folder.join("times"), times.to_string())?;
    Ok(())
}

/// The task of the floor: pieces and flushes as the updater's, and the bytes in memory beforehand.
pub fn floor(source: &Path, target: &Path, times: &Path) -> Result<()> {
    let (bytes, Pace { piece, checkpoint }) = (fs::read(source)?, Pace::MACHINE);
    let file = File::options().write(true).open(target)?;
    let (start, mut at) = (Instant::now(), 0);
    for piece in bytes.chunks(piece) {
        file.write_all_at(piece, at)?;
        at += piece.len() as u64;
        if at.is_multiple_of(checkpoint) {
            file.sync_data()?;
        }
    }
    file.sync_data()?;
    fs::write(times, json!({ "write": start.elapsed().as_secs_f64() }).to_string())?;
    Ok(())
}
