//! The start plan: everything PID 1 must know to start one container, and nothing it would have to look up.
//!
//! Every value that has a range is a type from [`value`] whose constructor is the only check, so a decoded plan needs no
//! second look. The binary form is in [`codec`]. A plan names no image and no registry: whoever writes it has resolved those.

pub mod codec;
pub mod value;

use std::ffi::CString;

use crate::{
    devices::{CONTAINER, Devices},
    seccomp::Insn,
};
pub use value::{AbsPath, CapMask, CpuQuota, Hostname, IdRange, Name, OomScoreAdj, Signal, Weight};

/// One process to start, with its root, its rights and its limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The container's name.
    pub name: Name,
    /// Where its root filesystem comes from.
    pub root: Root,
    /// What lies above the root.
    pub writable: Writable,
    /// Program and arguments; never empty.
    pub argv: Vec<CString>,
    /// Environment as `NAME=value`.
    pub env: Vec<CString>,
    /// Working directory.
    pub cwd: AbsPath,
    /// User id inside the user namespace.
    pub uid: u32,
    /// Group id inside the user namespace.
    pub gid: u32,
    /// Supplementary group ids inside the user namespace.
    pub groups: Vec<u32>,
    /// Host name in the container's own UTS namespace.
    pub hostname: Hostname,
    /// Network namespace.
    pub net: Namespace,
    /// Process namespace.
    pub pid: Namespace,
    /// User namespace.
    pub user: UserNamespace,
    /// Permitted, effective and bounding capabilities.
    pub caps: CapMask,
    /// The seccomp program; empty means no filter.
    pub seccomp: Vec<Insn>,
    /// Cgroup limits.
    pub limits: Limits,
    /// The kernel's out-of-memory preference.
    pub oom_score_adj: OomScoreAdj,
    /// Paths hidden from the container.
    pub masked: Vec<AbsPath>,
    /// Paths remounted read-only.
    pub readonly: Vec<AbsPath>,
    /// When PID 1 starts it again.
    pub restart: Restart,
    /// The signal that asks it to end.
    pub stop_signal: Signal,
    /// How long it may take to end before it is killed, in milliseconds.
    pub grace_ms: u32,
}

impl Plan {
    /// Which devices it may use. A service of the host's has the host's `/dev`, and its capabilities alone say what of it.
    #[must_use]
    pub fn devices(&self) -> Devices<'static> {
        match self.root {
            Root::Host => Devices::Any,
            Root::Image(_) => Devices::Only(CONTAINER),
        }
    }
}

/// Where the root filesystem comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Root {
    /// The host's own root.
    Host,
    /// A mounted image at this path.
    Image(AbsPath),
}

/// The writable layer above the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Writable {
    /// None: the root stays read-only.
    None,
    /// In memory, lost at the end.
    Tmpfs {
        /// Its size limit.
        bytes: u64,
    },
    /// A folder on the state partition.
    State(AbsPath),
}

/// Whether the container shares a namespace with the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// Its own.
    Own,
    /// The host's.
    Host,
}

/// Whether the container's ids are mapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserNamespace {
    /// Its own, where id 0 is the first id of the range on the host.
    Own(IdRange),
    /// The host's: ids mean what they mean outside.
    Host,
}

/// Cgroup v2 limits; `None` leaves the kernel's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// `memory.max` in bytes.
    pub memory: Option<u64>,
    /// `cpu.max`.
    pub cpu: Option<CpuQuota>,
    /// `cpu.weight`.
    pub weight: Option<Weight>,
    /// `pids.max`.
    pub pids: Option<u32>,
}

/// The restart policy, named as in Kubernetes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Restart {
    /// Never.
    Never,
    /// After an exit other than 0.
    OnFailure,
    /// Always.
    Always,
}
