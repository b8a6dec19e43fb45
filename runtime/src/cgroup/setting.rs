//! Values for the files of a cgroup. What a plan and what another description ask for is written in this one way.

use std::{borrow::Cow, os::fd::BorrowedFd};

use rustix::io::Errno;

use super::file;
use crate::{Error, plan::Limits};

/// One value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The file's name.
    pub file: Cow<'static, str>,
    /// What it is to hold. Lines are written one by one, as files that hold a line for each device take them.
    pub value: String,
    /// What to do where there is no such file.
    pub absent: Absent,
}

/// What to do where the kernel, or the cgroup for want of a controller, has no such file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// Fail.
    Refuse,
    /// Go on: without the file there is nothing to hold back.
    Skip,
    /// Use another file.
    Instead(Box<Setting>),
}

impl Setting {
    /// A value that has to be written.
    pub fn new(file: impl Into<Cow<'static, str>>, value: impl ToString) -> Self {
        Self { file: file.into(), value: value.to_string(), absent: Absent::Refuse }
    }

    /// The same, left out where there is no such file.
    #[must_use]
    pub fn or_skip(self) -> Self {
        Self { absent: Absent::Skip, ..self }
    }

    /// The same, with another for where there is no such file.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { absent: Absent::Instead(Box::new(other)), ..self }
    }

    /// Writes it.
    pub(super) fn write(&self, folder: BorrowedFd<'_>) -> Result<(), Error> {
        match (file::write(folder, &self.file, &self.value), &self.absent) {
            (Err(Error::Cgroup { source: Errno::NOENT, .. }), Absent::Skip) => Ok(()),
            (Err(Error::Cgroup { source: Errno::NOENT, .. }), Absent::Instead(other)) => other.write(folder),
            (done, _) => done,
        }
    }
}

/// A plan's limits, in the order in which they are written.
///
/// No swap and death as a whole go with the memory controller: half a container is worse than none. `memory.high` stays
/// open, as throttled reclaim is a slow death that nobody reports.
pub(super) fn of(limits: &Limits) -> impl Iterator<Item = Setting> {
    let asked = [
        limits.memory.map(|bytes| Setting::new("memory.max", bytes)),
        limits.cpu.map(|cpu| Setting::new("cpu.max", format_args!("{} {}", cpu.quota_us(), cpu.period_us()))),
        limits.weight.map(|weight| Setting::new("cpu.weight", weight.get())),
        limits.pids.map(|pids| Setting::new("pids.max", pids)),
    ];
    // Without a memory controller, or in a kernel without swap, there is nothing to turn off.
    let always = [("memory.swap.max", 0), ("memory.oom.group", 1)];
    asked.into_iter().flatten().chain(always.map(|(file, value)| Setting::new(file, value).or_skip()))
}

#[cfg(test)]
mod tests {
    use std::{fs, os::fd::AsFd};

    use super::*;
    use crate::plan::{CpuQuota, Weight};

    #[test]
    fn limits_become_settings() {
        let text = |limits: &Limits| -> Vec<_> {
            of(limits).map(|setting| format!("{}={}", setting.file, setting.value)).collect()
        };
        let always = ["memory.swap.max=0", "memory.oom.group=1"];
        assert_eq!(text(&Limits::default()), always);
        let all = Limits {
            memory: Some(1 << 20),
            cpu: CpuQuota::new(20_000, 100_000).ok(),
            weight: Weight::new(50).ok(),
            pids: Some(9),
        };
        let asked = ["memory.max=1048576", "cpu.max=20000 100000", "cpu.weight=50", "pids.max=9"];
        assert_eq!(text(&all), [&asked[..], &always].concat());
    }

    #[test]
    fn what_is_not_there_is_refused_skipped_or_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("io.weight"), "").unwrap();
        let opened = fs::File::open(folder.path()).unwrap();
        let wanted = Setting::new("io.bfq.weight", 10);
        let refused = wanted.write(opened.as_fd());
        assert_eq!(refused, Err(Error::Cgroup { file: "io.bfq.weight".into(), source: Errno::NOENT }));
        assert_eq!(wanted.clone().or_skip().write(opened.as_fd()), Ok(()));
        assert_eq!(wanted.or(Setting::new("io.weight", "1\n2")).write(opened.as_fd()), Ok(()));
        // A file of the test's is no file of the kernel's: its lines follow each other.
        assert_eq!(fs::read_to_string(folder.path().join("io.weight")).unwrap(), "12");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
