//! Containers started for real, looked at from inside. Needs root and a cgroup2 mount.

mod cgroups;
mod devices;
mod harness;
mod limits;
mod refusals;
mod rights;
mod surroundings;

use coracle_fence::allocator::Owned;

/// Between clone and exec nothing may take memory: a child that does is gone, and its test fails.
#[global_allocator]
static ALLOCATOR: Owned = Owned::new();
