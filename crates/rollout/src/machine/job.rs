//! What an update is about.

use std::time::Duration;

use coracle_layout::Slot;
use serde::{Deserialize, Serialize};

use super::{
    act::{Undo, Way},
    context::Context,
};
use crate::{
    backoff::{Backoff, LONGEST},
    orders::Urgency,
    select::Offer,
    system::System,
    text,
    time::Time,
};

/// Boots that broke off a delta after which it is given up: once is a power cut, twice may be a block that nobody can read.
const MAX_BROKEN_OFF: u32 = 2;
/// Contents that do not match after which a file is given up.
const MAX_CORRUPT: u32 = 3;

/// One update, from its offer to its reboot. There is at most one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// What is to run.
    pub plan: Plan,
    /// Where it is or comes to be: never the running slot.
    #[serde(with = "SlotName")]
    pub slot: Slot,
    /// What ran when it began.
    pub from: System,
    /// Whether it waits for window and approval.
    pub urgency: Urgency,
    /// Reboots for it after which something else ran.
    pub boots: u32,
    /// New boots that broke off the writing of what changed. Whoever knows nothing of it may pass it over.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub broken_off: u32,
}

/// What is to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Plan {
    /// A release, written to the other slot.
    Install(Box<Offer>),
    /// What is in the other slot, as the operator asks.
    Return(System),
}

/// Which of a release's files are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// Those that change what runs.
    Delta,
    /// Those that need nothing.
    Full,
}

/// A system that runs on trial, or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// The system.
    pub system: System,
    /// Its slot.
    #[serde(with = "SlotName")]
    pub slot: Slot,
    /// How it was started.
    pub way: Way,
    /// The newer system that it takes the place of, as an operator wants, and that boots no more once it is blessed.
    pub back_from: Option<System>,
}

/// Attempts at one act.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// Failures in a row.
    pub failures: u32,
    /// Of these, the ones in which the content did not match.
    pub corrupt: u32,
    /// When to try again; `None`: it is being tried.
    #[serde(with = "text::option")]
    pub until: Option<Time>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Slot")]
enum SlotName {
    A,
    B,
}

impl Job {
    /// What is to run.
    pub fn system(&self) -> System {
        match &self.plan {
            Plan::Install(offer) => offer.system,
            Plan::Return(system) => *system,
        }
    }

    /// The release that is installed, if one is.
    pub fn offer(&self) -> Option<&Offer> {
        match &self.plan {
            Plan::Install(offer) => Some(offer),
            Plan::Return(_) => None,
        }
    }

    /// The files to begin with.
    pub(super) fn form(&self) -> Form {
        let has_delta = self.offer().is_some_and(|offer| offer.delta.is_some());
        if has_delta && self.broken_off < MAX_BROKEN_OFF { Form::Delta } else { Form::Full }
    }

    pub(super) fn way(&self) -> Way {
        if self.offer().is_some() { Way::NewEntry } else { Way::OneShot }
    }

    pub(super) fn undo(&self) -> Undo {
        if self.offer().is_some() { Undo::Entry(self.system().root) } else { Undo::OneShot }
    }

    pub(super) fn trial(&self) -> Trial {
        let (system, way) = (self.system(), self.way());
        let goes_back = way == Way::OneShot || system.version < self.from.version;
        Trial { system, slot: self.slot, way, back_from: goes_back.then_some(self.from) }
    }
}

impl Trial {
    pub(super) fn undo(&self) -> Undo {
        match self.way {
            Way::NewEntry => Undo::Entry(self.system.root),
            Way::OneShot => Undo::OneShot,
        }
    }
}

impl Tries {
    /// One more failure: wait.
    pub(super) fn again(self, backoff: Backoff, asked: Option<Duration>, ctx: &Context<'_>) -> Self {
        let failures = self.failures.saturating_add(1);
        Self { failures, until: Some(ctx.now.after(backoff.wait(failures, asked, ctx.jitter))), ..self }
    }

    /// One more, with content that did not match; `None` when that is enough.
    pub(super) fn corrupt(self, ctx: &Context<'_>) -> Option<Self> {
        let corrupt = self.corrupt + 1;
        (corrupt < MAX_CORRUPT).then(|| Self { corrupt, ..self }.again(Backoff::SERVER, None, ctx))
    }

    /// The end of the wait, if it is not over.
    pub(super) fn ahead(&self, now: Time) -> Option<Time> {
        ahead(self.until, LONGEST, now)
    }

    /// Being tried.
    pub(super) fn now(self) -> Self {
        Self { until: None, ..self }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// The end of a wait that is not over. What is further away than the wait ever is was set by another clock, and is over.
pub(super) fn ahead(until: Option<Time>, longest: Duration, now: Time) -> Option<Time> {
    until.filter(|&until| now < until && until <= now.after(longest))
}
