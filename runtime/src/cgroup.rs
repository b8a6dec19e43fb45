//! A container's cgroup: made with its limits and its device filter, killed whole, asked how it ended.
//!
//! <https://docs.kernel.org/admin-guide/cgroup-v2.html>. Everything goes through descriptors of folders in a cgroup2 mount; no
//! path is looked up twice. The files are the kernel's own and answer at once.

mod file;
pub mod setting;

use std::{
    ffi::CString,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use coracle_fence::bpf;
use rustix::{
    fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat},
    io::Errno,
};

use self::file::{SHORT, failed, field};
pub use self::setting::{Absent, Setting};
use crate::{
    Error,
    devices::{Devices, compile},
    plan::{Limits, Name},
};

/// The controllers whose limits a plan can name, and `io`, which weighs writeback by memory's owner.
const CONTROLLERS: [&str; 4] = ["cpu", "io", "memory", "pids"];

/// Hands the controllers that plans use, and that are there, to the children of a cgroup.
pub fn delegate(folder: BorrowedFd<'_>) -> Result<(), Error> {
    let mut buffer = [0; SHORT];
    let offered = file::read(folder, "cgroup.controllers", &mut buffer)?;
    for controller in CONTROLLERS.iter().filter(|name| offered.split_whitespace().any(|have| have == **name))
    {
        file::write(folder, "cgroup.subtree_control", &format!("+{controller}"))?;
    }
    Ok(())
}

/// A cgroup of one container. Dropping it leaves the cgroup where it is.
#[derive(Debug)]
pub struct Cgroup {
    name: CString,
    folder: OwnedFd,
}

impl Cgroup {
    /// Makes a cgroup below `parent`; one that could not be filtered or limited is not left behind.
    ///
    /// The device filter stays for as long as the cgroup is there, and no process is in it before.
    pub fn create(
        parent: BorrowedFd<'_>,
        name: &Name,
        limits: &Limits,
        devices: Devices<'_>,
    ) -> Result<Self, Error> {
        let path = CString::new(name.as_str()).map_err(|_| Error::Nul)?;
        mkdirat(parent, &path, Mode::from_raw_mode(0o755)).map_err(failed("mkdir"))?;
        let made = Self::open(parent, name).and_then(|made| {
            made.filter(devices)?;
            setting::of(limits).try_for_each(|setting| setting.write(made.as_fd()))?;
            Ok(made)
        });
        if made.is_err() {
            // The first error is the one to report; an empty cgroup that stays is refused as existing next time.
            let _ = unlinkat(parent, &path, AtFlags::REMOVEDIR);
        }
        made
    }

    /// An existing cgroup, such as one that outlived its owner.
    pub fn open(parent: BorrowedFd<'_>, name: &Name) -> Result<Self, Error> {
        let name = CString::new(name.as_str()).map_err(|_| Error::Nul)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(parent, &name, flags, Mode::empty()).map_err(failed("open"))?;
        Ok(Self { name, folder })
    }

    fn filter(&self, devices: Devices<'_>) -> Result<(), Error> {
        let Devices::Only(rules) = devices else { return Ok(()) };
        let program = bpf::load(&compile(rules)?).map_err(Error::Devices)?;
        bpf::attach(program.as_fd(), self.as_fd()).map_err(Error::Devices)
    }

    /// Kills every process in it and below; returns before they are gone.
    pub fn kill(&self) -> Result<(), Error> {
        file::write(self.as_fd(), "cgroup.kill", "1")
    }

    /// Whether a process lives in it or below.
    pub fn is_populated(&self) -> Result<bool, Error> {
        let mut buffer = [0; SHORT];
        let events = file::read(self.as_fd(), "cgroup.events", &mut buffer)?;
        Ok(field(events, "populated") != Some(0))
    }

    /// How many processes the kernel killed here for want of memory; 0 without a memory controller.
    pub fn oom_kills(&self) -> Result<u64, Error> {
        let mut buffer = [0; SHORT];
        match file::read(self.as_fd(), "memory.events", &mut buffer) {
            Ok(events) => Ok(field(events, "oom_kill").unwrap_or(0)),
            Err(Error::Cgroup { source: Errno::NOENT, .. }) => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Removes it from `parent`; `EBUSY` while a process lives in it.
    pub fn remove(&self, parent: BorrowedFd<'_>) -> Result<(), Error> {
        unlinkat(parent, &self.name, AtFlags::REMOVEDIR).map_err(failed("rmdir"))
    }
}

impl AsFd for Cgroup {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.folder.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_cgroup_is_refused_by_file() {
        let folder = tempfile::tempdir().unwrap();
        let parent = std::fs::File::open(folder.path()).unwrap();
        let name = Name::new("a").unwrap();
        let limits = Limits { memory: Some(1 << 20), ..Limits::default() };
        let refused = Cgroup::create(parent.as_fd(), &name, &limits, Devices::Any).unwrap_err();
        assert_eq!(refused, Error::Cgroup { file: "memory.max".into(), source: Errno::NOENT });
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let refused = delegate(parent.as_fd()).unwrap_err();
        assert_eq!(refused, Error::Cgroup { file: "cgroup.controllers".into(), source: Errno::NOENT });
    }
}
