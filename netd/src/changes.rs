//! From what an interface has to what it shall have.

use std::fmt;

use coracle_netlink::{Address, FOREVER, Index, Link, Request, Route};

use crate::settings::{Settings, is_ours};

/// What the kernel says of one interface.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Have {
    /// IPv4 addresses.
    pub(crate) addresses: Vec<Address>,
    /// Routes over it.
    pub(crate) routes: Vec<Route>,
}

/// Whether what is there already shall be set again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetimes {
    /// They were set when the lease was.
    Keep,
    /// They begin anew.
    Renew,
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    RemoveRoute(Route),
    RemoveAddress(Address),
    Mtu(u32),
    SetAddress(Address),
    SetRoute(Route),
}

impl Change {
    pub(crate) fn request(&self, index: Index) -> Request {
        match self {
            Self::RemoveRoute(route) => route.remove(),
            Self::RemoveAddress(address) => address.remove(),
            Self::Mtu(mtu) => Link::set_mtu(index, *mtu),
            Self::SetAddress(address) => address.replace(),
            Self::SetRoute(route) => route.replace(),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RemoveRoute(route) => write!(f, "remove-route:{}/{}", route.destination, route.prefix),
            Self::RemoveAddress(address) => {
                write!(f, "remove-address:{}/{}", address.address, address.prefix)
            }
            Self::Mtu(mtu) => write!(f, "mtu:{mtu}"),
            Self::SetAddress(address) => write!(f, "address:{}/{}", address.address, address.prefix),
            Self::SetRoute(route) => {
                write!(f, "route:{}/{}", route.destination, route.prefix)?;
                route.gateway.map_or(Ok(()), |gateway| write!(f, ":via:{gateway}"))
            }
        }
    }
}

/// What to do, in order. Addresses and routes that others have set are left alone.
pub(crate) fn changes(
    wanted: Option<&Settings>,
    mtu: Option<u32>,
    have: &Have,
    index: Index,
    lifetimes: Lifetimes,
) -> Vec<Change> {
    let address = wanted.map(|settings| settings.address_on(index));
    let routes = wanted.map(|settings| settings.routes_over(index)).unwrap_or_default();
    let stale = have
        .routes
        .iter()
        .filter(|old| is_ours(old.protocol) && !routes.iter().any(|new| same_route(old, new)));
    let mut changes: Vec<_> = stale.cloned().map(Change::RemoveRoute).collect();
    let stale = have
        .addresses
        .iter()
        .filter(|old| is_ours(old.protocol) && !address.iter().any(|new| same_address(old, new)));
    changes.extend(stale.cloned().map(Change::RemoveAddress));
    changes.extend(mtu.map(Change::Mtu));
    let there = |new: &Address| {
        let lasting = |address: &Address| address.seconds == FOREVER;
        have.addresses.iter().any(|old| same_address(old, new) && lasting(old) == lasting(new))
    };
    let due = |new: &Address| lifetimes == Lifetimes::Renew || !there(new);
    changes.extend(address.filter(due).map(Change::SetAddress));
    changes.extend(routes.into_iter().filter(|new| !have.routes.contains(new)).map(Change::SetRoute));
    changes
}

/// Whether setting the one replaces the other.
fn same_route(one: &Route, other: &Route) -> bool {
    (one.destination, one.prefix, one.metric) == (other.destination, other.prefix, other.metric)
}

/// Likewise.
fn same_address(one: &Address, other: &Address) -> bool {
    (one.address, one.prefix) == (other.address, other.prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Source;

    fn index() -> Index {
        Index::new(2).unwrap()
    }

    fn settings(last: u8) -> Settings {
        Settings {
            source: Source::Dhcp,
            address: [10, 0, 0, last].into(),
            prefix: 24,
            seconds: 600,
            routes: vec![coracle_dhcp::Route {
                destination: [0; 4].into(),
                prefix: 0,
                gateway: [10, 0, 0, 1].into(),
            }],
            dns: vec![],
            mtu: None,
        }
    }

    /// What an interface has after these settings and somebody else's.
    fn after(settings: &Settings) -> Have {
        let mut have =
            Have { addresses: vec![settings.address_on(index())], routes: settings.routes_over(index()) };
        let theirs = Address { protocol: 0, address: [192, 168, 0, 1].into(), ..have.addresses[0].clone() };
        have.addresses.push(theirs);
        have.routes.push(Route { protocol: 3, metric: 0, ..have.routes[0].clone() });
        have
    }

    fn shown(wanted: Option<&Settings>, have: &Have, lifetimes: Lifetimes) -> Vec<String> {
        changes(wanted, None, have, index(), lifetimes).iter().map(Change::to_string).collect()
    }

    #[test]
    fn nothing_is_done_twice_and_nothing_of_others_is_undone() {
        let (old, new) = (settings(5), settings(6));
        let (none, keep) = (Have::default(), Lifetimes::Keep);
        let set = ["address:10.0.0.5/24", "route:0.0.0.0/0:via:10.0.0.1"];
        assert_eq!(shown(Some(&old), &none, keep), set);
        assert_eq!(shown(Some(&old), &after(&old), keep), [""; 0]);
        assert_eq!(shown(Some(&old), &after(&old), Lifetimes::Renew), set[..1]);
        assert_eq!(shown(None, &after(&old), keep), ["remove-route:0.0.0.0/0", "remove-address:10.0.0.5/24"]);
        let changed = ["remove-address:10.0.0.5/24", "address:10.0.0.6/24", "route:0.0.0.0/0:via:10.0.0.1"];
        assert_eq!(
            shown(Some(&new), &after(&old), keep),
            changed,
            "the route is replaced: its source is another"
        );
        assert_eq!(shown(None, &none, Lifetimes::Renew), [""; 0]);
    }

    #[test]
    fn an_address_that_lasts_replaces_one_that_does_not() {
        let leased = settings(5);
        let chosen = Settings { seconds: FOREVER, ..leased.clone() };
        assert_eq!(shown(Some(&chosen), &after(&leased), Lifetimes::Keep), ["address:10.0.0.5/24"]);
        let aged = Settings { seconds: 3, ..leased.clone() };
        assert_eq!(shown(Some(&leased), &after(&aged), Lifetimes::Keep), [""; 0], "its time runs");
    }

    #[test]
    fn the_mtu_comes_before_the_address() {
        let changes = changes(Some(&settings(5)), Some(1400), &Have::default(), index(), Lifetimes::Keep);
        assert_eq!(changes.first(), Some(&Change::Mtu(1400)));
        assert_eq!(changes.len(), 3);
    }
}
