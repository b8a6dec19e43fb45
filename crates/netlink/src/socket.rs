//! The two uses of a route netlink socket: asking and listening.
//!
//! The kernel answers a request before `sendto` returns, so that asking never waits for long; the time limit is for a
//! kernel that we do not understand.

use std::{
    io::IoSliceMut,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
};

use nix::{
    errno::Errno,
    sys::{
        socket::{
            AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvmsg, sendto,
            setsockopt, socket, sockopt::ReceiveTimeout,
        },
        time::TimeVal,
    },
};

use crate::{
    error::Error,
    frame::{Frame, Frames},
    message::Message,
    request::Request,
};

/// Bytes of the longest datagram: the kernel fills at most 32 KiB while it tells of a table.
const DATAGRAM: usize = 32 * 1024;
/// Seconds to wait for the kernel's answer.
const PATIENCE: i64 = 5;
/// Entries that are held of one table.
const MAX_ENTRIES: usize = 1024;
/// Readings of a table that changes while it is read.
const TRIES: u32 = 5;
/// Datagrams that belong to earlier requests and are passed over.
const MAX_STALE: u32 = 64;
/// `NLM_F_DUMP_INTR`: the table changed while it was read.
const INTERRUPTED: u16 = 0x10;
/// `RTMGRP_LINK`, `RTMGRP_IPV4_IFADDR`, `RTMGRP_IPV6_IFADDR`.
pub(crate) const GROUPS: [u32; 3] = [0x1, 0x10, 0x100];

/// A socket for questions, one at a time.
#[derive(Debug)]
pub struct Requests {
    fd: OwnedFd,
    sequence: u32,
    buffer: Box<[u8]>,
}

impl Requests {
    /// Opens it in the caller's network namespace.
    pub fn open() -> Result<Self, Error> {
        Ok(Self { fd: asking()?, sequence: 0, buffer: vec![0; DATAGRAM].into() })
    }

    /// Has something changed, and waits until it is.
    pub fn change(&mut self, request: &Request) -> Result<(), Error> {
        let sequence = self.send(request)?;
        for _ in 0..MAX_STALE {
            let len = receive(&self.fd, &mut self.buffer)?.ok_or(Error::Silent)?;
            for frame in Frames::new(&self.buffer[..len]) {
                match understood(frame?, sequence)? {
                    Some(Message::Acknowledged) => return Ok(()),
                    Some(Message::Refused(errno)) => return Err(Error::Refused(errno)),
                    _ => {}
                }
            }
        }
        Err(Error::Silent)
    }

    /// Reads a table; of its entries those are held that `keep` wants.
    pub fn dump<T>(
        &mut self,
        request: &Request,
        mut keep: impl FnMut(Message) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for _ in 0..TRIES {
            match self.read_table(request, &mut keep) {
                Ok(Some(entries)) => return Ok(entries),
                Ok(None) => {}
                Err(error @ (Error::Refused(_) | Error::TooMany { .. })) => return Err(error),
                Err(error) => {
                    // An answer that was not read to its end would stand in the way of the next.
                    self.fd = asking()?;
                    return Err(error);
                }
            }
        }
        Err(Error::Changing { tries: TRIES })
    }

    /// One reading; `None` if the table changed meanwhile.
    fn read_table<T>(
        &mut self,
        request: &Request,
        keep: &mut impl FnMut(Message) -> Option<T>,
    ) -> Result<Option<Vec<T>>, Error> {
        let sequence = self.send(request)?;
        let (mut entries, mut stale, mut interrupted, mut over) = (vec![], 0, false, false);
        while stale < MAX_STALE {
            let len = receive(&self.fd, &mut self.buffer)?.ok_or(Error::Silent)?;
            let mut ours = false;
            for frame in Frames::new(&self.buffer[..len]) {
                let frame = frame?;
                let Some(message) = understood(frame, sequence)? else { continue };
                ours = true;
                interrupted |= frame.flags & INTERRUPTED != 0;
                match message {
                    Message::Done(Ok(())) if over => return Err(Error::TooMany { limit: MAX_ENTRIES }),
                    Message::Done(Ok(())) => return Ok((!interrupted).then_some(entries)),
                    Message::Done(Err(errno)) | Message::Refused(errno) => return Err(Error::Refused(errno)),
                    Message::Overrun => return Err(Error::Overrun),
                    message => match keep(message) {
                        Some(_) if entries.len() == MAX_ENTRIES => over = true,
                        entry => entries.extend(entry),
                    },
                }
            }
            stale += u32::from(!ours);
        }
        Err(Error::Silent)
    }

