//! A child with its own namespaces, born in its cgroup, held by a pidfd.
//!
//! <https://man7.org/linux/man-pages/man2/clone3.2.html>; `CLONE_INTO_CGROUP` needs Linux 5.7.

use std::{
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd},
    process::abort,
};

use rustix::process::Pid;

use crate::{Error, error::last};

/// Namespaces a child gets for itself, as `CLONE_NEW*` bits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Namespaces(u64);

impl Namespaces {
    /// None: all of the parent's.
    pub const NONE: Self = Self(0);
    /// Mounts.
    pub const MOUNT: Self = Self(libc::CLONE_NEWNS as u64);
    /// Process ids.
    pub const PID: Self = Self(libc::CLONE_NEWPID as u64);
    /// Network.
    pub const NET: Self = Self(libc::CLONE_NEWNET as u64);
    /// System V IPC and POSIX queues.
    pub const IPC: Self = Self(libc::CLONE_NEWIPC as u64);
    /// Host name.
    pub const UTS: Self = Self(libc::CLONE_NEWUTS as u64);
    /// User and group ids.
    pub const USER: Self = Self(libc::CLONE_NEWUSER as u64);
    /// Clocks: of children, and of a process from its next exec on. Only [`unshare`] makes one.
    pub const TIME: Self = Self(0x80); // CLONE_NEWTIME
    /// Cgroup root.
    pub const CGROUP: Self = Self(libc::CLONE_NEWCGROUP as u64);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// `CLONE_INTO_CGROUP` (linux/sched.h); the C library crate's constant is too narrow for it.
pub(crate) const INTO_CGROUP: u64 = 0x2_0000_0000;

/// A child, as its parent sees it.
#[derive(Debug)]
pub struct Child {
    /// Its process id; reusable once it is reaped.
    pub pid: Pid,
    /// It and nothing else, whatever happens to its id. Closed on exec.
    pub pidfd: OwnedFd,
}

/// `struct clone_args` (linux/sched.h), the 88-byte form.
#[repr(C, align(8))]
#[derive(Default)]
pub(crate) struct Args {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}
const _: () = assert!(size_of::<Args>() == 88);

/// Ends the process if the child's closure unwinds: its frames belong to the parent's program.
struct NoWayBack;

impl Drop for NoWayBack {
    fn drop(&mut self) {
        abort();
    }
}

/// Runs `body` in a copy of this process and ends the copy with the returned code.
///
/// The copy has one thread. If another thread of the parent held a lock, such as the allocator's, nobody will release it in
/// the copy: in a program with threads `body` must neither allocate nor lock. No destructor and no exit handler of the parent
/// runs in the copy.
pub fn spawn(
    own: Namespaces,
    cgroup: Option<BorrowedFd<'_>>,
    body: impl FnOnce() -> u8,
) -> Result<Child, Error> {
    let mut args = Args { flags: own.0, exit_signal: libc::SIGCHLD as u64, ..Args::default() };
    if let Some(cgroup) = cgroup {
        args.flags |= INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    copy(args, body)
}

/// As [`spawn`], but the copy is a child of this process's parent, to which it looks like this process's twin.
///
/// Not for the first process of a process namespace, which has no parent there.
pub fn spawn_sibling(own: Namespaces, body: impl FnOnce() -> u8) -> Result<Child, Error> {
    // The signal at its end is that of this process.
    copy(Args { flags: own.0 | libc::CLONE_PARENT as u64, ..Args::default() }, body)
}

fn copy(mut args: Args, body: impl FnOnce() -> u8) -> Result<Child, Error> {
    let mut pidfd: libc::c_int = -1;
    args.flags |= libc::CLONE_PIDFD as u64;
    args.pidfd = &raw mut pidfd as u64;
    // SAFETY: `args` and `pidfd` live across the call, and the size is that of `Args`. Without CLONE_VM and a stack the child
    // goes on here on a copy of this stack, in memory that is its own; both callers set namespace flags and CLONE_PARENT at most.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw mut args, size_of::<Args>()) };
    if pid < 0 {
        return Err(Error::Clone { flags: args.flags, source: last() });
    }
    if pid == 0 {
        let guard = NoWayBack;
        let code = body();
        std::mem::forget(guard);
        // SAFETY: _exit takes any code, returns to nobody and runs no handler that the parent registered.
        unsafe { libc::_exit(code.into()) }
    }
    // SAFETY: the call succeeded in the parent, so the kernel has stored a fresh descriptor in `pidfd` that nobody else owns.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    // A positive return of clone3 is a process id and fits `pid_t`.
    let pid = Pid::from_raw(pid as i32)
        .ok_or(Error::Clone { flags: args.flags, source: rustix::io::Errno::INVAL })?;
    Ok(Child { pid, pidfd })
}

/// Moves the calling thread into new namespaces of its own.
///
/// Processes are the exception: with [`Namespaces::PID`] the caller's children are in the new namespace, not the caller.
/// <https://man7.org/linux/man-pages/man2/unshare.2.html>
pub fn unshare(own: Namespaces) -> Result<(), Error> {
    // SAFETY: `Namespaces` holds no flag but `CLONE_NEW*`: neither memory nor descriptors are unshared.
    let done = unsafe { libc::syscall(libc::SYS_unshare, own.0) };
    if done == 0 { Ok(()) } else { Err(Error::Unshare { flags: own.0, source: last() }) }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::fd::AsFd;

    use rustix::process::{WaitId, WaitIdOptions, waitid};

    use super::*;

    /// Waits for the child and gives its exit code.
    pub(crate) fn exit_code(child: &Child) -> Option<i32> {
        let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
        status.exit_status()
    }

    #[test]
    fn a_child_returns_its_code_through_its_pidfd() {
        let child = spawn(Namespaces::NONE, None, || 42).unwrap();
        assert_eq!(exit_code(&child), Some(42));
    }

    #[test]
    fn the_first_process_of_a_pid_namespace_is_1() {
        let own = Namespaces::PID.and(Namespaces::MOUNT).and(Namespaces::NET);
        let own = own.and(Namespaces::IPC).and(Namespaces::UTS).and(Namespaces::CGROUP);
        let child = spawn(own, None, || rustix::process::getpid().as_raw_nonzero().get() as u8).unwrap();
        assert_eq!(exit_code(&child), Some(1));
    }

    #[test]
    fn a_sibling_has_the_parent_of_its_maker() {
        let (us, (told, tell)) = (rustix::process::getpid(), rustix::pipe::pipe().unwrap());
        let maker = spawn(Namespaces::NONE, None, || {
            let alone = || u8::from(rustix::process::getppid().is_some());
            let Ok(twin) = spawn_sibling(Namespaces::PID, alone) else { return 1 };
            let pid = twin.pid.as_raw_nonzero().get().to_ne_bytes();
            u8::from(rustix::process::getppid() != Some(us) || rustix::io::write(&tell, &pid) != Ok(4))
        })
        .unwrap();
        assert_eq!(exit_code(&maker), Some(0));
        let mut pid = [0; 4];
        assert_eq!(rustix::io::read(&told, &mut pid), Ok(4));
        let twin = WaitId::Pid(Pid::from_raw(i32::from_ne_bytes(pid)).unwrap());
        let status = waitid(twin, WaitIdOptions::EXITED).unwrap().unwrap();
        assert_eq!(status.exit_status(), Some(0), "its parent is outside its namespace");
    }

    #[test]
    fn only_the_caller_leaves_its_namespaces() {
        let name = || std::fs::read_link("/proc/thread-self/ns/uts").unwrap();
        let before = name();
        std::thread::spawn(move || {
            unshare(Namespaces::UTS).unwrap();
            assert_ne!(name(), before);
            let refused = unshare(Namespaces(1 << 63)).unwrap_err();
            assert_eq!(refused, Error::Unshare { flags: 1 << 63, source: rustix::io::Errno::INVAL });
        })
        .join()
        .unwrap();
        assert_eq!(name(), std::fs::read_link("/proc/self/ns/uts").unwrap());
    }

    #[test]
    fn a_descriptor_that_is_no_cgroup_is_refused() {
        let null = std::fs::File::open("/dev/null").unwrap();
        let refused = spawn(Namespaces::NONE, Some(null.as_fd()), || 0).unwrap_err();
        assert!(matches!(refused, Error::Clone { source: rustix::io::Errno::BADF, .. }), "{refused:?}");
    }
}
