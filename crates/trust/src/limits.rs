//! How much a server may cost.

use std::time::Duration;

/// The bounds of one refresh. A repository of ours stays far below: its metadata takes some hundred kilobytes at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest root, timestamp or snapshot, in bytes.
    pub small: u64,
    /// The longest list of targets, in bytes.
    pub targets: u64,
    /// The most new roots in one refresh; the next goes on from there.
    pub roots: u64,
    /// The longest time that all the metadata may take.
    pub time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { small: 64 << 10, targets: 1 << 20, roots: 256, time: Duration::from_secs(60) }
    }
}
