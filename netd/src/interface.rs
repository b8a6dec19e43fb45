//! One interface: what the kernel says of it, what it shall have, and when to look at it again.

use coracle_log::{Chain, List, info, warning};
use coracle_netlink::{Index, Link};

use crate::{
    changes::Lifetimes,
    ip::{Config, Static, is_name},
    report::{Line, State},
    session::{News, Session},
    settings::{Settings, Source},
};

/// Seconds between two attempts at what failed.
const PAUSE: u64 = 5;
/// Seconds between two looks at one interface that nothing but events asks for.
const CALM: u64 = 1;

/// What an interface is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Role {
    /// It is set up and left to the kernel.
    Loopback,
    /// A server says what it shall have.
    Dhcp,
    /// The command line says it.
    Static(Static),
}

impl Role {
    /// What this program does with a link; `None` if it leaves it alone. Links in `named` are taken whatever they are.
    ///
    /// Hardware has no kind and no master: bridges, veth, dummies, tunnels and what belongs to a bond or a bridge are
    /// others' business. (No driver of an Ethernet card in Linux 6.12 gives its links a kind.)
    pub(crate) fn of(link: &Link, config: &Config, named: &[String]) -> Option<Self> {
        if link.loopback {
            return Some(Self::Loopback);
        }
        if link.ethernet.is_none() || !is_name(&link.name) {
            return None;
        }
        let hardware = link.kind.is_none() && link.master.is_none();
        match config {
            Config::Off => None,
            Config::Static(chosen) => (chosen.device == link.name).then(|| Self::Static(chosen.clone())),
            Config::Dhcp { device: Some(device) } => (*device == link.name).then_some(Self::Dhcp),
            Config::Dhcp { device: None } => (hardware || named.contains(&link.name)).then_some(Self::Dhcp),
        }
    }
}

/// An interface that is looked after.
#[derive(Debug)]
pub(crate) struct Interface {
    pub(crate) link: Link,
    pub(crate) role: Role,
    pub(crate) session: Option<Session>,
    pub(crate) settings: Option<Settings>,
    /// Whether lifetimes begin anew when it is settled.
    pub(crate) lifetimes: Lifetimes,
    /// Nothing is known yet: what an earlier netd has left stays.
    undecided: bool,
    /// The kernel refused the address.
    failed: bool,
    /// When what it has and what it shall have are to be compared.
    settle_at: Option<u64>,
    settled_at: u64,
    /// The earliest next attempts to set it up and to begin a session.
    raise_at: u64,
    begin_at: u64,
    /// The MTU before anybody else's wish, and the last one that was set.
    own_mtu: u32,
    set_mtu: Option<u32>,
}

