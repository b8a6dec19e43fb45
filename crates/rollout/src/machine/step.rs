//! One step.

use super::{
    act::{Act, Effects, Way},
    context::Context,
    decide::{Decision, decide},
    event::{Event, Illegal, Trouble},
    gate::Gate,
    job::{Form, Job, Tries, ahead},
    memory::Note,
    state::{Cause, State},
    verb,
};
use crate::{
    backoff::{Backoff, LONGEST},
    deny::{Class, Denial},
    orders::{Orders, Urgency},
    select::Standing,
};

/// From one failed update to the next attempt at it.
const AFTER_FAILURE: Backoff = Backoff { first: std::time::Duration::from_secs(600), most: LONGEST };

/// Takes an event.
pub fn step(state: State, event: Event, ctx: &Context<'_>) -> Result<(State, Effects), Illegal> {
    use State::*;
    Ok(match (state, event) {
        (state, Event::Operator(verb)) => return verb::step(state, verb, ctx),
        (state, Event::Refreshed) => refreshed(state, ctx),

        (Idle, Event::Due) => start(ctx),
        (Failed { until, .. }, Event::Due) if ahead(Some(until), LONGEST, ctx.now).is_none() => {
            enter(Idle, ctx)
        }
        (state @ Failed { .. }, Event::Due) => enter(state, ctx),

        (Preparing { job }, Event::Prepared) => {
            let form = job.form();
            enter(Writing { job, form, ops: 0, tries: Tries::default() }, ctx)
        }
        (Preparing { job }, Event::Trouble(trouble)) => fail(&job, trouble, ctx),

        (Writing { job, form, ops, .. }, Event::Checkpoint(done)) if done >= ops => {
            (Writing { job, form, ops: done, tries: Tries::default() }, Effects::default())
        }
        (Writing { job, form, .. }, Event::Written) => enter(Verifying { job, form }, ctx),
        (Writing { job, form, ops, tries }, Event::Due) if tries.until.is_some() => {
            enter(Writing { job, form, ops, tries: due(tries, ctx) }, ctx)
        }
        (Writing { job, form, ops, tries }, Event::Trouble(trouble)) => {
            match (again(tries, trouble, ctx), form) {
                (Some(tries), _) => enter(Writing { job, form, ops, tries }, ctx),
                (None, Form::Delta) => write_full(job, ctx),
                (None, Form::Full) => fail(&job, trouble, ctx),
            }
        }

        (Verifying { job, .. }, Event::Verified(root)) if root == job.system().root => {
            let form = job.form();
            enter(FetchingUki { job, form, tries: Tries::default() }, ctx)
        }
        (Verifying { job, form: Form::Delta }, Event::Verified(_) | Event::Trouble(_)) => {
            write_full(job, ctx)
        }
        (Verifying { job, .. }, Event::Verified(_)) => fail(&job, Trouble::Mismatch, ctx),
        (Verifying { job, .. }, Event::Trouble(trouble)) => fail(&job, trouble, ctx),

        (FetchingUki { job, .. }, Event::Fetched(digest))
            if job.offer().is_some_and(|offer| offer.uki.sha256 == digest) =>
        {
            enter(State::staged(job), ctx)
        }
        (FetchingUki { job, form, tries }, Event::Due) if tries.until.is_some() => {
            enter(FetchingUki { job, form, tries: due(tries, ctx) }, ctx)
        }
        (FetchingUki { job, form, tries }, event @ (Event::Fetched(_) | Event::Trouble(_))) => {
            let trouble = if let Event::Trouble(trouble) = event { trouble } else { Trouble::Corrupt };
            match (again(tries, trouble, ctx), form) {
                (Some(tries), _) => enter(FetchingUki { job, form, tries }, ctx),
                (None, Form::Delta) => {
                    enter(FetchingUki { job, form: Form::Full, tries: Tries::default() }, ctx)
                }
                (None, Form::Full) => fail(&job, trouble, ctx),
            }
        }

        (Staged { job, .. }, Event::Due) => match Gate::of(&job, ctx) {
            Gate::Open => enter(Locking { job, tries: Tries::default() }, ctx),
            Gate::Shut { .. } => enter(State::staged(job), ctx),
        },

        (Locking { job, .. }, Event::LockTaken) => match Gate::of(&job, ctx) {
            Gate::Open => enter(Draining { job }, ctx),
            Gate::Shut { .. } => release(State::staged(job), ctx),
        },
        (Locking { job, tries }, Event::LockRefused { retry_after }) => {
            enter(Locking { job, tries: tries.again(Backoff::LOCK, retry_after, ctx) }, ctx)
        }
        (Locking { job, tries }, Event::Due) if tries.until.is_some() => match Gate::of(&job, ctx) {
            Gate::Open => enter(Locking { job, tries: due(tries, ctx) }, ctx),
            Gate::Shut { .. } => release(State::staged(job), ctx),
        },

        (Draining { job }, Event::Drained) => enter(Activating { job }, ctx),
        (Activating { job }, Event::Activated) => enter(Rebooting { job }, ctx),
        (Activating { job }, Event::Trouble(trouble)) => release(discard(job, Cause::Failed(trouble)), ctx),

        (Probation { trial }, Event::Healthy) => enter(Blessing { trial }, ctx),
        (Blessing { trial }, Event::Trouble(_)) => enter(Probation { trial }, ctx),
        (Blessing { trial }, Event::Blessed) => {
            let (state, mut effects) = release(Idle, ctx);
            effects.notes.push(Note::Confirmed(trial.system, ctx.running.epoch));
            if let (Way::OneShot, Some(system)) = (trial.way, trial.back_from) {
                // So that it stays where the operator brought it.
                let reason = format!("the operator went back to {}", trial.system.version);
                let denial = Denial { system, class: Class::Operator, reason, at: ctx.now };
                effects.notes.push(Note::Denied(denial));
            }
            (state, effects)
        }
        (RolledBack { .. }, event @ (Event::Healthy | Event::Unhealthy)) => {
            // Where it is not well the next release may mend it, and others may be waiting for the lock.
            let unwell = (event == Event::Unhealthy).then_some(ctx.now);
            let (state, mut effects) = release(Idle, ctx);
            effects.notes.push(Note::Unwell(unwell));
            (state, effects)
        }

        (Releasing { then, .. }, Event::LockReleased) => enter(*then, ctx),
        (Releasing { then, tries }, Event::Trouble(trouble)) => {
            let asked = if let Trouble::Unreachable { retry_after } = trouble { retry_after } else { None };
            enter(Releasing { then, tries: tries.again(Backoff::LOCK, asked, ctx) }, ctx)
        }
        (Releasing { then, tries }, Event::Due) if tries.until.is_some() => {
            enter(Releasing { then, tries: due(tries, ctx) }, ctx)
        }

        (Discarding { job, cause: Cause::Failed(trouble), .. }, Event::Discarded) => fail(&job, trouble, ctx),
        (Discarding { cause: Cause::Withdrawn, .. }, Event::Discarded) => enter(Idle, ctx),
        (Discarding { job, cause, tries }, Event::Trouble(_)) => {
            enter(Discarding { job, cause, tries: tries.again(Backoff::SERVER, None, ctx) }, ctx)
        }
        (Discarding { job, cause, tries }, Event::Due) if tries.until.is_some() => {
            enter(Discarding { job, cause, tries: due(tries, ctx) }, ctx)
        }

        (state, event) => return Err(Illegal { state: Box::new(state), event, obstacle: None }),
    })
}

