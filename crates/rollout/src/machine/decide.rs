//! What to do with nothing under way.

use super::{
    context::Context,
    job::{Job, Plan, ahead},
};
use crate::{
    orders::Urgency,
    select::{Choice, Obstacle},
    time::Time,
};

/// What to do with nothing under way.
pub(super) enum Decision {
    Start(Box<Job>),
    Stay(Option<Time>),
}

impl Decision {
    /// When to decide again.
    pub(super) fn until(&self, now: Time) -> Option<Time> {
        match self {
            Self::Start(_) => Some(now),
            Self::Stay(until) => *until,
        }
    }
}

pub(super) fn decide(ctx: &Context<'_>) -> Decision {
    let Some(Ok(choice)) = ctx.manifest.map(|manifest| manifest.choose(&ctx.node())) else {
        return Decision::Stay(None);
    };
    let urgency = ctx.memory.orders.urgency;
    match choice {
        Choice::Wait { obstacle: Obstacle::Wave { until }, .. } => Decision::Stay(Some(until)),
        Choice::Wait { .. } | Choice::UpToDate | Choice::PinNotOffered(_) => Decision::Stay(None),
        Choice::Take(offer) => {
            let span = ctx.config.min_between;
            let next = ctx.memory.last_start.map(|last| last.after(span));
            match ahead(next, span, ctx.now).filter(|_| urgency == Urgency::Planned) {
                Some(until) => Decision::Stay(Some(until)),
                None => Decision::Start(Box::new(Job {
                    plan: Plan::Install(offer),
                    slot: ctx.running.slot.other(),
                    from: ctx.running.system,
                    urgency,
                    boots: 0,
                    broken_off: 0,
                })),
            }
        }
    }
}
