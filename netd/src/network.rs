//! The loop: hear what the kernel and the servers say, do what is due, wait for more.

use std::{collections::BTreeMap, convert::Infallible, os::fd::AsFd, path::PathBuf};

use coracle_log::{Chain, info, warning};
use coracle_netlink::{Address, Errno, Events, Index, Link, Message, Requests, Route};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{
    changes::{Change, Have, changes},
    clock,
    error::Error,
    interface::{Interface, Role},
    ip::Config,
    report::{Names, Report},
    session::Session,
};

/// Interfaces that are looked after; a machine has fewer.
const MAX_INTERFACES: usize = 64;
/// Datagrams of events that are read at a time.
const BATCH: usize = 64;
/// Seconds between two attempts at what failed.
const PAUSE: u64 = 5;
/// Seconds between two readings of all links: a flood of events shall not become a flood of readings.
const CALM: u64 = 1;
/// The longest wait, in seconds: whatever deadline was got wrong, the loop goes round.
const MAX_WAIT: u64 = 60;

/// All that this program knows.
#[derive(Debug)]
pub(crate) struct Network {
    config: Config,
    named: Vec<String>,
    requests: Requests,
    events: Events,
    /// When all links are to be read anew, and when they were.
    list_at: Option<u64>,
    listed_at: u64,
    interfaces: BTreeMap<Index, Interface>,
    report: Report,
    report_at: u64,
}

impl Network {
    /// Opens the sockets in this network namespace. `named` are interfaces to look after whatever they are; `folder` is for
    /// the report.
    pub(crate) fn open(config: Config, named: Vec<String>, folder: PathBuf) -> Result<Self, Error> {
        Ok(Self {
            config,
            named,
            requests: Requests::open().map_err(Error::Netlink)?,
            events: Events::open().map_err(Error::Netlink)?,
            list_at: Some(0),
            listed_at: 0,
            interfaces: BTreeMap::new(),
            report: Report::new(folder),
            report_at: 0,
        })
    }

    /// Goes round until something happens that a new process can do better.
    pub(crate) fn run(mut self) -> Result<Infallible, Error> {
        loop {
            let now = clock::now();
            if self.list_at.is_some_and(|at| now >= at) {
                self.list(now);
            }
            let indices: Vec<Index> = self.interfaces.keys().copied().collect();
            for index in indices {
                self.look_after(index, now);
            }
            self.tell(now);
            self.wait()?;
        }
    }

    /// Reads all links, at the beginning and after events were lost.
    fn list(&mut self, now: u64) {
        self.listed_at = now;
        let (config, named) = (&self.config, &self.named);
        let ours = |message| match message {
            Message::Link(link) if Role::of(&link, config, named).is_some() => Some(link),
            _ => None,
        };
        match self.requests.dump(&Link::dump(), ours) {
            Ok(links) => {
                self.list_at = None;
                let there = |index: &Index| links.iter().any(|link| link.index == *index);
                let gone: Vec<_> = self.interfaces.keys().filter(|index| !there(index)).copied().collect();
                gone.into_iter().for_each(|index| self.forget(index));
                links.into_iter().for_each(|link| self.hear_link(link, now));
                self.interfaces.values_mut().for_each(|interface| interface.disturbed(now));
            }
            Err(error) => {
                warning!("interfaces cannot be listed error=\"{}\"", Chain(&error));
                self.list_at = Some(now.saturating_add(PAUSE));
            }
        }
    }

    fn hear(&mut self, message: Message, now: u64) {
        match message {
            Message::Link(link) => self.hear_link(link, now),
            Message::LinkGone(index) => self.forget(index),
            Message::Address(address) | Message::AddressGone(address) => {
                if let Some(interface) = self.interfaces.get_mut(&address.index) {
                    interface.disturbed(now);
                }
            }
            _ => {}
        }
    }

    fn hear_link(&mut self, link: Link, now: u64) {
        let role = Role::of(&link, &self.config, &self.named);
        let full = self.interfaces.len() >= MAX_INTERFACES;
        match (self.interfaces.get_mut(&link.index), role) {
            (Some(known), Some(role)) if known.name() == link.name && known.role == role => {
                known.heard(link, now);
            }
            (Some(_), role) => {
                // It has another name or belongs to somebody else now.
                self.release(link.index, now);
                if role.is_some() {
                    self.hear_link(link, now);
                }
            }
            (None, Some(_)) if full => {
                warning!("interface left alone interface={} limit={MAX_INTERFACES}", link.name);
            }
            (None, Some(role)) => {
                self.interfaces.insert(link.index, Interface::new(link, role, now));
            }
            (None, None) => {}
        }
    }

    /// The interface does not exist any more.
    fn forget(&mut self, index: Index) {
        if let Some(interface) = self.interfaces.remove(&index) {
            info!("interface gone interface={}", interface.name());
        }
    }

    /// The interface is there, but no longer ours.
    fn release(&mut self, index: Index, now: u64) {
        if let Some(interface) = self.interfaces.get_mut(&index) {
            interface.session = None;
            interface.withdraw(now);
            self.settle(index, now);
            self.forget(index);
        }
    }

