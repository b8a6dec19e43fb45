//! What a process takes: time, and memory at its most.
//!
//! A child inherits what its parent's memory was, as far as the system's accounts go. So each is started by this program again, which
//! then has nothing in memory but itself.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};
use serde_json::{Value, json};

use crate::Result;

/// The first word of the command line: measure what follows.
pub const MEASURE: &str = "measure";

/// What a process took.
#[derive(Debug, Clone, Copy)]
pub struct Cost {
    /// Seconds of processor time, of all its threads.
    pub processor: f64,
    /// Seconds.
    pub wall: f64,
    /// MiB resident at the most.
    pub memory: f64,
}

/// Runs a program in this folder. What it prints is dropped, unless it fails.
pub fn run(program: impl AsRef<Path>, words: &[&str], folder: &Path) -> Result<Cost> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg(MEASURE).arg(program.as_ref()).args(words).current_dir(folder);
    let output = command.stderr(Stdio::inherit()).output()?;
    if !output.status.success() {
        return Err(format!("{} {} failed", program.as_ref().display(), words.join(" ")).into());
    }
    let cost: Value = serde_json::from_slice(&output.stdout)?;
    let number = |name: &str| cost[name].as_f64().ok_or_else(|| format!("no {name} in {cost}"));
    Ok(Cost { processor: number("processor")?, wall: number("wall")?, memory: number("memory")? })
}

/// The inner half of [`run`].
pub fn measure(words: &[String]) -> Result<()> {
    let (program, words) = words.split_first().ok_or("nothing to measure")?;
    let start = Instant::now();
    let output = Command::new(program).args(words).stdout(Stdio::null()).stderr(Stdio::piped()).output()?;
    let wall = start.elapsed().as_secs_f64();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("{program} ended with {}: {said}", output.status).into());
    }
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN)?;
    let seconds = |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let processor = seconds(usage.user_time()) + seconds(usage.system_time());
    println!(
        "{}",
        json!({ "processor": processor, "wall": wall, "memory": usage.max_rss() as f64 / 1024.0 })
    );
    Ok(())
}
