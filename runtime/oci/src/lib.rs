//! The OCI runtime: what `config.json` asks for, in terms of the starter library, and runc's command line above it.
//!
//! * [`config`]: the file, within bounds, and what in it is not known.
//! * [`lower`]: what it asks for, in terms of the starter library.
//! * [`seccomp`]: its filter.
//! * [`resources`]: its limits and devices.
//! * [`cgroups_path`]: the cgroup that has them.
//! * [`stats`]: what it uses.
//! * [`hooks`]: programs of the host's that it names.
//! * [`cli`], [`commands`]: the command line, and what each command does.
//! * [`state`]: what is known of a container between two commands.
//! * [`namespaces`]: where a container is and this process is not.
//! * [`own_file`]: what of it a container can reach.
//! * [`failure`], [`log`]: how it is told what went wrong.

pub mod cgroups_path;
pub mod cli;
pub mod commands;
pub mod config;
pub mod failure;
pub mod hooks;
pub mod log;
pub mod lower;
pub mod namespaces;
pub mod own_file;
pub mod resources;
pub mod seccomp;
pub mod state;
pub mod stats;
