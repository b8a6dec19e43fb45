//! What a server has given.

use std::net::Ipv4Addr;

use crate::message::{Message, option};

/// Entries of a list that are taken: routes, name servers, time servers.
const MAX_LIST: usize = 16;
/// The shortest lease that is honoured, in seconds: a shorter one would only make traffic.
const MIN_SECONDS: u32 = 60;
/// The smallest MTU that is honoured: every IPv4 host takes 576 bytes, and less has been used to starve hosts.
const MIN_MTU: u16 = 576;

/// A route through a router.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Network address.
    pub destination: Ipv4Addr,
    /// Leading bits of it that count.
    pub prefix: u8,
    /// Next hop; 0.0.0.0 means that the destination is on the link.
    pub gateway: Ipv4Addr,
}

/// An address and all that came with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The address.
    pub address: Ipv4Addr,
    /// Bits of the network on the link.
    pub prefix: u8,
    /// Routes, from option 121, else from option 3.
    pub routes: Vec<Route>,
    /// Name servers.
    pub dns: Vec<Ipv4Addr>,
    /// Time servers.
    pub ntp: Vec<Ipv4Addr>,
    /// Host name: letters, digits, dots and hyphens only.
    pub host_name: Option<String>,
    /// MTU of the link.
    pub mtu: Option<u16>,
    /// The server, to be asked again.
    pub server: Ipv4Addr,
    /// Seconds of validity, and of them those after which to renew and to rebind.
    pub seconds: u32,
    /// T1.
    pub renew_after: u32,
    /// T2.
    pub rebind_after: u32,
}

impl Lease {
    /// Takes an offer or an acknowledgement apart. `None` where it names no usable address, server or time.
    pub fn from_message(message: &Message) -> Option<Self> {
        let address = Some(message.yours).filter(is_host)?;
        let server = message.address(option::SERVER).filter(is_host)?;
        let seconds = message.seconds_of(option::LEASE_TIME)?.max(MIN_SECONDS);
        let (half, seven_eighths) = (seconds / 2, seconds - seconds / 8);
        let rebind_after =
            message.seconds_of(option::REBINDING).filter(|t2| *t2 < seconds).unwrap_or(seven_eighths);
        let renew_after = message.seconds_of(option::RENEWAL).filter(|t1| *t1 < rebind_after).unwrap_or(half);
        Some(Self {
            address,
            prefix: match message.address(option::SUBNET_MASK) {
                Some(mask) => prefix_of(mask)?,
                None => 24,
            },
            routes: routes(message),
            dns: addresses(message, option::DNS),
            ntp: addresses(message, option::NTP),
            host_name: message.option(option::HOST_NAME).and_then(host_name),
            mtu: mtu(message),
            server,
            seconds,
            renew_after: renew_after.min(rebind_after),
            rebind_after,
        })
    }
}

fn is_host(address: &Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_broadcast() || address.is_multicast() || address.is_loopback())
}

/// The bits of a mask that is ones, then zeros.
fn prefix_of(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    (bits.leading_ones() + bits.trailing_zeros() == 32).then_some(bits.leading_ones() as u8)
}

fn addresses(message: &Message, code: u8) -> Vec<Ipv4Addr> {
    let octets = message.option(code).unwrap_or_default().as_chunks::<4>().0;
    octets.iter().map(|octets| Ipv4Addr::from(*octets)).filter(is_host).take(MAX_LIST).collect()
}

fn mtu(message: &Message) -> Option<u16> {
    let mtu = u16::from_be_bytes(message.option(option::MTU)?.try_into().ok()?);
    Some(mtu).filter(|mtu| *mtu >= MIN_MTU)
}

fn host_name(bytes: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(bytes).ok()?.trim_end_matches('\0');
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    (plain && (1..=253).contains(&name.len()) && !name.starts_with(['-', '.'])).then(|| name.to_owned())
}

/// Where option 121 is there and whole, option 3 is ignored (RFC 3442).
fn routes(message: &Message) -> Vec<Route> {
    let default = |gateway| Route { destination: Ipv4Addr::UNSPECIFIED, prefix: 0, gateway };
    match message.option(option::CLASSLESS_ROUTES).and_then(classless_routes) {
        Some(routes) => routes,
        None => addresses(message, option::ROUTER).into_iter().take(1).map(default).collect(),
    }
}

