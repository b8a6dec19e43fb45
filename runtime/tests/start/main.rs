//! Containers started for real, looked at from inside. Needs root and a cgroup2 mount.

mod harness;
mod limits;
mod refusals;
mod rights;
mod surroundings;
