//! What is known of a container between two commands: a folder of its own below `--root`.
//!
//! | file | |
//! |---|---|
//! | `state.json` | [`Record`]; written beside and renamed, so it is there whole or not at all |
//! | `config.json` | the configuration as it was when the container was made |
//! | `lock` | held while a command works on it |
//! | `gate` | a socket at which the container waits for `start`; gone once it was started |
//!
//! The folder comes first and goes last: whatever a command that was killed has left, `delete --force` finds it here.

use std::{
    fs::{self, DirBuilder, File},
    io::{ErrorKind, Read, Write},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{DirBuilderExt, OpenOptionsExt},
    },
    path::{Path, PathBuf},
};

use coracle_runtime::cgroup::{self, Cgroup};
use oci_spec::runtime::{LinuxResources, Spec};
use rustix::{
    fs::{FlockOperation, fcntl_lock},
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
};
use serde::{Deserialize, Serialize};

use crate::{
    cgroups_path::Hierarchy,
    config::{Config, LONGEST},
};

const STATE: &str = "state.json";
const CONFIG: &str = "config.json";
const LOCK: &str = "lock";
/// The socket's name.
pub const GATE: &str = "gate";

/// Why a container's state was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its id is no file name, or has other characters than names of containers have.
    #[error("container id {id:?}: 1 to 255 of A-Z a-z 0-9 _ + - . and not . or ..")]
    Id {
        /// The id.
        id: String,
    },
    /// There is one.
    #[error("container {id} exists")]
    Exists {
        /// Its id.
        id: String,
    },
    /// There is none.
    #[error("container {id} does not exist")]
    Absent {
        /// The id.
        id: String,
    },
    /// A file or folder did not obey.
    #[error("{operation} {}", path.display())]
    File {
        /// What was asked of it.
        operation: &'static str,
        /// It.
        path: PathBuf,
        /// The system's answer.
        #[source]
        source: std::io::Error,
    },
    /// The state is none.
    #[error("read {}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// No cgroups are mounted.
    #[error(transparent)]
    Hierarchy(crate::cgroups_path::Error),
    /// The container's cgroup did not obey.
    #[error("cgroup of the container")]
    Cgroup(#[source] coracle_runtime::Error),
    /// The kept configuration is none.
    #[error("kept configuration")]
    Config(#[source] crate::config::Error),
}

/// A container's id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Id(String);

impl Id {
    /// Checks an id: what runc takes, as it becomes a folder's name.
    ///
    /// # Errors
    /// [`Error::Id`].
    pub fn new(id: &str) -> Result<Self, Error> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
        if (1..=255).contains(&id.len()) && id.bytes().all(plain) && ![".", ".."].contains(&id) {
            Ok(Self(id.to_owned()))
        } else {
            Err(Error::Id { id: id.to_owned() })
        }
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is written down.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Record {
    /// The container's first process; `None` until it was started.
    pub process: Option<Identity>,
    /// The bundle's folder.
    pub bundle: PathBuf,
    /// Its cgroup's path below the root of the mount; empty until it is known.
    pub cgroup: String,
    /// Its resources, where `update` has changed them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<LinuxResources>,
    /// When it was made, RFC 3339.
    pub created: String,
}

/// A process, whatever became of its id since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Its id.
    pub pid: i32,
    /// When it was started, in the kernel's ticks since boot.
    pub start: u64,
}

impl Identity {
    /// That of a process that is there, or has ended and was not waited for.
    #[must_use]
    pub fn of(pid: Pid) -> Option<Self> {
        let pid = pid.as_raw_nonzero().get();
        stat(pid).map(|(_, start)| Self { pid, start })
    }

    /// Holds the process, if it is still this one and alive.
    #[must_use]
    pub fn hold(self) -> Option<OwnedFd> {
        let pid = Pid::from_raw(self.pid)?;
        let held = pidfd_open(pid, PidfdFlags::empty()).ok()?;
        let (state, start) = stat(self.pid)?;
        (start == self.start && !"ZX".contains(state)).then_some(held)
    }
}

/// State and start time of a process (proc_pid_stat(5)); its name may hold anything, so the last bracket counts.
fn stat(pid: i32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<_> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    Some((fields.first()?.chars().next()?, fields.get(19)?.parse().ok()?))
}

/// How a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is being made.
    Creating,
    /// It waits to be started.
    Created,
    /// Its program runs.
    Running,
    /// Its program runs and is frozen.
    Paused,
    /// Its program has ended.
    Stopped,
}

impl Status {
    /// As in the specification, and `paused`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Stopped => "stopped",
        }
    }
}

/// A container's folder, locked as long as this lives: commands for one container wait for each other.
#[derive(Debug)]
pub struct Container {
    id: Id,
    path: PathBuf,
    _lock: File,
    /// What is known.
    pub record: Record,
}

