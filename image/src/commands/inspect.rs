//! `coracle inspect`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use coracle_image::inspect::inspect;

/// Arguments of `coracle inspect`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  coracle inspect build/edge.raw.zst\n  coracle inspect build/edge.qcow2 --json | jq .faults"
)]
pub struct Args {
    /// The image: raw, raw.zst, qcow2, vmdk or vhd, told by its content.
    image: PathBuf,
    /// Print the report as JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// Prints the report, and each fault as a line on standard error; any fault gives exit code 1.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let report = inspect(&args.image)?;
    let text = if args.json { serde_json::to_string_pretty(&report)? + "\n" } else { report.to_string() };
    std::io::stdout().write_all(text.as_bytes())?;
    report.faults.iter().for_each(|fault| eprintln!("coracle: {}: {fault}", args.image.display()));
    Ok(if report.faults.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
