//! What an interface shall have.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use coracle_dhcp::Lease;
use coracle_netlink::{Address, FOREVER, Index, Route};

use crate::ip::Static;

/// `RTPROT_STATIC` and `RTPROT_DHCP` (linux/rtnetlink.h): who set a route. Addresses are marked with the same numbers.
const PROTOCOLS: [u8; 2] = [4, 16];
/// The metric of the first interface's routes is this and its index: of several default routes the first interface's wins.
const METRIC: u32 = 1024;

/// Where settings came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// The command line.
    Static,
    /// A server.
    Dhcp,
}

impl Source {
    fn protocol(self) -> u8 {
        let [fixed, leased] = PROTOCOLS;
        match self {
            Self::Static => fixed,
            Self::Dhcp => leased,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Static => "static",
            Self::Dhcp => "dhcp",
        })
    }
}

/// Address, routes and the rest, wherever they came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) source: Source,
    pub(crate) address: Ipv4Addr,
    pub(crate) prefix: u8,
    /// Seconds that the address lasts.
    pub(crate) seconds: u32,
    pub(crate) routes: Vec<coracle_dhcp::Route>,
    pub(crate) dns: Vec<Ipv4Addr>,
    pub(crate) mtu: Option<u16>,
}

impl From<&Lease> for Settings {
    fn from(lease: &Lease) -> Self {
        Self {
            source: Source::Dhcp,
            address: lease.address,
            prefix: lease.prefix,
            seconds: lease.seconds,
            routes: lease.routes.clone(),
            dns: lease.dns.clone(),
            mtu: lease.mtu,
        }
    }
}

impl From<&Static> for Settings {
    fn from(chosen: &Static) -> Self {
        let default =
            |gateway| coracle_dhcp::Route { destination: Ipv4Addr::UNSPECIFIED, prefix: 0, gateway };
        Self {
            source: Source::Static,
            address: chosen.address,
            prefix: chosen.prefix,
            seconds: FOREVER,
            routes: chosen.gateway.map(default).into_iter().collect(),
            dns: chosen.dns.clone(),
            mtu: None,
        }
    }
}

impl Settings {
    /// The address on that interface.
    pub(crate) fn address_on(&self, index: Index) -> Address {
        Address {
            index,
            address: self.address.into(),
            prefix: self.prefix,
            seconds: self.seconds,
            metric: metric(index),
            protocol: self.source.protocol(),
        }
    }

    /// The routes over that interface, in an order in which the kernel takes them: what is on the link first.
    pub(crate) fn routes_over(&self, index: Index) -> Vec<Route> {
        let gateways = |route: &&coracle_dhcp::Route| !route.gateway.is_unspecified();
        // The kernel makes the route to the address's own network with the address.
        let ours = self.routes.iter().filter(|route| gateways(route) || !self.is_own_network(route));
        let (far, near): (Vec<_>, Vec<_>) = ours.partition(gateways);
        near.into_iter().chain(far).map(|route| self.route(route, index)).collect()
    }

    fn route(&self, route: &coracle_dhcp::Route, index: Index) -> Route {
        let gateway = Some(route.gateway).filter(|gateway| !gateway.is_unspecified());
        Route {
            destination: route.destination.into(),
            prefix: route.prefix,
            gateway: gateway.map(IpAddr::from),
            // Some networks give an address without a network, and a gateway beside it.
            on_link: gateway.is_some_and(|gateway| !self.reaches(gateway)),
            index,
            metric: metric(index),
            source: Some(self.address.into()),
            protocol: self.source.protocol(),
        }
    }

    /// Whether the address's network holds that one.
    fn reaches(&self, other: Ipv4Addr) -> bool {
        (self.address.to_bits() ^ other.to_bits()) & self.mask() == 0
    }

    fn is_own_network(&self, route: &coracle_dhcp::Route) -> bool {
        route.prefix == self.prefix && self.reaches(route.destination)
    }

    fn mask(&self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }
}

/// Whether this number marks what this program has set, in this life or an earlier one.
pub(crate) fn is_ours(protocol: u8) -> bool {
    PROTOCOLS.contains(&protocol)
}

fn metric(index: Index) -> u32 {
    METRIC.saturating_add(index.get())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(prefix: u8, routes: &[([u8; 4], u8, [u8; 4])]) -> Settings {
        let route = |(destination, prefix, gateway): &([u8; 4], u8, [u8; 4])| coracle_dhcp::Route {
            destination: (*destination).into(),
            prefix: *prefix,
            gateway: (*gateway).into(),
        };
        Settings {
            source: Source::Dhcp,
            address: Ipv4Addr::new(10, 1, 0, 5),
            prefix,
            seconds: 3600,
            routes: routes.iter().map(route).collect(),
            dns: vec![],
            mtu: None,
        }
    }

    fn shown(settings: &Settings) -> Vec<String> {
        let index = Index::new(3).unwrap();
        let show = |route: Route| {
            assert_eq!((route.metric, route.source), (1027, Some([10, 1, 0, 5].into())));
            let link = if route.on_link { " onlink" } else { "" };
            let via = route.gateway.map_or(String::new(), |gateway| format!(" via {gateway}"));
            format!("{}/{}{via}{link}", route.destination, route.prefix)
        };
        settings.routes_over(index).into_iter().map(show).collect()
    }

    #[test]
    fn routes_come_in_an_order_that_the_kernel_takes() {
        let routes = [
            ([0; 4], 0, [10, 1, 0, 1]),
            ([10, 1, 0, 0], 24, [0; 4]),
            ([172, 16, 0, 0], 12, [0; 4]),
            ([192, 168, 0, 0], 16, [172, 16, 0, 1]),
        ];
        let want = ["172.16.0.0/12", "0.0.0.0/0 via 10.1.0.1", "192.168.0.0/16 via 172.16.0.1 onlink"];
        assert_eq!(shown(&settings(24, &routes)), want, "and the own network is the kernel's");
    }

    #[test]
    fn a_gateway_beside_a_lone_address_is_on_the_link() {
        let routes = [([10, 1, 0, 1], 32, [0; 4]), ([0; 4], 0, [10, 1, 0, 1])];
        assert_eq!(shown(&settings(32, &routes)), ["10.1.0.1/32", "0.0.0.0/0 via 10.1.0.1 onlink"]);
        assert_eq!(shown(&settings(0, &[([0; 4], 0, [9; 4])])), ["0.0.0.0/0 via 9.9.9.9"]);
    }

    #[test]
    fn both_sources_leave_their_mark() {
        let leased = settings(24, &[]);
        let chosen = Settings { source: Source::Static, ..leased.clone() };
        for (settings, mark) in [(leased, 16), (chosen, 4)] {
            let address = settings.address_on(Index::new(1).unwrap());
            assert_eq!((address.protocol, address.metric), (mark, 1025));
            assert!(is_ours(address.protocol));
        }
        assert!(![0, 2, 3].into_iter().any(is_ours), "the kernel's and other programs'");
    }
}
