//! The starter library: how PID 1 starts a container, and what it knows beforehand.
//!
//! * [`plan`]: the start plan, a bounded and typed description of one process, and its binary form.
//! * [`seccomp`]: a compiler from allow-lists to classic BPF, and the default container profile.
//! * [`mod@start`]: from a plan to a running process.
//! * [`cgroup`]: the cgroup a container lives in, and its limits.
//! * [`exit`]: how a container ended.
//! * [`userns`]: the user namespace, made beforehand.
//!
//! The first two are pure: values and bytes in, values and bytes out.

pub mod cgroup;
mod error;
pub mod exit;
pub mod plan;
pub mod seccomp;
pub mod start;
pub mod userns;

pub use error::Error;
