//! What an operator may order.

use coracle_layout::OsVersion;
use serde::{Deserialize, Serialize};

use crate::text;

/// What an operator has ordered, until the opposite is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// Whether releases may be taken.
    pub hold: Hold,
    /// The version to go to and to stay at.
    pub pin: Option<Pin>,
    /// Whether the next step waits for its wave, window and approval.
    pub urgency: Urgency,
}

impl Orders {
    /// Whether they may lead from what runs to that version: up, and no further than the pinned one, to which it may be a step; down
    /// to the pinned one alone.
    pub fn lead(&self, running: OsVersion, to: OsVersion) -> bool {
        match self.pin {
            None => to > running,
            Some(pin) if to < running => to == pin.version && pin.downgrade == Downgrade::Allow,
            Some(pin) => to <= pin.version,
        }
    }
}

/// Whether releases may be taken.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Hold {
    /// They may.
    #[default]
    Off,
    /// They may not.
    On,
}

/// Whether a step waits for its wave, window and approval.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Urgency {
    /// It does.
    #[default]
    Planned,
    /// The operator wants it now.
    Now,
}

/// The one version that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The version.
    #[serde(with = "text")]
    pub version: OsVersion,
    /// Whether it may be lower than what runs.
    pub downgrade: Downgrade,
}

/// Whether a lower version may follow a higher.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Downgrade {
    /// Never.
    Refuse,
    /// As the operator asks, down to the security floor and within the epoch.
    Allow,
}
