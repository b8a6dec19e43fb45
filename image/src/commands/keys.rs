//! `coracle keys`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Subcommand;
use coracle_image::keys::root::{self, Quorum};
use coracle_image::repository::{Change, Lifetimes, Repo, expires};

use super::refresh::{Place, now, said};

/// Arguments of `coracle keys`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
#[command(after_help = "\
A folder of keys has one file a key: root-1.pem to root-3.pem, targets-1.pem, snapshot-1.pem, timestamp-1.pem, each encrypted with
a passphrase. A key that is somewhere else has a file root-1.signer instead, which says how to sign with it:

  command = [\"ssh\", \"vault\", \"sign\", \"root-1\"]     gets the bytes on its standard input, puts the signature out
  public = \"64 hexadecimal digits\"                   of an Ed25519 key; or the PEM of an ECDSA P-256 key

Two of the three root keys sign a new root, unless `init --root M/N` says otherwise. Keep them apart, and none of them on a machine that has a network.")]
enum Command {
    /// Make the keys that are not there yet, and a repository that offers nothing.
    Init {
        #[command(flatten)]
        place: Place,
        /// How many root keys there are, and how many of them must sign a root.
        #[arg(long, value_name = "M/N", default_value = "2/3")]
        root: Quorum,
        /// The same of the keys that sign releases.
        #[arg(long, value_name = "M/N", default_value = "1/1")]
        targets: Quorum,
    },
    /// Sign the root anew before it expires.
    Update(Place),
    /// Put another key in the place of one, and sign anew what that key had signed.
    ///
    /// A key that no root has listed yet is taken; if there is none, one is made.
    Rotate {
        /// The key to replace, as in timestamp-1.
        key: String,
        #[command(flatten)]
        place: Place,
    },
}

/// Makes or changes keys and the root that lists them.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let (Command::Init { place, .. } | Command::Update(place) | Command::Rotate { place, .. }) =
        &args.command;
    let (now, lifetimes) = (now()?, Lifetimes::default());
    let end = expires(now, lifetimes.root);
    // Once: a passphrase that comes through a pipe, or from the terminal, comes once.
    let mut keyring = place.keyring()?;
    if let (Command::Init { root, targets, .. }, Some(folder)) = (&args.command, place.keys.first()) {
        make_private(folder).with_context(|| format!("make {}", folder.display()))?;
        Repo::create(&place.repo, || root::first(&mut keyring, *root, *targets, end))?;
    }
    let mut repo = Repo::open(&place.repo)?;
    let root = match &args.command {
        Command::Init { .. } => None,
        Command::Update(_) => Some(root::renewed(repo.root()?, &mut keyring, end)?),
        Command::Rotate { key, .. } => {
            let (root, new) = root::rotated(repo.roots(), key, &mut keyring, end)?;
            eprintln!("coracle: {new} takes the place of {key}");
            Some(root)
        }
    };
    said(repo.commit(Change { root, targets: None }, &mut keyring, lifetimes, now)?)
}

/// A folder that only its owner looks into.
fn make_private(folder: &PathBuf) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    if folder.exists() { Ok(()) } else { fs::DirBuilder::new().recursive(true).mode(0o700).create(folder) }
}
