//! A new network namespace: its loopback interface, and what its owner would otherwise need capabilities for.
//!
//! The namespace belongs to the host's user namespace, so that no capability of the container reaches it: the kernel's network
//! configuration is a large surface. Ports below 1024 and echo requests are therefore open to all in it.

use std::{ffi::CStr, os::fd::BorrowedFd};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::{Errno, read, write},
    net::{AddressFamily, SocketFlags, SocketType, socket_with},
};

/// `struct nlmsghdr` and `struct ifinfomsg` (linux/netlink.h, linux/rtnetlink.h): set the flag "up" of interface 1, and say so.
const UP: [u8; 32] = [
    32, 0, 0, 0, // length
    16, 0, // RTM_NEWLINK
    5, 0, // NLM_F_REQUEST | NLM_F_ACK
    1, 0, 0, 0, // sequence number
    0, 0, 0, 0, // the kernel
    0, 0, 0, 0, // any family, any type
    1, 0, 0, 0, // the interface: loopback is the first of every namespace
    1, 0, 0, 0, // IFF_UP
    1, 0, 0, 0, // of which only IFF_UP changes
];

/// Brings the loopback interface up; the kernel gives it its addresses.
pub(super) fn loopback() -> Result<(), Errno> {
    // Protocol 0 is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    write(&socket, &UP)?;
    let mut answer = [0; 64];
    let len = read(&socket, &mut answer)?;
    acknowledged(answer.get(..len).unwrap_or_default())
}

/// `NLMSG_ERROR` (2, linux/netlink.h), which also acknowledges: a header as above, then the errno, negated.
fn acknowledged(answer: &[u8]) -> Result<(), Errno> {
    match answer {
        [_, _, _, _, 2, 0, _, _, _, _, _, _, _, _, _, _, a, b, c, d, ..] => {
            match i32::from_le_bytes([*a, *b, *c, *d]) {
                0 => Ok(()),
                negated => Err(Errno::from_raw_os_error(negated.wrapping_neg())),
            }
        }
        _ => Err(Errno::BADMSG),
    }
}

/// Opens low ports and echo requests to every user, in the present network namespace. A kernel without IPv4 has neither.
pub(super) fn open_low_ports_and_ping(proc: BorrowedFd<'_>) -> Result<(), Errno> {
    // The largest group the kernel takes here.
    let settings: [(&CStr, &[u8]); 2] = [
        (c"sys/net/ipv4/ip_unprivileged_port_start", b"0"),
        (c"sys/net/ipv4/ping_group_range", b"0 2147483647"),
    ];
    for (path, value) in settings {
        match openat(proc, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()) {
            Ok(file) => write(&file, value).map(|_| ())?,
            Err(Errno::NOENT) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_as_the_kernel_writes_them() {
        let answer = |kind: u8, errno: i32| {
            let mut bytes = UP.to_vec();
            bytes[4] = kind;
            bytes[16..20].copy_from_slice(&(-errno).to_le_bytes());
            acknowledged(&bytes)
        };
        assert_eq!(answer(2, 0), Ok(()));
        assert_eq!(answer(2, libc::EPERM), Err(Errno::PERM));
        assert_eq!(answer(16, 0), Err(Errno::BADMSG));
        assert_eq!(acknowledged(&UP[..19]), Err(Errno::BADMSG));
    }
}
