//! What an update downloads, what it takes to make and to apply it, and how fast a slot is written.
//!
//! | case | from, to |
//! |---|---|
//! | `patch` | the example, and the same with a few lines of init changed: root and UKI together |
//! | `kernel` | the example's root, and its UKI with two kernels of ours that the cache has, of nearly the same configuration |
//! | `kernel-debian` | Debian's kernel of two dates |
//! | `distribution` | a root of Debian's packages of two dates, some 200 MB: `trees.sh` |
//! | `slot`, `slot-500`, `slot-200` | the newer of these roots, installed from a file: on the disk of the cache, on disks of so many MB/s |
//!
//! | subject | what it is |
//! |---|---|
//! | `coracle`, `coracle-full` | our ops file from the old image; and from nothing |
//! | `coracle-forms` | of `kernel`: the same where the UKI's goes from one unpacked form to the other, unpacking and packing included |
//! | `bsdiff`, `xdelta3`, `zstd-patch-from` | one patch for the whole image: `peers` |
//! | `casync`, `bita` | chunks that the old image lacks, and the index |
//! | `block-hashes` | blocks of 4 KiB that the old image lacks, and 32 bytes for each block |
//! | `floor` | of `slot`: the same bytes written in order, as often flushed |
//!
//! Everything measured is a process of its own, started by one that does nothing else: `process`. A file is made once, as its bytes
//! are always the same; `--runs` is how often it is applied, and how often the slot is written. What cannot be had is left out, loudly.
//! `--case NAME` measures that one alone.

mod bars;
mod disk;
mod image;
mod ours;
mod peers;
mod process;
mod server;
mod slot;
mod sources;

use std::error::Error;
use std::fs;
use std::path::Path;

use coracle_qemu_tests::measure::{Form, Options, Report};

use bars::Bars;
use image::Pair;
use process::Cost;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.split_first() {
        Some((first, rest)) if first == process::MEASURE => process::measure(rest),
        Some((first, rest)) if first == ours::TASK => ours::task(rest),
        _ => {
            let (only, words) = only(words)?;
            bench(Options::parse(words)?, only.as_deref())
        }
    }
}

/// The one case that is wanted, and the other words.
fn only(mut words: Vec<String>) -> Result<(Option<String>, Vec<String>)> {
    let Some(at) = words.iter().position(|word| word == "--case") else { return Ok((None, words)) };
    let name = words.get(at + 1).cloned().ok_or("--case needs a name")?;
    if !CASES.contains(&name.as_str()) {
        return Err(format!("no case {name}; there are: {}", CASES.join(", ")).into());
    }
    words.drain(at..at + 2);
    Ok((Some(name), words))
}

/// What can be measured alone: `distribution` is all that takes Debian's packages, `slot` only the writing of it.
const CASES: [&str; 4] = ["patch", "kernel", "distribution", "slot"];

fn bench(options: Options, only: Option<&str>) -> Result<()> {
    let sources = sources::Sources::open()?;
    let mut bench = Bench { options, report: Report::new("update", "coracle"), bars: Bars::default() };
    let wanted = |case: &str| only.is_none_or(|only| only == case);
    if wanted("patch")
        && let Some(pairs) = found("patch", sources.patch())
    {
        bench.ours("patch", &pairs, sources.scratch())?;
    }
    if wanted("kernel")
        && let Some(kernels) = found("kernel", sources.kernels())
    {
        bench.kernel(&kernels, sources.scratch())?;
    }
    if (wanted("distribution") || wanted("slot"))
        && let Some(trees) = found("distribution", sources.trees())
    {
        let made = if wanted("distribution") {
            bench.ours("kernel-debian", std::slice::from_ref(&trees.kernels), sources.scratch())?;
            let made = bench.ours("distribution", std::slice::from_ref(&trees.roots), sources.scratch())?;
            bench.peers("distribution", &trees.roots, sources.scratch())?;
            made
        } else {
            ours::make(&trees.roots, sources.scratch())?.0
        };
        for run in 1..=options.runs {
            eprintln!("bench: run {run} of {}, slot", options.runs);
            slot::run(&trees.roots, &made, sources.scratch(), &mut bench.report, &mut bench.bars)?;
        }
    }
    print!("{}", bench.report.show(options.form));
    if options.form == Form::Table {
        print!("\n{}", bench.bars.show());
    }
    Ok(())
}

/// The value, or a message that this case is missing.
fn found<T>(case: &str, value: Result<T>) -> Option<T> {
    value.inspect_err(|error| eprintln!("bench: THE CASE {case} IS MISSING: {error}")).ok()
}

