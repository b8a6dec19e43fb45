//! Stage 1, and in place of PID 1 somebody who says what it handed over, and powers off.

use std::{error::Error, fs, os::unix::fs::PermissionsExt, path::Path, process::ExitCode};

use rustix::system::{RebootCommand, reboot};

/// More than a file has among the names of its folder.
const DATA: &str = "/data";

fn main() -> ExitCode {
    match coracle_init::stage1::run().map(|()| tell()) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => {
            println!("probe: {error}");
            ExitCode::FAILURE
        }
        Err(_) => ExitCode::FAILURE,
    }
}

fn tell() -> Result<(), Box<dyn Error>> {
    let data = fs::read(DATA)?;
    println!("probe: release {} data {}", fs::read_to_string("/release")?, data.len());
    let own = fs::set_permissions("/proc/1/exe", fs::Permissions::from_mode(0o755));
    println!("probe: own program {:?}", own.err().map(|error| error.kind()));
    for line in fs::read_to_string("/run/coracle/stage1")?.lines() {
        println!("fact: {line}");
    }
    for line in fs::read_to_string("/proc/mounts")?.lines() {
        println!("mount: {line}");
    }
    for watchdog in fs::read_dir("/sys/class/watchdog")? {
        let watchdog = watchdog?.path();
        let state = fs::read_to_string(watchdog.join("state"))?;
        let opened = fs::OpenOptions::new()
            .write(true)
            .open(Path::new("/dev").join(watchdog.file_name().unwrap_or_default()));
        println!("watchdog: {} {}", state.trim(), if opened.is_ok() { "opens" } else { "is busy" });
    }
    println!("probe: console is {}", fs::metadata("/dev/console")?.len());
    println!("probe: done");
    reboot(RebootCommand::PowerOff)?;
    Ok(())
}
