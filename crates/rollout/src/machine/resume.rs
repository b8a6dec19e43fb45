//! Where an update stands after a restart of the agent or of the machine.
//!
//! The ESP says what boots, the slot says what it holds; the journal says what was meant. Where they disagree, the
//! disk is right.

use coracle_layout::RootHash;

use super::{
    act::Way,
    context::Running,
    event::Trouble,
    job::{Form, Job, Trial, Tries},
    journal::Journal,
    memory::{Memory, Note},
    state::{Cause, State},
    step::discard,
};
use crate::{
    deny::{Class, Denial},
    digest::Digest,
    system::System,
    time::Time,
};

/// Reboots for one update after which something else runs, without the release having failed.
const MAX_BOOTS: u32 = 2;
/// So often that many are made for one release before it is denied.
const MAX_ROUNDS: u32 = 3;

/// What the agent finds when it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The time.
    pub now: Time,
    /// What runs.
    pub running: Running,
    /// Its entry.
    pub entry: Entry,
    /// The entry of the other slot, if it has one.
    pub other: Option<Other>,
    /// What the other slot holds.
    pub slot: SlotContent,
    /// What the boot manager says that it started.
    pub selected: Selected,
    /// Whether a UKI waits beside the entries.
    pub uki: UkiContent,
    /// Whether the machine was rebooted since the journal was written.
    pub boot: Boot,
    /// How the last boot of what does not run failed, from boot record and pstore, with what is known besides.
    pub failure: (Class, String),
}

/// The other slot's entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Other {
    /// What it boots.
    pub system: System,
    /// The entry.
    pub entry: Entry,
}

/// A boot entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Without a counter.
    Good,
    /// With tries left.
    OnTrial,
    /// With none.
    Exhausted,
}

/// What the boot manager says that it started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selected {
    /// What runs.
    Running,
    /// Something else, in vain: the firmware came to its fallback. Or nothing is said.
    Another,
}

/// What a slot holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SlotContent {
    /// Nothing that verifies.
    Poisoned,
    /// A root of that hash.
    Sealed(RootHash),
}

/// What is beside the entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UkiContent {
    /// No whole UKI.
    Absent,
    /// One of that digest.
    Ready(Digest),
}

/// Which boot this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Boot {
    /// The one in which the journal was written: the agent was restarted.
    Same,
    /// A later one.
    New,
}

impl Journal {
    /// Where the update stands. The state's act is to be begun.
    pub fn resume(self, facts: &Facts) -> Self {
        let mut memory = self.memory;
        let state = resume(self.state, &mut memory, facts);
        Self::new(state, memory)
    }

    /// Where it stands if another system was blessed since this journal was written, which had one of its own: what was under way is
    /// long over, but for the way back from that system. If that one would boot, somebody wants this one in its place.
    pub fn outlived(self, facts: &Facts) -> Self {
        let mut memory = self.memory;
        let Running { system, slot, .. } = facts.running;
        let state = match (self.state, facts.other) {
            (State::Probation { trial } | State::Blessing { trial }, _)
                if trial.system == system && trial.back_from.is_some() =>
            {
                on_trial(trial, &mut memory, facts)
            }
            (_, Some(Other { system: newer, entry: Entry::Good })) if facts.selected == Selected::Running => {
                let way = if facts.entry == Entry::Good { Way::OneShot } else { Way::NewEntry };
                State::Probation { trial: Trial { system, slot, way, back_from: Some(newer) } }
            }
            (_, other) => {
                memory.confirmed = other.map_or(memory.confirmed, |other| Some(other.system));
                unlock(State::Idle, &mut memory, facts)
            }
        };
        Self::new(state, memory)
    }
}

fn resume(state: State, memory: &mut Memory, facts: &Facts) -> State {
    use State::*;
    match state {
        Idle | Failed { .. } => settled(state, memory, facts),
        Preparing { ref job }
        | Writing { ref job, .. }
        | Verifying { ref job, .. }
        | FetchingUki { ref job, .. }
        | Staged { ref job, .. }
            if !fits(job, facts) =>
        {
            settled(Idle, memory, facts)
        }
        Preparing { .. } | Verifying { .. } => state,
        Writing { job, form, ops, tries } => write_on(job, form, ops, tries, facts),
        FetchingUki { job, .. } | Staged { job, .. } => fetched(job, facts),
        Locking { .. } | Draining { .. } if facts.boot == Boot::Same => state,
        Locking { job, .. } | Draining { job } => unlock(restage(job, facts), memory, facts),
        Activating { job } | Rebooting { job } if facts.running.system == job.system() => {
            on_trial(job.trial(), memory, facts)
        }
        Activating { .. } | Rebooting { .. } if facts.boot == Boot::Same => state,
        Activating { job } if entry_of(&job, facts).is_none() => unlock(restage(job, facts), memory, facts),
        Activating { job } | Rebooting { job } => not_started(job, memory, facts),
        Probation { trial } | Blessing { trial } if facts.running.system == trial.system => {
            on_trial(trial, memory, facts)
        }
        Probation { trial } | Blessing { trial } => rejected(trial, memory, facts),
        RolledBack { trial } if facts.running.system == trial.system => Probation { trial },
        Discarding { job, .. } if facts.running.system == job.system() => settled(Idle, memory, facts),
        RolledBack { .. } | Discarding { .. } => state,
        Releasing { then, .. } => {
            let then = resume(*then, memory, facts);
            unlock(then, memory, facts)
        }
    }
}

