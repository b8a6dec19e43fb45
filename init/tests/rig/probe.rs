//! `/sbin/init` of the test roots: says what stage 1 handed over, then powers off.

use std::{env, error::Error, fs, path::Path, process::id};

use rustix::system::{RebootCommand, reboot};

fn main() -> Result<(), Box<dyn Error>> {
    println!("probe: pid {} arguments {:?}", id(), env::args().collect::<Vec<_>>());
    println!("probe: variables {}", env::vars_os().count());
    println!("probe: release {}", fs::read_to_string("/release")?);
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
