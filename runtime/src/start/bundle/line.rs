//! What a starting child and whoever started it say to each other, over a socket that keeps words apart.
//!
//! The child says words of eight bytes: a [`Failure`], or, where that has its stage, zero and what follows.
//!
//! | second byte | fifth to eighth | |
//! |---|---|---|
//! | 1 | | everything is mounted; it waits for a word |
//! | 2 | process id, little-endian | this is the container's first process |
//! | 3 | | it waits for the gate to be opened |
//! | 4 | | with a descriptor: the listener of its seccomp filter |
//!
//! The end of the line without a word means that the program runs, or that the child was killed.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::{
    io::{Errno, fcntl_dupfd_cloexec, read, write},
    net::{AddressFamily, SocketFlags, SocketType, socketpair},
    process::Pid,
};

use crate::{
    Error, agent,
    start::stage::{At, Failure, Stage},
};

/// A word of the child's.
#[derive(Debug)]
pub enum Word {
    /// Everything is mounted. It waits for [`Line::go_on`].
    Furnished,
    /// The container's first process, as whoever started it knows it.
    Process(Pid),
    /// It waits at its gate.
    Created,
    /// Whoever has this is asked what its seccomp filter leaves open.
    Listener(OwnedFd),
    /// It has failed.
    Failed(Failure),
    /// The program runs, or the child was killed.
    End,
}

/// The end of whoever starts a container.
#[derive(Debug)]
pub struct Line(OwnedFd);

impl Line {
    pub(super) fn new() -> Result<(Self, OwnedFd), Error> {
        let failed = |source| Error::Report { step: "socketpair", source };
        let (ours, childs) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .map_err(failed)?;
        Ok((Self(ours), childs))
    }

    /// Waits for the next word.
    ///
    /// # Errors
    /// [`Error::Report`] and [`Error::Garbled`].
    pub fn next(&self) -> Result<Word, Error> {
        let mut word = [0; 8];
        let (len, descriptor) = match agent::receive(self.0.as_fd(), &mut word) {
            // A child that was killed with a word of ours unread.
            Err(Errno::CONNRESET) => (0, None),
            other => other.map_err(|source| Error::Report { step: "read", source })?,
        };
        match (len, word) {
            (0, _) => Ok(Word::End),
            (8, [0, 1, ..]) => Ok(Word::Furnished),
            (8, [0, 2, _, _, a, b, c, d]) => match Pid::from_raw(i32::from_le_bytes([a, b, c, d])) {
                Some(pid) => Ok(Word::Process(pid)),
                None => Err(Error::Garbled { stage: 0, len }),
            },
            (8, [0, 3, ..]) => Ok(Word::Created),
            (8, [0, 4, ..]) => descriptor.map(Word::Listener).ok_or(Error::Garbled { stage: 0, len }),
            _ => Failure::decode(word, len).map(Word::Failed),
        }
    }

    /// Lets a child that is [`Word::Furnished`] go on.
    ///
    /// # Errors
    /// [`Error::Report`].
    pub fn go_on(&self) -> Result<(), Error> {
        write(&self.0, &[1]).map(|_| ()).map_err(|source| Error::Report { step: "write", source })
    }
}

impl AsFd for Line {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The least number of a descriptor that is neither a standard one nor one of those that stay open.
pub(super) fn above(kept: u32) -> i32 {
    kept.saturating_add(3).try_into().unwrap_or(i32::MAX)
}

/// The child's end.
#[derive(Debug)]
pub(super) struct Childs(OwnedFd);

impl Childs {
    /// Takes the line under a number that is none of those that stay open.
    pub(super) fn new(line: &OwnedFd, kept: u32) -> Result<Self, Failure> {
        Ok(Self(fcntl_dupfd_cloexec(line, above(kept)).at(Stage::Line)?))
    }

    /// The same line once more.
    pub(super) fn again(&self) -> Result<Self, Failure> {
        Ok(Self(fcntl_dupfd_cloexec(&self.0, self.0.as_raw_fd()).at(Stage::Line)?))
    }

    /// Says that everything is mounted, and waits.
    pub(super) fn furnished(&self) -> Result<(), Failure> {
        self.say([0, 1, 0, 0, 0, 0, 0, 0])?;
        match read(&self.0, &mut [0; 1]) {
            Ok(1) => Ok(()),
            Ok(_) => Err(Errno::PIPE).at(Stage::Line),
            Err(errno) => Err(errno).at(Stage::Line),
        }
    }

    pub(super) fn process(&self, pid: Pid) -> Result<(), Failure> {
        let [a, b, c, d] = pid.as_raw_nonzero().get().to_le_bytes();
        self.say([0, 2, 0, 0, a, b, c, d])
    }

    pub(super) fn created(&self) -> Result<(), Failure> {
        self.say([0, 3, 0, 0, 0, 0, 0, 0])
    }

    pub(super) fn listener(&self, listener: BorrowedFd<'_>) -> Result<(), Failure> {
        agent::send(self.0.as_fd(), &[0, 4, 0, 0, 0, 0, 0, 0], listener).at(Stage::Line)
    }

    pub(super) fn failed(&self, failure: Failure) {
        // The other side sees the end of the line in any case; there is nobody else to tell.
        let _ = self.say(failure.encode());
    }

    pub(super) fn into_inner(self) -> OwnedFd {
        self.0
    }

    fn say(&self, word: [u8; 8]) -> Result<(), Failure> {
        write(&self.0, &word).map(|_| ()).at(Stage::Line)
    }
}
