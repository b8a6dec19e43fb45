//! The answers to a machine that asks what to run.

use coracle_layout::{OsVersion, RootHash};
use serde::{Deserialize, Serialize};

use crate::{
    deny::Denial,
    label::Line,
    manifest::{Files, Release, RootImage, UkiImage},
    system::{Epoch, System},
    time::Time,
};

/// A release to go to, with what brings it there. Comes from `Trusted<Manifest>::choose`, and back from a
/// journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// What it is.
    pub system: System,
    /// Its epoch.
    pub epoch: Epoch,
    /// Its root filesystem.
    pub root: RootImage,
    /// Its UKI.
    pub uki: UkiImage,
    /// What makes it of what runs, if the publisher has that.
    pub delta: Option<Files>,
    /// What makes it of nothing.
    pub full: Files,
}

/// What there is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// Nothing better is offered.
    UpToDate,
    /// Go there.
    Take(Box<Offer>),
    /// Something better is offered and something stands against it.
    Wait {
        /// The version.
        version: OsVersion,
        /// What stands against it.
        obstacle: Obstacle,
    },
    /// The version that is wanted is not offered.
    PinNotOffered(OsVersion),
}

/// What stands against a release, in the order in which it is looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// The publisher has withdrawn it.
    #[error("it was recalled")]
    Recalled,
    /// It is lower than anything that may be installed.
    #[error("it is below the security floor {floor}")]
    BelowFloor {
        /// The lowest version that may.
        floor: OsVersion,
    },
    /// Going back to it was closed.
    #[error("its epoch {} is below {}", epoch.0, least.0)]
    Epoch {
        /// Its epoch.
        epoch: Epoch,
        /// The machine's.
        least: Epoch,
    },
    /// This machine has rejected it.
    #[error("this machine rejected it: {}", .0.reason)]
    Denied(Denial),
    /// It does not fit.
    #[error("it needs a slot of {need} bytes, and there are {have}")]
    SlotTooSmall {
        /// What it needs.
        need: u64,
        /// What the machine has.
        have: u64,
    },
    /// It is lower than what runs, and nobody asked for that.
    #[error("it is lower than the running version")]
    Downgrade,
    /// What runs is too old for it, and no stepping stone leads there.
    #[error("it can be reached from version {min_from} on")]
    TooFar {
        /// The oldest version that may go there.
        min_from: OsVersion,
    },
    /// The configuration has a highest version.
    #[error("it is above the configured maximum {max}")]
    Capped {
        /// That version.
        max: OsVersion,
    },
    /// The operator holds all updates.
    #[error("updates are on hold")]
    Held,
    /// The publisher has paused the channel.
    #[error("the channel is paused")]
    Paused,
    /// Its wave has not reached this machine.
    #[error("its wave reaches this machine at {until}")]
    Wave {
        /// When it does.
        until: Time,
    },
}

/// A manifest that cannot be meant for this machine as it is. Someone must act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is that of another channel, architecture or product.
    #[error("the manifest is for {got}; this machine follows {want}")]
    OtherLine {
        /// What the machine follows.
        want: Box<Line>,
        /// What it got.
        got: Box<Line>,
    },
    /// The running version was published again, with other content. A version is published once: publish a higher one.
    #[error("version {version} was published again with root {got}; this machine runs {want}")]
    Republished {
        /// The version.
        version: OsVersion,
        /// What runs.
        want: RootHash,
        /// What is offered.
        got: RootHash,
    },
}

/// Whether a release that was chosen is still offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Offered,
    /// It is, and nobody should go on to it at the moment.
    Paused,
    /// It was recalled, is not listed any more, has other content now or is below the floor.
    Withdrawn,
}

impl Offer {
    /// What brings `release` to a machine that runs `running`.
    pub(super) fn of(release: &Release, running: System) -> Self {
        let delta = release.deltas.iter().find(|delta| delta.from_root == running.root);
        Self {
            system: release.system(),
            epoch: release.epoch,
            root: release.root,
            uki: release.uki,
            delta: delta.map(|delta| delta.files.clone()),
            full: release.full.clone(),
        }
    }
}
