//! Signals as a fresh program expects them, and any of them to a process.
//!
//! <https://man7.org/linux/man-pages/man2/sigaction.2.html>. An exec resets handlers but keeps what is ignored or blocked, and
//! the C library refuses to touch the two signals it uses itself.

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::{Error, error::last};

/// The kernel's `struct sigaction` (asm/signal.h); all zero is the default disposition.
#[repr(C)]
#[derive(Default)]
pub(crate) struct Action {
    handler: usize,
    flags: u64,
    restorer: usize,
    mask: u64,
}
const _: () = assert!(size_of::<Action>() == 32);

/// Gives every signal its default disposition and blocks none.
pub fn reset() -> Result<(), Error> {
    let default = Action::default();
    for number in (1..=64).filter(|&number| number != libc::SIGKILL && number != libc::SIGSTOP) {
        // SAFETY: `default` lives across the call and the last argument is the size of its mask; the kernel only reads it.
        // With default dispositions no code of this process runs on a signal.
        let done = unsafe {
            libc::syscall(libc::SYS_rt_sigaction, number, &raw const default, 0usize, size_of::<u64>())
        };
        if done != 0 {
            return Err(Error::Signals(last()));
        }
    }
    let none = 0u64;
    // SAFETY: `none` lives across the call and is as long as the last argument says; the kernel only reads it.
    let done = unsafe {
        libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const none, 0usize, size_of::<u64>())
    };
    if done == 0 { Ok(()) } else { Err(Error::Signals(last())) }
}

/// Sends the process of a pidfd a signal by its number. rustix has names only for those that POSIX names, and the real-time
/// signals, by which some programs want to be stopped, have none.
///
/// <https://man7.org/linux/man-pages/man2/pidfd_send_signal.2.html>, Linux 5.1.
pub fn send(process: BorrowedFd<'_>, number: u8) -> Result<(), Error> {
    // SAFETY: the call takes integers and, in place of details about the signal, a null pointer, which it allows.
    let done = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            process.as_raw_fd(),
            libc::c_int::from(number),
            std::ptr::null::<u8>(),
            0u32,
        )
    };
    if done == 0 { Ok(()) } else { Err(Error::Send { number, source: last() }) }
}

#[cfg(test)]
mod tests {
    use std::{ffi::CString, fs::File, io::Read, os::fd::AsFd};

    use rustix::{
        pipe::{PipeFlags, pipe_with},
        stdio::dup2_stdout,
    };

    use super::*;
    use crate::{
        clone::{Namespaces, spawn, tests::exit_code},
        exec::Program,
        filter::Filter,
    };

    /// What a program finds blocked and ignored that is started with everything blocked and one signal ignored.
    fn found(reset_first: bool) -> String {
        let words =
            ["grep", "-E", "^Sig(Blk|Ign)", "/proc/self/status"].map(|word| CString::new(word).unwrap());
        let program = Program::new(&[c"/bin/grep".to_owned()], &words, &[], Filter::default());
        let (out, out_end) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let (_report, report_end) = pipe_with(PipeFlags::CLOEXEC).unwrap();
        let mut report_end = Some(report_end);
        let child = spawn(Namespaces::NONE, None, || {
            let Some(report_end) = report_end.take() else { return 99 };
            let all = u64::MAX;
            // SAFETY: `all` lives across the first call and is as long as its last argument; SIG_IGN is no function.
            let blocked = unsafe {
                libc::signal(libc::SIGUSR1, libc::SIG_IGN);
                libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, &raw const all, 0usize, 8usize)
            };
            if blocked != 0 || dup2_stdout(&out_end).is_err() || (reset_first && reset().is_err()) {
                return 99;
            }
            program.run(report_end, 0, |_, _| [0; 8])
        })
        .unwrap();
        drop(out_end);
        let mut printed = String::new();
        File::from(out).read_to_string(&mut printed).unwrap();
        assert_eq!(exit_code(&child), Some(0));
        printed
    }

    #[test]
    fn every_number_is_sent() {
        use rustix::process::{WaitId, WaitIdOptions, waitid};
        for number in [15, 34, 37, 64] {
            let child = spawn(Namespaces::NONE, None, || {
                loop {
                    std::thread::park();
                }
            })
            .unwrap();
            send(child.pidfd.as_fd(), number).unwrap();
            let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
            assert_eq!(status.terminating_signal(), Some(number.into()));
            let gone = Error::Send { number, source: rustix::io::Errno::SRCH };
            assert_eq!(send(child.pidfd.as_fd(), number), Err(gone));
        }
    }

    #[test]
    fn what_is_ignored_or_blocked_is_neither_afterwards() {
        let none = "0000000000000000";
        assert_eq!(found(true), format!("SigBlk:\t{none}\nSigIgn:\t{none}\n"));
        assert!(!found(false).contains(none));
    }
}