/// Prefix length, the octets of the destination that the prefix touches, gateway; again and again.
fn classless_routes(mut bytes: &[u8]) -> Option<Vec<Route>> {
    let mut routes = vec![];
    while let Some((prefix, rest)) = bytes.split_first() {
        let (significant, rest) = rest.split_at_checked(usize::from(prefix.div_ceil(8)))?;
        let (gateway, rest) = rest.split_first_chunk::<4>()?;
        let mut octets = [0; 4];
        octets.get_mut(..significant.len())?.copy_from_slice(significant);
        let mask = u32::MAX.checked_shl(32 - u32::from(*prefix)).unwrap_or(0);
        let destination = Ipv4Addr::from_bits(u32::from_be_bytes(octets) & mask);
        routes.push(Route { destination, prefix: *prefix, gateway: (*gateway).into() });
        bytes = rest;
    }
    routes.truncate(MAX_LIST);
    Some(routes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Kind;

    fn ack(options: &[(u8, &[u8])]) -> Message {
        let base: [(u8, &[u8]); 2] =
            [(option::SERVER, &[10, 0, 2, 2]), (option::LEASE_TIME, &[0, 0, 14, 16])];
        Message {
            kind: Kind::Ack,
            transaction: 1,
            seconds: 0,
            client: Ipv4Addr::UNSPECIFIED,
            yours: Ipv4Addr::new(10, 0, 2, 15),
            hardware: [0; 6],
            options: options.iter().chain(&base).map(|(code, value)| (*code, value.to_vec())).collect(),
        }
    }

    fn lease(options: &[(u8, &[u8])]) -> Option<Lease> {
        Lease::from_message(&ack(options))
    }

    #[test]
    fn times_have_the_defaults_of_the_rfc_and_stay_in_order() {
        let plain = lease(&[]).unwrap();
        assert_eq!((plain.seconds, plain.renew_after, plain.rebind_after), (3600, 1800, 3150));
        let odd =
            lease(&[(option::RENEWAL, &[0, 0, 255, 255]), (option::REBINDING, &[0, 0, 0, 100])]).unwrap();
        assert!(odd.renew_after <= odd.rebind_after && odd.rebind_after < odd.seconds, "{odd:?}");
        let short = lease(&[(option::LEASE_TIME, &[0, 0, 0, 0])]).unwrap();
        assert_eq!(short.seconds, MIN_SECONDS);
    }

    #[test]
    fn classless_routes_replace_the_router() {
        let router: (u8, &[u8]) = (option::ROUTER, &[10, 0, 2, 2]);
        let default =
            Route { destination: Ipv4Addr::UNSPECIFIED, prefix: 0, gateway: Ipv4Addr::new(10, 0, 2, 2) };
        assert_eq!(lease(&[router]).unwrap().routes, [default]);
        let classless: &[u8] = &[0, 10, 0, 2, 3, 20, 172, 16, 0xff, 0, 0, 0, 0];
        let routes = lease(&[router, (option::CLASSLESS_ROUTES, classless)]).unwrap().routes;
        let link = Route {
            destination: Ipv4Addr::new(172, 16, 0xf0, 0),
            prefix: 20,
            gateway: Ipv4Addr::UNSPECIFIED,
        };
        assert_eq!(routes, [Route { gateway: Ipv4Addr::new(10, 0, 2, 3), ..default }, link]);
        for broken in [&classless[..12], &[33, 1, 2, 3, 4, 5, 6, 7, 8, 9], &[8]] {
            let routes = lease(&[router, (option::CLASSLESS_ROUTES, broken)]).unwrap().routes;
            assert_eq!(routes, [default], "{broken:?}");
        }
    }

    #[test]
    fn what_would_harm_the_machine_is_not_taken() {
        assert_eq!(lease(&[(option::SUBNET_MASK, &[255, 0, 255, 0])]), None);
        assert_eq!(lease(&[(option::SERVER, &[0, 0, 0, 0])]), None);
        assert_eq!(lease(&[(option::MTU, &[0, 68])]).unwrap().mtu, None);
        assert_eq!(lease(&[(option::MTU, &[5, 220])]).unwrap().mtu, Some(1500));
        let name = |bytes: &[u8]| lease(&[(option::HOST_NAME, bytes)]).unwrap().host_name;
        assert_eq!(name(b"node-1.example\0"), Some("node-1.example".to_owned()));
        assert_eq!(name(b"a;reboot"), None);
        assert_eq!(name(b""), None);
        assert_eq!(lease(&[(option::DNS, &[1; 4 * 40])]).unwrap().dns.len(), MAX_LIST);
    }
}
