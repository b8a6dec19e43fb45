//! The wire format.
//!
//! | offset | size | field (RFC 2131, section 2; big endian) |
//! |---|---|---|
//! | 0 | 1 | op: 1 request, 2 reply |
//! | 1, 2 | 1, 1 | hardware type 1 (Ethernet), address length 6 |
//! | 4 | 4 | transaction identifier |
//! | 8 | 2 | seconds since the client began |
//! | 10 | 2 | flags: 0x8000 asks for a broadcast reply |
//! | 12 | 4 | client's address, once it has one |
//! | 16 | 4 | the address that is offered or given |
//! | 28 | 16 | hardware address, then zeros |
//! | 236 | 4 | magic cookie 63 82 53 63 |
//! | 240 | … | options: code, length, value; 0 is padding, 255 the end |

use std::net::Ipv4Addr;

/// Bytes of the longest message that is read: one Ethernet frame's worth.
pub const MAX_LEN: usize = 1500;
const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
const OPTIONS_AT: usize = 240;
/// Servers may drop what is shorter, since BOOTP messages were never shorter.
const MIN_LEN: usize = 300;
const BROADCAST: u16 = 0x8000;

/// Option codes of RFC 2132, and of RFC 3442 for classless routes.
pub(crate) mod option {
    pub(crate) const SUBNET_MASK: u8 = 1;
    pub(crate) const ROUTER: u8 = 3;
    pub(crate) const DNS: u8 = 6;
    pub(crate) const HOST_NAME: u8 = 12;
    pub(crate) const MTU: u8 = 26;
    pub(crate) const NTP: u8 = 42;
    pub(crate) const REQUESTED: u8 = 50;
    pub(crate) const LEASE_TIME: u8 = 51;
    pub(crate) const KIND: u8 = 53;
    pub(crate) const SERVER: u8 = 54;
    pub(crate) const PARAMETERS: u8 = 55;
    pub(crate) const MAX_SIZE: u8 = 57;
    pub(crate) const RENEWAL: u8 = 58;
    pub(crate) const REBINDING: u8 = 59;
    pub(crate) const CLASSLESS_ROUTES: u8 = 121;
}

/// What a message is for (option 53).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Client: who has an address for me?
    Discover = 1,
    /// Server: this one.
    Offer = 2,
    /// Client: I take it, or keep it.
    Request = 3,
    /// Server: it is yours.
    Ack = 5,
    /// Server: it is not, begin again.
    Nak = 6,
}

/// A message, as far as a client needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// What it is for.
    pub kind: Kind,
    /// Transaction identifier: an answer carries that of the question.
    pub transaction: u32,
    /// Seconds since the client began.
    pub seconds: u16,
    /// The address that the client has already, or 0.0.0.0.
    pub client: Ipv4Addr,
    /// The address that the server gives, or 0.0.0.0.
    pub yours: Ipv4Addr,
    /// The client's hardware address.
    pub hardware: [u8; 6],
    /// Options but for the kind, in order; those that were split are joined (RFC 3396).
    pub(crate) options: Vec<(u8, Vec<u8>)>,
}

/// Why bytes are not a message for this client.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Shorter than the fixed fields, or longer than a frame.
    #[error("a DHCP message has 240 to {MAX_LEN} bytes, not {len}")]
    Len {
        /// Bytes that came.
        len: usize,
    },
    /// Not Ethernet, or no magic cookie.
    #[error("not a DHCP message for Ethernet")]
    Header,
    /// An option that reaches beyond the end.
    #[error("option {code} reaches beyond the end of the message")]
    Truncated {
        /// Its code.
        code: u8,
    },
    /// Option 53 is missing, or unknown to a client.
    #[error("the message does not say what it is for")]
    Kind,
}