impl Interface {
    pub(crate) fn new(link: Link, role: Role, now: u64) -> Self {
        info!("interface found interface={} index={}", link.name, link.index.get());
        let settings = match &role {
            Role::Static(chosen) => Some(chosen.into()),
            Role::Loopback | Role::Dhcp => None,
        };
        Self {
            own_mtu: link.mtu,
            undecided: settings.is_none(),
            link,
            role,
            session: None,
            settings,
            lifetimes: Lifetimes::Keep,
            failed: false,
            settle_at: Some(now),
            settled_at: 0,
            raise_at: now,
            begin_at: now,
            set_mtu: None,
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.link.name
    }

    pub(crate) fn index(&self) -> Index {
        self.link.index
    }

    /// Whether a server may still say what it shall have, and none has yet.
    pub(crate) fn is_undecided(&self) -> bool {
        self.role == Role::Dhcp && self.undecided
    }

    fn carrier(&self) -> bool {
        self.link.up && self.link.running
    }

    /// Takes what the kernel says of the link now.
    pub(crate) fn heard(&mut self, link: Link, now: u64) {
        let (had_carrier, was_up) = (self.carrier(), self.link.up);
        self.link = link;
        if self.carrier() != had_carrier && self.role != Role::Loopback {
            let state = if self.carrier() { "up" } else { "lost" };
            info!("carrier {state} interface={}", self.name());
        }
        if self.link.up != was_up {
            // Routes go when an interface is set down, and the kernel does not bring them back.
            self.settle_at = Some(now);
        }
    }

    /// Begins and ends the session as the link allows.
    pub(crate) fn follow_carrier(&mut self, now: u64) {
        if self.role != Role::Dhcp {
            return;
        }
        let hardware = self.link.ethernet.filter(|_| self.carrier());
        if self.session.as_ref().is_some_and(|session| Some(session.hardware()) != hardware) {
            self.session = None;
            self.withdraw(now);
        }
        match hardware {
            None if self.undecided => self.withdraw(now),
            Some(hardware) if self.session.is_none() && now >= self.begin_at => {
                match Session::begin(self.index(), &self.link.name, hardware, now) {
                    Ok(session) => self.session = Some(session),
                    Err(error) => {
                        warning!("cannot begin interface={} error=\"{}\"", self.name(), Chain(&error));
                        self.begin_at = now.saturating_add(PAUSE);
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes what the session says.
    pub(crate) fn take(&mut self, news: News, now: u64) {
        match news {
            News::Withdrawn => {
                warning!("lease lost interface={}", self.name());
                self.withdraw(now);
            }
            News::Applied(lease) => {
                let new = Settings::from(&lease);
                let fact = if self.settings.as_ref() == Some(&new) { "renewed" } else { "applied" };
                let gateway = |route: &&coracle_dhcp::Route| route.prefix == 0;
                let gateway = lease.routes.iter().find(gateway).map(|route| route.gateway);
                info!(
                    "lease {fact} interface={} address={}/{} gateway={} dns={} mtu={} seconds={} server={}",
                    self.name(),
                    lease.address,
                    lease.prefix,
                    List(gateway.as_slice()),
                    List(&lease.dns),
                    List(lease.mtu.as_slice()),
                    lease.seconds,
                    lease.server
                );
                self.settings = Some(new);
                self.lifetimes = Lifetimes::Renew;
                self.undecided = false;
                self.settle_at = Some(now);
            }
        }
    }

    /// It shall have nothing.
    pub(crate) fn withdraw(&mut self, now: u64) {
        self.settings = None;
        self.undecided = false;
        self.settle_at = Some(now);
    }

    /// Somebody has changed its addresses.
    pub(crate) fn disturbed(&mut self, now: u64) {
        let calm = self.settled_at.saturating_add(CALM).max(now);
        self.settle_at = Some(self.settle_at.map_or(calm, |at| at.min(calm)));
    }

    /// Whether it is time to set the link up; if so, not again for a while.
    pub(crate) fn should_raise(&mut self, now: u64) -> bool {
        let due = !self.link.up && now >= self.raise_at;
        if due {
            self.raise_at = now.saturating_add(PAUSE);
        }
        due
    }

    /// Whether it is time to compare what it has with what it shall have.
    pub(crate) fn should_settle(&mut self, now: u64) -> bool {
        let due = self.settle_at.is_some_and(|at| now >= at);
        if due {
            // While it is down, or before anybody has said what it shall have, it stays as it is.
            self.settle_at = None;
            self.settled_at = now;
        }
        due && !self.undecided && (self.link.up || self.settings.is_none())
    }

    /// It was compared: whether the address was refused.
    pub(crate) fn settled(&mut self, failed: bool) {
        self.failed = failed;
        self.lifetimes = Lifetimes::Keep;
    }

    /// It could not be compared.
    pub(crate) fn settle_later(&mut self, now: u64) {
        self.settle_at = Some(now.saturating_add(PAUSE));
    }

    /// The MTU to set, once for each wish.
    pub(crate) fn mtu_to_set(&mut self) -> Option<u32> {
        let wish = self.settings.as_ref().and_then(|settings| settings.mtu).map(u32::from);
        let wish = wish.or(self.set_mtu.map(|_| self.own_mtu)).filter(|wish| self.set_mtu != Some(*wish))?;
        let known = self.set_mtu.replace(wish).is_none() && wish == self.link.mtu;
        (!known).then_some(wish)
    }

    /// The next second at which something is to be done.
    pub(crate) fn deadline(&self) -> u64 {
        let raise = (!self.link.up).then_some(self.raise_at);
        let waits = self.role == Role::Dhcp && self.carrier() && self.session.is_none();
        let begin = waits.then_some(self.begin_at);
        let session = self.session.as_ref().map(Session::deadline);
        [raise, begin, session, self.settle_at].into_iter().flatten().min().unwrap_or(u64::MAX)
    }

    /// What others may know; nothing of the loopback.
    pub(crate) fn line(&self) -> Option<Line> {
        let source = match self.role {
            Role::Loopback => return None,
            Role::Dhcp => Source::Dhcp,
            Role::Static(_) => Source::Static,
        };
        let state = match &self.settings {
            _ if !self.link.up => State::Down,
            _ if !self.carrier() => State::NoCarrier,
            None => State::Searching,
            Some(_) if self.failed => State::Failed,
            Some(_) => State::Ready,
        };
        let settings = self.settings.as_ref().filter(|_| !self.failed && self.link.up);
        Some(Line {
            name: self.link.name.clone(),
            state,
            address: settings.map(|settings| (settings.address, settings.prefix)),
            source,
            dns: settings.map(|settings| settings.dns.clone()).unwrap_or_default(),
        })
    }
}

#[cfg(test)]
mod tests;
