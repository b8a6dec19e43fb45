//! The updater of a release that keeps its state in another form than the one before: there, whoever comes to it holds releases.

use std::io;
use std::path::Path;
use std::process::ExitCode;

// As the updater itself.
extern crate coracle_fence as _;
use coracle_rollout::machine::Journal;
use coracle_rollout::orders::Hold;
use coracle_updater::forms::{Forms, Migration};

fn main() -> ExitCode {
    coracle_updater::main(&Forms { current: 2, migrations: &[Migration { from: 1, run: hold }] })
}

fn hold(folder: &Path) -> io::Result<()> {
    let path = folder.join("journal");
    let mut journal = Journal::parse(&std::fs::read(&path)?).map_err(io::Error::other)?;
    journal.memory.orders.hold = Hold::On;
    std::fs::write(path, journal.to_bytes().map_err(io::Error::other)?)
}