impl Message {
    /// The value of an option.
    pub(crate) fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.iter().find(|(c, _)| *c == code).map(|(_, value)| value.as_slice())
    }

    /// An option that is one address.
    pub(crate) fn address(&self, code: u8) -> Option<Ipv4Addr> {
        self.option(code)?.try_into().ok().map(|octets: [u8; 4]| octets.into())
    }

    /// An option that is a number of seconds.
    pub(crate) fn seconds_of(&self, code: u8) -> Option<u32> {
        self.option(code)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// The bytes of a client's message.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![0; OPTIONS_AT];
        bytes[..3].copy_from_slice(&[1, 1, 6]);
        bytes[4..8].copy_from_slice(&self.transaction.to_be_bytes());
        bytes[8..10].copy_from_slice(&self.seconds.to_be_bytes());
        // Without an address there is no way to receive anything else; with one, the server sends there.
        let flags = if self.client.is_unspecified() { BROADCAST } else { 0 };
        bytes[10..12].copy_from_slice(&flags.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.client.octets());
        bytes[16..20].copy_from_slice(&self.yours.octets());
        bytes[28..34].copy_from_slice(&self.hardware);
        bytes[236..240].copy_from_slice(&COOKIE);
        bytes.extend([option::KIND, 1, self.kind as u8]);
        for (code, value) in &self.options {
            for part in value.chunks(255) {
                bytes.extend([*code, part.len() as u8]);
                bytes.extend(part);
            }
        }
        bytes.push(255);
        bytes.resize(bytes.len().max(MIN_LEN), 0);
        bytes
    }

    /// Reads a server's message. Option overload (52) is not followed: no server needs it for what is asked here.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let len = Malformed::Len { len: bytes.len() };
        if bytes.len() > MAX_LEN {
            return Err(len);
        }
        let (fixed, mut rest) = bytes.split_first_chunk::<OPTIONS_AT>().ok_or(len)?;
        if fixed[..3] != [2, 1, 6] || fixed[236..] != COOKIE {
            return Err(Malformed::Header);
        }
        let word = |at: usize| [fixed[at], fixed[at + 1], fixed[at + 2], fixed[at + 3]];
        let mut options: Vec<(u8, Vec<u8>)> = vec![];
        while let Some((code, tail)) = rest.split_first() {
            match code {
                0 => rest = tail,
                255 => break,
                code => {
                    let truncated = Malformed::Truncated { code: *code };
                    let (length, tail) = tail.split_first().ok_or(truncated)?;
                    let (value, tail) = tail.split_at_checked(usize::from(*length)).ok_or(truncated)?;
                    match options.iter_mut().find(|(c, _)| c == code) {
                        Some((_, joined)) => joined.extend(value),
                        None => options.push((*code, value.to_vec())),
                    }
                    rest = tail;
                }
            }
        }
        let kind = options.iter().position(|(code, _)| *code == option::KIND).ok_or(Malformed::Kind)?;
        let kind = match *options.remove(kind).1 {
            [2] => Kind::Offer,
            [5] => Kind::Ack,
            [6] => Kind::Nak,
            _ => return Err(Malformed::Kind),
        };
        Ok(Self {
            kind,
            transaction: u32::from_be_bytes(word(4)),
            seconds: u16::from_be_bytes([fixed[8], fixed[9]]),
            client: word(12).into(),
            yours: word(16).into(),
            hardware: std::array::from_fn(|n| fixed[28 + n]),
            options,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What a server would send: the same bytes but for the first.
    pub(crate) fn as_reply(message: &Message) -> Vec<u8> {
        let mut bytes = message.encode();
        bytes[0] = 2;
        bytes
    }

    fn sample() -> Message {
        Message {
            kind: Kind::Offer,
            transaction: 0x0102_0304,
            seconds: 7,
            client: Ipv4Addr::UNSPECIFIED,
            yours: Ipv4Addr::new(10, 0, 2, 15),
            hardware: [2, 0, 0, 0, 0, 1],
            options: vec![(option::SERVER, vec![10, 0, 2, 2]), (option::DNS, vec![8; 300])],
        }
    }

    #[test]
    fn what_is_encoded_is_decoded_and_long_options_are_joined() {
        let bytes = as_reply(&sample());
        assert_eq!(Message::decode(&bytes), Ok(sample()));
    }

    #[test]
    fn every_cut_is_an_error_or_an_option_less_and_never_a_panic() {
        let bytes = as_reply(&sample());
        for len in 0..OPTIONS_AT {
            assert_eq!(Message::decode(&bytes[..len]), Err(Malformed::Len { len }));
        }
        assert_eq!(Message::decode(&bytes[..OPTIONS_AT]), Err(Malformed::Kind));
        assert_eq!(
            Message::decode(&bytes[..OPTIONS_AT + 5]),
            Err(Malformed::Truncated { code: option::SERVER })
        );
        assert_eq!(Message::decode(&[0; MAX_LEN + 1]), Err(Malformed::Len { len: MAX_LEN + 1 }));
    }

    #[test]
    fn requests_and_foreign_hardware_are_not_for_us() {
        for (at, value) in [(0, 1), (1, 6), (2, 16), (236, 0)] {
            let mut bytes = as_reply(&sample());
            bytes[at] = value;
            assert_eq!(Message::decode(&bytes), Err(Malformed::Header), "byte {at}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..MAX_LEN + 2)) {
            let _ = Message::decode(&bytes); // Only that it returns matters.
            if bytes.len() >= OPTIONS_AT {
                bytes[..3].copy_from_slice(&[2, 1, 6]);
                bytes[236..240].copy_from_slice(&COOKIE);
                let _ = Message::decode(&bytes); // Likewise, with the options reached.
            }
        }
    }
}
