//! What happens to an update.

use std::time::Duration;

use coracle_layout::{OsVersion, RootHash};
use serde::{Deserialize, Serialize};

use super::state::State;
use crate::{digest::Digest, orders::Pin, select::Obstacle};

/// What happens to an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The time asked for by [`Act::Rest`](super::Act::Rest) has come, or a little later; or the clock was set back to
    /// before it was asked for.
    Due,
    /// The context has a manifest that was read just now.
    Refreshed,
    /// The slot is ready to be written.
    Prepared,
    /// So many operations are on the disk.
    Checkpoint(u32),
    /// All of them are.
    Written,
    /// The slot was read back, and this is its root hash.
    Verified(RootHash),
    /// The UKI is there, and this is its digest.
    Fetched(Digest),
    /// The lock is held.
    LockTaken,
    /// It is not, or nobody knows.
    LockRefused {
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// No workload runs any more.
    Drained,
    /// The entry will boot.
    Activated,
    /// The health gates held for as long as they must.
    Healthy,
    /// They did not for as long as a boot may take to prove itself.
    Unhealthy,
    /// The running entry is good.
    Blessed,
    /// The lock is not held, whoever holds it now.
    LockReleased,
    /// Nothing boots the release any more.
    Discarded,
    /// The act did not work out.
    Trouble(Trouble),
    /// The operator wants something.
    Operator(Verb),
}

/// Why an act did not work out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Trouble {
    /// No answer, one that came too slowly, or one that says to come later.
    #[error("the server does not answer")]
    Unreachable {
        /// When the server wants to be asked again.
        retry_after: Option<Duration>,
    },
    /// The server does not have the file.
    #[error("the server does not have the file")]
    Missing,
    /// The file's content is not what the manifest says.
    #[error("the file's content is not what the manifest says")]
    Corrupt,
    /// The slot that a delta starts from is not what the delta expects.
    #[error("the running slot is not what the delta starts from")]
    SourceDiffers,
    /// What was written is not what was to be written.
    #[error("the slot's content is not what was written")]
    Mismatch,
    /// The slot is smaller than the release.
    #[error("the slot is too small")]
    SlotTooSmall,
    /// The state partition has no room for it.
    #[error("the state partition is full")]
    StateFull,
    /// The UKI does not fit.
    #[error("the EFI system partition is full")]
    EspFull,
    /// The UKI is not signed for this machine, or names another root.
    #[error("the kernel image is not signed for this machine")]
    Signature,
    /// The disk does not do what it is told.
    #[error("the disk reports an error")]
    Io,
    /// The machine was rebooted for it, and it was not started.
    #[error("the boot manager did not start it")]
    NotBooted,
}

/// What an operator may want.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// Look for news now.
    Check,
    /// Take what is offered without waiting for wave, window and approval.
    Apply,
    /// Take nothing and do not reboot for an update.
    Hold,
    /// The opposite.
    Unhold,
    /// Go to that version and stay.
    Pin(Pin),
    /// The opposite.
    Unpin,
    /// Boot what is in the other slot.
    Rollback,
    /// Forget the failures, and the rejection of that version, or of all.
    Retry(Option<OsVersion>),
}

/// An event that does not fit its state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} {}", event.name(), self.why())]
pub struct Illegal {
    /// The state, unchanged.
    pub state: Box<State>,
    /// The event.
    pub event: Event,
    /// What stands against the system that the operator wants, if it is that.
    pub obstacle: Option<Box<Obstacle>>,
}

impl Illegal {
    fn why(&self) -> String {
        match &self.obstacle {
            Some(obstacle) => format!("is refused: {obstacle}"),
            None => format!("cannot follow in state {}", self.state.name()),
        }
    }
}

impl Event {
    /// Its name, which the diagram uses.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Due => "Due",
            Self::Refreshed => "Refreshed",
            Self::Prepared => "Prepared",
            Self::Checkpoint(_) => "Checkpoint",
            Self::Written => "Written",
            Self::Verified(_) => "Verified",
            Self::Fetched(_) => "Fetched",
            Self::LockTaken => "LockTaken",
            Self::LockRefused { .. } => "LockRefused",
            Self::Drained => "Drained",
            Self::Activated => "Activated",
            Self::Healthy => "Healthy",
            Self::Unhealthy => "Unhealthy",
            Self::Blessed => "Blessed",
            Self::LockReleased => "LockReleased",
            Self::Discarded => "Discarded",
            Self::Trouble(_) => "Trouble",
            Self::Operator(verb) => match verb {
                Verb::Check => "check",
                Verb::Apply => "apply",
                Verb::Hold | Verb::Unhold => "hold",
                Verb::Pin(_) | Verb::Unpin => "pin",
                Verb::Rollback => "rollback",
                Verb::Retry(_) => "retry",
            },
        }
    }
}
