//! Stage 1 and PID 1: one program, which opens the verified root and goes on in it.

mod api;
mod boot;
mod clock;
mod disk;
mod fatal;
mod layers;
mod log;
mod record;
pub mod stage1;
mod supervise;
mod watchdog;

use std::process::ExitCode;

use boot::Machine;
use log::Chain;
use nix::sys::resource::{Resource, setrlimit};
use supervise::{Supervisor, shutdown};

/// Where the host's services run.
const SERVICES_CGROUP: &str = "/sys/fs/cgroup/services";
/// Where the workloads run.
const PODS_CGROUP: &str = "/sys/fs/cgroup/pods";

/// Open files of PID 1 and whoever it starts, soft and hard: a unit takes four of PID 1's, and containers expect more than
/// the kernel's 1024 and 4096.
const OPEN_FILES: (u64, u64) = (16 << 10, 512 << 10);

/// Opens the root and runs the machine. Comes back only where there is nothing left to do but to let the kernel panic.
pub fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!("init: this is the first program of a Coracle machine; the kernel starts it");
        return ExitCode::FAILURE;
    }
    fatal::catch_panics();
    match stage1::run() {
        Ok(()) => first_process(),
        Err(stage1::GivenUp) => ExitCode::FAILURE,
    }
}

/// PID 1 on the verified root: boot, then supervise until the machine goes down.
fn first_process() -> ! {
    if let Err(errno) = setrlimit(Resource::RLIMIT_NOFILE, OPEN_FILES.0, OPEN_FILES.1) {
        log::warning!("open files stay as few as the kernel allows by itself error={errno}");
    }
    let mut machine = Machine::new();
    if let Err(unbootable) = boot::run(&mut machine) {
        shutdown::give_up(&unbootable.reason);
    }
    match Supervisor::new(machine) {
        Ok(supervisor) => supervisor.run(),
        Err(error) => shutdown::give_up(&Chain(&error).to_string()),
    }
}
