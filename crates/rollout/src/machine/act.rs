//! What follows from a step.

use coracle_layout::RootHash;
use serde::{Deserialize, Serialize};

use super::{job::Form, memory::Note};
use crate::{system::System, time::Time};

/// What follows from a step, in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Effects {
    /// To be remembered, before anything is done.
    pub notes: Vec<Note>,
    /// To be done beside the act. Lost in a crash without harm.
    pub asides: Vec<Aside>,
    /// To be begun in place of the act under way; `None`: that one goes on.
    pub act: Option<Act>,
}

/// The one thing that is being done. Each may be repeated, and answers with an event. The slot is the one that does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Nothing: answer `Due` at that time, or never.
    Rest {
        /// The time.
        until: Option<Time>,
    },
    /// Check that the release fits on slot and ESP; remove the slot's old entry; poison the slot. `Prepared`.
    Prepare {
        /// What is to come there.
        root: RootHash,
    },
    /// Stream operations: verify, write, flush. `Checkpoint` each 32 MiB, at last `Written`.
    Write {
        /// What.
        root: RootHash,
        /// From which files.
        form: Form,
    },
    /// Build the verity tree and read the slot back through it; the superblock last. `Verified`.
    Verify {
        /// What should be there.
        root: RootHash,
    },
    /// Remove any entry of that root, fetch its UKI beside the entries, verify it. `Fetched`.
    FetchUki {
        /// Whose.
        root: RootHash,
        /// From which file.
        form: Form,
    },
    /// Ask for the fleet's lock. `LockTaken` or `LockRefused`.
    TakeLock,
    /// Wait until no workload runs, within a deadline; then they are killed. `Drained`.
    Drain,
    /// Make its entry the one that boots. `Activated`.
    Activate {
        /// Whose.
        root: RootHash,
        /// How.
        way: Way,
    },
    /// Shut down in order and boot.
    Reboot,
    /// Watch the health gates. `Healthy`.
    Watch,
    /// Make the running entry good, if everything says that it is the running one. `Blessed`.
    Bless {
        /// What must be running.
        system: System,
        /// What must not boot by itself any more.
        demote: Option<System>,
    },
    /// Undo, then watch the health gates for as long as a boot may take to prove itself. `Healthy` or `Unhealthy`.
    Recover(Undo),
    /// Give the fleet's lock back, held or not. `LockReleased`.
    ReleaseLock,
    /// Undo. `Discarded`.
    Discard(Undo),
}

impl Act {
    /// What is being done, for people.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Rest { .. } => "waits",
            Self::Prepare { .. } => "prepares the other slot",
            Self::Write { form: Form::Delta, .. } => "writes what changed to the other slot",
            Self::Write { form: Form::Full, .. } => "writes the whole root to the other slot",
            Self::Verify { .. } => "verifies the other slot",
            Self::FetchUki { .. } => "fetches the kernel image",
            Self::TakeLock => "asks for the fleet's lock",
            Self::Drain => "waits for the workloads to end",
            Self::Activate { .. } => "makes the new system the next to boot",
            Self::Reboot => "reboots",
            Self::Watch => "watches the health gates of a system on trial",
            Self::Bless { .. } => "makes the running system good",
            Self::Recover(_) => "watches the health gates after a rollback",
            Self::ReleaseLock => "gives the fleet's lock back",
            Self::Discard(_) => "removes an update that is not wanted",
        }
    }
}

/// How a system comes to boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    /// Its UKI becomes an entry with tries. The boot manager prefers newer ones: an older one it is told to start once, besides.
    NewEntry,
    /// The boot manager is told to start its entry once.
    OneShot,
}

/// How it comes not to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Undo {
    /// Remove every file on the ESP that is of that root; it is not what runs.
    Entry(RootHash),
    /// Clear the order to the boot manager.
    OneShot,
}

/// What the workloads of a machine should be doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workloads {
    /// Running.
    Up,
    /// Ended, or about to: the machine goes down.
    Down,
}

/// Beside the act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aside {
    /// Ask the repository now.
    Poll,
}
