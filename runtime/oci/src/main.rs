//! `coracle-runtime`: runc's command line.

use std::process::ExitCode;

use coracle_oci::{cli, commands, log};
use rustix::process::{DumpableBehavior, set_dumpable_behavior};

fn main() -> ExitCode {
    let (global, command) = match cli::parse(std::env::args_os().skip(1)) {
        Ok(parsed) => parsed,
        Err(error) => {
            eprintln!("coracle-runtime: {:#}", anyhow::Error::from(error));
            return ExitCode::FAILURE;
        }
    };
    // Whoever is in a container's namespaces must not look into the processes that come in (CVE-2016-9962).
    let done = set_dumpable_behavior(DumpableBehavior::NotDumpable)
        .map_err(anyhow::Error::from)
        .and_then(|()| commands::run(&global, command));
    done.unwrap_or_else(|error| {
        log::error(&global, &format!("{error:#}"));
        ExitCode::FAILURE
    })
}
