//! Addresses of interfaces.
//!
//! | offset | size | field (`struct ifaddrmsg`) |
//! |---|---|---|
//! | 0 | 1 | family |
//! | 1 | 1 | prefix length |
//! | 2 | 1 | flags |
//! | 3 | 1 | scope |
//! | 4 | 4 | index of the interface |
//! | 8 | … | attributes |

use std::net::{IpAddr, Ipv4Addr};

use crate::{
    attribute::{Attributes, address, family, octets, word},
    error::Malformed,
    link::Index,
    message::{DEL_ADDRESS, GET_ADDRESS, NEW_ADDRESS},
    request::Request,
};

pub(crate) const ADDRESS: u16 = 1;
pub(crate) const LOCAL: u16 = 2;
pub(crate) const BROADCAST: u16 = 4;
pub(crate) const CACHE_INFO: u16 = 6;
pub(crate) const PRIORITY: u16 = 9;
pub(crate) const PROTOCOL: u16 = 11;
/// `RT_SCOPE_UNIVERSE`, `RT_SCOPE_HOST`.
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_HOST: u8 = 254;

/// Seconds of an address without an end.
pub const FOREVER: u32 = u32::MAX;

/// An address on an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The interface.
    pub index: Index,
    /// The address.
    pub address: IpAddr,
    /// Bits of the network on the link.
    pub prefix: u8,
    /// Seconds until the kernel takes it away, or [`FOREVER`].
    pub seconds: u32,
    /// Metric of the route to the network on the link; zero if nobody chose one.
    pub metric: u32,
    /// Who set it: a number of the setter's choice; zero if nobody said (Linux 5.18).
    pub protocol: u8,
}

impl Address {
    /// Asks for all addresses of both families.
    pub fn dump() -> Request {
        Request::dump(GET_ADDRESS, &[0; 8])
    }

    /// Sets the address, or gives the one that is there a new lifetime.
    pub fn replace(&self) -> Request {
        let request = Request::replace(NEW_ADDRESS, &self.fixed());
        // struct ifa_cacheinfo: preferred, valid, created, updated; the kernel knows the last two.
        let lifetimes = [self.seconds.to_ne_bytes(), self.seconds.to_ne_bytes(), [0; 4], [0; 4]].concat();
        let metric = Some(self.metric).filter(|metric| *metric != 0).map(u32::to_ne_bytes);
        let protocol = Some(self.protocol).filter(|protocol| *protocol != 0).map(u8::to_ne_bytes);
        self.named(request)
            .optional(BROADCAST, self.broadcast().map(|address| address.octets()))
            .attribute(CACHE_INFO, &lifetimes)
            .optional(PRIORITY, metric)
            .optional(PROTOCOL, protocol)
    }

    /// Takes the address away; the kernel takes the routes away that start from it.
    pub fn remove(&self) -> Request {
        self.named(Request::change(DEL_ADDRESS, &self.fixed()))
    }

    /// The broadcast address of the network; none of IPv6, nor of two hosts or fewer (RFC 3021).
    fn broadcast(&self) -> Option<Ipv4Addr> {
        match self.address {
            IpAddr::V4(address) if self.prefix < 31 => {
                Some(Ipv4Addr::from_bits(address.to_bits() | u32::MAX.checked_shr(self.prefix.into())?))
            }
            _ => None,
        }
    }

    fn named(&self, request: Request) -> Request {
        let octets = octets(self.address);
        request.attribute(LOCAL, &octets).attribute(ADDRESS, &octets)
    }