/// Nothing is under way: is what runs blessed, and is it what was blessed last?
fn settled(state: State, memory: &mut Memory, facts: &Facts) -> State {
    let system = facts.running.system;
    if facts.entry != Entry::Good {
        // A first boot, or one that nobody knows of any more: it has to prove itself.
        let (slot, way) = (facts.running.slot, Way::NewEntry);
        return State::Probation { trial: Trial { system, slot, way, back_from: None } };
    }
    if let Some(lost) = memory.confirmed.filter(|confirmed| *confirmed != system) {
        // It was good once. A copy that rots may be installed anew, a release that fails may not.
        if facts.other == Some(Other { system: lost, entry: Entry::Exhausted }) && !facts.failure.0.is_rot() {
            deny(lost, memory, facts);
        }
    }
    if memory.confirmed != Some(system) {
        memory.note(Note::Confirmed(system, facts.running.epoch));
    }
    state
}

/// Whether the job is for this machine as it runs: it never writes the running slot.
fn fits(job: &Job, facts: &Facts) -> bool {
    job.from == facts.running.system && job.slot == facts.running.slot.other()
}

/// On with what is written, unless nothing of it can be there. A delta reads the running root, and a block of that which has rotted
/// panics the kernel: what ends with the boot again and again ends for good.
fn write_on(mut job: Job, form: Form, ops: u32, tries: Tries, facts: &Facts) -> State {
    if form == Form::Delta && facts.boot == Boot::New {
        job.broken_off += 1;
    }
    if facts.slot != SlotContent::Poisoned {
        return State::Preparing { job };
    }
    if form == Form::Delta && job.form() == Form::Full {
        return State::Writing { job, form: Form::Full, ops: 0, tries: Tries::default() };
    }
    State::Writing { job, form, ops, tries }
}

/// The furthest state whose results are on the disk.
fn fetched(job: Job, facts: &Facts) -> State {
    let form = job.form();
    if facts.slot != SlotContent::Sealed(job.system().root) {
        return State::Verifying { job, form };
    }
    match (facts.uki, job.offer()) {
        (UkiContent::Ready(digest), Some(offer)) if digest == offer.uki.sha256 => State::staged(job),
        _ => State::FetchingUki { job, form, tries: Tries::default() },
    }
}

/// Back to before the lock.
fn restage(job: Job, facts: &Facts) -> State {
    match job.offer() {
        Some(_) if fits(&job, facts) => fetched(job, facts),
        Some(_) => State::Idle,
        // An operator who is not served asks again.
        None => discard(job, Cause::Failed(Trouble::NotBooted)),
    }
}

/// The lock is given back, if it may be held: then `then`.
fn unlock(then: State, memory: &mut Memory, facts: &Facts) -> State {
    let then = if then == State::Idle { settled(then, memory, facts) } else { then };
    if then.may_hold_lock() {
        return then;
    }
    State::Releasing { then: Box::new(then), tries: Tries::default() }
}

fn entry_of(job: &Job, facts: &Facts) -> Option<Entry> {
    facts.other.filter(|other| other.system == job.system()).map(|other| other.entry)
}

/// It runs: was it blessed before the journal said so?
fn on_trial(trial: Trial, memory: &mut Memory, facts: &Facts) -> State {
    let blessed = match trial.back_from {
        None => facts.entry == Entry::Good,
        // The entry it was left for boots no more.
        Some(_) => facts.other.is_none_or(|other| other.entry != Entry::Good),
    };
    if !blessed {
        return State::Probation { trial };
    }
    memory.note(Note::Confirmed(trial.system, facts.running.epoch));
    if let (Way::OneShot, Some(system)) = (trial.way, trial.back_from) {
        let reason = format!("the operator went back to {}", trial.system.version);
        memory.note(Note::Denied(Denial { system, class: Class::Operator, reason, at: facts.now }));
    }
    unlock(State::Idle, memory, facts)
}

/// The machine was rebooted for it, and something else runs.
fn not_started(mut job: Job, memory: &mut Memory, facts: &Facts) -> State {
    // One that was started once has no counter: what it left behind says that it ran, and failed.
    let has_failed = job.way() == Way::OneShot && !facts.failure.0.is_rot();
    if has_failed || entry_of(&job, facts) == Some(Entry::Exhausted) {
        return rejected(job.trial(), memory, facts);
    }
    job.boots += 1;
    let then = if job.boots < MAX_BOOTS {
        restage(job, facts)
    } else {
        never_started(job.system(), memory, facts);
        discard(job, Cause::Failed(Trouble::NotBooted))
    };
    unlock(then, memory, facts)
}

/// One round of reboots was in vain. Something here does not start it, and no reboot after these will do so.
fn never_started(system: System, memory: &mut Memory, facts: &Facts) {
    memory.note(Note::NotBooted(system.root));
    if memory.not_booted(system.root) >= MAX_ROUNDS {
        let reason = format!("something else ran after each of {} reboots for it", MAX_ROUNDS * MAX_BOOTS);
        memory.note(Note::Denied(Denial { system, class: Class::NeverStarted, reason, at: facts.now }));
    }
}

/// It had its tries, and something else runs.
/// Where it was cut short each time, that is not held against it the first time: six tries without evidence are as much as three with it.
fn rejected(trial: Trial, memory: &mut Memory, facts: &Facts) -> State {
    let root = trial.system.root;
    match facts.failure.0 {
        Class::CutShort if memory.cut_short != Some(root) => memory.note(Note::CutShort(root)),
        _ => deny(trial.system, memory, facts),
    }
    State::RolledBack { trial }
}

fn deny(system: System, memory: &mut Memory, facts: &Facts) {
    let (class, reason) = facts.failure.clone();
    memory.note(Note::Denied(Denial { system, class, reason, at: facts.now }));
}
