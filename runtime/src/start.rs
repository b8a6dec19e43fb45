//! Starting a container: one child of PID 1, which makes its own surroundings and becomes the program.
//!
//! [`prepare`] does what takes memory, once a container. [`start`] makes the child in its namespaces and its cgroup and returns
//! at once; mounts that block, block the child. The child is the host's root until everything is mounted: so every namespace
//! but the user namespace, which it enters late, belongs to the host's, and no capability of the container reaches them. Its
//! steps, in order, are [`Stage`]; a failing one comes back through a pipe, whose end without a word means that the program runs.

mod api;
pub mod bundle;
mod child;
mod etc;
mod hide;
mod layers;
mod network;
mod prepared;
mod rights;
mod stage;
mod tree;

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use coracle_fence::clone::{Child, spawn};
use rustix::{
    fs::{OFlags, fcntl_setfl},
    io::fcntl_dupfd_cloexec,
    pipe::{PipeFlags, pipe_with},
    process::Pid,
};

use crate::{
    Error,
    cgroup::Cgroup,
    plan::{AbsPath, Plan},
};
pub use prepared::Prepared;
pub use stage::{Failure, Report, Stage};

/// What differs from start to start.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// A folder for the writable layer of a plan with `Writable::State`, in place of the plan's own. The child makes what is
    /// missing of it; it is used for one start.
    pub scratch: Option<&'a AbsPath>,
    /// Standard output and error. A pipe is given to the program's user, so that it can be opened by name.
    pub output: BorrowedFd<'a>,
}

/// A container on its way.
#[derive(Debug)]
pub struct Started {
    /// Its first process, in the host's process namespace; reusable once it is reaped.
    pub pid: Pid,
    /// The same, whatever happens to its id.
    pub pidfd: OwnedFd,
    /// What [`Failure::read`] reads; it does not block.
    pub failure: OwnedFd,
}

/// Makes what every start of the plan needs.
pub fn prepare(plan: &Plan) -> Result<Prepared, Error> {
    Prepared::new(plan)
}

/// Starts the container in its cgroup. Takes no memory and waits for nothing.
pub fn start(prepared: &Prepared, cgroup: &Cgroup, start: &Start<'_>) -> Result<Started, Error> {
    let failed = |step| move |source| Error::Report { step, source };
    let (failure, report) = pipe_with(PipeFlags::CLOEXEC).map_err(failed("pipe"))?;
    fcntl_setfl(&failure, OFlags::NONBLOCK).map_err(failed("fcntl"))?;
    // The numbers below are the child's standard descriptors, whether or not they are open here.
    let mut report = Some(fcntl_dupfd_cloexec(&report, 3).map_err(failed("dup"))?);
    let Child { pid, pidfd } = spawn(prepared.own, Some(cgroup.as_fd()), || match report.take() {
        Some(report) => child::run(prepared, start, report),
        None => 127,
    })
    .map_err(Error::Clone)?;
    Ok(Started { pid, pidfd, failure })
}
