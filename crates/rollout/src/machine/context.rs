//! What a step looks at.

use std::time::Duration;

use coracle_layout::{OsVersion, Slot};
use serde::{Deserialize, Serialize};

use super::memory::Memory;
use crate::{
    backoff::Jitter,
    label::Line,
    manifest::Manifest,
    select::Node,
    system::{Epoch, System},
    time::Time,
    trusted::Trusted,
    waves::Place,
    window::Schedule,
};

/// What a step looks at.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The time; the last time that was certain, where the clock is not.
    pub now: Time,
    /// Whether it is certain.
    pub certainty: Certainty,
    /// A random number, another one for each step.
    pub jitter: Jitter,
    /// How the machine is configured.
    pub config: &'a Config,
    /// What it remembers.
    pub memory: &'a Memory,
    /// What it runs.
    pub running: Running,
    /// What is in the other slot and could be booted, if anything.
    pub other: Option<System>,
    /// The last manifest that was read since the agent started.
    pub manifest: Option<&'a Trusted<Manifest>>,
}

/// What runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Running {
    /// The slot.
    pub slot: Slot,
    /// The system.
    pub system: System,
    /// Its epoch, which is part of it.
    pub epoch: Epoch,
}

/// How the machine is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The line of releases that it follows.
    pub line: Line,
    /// Its place in the waves.
    pub place: Place,
    /// The highest version that it may have.
    pub max: Option<OsVersion>,
    /// When it may reboot.
    pub schedule: Schedule,
    /// Who decides that it does.
    pub approval: Approval,
    /// The size of a root slot.
    pub slot_bytes: u64,
    /// The least time from the beginning of one update to that of the next.
    pub min_between: Duration,
}

/// Whether the time is what it is taken for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// A time server has told it since the boot; or none is to be asked, and the machine's own clock is what there is.
    Sure,
    /// It is later than that: no time server has answered yet.
    Unsure,
}

/// Who decides that a machine reboots for an update.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Approval {
    /// Its schedule.
    #[default]
    Automatic,
    /// An operator, each time.
    Manual,
}

impl<'a> Context<'a> {
    pub(super) fn node(&self) -> Node<'a> {
        Node {
            line: &self.config.line,
            running: self.running.system,
            epoch: self.memory.epoch.max(self.running.epoch),
            security_floor: self.memory.security_floor,
            slot_bytes: self.config.slot_bytes,
            place: self.config.place,
            max: self.config.max,
            orders: &self.memory.orders,
            deny: &self.memory.deny,
            now: self.now,
        }
    }
}
