//! Containers made by the command line and looked at from inside and outside. Needs root, a cgroup2 mount and busybox.

mod escapes;
mod filters;
mod harness;
mod hooks;
mod joining;
mod kills;
mod lifecycle;
mod mounts;
mod refusals;
mod rights;
mod terminal;
mod users;
