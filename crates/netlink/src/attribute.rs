//! Attributes: what follows the fixed part of a message.
//!
//! | offset | size | field (`struct nlattr`) |
//! |---|---|---|
//! | 0 | 2 | length, with this header and without the padding to four bytes |
//! | 2 | 2 | type; the two highest bits are flags |
//! | 4 | … | value |

use std::net::IpAddr;

use crate::error::Malformed;

const HEADER: usize = 4;
/// `NLA_TYPE_MASK`: the type without its flags.
pub(crate) const TYPE_MASK: u16 = 0x3fff;

/// Types and values. Ends after the first that is malformed.
#[derive(Debug, Clone)]
pub(crate) struct Attributes<'a>(&'a [u8]);

impl<'a> Attributes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.0);
        if bytes.is_empty() {
            return None;
        }
        Some(split(bytes).map(|(attribute, rest)| {
            self.0 = rest;
            attribute
        }))
    }
}

type Attribute<'a> = (u16, &'a [u8]);

fn split(bytes: &[u8]) -> Result<(Attribute<'_>, &[u8]), Malformed> {
    let short = Malformed::Short { what: "attribute", len: bytes.len() };
    let ([l0, l1, t0, t1], _) = bytes.split_first_chunk::<HEADER>().ok_or(short)?;
    let claimed = usize::from(u16::from_ne_bytes([*l0, *l1]));
    let value = bytes.get(HEADER..claimed).ok_or(Malformed::Length {
        what: "attribute",
        claimed,
        len: bytes.len(),
    })?;
    let kind = u16::from_ne_bytes([*t0, *t1]) & TYPE_MASK;
    Ok(((kind, value), bytes.get(claimed.next_multiple_of(4)..).unwrap_or_default()))
}

/// A value that is a `u32`.
pub(crate) fn word(what: &'static str, value: &[u8]) -> Result<u32, Malformed> {
    value.try_into().map(u32::from_ne_bytes).map_err(|_| Malformed::Value { what })
}

/// A value that is text with a zero at its end.
pub(crate) fn text(what: &'static str, value: &[u8]) -> Result<String, Malformed> {
    let text = value.strip_suffix(&[0]).unwrap_or(value);
    String::from_utf8(text.to_vec()).map_err(|_| Malformed::Value { what })
}

/// A value that is an address of four or sixteen bytes.
pub(crate) fn address(what: &'static str, value: &[u8]) -> Result<IpAddr, Malformed> {
    let four = <[u8; 4]>::try_from(value).map(IpAddr::from);
    four.or_else(|_| <[u8; 16]>::try_from(value).map(IpAddr::from)).map_err(|_| Malformed::Value { what })
}

/// The bytes of an address.
pub(crate) fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// `AF_INET` or `AF_INET6`.
pub(crate) fn family(address: IpAddr) -> u8 {
    if address.is_ipv4() { 2 } else { 10 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn attributes_are_taken_apart_without_their_flags() {
        let mut bytes = vec![];
        for (len, kind, value) in [(5u16, 3u16, [9u8, 0, 0, 0]), (8, 0x8004, [1, 2, 3, 4])] {
            bytes.extend(len.to_ne_bytes());
            bytes.extend(kind.to_ne_bytes());
            bytes.extend(value);
        }
        let all: Vec<_> = Attributes::new(&bytes).collect();
        assert_eq!(all, [Ok((3, &[9][..])), Ok((4, &[1, 2, 3, 4][..]))]);
        bytes[8] = 3;
        let last = Attributes::new(&bytes).last();
        assert_eq!(last, Some(Err(Malformed::Length { what: "attribute", claimed: 3, len: 8 })));
    }

    #[test]
    fn values_have_their_size() {
        assert_eq!(word("mtu", &[1, 0]), Err(Malformed::Value { what: "mtu" }));
        assert_eq!(address("local", &[1; 5]), Err(Malformed::Value { what: "local" }));
        assert_eq!(address("local", &[10, 0, 2, 15]), Ok([10, 0, 2, 15].into()));
        assert_eq!(text("name", b"eth0\0"), Ok("eth0".to_owned()));
        assert_eq!(text("name", &[0xff, 0]), Err(Malformed::Value { what: "name" }));
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            prop_assert!(Attributes::new(&bytes).count() <= bytes.len() / HEADER + 1);
        }
    }
}
