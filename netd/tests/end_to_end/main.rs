//! `netd` as PID 1 starts it, in network namespaces made for it, with iproute2 as judge.
//!
//! * `leases`: a real server.
//! * `servers`: servers that lie, stall and talk nonsense.
//! * `host`: what happens on the machine itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod host;
mod leases;
mod servers;
mod world;
