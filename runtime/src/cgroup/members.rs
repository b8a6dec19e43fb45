//! What is in a cgroup and below: its processes, the cgroups that they made, and both of them gone.

use std::{
    ffi::CString,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    thread::sleep,
    time::{Duration, Instant},
};

use coracle_fence::signals;
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, openat, unlinkat},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};

use super::{
    Cgroup, FOLDER, PATIENCE,
    file::{self, failed},
    freezer::wait_for,
};
use crate::{Error, plan::Signal};

/// The longest list of processes that is read, in bytes: as many as a kernel numbers have room.
const LIST: usize = 32 << 20;
const KILL: u8 = 9;

impl Cgroup {
    /// The processes in it and below, as this process's namespace numbers them; those that it cannot see are left out.
    pub fn processes(&self) -> Result<Vec<Pid>, Error> {
        let mut found = Vec::new();
        let list = |folder: BorrowedFd<'_>| match file::read_whole(folder, "cgroup.procs", LIST) {
            Ok(text) => {
                found.extend(text.lines().filter_map(|line| Pid::from_raw(line.parse().ok()?)));
                Ok(())
            }
            // Those of a threaded cgroup are on the list of the one above it that is not; those of a removed one are gone.
            Err(Error::Cgroup { source: Errno::OPNOTSUPP | Errno::NOENT | Errno::NODEV, .. }) => Ok(()),
            Err(error) => Err(error),
        };
        walk(self.as_fd(), list, |_, _| Ok(()))?;
        found.sort_unstable_by_key(|pid| pid.as_raw_nonzero());
        found.dedup();
        Ok(found)
    }

    /// Sends a signal to every process in it and below. They are frozen meanwhile, so that none is missed that another makes; a
    /// frozen cgroup stays frozen. If one does not stand still they are told all the same, and the error says so.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        if signal.get() == KILL {
            return self.kill();
        }
        let was_frozen = self.is_told_to_freeze()?;
        let frozen = if was_frozen { Ok(()) } else { self.freeze() };
        let sent = self.processes().and_then(|all| all.into_iter().try_for_each(|pid| send(pid, signal)));
        // Whether they go on at once is for a cgroup above to say, if that is frozen.
        let thawed = if was_frozen { Ok(()) } else { file::write(self.as_fd(), "cgroup.freeze", "0") };
        sent.and(frozen).and(thawed)
    }

    /// Removes it and every cgroup below it, the deepest first, once the last process in it is gone; one that is gone already is
    /// not missed. Waits [`PATIENCE`] at the most, and kills nobody.
    pub fn remove_all(&self) -> Result<(), Error> {
        let deadline = Instant::now() + PATIENCE;
        let mut pause = Duration::from_millis(1);
        loop {
            let removed = wait_for(self.as_fd(), "populated", 0, deadline).and_then(|()| self.remove_once());
            match removed {
                Err(Error::Cgroup { source: Errno::NOENT | Errno::NODEV, .. }) => return Ok(()),
                // The kernel is still busy with the last of them.
                Err(Error::Cgroup { source: Errno::BUSY, .. }) if Instant::now() < deadline => sleep(pause),
                done => return done,
            }
            pause = (pause * 2).min(Duration::from_millis(100));
        }
    }

    fn remove_once(&self) -> Result<(), Error> {
        walk(
            self.as_fd(),
            |_| Ok(()),
            |parent, name| match unlinkat(parent, name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => Ok(()),
                Err(errno) => Err(failed("rmdir")(errno)),
            },
        )?;
        let parent = above(self.as_fd())?;
        // Its own name: it was opened by a path.
        let name = self.name.rsplit('/').next().unwrap_or_default();
        unlinkat(parent, name, AtFlags::REMOVEDIR).map_err(failed("rmdir"))
    }
}

/// A process that is gone has nothing to be told.
fn send(pid: Pid, signal: Signal) -> Result<(), Error> {
    let sent = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => signals::send(process.as_fd(), signal.get()),
        Err(Errno::SRCH) => return Ok(()),
        Err(source) => return Err(failed("pidfd_open")(source)),
    };
    match sent {
        Err(error) if error.errno() != Errno::SRCH => Err(Error::Signal(error)),
        _ => Ok(()),
    }
}

/// Calls `enter` for a cgroup and every one below it, those above first, and `leave` for every one below with the folder it is
/// in and its name, those below first.
///
/// A container can make cgroups as deep and as many as it likes: whatever their number, one descriptor is open, and the way back
/// up is `..`, since cgroups cannot be moved.
pub(super) fn walk(
    top: BorrowedFd<'_>,
    mut enter: impl FnMut(BorrowedFd<'_>) -> Result<(), Error>,
    mut leave: impl FnMut(BorrowedFd<'_>, &CString) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut here = top.try_clone_to_owned().map_err(|_| failed("dup")(Errno::MFILE))?;
    enter(here.as_fd())?;
    // For each level the names still to come; the last one is the level we are in.
    let mut levels = vec![entries(here.as_fd(), FileType::Directory)?];
    while let Some(names) = levels.last_mut() {
        if let Some(name) = names.last() {
            match openat(&here, name, FOLDER, Mode::empty()) {
                Ok(folder) => {
                    here = folder;
                    enter(here.as_fd())?;
                    levels.push(entries(here.as_fd(), FileType::Directory)?);
                }
                Err(Errno::NOENT) => drop(names.pop()),
                Err(errno) => return Err(failed("open")(errno)),
            }
            continue;
        }
        levels.pop();
        if let Some(name) = levels.last_mut().and_then(Vec::pop) {
            here = above(here.as_fd())?;
            leave(here.as_fd(), &name)?;
        }
    }
    Ok(())
}

fn above(folder: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    openat(folder, c"..", FOLDER, Mode::empty()).map_err(failed(".."))
}

/// The names of what is right below: cgroups are folders.
pub(super) fn entries(folder: BorrowedFd<'_>, kind: FileType) -> Result<Vec<CString>, Error> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder).map_err(failed("list"))? {
        match entry {
            Ok(entry)
                if entry.file_type() == kind && !matches!(entry.file_name().to_bytes(), b"." | b"..") =>
            {
                names.push(entry.file_name().to_owned());
            }
            Ok(_) => {}
            // It was removed.
            Err(Errno::NOENT) => break,
            Err(errno) => return Err(failed("list")(errno)),
        }
    }
    Ok(names)
}
