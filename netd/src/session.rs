//! One interface's conversation with DHCP servers.

use std::{
    net::Ipv4Addr,
    os::fd::{AsFd, BorrowedFd},
};

use coracle_dhcp::{Client, Effect, Event, Lease};
use coracle_log::{Chain, warning};
use coracle_netlink::Index;
use nix::errno::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::{datagram::MAX_LEN, error::Error, transport::Transport};

/// Messages that may be sent in this many seconds. A server that refuses what it has just offered would otherwise keep us
/// asking as fast as it answers; what is not sent is sent when the client tries again.
const BUDGET: (u32, u64) = (10, 10);
/// Messages that are read at a time, so that one interface cannot keep the others waiting.
const BATCH: usize = 16;

/// What became of the lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News {
    /// It is new, or has been renewed.
    Applied(Lease),
    /// It is gone.
    Withdrawn,
}

/// A client with its sockets.
#[derive(Debug)]
pub(crate) struct Session {
    index: Index,
    name: String,
    hardware: [u8; 6],
    client: Client,
    /// The second at which the client wants to be asked.
    wait: u64,
    /// `None` after a failure, until the next message is sent.
    transport: Option<Transport>,
    /// When the budget's seconds began, and what was sent since.
    spent: (u64, u32),
}

impl Session {
    /// Begins to look for a server.
    pub(crate) fn begin(index: Index, name: &str, hardware: [u8; 6], now: u64) -> Result<Self, Error> {
        let (client, effects) = Client::begin(hardware, transaction()?, now);
        let name = name.to_owned();
        let spent = (now, 0);
        let mut session = Self { index, name, hardware, client, wait: now, transport: None, spent };
        session.carry_out(effects, now);
        Ok(session)
    }

    pub(crate) fn hardware(&self) -> [u8; 6] {
        self.hardware
    }

    /// The second at which [`Session::timeout`] shall be called.
    pub(crate) fn deadline(&self) -> u64 {
        self.wait
    }

    /// What to wait for before [`Session::readable`].
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.transport.as_ref().map(Transport::as_fd)
    }

    /// The deadline has come.
    pub(crate) fn timeout(&mut self, now: u64) -> Option<News> {
        self.step(Event::Timeout, now)
    }

    /// Messages have come.
    pub(crate) fn readable(&mut self, now: u64) -> Option<News> {
        let mut buffer = [0; MAX_LEN];
        let mut news = None;
        for _ in 0..BATCH {
            let Some(transport) = &self.transport else { break };
            match transport.receive(&mut buffer) {
                Ok(Some(message)) => news = self.step(Event::Received(message), now).or(news),
                Ok(None) | Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => break,
                // The interface went down or away. A link event says so, or the client asks again.
                Err(errno) => {
                    warning!("cannot hear servers interface={} error=\"{errno}\"", self.name);
                    self.transport = None;
                }
            }
        }
        news
    }

    fn step(&mut self, event: Event<'_>, now: u64) -> Option<News> {
        let (client, effects) = self.client.clone().step(event, now);
        self.client = client;
        self.carry_out(effects, now)
    }

    fn carry_out(&mut self, effects: Vec<Effect>, now: u64) -> Option<News> {
        let mut news = None;
        for effect in effects {
            match effect {
                Effect::Send { message, to } => self.send(&message, to, now),
                // Frames are no longer needed; the next message to be sent opens the other socket.
                Effect::Apply(lease) => {
                    self.transport = None;
                    news = Some(News::Applied(lease));
                }
                Effect::Withdraw(_) => {
                    self.transport = None;
                    news = Some(News::Withdrawn);
                }
                Effect::Wait(until) => self.wait = until,
            }
        }
        news
    }

    fn send(&mut self, message: &[u8], to: Option<Ipv4Addr>, now: u64) {
        let (most, seconds) = BUDGET;
        if now >= self.spent.0.saturating_add(seconds) {
            self.spent = (now, 0);
        }
        self.spent.1 = self.spent.1.saturating_add(1);
        if self.spent.1 > most {
            // Once in a budget's time is enough.
            if self.spent.1 == most + 1 {
                warning!("asking less often interface={} limit={most} seconds={seconds}", self.name);
            }
            return;
        }
        if self.transport.is_none() {
            let opened = match self.client.lease() {
                Some(_) => Transport::datagrams(&self.name),
                None => Transport::frames(self.index, self.hardware),
            };
            self.transport = self.opened(opened);
        }
        let Some(transport) = &self.transport else { return };
        if let Err(error) = transport.send(message, to) {
            warning!("cannot ask servers interface={} error=\"{}\"", self.name, Chain(&error));
            self.transport = None;
        }
    }

    fn opened(&self, transport: Result<Transport, Error>) -> Option<Transport> {
        transport
            .inspect_err(|error| {
                warning!("cannot reach servers interface={} error=\"{}\"", self.name, Chain(error));
            })
            .ok()
    }
}

/// A number that tells our conversation from others'. It need not be secret, so that it need not wait for the kernel's pool
/// at the first boot of a machine.
fn transaction() -> Result<u32, Error> {
    let mut bytes = [0; 4];
    getrandom(&mut bytes, GetRandomFlags::INSECURE).map_err(Error::Random)?;
    Ok(u32::from_ne_bytes(bytes))
}
