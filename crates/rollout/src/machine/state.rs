//! Where an update stands.

use serde::{Deserialize, Serialize};

use super::{
    act::{Act, Workloads},
    context::Context,
    decide::decide,
    event::Trouble,
    gate::Gate,
    job::{Form, Job, Trial, Tries, ahead},
};
use crate::{backoff::LONGEST, orders::Urgency, system::System, text, time::Time};

/// Where an update stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// What runs is blessed, and nothing is under way.
    Idle,
    /// Space is checked, the slot's old entry removed, the slot poisoned.
    Preparing {
        /// The update.
        job: Job,
    },
    /// Operations are streamed to the slot.
    Writing {
        /// The update.
        job: Job,
        /// From which files.
        form: Form,
        /// Operations that are on the disk for certain.
        ops: u32,
        /// Attempts since the last of them.
        tries: Tries,
    },
    /// The verity tree is built, and the slot read back through it.
    Verifying {
        /// The update.
        job: Job,
        /// What it was written from.
        form: Form,
    },
    /// The UKI is fetched and verified, under a name that the boot manager ignores.
    FetchingUki {
        /// The update.
        job: Job,
        /// From which file.
        form: Form,
        /// Attempts so far.
        tries: Tries,
    },
    /// All is there, and waits for its gate.
    Staged {
        /// The update.
        job: Job,
        /// Nothing. A system of before does not read a journal without it.
        #[serde(with = "nothing")]
        not_before: (),
    },
    /// The fleet's lock is asked for. From here to `Releasing` it may be held.
    Locking {
        /// The update.
        job: Job,
        /// Attempts so far.
        tries: Tries,
    },
    /// The workloads are asked to end.
    Draining {
        /// The update.
        job: Job,
    },
    /// The entry is made bootable.
    Activating {
        /// The update.
        job: Job,
    },
    /// The machine goes down.
    Rebooting {
        /// The update.
        job: Job,
    },
    /// The new system runs, and its health gates are watched. PID 1 keeps the deadline.
    Probation {
        /// What is on trial.
        trial: Trial,
    },
    /// Its entry is made good.
    Blessing {
        /// What was on trial.
        trial: Trial,
    },
    /// The old system runs again, and its health gates are watched, up to a deadline.
    RolledBack {
        /// What was rejected.
        trial: Trial,
    },
    /// The fleet's lock is given back.
    Releasing {
        /// What comes then: a state without the lock.
        then: Box<State>,
        /// Attempts so far.
        tries: Tries,
    },
    /// What could boot the release is removed.
    Discarding {
        /// The update.
        job: Job,
        /// Why.
        cause: Cause,
        /// Attempts so far.
        tries: Tries,
    },
    /// It did not work out, and is tried again later.
    Failed {
        /// What was to run.
        system: System,
        /// What went wrong.
        trouble: Trouble,
        /// When it is tried again.
        #[serde(with = "text")]
        until: Time,
    },
}

/// Why an update is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// It is not offered or not wanted any more.
    Withdrawn,
    /// Something went wrong.
    Failed(Trouble),
}

impl State {
    /// All is there.
    pub(super) fn staged(job: Job) -> Self {
        Self::Staged { job, not_before: () }
    }

