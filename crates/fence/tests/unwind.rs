//! A child whose closure unwinds ends there. Alone in its program: unwinding allocates, which a copy of a program with busy
//! threads must not do.

use std::os::fd::AsFd;

use coracle_fence::clone::{Namespaces, spawn};
use rustix::process::{WaitId, WaitIdOptions, waitid};

#[test]
fn a_panic_does_not_return_into_the_parents_frames() {
    let child = spawn(Namespaces::NONE, None, || std::panic::resume_unwind(Box::new(()))).unwrap();
    let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
    assert_eq!((status.exit_status(), status.terminating_signal()), (None, Some(libc::SIGABRT)));
}
