//! The kernel's own filesystems in a container: `/proc`, `/sys`, `/sys/fs/cgroup`, `/dev`.
//!
//! They are mounted by the host's root, before the user namespace is entered, so the container's root owns none of them and
//! cannot change how they are mounted. Every target is a real folder of the container's root: an image whose `/proc` or `/dev`
//! is a link is refused (CVE-2019-19921, CVE-2026-41579).

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use rustix::{
    fs::{FileType, Mode, OFlags, makedev, mkdirat, mknodat, symlinkat},
    io::Errno,
    mount::MountAttrFlags,
};

use super::{
    stage::{At, Failure, Stage},
    tree::{INERT, Owner, Setting, filesystem, folder, place, put, put_at},
};

/// Name and minor number of the memory devices (major 1) that every program may expect.
const MEMORY_DEVICES: [(&CStr, u32); 5] =
    [(c"null", 3), (c"zero", 5), (c"full", 7), (c"random", 8), (c"urandom", 9)];
/// Name and target of the links that every program may expect.
pub(super) const LINKS: [(&CStr, &CStr); 5] = [
    (c"ptmx", c"pts/ptmx"),
    (c"fd", c"/proc/self/fd"),
    (c"stdin", c"/proc/self/fd/0"),
    (c"stdout", c"/proc/self/fd/1"),
    (c"stderr", c"/proc/self/fd/2"),
];

/// Who sees which processes in `/proc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Visible {
    /// Everybody sees all: they are the container's own.
    All,
    /// Each user sees its own: the host's are among them.
    Own,
}

/// A procfs of the present process namespace.
pub(super) fn proc(visible: Visible) -> Result<OwnedFd, Errno> {
    let hidden = match visible {
        Visible::All => c"off",
        Visible::Own => c"invisible",
    };
    filesystem(c"proc", [Setting::Text(c"hidepid", hidden)], INERT)
}

/// `/sys`, read-only, of the present network namespace, and the container's own cgroup in it.
pub(super) fn sys(root: BorrowedFd<'_>, owner: Owner) -> Result<(), Failure> {
    let sealed = INERT | MountAttrFlags::MOUNT_ATTR_RDONLY;
    let sys = filesystem(c"sysfs", [], sealed).at(Stage::Sys)?;
    let target = folder(root, c"sys", owner).at(Stage::Sys)?;
    put(sys.as_fd(), target.as_fd()).at(Stage::Sys)?;
    let cgroup = filesystem(c"cgroup2", [], sealed).at(Stage::CgroupMount)?;
    let target = place(sys.as_fd(), c"fs/cgroup", OFlags::DIRECTORY).at(Stage::CgroupMount)?;
    put(cgroup.as_fd(), target.as_fd()).at(Stage::CgroupMount)
}

/// `/dev`: a few devices, links and mounts. Returns the folder.
pub(super) fn dev(root: BorrowedFd<'_>, owner: Owner, terminal_group: &CStr) -> Result<OwnedFd, Failure> {
    let dev = devices(owner).at(Stage::Dev)?;
    let target = folder(root, c"dev", owner).at(Stage::Dev)?;
    put(dev.as_fd(), target.as_fd()).at(Stage::Dev)?;
    let pts = [
        Setting::Text(c"ptmxmode", c"0666"),
        Setting::Text(c"mode", c"0620"),
        Setting::Text(c"gid", terminal_group),
    ];
    // Shared memory is charged to the container's cgroup, and as large as Docker's.
    let shm = [Setting::Text(c"size", c"64m"), Setting::Text(c"mode", c"1777")];
    let mounts: [(&CStr, &CStr, &[Setting<'_>], MountAttrFlags); 3] = [
        (c"pts", c"devpts", &pts, INERT.difference(MountAttrFlags::MOUNT_ATTR_NODEV)),
        (c"shm", c"tmpfs", &shm, INERT),
        (c"mqueue", c"mqueue", &[], INERT),
    ];
    for (name, kind, settings, attributes) in mounts {
        let mount = filesystem(kind, settings.iter().copied(), attributes).at(Stage::DevMounts)?;
        owner.own(mount.as_fd(), c"").at(Stage::DevMounts)?;
        put_at(mount.as_fd(), dev.as_fd(), name).at(Stage::DevMounts)?;
    }
    Ok(dev)
}

/// A filesystem in memory with the devices, made by number: none of them is taken from a place that an image could have filled.
fn devices(owner: Owner) -> Result<OwnedFd, Errno> {
    let settings = [Setting::Text(c"size", c"64k"), Setting::Text(c"mode", c"0755")];
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let dev = filesystem(c"tmpfs", settings, attributes)?;
    owner.own(dev.as_fd(), c"")?;
    let tty = (c"tty", makedev(5, 0));
    let memory = MEMORY_DEVICES.map(|(name, minor)| (name, makedev(1, minor)));
    for (name, number) in memory.into_iter().chain([tty]) {
        mknodat(&dev, name, FileType::CharacterDevice, Mode::from_raw_mode(0o666), number)?;
        owner.own(dev.as_fd(), name)?;
    }
    for (name, target) in LINKS {
        symlinkat(target, &dev, name)?;
    }
    for name in [c"pts", c"shm", c"mqueue"] {
        mkdirat(&dev, name, Mode::from_raw_mode(0o755))?;
    }
    Ok(dev)
}
