//! Filesystems without a path: made detached, put at a place that was looked up inside the container's root.
//!
//! <https://docs.kernel.org/filesystems/mount_api.html>. An image decides what its paths lead to, so no path of a container is
//! ever resolved from the host's root: places are opened once with `openat2`, and only descriptors are used from there on.

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use coracle_fence::mounts::{Attributes, Propagation, Reach, change};
use rustix::{
    fs::{AtFlags, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, mkdirat, openat2},
    io::Errno,
    mount::{
        FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
        fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
    },
};

/// Neither set-id bits nor devices nor programs.
pub(super) const INERT: MountAttrFlags = MountAttrFlags::MOUNT_ATTR_NOSUID
    .union(MountAttrFlags::MOUNT_ATTR_NODEV)
    .union(MountAttrFlags::MOUNT_ATTR_NOEXEC);

/// The host ids of a container's root.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) uid: Uid,
    pub(super) gid: Gid,
}

impl Owner {
    /// Gives it a file of a folder, or the folder itself if the name is empty.
    pub(super) fn own(self, folder: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        chownat(folder, name, Some(self.uid), Some(self.gid), AtFlags::SYMLINK_NOFOLLOW | AtFlags::EMPTY_PATH)
    }
}

/// A setting of a new filesystem.
#[derive(Clone, Copy)]
pub(super) enum Setting<'a> {
    /// A name.
    Flag(&'a CStr),
    /// A name and a value.
    Text(&'a CStr, &'a CStr),
}

/// A new filesystem, mounted nowhere yet.
pub(super) fn filesystem<'a>(
    kind: &CStr,
    settings: impl IntoIterator<Item = Setting<'a>>,
    attributes: MountAttrFlags,
) -> Result<OwnedFd, Errno> {
    let fs = fsopen(kind, FsOpenFlags::FSOPEN_CLOEXEC)?;
    for setting in settings {
        match setting {
            Setting::Flag(name) => fsconfig_set_flag(&fs, name)?,
            Setting::Text(name, value) => fsconfig_set_string(&fs, name, value)?,
        }
    }
    fsconfig_create(&fs)?;
    fsmount(&fs, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

/// A copy of the mount below a descriptor or a path, mounted nowhere yet.
pub(super) fn copy(folder: BorrowedFd<'_>, path: &CStr, reach: Reach) -> Result<OwnedFd, Errno> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    flags |= OpenTreeFlags::AT_EMPTY_PATH;
    if reach == Reach::Tree {
        flags |= OpenTreeFlags::AT_RECURSIVE;
    }
    open_tree(folder, path, flags)
}

/// Sets attributes of a mount.
pub(super) fn restrict(mount: BorrowedFd<'_>, reach: Reach, set: Attributes) -> Result<(), Errno> {
    change(mount, reach, set, Attributes::NONE, Propagation::Keep).map_err(|error| error.errno())
}

/// Puts a mount on top of an opened place.
pub(super) fn put(mount: BorrowedFd<'_>, place: BorrowedFd<'_>) -> Result<(), Errno> {
    put_at(mount, place, c"")
}

/// Puts a mount on an entry of a folder that nobody else can change.
pub(super) fn put_at(mount: BorrowedFd<'_>, folder: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    let mut flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    if name.is_empty() {
        flags |= MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    }
    move_mount(mount, c"", folder, name, flags)
}

/// A folder that the image must not redirect: each component a real folder, made if the last one is missing.
pub(super) fn folder(root: BorrowedFd<'_>, name: &CStr, owner: Owner) -> Result<OwnedFd, Errno> {
    match place(root, name, OFlags::DIRECTORY) {
        Err(Errno::NOENT) => {
            make_folder(root, name, owner)?;
            place(root, name, OFlags::DIRECTORY)
        }
        other => other,
    }
}

/// Makes a folder in another.
pub(super) fn make_folder(folder: BorrowedFd<'_>, name: &CStr, owner: Owner) -> Result<(), Errno> {
    mkdirat(folder, name, Mode::from_raw_mode(0o755))?;
    owner.own(folder, name)
}

/// What is at a path inside the root, reached without any link.
pub(super) fn place(root: BorrowedFd<'_>, path: &CStr, kind: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    inside(root, path, kind, resolve)
}

/// What is at a path inside the root; links are followed as the container itself would, but never the kernel's own.
pub(super) fn linked(root: BorrowedFd<'_>, path: &CStr, kind: OFlags) -> Result<OwnedFd, Errno> {
    inside(root, path, kind, ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS)
}

fn inside(root: BorrowedFd<'_>, path: &CStr, kind: OFlags, resolve: ResolveFlags) -> Result<OwnedFd, Errno> {
    openat2(root.as_fd(), path, OFlags::PATH | OFlags::CLOEXEC | kind, Mode::empty(), resolve)
}
