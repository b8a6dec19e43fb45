//! What the tests of the machine share.

mod model;
mod resuming;
mod steps;
mod table;
mod world;

use std::time::Duration;

use coracle_layout::Slot;

use super::*;
use crate::{
    Manifest, Trusted,
    backoff::Jitter,
    fixture,
    select::{Choice, Offer},
    system::{Epoch, System},
    time::Time,
    waves::Place,
    window::Schedule,
};

fn now() -> Time {
    "2027-01-01T00:00:00Z".parse().unwrap()
}

fn config() -> Config {
    Config {
        line: fixture::manifest(&[]).line(),
        place: Place::FIRST,
        max: None,
        schedule: Schedule::default(),
        approval: Approval::Automatic,
        slot_bytes: 512 << 20,
        min_between: Duration::from_secs(600),
    }
}

fn running(version: &str) -> Running {
    Running { slot: Slot::A, system: fixture::system(version), epoch: Epoch(3) }
}

fn trusted(versions: &[&str]) -> Trusted<Manifest> {
    Trusted::vouched(fixture::manifest(versions))
}

/// The owned parts of a context.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) config: Config,
    pub(super) memory: Memory,
    pub(super) running: Running,
    other: Option<System>,
    pub(super) manifest: Option<Trusted<Manifest>>,
    pub(super) now: Time,
    pub(super) certainty: Certainty,
}

impl Setting {
    /// A machine on 1.0.0 that is offered 1.1.0.
    pub(super) fn plain() -> Self {
        Self {
            config: config(),
            memory: Memory::default(),
            running: running("1.0.0"),
            other: Some(fixture::system("0.9.0")),
            manifest: Some(trusted(&["1.0.0", "1.1.0"])),
            now: now(),
            certainty: Certainty::Sure,
        }
    }

    pub(super) fn ctx(&self) -> Context<'_> {
        Context {
            now: self.now,
            certainty: self.certainty,
            jitter: Jitter(1 << 31),
            config: &self.config,
            memory: &self.memory,
            running: self.running,
            other: self.other,
            manifest: self.manifest.as_ref(),
        }
    }

    fn offer(&self) -> Offer {
        match self.manifest.as_ref().unwrap().choose(&self.ctx().node()) {
            Ok(Choice::Take(offer)) => *offer,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn install(&self) -> Job {
        Job {
            plan: Plan::Install(Box::new(self.offer())),
            slot: self.running.slot.other(),
            from: self.running.system,
            urgency: crate::orders::Urgency::Planned,
            boots: 0,
            broken_off: 0,
        }
    }

    fn going_back(&self) -> Job {
        Job { plan: Plan::Return(fixture::system("0.9.0")), ..self.install() }
    }
}
