//! Messages in a datagram.
//!
//! | offset | size | field (`struct nlmsghdr`) |
//! |---|---|---|
//! | 0 | 4 | length, with this header and without the padding to four bytes |
//! | 4 | 2 | type |
//! | 6 | 2 | flags |
//! | 8 | 4 | sequence number: an answer carries that of its request |
//! | 12 | 4 | port of the receiver |
//! | 16 | … | payload |

use crate::error::Malformed;

/// Bytes of a header.
pub(crate) const HEADER: usize = 16;

/// One message, not yet understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Type.
    pub kind: u16,
    /// Flags.
    pub flags: u16,
    /// Sequence number.
    pub sequence: u32,
    /// Port of the receiver.
    pub port: u32,
    /// What follows the header.
    pub payload: &'a [u8],
}

/// The messages of a datagram. Ends after the first that is malformed.
#[derive(Debug, Clone)]
pub struct Frames<'a>(&'a [u8]);

impl<'a> Frames<'a> {
    /// Over the bytes of one datagram.
    pub fn new(datagram: &'a [u8]) -> Self {
        Self(datagram)
    }
}

impl<'a> Iterator for Frames<'a> {
    type Item = Result<Frame<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let bytes = std::mem::take(&mut self.0);
        if bytes.is_empty() {
            return None;
        }
        Some(split(bytes).map(|(frame, rest)| {
            self.0 = rest;
            frame
        }))
    }
}

fn split(bytes: &[u8]) -> Result<(Frame<'_>, &[u8]), Malformed> {
    let short = Malformed::Short { what: "message", len: bytes.len() };
    let (header, _) = bytes.split_first_chunk::<HEADER>().ok_or(short)?;
    let [l0, l1, l2, l3, k0, k1, f0, f1, s0, s1, s2, s3, p0, p1, p2, p3] = *header;
    let claimed = u32::from_ne_bytes([l0, l1, l2, l3]) as usize;
    let payload =
        bytes.get(HEADER..claimed).ok_or(Malformed::Length { what: "message", claimed, len: bytes.len() })?;
    let frame = Frame {
        kind: u16::from_ne_bytes([k0, k1]),
        flags: u16::from_ne_bytes([f0, f1]),
        sequence: u32::from_ne_bytes([s0, s1, s2, s3]),
        port: u32::from_ne_bytes([p0, p1, p2, p3]),
        payload,
    };
    Ok((frame, bytes.get(claimed.next_multiple_of(4)..).unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u16, claimed: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = claimed.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(payload);
        bytes
    }

    #[test]
    fn messages_are_taken_apart_at_their_padding() {
        let mut bytes = frame(7, 17, &[1, 0, 0, 0]);
        bytes.extend(frame(8, 18, &[2, 3]));
        let frames: Vec<_> = Frames::new(&bytes).map(|frame| frame.map(|f| (f.kind, f.payload))).collect();
        assert_eq!(frames, [Ok((7, &[1][..])), Ok((8, &[2, 3][..]))]);
    }

    #[test]
    fn lengths_that_lie_end_the_datagram() {
        for claimed in [0, 15, 21, u32::MAX] {
            let mut bytes = frame(7, claimed, &[0; 4]);
            let len = bytes.len();
            let claimed = claimed as usize;
            let want = Malformed::Length { what: "message", claimed, len };
            assert_eq!(Frames::new(&bytes).collect::<Vec<_>>(), [Err(want)], "{claimed}");
            bytes.truncate(15);
            let want = Malformed::Short { what: "message", len: 15 };
            assert_eq!(Frames::new(&bytes).collect::<Vec<_>>(), [Err(want)]);
        }
    }

    proptest! {
        #[test]
        fn any_datagram_ends(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(Frames::new(&bytes).count() <= bytes.len() / HEADER + 1);
        }
    }
}