    /// Does what is due for one interface.
    fn look_after(&mut self, index: Index, now: u64) {
        let Some(interface) = self.interfaces.get_mut(&index) else { return };
        if interface.should_raise(now)
            && let Err(error) = self.requests.change(&Link::set_up(index))
        {
            warning!("interface cannot be set up interface={} error=\"{}\"", interface.name(), Chain(&error));
        }
        interface.follow_carrier(now);
        if let Some(session) = &mut interface.session
            && now >= session.deadline()
            && let Some(news) = session.timeout(now)
        {
            interface.take(news, now);
        }
        if interface.should_settle(now) {
            self.settle(index, now);
        }
    }

    /// Makes an interface have what it shall have.
    fn settle(&mut self, index: Index, now: u64) {
        let have = self.read(index);
        let Some(interface) = self.interfaces.get_mut(&index) else { return };
        let have = match have {
            Ok(have) => have,
            Err(error) => {
                warning!(
                    "interface cannot be read interface={} error=\"{}\"",
                    interface.name(),
                    Chain(&error)
                );
                return interface.settle_later(now);
            }
        };
        let mtu = interface.mtu_to_set();
        let wanted = interface.settings.as_ref();
        let mut failed = false;
        for change in changes(wanted, mtu, &have, index, interface.lifetimes) {
            match self.requests.change(&change.request(index)) {
                Ok(()) => {}
                // What was to go is gone already, with the address that it came from or with the interface.
                Err(coracle_netlink::Error::Refused(Errno::ESRCH | Errno::EADDRNOTAVAIL | Errno::ENODEV))
                    if matches!(change, Change::RemoveRoute(_) | Change::RemoveAddress(_)) => {}
                Err(error) => {
                    let name = interface.name();
                    warning!("change failed interface={name} change={change} error=\"{}\"", Chain(&error));
                    failed |= matches!(change, Change::SetAddress(_));
                }
            }
        }
        interface.settled(failed);
    }

    /// What the kernel says of one interface.
    fn read(&mut self, index: Index) -> Result<Have, coracle_netlink::Error> {
        let addresses = self.requests.dump(&Address::dump(), |message| match message {
            Message::Address(address) if address.index == index && address.address.is_ipv4() => Some(address),
            _ => None,
        })?;
        let routes = self.requests.dump(&Route::dump(), |message| match message {
            Message::Route(route) if route.index == index => Some(route),
            _ => None,
        })?;
        Ok(Have { addresses, routes })
    }

    /// Writes the report if it has changed.
    fn tell(&mut self, now: u64) {
        if now < self.report_at {
            return;
        }
        let lines: Vec<_> = self.interfaces.values().filter_map(Interface::line).collect();
        let undecided = self.interfaces.values().any(Interface::is_undecided);
        let names = if undecided { Names::KeepOld } else { Names::Replace };
        self.report_at = match self.report.write(&lines, names) {
            Ok(()) => 0,
            Err(error) => {
                warning!("report cannot be written error=\"{error}\"");
                now.saturating_add(PAUSE)
            }
        };
    }

    /// Waits for events, messages or the next deadline, and takes what has come.
    fn wait(&mut self) -> Result<(), Error> {
        let sessions: Vec<_> = self
            .interfaces
            .iter()
            .filter_map(|(index, interface)| {
                Some((*index, interface.session.as_ref().and_then(Session::fd)?))
            })
            .collect();
        let mut fds = vec![PollFd::new(self.events.as_fd(), PollFlags::POLLIN)];
        fds.extend(sessions.iter().map(|(_, fd)| PollFd::new(*fd, PollFlags::POLLIN)));
        match poll(&mut fds, self.patience()) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::Poll(errno)),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(true)).collect();
        let (events, rest) = ready.split_first().map_or((false, &[][..]), |(events, rest)| (*events, rest));
        let ready: Vec<Index> =
            sessions.iter().zip(rest).filter(|(_, ready)| **ready).map(|((index, _), _)| *index).collect();
        let now = clock::now();
        for index in ready {
            let Some(interface) = self.interfaces.get_mut(&index) else { continue };
            if let Some(news) = interface.session.as_mut().and_then(|session| session.readable(now)) {
                interface.take(news, now);
            }
        }
        if events { self.hear_events(now) } else { Ok(()) }
    }

    fn hear_events(&mut self, now: u64) -> Result<(), Error> {
        let mut messages = vec![];
        for _ in 0..BATCH {
            match self.events.receive(|message| messages.push(message)) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error @ coracle_netlink::Error::Socket { .. }) => return Err(Error::Netlink(error)),
                Err(error) => {
                    warning!("events were lost error=\"{}\"", Chain(&error));
                    self.list_at = Some(self.listed_at.saturating_add(CALM).max(now));
                    break;
                }
            }
        }
        messages.into_iter().for_each(|message| self.hear(message, now));
        Ok(())
    }

    /// Until the next deadline. Rounded up: a deadline is a whole second, and early is in vain.
    fn patience(&self) -> PollTimeout {
        let report = Some(self.report_at).filter(|at| *at != 0);
        let next = self.interfaces.values().map(Interface::deadline).chain(self.list_at).chain(report).min();
        let seconds = next.map_or(MAX_WAIT, |next| next.saturating_sub(clock::now())).min(MAX_WAIT);
        PollTimeout::try_from(seconds.saturating_mul(1000)).unwrap_or(PollTimeout::ZERO)
    }
}
