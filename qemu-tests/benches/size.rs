//! What the image of `examples/hello` weighs, against what was promised, and what PID 1 holds in memory.

use std::error::Error;
use std::fs;

use coracle_qemu_tests::image::Image;
use coracle_qemu_tests::measure::{Options, Report};
use coracle_qemu_tests::{Deadline, Machine, Specimen, http};

/// What is measured by its file: the purpose in `release.json`, and the most it may have.
const FILES: [(&str, u32); 3] = [("root", 6 << 20), ("uki", 8 << 20), ("raw.zst", 12 << 20)];
/// What is measured as the builder counted it: its name in `summary.json`, and the most.
const PARTS: [(&str, u32); 2] = [("stage1.zst", 600 << 10), ("init", 1536 << 10)];
const RESIDENT: u32 = 2 << 20;
const BOOT: u64 = 180;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse(std::env::args().skip(1))?;
    let mut report = Report::new("size", "budget");
    let mut add = |case, bytes: u64, budget: u32| {
        report.add(case, "coracle", "bytes", bytes as f64);
        report.add(case, "budget", "bytes", budget.into());
    };
    let image = Image::example("hello")?;
    for (purpose, budget) in FILES {
        add(purpose, fs::metadata(image.file(purpose)?)?.len(), budget);
    }
    let summary = fs::read(image.file("raw.zst")?.with_file_name("summary.json"))?;
    let summary: serde_json::Value = serde_json::from_slice(&summary)?;
    for (part, budget) in PARTS {
        let bytes = summary[part]["bytes"].as_u64().ok_or_else(|| format!("no {part} in summary.json"))?;
        add(part, bytes, budget);
    }
    add("init resident", resident()?, RESIDENT);
    print!("{}", report.show(options.form));
    Ok(())
}

/// Bytes of PID 1 in memory, pages of its file included, once two containers run. Read by a container that sees the host's
/// processes, hence in the image of the tests.
fn resident() -> Result<u64, Box<dyn Error>> {
    let specimen = Specimen::new("test")?;
    let mut machine = Machine::start(specimen.direct("")?.forward(8081))?;
    machine.wait_for("coracle: boot record settled", Deadline::seconds(BOOT))?;
    let address = machine.forwarded(8081)?;
    let status = http::get(address, "/read?path=/proc/1/status", Deadline::seconds(BOOT))?.text();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    Ok(kib.ok_or_else(|| format!("no VmRSS in {status:?}"))? << 10)
}