/// A state, and its act.
pub(super) fn enter(state: State, ctx: &Context<'_>) -> (State, Effects) {
    let act = Some(state.act(ctx));
    (state, Effects { act, ..Effects::default() })
}

/// The lock is given back, whether it was taken or the answer was lost; then `then`.
pub(super) fn release(then: State, ctx: &Context<'_>) -> (State, Effects) {
    enter(State::Releasing { then: Box::new(then), tries: Tries::default() }, ctx)
}

/// Whether the orders do not lead to the release that is under way, or not any more.
pub(super) fn is_astray(state: &State, ctx: &Context<'_>) -> bool {
    let offer = state.job().and_then(Job::offer);
    offer.is_some_and(|offer| !ctx.memory.orders.lead(ctx.running.system.version, offer.system.version))
}

/// The update is not wanted any more.
pub(super) fn withdraw(state: State, ctx: &Context<'_>) -> (State, Effects) {
    match state {
        // Nothing that could boot it is there yet.
        State::Preparing { .. } | State::Writing { .. } | State::Verifying { .. } => enter(State::Idle, ctx),
        State::FetchingUki { job, .. } | State::Staged { job, .. } => {
            enter(discard(job, Cause::Withdrawn), ctx)
        }
        State::Locking { job, .. } | State::Draining { job } => release(discard(job, Cause::Withdrawn), ctx),
        // The lock first, and not twice.
        State::Releasing { then, tries } => {
            let then = match *then {
                State::Staged { job, .. } | State::FetchingUki { job, .. } => discard(job, Cause::Withdrawn),
                then => then,
            };
            (State::Releasing { then: Box::new(then), tries }, Effects::default())
        }
        // Too late, or there is none.
        state => (state, Effects::default()),
    }
}

