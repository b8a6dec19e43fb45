//! The kernel's own filesystems, as far as stage 1 needs them. PID 1 makes the rest and tightens these.

use std::{fs, path::Path};

use sys_mount::{Mount, MountFlags};

use super::Error;

struct Api {
    kind: &'static str,
    target: &'static str,
    flags: MountFlags,
    options: &'static str,
    need: Need,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Nothing works without it; its folder is made.
    Always,
    /// Mounted where the kernel shows its folder.
    WhereShown,
}

const TIGHT: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

const MOUNTS: &[Api] = &[
    Api {
        kind: "devtmpfs",
        target: "/dev",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        options: "mode=0755",
        need: Need::Always,
    },
    Api { kind: "proc", target: "/proc", flags: TIGHT, options: "", need: Need::Always },
    Api { kind: "sysfs", target: "/sys", flags: TIGHT, options: "", need: Need::Always },
    Api { kind: "tmpfs", target: "/run", flags: TIGHT, options: "mode=0755", need: Need::Always },
    Api {
        kind: "efivarfs",
        target: "/sys/firmware/efi/efivars",
        flags: TIGHT.union(MountFlags::RDONLY),
        options: "",
        need: Need::WhereShown,
    },
    Api { kind: "pstore", target: "/sys/fs/pstore", flags: TIGHT, options: "", need: Need::WhereShown },
];

/// Mounts them, in order.
pub(crate) fn api() -> Result<(), Error> {
    for mount in MOUNTS {
        match mount.need {
            Need::Always => fs::create_dir_all(mount.target).map_err(Error::on("make", mount.target))?,
            Need::WhereShown if !Path::new(mount.target).exists() => continue,
            Need::WhereShown => {}
        }
        Mount::builder()
            .fstype(mount.kind)
            .flags(mount.flags)
            .data(mount.options)
            .mount(mount.kind, mount.target)
            .map_err(Error::on("mount", mount.target))?;
    }
    Ok(())
}
