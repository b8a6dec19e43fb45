//! The devices of a bundle and the links that every program may expect.

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd},
};

use rustix::{
    fs::{AtFlags, Dev, FileType, Gid, Mode, Uid, chownat, makedev, mknodat, statat, symlinkat, unlinkat},
    io::Errno,
};

use super::targets::{Links, parent};
use crate::{
    bundle::{Device, Kind},
    start::{
        api::LINKS,
        stage::{At, Failure, Of, Stage},
        tree::{Owner, folder},
    },
};

/// Makes them all.
pub(super) fn make(devices: &[Device], root: BorrowedFd<'_>, owner: Owner) -> Result<(), Failure> {
    for (item, device) in devices.iter().enumerate() {
        node(device, root, owner).at(Stage::Device).of(item)?;
    }
    let dev = folder(root, c"dev", owner).at(Stage::Dev)?;
    for (name, target) in LINKS {
        link(dev.as_fd(), name, target, owner).at(Stage::Dev)?;
    }
    Ok(())
}

/// What is there already is taken if it is the same device.
fn node(device: &Device, root: BorrowedFd<'_>, owner: Owner) -> Result<(), Errno> {
    let (kind, number) = match device.kind {
        Kind::Char(major, minor) => (FileType::CharacterDevice, makedev(major, minor)),
        Kind::Block(major, minor) => (FileType::BlockDevice, makedev(major, minor)),
        Kind::Fifo => (FileType::Fifo, 0),
    };
    let (folder, name) = parent(root, &device.path, Links::Refused, owner)?;
    let name = name.as_c_str().ok_or(Errno::INVAL)?;
    let mode = Mode::from_raw_mode(device.mode & 0o7777);
    match mknodat(&folder, name, kind, mode, number) {
        Err(Errno::EXIST) if is(folder.as_fd(), name, kind, number)? => {}
        other => other?,
    }
    let (uid, gid) = (Uid::from_raw(device.uid), Gid::from_raw(device.gid));
    chownat(&folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
}

fn is(folder: BorrowedFd<'_>, name: &CStr, kind: FileType, number: Dev) -> Result<bool, Errno> {
    let stat = statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)?;
    Ok(FileType::from_raw_mode(stat.st_mode) == kind && (kind == FileType::Fifo || stat.st_rdev == number))
}

/// `ptmx` is of the container's own terminals, whatever was there.
fn link(dev: BorrowedFd<'_>, name: &CStr, target: &CStr, owner: Owner) -> Result<(), Errno> {
    if name == c"ptmx" {
        match unlinkat(dev, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    match symlinkat(target, dev, name) {
        Ok(()) => owner.own(dev, name),
        Err(Errno::EXIST) => Ok(()),
        Err(errno) => Err(errno),
    }
}
