//! The starter library: how PID 1 starts a container, and what it knows beforehand.
//!
//! * [`bundle`]: a container as the OCI runtime specification describes it.
//! * [`plan`]: the start plan, a bounded and typed description of one process, and its binary form.
//! * [`seccomp`]: a compiler from answers to system calls to classic BPF, and the default container profile.
//! * [`devices`]: a compiler from device rules to eBPF, and the rules of every container.
//! * [`mod@start`]: from a plan to a running process.
//! * [`cgroup`]: the cgroup a container lives in, its limits and its devices.
//! * [`agent`]: a descriptor handed to an agent.
//! * [`exit`]: how a container ended.
//! * [`userns`]: the user namespace, made beforehand.
//!
//! Plan, seccomp and devices are pure: values and bytes in, values and bytes out.

pub mod agent;
pub mod bundle;
pub mod cgroup;
pub mod devices;
mod error;
pub mod exit;
pub mod plan;
pub mod seccomp;
pub mod start;
pub mod userns;

pub use error::Error;
