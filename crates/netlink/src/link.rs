//! Network interfaces.
//!
//! | offset | size | field (`struct ifinfomsg`) |
//! |---|---|---|
//! | 0, 1 | 1, 1 | family 0, padding |
//! | 2 | 2 | hardware type (`ARPHRD_*`) |
//! | 4 | 4 | index |
//! | 8 | 4 | flags (`IFF_*`) |
//! | 12 | 4 | flags to change |
//! | 16 | … | attributes |

use std::num::NonZeroU32;

use crate::{
    attribute::{Attributes, text, word},
    error::Malformed,
    message::{GET_LINK, NEW_LINK},
    request::Request,
};

pub(crate) const ADDRESS: u16 = 1;
pub(crate) const NAME: u16 = 3;
pub(crate) const MTU: u16 = 4;
pub(crate) const MASTER: u16 = 10;
pub(crate) const LINK_INFO: u16 = 18;
pub(crate) const EXT_MASK: u16 = 29;
pub(crate) const INFO_KIND: u16 = 1;
/// `RTEXT_FILTER_SKIP_STATS`: counters would double the size of an answer.
pub(crate) const SKIP_STATS: u32 = 8;
/// `ARPHRD_ETHER`.
pub(crate) const ETHERNET: u16 = 1;
/// `IFF_UP`, `IFF_LOOPBACK`, `IFF_RUNNING`.
pub(crate) const FLAGS: [u32; 3] = [0x1, 0x8, 0x40];

/// The number of an interface. It is never used again while the machine runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Index(NonZeroU32);

impl Index {
    /// `None` for zero and what is no positive `int`.
    pub fn new(index: u32) -> Option<Self> {
        NonZeroU32::new(index).filter(|index| index.get() <= i32::MAX as u32).map(Self)
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0.get()
    }
}

/// What a link can do at the moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Number.
    pub index: Index,
    /// Name.
    pub name: String,
    /// Set up by an administrator (`IFF_UP`).
    pub up: bool,
    /// Able to carry traffic: the cable is in and what is at the other end agrees (`IFF_RUNNING`).
    pub running: bool,
    /// The loopback interface.
    pub loopback: bool,
    /// Ethernet address; `None` for other hardware.
    pub ethernet: Option<[u8; 6]>,
    /// Bytes that a packet may have.
    pub mtu: u32,
    /// Kind of a virtual interface, such as `veth`; most hardware has none.
    pub kind: Option<String>,
    /// The bridge or bond that the interface belongs to.
    pub master: Option<Index>,
}

impl Link {
    /// Asks for all interfaces.
    pub fn dump() -> Request {
        Request::dump(GET_LINK, &fixed(None, 0, 0)).attribute(EXT_MASK, &SKIP_STATS.to_ne_bytes())
    }

    /// Sets an interface up.
    pub fn set_up(index: Index) -> Request {
        let [up, ..] = FLAGS;
        Request::change(NEW_LINK, &fixed(Some(index), up, up))
    }

    /// Sets the MTU of an interface.
    pub fn set_mtu(index: Index, mtu: u32) -> Request {
        Request::change(NEW_LINK, &fixed(Some(index), 0, 0)).attribute(MTU, &mtu.to_ne_bytes())
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Malformed> {
        let short = Malformed::Short { what: "link", len: payload.len() };
        let (fixed, attributes) = payload.split_first_chunk::<16>().ok_or(short)?;
        let [_, _, h0, h1, i0, i1, i2, i3, f0, f1, f2, f3, ..] = *fixed;
        let flags = u32::from_ne_bytes([f0, f1, f2, f3]);
        let [up, loopback, running] = FLAGS.map(|flag| flags & flag != 0);
        let index = u32::from_ne_bytes([i0, i1, i2, i3]);
        let index = Index::new(index).ok_or(Malformed::Value { what: "link index" })?;
        let mut link = Self {
            index,
            name: String::new(),
            up,
            running,
            loopback,
            ethernet: None,
            mtu: 0,
            kind: None,
            master: None,
        };
        for attribute in Attributes::new(attributes) {
            match attribute? {
                (ADDRESS, value) if u16::from_ne_bytes([h0, h1]) == ETHERNET => {
                    link.ethernet = value.try_into().ok();
                }
                (NAME, value) => link.name = text("link name", value)?,
                (MTU, value) => link.mtu = word("link mtu", value)?,
                (MASTER, value) => link.master = Index::new(word("link master", value)?),
                (LINK_INFO, value) => link.kind = kind(value)?,
                _ => {}
            }
        }
        Ok(link)
    }
}

fn kind(info: &[u8]) -> Result<Option<String>, Malformed> {
    for attribute in Attributes::new(info) {
        if let (INFO_KIND, value) = attribute? {
            return text("link kind", value).map(Some);
        }
    }
    Ok(None)
}

fn fixed(index: Option<Index>, flags: u32, change: u32) -> Vec<u8> {
    let index = index.map_or(0, Index::get);
    [[0; 4], index.to_ne_bytes(), flags.to_ne_bytes(), change.to_ne_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Frames, Message};

    /// A link as the kernel tells of it.
    fn told(hardware: u16, flags: u32, attributes: &[(u16, &[u8])]) -> Result<Message, Malformed> {
        let mut start = fixed(Index::new(3), flags, 0);
        start[2..4].copy_from_slice(&hardware.to_ne_bytes());
        let request = attributes.iter().fold(Request::change(NEW_LINK, &start), |request, (kind, value)| {
            request.attribute(*kind, value)
        });
        let bytes = request.to_bytes(0);
        Message::decode(&Frames::new(&bytes).next().unwrap().unwrap())
    }

    #[test]
    fn a_link_is_read_as_it_is_told() {
        let info = [&9u16.to_ne_bytes()[..], &INFO_KIND.to_ne_bytes(), b"veth\0\0\0\0"].concat();
        let attributes: [(u16, &[u8]); 6] = [
            (NAME, b"eth0\0"),
            (ADDRESS, &[2, 0, 0, 0, 0, 1]),
            (MTU, &1500u32.to_ne_bytes()),
            (MASTER, &7u32.to_ne_bytes()),
            (LINK_INFO | 0x8000, &info),
            (999, &[1, 2, 3]),
        ];
        let want = Link {
            index: Index::new(3).unwrap(),
            name: "eth0".to_owned(),
            up: true,
            running: true,
            loopback: false,
            ethernet: Some([2, 0, 0, 0, 0, 1]),
            mtu: 1500,
            kind: Some("veth".to_owned()),
            master: Index::new(7),
        };
        assert_eq!(told(ETHERNET, 0x11043, &attributes), Ok(Message::Link(want.clone())));
        let other = Link { ethernet: None, up: true, running: false, loopback: true, ..want };
        assert_eq!(told(772, 0x9, &attributes), Ok(Message::Link(other)));
    }

    #[test]
    fn values_of_a_wrong_size_are_errors() {
        for (attribute, what) in [((MTU, &b"ab"[..]), "link mtu"), ((NAME, &[0xff]), "link name")] {
            assert_eq!(told(ETHERNET, 0, &[attribute]), Err(Malformed::Value { what }));
        }
        let broken = Malformed::Length { what: "attribute", claimed: 9, len: 4 };
        assert_eq!(told(ETHERNET, 0, &[(LINK_INFO, &[9, 0, 1, 0])]), Err(broken));
    }

    #[test]
    fn indices_are_positive_ints() {
        assert_eq!(
            [0, 1, 0x7fff_ffff, 0x8000_0000].map(|n| Index::new(n).is_some()),
            [false, true, true, false]
        );
    }
}
