//! What the kernel refused, or what was not fit to be asked.

use rustix::io::Errno;

/// A refused operation. Nothing here allocates when it is made after a clone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The child was not made.
    #[error("clone3 with flags {flags:#x}")]
    Clone {
        /// The flags asked for.
        flags: u64,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The namespaces were not left.
    #[error("unshare with flags {flags:#x}")]
    Unshare {
        /// The flags asked for.
        flags: u64,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The attributes of a mount were not changed.
    #[error("mount_setattr with set {set:#x}, clear {clear:#x}")]
    Attributes {
        /// Attributes to set.
        set: u64,
        /// Attributes to clear.
        clear: u64,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The calling process is as it was.
    #[error("{call}")]
    Process {
        /// The call that failed.
        call: &'static str,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The seccomp program was not installed.
    #[error("seccomp program of {len} instructions")]
    Filter {
        /// Its length.
        len: usize,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The kernel did not take the eBPF program.
    #[error("load a BPF program of {len} instructions; the verifier: {log:?}")]
    LoadProgram {
        /// Its length.
        len: usize,
        /// The verifier's words, bounded; empty if it was not asked.
        log: String,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The eBPF program was not attached to the cgroup.
    #[error("attach a BPF program to a cgroup")]
    AttachProgram(#[source] Errno),
    /// Signals kept their disposition or stayed blocked.
    #[error("reset signals")]
    Signals(#[source] Errno),
    /// The signal was not sent.
    #[error("send signal {number}")]
    Send {
        /// Its number.
        number: u8,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// A device-mapper name, target type or parameter text is empty, too long, or holds a NUL byte or a slash.
    #[error("device-mapper {field} is not fit for the kernel")]
    MapperText {
        /// Which of them.
        field: &'static str,
    },
    /// A device-mapper command failed.
    #[error("device-mapper {command}")]
    Mapper {
        /// The command.
        command: &'static str,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The filesystem did not grow.
    #[error("resize ext4 to {blocks} blocks")]
    ResizeExt4 {
        /// The size asked for.
        blocks: u64,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The filesystem kept its UUID.
    #[error("set the UUID of ext4")]
    SetUuid(#[source] Errno),
    /// The partition kept its size.
    #[error("resize partition {number}")]
    ResizePartition {
        /// Its number in the table.
        number: i32,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// Frames cannot be heard.
    #[error("packet socket: {operation}")]
    Packet {
        /// The call that failed.
        operation: &'static str,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The watchdog did not obey.
    #[error("watchdog {command}")]
    Watchdog {
        /// The command.
        command: &'static str,
        /// The driver's answer.
        #[source]
        source: Errno,
    },
}

impl Error {
    /// The kernel's answer; `EINVAL` for what was never asked.
    #[must_use]
    pub fn errno(&self) -> Errno {
        match self {
            Self::Clone { source, .. }
            | Self::Unshare { source, .. }
            | Self::Attributes { source, .. }
            | Self::Process { source, .. }
            | Self::Filter { source, .. }
            | Self::LoadProgram { source, .. }
            | Self::Send { source, .. }
            | Self::Mapper { source, .. }
            | Self::ResizeExt4 { source, .. }
            | Self::ResizePartition { source, .. }
            | Self::Packet { source, .. }
            | Self::Watchdog { source, .. }
            | Self::AttachProgram(source)
            | Self::Signals(source)
            | Self::SetUuid(source) => *source,
            Self::MapperText { .. } => Errno::INVAL,
        }
    }
}

/// The calling thread's errno after a failed raw system call.
pub(crate) fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
