//! Installing a seccomp program.
//!
//! <https://man7.org/linux/man-pages/man2/seccomp.2.html>, Linux 3.17; flags and listeners need Linux 5.19 at most.

use std::os::fd::{FromRawFd, OwnedFd, RawFd};

use crate::{Error, error::last};

/// How a program is installed, as `SECCOMP_FILTER_FLAG_*` bits (linux/seccomp.h).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flags(u32);

impl Flags {
    /// For the calling thread, and nothing else.
    pub const NONE: Self = Self(0);
    /// For all threads of the process; if one cannot follow, for none.
    pub const TSYNC: Self = Self(1 | TSYNC_ESRCH);
    /// With every verdict logged but to let a call through.
    pub const LOG: Self = Self(1 << 1);
    /// Without the mitigation of speculative store bypass.
    pub const SPEC_ALLOW: Self = Self(1 << 2);
    /// Once the listener has received a call, only a fatal signal interrupts it. Goes with [`listen`] alone.
    pub const WAIT_KILLABLE_RECV: Self = Self(1 << 5);

    /// Both.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    #[cfg(test)]
    pub(crate) const fn bits(self) -> u64 {
        self.0 as u64
    }
}

/// `SECCOMP_FILTER_FLAG_NEW_LISTENER` (linux/seccomp.h).
pub(crate) const NEW_LISTENER: u32 = 1 << 3;
/// `SECCOMP_FILTER_FLAG_TSYNC_ESRCH` (linux/seccomp.h): a thread that cannot follow is an errno, not a thread id.
pub(crate) const TSYNC_ESRCH: u32 = 1 << 4;

/// A program and how it is installed; an empty one is none.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Its instructions, in the C library's form.
    pub program: Vec<libc::sock_filter>,
    /// How.
    pub flags: Flags,
}

/// Installs `program` for the calling thread and all it will start; nothing takes it off again.
///
/// The thread has set `no_new_privs` or holds `CAP_SYS_ADMIN`. `sock_filter` is the C library's form of an instruction.
pub fn install(program: &[libc::sock_filter], flags: Flags) -> Result<(), Error> {
    set(program, flags.0).map(|_| ())
}

/// Does the same, and returns the listener that is asked for the verdict of every call that the program gives to it. It is
/// closed on exec.
pub fn listen(program: &[libc::sock_filter], flags: Flags) -> Result<OwnedFd, Error> {
    let listener = set(program, flags.0 | NEW_LISTENER)?;
    // SAFETY: with this flag the kernel's answer, if it is no error, is a new descriptor, which nobody else knows of.
    Ok(unsafe { OwnedFd::from_raw_fd(listener) })
}

/// The kernel's answer: a descriptor or zero.
fn set(program: &[libc::sock_filter], flags: u32) -> Result<RawFd, Error> {
    let fail = |source| Error::Filter { len: program.len(), source };
    let len = u16::try_from(program.len()).map_err(|_| fail(rustix::io::Errno::INVAL))?;
    let whole = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: `whole` points to `len` instructions that are borrowed across the call; the kernel copies them and writes
    // nothing, whatever the pointer's type says.
    let done =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &raw const whole) };
    if done < 0 { Err(fail(last())) } else { Ok(done as RawFd) } // A descriptor is never longer.
}

#[cfg(test)]
mod tests {
    use std::{
        io::{IoSlice, IoSliceMut},
        mem::{self, MaybeUninit},
        os::{
            fd::{AsFd, AsRawFd},
            unix::net::UnixStream,
        },
    };

    use rustix::{
        io::Errno,
        net::{
            RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
            SendFlags, recvmsg, sendmsg,
        },
    };

    use super::*;
    use crate::clone::{Namespaces, spawn, tests::exit_code};

