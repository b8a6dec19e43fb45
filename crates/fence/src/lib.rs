//! The only unsafe code of Coracle: one module per kernel facility that rustix and nix lack.
//!
//! * [`clone`]: a child with its own namespaces, in its cgroup, with a pidfd.
//! * [`mounts`]: mount attributes, id-mapped mounts among them.
//! * [`filter`]: installing a seccomp program.
//! * [`bpf`]: the device filter of a cgroup.
//! * `names`, for programs with a resolver of their own: the C library does not look names up.
//! * `lean`, for static programs: what the C library brings along for messages alone is left out.
//! * [`signals`]: every signal as a fresh program expects it, and any of them sent.
//! * [`exec`]: the last steps of a child, to another program.
//! * [`process`]: what a process hands on to its children.
//! * [`mapper`]: device-mapper: create, load, resume.
//! * [`ext4`]: growing a mounted filesystem and giving it a UUID.
//! * [`partition`]: telling the kernel that a partition grew.
//! * [`packet`]: whole frames of one network interface.
//! * `allocator`, for tests: the heap belongs to one process.
//! * [`watchdog`]: the hardware timer that restarts a machine that hangs.

#[cfg(feature = "test-allocator")]
pub mod allocator;
pub mod bpf;
pub mod clone;
mod error;
pub mod exec;
pub mod ext4;
pub mod filter;
#[cfg(feature = "lean")]
pub mod lean;
pub mod mapper;
pub mod mounts;
#[cfg(feature = "no-names")]
pub mod names;
pub mod packet;
pub mod partition;
pub mod process;
pub mod signals;
pub mod watchdog;

#[cfg(test)]
mod headers;

pub use error::Error;
