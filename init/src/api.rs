//! The kernel's own filesystems and the folders in memory: what is mounted, by which of the two programs, how tight.

use std::{fs, io, path::Path};

use sys_mount::{Mount, MountFlags};

use crate::log::warning;

/// Which program mounts it. What stage 1 mounts it hands over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// Stage 1: it cannot find the root without.
    Stage1,
    /// PID 1.
    Pid1,
}

/// Whether a machine can do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Not at all.
    Always,
    /// Where the kernel or the firmware lacks it. What there is and cannot be mounted is said.
    WhereThere,
}

struct Api {
    by: By,
    kind: &'static str,
    target: &'static str,
    flags: MountFlags,
    options: &'static str,
    need: Need,
}

const TIGHT: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);
const DEVICES: MountFlags = MountFlags::NOSUID.union(MountFlags::NOEXEC);

const fn always(by: By, kind: &'static str, target: &'static str, options: &'static str) -> Api {
    Api { by, kind, target, flags: TIGHT, options, need: Need::Always }
}

const fn where_there(by: By, kind: &'static str, target: &'static str) -> Api {
    Api { by, kind, target, flags: TIGHT, options: "", need: Need::WhereThere }
}

/// In this order. Nobody writes firmware variables.
const MOUNTS: &[Api] = &[
    Api { flags: DEVICES, ..always(By::Stage1, "devtmpfs", "/dev", "mode=0755") },
    always(By::Stage1, "proc", "/proc", "hidepid=invisible"),
    always(By::Stage1, "sysfs", "/sys", ""),
    always(By::Stage1, "tmpfs", "/run", "mode=0755,size=25%"),
    Api {
        flags: TIGHT.union(MountFlags::RDONLY),
        ..where_there(By::Stage1, "efivarfs", "/sys/firmware/efi/efivars")
    },
    where_there(By::Stage1, "pstore", "/sys/fs/pstore"),
    always(By::Pid1, "tmpfs", "/tmp", "mode=1777,size=10%"),
    Api { flags: DEVICES, options: "mode=0600,ptmxmode=0000", ..where_there(By::Pid1, "devpts", "/dev/pts") },
    always(By::Pid1, "tmpfs", "/dev/shm", "mode=1777,size=10%"),
    always(By::Pid1, "cgroup2", "/sys/fs/cgroup", "nsdelegate"),
    where_there(By::Pid1, "securityfs", "/sys/kernel/security"),
];

/// A filesystem that nothing works without is not mounted.
#[derive(Debug, thiserror::Error)]
#[error("could not mount {target}")]
pub(crate) struct Error {
    target: &'static str,
    #[source]
    source: io::Error,
}

/// Mounts what is this program's part.
pub(crate) fn mount(by: By) -> Result<(), Error> {
    for api in MOUNTS.iter().filter(|api| api.by == by) {
        match (one(api), api.need) {
            (Ok(()), _) => {}
            (Err(source), Need::Always) => return Err(Error { target: api.target, source }),
            (Err(error), Need::WhereThere) if Path::new(api.target).exists() => {
                warning!("not mounted target={} error={error:?}", api.target);
            }
            (Err(_), Need::WhereThere) => {}
        }
    }
    Ok(())
}

fn one(api: &Api) -> io::Result<()> {
    // Below /sys the kernel makes the folders.
    if !api.target.starts_with("/sys/") {
        fs::create_dir_all(api.target)?;
    }
    let mount = Mount::builder().fstype(api.kind).flags(api.flags).data(api.options);
    mount.mount(api.kind, api.target).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_mounted_twice_and_nothing_below_what_comes_later() {
        for (at, api) in MOUNTS.iter().enumerate() {
            let later = MOUNTS.iter().skip(at + 1);
            let hidden = later.filter(|later| Path::new(api.target).starts_with(later.target));
            assert_eq!(hidden.count(), 0, "{}", api.target);
            assert!(api.flags.contains(MountFlags::NOSUID | MountFlags::NOEXEC), "{}", api.target);
        }
        assert!(MOUNTS.is_sorted_by_key(|api| api.by == By::Pid1), "stage 1 comes first");
    }
}