fn start(ctx: &Context<'_>) -> (State, Effects) {
    match decide(ctx) {
        Decision::Start(job) => {
            let (state, mut effects) = enter(State::Preparing { job: *job }, ctx);
            effects.notes.push(Note::Started(ctx.now));
            effects.notes.extend(unhurried(ctx));
            (state, effects)
        }
        Decision::Stay(until) => {
            (State::Idle, Effects { act: Some(Act::Rest { until }), ..Effects::default() })
        }
    }
}

/// The operator's hurry is over: it holds for one step.
fn unhurried(ctx: &Context<'_>) -> Option<Note> {
    let orders = ctx.memory.orders;
    (orders.urgency == Urgency::Now).then_some(Note::Orders(Orders { urgency: Urgency::Planned, ..orders }))
}

/// A manifest was read: what is under way may not be offered any more, what is not may be.
fn refreshed(state: State, ctx: &Context<'_>) -> (State, Effects) {
    let standing = |job: &Job| match (ctx.manifest, job.offer()) {
        (Some(manifest), Some(offer)) => manifest.standing(offer.system, ctx.memory.security_floor),
        _ => Standing::Offered,
    };
    let withdrawn = state.job().is_some_and(|job| standing(job) == Standing::Withdrawn);
    let unwanted = withdrawn || is_astray(&state, ctx);
    let (state, mut effects) = match state {
        State::Idle => {
            let (state, mut effects) = start(ctx);
            if state == State::Idle {
                effects.notes.extend(unhurried(ctx));
            }
            (state, effects)
        }
        // Another release need not wait until this one is tried again.
        State::Failed { system, trouble, until } => match decide(ctx) {
            Decision::Start(job) if job.system() != system => enter(State::Idle, ctx),
            _ => (State::Failed { system, trouble, until }, Effects::default()),
        },
        state if unwanted => withdraw(state, ctx),
        state @ State::Staged { .. } => enter(state, ctx),
        state => (state, Effects::default()),
    };
    if let Some(manifest) = ctx.manifest {
        let floor = Some(manifest.security_floor);
        if floor > ctx.memory.security_floor {
            effects.notes.extend(floor.map(Note::Floor));
        }
    }
    (state, effects)
}

/// The next attempt after `trouble`, if another one at the same files makes sense.
fn again(tries: Tries, trouble: Trouble, ctx: &Context<'_>) -> Option<Tries> {
    match trouble {
        Trouble::Unreachable { retry_after } => Some(tries.again(Backoff::SERVER, retry_after, ctx)),
        Trouble::Corrupt => tries.corrupt(ctx),
        _ => None,
    }
}

/// Its wait is over, or is not yet.
fn due(tries: Tries, ctx: &Context<'_>) -> Tries {
    if tries.ahead(ctx.now).is_some() { tries } else { tries.now() }
}

/// The delta did not lead there: everything, once.
fn write_full(job: Job, ctx: &Context<'_>) -> (State, Effects) {
    enter(State::Writing { job, form: Form::Full, ops: 0, tries: Tries::default() }, ctx)
}

fn fail(job: &Job, trouble: Trouble, ctx: &Context<'_>) -> (State, Effects) {
    let system = job.system();
    let failures = ctx.memory.failures_of(system.root) + 1;
    let until = ctx.now.after(AFTER_FAILURE.wait(failures, None, ctx.jitter));
    let (state, mut effects) = enter(State::Failed { system, trouble, until }, ctx);
    effects.notes.push(Note::Failed(system.root));
    (state, effects)
}

pub(super) fn discard(job: Job, cause: Cause) -> State {
    State::Discarding { job, cause, tries: Tries::default() }
}
