//! The OCI runtime: what `config.json` asks for, in terms of the starter library.
//!
//! * [`config`]: the file, within bounds, and what in it is not known.
//! * [`seccomp`]: its filter.
//! * [`resources`]: its limits and devices.

pub mod config;
pub mod resources;
pub mod seccomp;
