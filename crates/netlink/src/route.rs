//! Routes of the main table to one next hop.
//!
//! | offset | size | field (`struct rtmsg`) |
//! |---|---|---|
//! | 0 | 1 | family |
//! | 1, 2 | 1, 1 | bits of the destination, of the source |
//! | 3 | 1 | type of service |
//! | 4 | 1 | table |
//! | 5 | 1 | protocol: who set it |
//! | 6 | 1 | scope |
//! | 7 | 1 | type |
//! | 8 | 4 | flags |
//! | 12 | … | attributes |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::{
    attribute::{Attributes, address, family, octets, word},
    error::Malformed,
    link::Index,
    message::{DEL_ROUTE, GET_ROUTE, NEW_ROUTE},
    request::Request,
};

pub(crate) const DESTINATION: u16 = 1;
pub(crate) const INTERFACE: u16 = 4;
pub(crate) const GATEWAY: u16 = 5;
pub(crate) const PRIORITY: u16 = 6;
pub(crate) const PREFERRED_SOURCE: u16 = 7;
/// `RT_TABLE_MAIN`, `RTN_UNICAST`, `RTNH_F_ONLINK`.
pub(crate) const MAIN: u8 = 254;
pub(crate) const UNICAST: u8 = 1;
pub(crate) const ON_LINK: u32 = 4;
/// `RT_SCOPE_UNIVERSE`, `RT_SCOPE_LINK`.
const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;

/// A unicast route of the main table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Network address.
    pub destination: IpAddr,
    /// Leading bits of it that count.
    pub prefix: u8,
    /// Next hop; `None` for a network on the link.
    pub gateway: Option<IpAddr>,
    /// The next hop is taken to be on the link though no address says so.
    pub on_link: bool,
    /// Where it leaves.
    pub index: Index,
    /// Of two routes to one network the lower metric wins.
    pub metric: u32,
    /// The address that packets come from unless their sender chose one. The route goes when it goes.
    pub source: Option<IpAddr>,
    /// Who set it (`RTPROT_*`).
    pub protocol: u8,
}

impl Route {
    /// Asks for all IPv4 routes, of which those of other tables and types are told as [`crate::Message::Other`].
    pub fn dump() -> Request {
        let mut fixed = [0; 12];
        fixed[0] = family(Ipv4Addr::UNSPECIFIED.into());
        Request::dump(GET_ROUTE, &fixed)
    }

    /// Sets the route, or changes the one to the same network with the same metric.
    pub fn replace(&self) -> Request {
        self.named(Request::replace(NEW_ROUTE, &self.fixed()))
    }

    /// Takes the route away.
    pub fn remove(&self) -> Request {
        self.named(Request::change(DEL_ROUTE, &self.fixed()))
    }

    fn named(&self, request: Request) -> Request {
        request
            .optional(DESTINATION, Some(octets(self.destination)).filter(|_| self.prefix != 0))
            .optional(GATEWAY, self.gateway.map(octets))
            .attribute(INTERFACE, &self.index.get().to_ne_bytes())
            .attribute(PRIORITY, &self.metric.to_ne_bytes())
            .optional(PREFERRED_SOURCE, self.source.map(octets))
    }

    fn fixed(&self) -> Vec<u8> {
        let scope = if self.gateway.is_some() { SCOPE_UNIVERSE } else { SCOPE_LINK };
        let mut fixed =
            vec![family(self.destination), self.prefix, 0, 0, MAIN, self.protocol, scope, UNICAST];
        fixed.extend(if self.on_link { ON_LINK } else { 0 }.to_ne_bytes());
        fixed
    }

    /// `None` for a route of another table, type or form.
    pub(crate) fn decode(payload: &[u8]) -> Result<Option<Self>, Malformed> {
        let short = Malformed::Short { what: "route", len: payload.len() };
        let (fixed, attributes) = payload.split_first_chunk::<12>().ok_or(short)?;
        let [family, prefix, from, _, table, protocol, _, kind, f0, f1, f2, f3] = *fixed;
        let destination = match family {
            2 => Ipv4Addr::UNSPECIFIED.into(),
            10 => Ipv6Addr::UNSPECIFIED.into(),
            _ => return Ok(None),
        };
        if (table, kind, from) != (MAIN, UNICAST, 0) {
            return Ok(None);
        }
        let on_link = u32::from_ne_bytes([f0, f1, f2, f3]) & ON_LINK != 0;
        let (mut to, mut gateway, mut index, mut metric, mut source) = (destination, None, None, 0, None);
        for attribute in Attributes::new(attributes) {
            match attribute? {
                (DESTINATION, value) => to = address("route destination", value)?,
                (GATEWAY, value) => gateway = Some(address("route gateway", value)?),
                (INTERFACE, value) => index = Index::new(word("route interface", value)?),
                (PRIORITY, value) => metric = word("route metric", value)?,
                (PREFERRED_SOURCE, value) => source = Some(address("route source", value)?),
                _ => {}
            }
        }
        // Without an interface it has several next hops.
        let route =
            |index| Self { destination: to, prefix, gateway, on_link, index, metric, source, protocol };
        Ok(index.map(route))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frames, Message};
    use proptest::prelude::*;

    fn decoded(bytes: &[u8]) -> Message {
        Message::decode(&Frames::new(bytes).next().unwrap().unwrap()).unwrap()
    }

    fn sample() -> Route {
        Route {
            destination: [0, 0, 0, 0].into(),
            prefix: 0,
            gateway: Some([10, 0, 2, 2].into()),
            on_link: false,
            index: Index::new(2).unwrap(),
            metric: 1002,
            source: Some([10, 0, 2, 15].into()),
            protocol: 16,
        }
    }

    #[test]
    fn other_tables_types_and_families_are_not_taken_for_ours() {
        for (at, value) in [(0, 7), (2, 8), (4, 255), (7, 2)] {
            let mut bytes = sample().replace().to_bytes(1);
            bytes[16 + at] = value;
            assert_eq!(decoded(&bytes), Message::Other(NEW_ROUTE), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn what_is_asked_is_what_would_be_told(
            to in any::<[u8; 4]>(), prefix in 1u8..=32, gateway in any::<Option<[u8; 4]>>(), on_link in any::<bool>(),
            index in 1u32..1000, metric in any::<u32>(), source in any::<Option<[u8; 4]>>(), protocol in any::<u8>(),
        ) {
            let want = Route {
                destination: to.into(), prefix, gateway: gateway.map(IpAddr::from), on_link,
                index: Index::new(index).unwrap(), metric, source: source.map(IpAddr::from), protocol,
            };
            prop_assert_eq!(decoded(&want.replace().to_bytes(3)), Message::Route(want.clone()));
            prop_assert_eq!(decoded(&want.remove().to_bytes(3)), Message::RouteGone(want));
        }
    }
}