impl Container {
    /// Makes a folder for a new container.
    ///
    /// # Errors
    /// [`Error::Exists`], [`Error::File`].
    pub fn make(root: &Path, id: Id, record: Record, config: &[u8]) -> Result<Self, Error> {
        let failed = |operation, path: &Path| {
            let path = path.to_owned();
            move |source| Error::File { operation, path, source }
        };
        DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(failed("create", root))?;
        let path = root.join(id.as_str());
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                return Err(Error::Exists { id: id.as_str().to_owned() });
            }
            other => other.map_err(failed("create", &path))?,
        }
        let made = lock(&path).and_then(|lock| {
            let made = Self { id, path: path.clone(), _lock: lock, record };
            made.replace(CONFIG, config)?;
            made.write()?;
            Ok(made)
        });
        if made.is_err() {
            // The first error is the one to report.
            let _ = fs::remove_dir_all(&path);
        }
        made
    }

    /// Reads and locks the state of one that is there.
    ///
    /// # Errors
    /// [`Error::Absent`], [`Error::File`], [`Error::Record`].
    pub fn open(root: &Path, id: &str) -> Result<Self, Error> {
        let id = Id::new(id)?;
        let path = root.join(id.as_str());
        let lock = match lock(&path) {
            Err(Error::File { source, .. }) if source.kind() == ErrorKind::NotFound => {
                return Err(Error::Absent { id: id.0 });
            }
            other => other?,
        };
        let file = path.join(STATE);
        let record = match fs::read(&file) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map_err(|source| Error::Record { path: file, source })?
            }
            // It was killed before it had written anything, or had removed all but the folder.
            Err(error) if error.kind() == ErrorKind::NotFound => Record {
                process: None,
                bundle: PathBuf::new(),
                cgroup: String::new(),
                resources: None,
                created: String::new(),
            },
            Err(source) => return Err(Error::File { operation: "read", path: file, source }),
        };
        Ok(Self { id, path, _lock: lock, record })
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &Id {
        &self.id
    }

    /// Its folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration that it was made with.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Config`].
    pub fn config(&self) -> Result<Config, Error> {
        let path = self.path.join(CONFIG);
        let mut bytes = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(LONGEST as u64 + 1).read_to_end(&mut bytes))
            .map_err(|source| Error::File { operation: "read", path, source })?;
        Config::parse(&bytes).map_err(Error::Config)
    }

    /// Writes the record down.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&self) -> Result<(), Error> {
        let path = self.path.join(STATE);
        let bytes = serde_json::to_vec(&self.record).map_err(|source| Error::Record { path, source })?;
        self.replace(STATE, &bytes)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let (path, new) = (self.path.join(name), self.path.join(format!("{name}.new")));
        let written = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)
            .and_then(|mut file| file.write_all(bytes))
            .and_then(|()| fs::rename(&new, &path));
        written.map_err(|source| Error::File { operation: "write", path, source })
    }

    /// Its cgroup, if there is one.
    ///
    /// # Errors
    /// [`Error::Hierarchy`] and [`Error::Cgroup`].
    pub fn cgroup(&self) -> Result<Option<Cgroup>, Error> {
        if self.record.cgroup.is_empty() {
            return Ok(None);
        }
        let hierarchy = Hierarchy::open().map_err(Error::Hierarchy)?;
        let path = cgroup::Path::new(&self.record.cgroup).map_err(Error::Cgroup)?;
        match Cgroup::open_at(hierarchy.root.as_fd(), &path) {
            Ok(cgroup) => Ok(Some(cgroup)),
            Err(coracle_runtime::Error::Cgroup { source: Errno::NOENT, .. }) => Ok(None),
            Err(error) => Err(Error::Cgroup(error)),
        }
    }

    /// Its first process, if it is alive.
    #[must_use]
    pub fn process(&self) -> Option<OwnedFd> {
        self.record.process?.hold()
    }

    /// How it is.
    #[must_use]
    pub fn status(&self) -> Status {
        let Some(process) = self.record.process else { return Status::Creating };
        if process.hold().is_none() {
            Status::Stopped
        } else if self.path.join(GATE).exists() {
            Status::Created
        } else if self
            .cgroup()
            .is_ok_and(|cgroup| cgroup.is_some_and(|cgroup| cgroup.is_frozen() == Ok(true)))
        {
            Status::Paused
        } else {
            Status::Running
        }
    }

    /// The state as the specification shows it, to hooks and to whoever asks. `paused` is none of its own.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Config`].
    pub fn show(&self, spec: &Spec, status: Status) -> serde_json::Value {
        let mut shown = serde_json::json!({
            "ociVersion": spec.version(),
            "id": self.id.as_str(),
            "status": status.as_str(),
            "bundle": self.record.bundle,
        });
        let pid = self.record.process.filter(|_| status != Status::Stopped).map_or(0, |process| process.pid);
        shown["pid"] = pid.into();
        if let Some(annotations) = spec.annotations() {
            shown["annotations"] = serde_json::json!(annotations);
        }
        shown
    }

    /// Removes everything that is known of it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn remove(self) -> Result<(), Error> {
        // The record last: as long as it is there, `delete` knows what else may be left.
        let failed = |source| Error::File { operation: "remove", path: self.path.clone(), source };
        for name in [GATE, CONFIG] {
            match fs::remove_file(self.path.join(name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
        }
        fs::remove_dir_all(&self.path).map_err(failed)
    }
}

/// Ids of all containers below a root.
///
/// # Errors
/// [`Error::File`].
pub fn all(root: &Path) -> Result<Vec<Id>, Error> {
    let failed = |source| Error::File { operation: "list", path: root.to_owned(), source };
    let entries = match fs::read_dir(root) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.map_err(failed)?,
    };
    let mut ids = Vec::new();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        ids.extend(name.to_str().and_then(|name| Id::new(name).ok()));
    }
    ids.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(ids)
}

/// A lock of this process's, which no child inherits: one that waits at its gate would keep it for ever.
fn lock(path: &Path) -> Result<File, Error> {
    let path = path.join(LOCK);
    let failed = |operation| {
        let path = path.clone();
        move |source| Error::File { operation, path, source }
    };
    let mut options = File::options();
    let file =
        options.write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(failed("open"))?;
    loop {
        match fcntl_lock(&file, FlockOperation::LockExclusive) {
            Err(Errno::INTR) => {}
            other => {
                other.map_err(|errno| failed("lock")(errno.into()))?;
                // Whoever had it may have removed it.
                return if path.exists() {
                    Ok(file)
                } else {
                    Err(failed("open")(ErrorKind::NotFound.into()))
                };
            }
        }
    }
}
