//! `updater agent`: keeps this machine up to date. `updater fetch`: talks to servers for it.

use std::process::ExitCode;

// Linked for what it takes away: the C library does not look names up. They are for `fetch` alone, which has a resolver of its own.
extern crate coracle_fence as _;
use coracle_log::{Chain, error};
use coracle_updater::{agent, fetch};

fn main() -> ExitCode {
    let role = std::env::args().nth(1);
    let ended: Box<dyn std::error::Error> = match role.as_deref() {
        Some("agent") => match agent::run() {
            Ok(never) => match never {},
            Err(error) => error.into(),
        },
        Some("fetch") => match fetch::run() {
            Ok(never) => match never {},
            Err(error) => error.into(),
        },
        _ => "say what to be: agent or fetch".into(),
    };
    error!("updater ends error=\"{}\"", Chain(&*ended));
    ExitCode::FAILURE
}
