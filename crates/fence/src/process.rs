//! What a process gets from the kernel and hands on to its children: processor and disk time, its personality, its keyring.

use std::ffi::CStr;

use crate::{Error, error::last};

/// How a thread is scheduled; what a policy does not know is 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Schedule {
    /// `SCHED_*`.
    pub policy: u32,
    /// `SCHED_FLAG_*`.
    pub flags: u64,
    /// −20 to 19, of `SCHED_OTHER` and `SCHED_BATCH`.
    pub nice: i32,
    /// 1 to 99, of `SCHED_FIFO` and `SCHED_RR`.
    pub priority: u32,
    /// Nanoseconds, of `SCHED_DEADLINE`.
    pub runtime: u64,
    /// Nanoseconds, of `SCHED_DEADLINE`.
    pub deadline: u64,
    /// Nanoseconds, of `SCHED_DEADLINE`.
    pub period: u64,
}

/// `struct sched_attr` (linux/sched/types.h), the 48-byte form.
#[repr(C)]
pub(crate) struct SchedAttr {
    size: u32,
    policy: u32,
    flags: u64,
    nice: i32,
    priority: u32,
    runtime: u64,
    deadline: u64,
    pub(crate) period: u64,
}
const _: () = assert!(size_of::<SchedAttr>() == 48);

/// Sets how this thread is scheduled.
///
/// <https://man7.org/linux/man-pages/man2/sched_setattr.2.html>, Linux 3.14.
pub fn schedule(how: Schedule) -> Result<(), Error> {
    let Schedule { policy, flags, nice, priority, runtime, deadline, period } = how;
    let size = size_of::<SchedAttr>() as u32;
    let attr = SchedAttr { size, policy, flags, nice, priority, runtime, deadline, period };
    // SAFETY: `attr` lives across the call and says its own size; the kernel only reads it.
    let done = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, std::ptr::from_ref(&attr), 0u32) };
    answer("sched_setattr", done)
}

/// How this thread's requests to disks are scheduled: class in the upper three bits, level below.
///
/// <https://man7.org/linux/man-pages/man2/ioprio_set.2.html>
pub fn io_priority(priority: u16) -> Result<(), Error> {
    const WHO_PROCESS: i32 = 1; // IOPRIO_WHO_PROCESS
    // SAFETY: the call takes three integers.
    answer("ioprio_set", unsafe { libc::syscall(libc::SYS_ioprio_set, WHO_PROCESS, 0, i32::from(priority)) })
}

/// What programs take this kernel for.
///
/// <https://man7.org/linux/man-pages/man2/personality.2.html>
pub fn personality(domain: u32) -> Result<(), Error> {
    // SAFETY: the call takes an integer. It changes how later programs are loaded, and nothing of this one.
    answer("personality", unsafe { libc::syscall(libc::SYS_personality, u64::from(domain)) })
}

/// A session keyring of its own, by this name.
///
/// <https://man7.org/linux/man-pages/man2/keyctl.2.html>
pub fn new_session_keyring(name: &CStr) -> Result<(), Error> {
    const JOIN_SESSION_KEYRING: i32 = 1; // KEYCTL_JOIN_SESSION_KEYRING
    // SAFETY: the command reads the name, a C string that is borrowed across the call.
    answer("keyctl", unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, name.as_ptr()) })
}

fn answer(call: &'static str, done: i64) -> Result<(), Error> {
    if done < 0 { Err(Error::Process { call, source: last() }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clone::{Namespaces, spawn, tests::exit_code};

    #[test]
    fn a_child_gets_what_it_asked_for() {
        let child = spawn(Namespaces::NONE, None, || {
            let batch = Schedule { policy: 3, nice: 5, ..Schedule::default() };
            let done = schedule(batch).is_ok()
                && io_priority(2 << 13 | 6).is_ok()
                && personality(8).is_ok()
                && new_session_keyring(c"test").is_ok();
            // SAFETY: each of the calls takes integers.
            let seen = unsafe {
                [
                    libc::syscall(libc::SYS_sched_getscheduler, 0),
                    libc::syscall(libc::SYS_getpriority, 0, 0),
                    libc::syscall(libc::SYS_ioprio_get, 1, 0),
                    libc::syscall(libc::SYS_personality, 0xffff_ffffu64),
                ]
            };
            u8::from(!done || seen != [3, 15, 2 << 13 | 6, 8])
        })
        .unwrap();
        assert_eq!(exit_code(&child), Some(0));
        let refused = schedule(Schedule { policy: 99, ..Schedule::default() }).unwrap_err();
        assert_eq!(refused, Error::Process { call: "sched_setattr", source: rustix::io::Errno::INVAL });
    }
}
