//! A container's cgroup: made with its limits and its device filter, killed whole, asked how it ended.
//!
//! <https://docs.kernel.org/admin-guide/cgroup-v2.html>. Everything goes through descriptors of folders in a cgroup2 mount; no
//! path is looked up twice. The files are the kernel's own and answer at once.

//!
//! * [`setting`]: values for its files, and the one way to write them.
//! * [`path`]: cgroups by the names on the way to them.
//! * `members`: the processes and the cgroups below.
//! * `freezer`: stopping them all.
//!
//! PID 1 uses what is here, and waits for nothing. The last two wait, up to [`PATIENCE`]; they are for the commands of a runtime.

mod file;
mod freezer;
mod members;
pub mod path;
pub mod setting;

use std::{
    borrow::Borrow,
    collections::BTreeMap,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    time::Duration,
};

use coracle_fence::bpf;
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, mkdirat, openat, unlinkat},
    io::Errno,
};

use self::file::{SHORT, failed, field};
pub use self::{
    path::Path,
    setting::{Absent, Setting},
};
use crate::{
    Error,
    devices::{Devices, compile},
    plan::{Limits, Name},
};

/// The controllers whose limits a plan can name, and `io`, which weighs writeback by memory's owner.
const CONTROLLERS: [&str; 4] = ["cpu", "io", "memory", "pids"];

/// How long a command waits for the processes of a cgroup to stand still, or to be gone.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// More than any file of counters holds: those of a thousand devices have a hundred thousand bytes.
const LONG: usize = 1 << 20;
const FOLDER: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Hands the controllers that plans use, and that are there, to the children of a cgroup.
pub fn delegate(folder: BorrowedFd<'_>) -> Result<(), Error> {
    let mut buffer = [0; SHORT];
    let offered = file::read(folder, "cgroup.controllers", &mut buffer)?;
    CONTROLLERS.iter().filter(|name| has_word(offered, name)).try_for_each(|name| enable(folder, name))
}

fn enable(folder: BorrowedFd<'_>, controller: &str) -> Result<(), Error> {
    file::write(folder, "cgroup.subtree_control", &format!("+{controller}"))
}

fn has_word(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|have| have == word)
}

fn make_folder(parent: BorrowedFd<'_>, name: &str) -> Result<(), Errno> {
    mkdirat(parent, name, Mode::from_raw_mode(0o755))
}

/// A cgroup of one container. Dropping it leaves the cgroup where it is.
#[derive(Debug)]
pub struct Cgroup {
    name: String,
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
        make_folder(parent, name.as_str()).map_err(failed("mkdir"))?;
        Self::fill_or_remove(parent, name.as_str(), devices, setting::of(limits))
    }

    /// An existing cgroup, such as one that outlived its owner.
    pub fn open(parent: BorrowedFd<'_>, name: &Name) -> Result<Self, Error> {
        Self::open_named(parent, name.as_str())
    }

    fn open_named(parent: BorrowedFd<'_>, name: &str) -> Result<Self, Error> {
        let folder = openat(parent, name, FOLDER, Mode::empty()).map_err(failed("open"))?;
        Ok(Self { name: name.to_owned(), folder })
    }

    fn fill_or_remove<S: Borrow<Setting>>(
        parent: BorrowedFd<'_>,
        name: &str,
        devices: Devices<'_>,
        settings: impl IntoIterator<Item = S>,
    ) -> Result<Self, Error> {
        let made = Self::open_named(parent, name).and_then(|made| made.fill(devices, settings));
        if made.is_err() {
            // The first error is the one to report; an empty cgroup that stays is refused as existing next time.
            let _ = unlinkat(parent, name, AtFlags::REMOVEDIR);
        }
        made
    }

    fn fill<S: Borrow<Setting>>(
        self,
        devices: Devices<'_>,
        settings: impl IntoIterator<Item = S>,
    ) -> Result<Self, Error> {
        self.filter(devices)?;
        settings.into_iter().try_for_each(|setting| self.set(setting.borrow()))?;
        Ok(self)
    }

    /// Writes one value.
    pub fn set(&self, setting: &Setting) -> Result<(), Error> {
        setting.write(self.as_fd())
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

    /// The text of every file whose name is wanted and that can be read: a controller that is not there has none, and pressure
    /// that is not measured no text.
    pub fn texts(&self, wanted: impl Fn(&str) -> bool) -> Result<BTreeMap<String, String>, Error> {
        let mut texts = BTreeMap::new();
        for name in members::entries(self.as_fd(), FileType::RegularFile)? {
            let Some(name) = name.to_str().ok().filter(|name| wanted(name)) else { continue };
            match file::read_whole(self.as_fd(), name, LONG) {
                Ok(text) => drop(texts.insert(name.to_owned(), text)),
                Err(Error::Cgroup { source: Errno::OPNOTSUPP | Errno::NOENT, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(texts)
    }

    /// Removes it from `parent`; `EBUSY` while a process lives in it.
    pub fn remove(&self, parent: BorrowedFd<'_>) -> Result<(), Error> {
        unlinkat(parent, self.name.as_str(), AtFlags::REMOVEDIR).map_err(failed("rmdir"))
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
