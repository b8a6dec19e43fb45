//! Everything that can be wrong with a plan or a seccomp policy, and what keeps PID 1 from starting a container.

use rustix::io::Errno;

/// Why a value, an encoded plan or a policy was refused, or a container not started.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A field holds a value outside its range or alphabet.
    #[error("plan field {field} is out of range: {want}")]
    Range {
        /// The field or type refused.
        field: &'static str,
        /// What it may hold.
        want: &'static str,
    },
    /// The user, a group or a supplementary group is not mapped in the plan's own user namespace.
    #[error("plan id {id} is outside its user namespace of {size} ids")]
    IdUnmapped {
        /// The id inside the namespace.
        id: u32,
        /// How many ids the namespace maps.
        size: u32,
    },
    /// The encoded plan ends before a field does.
    #[error("encoded plan ends at byte {at} inside a field")]
    Truncated {
        /// Where the body ended, counted from the start of the body.
        at: usize,
    },
    /// The encoded plan goes on after its last field.
    #[error("encoded plan has {extra} bytes after its last field")]
    Trailing {
        /// How many bytes.
        extra: usize,
    },
    /// The first bytes are not those of a plan.
    #[error("encoded plan does not begin with its magic")]
    Magic,
    /// The plan was written in another version of the form.
    #[error("encoded plan has version {got}, this library reads {want}")]
    Version {
        /// The version found.
        got: u16,
        /// The version read here.
        want: u16,
    },
    /// The body does not match its checksum.
    #[error("encoded plan has checksum {got:#010x}, its header says {want:#010x}")]
    Checksum {
        /// Computed over the body.
        got: u32,
        /// Written in the header.
        want: u32,
    },
    /// The encoded form would be, or is, longer than allowed.
    #[error("encoded plan of {len} bytes exceeds the limit of {limit}")]
    PlanTooLong {
        /// Its length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// A list or string has too many elements.
    #[error("plan list of {len} elements exceeds the limit of {limit}")]
    ListTooLong {
        /// Its length.
        len: usize,
        /// The limit.
        limit: usize,
    },
    /// An enumeration's tag byte is unknown.
    #[error("plan enumeration {kind} has no variant {tag}")]
    Tag {
        /// The enumeration.
        kind: &'static str,
        /// The tag found.
        tag: u8,
    },
    /// A string holds a NUL byte.
    #[error("plan string holds a NUL byte")]
    Nul,
    /// A text is not UTF-8.
    #[error("plan text is not UTF-8")]
    NotUtf8,
    /// A condition names an argument that system calls do not have.
    #[error("seccomp condition names argument {index}, system calls have 0 to 5")]
    ArgIndex {
        /// The index refused.
        index: u8,
    },
    /// The conditions of one system call need a jump longer than classic BPF has.
    #[error("seccomp conditions of system call {nr} are too long for one jump")]
    ConditionsTooLong {
        /// The system call.
        nr: u32,
    },
    /// The program is longer than the kernel takes.
    #[error("filter program of {len} instructions exceeds the limit of {limit}")]
    ProgramTooLong {
        /// Its length.
        len: usize,
        /// The kernel's limit.
        limit: usize,
    },
    /// The child was not made.
    #[error("make a child")]
    Clone(#[source] coracle_fence::Error),
    /// The user namespace was not made.
    #[error("user namespace: {step}")]
    UserNamespace {
        /// The file or operation.
        step: &'static str,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The pipe through which a child reports was not made or not read.
    #[error("report of a starting container: {step}")]
    Report {
        /// The operation.
        step: &'static str,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// The bytes in the pipe are no report.
    #[error("report of a starting container names stage {stage} and has {len} bytes")]
    Garbled {
        /// The stage's number.
        stage: u8,
        /// How many bytes were read.
        len: usize,
    },
    /// The cgroup has no device filter; a kernel without the facility is one reason.
    #[error("device filter of a cgroup")]
    Devices(#[source] coracle_fence::Error),
    /// A cgroup did not obey.
    #[error("cgroup: {file}")]
    Cgroup {
        /// The file or operation.
        file: String,
        /// The kernel's answer.
        #[source]
        source: Errno,
    },
    /// A cgroup's path names none, or leads elsewhere than down.
    #[error("cgroup path {path:?} is not 1 to 64 names of at most 255 bytes other than . and ..")]
    CgroupPath {
        /// The path.
        path: String,
    },
    /// A cgroup that should be new is there already, and not empty.
    #[error("the cgroup exists and {how}")]
    CgroupInUse {
        /// What is wrong with it.
        how: &'static str,
    },
    /// A controller is not there, or belongs to cgroup v1, or was not handed down from above.
    #[error("the cgroup controller {controller} is not available")]
    NoController {
        /// Its name.
        controller: String,
    },
    /// A process was not told a signal.
    #[error("signal a cgroup")]
    Signal(#[source] coracle_fence::Error),
}
