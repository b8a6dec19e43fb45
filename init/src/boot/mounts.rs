//! The kernel's own filesystems, and the folders in memory.

use std::{
    fs,
    os::{fd::AsFd, unix::fs::PermissionsExt},
    path::Path,
};

use coracle_layout::paths;
use coracle_runtime::cgroup::delegate;
use sys_mount::{Mount, MountFlags};

use super::{Error, Machine};
use crate::{PODS_CGROUP, SERVICES_CGROUP};

/// A mount of PID 1's.
struct Api {
    kind: &'static str,
    target: &'static str,
    flags: MountFlags,
    options: &'static str,
    need: Need,
}

/// Whether a machine can do without a mount.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// Not at all.
    Always,
    /// Where the kernel or the firmware lacks it.
    WhereThere,
}

const TIGHT: MountFlags = MountFlags::NOSUID.union(MountFlags::NODEV).union(MountFlags::NOEXEC);

/// Stage 1 has mounted some of these: the same mount is then made tight in its place.
const MOUNTS: &[Api] = &[
    Api { kind: "proc", target: "/proc", flags: TIGHT, options: "hidepid=invisible", need: Need::Always },
    Api { kind: "sysfs", target: "/sys", flags: TIGHT, options: "", need: Need::Always },
    Api {
        kind: "devtmpfs",
        target: "/dev",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        options: "mode=0755",
        need: Need::Always,
    },
    Api { kind: "tmpfs", target: "/run", flags: TIGHT, options: "mode=0755,size=25%", need: Need::Always },
    Api { kind: "tmpfs", target: "/tmp", flags: TIGHT, options: "mode=1777,size=10%", need: Need::Always },
    Api {
        kind: "devpts",
        target: "/dev/pts",
        flags: MountFlags::NOSUID.union(MountFlags::NOEXEC),
        options: "mode=0600,ptmxmode=0000",
        need: Need::WhereThere,
    },
    Api {
        kind: "tmpfs",
        target: "/dev/shm",
        flags: TIGHT,
        options: "mode=1777,size=10%",
        need: Need::Always,
    },
    Api {
        kind: "cgroup2",
        target: "/sys/fs/cgroup",
        flags: TIGHT,
        options: "nsdelegate",
        need: Need::Always,
    },
    Api { kind: "pstore", target: "/sys/fs/pstore", flags: TIGHT, options: "", need: Need::WhereThere },
    Api {
        kind: "securityfs",
        target: "/sys/kernel/security",
        flags: TIGHT,
        options: "",
        need: Need::WhereThere,
    },
    Api {
        kind: "efivarfs",
        target: "/sys/firmware/efi/efivars",
        flags: TIGHT,
        options: "",
        need: Need::WhereThere,
    },
];

/// Mounts them all, or tightens what stage 1 has mounted.
pub(super) fn api(_: &mut Machine) -> Result<(), Error> {
    for mount in MOUNTS {
        if let Err(error) = one(mount)
            && mount.need == Need::Always
        {
            return Err(error);
        }
    }
    make(paths::RUN, 0o755)
}

fn one(mount: &Api) -> Result<(), Error> {
    if mount.target.starts_with("/dev/") {
        make(mount.target, 0o755)?;
    }
    let flags = if is_mount_point(mount.target) { mount.flags | MountFlags::REMOUNT } else { mount.flags };
    Mount::builder()
        .fstype(mount.kind)
        .flags(flags)
        .data(mount.options)
        .mount(mount.kind, mount.target)
        .map(drop)
        .map_err(Error::os("mount", mount.target))
}

/// Whether something is mounted there: the device differs from the parent's.
fn is_mount_point(path: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev()).ok();
    let path = Path::new(path);
    path.parent().is_some_and(|parent| device(path) != device(parent))
}

/// Makes a folder with exactly that mode, whether it is there or not.
pub(crate) fn make(path: &str, mode: u32) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(Error::os("make", path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::os("set the mode of", path))
}

/// Hands the controllers down, and makes the two branches of the tree.
pub(super) fn cgroups(_: &mut Machine) -> Result<(), Error> {
    for folder in ["/sys/fs/cgroup", SERVICES_CGROUP, PODS_CGROUP] {
        fs::create_dir_all(folder).map_err(Error::os("make", folder))?;
        let opened = fs::File::open(folder).map_err(Error::os("open", folder))?;
        delegate(opened.as_fd()).map_err(|source| Error::Cgroup { folder, source })?;
    }
    Ok(())
}
