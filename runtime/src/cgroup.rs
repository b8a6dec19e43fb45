//! A container's cgroup: made with its limits and its device filter, killed whole, asked how it ended.
//!
//! <https://docs.kernel.org/admin-guide/cgroup-v2.html>. Everything goes through descriptors of folders in a cgroup2 mount; no
//! path is looked up twice. The files are the kernel's own and answer at once.

use std::{
    ffi::{CStr, CString},
    io::Write,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use coracle_fence::bpf;
use rustix::{
    fs::{AtFlags, Mode, OFlags, mkdirat, openat, unlinkat},
    io::{Errno, read, write},
};

use crate::{
    Error,
    devices::{Devices, compile},
    plan::{Limits, Name},
};

/// The controllers whose limits a plan can name, and `io`, which weighs writeback by memory's owner.
const CONTROLLERS: [&str; 4] = ["cpu", "io", "memory", "pids"];
/// Longer than any file read here.
const FILE: usize = 1024;

/// Hands the controllers that plans use, and that are there, to the children of a cgroup.
pub fn delegate(folder: BorrowedFd<'_>) -> Result<(), Error> {
    let mut buffer = [0; FILE];
    let offered = read_file(folder, c"cgroup.controllers", &mut buffer)?;
    for controller in CONTROLLERS.iter().filter(|name| offered.split_whitespace().any(|have| have == **name))
    {
        write_file(folder, c"cgroup.subtree_control", format_args!("+{controller}"))?;
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
    ///
    /// No swap and death as a whole go with the memory controller: half a container is worse than none. `memory.high` stays
    /// open, as throttled reclaim is a slow death that nobody reports.
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
            made.limit(limits)?;
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

    fn limit(&self, limits: &Limits) -> Result<(), Error> {
        let folder = self.folder.as_fd();
        if let Some(bytes) = limits.memory {
            write_file(folder, c"memory.max", format_args!("{bytes}"))?;
        }
        if let Some(cpu) = limits.cpu {
            write_file(folder, c"cpu.max", format_args!("{} {}", cpu.quota_us(), cpu.period_us()))?;
        }
        if let Some(weight) = limits.weight {
            write_file(folder, c"cpu.weight", format_args!("{}", weight.get()))?;
        }
        if let Some(pids) = limits.pids {
            write_file(folder, c"pids.max", format_args!("{pids}"))?;
        }
        // Without a memory controller, or in a kernel without swap, there is nothing to turn off.
        for (file, value) in [(c"memory.swap.max", 0), (c"memory.oom.group", 1)] {
            match write_file(folder, file, format_args!("{value}")) {
                Err(Error::Cgroup { source: Errno::NOENT, .. }) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// Kills every process in it and below; returns before they are gone.
    pub fn kill(&self) -> Result<(), Error> {
        write_file(self.folder.as_fd(), c"cgroup.kill", format_args!("1"))
    }

    /// Whether a process lives in it or below.
    pub fn is_populated(&self) -> Result<bool, Error> {
        let mut buffer = [0; FILE];
        let events = read_file(self.folder.as_fd(), c"cgroup.events", &mut buffer)?;
        Ok(field(events, "populated") != Some(0))
    }

    /// How many processes the kernel killed here for want of memory; 0 without a memory controller.
    pub fn oom_kills(&self) -> Result<u64, Error> {
        let mut buffer = [0; FILE];
        match read_file(self.folder.as_fd(), c"memory.events", &mut buffer) {
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

/// The number after `key` in a file of lines `key number`.
fn field(text: &str, key: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        if name == key { value.parse().ok() } else { None }
    })
}

fn failed(file: &'static str) -> impl Fn(Errno) -> Error {
    move |source| Error::Cgroup { file, source }
}

fn read_file<'a>(
    folder: BorrowedFd<'_>,
    file: &'static CStr,
    buffer: &'a mut [u8; FILE],
) -> Result<&'a str, Error> {
    let failed = failed(file.to_str().unwrap_or_default());
    let fd = openat(folder, file, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).map_err(&failed)?;
    let len = read(&fd, &mut buffer[..]).map_err(&failed)?;
    buffer.get(..len).and_then(|bytes| std::str::from_utf8(bytes).ok()).ok_or(failed(Errno::ILSEQ))
}

fn write_file(
    folder: BorrowedFd<'_>,
    file: &'static CStr,
    value: std::fmt::Arguments<'_>,
) -> Result<(), Error> {
    let failed = failed(file.to_str().unwrap_or_default());
    let mut buffer = [0u8; 64];
    let mut rest = &mut buffer[..];
    rest.write_fmt(value).map_err(|_| failed(Errno::NAMETOOLONG))?;
    let left = rest.len();
    let text = buffer.get(..buffer.len() - left).unwrap_or_default();
    let fd = openat(folder, file, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map_err(&failed)?;
    // The kernel takes a value in one write or refuses it.
    write(&fd, text).map(|_| ()).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let events = "low 0\nhigh 1\noom 4\noom_kill 3\noom_group_kill 2\n";
        assert_eq!((field(events, "oom_kill"), field(events, "oom")), (Some(3), Some(4)));
        assert_eq!((field(events, "kill"), field("populated x", "populated")), (None, None));
    }

    #[test]
    fn what_is_no_cgroup_is_refused_by_file() {
        let folder = tempfile::tempdir().unwrap();
        let parent = std::fs::File::open(folder.path()).unwrap();
        let name = Name::new("a").unwrap();
        let limits = Limits { memory: Some(1 << 20), ..Limits::default() };
        let refused = Cgroup::create(parent.as_fd(), &name, &limits, Devices::Any).unwrap_err();
        assert_eq!(refused, Error::Cgroup { file: "memory.max", source: Errno::NOENT });
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        let refused = delegate(parent.as_fd()).unwrap_err();
        assert_eq!(refused, Error::Cgroup { file: "cgroup.controllers", source: Errno::NOENT });
    }
}
