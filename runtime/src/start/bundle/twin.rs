//! The first process of a process namespace that belongs to a user namespace.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use coracle_fence::clone::{Child, Namespaces, spawn, spawn_sibling, unshare};
use rustix::{
    io::{Errno, read, write},
    pipe::{PipeFlags, pipe_with},
    process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid},
    thread::{ThreadNameSpaceType, move_into_thread_name_spaces},
};

use super::line::Childs;
use crate::start::{
    rights::enter,
    stage::{At, Failure, Stage},
};

/// A child that waits in its namespaces until everything is mounted.
#[derive(Debug)]
pub(super) struct Twin {
    pid: Pid,
    wait: OwnedFd,
}

impl Twin {
    /// Makes it; `last` are its last steps. What this process starts from here on is in the twin's process namespace.
    pub(super) fn new(
        userns: BorrowedFd<'_>,
        line: &Childs,
        last: impl FnOnce(Childs) -> u8,
    ) -> Result<Self, Failure> {
        let (waits, wait) = pipe_with(PipeFlags::CLOEXEC).at(Stage::Namespaces)?;
        let mut wait = Some(wait);
        let (told, tell) = pipe_with(PipeFlags::CLOEXEC).at(Stage::Namespaces)?;
        let maker = spawn(Namespaces::NONE, None, || {
            let made = make(userns, waits.as_fd(), &mut wait, tell.as_fd(), line, last);
            made.map_or_else(
                |failure| {
                    line.failed(failure);
                    127
                },
                |()| 0,
            )
        })
        .at(Stage::Namespaces)?;
        drop(tell);
        let mut pid = [0; 4];
        let told = read(&told, &mut pid).at(Stage::Namespaces)?;
        end(&maker)?;
        let pid = Pid::from_raw(i32::from_ne_bytes(pid)).filter(|_| told == pid.len());
        let pid = pid.ok_or(Errno::CHILD).at(Stage::Namespaces)?;
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).at(Stage::Namespaces)?;
        move_into_thread_name_spaces(pidfd.as_fd(), ThreadNameSpaceType::PROCESS_ID).at(Stage::Namespaces)?;
        let wait = wait.ok_or(Errno::BADF).at(Stage::Namespaces)?;
        Ok(Self { pid, wait })
    }

    /// It, as this process knows it.
    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    /// Does something in the twin's process namespace, as the host's root.
    pub(super) fn beside(
        &self,
        line: &Childs,
        what: impl FnOnce() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let other = spawn(Namespaces::NONE, None, || match what() {
            Ok(()) => 0,
            Err(failure) => {
                line.failed(failure);
                127
            }
        })
        .at(Stage::Proc)?;
        // What was said first counts.
        if end(&other)? == Some(0) { Ok(()) } else { Err(Errno::CHILD).at(Stage::Proc) }
    }

    /// Lets it do its last steps.
    pub(super) fn go_on(self) -> Result<(), Failure> {
        write(&self.wait, &[1]).map(|_| ()).at(Stage::Line)
    }
}

fn make(
    userns: BorrowedFd<'_>,
    waits: BorrowedFd<'_>,
    wait: &mut Option<OwnedFd>,
    tell: BorrowedFd<'_>,
    line: &Childs,
    last: impl FnOnce(Childs) -> u8,
) -> Result<(), Failure> {
    enter(userns)?;
    let twin = spawn_sibling(Namespaces::PID, || {
        // Its own copy: the other side has to be the only one, or nobody would see it end.
        drop(wait.take());
        match begin(waits, line) {
            Ok(Some(line)) => last(line),
            Ok(None) => 127,
            Err(failure) => {
                line.failed(failure);
                127
            }
        }
    })
    .at(Stage::Namespaces)?;
    let pid = twin.pid.as_raw_nonzero().get().to_ne_bytes();
    write(tell, &pid).map(|_| ()).at(Stage::Namespaces)
}

/// Waits, and takes a copy of all mounts into the user namespace. `None` if whoever mounts has failed.
fn begin(waits: BorrowedFd<'_>, line: &Childs) -> Result<Option<Childs>, Failure> {
    if read(waits, &mut [0; 1]).at(Stage::Line)? == 0 {
        return Ok(None);
    }
    unshare(Namespaces::MOUNT).at(Stage::Namespaces)?;
    line.again().map(Some)
}

/// How a child ended.
fn end(child: &Child) -> Result<Option<i32>, Failure> {
    loop {
        match waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED) {
            Err(Errno::INTR) => {}
            other => return Ok(other.at(Stage::Namespaces)?.and_then(|status| status.exit_status())),
        }
    }
}