    fn insn(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code, jt, jf, k }
    }

    #[test]
    fn a_program_answers_for_the_kernel() {
        // mkdir fails with EXDEV, all else passes.
        let program = [
            insn(0x20, 0, 0, 0),
            insn(0x15, 0, 1, libc::SYS_mkdir as u32),
            insn(0x06, 0, 0, 0x0005_0000 | libc::EXDEV as u32),
            insn(0x06, 0, 0, 0x7fff_0000),
        ];
        let child = spawn(Namespaces::NONE, None, || {
            if rustix::thread::set_no_new_privs(true).is_err() || install(&program, Flags::NONE).is_err() {
                return 1;
            }
            // SAFETY: the path is a C string literal, which the kernel only reads.
            let made = unsafe { libc::syscall(libc::SYS_mkdir, c"/".as_ptr(), 0o700) };
            if made == -1 && last() == Errno::XDEV { 0 } else { 2 }
        })
        .unwrap();
        assert_eq!(exit_code(&child), Some(0));
    }

    #[test]
    fn flags_reach_the_kernel() {
        let allow = [insn(0x06, 0, 0, 0x7fff_0000)];
        let cases = [
            (Flags::TSYNC, 0),
            (Flags::LOG.and(Flags::SPEC_ALLOW), 0),
            (Flags::TSYNC.and(Flags::LOG).and(Flags::SPEC_ALLOW), 0),
            // Without a listener there is nothing to receive.
            (Flags::WAIT_KILLABLE_RECV, 1),
            (Flags(1 << 31), 1),
        ];
        for (flags, want) in cases {
            let child = spawn(Namespaces::NONE, None, || {
                let ready = rustix::thread::set_no_new_privs(true).is_ok();
                u8::from(!ready || install(&allow, flags).is_err())
            });
            assert_eq!(exit_code(&child.unwrap()), Some(want), "{flags:?}");
        }
    }

    #[test]
    fn a_listener_answers_for_the_kernel() {
        // mkdir is the listener's to answer, all else passes.
        let program = [
            insn(0x20, 0, 0, 0),
            insn(0x15, 0, 1, libc::SYS_mkdir as u32),
            insn(0x06, 0, 0, libc::SECCOMP_RET_USER_NOTIF),
            insn(0x06, 0, 0, 0x7fff_0000),
        ];
        let (socket, theirs) = UnixStream::pair().unwrap();
        let flags = Flags::WAIT_KILLABLE_RECV.and(Flags::TSYNC);
        let child = spawn(Namespaces::NONE, None, || {
            if rustix::thread::set_no_new_privs(true).is_err() {
                return 1;
            }
            let Ok(listener) = listen(&program, flags) else { return 2 };
            let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
            let mut rights = SendAncillaryBuffer::new(&mut space);
            let fds = [listener.as_fd()];
            if !rights.push(SendAncillaryMessage::ScmRights(&fds)) {
                return 3;
            }
            if sendmsg(&theirs, &[IoSlice::new(b"x")], &mut rights, SendFlags::empty()).is_err() {
                return 4;
            }
            drop(listener);
            // SAFETY: the path is a C string literal, which the kernel only reads.
            let made = unsafe { libc::syscall(libc::SYS_mkdir, c"/".as_ptr(), 0o700) };
            if made == -1 && last() == Errno::XDEV { 0 } else { 5 }
        })
        .unwrap();
        drop(theirs);
        let listener = received(&socket);
        // SAFETY: all zero is a value of a structure of integers.
        let mut call: libc::seccomp_notif = unsafe { mem::zeroed() };
        // SAFETY: the descriptor is a listener, whose command writes this structure and keeps nothing of it.
        let got = unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_RECV, &raw mut call) };
        assert_eq!((got, call.data.nr, call.data.args[1]), (0, libc::SYS_mkdir as i32, 0o700));
        let answer = libc::seccomp_notif_resp { id: call.id, val: 0, error: -libc::EXDEV, flags: 0 };
        // SAFETY: as above; the command only reads the structure.
        assert_eq!(unsafe { libc::ioctl(listener.as_raw_fd(), NOTIF_SEND, &raw const answer) }, 0);
        assert_eq!(exit_code(&child), Some(0));
    }

    /// `SECCOMP_IOCTL_NOTIF_RECV` and `SECCOMP_IOCTL_NOTIF_SEND` (linux/seccomp.h).
    const NOTIF_RECV: libc::Ioctl = 0xc050_2100;
    const NOTIF_SEND: libc::Ioctl = 0xc018_2101;

    fn received(socket: &UnixStream) -> OwnedFd {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let flags = RecvFlags::CMSG_CLOEXEC;
        recvmsg(socket, &mut [IoSliceMut::new(&mut byte)], &mut rights, flags).unwrap();
        let first = rights.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
            _ => None,
        });
        first.unwrap()
    }

    #[test]
    fn programs_that_do_not_end_are_refused() {
        for program in [vec![], vec![insn(0x20, 0, 0, 0)], vec![insn(0x06, 0, 0, 0); 70_000]] {
            let refused = install(&program, Flags::NONE).unwrap_err();
            assert_eq!(refused, Error::Filter { len: program.len(), source: Errno::INVAL });
        }
    }
}
