//! A bundle: one container as the OCI runtime specification describes it, every value checked and in the kernel's own form.
//!
//! <https://github.com/opencontainers/runtime-spec/blob/v1.2.1/config-linux.md>. Whoever makes one has read the
//! configuration and resolved all paths of the host. Unlike a [`Plan`](crate::plan::Plan) it has no binary form: it lives as long
//! as the command that starts the container.

use std::{
    ffi::CString,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
};

use coracle_fence::{
    mounts::{Attributes, Propagation, Reach},
    process::Schedule,
};
use rustix::{
    process::{Resource, Rlimit},
    thread::CpuSet,
};

use crate::{
    plan::{CapMask, OomScoreAdj},
    seccomp::{Flags, Insn},
};

/// A container.
#[derive(Debug)]
pub struct Bundle {
    /// Its root folder, on the host.
    pub rootfs: CString,
    /// Whether the root is read-only.
    pub access: Access,
    /// How it becomes the only one.
    pub switch: Switch,
    /// What passes between the host's mounts and its own.
    pub spread: Option<Spread>,
    /// Its namespaces.
    pub spaces: Spaces,
    /// What is mounted in its root, in this order.
    pub mounts: Vec<Mount>,
    /// The devices of its `/dev`; `None` leaves `/dev` as the mounts make it.
    pub devices: Option<Vec<Device>>,
    /// Host name.
    pub hostname: Option<CString>,
    /// NIS domain name.
    pub domainname: Option<CString>,
    /// Files below `/proc/sys` and what is written to them.
    pub sysctls: Vec<(CString, CString)>,
    /// What is written to `/proc/self/timens_offsets`.
    pub time_offsets: Option<CString>,
    /// Paths hidden from it.
    pub masked: Vec<CString>,
    /// Paths made read-only.
    pub readonly: Vec<CString>,
    /// Its first process.
    pub process: Process,
}

/// Whether something can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It can.
    ReadWrite,
    /// It cannot.
    ReadOnly,
}

/// How a root replaces another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// They change places, and the old one is taken away.
    Pivot,
    /// It is moved over the old one, which cannot be taken away: a root in an initramfs has nothing below it to pivot to.
    Move,
}

/// A propagation and how far it reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spread {
    /// Which.
    pub propagation: Propagation,
    /// How far.
    pub reach: Reach,
}

/// A namespace of one kind.
#[derive(Debug)]
pub enum Space {
    /// That of whoever starts the container.
    Host,
    /// A new one.
    Own,
    /// One that is there.
    Joined(OwnedFd),
}

impl Space {
    /// Whether it is new.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Own)
    }

    /// The one to join.
    #[must_use]
    pub fn joined(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Self::Joined(space) => Some(space.as_fd()),
            Self::Host | Self::Own => None,
        }
    }
}

/// The namespaces of a container. Mounts are always its own.
#[derive(Debug)]
pub struct Spaces {
    /// Users and groups.
    pub user: User,
    /// Processes.
    pub pid: Space,
    /// Network.
    pub net: Space,
    /// System V IPC and POSIX queues.
    pub ipc: Space,
    /// Host and domain name.
    pub uts: Space,
    /// Cgroup root.
    pub cgroup: Space,
    /// Clocks.
    pub time: Space,
}

/// Whose ids the container's are.
#[derive(Debug)]
pub enum User {
    /// The host's.
    Host,
    /// Those of a new namespace.
    Own(Ids),
    /// Those of a namespace that is there.
    Joined(OwnedFd, Ids),
}

impl User {
    /// How its ids are known outside.
    #[must_use]
    pub fn ids(&self) -> Option<&Ids> {
        match self {
            Self::Host => None,
            Self::Own(ids) | Self::Joined(_, ids) => Some(ids),
        }
    }
}

/// The ids of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// Users.
    pub users: Vec<IdMap>,
    /// Groups.
    pub groups: Vec<IdMap>,
}

/// Consecutive ids inside and outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMap {
    /// The first inside.
    pub inside: u32,
    /// The first outside.
    pub outside: u32,
    /// How many.
    pub size: u32,
}

