//! `coracle withdraw`.

use std::process::ExitCode;

use coracle_image::publish::withdraw;
use coracle_layout::OsVersion;
use coracle_rollout::label::Label;

use super::refresh::{Place, now, said};

/// Arguments of `coracle withdraw`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coracle withdraw 1.4.1 --repo repo --keys keys --channel stable

Machines that run it already keep running it: publish a higher version for them.")]
pub struct Args {
    /// The version that no machine is to install any more.
    version: OsVersion,
    #[command(flatten)]
    place: Place,
    /// In which channel.
    #[arg(long)]
    channel: Label,
}

/// Recalls a version.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let keyring = &mut args.place.keyring()?;
    said(withdraw(&args.place.repo, &args.channel, args.version, keyring, now()?)?)
}
