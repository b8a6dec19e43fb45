//! A terminal of the container's own `devpts`.
//!
//! Its other side is sent over a socket (`--console-socket`). Nothing is opened by a path that the image could have filled but
//! `/dev/pts/ptmx`, which has to be what it says it is; the terminal itself comes from its other side (CVE-2025-52565).

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use coracle_fence::mounts::Reach;
use rustix::{
    fs::{FileType, Gid, Mode, OFlags, ResolveFlags, Uid, fchown, fstat, makedev, openat2},
    io::Errno,
    process::ioctl_tiocsctty,
    pty::{OpenptFlags, ioctl_tiocgptpeer, unlockpt},
    stdio::{dup2_stderr, dup2_stdin, dup2_stdout},
    termios::{Winsize, tcsetwinsize},
};

use super::targets::{Links, Missing, target};
use crate::{
    agent,
    bundle::Size,
    start::tree::{Owner, copy, put},
};

/// Opens one, sends its other side, and makes it the controlling terminal of this session.
pub(super) fn open(
    root: BorrowedFd<'_>,
    socket: BorrowedFd<'_>,
    size: Size,
    user: Uid,
) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let other = openat2(root, c"dev/pts/ptmx", flags, Mode::empty(), resolve)?;
    let stat = fstat(&other)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::CharacterDevice || stat.st_rdev != makedev(5, 2) {
        return Err(Errno::NODEV);
    }
    unlockpt(&other)?;
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let terminal = ioctl_tiocgptpeer(&other, flags)?;
    if size != Size::default() {
        let size = Winsize { ws_row: size.rows, ws_col: size.columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size)?;
    }
    fchown(&terminal, Some(user), None::<Gid>)?;
    agent::send(socket, b"/dev/ptmx", other.as_fd())?;
    dup2_stdin(&terminal)?;
    dup2_stdout(&terminal)?;
    dup2_stderr(&terminal)?;
    ioctl_tiocsctty(&terminal)?;
    Ok(terminal)
}

/// Shows the terminal as `/dev/console`.
pub(super) fn show(root: BorrowedFd<'_>, terminal: BorrowedFd<'_>, owner: Owner) -> Result<(), Errno> {
    let tree = copy(terminal, c"", Reach::One)?;
    let place = target(root, c"dev/console", Links::Refused, Missing::File, owner)?;
    put(tree.as_fd(), place.as_fd())
}
