//! `coracle pause` and `coracle resume`.

use std::process::ExitCode;

use coracle_image::publish::{Pause, pause};
use coracle_rollout::label::Label;

use super::refresh::{Place, now, said};

/// Arguments of both.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coracle pause --repo repo --keys keys --channel stable
  coracle resume --repo repo --keys keys --channel stable

While a channel is paused no machine begins with a release of it, and none reboots for one. What is on trial goes on: it proves
itself, or is left. A single release is recalled by `coracle withdraw`.")]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Which channel.
    #[arg(long)]
    channel: Label,
}

/// Pauses the channel, or ends that.
pub fn run(args: &Args, what: Pause) -> anyhow::Result<ExitCode> {
    let keyring = &mut args.place.keyring()?;
    said(pause(&args.place.repo, &args.channel, what, keyring, now()?)?)
}
