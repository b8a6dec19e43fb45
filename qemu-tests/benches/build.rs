//! How long an image takes once the kernel is in the cache and the programs are compiled.
//!
//! The floor makes the same forms of the finished disk with the stock tools: a copy, `zstd -3` and `qemu-img convert`. It neither
//! compresses as well nor makes or checks anything; what it does is what no builder of these forms can leave out.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use coracle_qemu_tests::image::{Image, output, repository};
use coracle_qemu_tests::measure::{Options, Report};

/// Writes an image's forms into a folder.
type Make<'a> = dyn Fn(&Path) -> Result<(), Box<dyn Error>> + 'a;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    let raw = Image::example("hello")?.file("raw")?;
    let folder = tempfile::Builder::new().prefix("coracle-build-").tempdir()?;
    let mut report = Report::new("build", "floor");
    for run in 1..=options.runs {
        eprintln!("bench: run {run} of {}", options.runs);
        let subjects: [(_, &Make); 2] = [("coracle", &build), ("floor", &|out| stock(&raw, out))];
        for (subject, make) in subjects {
            let out = folder.path().join(subject);
            fs::create_dir(&out)?;
            let (start, before) = (Instant::now(), processor_time()?);
            make(&out)?;
            report.add("hello, warm", subject, "wall-s", start.elapsed().as_secs_f64());
            report.add("hello, warm", subject, "cpu-s", (processor_time()? - before).as_secs_f64());
            fs::remove_dir_all(&out)?;
        }
    }
    print!("{}", report.show(options.form));
    Ok(())
}

fn build(out: &Path) -> Result<(), Box<dyn Error>> {
    let builder = repository().join("target/release/coracle");
    let mut build = Command::new(builder);
    build.args(["build", "examples/hello/coracle.toml", "--programs", "build/programs", "--out"]).arg(out);
    output(&mut build)?;
    Ok(())
}

fn stock(raw: &Path, out: &Path) -> Result<(), Box<dyn Error>> {
    output(Command::new("cp").arg("--sparse=always").arg(raw).arg(out.join("raw")))?;
    output(Command::new("zstd").args(["-3", "--quiet", "-o"]).arg(out.join("raw.zst")).arg(raw))?;
    let mut convert = Command::new("qemu-img");
    output(convert.args(["convert", "-f", "raw", "-O", "qcow2"]).arg(raw).arg(out.join("qcow2")))?;
    Ok(())
}

/// Of the children that have ended: fields 16 and 17 of `/proc/self/stat`, in hundredths of a second.
fn processor_time() -> Result<Duration, Box<dyn Error>> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse::<u64>().ok());
    let sum = ticks(16).zip(ticks(17)).map(|(user, system)| user + system);
    Ok(Duration::from_millis(sum.ok_or("/proc/self/stat is too short")? * 10))
}
