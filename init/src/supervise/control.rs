//! The socket at which PID 1 takes orders: who may talk, how many at a time, and how long. What is said is
//! [`coracle_layout::control`].
//!
//! Nothing here waits, and nothing grows: a packet is read into a buffer of the longest request, an answer is handed to the
//! kernel whole or its reader dropped, and whoever says nothing for a while makes room. A peer must be the host's root.

use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::Duration,
};

use coracle_layout::control::{BadText, MAX_REQUEST, Request};
use rustix::{
    fs::{Mode, fchmod},
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind,
        listen, recv, send, socket_with, sockopt::socket_peercred,
    },
    process::Uid,
};

use super::polled::{Polled, Token};
use crate::log::warning;

/// Connections at a time; what comes beyond is closed at once.
const PEERS: usize = 4;
/// How long a connection may be silent.
const PATIENCE: Duration = Duration::from_secs(60);

/// The listener and whoever is connected.
#[derive(Debug)]
pub(crate) struct Control {
    listener: OwnedFd,
    owner: Uid,
    peers: [Option<Peer>; PEERS],
}

#[derive(Debug)]
struct Peer {
    socket: OwnedFd,
    /// When it last said something.
    heard: Duration,
}

impl Control {
    /// Listens at `path`, where nothing may be yet, for processes of `owner`.
    pub(crate) fn open(path: &Path, owner: Uid, polled: &Polled) -> Result<Self, Errno> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let listener = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        // Before it has a name: the file is made with the socket's mode, and is never open to others.
        fchmod(&listener, Mode::RUSR | Mode::WUSR)?;
        bind(&listener, &SocketAddrUnix::new(path)?)?;
        listen(&listener, PEERS as i32)?;
        polled.add(&listener, Token::Control).map_err(|errno| Errno::from_raw_os_error(errno as i32))?;
        Ok(Self { listener, owner, peers: Default::default() })
    }

    /// Takes the next connection, if there is one and it may be.
    pub(crate) fn accept(&mut self, polled: &Polled, now: Duration) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        // One that is gone again already is no news.
        let Ok(socket) = accept_with(&self.listener, flags) else { return };
        if !socket_peercred(&socket).is_ok_and(|peer| peer.uid == self.owner) {
            warning!("order refused: not from root");
            return;
        }
        let free = self.peers.iter_mut().enumerate().find(|(_, peer)| peer.is_none());
        let Some((index, free)) = free else { return };
        if polled.add(&socket, Token::Peer(index)).is_ok() {
            *free = Some(Peer { socket, heard: now });
        }
    }

    /// The next request of a connection, if there is one; what is none as an error.
    pub(crate) fn read(
        &mut self,
        index: usize,
        polled: &Polled,
        now: Duration,
    ) -> Option<Result<Request, BadText>> {
        let peer = self.peers.get_mut(index)?.as_mut()?;
        // One byte more than a request: what is longer is cut there by the kernel, and is none either.
        let mut packet = [0; MAX_REQUEST + 1];
        match recv(&peer.socket, packet.as_mut_slice(), RecvFlags::DONTWAIT) {
            Ok((len, _)) if len > 0 => {
                peer.heard = now;
                let text = std::str::from_utf8(packet.get(..len).unwrap_or_default());
                Some(text.unwrap_or_default().parse())
            }
            Err(Errno::AGAIN | Errno::INTR) => None,
            _ => {
                self.drop_peer(index, polled);
                None
            }
        }
    }

    /// Answers a connection. One that has left earlier answers unread, so that there is no room, is dropped.
    pub(crate) fn answer(&mut self, index: usize, text: &str, polled: &Polled) {
        let Some(Some(peer)) = self.peers.get(index) else { return };
        if send(&peer.socket, text.as_bytes(), SendFlags::DONTWAIT | SendFlags::NOSIGNAL).is_err() {
            self.drop_peer(index, polled);
        }
    }

    /// Drops connections that have been silent for too long.
    pub(crate) fn drop_silent(&mut self, polled: &Polled, now: Duration) {
        for index in 0..PEERS {
            let heard = self.peers.get(index).and_then(Option::as_ref).map(|peer| peer.heard);
            if heard.is_some_and(|heard| now.saturating_sub(heard) >= PATIENCE) {
                self.drop_peer(index, polled);
            }
        }
    }

    fn drop_peer(&mut self, index: usize, polled: &Polled) {
        if let Some(peer) = self.peers.get_mut(index).and_then(Option::take) {
            // Closing is not enough while a child on its way to a program has a copy.
            polled.remove(peer.socket.as_fd());
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::PermissionsExt;

    use coracle_layout::control::MAX_ANSWER;
    use rustix::{net::connect, process::geteuid};

    use super::*;

    struct Scene {
        folder: tempfile::TempDir,
        polled: Polled,
        control: Control,
    }

    impl Scene {
        fn new(owner: Uid) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let polled = Polled::new().unwrap();
            let control = Control::open(&folder.path().join("control"), owner, &polled).unwrap();
            Self { folder, polled, control }
        }

        fn connect(&self) -> OwnedFd {
            let socket =
                socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::NONBLOCK, None).unwrap();
            let address = SocketAddrUnix::new(self.folder.path().join("control")).unwrap();
            connect(&socket, &address).unwrap();
            socket
        }

        /// What the loop does with everything that is there now, echoing requests.
        fn turn(&mut self, now: Duration) -> Vec<Result<Request, BadText>> {
            let mut requests = vec![];
            for token in self.polled.wait(Duration::ZERO).unwrap() {
                match token {
                    Token::Control => self.control.accept(&self.polled, now),
                    Token::Peer(index) => {
                        if let Some(request) = self.control.read(index, &self.polled, now) {
                            let text = request.as_ref().map_or_else(BadText::to_string, Request::to_string);
                            self.control.answer(index, &text, &self.polled);
                            requests.push(request);
                        }
                    }
                    other => unreachable!("{other:?}"),
                }
            }
            requests
        }

        fn peers(&self) -> usize {
            self.control.peers.iter().flatten().count()
        }
    }

    fn say(socket: &OwnedFd, packet: &[u8]) {
        assert_eq!(send(socket, packet, SendFlags::NOSIGNAL), Ok(packet.len()));
    }

    fn hear(socket: &OwnedFd) -> Result<String, Errno> {
        let mut answer = vec![0; MAX_ANSWER];
        let (len, _) = recv(socket, answer.as_mut_slice(), RecvFlags::empty())?;
        answer.truncate(len);
        Ok(String::from_utf8(answer).unwrap())
    }

    #[test]
    fn packets_are_requests_and_the_file_is_for_its_owner_alone() {
        let mut scene = Scene::new(geteuid());
        let mode = scene.folder.path().join("control").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let socket = scene.connect();
        scene.turn(Duration::ZERO);
        let long = [b"status".as_slice(), &[b' '; 1 << 16]].concat();
        for (packet, good) in [
            (b"status".as_slice(), true),
            (b"undrain", true),
            (b"statusstatusstatus", false),
            (b"\xff\xfe", false),
            (b"status\n", false),
            (&long, false),
        ] {
            say(&socket, packet);
            let requests = scene.turn(Duration::ZERO);
            assert_eq!(requests.iter().map(Result::is_ok).collect::<Vec<_>>(), [good]);
            assert_eq!(hear(&socket).unwrap() == "not a request", !good);
        }
    }

    #[test]
    fn strangers_and_the_fifth_are_closed() {
        let nobody = Uid::from_raw(geteuid().as_raw() + 1);
        let mut scene = Scene::new(nobody);
        let socket = scene.connect();
        scene.turn(Duration::ZERO);
        assert_eq!((scene.peers(), hear(&socket).unwrap().as_str()), (0, ""));

        let mut scene = Scene::new(geteuid());
        let sockets: Vec<_> = (0..=PEERS)
            .map(|_| {
                let socket = scene.connect();
                scene.turn(Duration::ZERO);
                socket
            })
            .collect();
        assert_eq!((scene.peers(), hear(sockets.last().unwrap()).unwrap().as_str()), (PEERS, ""));
        assert_eq!(hear(sockets.first().unwrap()), Err(Errno::AGAIN), "still connected");
        drop(sockets);
        scene.turn(Duration::ZERO);
        assert_eq!(scene.peers(), 0);
    }

    #[test]
    fn who_reads_no_answers_or_is_silent_is_dropped() {
        let mut scene = Scene::new(geteuid());
        let socket = scene.connect();
        scene.turn(Duration::ZERO);
        let longest = "x".repeat(MAX_ANSWER);
        scene.control.answer(0, &longest, &scene.polled);
        assert_eq!(hear(&socket).unwrap(), longest, "the longest answer is one packet");
        let unread = (0..16).take_while(|_| {
            scene.control.answer(0, &longest, &scene.polled);
            scene.control.peers.iter().flatten().count() == 1
        });
        assert!(unread.count() < 4);

        let _silent = scene.connect();
        scene.turn(Duration::ZERO);
        scene.control.drop_silent(&scene.polled, PATIENCE - Duration::from_millis(1));
        assert_eq!(scene.peers(), 1);
        scene.control.drop_silent(&scene.polled, PATIENCE);
        assert_eq!(scene.peers(), 0);
    }

    #[test]
    fn a_thousand_visitors_leave_nothing_behind() {
        let mut scene = Scene::new(geteuid());
        for _ in 0..1000 {
            let socket = scene.connect();
            scene.turn(Duration::ZERO);
            say(&socket, b"status");
            assert_eq!(scene.turn(Duration::ZERO), [Ok(Request::Status)]);
            drop(socket);
            scene.turn(Duration::ZERO);
        }
        assert_eq!(scene.peers(), 0);
    }
}
