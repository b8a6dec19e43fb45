//! `coracle bundle`.

use std::path::PathBuf;
use std::process::ExitCode;

use coracle_image::repository::bundle::{self, Content};
use coracle_image::repository::mirror;
use coracle_layout::OsVersion;
use coracle_rollout::label::Label;

use super::mirror::{Trust, said};
use super::refresh::now;

/// Arguments of `coracle bundle`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coracle bundle repo stable.tar --channel stable
  coracle bundle https://updates.example.org/edge edge.tar --channel stable --version 1.4.0 --root 1.root.json
  coracle bundle --from stable.tar repo --root 1.root.json

Its metadata expires like any other: a timestamp after two days. The same repository gives the same bytes.")]
pub struct Args {
    /// Where the repository is: an address or a folder. With --from the folder to unpack to.
    #[arg(value_name = "REPO")]
    repo: String,
    /// The bundle to write.
    #[arg(
        value_name = "OUT",
        required_unless_present = "from",
        conflicts_with = "from",
        requires = "channel"
    )]
    out: Option<PathBuf>,
    /// Unpack this bundle, as `coracle mirror` does.
    #[arg(long, value_name = "BUNDLE", conflicts_with_all = ["channel", "version"])]
    from: Option<PathBuf>,
    /// The channel that goes into it.
    #[arg(long)]
    channel: Option<Label>,
    /// Only this release of it.
    #[arg(long)]
    version: Option<OsVersion>,
    #[command(flatten)]
    trust: Trust,
}

/// Packs or unpacks; progress on standard error.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut request = mirror::Request {
        from: args.repo.clone(),
        root: args.trust.root.clone(),
        repo: args.repo.clone().into(),
        authorities: args.trust.authorities.clone(),
        now: now()?,
    };
    let mut note = |line: &str| eprintln!("{line}");
    match (&args.from, &args.out, &args.channel) {
        (Some(from), _, _) => {
            request.from = from.display().to_string();
            anyhow::ensure!(from.is_file(), "there is no bundle {}", from.display());
            said(mirror::mirror(&request, &mut note)?, false)
        }
        (None, Some(out), Some(channel)) => {
            let content = Content { channel: channel.clone(), version: args.version };
            let count = bundle::write(&request, &content, out, &mut note)?;
            eprintln!("{} has {count} files of channel {channel}", out.display());
            Ok(ExitCode::SUCCESS)
        }
        // The command line was refused before.
        _ => anyhow::bail!("name the bundle to write and its --channel, or the one to unpack with --from"),
    }
}