    fn send(&mut self, request: &Request) -> Result<u32, Error> {
        self.sequence = self.sequence.wrapping_add(1);
        let bytes = request.to_bytes(self.sequence);
        let kernel = NetlinkAddr::new(0, 0);
        sendto(self.fd.as_raw_fd(), &bytes, &kernel, MsgFlags::empty()).map_err(failed("sendto"))?;
        Ok(self.sequence)
    }
}

/// A socket that hears of links and addresses.
#[derive(Debug)]
pub struct Events {
    fd: OwnedFd,
    buffer: Box<[u8]>,
}

impl Events {
    /// Opens it in the caller's network namespace. What happened before is read with [`Requests::dump`], afterwards.
    pub fn open() -> Result<Self, Error> {
        let fd = open(SockFlag::SOCK_NONBLOCK, GROUPS.iter().fold(0, |all, group| all | group))?;
        Ok(Self { fd, buffer: vec![0; DATAGRAM].into() })
    }

    /// Passes the messages of one datagram on; `false` if none waits.
    ///
    /// After [`Error::Overrun`] the tables must be read anew.
    pub fn receive(&mut self, mut each: impl FnMut(Message)) -> Result<bool, Error> {
        let Some(len) = receive(&self.fd, &mut self.buffer)? else { return Ok(false) };
        for frame in Frames::new(&self.buffer[..len]) {
            match Message::decode(&frame?)? {
                Message::Overrun => return Err(Error::Overrun),
                message => each(message),
            }
        }
        Ok(true)
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A socket that waits for answers.
fn asking() -> Result<OwnedFd, Error> {
    let fd = open(SockFlag::empty(), 0)?;
    setsockopt(&fd, ReceiveTimeout, &TimeVal::new(PATIENCE, 0)).map_err(failed("setsockopt"))?;
    Ok(fd)
}

fn open(flags: SockFlag, groups: u32) -> Result<OwnedFd, Error> {
    let flags = flags | SockFlag::SOCK_CLOEXEC;
    let fd = socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkRoute)
        .map_err(failed("socket"))?;
    bind(fd.as_raw_fd(), &NetlinkAddr::new(0, groups)).map_err(failed("bind"))?;
    Ok(fd)
}

/// The length of the next datagram from the kernel; `None` if there is none, or none in time.
fn receive(fd: &OwnedFd, buffer: &mut [u8]) -> Result<Option<usize>, Error> {
    loop {
        let mut parts = [IoSliceMut::new(buffer)];
        match recvmsg::<NetlinkAddr>(fd.as_raw_fd(), &mut parts, None, MsgFlags::empty()) {
            // A cut datagram is as good as a lost one.
            Ok(got) if got.flags.contains(MsgFlags::MSG_TRUNC) => return Err(Error::Overrun),
            // Another process may write to us; only the kernel has port 0.
            Ok(got) if got.address.is_none_or(|address| address.pid() != 0) => {}
            Ok(got) => return Ok(Some(got.bytes)),
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => return Ok(None),
            Err(Errno::ENOBUFS) => return Err(Error::Overrun),
            Err(errno) => return Err(failed("recvmsg")(errno)),
        }
    }
}

/// The message, if it answers the request with that number.
fn understood(frame: Frame<'_>, sequence: u32) -> Result<Option<Message>, Error> {
    if frame.sequence != sequence {
        return Ok(None);
    }
    Ok(Some(Message::decode(&frame)?))
}

fn failed(operation: &'static str) -> impl Fn(Errno) -> Error {
    move |source| Error::Socket { operation, source }
}