    fn fixed(&self) -> Vec<u8> {
        let scope = if self.address.is_loopback() { SCOPE_HOST } else { SCOPE_UNIVERSE };
        let mut fixed = vec![family(self.address), self.prefix, 0, scope];
        fixed.extend(self.index.get().to_ne_bytes());
        fixed
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let short = Malformed::Short { what: "address", len: payload.len() };
        let ([_, prefix, _, _, i0, i1, i2, i3], attributes) =
            payload.split_first_chunk::<8>().ok_or(short)?;
        let index = u32::from_ne_bytes([*i0, *i1, *i2, *i3]);
        let index = Index::new(index).ok_or(Malformed::Value { what: "address index" })?;
        let (mut local, mut peer, mut seconds, mut metric, mut protocol) = (None, None, FOREVER, 0, 0);
        for attribute in Attributes::new(attributes) {
            match attribute? {
                (LOCAL, value) => local = Some(address("local address", value)?),
                // The peer's of a point to point link; IPv6 names its own here alone.
                (ADDRESS, value) => peer = Some(address("address", value)?),
                (CACHE_INFO, value) => {
                    let valid = value.get(4..8).ok_or(Malformed::Value { what: "address lifetime" })?;
                    seconds = word("address lifetime", valid)?;
                }
                (PRIORITY, value) => metric = word("address metric", value)?,
                (PROTOCOL, &[value]) => protocol = value,
                _ => {}
            }
        }
        let address = local.or(peer).ok_or(Malformed::Value { what: "address without one" })?;
        Ok(Self { index, address, prefix: *prefix, seconds, metric, protocol })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frames, Message};
    use proptest::prelude::*;

    fn sample() -> Address {
        Address {
            index: Index::new(2).unwrap(),
            address: [10, 0, 2, 15].into(),
            prefix: 24,
            seconds: 3600,
            metric: 1026,
            protocol: 16,
        }
    }

    fn decoded(request: &Request) -> Message {
        let bytes = request.to_bytes(1);
        Message::decode(&Frames::new(&bytes).next().unwrap().unwrap()).unwrap()
    }

    #[test]
    fn networks_have_the_broadcast_address_of_their_size() {
        let broadcast = |prefix| Address { prefix, ..sample() }.broadcast();
        let want = [
            (0, Some([255, 255, 255, 255])),
            (8, Some([10, 255, 255, 255])),
            (24, Some([10, 0, 2, 255])),
            (30, Some([10, 0, 2, 15])),
            (31, None),
            (32, None),
        ];
        for (prefix, want) in want {
            assert_eq!(broadcast(prefix), want.map(Ipv4Addr::from), "/{prefix}");
        }
    }

    #[test]
    fn a_peer_is_not_the_own_address() {
        let request = Request::change(NEW_ADDRESS, &sample().fixed())
            .attribute(ADDRESS, &[10, 0, 0, 9])
            .attribute(LOCAL, &[10, 0, 0, 1]);
        let Message::Address(address) = decoded(&request) else { panic!("no address") };
        assert_eq!((address.address, address.seconds), ([10, 0, 0, 1].into(), FOREVER));
        let bare = Request::change(NEW_ADDRESS, &sample().fixed()).to_bytes(1);
        let frame = Frames::new(&bare).next().unwrap().unwrap();
        assert_eq!(Message::decode(&frame), Err(Malformed::Value { what: "address without one" }));
    }

    proptest! {
        #[test]
        fn what_is_asked_is_what_would_be_told(
            index in 1u32..1000, v6 in any::<bool>(), octets in any::<[u8; 16]>(), prefix in 0u8..=32,
            seconds in any::<u32>(), metric in any::<u32>(), protocol in any::<u8>(),
        ) {
            let four = [octets[0], octets[1], octets[2], octets[3]];
            let address = if v6 { octets.into() } else { four.into() };
            let index = Index::new(index).unwrap();
            let want = Address { index, address, prefix, seconds, metric, protocol };
            prop_assert_eq!(decoded(&want.replace()), Message::Address(want.clone()));
            let bare = Address { seconds: FOREVER, metric: 0, protocol: 0, ..want.clone() };
            prop_assert_eq!(decoded(&want.remove()), Message::AddressGone(bare));
        }
    }
}
