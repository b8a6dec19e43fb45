//! Attributes of a mount, id mapping among them.
//!
//! <https://man7.org/linux/man-pages/man2/mount_setattr.2.html>, Linux 5.12. rustix opens and moves trees but cannot change
//! their attributes.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::{Error, error::last};

/// `struct mount_attr` (linux/mount.h).
#[repr(C)]
pub(crate) struct Attr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}
const _: () = assert!(size_of::<Attr>() == 32);

/// Attributes to set or clear, as `MOUNT_ATTR_*` bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Attributes(u64);

impl Attributes {
    /// None.
    pub const NONE: Self = Self(0);
    /// Read-only.
    pub const RDONLY: Self = Self(0x1);
    /// Set-id bits and file capabilities have no effect.
    pub const NOSUID: Self = Self(0x2);
    /// Device nodes have no effect.
    pub const NODEV: Self = Self(0x4);
    /// Nothing can be executed.
    pub const NOEXEC: Self = Self(0x8);
    /// Reading never updates access times.
    pub const NOATIME: Self = Self(0x10);
    /// Reading always updates access times.
    pub const STRICTATIME: Self = Self(0x20);
    /// All bits about access times: to be cleared before one of them is set; none of them is `relatime`.
    pub const ATIME: Self = Self(0x70);
    /// Reading does not update access times of folders.
    pub const NODIRATIME: Self = Self(0x80);
    /// Links are not followed.
    pub const NOSYMFOLLOW: Self = Self(0x20_0000);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those of the first that are not in the other.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// How far a change reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This mount.
    One,
    /// This mount and all below it: all or none.
    Tree,
}

/// What happens to mounts made later on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// As it was.
    Keep,
    /// None passes.
    Private,
    /// They pass from the original to this one.
    Slave,
    /// They pass both ways.
    Shared,
    /// None passes, and it cannot be bound elsewhere.
    Unbindable,
}

/// Sets and clears attributes of the mount that `tree` is the root of.
pub fn change(
    tree: BorrowedFd<'_>,
    reach: Reach,
    set: Attributes,
    clear: Attributes,
    propagation: Propagation,
) -> Result<(), Error> {
    let propagation = match propagation {
        Propagation::Keep => 0,
        Propagation::Private => libc::MS_PRIVATE,
        Propagation::Slave => libc::MS_SLAVE,
        Propagation::Shared => libc::MS_SHARED,
        Propagation::Unbindable => libc::MS_UNBINDABLE,
    };
    setattr(tree, reach, &Attr { set: set.0, clear: clear.0, propagation, userns_fd: 0 })
}

/// Shows the files of `tree` with the ids of a user namespace.
///
/// `tree` is a detached clone (`open_tree` with `OPEN_TREE_CLONE`) that no one has mapped before.
pub fn idmap(tree: BorrowedFd<'_>, reach: Reach, userns: BorrowedFd<'_>) -> Result<(), Error> {
    const IDMAP: u64 = 0x0010_0000; // MOUNT_ATTR_IDMAP
    setattr(tree, reach, &Attr { set: IDMAP, clear: 0, propagation: 0, userns_fd: userns.as_raw_fd() as u64 })
}

fn setattr(tree: BorrowedFd<'_>, reach: Reach, attr: &Attr) -> Result<(), Error> {
    let flags = libc::AT_EMPTY_PATH
        | match reach {
            Reach::One => 0,
            Reach::Tree => libc::AT_RECURSIVE,
        };
    // SAFETY: the path is a C string literal and `attr` is borrowed across the call with its own size; the kernel only reads
    // both. The descriptors are borrowed, so they stay open.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attr),
            size_of::<Attr>(),
        )
    };
    if done == 0 {
        Ok(())
    } else {
        Err(Error::Attributes { set: attr.set, clear: attr.clear, source: last() })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, os::fd::AsFd};

    use rustix::{
        fs::{AtFlags, CWD, Mode, OFlags, openat, statat},
        io::Errno,
        mount::{OpenTreeFlags, open_tree},
        pipe::pipe,
    };

    use super::*;
    use crate::clone::{Namespaces, spawn, tests::exit_code};

    #[test]
    fn an_idmapped_read_only_clone_shows_other_owners_and_takes_no_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), b"x").unwrap();
        let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
        let tree = open_tree(CWD, folder.path(), flags).unwrap();

        let (wait, release) = pipe().unwrap();
        let child = spawn(Namespaces::USER, None, || {
            let mut byte = [0u8; 1];
            u8::from(rustix::io::read(&wait, &mut byte) != Ok(1))
        })
        .unwrap();
        let proc = format!("/proc/{}", child.pid.as_raw_nonzero());
        fs::write(format!("{proc}/uid_map"), "0 100000 65536").unwrap();
        fs::write(format!("{proc}/gid_map"), "0 200000 65536").unwrap();
        let userns = fs::File::open(format!("{proc}/ns/user")).unwrap();

        idmap(tree.as_fd(), Reach::One, userns.as_fd()).unwrap();
        change(tree.as_fd(), Reach::Tree, Attributes::RDONLY, Attributes::NONE, Propagation::Private)
            .unwrap();
        let file = statat(&tree, "file", AtFlags::empty()).unwrap();
        assert_eq!((file.st_uid, file.st_gid), (100_000, 200_000));
        let made = openat(&tree, "new", OFlags::CREATE | OFlags::WRONLY, Mode::RUSR);
        assert_eq!(made.unwrap_err(), Errno::ROFS);

        fs::File::from(release).write_all(b"x").unwrap();
        assert_eq!(exit_code(&child), Some(0));
    }

    #[test]
    fn a_folder_that_is_no_mount_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let fd = fs::File::open(folder.path()).unwrap();
        let refused = change(fd.as_fd(), Reach::One, Attributes::NODEV, Attributes::NONE, Propagation::Keep)
            .unwrap_err();
        assert!(matches!(refused, Error::Attributes { set: 4, source: Errno::INVAL, .. }), "{refused:?}");
    }
}
