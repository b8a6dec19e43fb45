//! `coracle mirror`.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use coracle_image::repository::mirror::{self, Mirrored};

use coracle_trust::Versions;

use super::refresh::now;

/// Arguments of `coracle mirror`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coracle mirror https://updates.example.org/edge --repo mirror --root 1.root.json
  coracle mirror /media/stable.tar --repo mirror --root 1.root.json --json | jq .fetched

Run again it fetches what is new, and after a failure it goes on. Files of before are kept. Without --root the copy's own first root
is trusted.")]
pub struct Args {
    /// Where the repository is: an address, a folder, or a bundle.
    #[arg(value_name = "URL|DIR|BUNDLE")]
    from: String,
    /// The copy; made if it is not there.
    #[arg(long, value_name = "DIR")]
    repo: PathBuf,
    #[command(flatten)]
    trust: Trust,
    /// Print what was done as JSON on standard output.
    #[arg(long)]
    json: bool,
}

/// Whom to trust.
#[derive(Debug, clap::Args)]
pub struct Trust {
    /// Root metadata of the repository, from a place that you trust.
    #[arg(long, value_name = "FILE")]
    pub root: Option<PathBuf>,
    /// Certificates of authorities for https, in PEM [default: this machine's].
    #[arg(long, value_name = "FILE")]
    pub authorities: Option<PathBuf>,
}

/// Copies; progress on standard error.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let request = mirror::Request {
        from: args.from.clone(),
        root: args.trust.root.clone(),
        repo: args.repo.clone(),
        authorities: args.trust.authorities.clone(),
        now: now()?,
    };
    said(mirror::mirror(&request, &mut |line| eprintln!("{line}"))?, args.json)
}

/// Says what was done.
pub fn said(done: Mirrored, json: bool) -> anyhow::Result<ExitCode> {
    let Mirrored { versions, fetched, kept, left_out, bytes } = done;
    if json {
        let Versions { root, timestamp, snapshot, targets } = versions;
        let report = serde_json::json!({
            "root": root, "timestamp": timestamp, "snapshot": snapshot, "targets": targets,
            "fetched": fetched, "kept": kept, "left_out": left_out, "bytes": bytes,
        });
        writeln!(std::io::stdout(), "{report}")?;
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("{fetched} files fetched ({bytes} bytes), {kept} kept, {left_out} left out of the bundle");
    super::refresh::said(versions)
}
