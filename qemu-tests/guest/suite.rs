//! The init of the guest in which the runtime's own tests run: mounts what they stand on, runs them, switches the machine off.
//!
//! A root in an initramfs cannot be left by `pivot_root`, so the programs move to a filesystem in memory first.

use std::fs;
use std::process::Command;

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::unistd::{chdir, chroot};

/// Type and place of what the tests expect of a host.
const MOUNTS: [(&str, &str); 6] = [
    ("proc", "/proc"),
    ("sysfs", "/sys"),
    ("devtmpfs", "/dev"),
    ("cgroup2", "/sys/fs/cgroup"),
    ("tmpfs", "/tmp"),
    ("tmpfs", "/root"),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    fresh_mount("tmpfs", "/run")?;
    for program in ["suite", "probe"] {
        fs::copy(format!("/{program}"), format!("/run/{program}"))?;
    }
    chdir("/run")?;
    mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)?;
    chroot(".")?;
    for (kind, place) in MOUNTS {
        fs::create_dir_all(place)?;
        fresh_mount(kind, place)?;
    }
    fs::create_dir("/etc")?;
    fs::write("/etc/hosts", "127.0.0.1 localhost\n")?;
    fs::write("/etc/passwd", "root:x:0:0::/:/\n")?;
    // What makes a filesystem is not in this guest.
    let words = ["--test-threads", "1", "--skip", "an_image_on_erofs_is_one"];
    let done = Command::new("/suite").args(words).env("CORACLE_TEST_PROBE", "/probe").status()?;
    println!("guest: suite {done}");
    match reboot(RebootMode::RB_POWER_OFF)? {}
}

fn fresh_mount(kind: &str, place: &str) -> nix::Result<()> {
    mount(Some(kind), place, Some(kind), MsFlags::empty(), None::<&str>)
}
