//! Waves: when a release is for which machine.
//!
//! A release's ramp says what share of the fleet may have it so long after its start. Each machine draws one place in
//! the queue per version, and its time is where the ramp, straight between its points, reaches that place. So the
//! share that may have it at any time *is* the ramp: nobody waits at the edge of a wave for the rest of it, and the
//! first ones are others at each version.
//!
//! With the place `f` in [0, 1) and the points (t₀, c₀) … (tₙ, cₙ), of which the first is (0, 0) unless the ramp has
//! its own at 0: the time is `start + tᵢ + (tᵢ₊₁ − tᵢ) · (f − cᵢ) / (cᵢ₊₁ − cᵢ)` for the `i` with cᵢ ≤ f < cᵢ₊₁,
//! rounded up to a second. Computed in integers: a float that rounds differently is another answer.

use std::time::Duration;

use coracle_layout::OsVersion;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{text, time::Time};

/// The whole fleet.
pub const ALL: u16 = 1000;

/// When a release is for whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waves {
    /// When the first machine may have it.
    #[serde(with = "text")]
    pub start: Time,
    /// The ramp: strictly later each, never a smaller share, at last all.
    pub points: Vec<Point>,
}

/// So long after the start, such a share may have the release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Point {
    /// Seconds after the start. A point at 0 opens the release to its share at once.
    pub after_seconds: u32,
    /// The share, in thousandths of the fleet.
    pub permille: u16,
}

/// A place in the queue for one version: the share of the fleet in front, in units of 2⁻³².
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seed(pub u32);

/// A machine's name among others: 128 bits derived from its machine identifier for this purpose alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(pub [u8; 16]);

/// How a machine comes to its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Drawn anew for each version.
    Drawn(NodeId),
    /// What the operator says: [`Place::FIRST`], [`Place::LAST`] or anything between.
    Fixed(Seed),
}

impl Place {
    /// Always among the first.
    pub const FIRST: Self = Self::Fixed(Seed(0));
    /// Always the last.
    pub const LAST: Self = Self::Fixed(Seed(u32::MAX));

    /// The place in the queue for `version`.
    pub fn seed(self, version: OsVersion) -> Seed {
        match self {
            Self::Drawn(node) => Seed::drawn(node, version),
            Self::Fixed(seed) => seed,
        }
    }
}

impl Seed {
    /// The first four bytes, big endian, of SHA-256 over `coracle.wave.v1`, the 16 bytes of the node's name and the
    /// version's text.
    pub fn drawn(node: NodeId, version: OsVersion) -> Self {
        let digest = Sha256::new()
            .chain_update(b"coracle.wave.v1")
            .chain_update(node.0)
            .chain_update(version.to_string());
        let [a, b, c, d, ..]: [u8; 32] = digest.finalize().into();
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}

impl Waves {
    /// When the release is for the machine at that place.
    pub fn eligible(&self, seed: Seed) -> Time {
        // Shares in units of 2⁻³² / 1000, in which both a place and a thousandth are whole.
        let place = u128::from(seed.0) * u128::from(ALL);
        let mut before = (0, 0);
        for point in &self.points {
            let here = (u128::from(point.after_seconds), u128::from(point.permille) << 32);
            if place < here.1 {
                let along = (here.0 - before.0) * (place - before.1);
                return self.later(before.0 + along.div_ceil(here.1 - before.1));
            }
            before = here;
        }
        // Not reached: the last share is all, and a place is less than that.
        self.later(before.0)
    }

    fn later(&self, seconds: u128) -> Time {
        self.start.after(Duration::from_secs(u64::try_from(seconds).unwrap_or(u64::MAX)))
    }
}

#[cfg(test)]
mod tests;
