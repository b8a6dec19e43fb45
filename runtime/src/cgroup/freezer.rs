//! Stopping all processes of a cgroup at once, and waiting for what a cgroup reports.

use std::{
    os::fd::{AsFd, BorrowedFd},
    time::Instant,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, openat},
    io::{Errno, pread},
};

use super::{
    Cgroup, PATIENCE,
    file::{self, SHORT, failed, field},
    members::walk,
};
use crate::Error;

impl Cgroup {
    /// Stops every process in it and below, and waits until all stand still. If one does not within [`PATIENCE`], such as one in
    /// the middle of a read from a dead disk, all go on.
    ///
    /// Each cgroup is asked: the kernel calls one frozen as soon as its own processes are, whatever those below do
    /// (`cgroup_update_frozen`, kernel/cgroup/freezer.c). It also does as soon as all below are, whatever its own do, and nothing
    /// helps against that: whoever has processes beside cgroups may see some of the former go on for a moment.
    pub fn freeze(&self) -> Result<(), Error> {
        file::write(self.as_fd(), "cgroup.freeze", "1")?;
        let deadline = Instant::now() + PATIENCE;
        let wait = |folder: BorrowedFd<'_>| match wait_for(folder, "frozen", 1, deadline) {
            Err(Error::Cgroup { source: Errno::NOENT | Errno::NODEV, .. }) => Ok(()),
            done => done,
        };
        let frozen = walk(self.as_fd(), wait, |_, _| Ok(()));
        if frozen.is_err() {
            // The first error is the one to report.
            let _ = file::write(self.as_fd(), "cgroup.freeze", "0");
        }
        frozen
    }

    /// Lets them go on. Fails where a cgroup above is frozen.
    pub fn thaw(&self) -> Result<(), Error> {
        file::write(self.as_fd(), "cgroup.freeze", "0")?;
        wait_for(self.as_fd(), "frozen", 0, Instant::now() + PATIENCE)
    }

    /// Whether all in it stand still.
    pub fn is_frozen(&self) -> Result<bool, Error> {
        let mut buffer = [0; SHORT];
        Ok(field(file::read(self.as_fd(), "cgroup.events", &mut buffer)?, "frozen") == Some(1))
    }

    /// Whether it was told to freeze itself; it may not have done so yet.
    pub(super) fn is_told_to_freeze(&self) -> Result<bool, Error> {
        let mut buffer = [0; SHORT];
        Ok(file::read(self.as_fd(), "cgroup.freeze", &mut buffer)?.trim_end() == "1")
    }
}

/// Waits until a field of `cgroup.events` has a value; the kernel wakes whoever polls the file when one changes.
pub(super) fn wait_for(
    folder: BorrowedFd<'_>,
    key: &str,
    value: u64,
    deadline: Instant,
) -> Result<(), Error> {
    let failed = failed("cgroup.events");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let events = openat(folder, c"cgroup.events", flags, Mode::empty()).map_err(&failed)?;
    let mut buffer = [0; SHORT];
    loop {
        let len = pread(&events, &mut buffer[..], 0).map_err(&failed)?;
        let text = buffer.get(..len).and_then(|bytes| std::str::from_utf8(bytes).ok());
        if text.and_then(|text| field(text, key)) == Some(value) {
            return Ok(());
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(failed(Errno::TIMEDOUT));
        }
        let left = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: left.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&events, PollFlags::PRI)], Some(&left)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
    }
}
