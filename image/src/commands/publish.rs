//! `coracle publish`.

use std::path::PathBuf;
use std::process::ExitCode;

use coracle_image::publish::{Request, Terms, publish};
use coracle_image::steps::Event;
use coracle_layout::OsVersion;
use coracle_rollout::Epoch;
use coracle_rollout::label::Label;
use coracle_rollout::waves::{Point, Waves};

use super::refresh::{Place, now, said};

/// Arguments of `coracle publish`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coracle publish build --repo repo --keys keys --channel stable
  coracle publish build --repo repo --keys keys --channel stable --at-once --security-floor 1.4.0

Run again after a failure, it goes on to the same end. Copy the folder to a server with metadata/timestamp.json last.")]
pub struct Args {
    /// The output folder of a build.
    release: PathBuf,
    #[command(flatten)]
    place: Place,
    /// How eager the machines are that get it.
    #[arg(long)]
    channel: Label,
    /// Make deltas from so many releases before it; from stepping stones they are made always.
    #[arg(long, value_name = "N", default_value = "3")]
    deltas: usize,
    /// Offer it to every machine at once, not over six days.
    #[arg(long)]
    at_once: bool,
    /// Count up what never goes back: no machine returns to a lower epoch [default: as the release before].
    #[arg(long, value_name = "N")]
    epoch: Option<u32>,
    /// A stepping stone: no machine goes past it without having run it.
    #[arg(long)]
    barrier: bool,
    /// The oldest version that may come here in one step.
    #[arg(long, value_name = "VERSION")]
    min_from: Option<OsVersion>,
    /// From now on, install nothing lower than that [default: as before].
    #[arg(long, value_name = "VERSION")]
    security_floor: Option<OsVersion>,
    /// Where people read about it.
    #[arg(long, value_name = "URL")]
    notes: Option<String>,
}

/// Hours after the start, and the share of machines by then in thousandths.
const RAMP: [(u32, u16); 7] = [(1, 10), (4, 50), (24, 150), (48, 400), (96, 600), (120, 900), (144, 1000)];

/// Publishes; progress on standard error.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let now = now()?;
    let points = RAMP.map(|(hours, permille)| Point { after_seconds: hours * 3600, permille });
    let request = Request {
        release: args.release.clone(),
        repo: args.place.repo.clone(),
        channel: args.channel.clone(),
        deltas: args.deltas,
        terms: Terms {
            epoch: args.epoch.map(Epoch),
            barrier: args.barrier,
            min_from: args.min_from,
            security_floor: args.security_floor,
            notes: args.notes.clone(),
            waves: (!args.at_once).then(|| Waves { start: now, points: points.to_vec() }),
        },
        now,
    };
    let versions = publish(&request, &mut args.place.keyring()?, &mut |event| match event {
        Event::Note { step, text } => eprintln!("{step:<8}           {text}"),
        Event::Done { step, took, result } => eprintln!("{step:<8} {:>7.2} s  {result}", took.as_secs_f64()),
    })?;
    said(versions)
}
