//! The kernel takes the default profile and answers as the interpreter does. Needs root, so that only the filter can refuse.

use std::os::fd::AsFd;

use coracle_fence::{
    Error,
    clone::{Namespaces, spawn},
    filter,
};
use coracle_runtime::{
    plan::CapMask,
    seccomp::{compile, container},
};
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketType, socket},
    process::{WaitId, WaitIdOptions, chroot, waitid},
    thread::set_no_new_privs,
};

/// The bits of all that went otherwise than `want` for chroot, clone3, AF_VSOCK and AF_UNIX.
fn surprises(want: [Option<Errno>; 4]) -> u8 {
    let clone = match spawn(Namespaces::NONE, None, || 0) {
        Err(Error::Clone { source, .. }) => Some(source),
        _ => None,
    };
    let got = [
        chroot(c"/").err(),
        clone,
        socket(AddressFamily::VSOCK, SocketType::STREAM, None).err(),
        socket(AddressFamily::UNIX, SocketType::STREAM, None).err(),
    ];
    got.into_iter().zip(want).enumerate().map(|(bit, (got, want))| u8::from(got != want) << bit).sum()
}

#[test]
fn the_kernel_refuses_what_the_profile_refuses() {
    let program: Vec<libc::sock_filter> = compile(&container::policy(CapMask::default()))
        .unwrap()
        .into_iter()
        .map(|insn| libc::sock_filter { code: insn.code, jt: insn.jt, jf: insn.jf, k: insn.k })
        .collect();
    let (perm, nosys) = (Some(Errno::PERM), Some(Errno::NOSYS));
    let child = spawn(Namespaces::NONE, None, || {
        if surprises([None; 4]) != 0 {
            return 100;
        }
        if set_no_new_privs(true).is_err() || filter::install(&program, filter::Flags::NONE).is_err() {
            return 101;
        }
        surprises([perm, nosys, perm, None])
    })
    .unwrap();
    let status = waitid(WaitId::PidFd(child.pidfd.as_fd()), WaitIdOptions::EXITED).unwrap().unwrap();
    assert_eq!(status.exit_status(), Some(0));
}
