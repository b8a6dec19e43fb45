//! One machine's update, from an offer to a blessed boot or back.
//!
//! [`step`] takes a state and an event and gives the next state with what follows. Whoever drives it
//!
//! 1. notes the [`Effects::notes`] in the [`Memory`] and writes the [`Journal`], durably;
//! 2. then does the [`Effects::asides`] and begins the [`Effects::act`], in place of the one under way;
//! 3. sees to it that the workloads do what [`State::workloads`] says;
//! 4. hands the act's outcome back as an event.
//!
//! An act is known from its state ([`State::act`]) and may be begun again at any time: after a restart,
//! [`Journal::resume`] finds the state from the journal and what the disk says, and its act is done again.
//! The diagram is in `docs/update-state-machine.md`.

mod act;
mod context;
mod decide;
mod event;
mod gate;
mod job;
mod journal;
mod memory;
mod resume;
mod state;
mod status;
mod step;
mod verb;

pub use act::{Act, Aside, Effects, Undo, Way, Workloads};
pub use context::{Approval, Certainty, Config, Context, Running};
pub use event::{Event, Illegal, Trouble, Verb};
pub use gate::{Gate, Reason};
pub use job::{Form, Job, Plan, Trial, Tries};
pub use journal::{BadJournal, Journal};
pub use memory::{Failures, Memory, Note};
pub use resume::{Boot, Entry, Facts, Other, Selected, SlotContent, UkiContent};
pub use state::{Cause, State};
pub use status::Status;
pub use step::step;

#[cfg(test)]
mod tests;