struct Bench {
    options: Options,
    report: Report,
    bars: Bars,
}

impl Bench {
    /// Our own files for images that are updated together: their bytes are summed. Returns those of the last pair.
    fn ours(&mut self, case: &'static str, pairs: &[Pair], scratch: &Path) -> Result<ours::Made> {
        let mut sums = [("coracle", 0), ("coracle-full", 0)];
        let mut made = None;
        for pair in pairs {
            eprintln!("bench: {case}, making ops files to {}", pair.new.path().display());
            let (files, costs) = ours::make(pair, scratch)?;
            for (((subject, sum), cost), path) in sums.iter_mut().zip(costs).zip([&files.delta, &files.full])
            {
                *sum += fs::metadata(path)?.len();
                self.cost(case, subject, ["make-cpu-s", "make-wall-s", "make-MiB"], cost);
            }
            for _ in 0..self.options.runs {
                let costs = ours::apply(pair, &files, scratch)?;
                for ((subject, _), cost) in sums.iter().zip(costs) {
                    self.cost(case, subject, APPLY, cost);
                    self.bars.applied(case, subject, cost.memory);
                }
            }
            made = Some(files);
        }
        for (subject, bytes) in sums {
            self.bytes(case, subject, bytes);
        }
        made.ok_or_else(|| "no images".into())
    }

    /// A kernel that was built again: root and UKI as they are, and the UKI by way of its unpacked form.
    fn kernel(&mut self, kernels: &sources::Kernels, scratch: &Path) -> Result<()> {
        let (case, subject) = ("kernel", "coracle-forms");
        let made = self.ours(case, &[kernels.root.clone(), kernels.ukis.clone()], scratch)?;
        let raw = fs::metadata(&made.delta)?.len();
        let forms = ours::forms(&kernels.ukis, scratch)?;
        let (made, [cost, _]) = ours::make(&forms.pair, scratch)?;
        self.cost(case, subject, ["make-cpu-s", "make-wall-s", "make-MiB"], cost);
        for _ in 0..self.options.runs {
            let [cost, _] = ours::apply(&forms.pair, &made, scratch)?;
            self.cost(case, subject, APPLY, cost);
        }
        self.cost(case, subject, ["unpack-cpu-s", "unpack-wall-s", "unpack-MiB"], forms.unpack);
        self.cost(case, subject, ["pack-cpu-s", "pack-wall-s", "pack-MiB"], forms.pack);
        let all = self.bars.bytes_of(case, "coracle");
        self.bytes(case, subject, all - raw + fs::metadata(&made.delta)?.len());
        Ok(())
    }

    /// What others make of the same two images.
    fn peers(&mut self, case: &'static str, pair: &Pair, scratch: &Path) -> Result<()> {
        for peer in peers::all() {
            eprintln!("bench: {case}, {}", peer.name);
            let work = scratch.join(peer.name);
            fs::create_dir_all(&work)?;
            let measured = (peer.make)(pair, &work).and_then(|(bytes, cost)| {
                self.bytes(case, peer.name, bytes);
                self.cost(case, peer.name, ["make-cpu-s", "make-wall-s", "make-MiB"], cost);
                let Some(apply) = peer.apply else { return Ok(()) };
                for _ in 0..self.options.runs {
                    let (fetched, cost) = apply(pair, &work)?;
                    self.cost(case, peer.name, APPLY, cost);
                    if let Some(bytes) = fetched {
                        self.bytes(case, peer.name, bytes);
                    }
                }
                Ok(())
            });
            if let Err(error) = measured {
                eprintln!("bench: {} IS MISSING: {error}", peer.name);
            }
            fs::remove_dir_all(&work)?;
        }
        Ok(())
    }

    fn bytes(&mut self, case: &'static str, subject: &'static str, bytes: u64) {
        if bytes > 0 {
            self.report.add(case, subject, "bytes", bytes as f64);
            self.bars.bytes(case, subject, bytes);
        }
    }

    fn cost(&mut self, case: &'static str, subject: &'static str, units: [&'static str; 3], cost: Cost) {
        let [processor, wall, memory] = units;
        self.report.add(case, subject, processor, cost.processor);
        self.report.add(case, subject, wall, cost.wall);
        self.report.add(case, subject, memory, cost.memory);
    }
}

const APPLY: [&str; 3] = ["apply-cpu-s", "apply-wall-s", "apply-MiB"];
