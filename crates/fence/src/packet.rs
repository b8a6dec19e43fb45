//! Whole frames of one interface, chosen by a filter in the kernel.
//!
//! <https://man7.org/linux/man-pages/man7/packet.7.html>, Linux 2.2; socket filters: socket(7), `SO_ATTACH_FILTER`. nix and
//! rustix know the address family but can make no address of it.

use std::{
    ffi::c_int,
    os::fd::{AsRawFd, FromRawFd, OwnedFd},
};

use rustix::io::Errno;

use crate::{Error, error::last};

/// Opens a socket that does not block, for the frames of one type of Ethernet that arrive at the interface with this index
/// and for which `filter`, a program over the frame, returns more than zero. What is sent to it leaves by that interface.
///
/// Needs `CAP_NET_RAW`. No frame gets past the filter: the socket hears nothing before it is there.
pub fn listen(interface: c_int, ethertype: u16, filter: &[libc::sock_filter]) -> Result<OwnedFd, Error> {
    let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointer is passed.
    let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
    if fd < 0 {
        return Err(fail("socket"));
    }
    // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    let len = u16::try_from(filter.len())
        .map_err(|_| Error::Packet { operation: "setsockopt", source: Errno::INVAL })?;
    let program = libc::sock_fprog { len, filter: filter.as_ptr().cast_mut() };
    // SAFETY: `program` is a `sock_fprog` of the size given and points to `len` instructions that are borrowed across the
    // call; the kernel copies them and writes nothing, whatever the pointer's type says.
    let attached = unsafe {
        let (level, name) = (libc::SOL_SOCKET, libc::SO_ATTACH_FILTER);
        let size = size_of::<libc::sock_fprog>() as libc::socklen_t;
        libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const program).cast(), size)
    };
    if attached != 0 {
        return Err(fail("setsockopt"));
    }
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: ethertype.to_be(),
        sll_ifindex: interface,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let size = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: `address` is a `sockaddr_ll` of the size given, which the kernel only reads.
    match unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), size) } {
        0 => Ok(fd),
        _ => Err(fail("bind")),
    }
}

fn fail(operation: &'static str) -> Error {
    Error::Packet { operation, source: last() }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use rustix::net::{RecvFlags, recv};

    use super::*;

    const LOOPBACK: c_int = 1;
    const IPV4: u16 = 0x0800;

    fn insn(code: u16, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code, jt, jf, k }
    }

    /// UDP to this port, in packets without options.
    fn udp_to(port: u16) -> [libc::sock_filter; 6] {
        [
            insn(0x30, 0, 0, 14 + 9),      // Load the byte of the protocol.
            insn(0x15, 0, 3, 17),          // UDP?
            insn(0x28, 0, 0, 14 + 20 + 2), // Load the half word of the destination port.
            insn(0x15, 0, 1, port.into()),
            insn(0x06, 0, 0, 2048),
            insn(0x06, 0, 0, 0),
        ]
    }

    #[test]
    fn only_what_the_filter_wants_arrives() {
        let [wanted, other] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let socket = listen(LOOPBACK, IPV4, &udp_to(wanted.local_addr().unwrap().port())).unwrap();
        let from = UdpSocket::bind("127.0.0.1:0").unwrap();
        for (to, text) in [(&other, "one"), (&wanted, "two"), (&other, "three")] {
            from.send_to(text.as_bytes(), to.local_addr().unwrap()).unwrap();
        }
        let mut frame = [0; 100];
        // Traffic over the loopback interface has arrived when it has been sent.
        let (len, _) = recv(&socket, &mut frame, RecvFlags::empty()).unwrap();
        assert_eq!(&frame[14 + 20 + 8..len], b"two");
        assert_eq!(recv(&socket, &mut frame, RecvFlags::empty()).unwrap_err(), Errno::AGAIN);
    }

    #[test]
    fn what_cannot_be_listened_to_is_refused() {
        let refused = |operation, source| Error::Packet { operation, source };
        let port = udp_to(1);
        assert_eq!(listen(i32::MAX, IPV4, &port).unwrap_err(), refused("bind", Errno::NODEV));
        for filter in [&[][..], &[insn(0x20, 0, 0, 0)], &[port[5]; 70_000]] {
            assert_eq!(listen(LOOPBACK, IPV4, filter).unwrap_err(), refused("setsockopt", Errno::INVAL));
        }
    }
}
