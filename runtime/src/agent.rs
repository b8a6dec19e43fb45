//! Handing a descriptor over, as that of a terminal or of a seccomp filter's listener.

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{BorrowedFd, OwnedFd},
};

use rustix::{
    io::{Errno, retry_on_intr},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
        SendFlags, recvmsg, sendmsg,
    },
};

/// Sends all of `bytes` over a connected socket, and the descriptor with the first of them.
///
/// # Errors
/// The kernel's answer; `EINVAL` if there are no bytes, as a descriptor travels with one.
pub fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptor: BorrowedFd<'_>) -> Result<(), Errno> {
    if bytes.is_empty() {
        return Err(Errno::INVAL);
    }
    let descriptors = [descriptor];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = SendAncillaryBuffer::new(&mut space);
    if !rights.push(SendAncillaryMessage::ScmRights(&descriptors)) {
        return Err(Errno::NOBUFS);
    }
    let mut sent = 0;
    while let Some(rest) = bytes.get(sent..).filter(|rest| !rest.is_empty()) {
        let message = [IoSlice::new(rest)];
        sent += retry_on_intr(|| sendmsg(socket, &message, &mut rights, SendFlags::NOSIGNAL))?;
        rights.clear();
    }
    Ok(())
}

/// Takes what one message brings: how many bytes, and a descriptor if one is with them.
///
/// # Errors
/// The kernel's answer.
pub fn receive(socket: BorrowedFd<'_>, bytes: &mut [u8]) -> Result<(usize, Option<OwnedFd>), Errno> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut rights = RecvAncillaryBuffer::new(&mut space);
    let mut message = [IoSliceMut::new(bytes)];
    let got = retry_on_intr(|| recvmsg(socket, &mut message, &mut rights, RecvFlags::CMSG_CLOEXEC))?;
    let mut descriptors = rights.drain().filter_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    Ok((got.bytes, descriptors.next()))
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{IoSliceMut, Read, Write},
        os::{
            fd::{AsFd, OwnedFd},
            unix::net::UnixStream,
        },
        thread,
    };

    use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg};

    use super::*;

    /// The descriptors that come with the first bytes, which are put into `bytes`.
    fn received(socket: &UnixStream, bytes: &mut Vec<u8>) -> Vec<OwnedFd> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let mut first = [0; 64];
        let got = recvmsg(socket, &mut [IoSliceMut::new(&mut first)], &mut rights, RecvFlags::CMSG_CLOEXEC);
        bytes.extend_from_slice(&first[..got.unwrap().bytes]);
        let messages = rights.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        messages.flatten().collect()
    }

    #[test]
    fn all_bytes_arrive_and_the_descriptor_once() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let (mut agent, socket) = UnixStream::pair().unwrap();
        // More than a socket holds.
        let long: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
        let sender = thread::spawn({
            let long = long.clone();
            move || send(socket.as_fd(), &long, writer.as_fd())
        });
        let mut bytes = Vec::new();
        let descriptors = received(&agent, &mut bytes);
        let [descriptor] = <[OwnedFd; 1]>::try_from(descriptors).unwrap();
        agent.read_to_end(&mut bytes).unwrap();
        sender.join().unwrap().unwrap();
        assert!(bytes == long);
        File::from(descriptor).write_all(b"by the agent").unwrap();
        let mut said = String::new();
        reader.read_to_string(&mut said).unwrap();
        assert_eq!(said, "by the agent");
    }

    #[test]
    fn nothing_to_say_and_nobody_to_hear_it_are_errors() {
        let (agent, socket) = UnixStream::pair().unwrap();
        let send = |bytes| send(socket.as_fd(), bytes, agent.as_fd());
        assert_eq!(send(b""), Err(Errno::INVAL));
        assert_eq!(send(b"x"), Ok(()));
        agent.shutdown(std::net::Shutdown::Both).unwrap();
        assert_eq!(send(b"x"), Err(Errno::PIPE));
    }
}