    /// Its name, which the diagram uses.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Idle => "Idle",
            Self::Preparing { .. } => "Preparing",
            Self::Writing { .. } => "Writing",
            Self::Verifying { .. } => "Verifying",
            Self::FetchingUki { .. } => "FetchingUki",
            Self::Staged { .. } => "Staged",
            Self::Locking { .. } => "Locking",
            Self::Draining { .. } => "Draining",
            Self::Activating { .. } => "Activating",
            Self::Rebooting { .. } => "Rebooting",
            Self::Probation { .. } => "Probation",
            Self::Blessing { .. } => "Blessing",
            Self::RolledBack { .. } => "RolledBack",
            Self::Releasing { .. } => "Releasing",
            Self::Discarding { .. } => "Discarding",
            Self::Failed { .. } => "Failed",
        }
    }

    /// The update under way.
    pub fn job(&self) -> Option<&Job> {
        match self {
            Self::Preparing { job }
            | Self::Writing { job, .. }
            | Self::Verifying { job, .. }
            | Self::FetchingUki { job, .. }
            | Self::Staged { job, .. }
            | Self::Locking { job, .. }
            | Self::Draining { job }
            | Self::Activating { job }
            | Self::Rebooting { job }
            | Self::Discarding { job, .. } => Some(job),
            Self::Releasing { then, .. } => then.job(),
            Self::Idle
            | Self::Probation { .. }
            | Self::Blessing { .. }
            | Self::RolledBack { .. }
            | Self::Failed { .. } => None,
        }
    }

    /// The update under way waits for window and approval, and for whoever holds it, as long as it can.
    pub(super) fn plan(&mut self) {
        match self {
            Self::Preparing { job }
            | Self::Writing { job, .. }
            | Self::Verifying { job, .. }
            | Self::FetchingUki { job, .. }
            | Self::Staged { job, .. }
            | Self::Locking { job, .. } => job.urgency = Urgency::Planned,
            Self::Releasing { then, .. } => then.plan(),
            _ => {}
        }
    }

    /// Whether the fleet's lock may be held, be it that the answer to the request was lost.
    pub fn may_hold_lock(&self) -> bool {
        matches!(
            self,
            Self::Locking { .. }
                | Self::Draining { .. }
                | Self::Activating { .. }
                | Self::Rebooting { .. }
                | Self::Probation { .. }
                | Self::Blessing { .. }
                | Self::RolledBack { .. }
                | Self::Releasing { .. }
        )
    }

    /// Whether what runs has yet to prove itself.
    pub fn is_on_trial(&self) -> bool {
        matches!(self, Self::Probation { .. } | Self::Blessing { .. })
    }

    /// What the workloads should be doing in it.
    pub fn workloads(&self) -> Workloads {
        match self {
            Self::Draining { .. } | Self::Activating { .. } | Self::Rebooting { .. } => Workloads::Down,
            _ => Workloads::Up,
        }
    }

    /// What is to be done in it. Done again after a restart, it does no harm.
    pub fn act(&self, ctx: &Context<'_>) -> Act {
        let rest = |tries: &Tries| tries.ahead(ctx.now).map(|until| Act::Rest { until: Some(until) });
        match self {
            Self::Idle => Act::Rest { until: decide(ctx).until(ctx.now) },
            Self::Preparing { job } => Act::Prepare { root: job.system().root },
            Self::Writing { job, form, tries, .. } => {
                rest(tries).unwrap_or(Act::Write { root: job.system().root, form: *form })
            }
            Self::Verifying { job, .. } => Act::Verify { root: job.system().root },
            Self::FetchingUki { job, form, tries } => {
                rest(tries).unwrap_or(Act::FetchUki { root: job.system().root, form: *form })
            }
            Self::Staged { job, .. } => Act::Rest {
                until: match Gate::of(job, ctx) {
                    Gate::Open => Some(ctx.now),
                    Gate::Shut { until, .. } => until,
                },
            },
            Self::Locking { tries, .. } => rest(tries).unwrap_or(Act::TakeLock),
            Self::Draining { .. } => Act::Drain,
            Self::Activating { job } => Act::Activate { root: job.system().root, way: job.way() },
            Self::Rebooting { .. } => Act::Reboot,
            Self::Probation { .. } => Act::Watch,
            Self::Blessing { trial } => Act::Bless { system: trial.system, demote: trial.back_from },
            Self::RolledBack { trial } => Act::Recover(trial.undo()),
            Self::Releasing { tries, .. } => rest(tries).unwrap_or(Act::ReleaseLock),
            Self::Discarding { job, tries, .. } => rest(tries).unwrap_or(Act::Discard(job.undo())),
            Self::Failed { until, .. } => {
                Act::Rest { until: Some(ahead(Some(*until), LONGEST, ctx.now).unwrap_or(ctx.now)) }
            }
        }
    }
}

/// A field that says nothing any more: written as `null`, read whatever it is.
mod nothing {
    use serde::{Deserialize, Deserializer, Serializer, de::IgnoredAny};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
    pub fn serialize<S: Serializer>((): &(), to: S) -> Result<S::Ok, S::Error> {
        to.serialize_none()
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<(), D::Error> {
        IgnoredAny::deserialize(from).map(|_| ())
    }
}
