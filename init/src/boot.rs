//! Everything PID 1 does before it supervises.

mod esp;
mod identity;
mod machine;
mod mounts;
mod pstore;
mod state;
mod superblock;
mod sysctl;

use std::{path::Path, time::Duration};

use crate::{
    clock, layers,
    log::{Chain, error, info, warning},
    watchdog,
};
pub(crate) use machine::{Machine, Mode};
pub(crate) use mounts::make;
pub(crate) use sysctl::bless;

/// A step of the boot.
struct Phase {
    name: &'static str,
    run: fn(&mut Machine) -> Result<(), Error>,
    on_error: Failure,
}

/// What follows from the failure of a phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    /// Nothing can work without it: reboot, and let the boot assessment decide.
    Reboot,
    /// The machine comes up without its workloads, or with state in memory, as the recipe says.
    Recover,
    /// Something is missing that the machine can do without.
    Degrade,
}

/// Everything PID 1 does before it supervises, in order.
const BOOT: &[Phase] = &[
    Phase { name: "api filesystems", run: mounts::filesystems, on_error: Failure::Reboot },
    Phase { name: "watchdog", run: start_watchdog, on_error: Failure::Degrade },
    Phase { name: "facts", run: machine::read_facts, on_error: Failure::Reboot },
    Phase { name: "sysctls", run: sysctl::harden, on_error: Failure::Degrade },
    Phase { name: "disk", run: state::grow_partition, on_error: Failure::Degrade },
    Phase { name: "state", run: state::mount, on_error: Failure::Recover },
    Phase { name: "state size", run: state::grow_filesystem, on_error: Failure::Degrade },
    Phase { name: "layers", run: layers::renew, on_error: Failure::Degrade },
    Phase { name: "identity", run: identity::establish, on_error: Failure::Degrade },
    Phase { name: "crash records", run: pstore::save, on_error: Failure::Degrade },
    Phase { name: "cgroups", run: mounts::cgroups, on_error: Failure::Reboot },
];

/// Takes over the watchdog that stage 1 has left running. A machine without one boots all the same.
fn start_watchdog(machine: &mut Machine) -> Result<(), Error> {
    machine.watchdog = watchdog::start(Path::new(watchdog::CLASS), Path::new("/dev"));
    Ok(())
}

/// Why a phase failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// A system call on an object failed.
    #[error("could not {action} {object}")]
    Os {
        action: &'static str,
        object: String,
        #[source]
        source: std::io::Error,
    },
    /// A filesystem of the kernel is not mounted.
    #[error(transparent)]
    Api(#[from] crate::api::Error),
    /// The disk was not found as stage 1 described it.
    #[error(transparent)]
    Disk(#[from] crate::disk::Error),
    /// The partition table cannot cover the disk.
    #[error("could not grow the partition table of {disk}")]
    Table {
        disk: String,
        #[source]
        source: coracle_gpt::Error,
    },
    /// A call behind the fence failed.
    #[error("could not {action} {object}")]
    Fence {
        action: &'static str,
        object: String,
        #[source]
        source: coracle_fence::Error,
    },
    /// The cgroup tree could not be prepared.
    #[error("could not hand down controllers in {folder}")]
    Cgroup {
        folder: &'static str,
        #[source]
        source: coracle_runtime::Error,
    },
    /// Stage 1 left no facts, or not these.
    #[error("stage 1 did not say {fact}")]
    Fact { fact: &'static str },
}

impl Error {
    /// For `map_err` on calls of the standard library, nix and rustix.
    pub(crate) fn os<E: Into<std::io::Error>>(
        action: &'static str,
        object: impl Into<String>,
    ) -> impl FnOnce(E) -> Self {
        let object = object.into();
        move |source| Self::Os { action, object, source: source.into() }
    }
}

/// How long a part of the boot took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timed {
    pub(crate) name: &'static str,
    /// Since the kernel's clock began.
    pub(crate) began: Duration,
    pub(crate) took: Duration,
}

/// A phase failed that nothing can work without.
pub(crate) struct Unbootable {
    pub(crate) reason: String,
}

/// Runs the phases. Each is timed; its failure has the consequence named beside it.
pub(crate) fn run(machine: &mut Machine) -> Result<(), Unbootable> {
    for phase in BOOT {
        let began = clock::since_boot();
        let outcome = (phase.run)(machine);
        if let Some(watchdog) = &machine.watchdog {
            watchdog.feed();
        }
        machine.timeline.push(Timed {
            name: phase.name,
            began,
            took: clock::since_boot().saturating_sub(began),
        });
        let Err(cause) = outcome else { continue };
        let name = phase.name;
        match phase.on_error {
            Failure::Reboot => return Err(Unbootable { reason: format!("{name}: {}", Chain(&cause)) }),
            Failure::Recover => state::do_without(machine, &cause),
            Failure::Degrade => {
                warning!("boot phase failed phase={name:?} error={:?}", Chain(&cause).to_string());
                machine.degraded.push(name);
            }
        }
    }
    info!("boot phases done phases={} degraded={}", machine.timeline.len(), machine.degraded.len());
    if machine.mode == Mode::Recovery {
        error!("recovery mode: workloads are held; repair or replace the state partition");
    }
    Ok(())
}
