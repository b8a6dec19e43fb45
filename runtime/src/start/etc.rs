//! Names below `/etc`: the host's resolver and hosts file, and the container's own host name.

use std::{
    ffi::CStr,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use coracle_fence::mounts::{Attributes, Reach};
use rustix::{
    fs::{CWD, FileType, Mode, OFlags, fstat, openat},
    io::{Errno, write},
};

use super::tree::{Owner, copy, folder, linked, put, restrict};

/// A file as the container names it, inside its root and inside `/etc`, and the host's.
struct Shared {
    inside: &'static CStr,
    name: &'static CStr,
    host: &'static CStr,
}

const SHARED: [Shared; 2] = [
    Shared { inside: c"etc/resolv.conf", name: c"resolv.conf", host: c"/etc/resolv.conf" },
    Shared { inside: c"etc/hosts", name: c"hosts", host: c"/etc/hosts" },
];

/// Shows the host's files, where it has them, and the container's host name, read-only.
pub(super) fn share(
    root: BorrowedFd<'_>,
    staging: BorrowedFd<'_>,
    hostname: &CStr,
    owner: Owner,
) -> Result<(), Errno> {
    for file in SHARED {
        match copy(CWD, file.host, Reach::One) {
            Ok(source) if is_file(&source)? => show(root, &source, file.inside, file.name, owner)?,
            Ok(_) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
    let file = openat(staging, c"hostname", flags, Mode::from_raw_mode(0o644))?;
    write(&file, hostname.to_bytes())?;
    write(&file, b"\n")?;
    let source = copy(staging, c"hostname", Reach::One)?;
    show(root, &source, c"etc/hostname", c"hostname", owner)
}

/// Puts a file over the one that the container would find by this name; one that is missing is made, and one that is no file,
/// or a link to nowhere, is the image's own business and stays.
fn show(
    root: BorrowedFd<'_>,
    source: &OwnedFd,
    inside: &CStr,
    name: &CStr,
    owner: Owner,
) -> Result<(), Errno> {
    let inert = Attributes::NOSUID.and(Attributes::NODEV).and(Attributes::NOEXEC);
    restrict(source.as_fd(), Reach::One, inert.and(Attributes::RDONLY))?;
    let place = match linked(root, inside, OFlags::empty()) {
        Err(Errno::NOENT) => {
            let etc = folder(root, c"etc", owner)?;
            let flags = OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::WRONLY | OFlags::CLOEXEC;
            match openat(&etc, name, flags, Mode::from_raw_mode(0o644)) {
                Err(Errno::EXIST) => return Ok(()),
                other => other?,
            }
        }
        other => other?,
    };
    if is_file(&place)? { put(source.as_fd(), place.as_fd()) } else { Ok(()) }
}

fn is_file(fd: &OwnedFd) -> Result<bool, Errno> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode) == FileType::RegularFile)
}
