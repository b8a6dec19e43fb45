//! What a staged update waits for: all of it together.

use super::{
    context::{Approval, Certainty, Context},
    job::Job,
};
use crate::{
    orders::{Hold, Urgency},
    select::Standing,
    time::Time,
};

/// Whether a staged update may go on to its reboot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// It may ask for the fleet's lock.
    Open,
    /// Not now.
    Shut {
        /// What it waits for.
        reason: Reason,
        /// Until when, where that is known.
        until: Option<Time>,
    },
}

/// What a staged update waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Nobody knows whether it is still offered.
    #[error("an answer from the repository")]
    Manifest,
    /// It is not offered any more.
    #[error("its removal")]
    Withdrawn,
    /// The publisher has paused the channel.
    #[error("the channel, which is paused")]
    Paused,
    /// The operator holds all updates.
    #[error("the operator, who holds all updates")]
    Held,
    /// The operator decides.
    #[error("the operator's approval")]
    Approval,
    /// The wave that reaches this machine.
    #[error("its wave")]
    Wave,
    /// A time by which windows and blackouts can be kept.
    #[error("the time, which no time server has told yet")]
    Time,
    /// The next maintenance window.
    #[error("a maintenance window")]
    Window,
}

impl Gate {
    /// The gate of `job`.
    pub fn of(job: &Job, ctx: &Context<'_>) -> Self {
        let shut = |reason, until| Self::Shut { reason, until };
        if job.offer().is_none() {
            return Self::Open;
        }
        let Some(manifest) = ctx.manifest else {
            return shut(Reason::Manifest, None);
        };
        match manifest.standing(job.system(), ctx.memory.security_floor) {
            Standing::Withdrawn => return shut(Reason::Withdrawn, None),
            Standing::Paused => return shut(Reason::Paused, None),
            Standing::Offered => {}
        }
        if job.urgency == Urgency::Now {
            return Self::Open;
        }
        if ctx.memory.orders.hold == Hold::On {
            return shut(Reason::Held, None);
        }
        if ctx.config.approval == Approval::Manual {
            return shut(Reason::Approval, None);
        }
        // The publisher may have made the ramp flatter meanwhile.
        let wave = manifest.eligible(job.system(), ctx.config.place);
        if let Some(until) = wave.filter(|&until| ctx.now < until) {
            return shut(Reason::Wave, Some(until));
        }
        let schedule = &ctx.config.schedule;
        if ctx.certainty == Certainty::Unsure && !schedule.is_always_open() {
            return shut(Reason::Time, None);
        }
        match schedule.next_open(ctx.now) {
            Some(open) if open <= ctx.now => Self::Open,
            until => shut(Reason::Window, until),
        }
    }
}
