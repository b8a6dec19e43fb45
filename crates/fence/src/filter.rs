//! Installing a seccomp program.
//!
//! <https://man7.org/linux/man-pages/man2/seccomp.2.html>, Linux 3.17.

use crate::{Error, error::last};

/// Installs `program` for the calling thread and all it will start; nothing takes it off again.
///
/// The thread has set `no_new_privs` or holds `CAP_SYS_ADMIN`. `sock_filter` is the C library's form of an instruction.
pub fn install(program: &[libc::sock_filter]) -> Result<(), Error> {
    let fail = |source| Error::Filter { len: program.len(), source };
    let len = u16::try_from(program.len()).map_err(|_| fail(rustix::io::Errno::INVAL))?;
    let whole = libc::sock_fprog { len, filter: program.as_ptr().cast_mut() };
    // SAFETY: `whole` points to `len` instructions that are borrowed across the call; the kernel copies them and writes
    // nothing, whatever the pointer's type says.
    let done =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const whole) };
    if done == 0 { Ok(()) } else { Err(fail(last())) }
}

#[cfg(test)]
mod tests {
    use rustix::io::Errno;

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
            if rustix::thread::set_no_new_privs(true).is_err() || install(&program).is_err() {
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
    fn programs_that_do_not_end_are_refused() {
        for program in [vec![], vec![insn(0x20, 0, 0, 0)], vec![insn(0x06, 0, 0, 0); 70_000]] {
            let refused = install(&program).unwrap_err();
            assert_eq!(refused, Error::Filter { len: program.len(), source: Errno::INVAL });
        }
    }
}
