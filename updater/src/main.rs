//! `updater agent`: keeps this machine up to date. `updater fetch`: talks to servers for it.

use std::process::ExitCode;

// Linked for what it takes away: the C library does not look names up. They are for `fetch` alone, which has a resolver of its own.
extern crate coracle_fence as _;

fn main() -> ExitCode {
    coracle_updater::main(&coracle_updater::agent::FORMS)
}
