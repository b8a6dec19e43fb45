//! Read-only and masked paths.
//!
//! A path that is not there needs neither. One that leads through a link fails the start: what the image points elsewhere would
//! be hidden elsewhere (CVE-2023-27561, CVE-2025-31133).

use std::{
    ffi::{CStr, CString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use coracle_fence::mounts::{Attributes, Reach};
use rustix::{
    fs::{FileType, OFlags, fstat, makedev},
    io::Errno,
    mount::MountAttrFlags,
};

use super::{
    stage::{At, Failure, Stage},
    tree::{INERT, Setting, copy, filesystem, place, put, restrict},
};

/// Makes each path, with all that is mounted below it, read-only.
pub(super) fn seal(root: BorrowedFd<'_>, paths: &[CString]) -> Result<(), Failure> {
    for path in paths {
        let Some(place) = found(root, path).at(Stage::ReadOnly)? else { continue };
        let tree = copy(place.as_fd(), c"", Reach::Tree).at(Stage::ReadOnly)?;
        restrict(tree.as_fd(), Reach::Tree, Attributes::RDONLY).at(Stage::ReadOnly)?;
        put(tree.as_fd(), place.as_fd()).at(Stage::ReadOnly)?;
    }
    Ok(())
}

/// Hides each path: a folder below an empty one, anything else below `/dev/null`.
pub(super) fn mask(root: BorrowedFd<'_>, paths: &[CString]) -> Result<(), Failure> {
    let mut empty = None;
    for path in paths {
        let Some(place) = found(root, path).at(Stage::Masked)? else { continue };
        let is_folder =
            FileType::from_raw_mode(fstat(&place).at(Stage::Masked)?.st_mode) == FileType::Directory;
        let cover = if is_folder { nothing(&mut empty) } else { null(root) }.at(Stage::Masked)?;
        put(cover.as_fd(), place.as_fd()).at(Stage::Masked)?;
        if is_folder && empty.is_none() {
            empty = Some(cover);
        }
    }
    Ok(())
}

fn found(root: BorrowedFd<'_>, path: &CStr) -> Result<Option<OwnedFd>, Errno> {
    match place(root, path, OFlags::empty()) {
        Ok(place) => Ok(Some(place)),
        Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// An empty folder: the first is a filesystem, the others are copies of it.
fn nothing(first: &mut Option<OwnedFd>) -> Result<OwnedFd, Errno> {
    match first {
        Some(first) => copy(first.as_fd(), c"", Reach::One),
        None => {
            let settings = [Setting::Text(c"size", c"4k"), Setting::Text(c"mode", c"0555")];
            filesystem(c"tmpfs", settings, INERT | MountAttrFlags::MOUNT_ATTR_RDONLY)
        }
    }
}

/// A copy of `/dev/null`, once it is known to be that.
fn null(root: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let null = place(root, c"dev/null", OFlags::empty())?;
    let stat = fstat(&null)?;
    let is_device = FileType::from_raw_mode(stat.st_mode) == FileType::CharacterDevice;
    if is_device && stat.st_rdev == makedev(1, 3) {
        copy(null.as_fd(), c"", Reach::One)
    } else {
        Err(Errno::NODEV)
    }
}
