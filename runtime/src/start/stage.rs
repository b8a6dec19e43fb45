//! The steps of a start, and the eight bytes in which a child names the one that failed.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 1 | stage, from 1 |
//! | 1 | 1 | zero |
//! | 2 | 2 | which of several, from 0, little-endian |
//! | 4 | 4 | errno, little-endian |

use std::os::fd::BorrowedFd;

use rustix::io::{Errno, read};

use crate::Error;

macro_rules! stages { ($($(#[$doc:meta])* $stage:ident = $text:literal,)*) => {
    /// A step on the way from the clone to the program.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    #[repr(u8)]
    pub enum Stage { $($(#[$doc])* $stage),* }

    const STAGES: &[(Stage, &str)] = &[$((Stage::$stage, $text)),*];
} }

// In the order in which a child comes to them.
stages! {
    /// Standard input, output and error.
    Stdio = "standard descriptors",
    /// A session of its own.
    Session = "session",
    /// A namespace to join.
    Join = "namespace to join",
    /// New namespaces.
    Namespaces = "new namespaces",
    /// Mounts made from here on stay here.
    Propagation = "mount propagation",
    /// `/proc`.
    Proc = "/proc",
    /// The loopback interface.
    Loopback = "loopback interface",
    /// Settings of the network namespace.
    Sysctl = "network settings",
    /// The preference of the out-of-memory killer.
    OomScore = "out-of-memory preference",
    /// A cgroup namespace rooted at its cgroup.
    CgroupNamespace = "cgroup namespace",
    /// A copy of the image's tree.
    Image = "image",
    /// The image's owners as the user namespace knows them.
    IdMap = "id-mapped image",
    /// The folder in memory where the layers come together.
    Staging = "staging",
    /// The writable layer.
    Layer = "writable layer",
    /// The layers as one tree.
    Overlay = "overlay",
    /// Name resolution and names below `/etc`.
    Etc = "files in /etc",
    /// The root folder of a bundle.
    RootFolder = "root folder",
    /// A mount of a bundle: its source.
    MountSource = "source of a mount",
    /// Its target.
    MountTarget = "target of a mount",
    /// Its settings or attributes.
    Mount = "mount",
    /// What it covers, copied into it.
    CopyUp = "copy into a mount",
    /// A device of a bundle.
    Device = "device",
    /// `/sys`.
    Sys = "/sys",
    /// `/sys/fs/cgroup`.
    CgroupMount = "/sys/fs/cgroup",
    /// `/dev` and what is in it.
    Dev = "/dev",
    /// Pseudo-terminals, shared memory and message queues.
    DevMounts = "mounts below /dev",
    /// A read-only path.
    ReadOnly = "read-only path",
    /// A masked path.
    Masked = "masked path",
    /// The root without a writable layer.
    SealRoot = "read-only root",
    /// The container's root as the only one.
    Pivot = "pivot_root",
    /// The host name.
    Hostname = "host name",
    /// The NIS domain name.
    Domainname = "domain name",
    /// A file below `/proc/sys`.
    Setting = "kernel setting",
    /// The other side of the line.
    Line = "word of the runtime",
    /// A terminal of its own.
    Terminal = "terminal",
    /// Resource limits of the process.
    ResourceLimits = "resource limits",
    /// How it is scheduled.
    Schedule = "scheduler",
    /// How its requests to disks are.
    IoPriority = "io priority",
    /// Which processors it runs on.
    Processors = "processors",
    /// What it takes the kernel for.
    Personality = "personality",
    /// The user namespace.
    UserNamespace = "user namespace",
    /// The capability bounding set.
    BoundingSet = "bounding set",
    /// User and groups.
    Ids = "user and groups",
    /// Capabilities.
    Capabilities = "capabilities",
    /// No gain of privileges.
    NoNewPrivs = "no_new_privs",
    /// The working directory.
    WorkingDirectory = "working directory",
    /// Signal dispositions and mask.
    Signals = "signals",
    /// What the parent left open.
    Descriptors = "descriptors",
    /// The seccomp program.
    Seccomp = "seccomp",
    /// The program itself.
    Exec = "program",
}

impl Stage {
    /// What it is about.
    pub fn as_str(self) -> &'static str {
        STAGES.iter().find(|(stage, _)| *stage == self).map_or("", |(_, text)| text)
    }
}

/// What kept a child from becoming its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{}", stage.as_str())]
pub struct Failure {
    /// The step.
    pub stage: Stage,
    /// Which one, where a step is done with several things.
    pub item: u16,
    /// The kernel's answer.
    #[source]
    pub errno: Errno,
}

/// What a child has said so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// Nothing yet.
    Starting,
    /// The program runs, or the child was killed on the way: its end tells.
    Running,
    /// It has failed, and ends with code 127.
    Failed(Failure),
}

impl Failure {
    /// Reads a child's pipe without waiting.
    pub fn read(pipe: BorrowedFd<'_>) -> Result<Report, Error> {
        let mut word = [0; 8];
        match read(pipe, &mut word) {
            Ok(0) => Ok(Report::Running),
            Ok(len) => Self::decode(word, len).map(Report::Failed),
            Err(Errno::AGAIN | Errno::INTR) => Ok(Report::Starting),
            Err(source) => Err(Error::Report { step: "read", source }),
        }
    }

    pub(super) fn encode(self) -> [u8; 8] {
        let [a, b, c, d] = self.errno.raw_os_error().to_le_bytes();
        let [low, high] = self.item.to_le_bytes();
        [self.stage as u8 + 1, 0, low, high, a, b, c, d]
    }

    /// Reads a word and its length.
    ///
    /// # Errors
    /// [`Error::Garbled`].
    pub fn decode(word: [u8; 8], len: usize) -> Result<Self, Error> {
        let [number, 0, low, high, a, b, c, d] = word else {
            return Err(Error::Garbled { stage: word[0], len });
        };
        let stage = usize::from(number).checked_sub(1).and_then(|at| STAGES.get(at));
        match stage {
            Some(&(stage, _)) if len == word.len() => {
                let errno = Errno::from_raw_os_error(i32::from_le_bytes([a, b, c, d]));
                Ok(Self { stage, item: u16::from_le_bytes([low, high]), errno })
            }
            _ => Err(Error::Garbled { stage: number, len }),
        }
    }
}

/// A refused system call gets its stage.
pub(super) trait At<T> {
    fn at(self, stage: Stage) -> Result<T, Failure>;
}

/// A refused step gets the number of the thing it was done with.
pub(super) trait Of<T> {
    fn of(self, item: usize) -> Result<T, Failure>;
}

impl<T> Of<T> for Result<T, Failure> {
    fn of(self, item: usize) -> Result<T, Failure> {
        self.map_err(|failure| Failure { item: u16::try_from(item).unwrap_or(u16::MAX), ..failure })
    }
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, stage: Stage) -> Result<T, Failure> {
        self.map_err(|errno| Failure { stage, item: 0, errno })
    }
}

impl<T> At<T> for Result<T, coracle_fence::Error> {
    fn at(self, stage: Stage) -> Result<T, Failure> {
        self.map_err(|error| Failure { stage, item: 0, errno: error.errno() })
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use rustix::{
        io::write,
        pipe::{PipeFlags, pipe_with},
    };

    use super::*;

    #[test]
    fn every_stage_survives_the_pipe_and_has_a_text_of_its_own() {
        let mut texts = std::collections::BTreeSet::new();
        for &(stage, text) in STAGES {
            let failure = Failure { stage, item: 0x0102, errno: Errno::NOSPC };
            assert_eq!(Failure::decode(failure.encode(), 8), Ok(failure));
            assert!(texts.insert(text) && stage.as_str() == text);
        }
    }

    #[test]
    fn a_pipe_says_starting_then_failed_or_running() {
        let (pipe, end) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).unwrap();
        let failure = Failure { stage: Stage::Exec, item: 0, errno: Errno::NOENT };
        assert_eq!(Failure::read(pipe.as_fd()), Ok(Report::Starting));
        write(&end, &failure.encode()).unwrap();
        assert_eq!(Failure::read(pipe.as_fd()), Ok(Report::Failed(failure)));
        for garbled in [&[1, 0, 0][..], &[0; 8], &[255, 0, 0, 0, 2, 0, 0, 0], &[1, 1, 0, 0, 2, 0, 0, 0]] {
            write(&end, garbled).unwrap();
            let want = Error::Garbled { stage: garbled[0], len: garbled.len() };
            assert_eq!(Failure::read(pipe.as_fd()), Err(want));
        }
        drop(end);
        assert_eq!(Failure::read(pipe.as_fd()), Ok(Report::Running));
    }
}
