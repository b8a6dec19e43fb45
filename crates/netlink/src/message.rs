//! What the kernel says.

use nix::errno::Errno;

use crate::{address::Address, error::Malformed, frame::Frame, link::Index, link::Link, route::Route};

pub(crate) const ERROR: u16 = 2;
pub(crate) const DONE: u16 = 3;
pub(crate) const OVERRUN: u16 = 4;
pub(crate) const NEW_LINK: u16 = 16;
pub(crate) const DEL_LINK: u16 = 17;
pub(crate) const GET_LINK: u16 = 18;
pub(crate) const NEW_ADDRESS: u16 = 20;
pub(crate) const DEL_ADDRESS: u16 = 21;
pub(crate) const GET_ADDRESS: u16 = 22;
pub(crate) const NEW_ROUTE: u16 = 24;
pub(crate) const DEL_ROUTE: u16 = 25;
pub(crate) const GET_ROUTE: u16 = 26;

/// A message, understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// An interface is there, or has changed.
    Link(Link),
    /// An interface is gone.
    LinkGone(Index),
    /// An address is there, or has changed.
    Address(Address),
    /// An address is gone.
    AddressGone(Address),
    /// A route is there, or has changed.
    Route(Route),
    /// A route is gone.
    RouteGone(Route),
    /// A request was carried out.
    Acknowledged,
    /// A request was not carried out.
    Refused(Errno),
    /// The end of a table; an error if reading it failed.
    Done(Result<(), Errno>),
    /// Messages were lost.
    Overrun,
    /// Of a type that nobody here asks for.
    Other(u16),
}

impl Message {
    /// Reads the payload of a frame.
    pub fn decode(frame: &Frame<'_>) -> Result<Self, Malformed> {
        let payload = frame.payload;
        Ok(match frame.kind {
            ERROR => match errno(payload)? {
                Some(errno) => Self::Refused(errno),
                None => Self::Acknowledged,
            },
            // Old kernels send no number with it.
            DONE if payload.is_empty() => Self::Done(Ok(())),
            DONE => Self::Done(errno(payload)?.map_or(Ok(()), Err)),
            OVERRUN => Self::Overrun,
            NEW_LINK => Self::Link(Link::decode(payload)?),
            DEL_LINK => Self::LinkGone(Link::decode(payload)?.index),
            NEW_ADDRESS => Self::Address(Address::decode(payload)?),
            DEL_ADDRESS => Self::AddressGone(Address::decode(payload)?),
            NEW_ROUTE => Route::decode(payload)?.map_or(Self::Other(frame.kind), Self::Route),
            DEL_ROUTE => Route::decode(payload)?.map_or(Self::Other(frame.kind), Self::RouteGone),
            other => Self::Other(other),
        })
    }
}

/// The negative number that an answer begins with; `None` for zero.
fn errno(payload: &[u8]) -> Result<Option<Errno>, Malformed> {
    let short = Malformed::Short { what: "answer", len: payload.len() };
    let (number, _) = payload.split_first_chunk::<4>().ok_or(short)?;
    match i32::from_ne_bytes(*number) {
        0 => Ok(None),
        number => number
            .checked_neg()
            .filter(|number| *number > 0)
            .map(|number| Some(Errno::from_raw(number)))
            .ok_or(Malformed::Value { what: "answer" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(kind: u16, payload: &[u8]) -> Result<Message, Malformed> {
        Message::decode(&Frame { kind, flags: 0, sequence: 1, port: 0, payload })
    }

    #[test]
    fn answers_carry_an_errno_or_none() {
        let no = (-13i32).to_ne_bytes();
        let cases = [
            (ERROR, &[0; 20][..], Ok(Message::Acknowledged)),
            (ERROR, &no, Ok(Message::Refused(Errno::EACCES))),
            (ERROR, &[0; 3], Err(Malformed::Short { what: "answer", len: 3 })),
            (ERROR, &1i32.to_ne_bytes(), Err(Malformed::Value { what: "answer" })),
            (ERROR, &i32::MIN.to_ne_bytes(), Err(Malformed::Value { what: "answer" })),
            (DONE, &[], Ok(Message::Done(Ok(())))),
            (DONE, &[0; 4], Ok(Message::Done(Ok(())))),
            (DONE, &no, Ok(Message::Done(Err(Errno::EACCES)))),
            (OVERRUN, &[], Ok(Message::Overrun)),
            (999, &[1], Ok(Message::Other(999))),
            (NEW_LINK, &[0; 15], Err(Malformed::Short { what: "link", len: 15 })),
            (NEW_ADDRESS, &[0; 7], Err(Malformed::Short { what: "address", len: 7 })),
            (DEL_ROUTE, &[0; 11], Err(Malformed::Short { what: "route", len: 11 })),
            (DEL_LINK, &[0; 16], Err(Malformed::Value { what: "link index" })),
        ];
        for (kind, payload, want) in cases {
            assert_eq!(decode(kind, payload), want, "{kind} {payload:?}");
        }
    }

    proptest! {
        #[test]
        fn any_payload_is_a_message_or_an_error(
            kind in prop_oneof![0u16..30, any::<u16>()], mut payload in proptest::collection::vec(any::<u8>(), 0..200)
        ) {
            let _ = decode(kind, &payload); // Only that it returns matters.
            if let Some(family) = payload.first_mut() {
                *family = 2;
                let _ = decode(kind, &payload); // Likewise.
            }
        }
    }
}
