//! What an operator's verb does.

use super::{
    act::{Aside, Effects},
    context::Context,
    event::{Event, Illegal, Verb},
    job::{Job, Plan, Tries},
    memory::Note,
    state::State,
    step::{enter, is_astray, release, withdraw},
};
use crate::{
    orders::{Hold, Orders, Urgency},
    select,
};

pub(super) fn step(state: State, verb: Verb, ctx: &Context<'_>) -> Result<(State, Effects), Illegal> {
    let orders = ctx.memory.orders;
    match verb {
        Verb::Check => Ok((state, Effects { asides: vec![Aside::Poll], ..Effects::default() })),
        Verb::Hold => Ok(ordered(state, Orders { hold: Hold::On, ..orders }, ctx)),
        Verb::Unhold => Ok(ordered(state, Orders { hold: Hold::Off, ..orders }, ctx)),
        Verb::Pin(pin) => Ok(ordered(state, Orders { pin: Some(pin), ..orders }, ctx)),
        Verb::Unpin => Ok(ordered(state, Orders { pin: None, ..orders }, ctx)),
        Verb::Apply => apply(state, ctx),
        Verb::Rollback => rollback(state, ctx),
        Verb::Retry(version) => match state {
            State::Idle | State::Failed { .. } => {
                let (state, mut effects) = enter(State::Idle, ctx);
                effects.notes.push(Note::Forgiven(version));
                effects.asides.push(Aside::Poll);
                Ok((state, effects))
            }
            state => Err(illegal(state, verb)),
        },
    }
}

/// New orders: what contradicts them and is not too late is undone. The act that follows is that of the new memory.
fn ordered(mut state: State, orders: Orders, ctx: &Context<'_>) -> (State, Effects) {
    if orders.hold == Hold::On {
        // Whatever was hurried before.
        state.plan();
    }
    let memory = super::Memory { orders, ..ctx.memory.clone() };
    let ctx = &Context { memory: &memory, ..*ctx };
    let (state, mut effects) = match state {
        state if is_astray(&state, ctx) => withdraw(state, ctx),
        State::Locking { job, .. } if orders.hold == Hold::On && job.offer().is_some() => {
            release(State::staged(job), ctx)
        }
        state @ (State::Idle | State::Staged { .. }) => enter(state, ctx),
        state => (state, Effects::default()),
    };
    effects.notes.push(Note::Orders(orders));
    (state, effects)
}

fn apply(mut state: State, ctx: &Context<'_>) -> Result<(State, Effects), Illegal> {
    match &mut state {
        // What is offered is taken when it has been read anew.
        State::Idle | State::Failed { .. } => {
            let orders = Orders { urgency: Urgency::Now, ..ctx.memory.orders };
            let (state, mut effects) = ordered(State::Idle, orders, ctx);
            effects.asides.push(Aside::Poll);
            Ok((state, effects))
        }
        State::Preparing { job }
        | State::Writing { job, .. }
        | State::Verifying { job, .. }
        | State::FetchingUki { job, .. }
        | State::Locking { job, .. } => {
            job.urgency = Urgency::Now;
            Ok((state, Effects::default()))
        }
        State::Staged { job, .. } => {
            job.urgency = Urgency::Now;
            Ok(enter(state, ctx))
        }
        _ => Err(illegal(state, Verb::Apply)),
    }
}

/// Back to what the other slot holds, unless something stands against that.
fn rollback(state: State, ctx: &Context<'_>) -> Result<(State, Effects), Illegal> {
    match (state, ctx.other) {
        (state @ (State::Idle | State::Failed { .. }), Some(other)) => {
            if let Some(obstacle) = select::way_back(other, ctx.manifest, &ctx.node()) {
                let obstacle = Some(Box::new(obstacle));
                return Err(Illegal { obstacle, ..illegal(state, Verb::Rollback) });
            }
            let job = Job {
                plan: Plan::Return(other),
                slot: ctx.running.slot.other(),
                from: ctx.running.system,
                urgency: Urgency::Now,
                boots: 0,
                broken_off: 0,
            };
            Ok(enter(State::Locking { job, tries: Tries::default() }, ctx))
        }
        (state, _) => Err(illegal(state, Verb::Rollback)),
    }
}

fn illegal(state: State, verb: Verb) -> Illegal {
    Illegal { state: Box::new(state), event: Event::Operator(verb), obstacle: None }
}