impl IdMap {
    /// An id of the inside as it is known outside.
    #[must_use]
    pub fn outside(maps: &[Self], inside: u32) -> Option<u32> {
        maps.iter().find_map(|map| {
            let at = inside.checked_sub(map.inside).filter(|&at| at < map.size)?;
            map.outside.checked_add(at)
        })
    }
}

/// Something mounted in the container's root.
#[derive(Debug)]
pub struct Mount {
    /// Where, in the root.
    pub to: CString,
    /// What.
    pub from: From,
    /// Attributes of the mount itself.
    pub one: Change,
    /// Attributes of it and of all that comes with it.
    pub tree: Change,
    /// What passes.
    pub spread: Option<Spread>,
    /// Shown with the ids of this user namespace.
    pub idmap: Option<(OwnedFd, Reach)>,
    /// Begun with a copy of what it covers.
    pub copy_up: bool,
}

/// Where a mount comes from.
#[derive(Debug)]
pub enum From {
    /// A path of the host's.
    Bind {
        /// It.
        path: CString,
        /// Whether what is mounted below it comes along.
        reach: Reach,
    },
    /// A filesystem.
    New {
        /// Its kind.
        kind: CString,
        /// Names of its settings, and values of those that have one.
        settings: Vec<(CString, Option<CString>)>,
    },
}

/// Attributes that are set, and others that are cleared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Change {
    /// Set.
    pub set: Attributes,
    /// Cleared before.
    pub clear: Attributes,
}

/// A file of a device in the container's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Where, in the root.
    pub path: CString,
    /// What kind of device.
    pub kind: Kind,
    /// Permissions.
    pub mode: u32,
    /// User, outside.
    pub uid: u32,
    /// Group, outside.
    pub gid: u32,
}

/// A kind of device, and its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Character device.
    Char(u32, u32),
    /// Block device.
    Block(u32, u32),
    /// Pipe with a name.
    Fifo,
}

/// A process in a container: its first, or one that joins it.
#[derive(Debug, Clone)]
pub struct Process {
    /// Its terminal, if it has one.
    pub terminal: Option<Size>,
    /// Program and arguments.
    pub argv: Vec<CString>,
    /// Environment as `NAME=value`.
    pub env: Vec<CString>,
    /// Working directory, in the root.
    pub cwd: CString,
    /// User id inside the user namespace.
    pub uid: u32,
    /// Group id inside the user namespace.
    pub gid: u32,
    /// Supplementary groups inside the user namespace.
    pub groups: Vec<u32>,
    /// Permissions that new files do not get.
    pub umask: u32,
    /// Capabilities.
    pub caps: Capabilities,
    /// Resource limits.
    pub limits: Vec<(Resource, Rlimit)>,
    /// Whether an exec can raise privileges.
    pub no_new_privs: bool,
    /// The kernel's out-of-memory preference.
    pub oom_score_adj: Option<OomScoreAdj>,
    /// How it is scheduled.
    pub schedule: Option<Schedule>,
    /// How its requests to disks are scheduled, as `ioprio_set` has it.
    pub io_priority: Option<u16>,
    /// The processors that it runs on.
    pub processors: Option<CpuSet>,
    /// What it takes the kernel for.
    pub personality: Option<u32>,
    /// The seccomp program; empty means no filter.
    pub seccomp: Vec<Insn>,
    /// How it is installed.
    pub seccomp_flags: Flags,
    /// Whether it leaves some calls to an agent.
    pub notifies: bool,
    /// How many descriptors from 3 on stay open.
    pub kept: u32,
}

/// Rows and columns of a terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Rows.
    pub rows: u16,
    /// Columns.
    pub columns: u16,
}

/// The five sets of capabilities.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What no exec can go beyond.
    pub bounding: CapMask,
    /// What is in effect.
    pub effective: CapMask,
    /// What can be taken into effect.
    pub permitted: CapMask,
    /// What an exec may hand on.
    pub inheritable: CapMask,
    /// What an exec hands on.
    pub ambient: CapMask,
}
