//! `updater agent`: keeps this machine up to date. `updater fetch`: talks to servers for it.

use std::process::ExitCode;

use coracle_log::{Chain, error};
use coracle_updater::agent;

fn main() -> ExitCode {
    let role = std::env::args().nth(1);
    let ended: Box<dyn std::error::Error> = match role.as_deref() {
        Some("agent") => match agent::run() {
            Ok(never) => match never {},
            Err(error) => error.into(),
        },
        _ => "say what to be: agent or fetch".into(),
    };
    error!("updater ends error=\"{}\"", Chain(&*ended));
    ExitCode::FAILURE
}
