//! `coracle refresh`, and what the commands for repositories share.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use coracle_image::keys::{self, Keyring, Passphrases};
use coracle_image::repository::{Change, Lifetimes, Repo};
use coracle_rollout::Time;
use coracle_trust::Versions;

/// A repository and the keys for it.
#[derive(Debug, clap::Args)]
pub struct Place {
    /// The repository.
    #[arg(long, value_name = "DIR")]
    pub repo: PathBuf,
    /// A folder of keys; may be repeated. New keys go into the first.
    #[arg(long, value_name = "DIR", required = true)]
    pub keys: Vec<PathBuf>,
    /// A file whose first line is a passphrase, or /dev/fd/N [default: $CORACLE_PASSPHRASE_FILE, else the terminal].
    ///
    /// May be repeated: each is tried on each key, and the last is for new keys.
    #[arg(long, value_name = "FILE")]
    pub passphrase_file: Vec<PathBuf>,
}

impl Place {
    /// The keys, with the passphrases for them.
    pub fn keyring(&self) -> Result<Keyring, keys::Error> {
        let mut files = self.passphrase_file.clone();
        if files.is_empty() {
            files.extend(std::env::var_os("CORACLE_PASSPHRASE_FILE").map(PathBuf::from));
        }
        Ok(Keyring::new(&self.keys, Passphrases::from_files(&files)?))
    }
}

/// Arguments of `coracle refresh`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples, twice a day; and where nothing is published for three months:
  coracle refresh --repo repo --keys online --passphrase-file /run/credentials/passphrase
  coracle refresh --repo repo --keys online --keys /mnt/offline/keys --targets

Needs the keys of snapshot and timestamp alone. A timestamp is good for two days, a snapshot for fourteen. Says when root or
targets end within thirty days.")]
pub struct Args {
    #[command(flatten)]
    place: Place,
    /// Sign the list of targets anew, too: it is good for ninety days. Needs its key.
    #[arg(long)]
    targets: bool,
}

/// Says anew that the repository is still what it was.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (mut repo, now) = (Repo::open(&args.place.repo)?, now()?);
    let change = Change { targets: args.targets.then(|| repo.targets()), ..Change::default() };
    let versions = repo.commit(change, &mut args.place.keyring()?, Lifetimes::default(), now)?;
    for (role, end) in repo.ends_soon(now) {
        let cure =
            if role == "root" { "coracle keys update" } else { "coracle refresh --targets, or a release," };
        writeln!(std::io::stderr(), "warning: {role} ends at {end}: {cure} signs it anew")?;
    }
    said(versions)
}

/// Says which versions there are now.
pub fn said(versions: Versions) -> anyhow::Result<ExitCode> {
    let Versions { root, timestamp, snapshot, targets } = versions;
    writeln!(std::io::stdout(), "root {root} timestamp {timestamp} snapshot {snapshot} targets {targets}")?;
    Ok(ExitCode::SUCCESS)
}

/// What time it is.
pub fn now() -> anyhow::Result<Time> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    Ok(Time::from_unix(since.as_secs()))
}
