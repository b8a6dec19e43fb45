//! The init of a release that hangs: it arms the watchdog, and that was all.

use std::fs::File;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    mount(Some("devtmpfs"), "/dev", Some("devtmpfs"), MsFlags::empty(), None::<&str>)?;
    let watchdog = File::options().write(true).open("/dev/watchdog0")?;
    coracle_fence::watchdog::set_timeout(watchdog.as_fd(), 3)?;
    println!("guest: hangs");
    loop {
        thread::sleep(Duration::from_secs(60));
    }
}
