//! The two ways to a DHCP server.
//!
//! Without an address messages travel in frames of our own: a UDP socket would send from another interface's address where
//! there is one, and would not hear the answer where reverse path filtering is on (net/ipv4/fib_frontend.c). With an
//! address a UDP socket does all of it, and no other traffic passes a filter of ours.

use std::{
    ffi::OsString,
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use coracle_fence::packet;
use coracle_netlink::Index;
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, MsgFlags, SockFlag, SockType, SockaddrIn, bind, recv, recvfrom, send, sendto,
        setsockopt, socket,
        sockopt::{BindToDevice, Broadcast},
    },
};

use crate::{
    datagram::{self, CLIENT_PORT, SERVER_PORT},
    error::Error,
};

/// A socket of one interface.
#[derive(Debug)]
pub(crate) enum Transport {
    /// Frames, from and to a machine without an address.
    Frames { fd: OwnedFd, hardware: [u8; 6] },
    /// Datagrams, from and to the interface's address.
    Datagrams { fd: OwnedFd },
}

impl Transport {
    pub(crate) fn frames(index: Index, hardware: [u8; 6]) -> Result<Self, Error> {
        // An index is at most i32::MAX.
        let interface = i32::try_from(index.get()).unwrap_or(i32::MAX);
        let fd = packet::listen(interface, datagram::IPV4, &datagram::FILTER).map_err(Error::Packet)?;
        Ok(Self::Frames { fd, hardware })
    }

    pub(crate) fn datagrams(name: &str) -> Result<Self, Error> {
        let failed = |operation| move |source| Error::Udp { operation, source };
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd =
            socket(AddressFamily::Inet, SockType::Datagram, flags, None).map_err(failed("open a socket"))?;
        setsockopt(&fd, BindToDevice, &OsString::from(name)).map_err(failed("bind to the interface"))?;
        setsockopt(&fd, Broadcast, &true).map_err(failed("allow broadcast"))?;
        let any = SockaddrIn::from(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT));
        bind(fd.as_raw_fd(), &any).map_err(failed("bind"))?;
        Ok(Self::Datagrams { fd })
    }

    /// Sends to that server, or to everybody.
    pub(crate) fn send(&self, message: &[u8], to: Option<Ipv4Addr>) -> Result<(), Error> {
        let sent = match self {
            Self::Frames { fd, hardware } => {
                send(fd.as_raw_fd(), &datagram::broadcast(*hardware, message), MsgFlags::empty())
            }
            Self::Datagrams { fd } => {
                let to = SocketAddrV4::new(to.unwrap_or(Ipv4Addr::BROADCAST), SERVER_PORT);
                sendto(fd.as_raw_fd(), message, &SockaddrIn::from(to), MsgFlags::empty())
            }
        };
        sent.map(drop).map_err(Error::Send)
    }

    /// The next message from a server's port. `Ok(None)` for what is something else.
    pub(crate) fn receive<'a>(&self, buffer: &'a mut [u8]) -> Result<Option<&'a [u8]>, Errno> {
        match self {
            Self::Frames { fd, .. } => {
                let len = recv(fd.as_raw_fd(), buffer, MsgFlags::empty())?;
                Ok(buffer.get(..len).and_then(datagram::message))
            }
            Self::Datagrams { fd } => {
                let (len, from) = recvfrom::<SockaddrIn>(fd.as_raw_fd(), buffer)?;
                let from_server = from.is_some_and(|from| from.port() == SERVER_PORT);
                Ok(buffer.get(..len).filter(|_| from_server))
            }
        }
    }
}

impl AsFd for Transport {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Frames { fd, .. } | Self::Datagrams { fd } => fd.as_fd(),
        }
    }
}
