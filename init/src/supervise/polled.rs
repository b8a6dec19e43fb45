//! The epoll, and what each of its tokens means.

use std::{os::fd::AsFd, time::Duration};

use nix::{
    errno::Errno,
    sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout},
};

use crate::log::warning;

/// Events taken in one turn.
const BATCH: usize = 64;
/// The low bits of a token's number say what it is, the others which.
const KINDS: u64 = 6;

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    /// The signalfd.
    Signals,
    /// A unit's start pipe.
    Failure(usize),
    /// A unit's output.
    Output(usize),
    /// Any of the keyboards.
    Keyboards,
    /// The control socket.
    Control,
    /// A connection there.
    Peer(usize),
}

impl Token {
    fn number(self) -> u64 {
        let (kind, index) = match self {
            Self::Signals => (0, 0),
            Self::Failure(index) => (1, index),
            Self::Output(index) => (2, index),
            Self::Keyboards => (3, 0),
            Self::Control => (4, 0),
            Self::Peer(index) => (5, index),
        };
        index as u64 * KINDS + kind
    }

    fn of(number: u64) -> Self {
        let index = (number / KINDS) as usize;
        match number % KINDS {
            0 => Self::Signals,
            1 => Self::Failure(index),
            2 => Self::Output(index),
            3 => Self::Keyboards,
            4 => Self::Control,
            _ => Self::Peer(index),
        }
    }
}

/// An epoll of readable things.
#[derive(Debug)]
pub(crate) struct Polled(Epoll);

impl Polled {
    /// One that watches nothing yet.
    pub(crate) fn new() -> Result<Self, Errno> {
        Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).map(Self)
    }

    /// Watches a descriptor until it is removed or closed.
    pub(crate) fn add(&self, fd: impl AsFd, token: Token) -> Result<(), Errno> {
        self.0.add(fd, EpollEvent::new(EpollFlags::EPOLLIN, token.number()))
    }

    /// Watches it no longer.
    pub(crate) fn remove(&self, fd: impl AsFd) {
        if let Err(errno) = self.0.delete(fd) {
            warning!("a descriptor was not watched error={errno}");
        }
    }

    /// Waits for events, at most that long.
    pub(crate) fn wait(&self, timeout: Duration) -> Result<Vec<Token>, Errno> {
        let mut events = [EpollEvent::empty(); BATCH];
        let millis = u16::try_from(timeout.as_millis()).unwrap_or(u16::MAX);
        let count = self.0.wait(&mut events, EpollTimeout::from(millis))?;
        Ok(events.iter().take(count).map(|event| Token::of(event.data())).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_the_kernel() {
        for token in [
            Token::Signals,
            Token::Failure(0),
            Token::Failure(999),
            Token::Output(7),
            Token::Keyboards,
            Token::Control,
            Token::Peer(3),
        ] {
            assert_eq!(Token::of(token.number()), token);
        }
    }
}
