//! `coracle pack-kernel`, which is not for people: see [`coracle_kernel::pack`].

use std::process::ExitCode;

pub fn run() -> anyhow::Result<ExitCode> {
    coracle_kernel::pack()?;
    Ok(ExitCode::SUCCESS)
}
