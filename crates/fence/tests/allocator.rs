//! The allocator that ends copies of a program. Alone in its program: it is everybody's allocator.

use std::os::fd::AsFd;

use coracle_fence::{
    allocator::Owned,
    clone::{Namespaces, spawn},
};
use rustix::process::{WaitId, WaitIdOptions, waitid};

#[global_allocator]
static ALLOCATOR: Owned = Owned::new();

/// The exit code and the ending signal of a copy that does this.
fn ending(body: impl FnOnce() -> u8) -> (Option<i32>, Option<i32>) {
    let child = spawn(Namespaces::NONE, None, body).unwrap();
    let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
    (status.exit_status(), status.terminating_signal())
}

#[test]
fn a_copy_lives_until_it_touches_the_heap() {
    let mut block = Some(Box::new(7));
    assert_eq!(ending(|| block.as_deref().copied().unwrap_or(0)), (Some(7), None));
    assert_eq!(ending(|| *std::hint::black_box(Box::new(1))), (None, Some(libc::SIGABRT)));
    assert_eq!(ending(|| u8::from(block.take().is_none())), (None, Some(libc::SIGABRT)));
}
