//! What a machine tells of its update: what it does or waits for, and until when.

use std::fmt;

use super::{
    act::Act,
    context::Context,
    decide::{Decision, decide},
    event::Trouble,
    gate::{Gate, Reason},
    state::State,
};
use crate::{
    select::{Choice, Fault, Obstacle},
    time::Time,
};

/// What a machine does or waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// No manifest was read since the agent started.
    Unasked,
    /// This is what the manifest offers, or what stands against it.
    Chosen(Choice),
    /// It may be taken then: the last update is not long enough ago.
    TooSoon(Time),
    /// The manifest cannot be meant.
    Fault(Fault),
    /// A staged update waits for its gate.
    Gate {
        /// What it waits for.
        reason: Reason,
        /// Until when, where that is known.
        until: Option<Time>,
    },
    /// The last attempt did not work out; the next comes then.
    Again(Time),
    /// The update did not work out; it is tried again then.
    Failed(Trouble, Time),
    /// This is being done.
    Doing(Act),
}

impl Status {
    /// Until when, where that is known.
    pub fn until(&self) -> Option<Time> {
        match self {
            Self::Chosen(Choice::Wait { obstacle: Obstacle::Wave { until }, .. }) => Some(*until),
            Self::TooSoon(until) | Self::Again(until) | Self::Failed(_, until) => Some(*until),
            Self::Gate { until, .. } => *until,
            Self::Unasked | Self::Chosen(_) | Self::Fault(_) | Self::Doing(_) => None,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unasked => f.write_str("waits for an answer from the repository"),
            Self::Chosen(Choice::UpToDate) => f.write_str("up to date"),
            Self::Chosen(Choice::Take(offer)) => write!(f, "takes {}", offer.system.version),
            Self::Chosen(Choice::Wait { version, obstacle }) => {
                write!(f, "does not take {version}: {obstacle}")
            }
            Self::Chosen(Choice::PinNotOffered(version)) => {
                write!(f, "is pinned to {version}, which is not offered")
            }
            Self::TooSoon(_) => f.write_str("waits, as the last update began not long ago"),
            Self::Fault(fault) => write!(f, "{fault}"),
            Self::Gate { reason, .. } => write!(f, "waits for {reason}"),
            Self::Again(_) => f.write_str("waits for the next attempt"),
            Self::Failed(trouble, _) => write!(f, "waits after a failure: {trouble}"),
            Self::Doing(act) => f.write_str(act.words()),
        }
    }
}

impl State {
    /// What is done or waited for in it.
    pub fn status(&self, ctx: &Context<'_>) -> Status {
        match self {
            Self::Idle => idle(ctx),
            Self::Staged { job, .. } => match Gate::of(job, ctx) {
                Gate::Open => Status::Doing(self.act(ctx)),
                Gate::Shut { reason, until } => Status::Gate { reason, until },
            },
            Self::Failed { trouble, until, .. } => Status::Failed(*trouble, *until),
            state => match state.act(ctx) {
                Act::Rest { until: Some(until) } => Status::Again(until),
                act => Status::Doing(act),
            },
        }
    }
}

fn idle(ctx: &Context<'_>) -> Status {
    match (ctx.manifest.map(|manifest| manifest.choose(&ctx.node())), decide(ctx)) {
        (None, _) => Status::Unasked,
        (Some(Err(fault)), _) => Status::Fault(fault),
        (Some(Ok(Choice::Take(_))), Decision::Stay(Some(until))) => Status::TooSoon(until),
        (Some(Ok(choice)), _) => Status::Chosen(choice),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        machine::{Approval, Tries, tests::Setting},
        orders::Hold,
        window::Schedule,
    };

    #[test]
    fn a_machine_says_what_it_waits_for() {
        let setting = Setting::plain();
        let with = |state: &State, change: &dyn Fn(&mut Setting)| {
            let mut setting = setting.clone();
            change(&mut setting);
            state.status(&setting.ctx())
        };
        let job = setting.install();
        let soon = setting.now.after(Duration::from_secs(600));
        assert!(matches!(with(&State::Idle, &|_| ()), Status::Chosen(Choice::Take(_))));
        assert_eq!(with(&State::Idle, &|s| s.manifest = None), Status::Unasked);
        assert_eq!(with(&State::Idle, &|s| s.memory.last_start = Some(s.now)), Status::TooSoon(soon));
        assert!(matches!(
            with(&State::Idle, &|s| s.memory.orders.hold = Hold::On),
            Status::Chosen(Choice::Wait { obstacle: Obstacle::Held, .. })
        ));
        assert!(matches!(
            with(&State::Idle, &|s| s.config.line.arch = "aarch64".parse().unwrap()),
            Status::Fault(Fault::OtherLine { .. })
        ));

        let staged = State::staged(job.clone());
        let gate = |reason, until| Status::Gate { reason, until };
        let saturday: Schedule = serde_json::from_str(
            r#"{"windows": [{"days": ["Sat"], "start_time": "02:00", "length_minutes": 60}]}"#,
        )
        .unwrap();
        let opens = "2027-01-02T02:00:00Z".parse().unwrap();
        assert_eq!(with(&staged, &|s| s.manifest = None), gate(Reason::Manifest, None));
        assert_eq!(with(&staged, &|s| s.config.approval = Approval::Manual), gate(Reason::Approval, None));
        assert_eq!(
            with(&staged, &|s| s.config.schedule = saturday.clone()),
            gate(Reason::Window, Some(opens))
        );

        let tries = Tries { until: Some(soon), ..Tries::default() };
        assert_eq!(with(&State::Locking { job: job.clone(), tries }, &|_| ()), Status::Again(soon));
        let locking = State::Locking { job: job.clone(), tries: Tries::default() };
        assert_eq!(with(&locking, &|_| ()), Status::Doing(Act::TakeLock));
        let failed = State::Failed { system: job.system(), trouble: Trouble::EspFull, until: soon };
        assert_eq!(with(&failed, &|_| ()), Status::Failed(Trouble::EspFull, soon));
    }
}
