//! A DHCP message between machines of which one has no address yet: UDP in IPv4 in Ethernet.
//!
//! | offset | size | field |
//! |---|---|---|
//! | 0 | 6, 6, 2 | Ethernet: to, from, type 0x0800 |
//! | 14 | 20 | IPv4 header (RFC 791); what arrives may have options behind it |
//! | 34 | 2, 2, 2, 2 | UDP: from port, to port, length, checksum |
//! | 42 | … | the message |

use nix::libc::sock_filter;

/// `ETH_P_IP`.
pub(crate) const IPV4: u16 = 0x0800;
/// The server's port and the client's.
pub(crate) const SERVER_PORT: u16 = 67;
pub(crate) const CLIENT_PORT: u16 = 68;
/// Bytes of the longest frame that is read.
pub(crate) const MAX_LEN: usize = 2048;

const ETHERNET: usize = 14;
const IP: usize = 20;
const UDP: usize = 8;
const UDP_PROTOCOL: u8 = 17;

/// A filter for the kernel: UDP to the client's port, not a later fragment. Everything else never wakes us.
pub(crate) const FILTER: [sock_filter; 9] = [
    insn(0x30, 0, 0, 23),                  // The byte of the protocol:
    insn(0x15, 0, 6, UDP_PROTOCOL as u32), // UDP.
    insn(0x28, 0, 0, 20),                  // The half word of the fragment's offset:
    insn(0x45, 4, 0, 0x1fff),              // zero.
    insn(0xb1, 0, 0, 14),                  // X is the length of the IP header.
    insn(0x48, 0, 0, 16),                  // The half word two bytes into UDP:
    insn(0x15, 0, 1, CLIENT_PORT as u32),  // the client's port.
    insn(0x06, 0, 0, MAX_LEN as u32),
    insn(0x06, 0, 0, 0),
];

const fn insn(code: u16, jt: u8, jf: u8, k: u32) -> sock_filter {
    sock_filter { code, jt, jf, k }
}

/// The frame that carries `message` from a machine without an address to everybody.
pub(crate) fn broadcast(from: [u8; 6], message: &[u8]) -> Vec<u8> {
    let udp_len = (UDP + message.len()) as u16;
    let mut ip = [0; IP];
    ip[..4].copy_from_slice(&[[0x45, 0], (IP as u16 + udp_len).to_be_bytes()].concat());
    ip[8..10].copy_from_slice(&[64, UDP_PROTOCOL]); // Hops, protocol; the source stays 0.0.0.0.
    ip[16..].fill(0xff);
    let sum = !folded(&ip, 0);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let ports = [CLIENT_PORT, SERVER_PORT, udp_len].map(u16::to_be_bytes).concat();
    let covered = folded(&ports, pseudo_header([0; 4], [0xff; 4], udp_len));
    // Zero would mean that there is no checksum.
    let sum = Some(!folded(message, covered.into())).filter(|sum| *sum != 0).unwrap_or(0xffff);
    [&[0xff; 6], &from[..], &IPV4.to_be_bytes(), &ip, &ports, &sum.to_be_bytes(), message].concat()
}

/// The message in a frame, if it is whole and from a server's port.
pub(crate) fn message(frame: &[u8]) -> Option<&[u8]> {
    let (ethernet, packet) = frame.split_at_checked(ETHERNET)?;
    let (fixed, _) = packet.split_first_chunk::<IP>()?;
    let [first, _, len0, len1, _, _, fragment0, fragment1, _, protocol, _, _, addresses @ ..] = *fixed;
    let [s0, s1, s2, s3, d0, d1, d2, d3] = addresses;
    let header_len = usize::from(first & 0xf) * 4;
    let fragmented = u16::from_be_bytes([fragment0, fragment1]) & 0x3fff != 0;
    if ethernet.get(12..)? != IPV4.to_be_bytes()
        || first >> 4 != 4
        || header_len < IP
        || protocol != UDP_PROTOCOL
        || fragmented
    {
        return None;
    }
    // What follows is Ethernet's padding of short frames.
    let packet = packet.get(..usize::from(u16::from_be_bytes([len0, len1])))?;
    let (header, udp) = packet.split_at_checked(header_len)?;
    if folded(header, 0) != 0xffff {
        return None;
    }
    let ([p0, p1, q0, q1, l0, l1, c0, c1], _) = udp.split_first_chunk::<UDP>()?;
    let ports = [[*p0, *p1], [*q0, *q1]].map(u16::from_be_bytes);
    let udp_len = u16::from_be_bytes([*l0, *l1]);
    let udp = udp.get(..usize::from(udp_len))?;
    let pseudo = pseudo_header([s0, s1, s2, s3], [d0, d1, d2, d3], udp_len);
    let sum = u16::from_be_bytes([*c0, *c1]);
    // A machine on the same host leaves the sum to a card that is not there: it is then that of the pseudo header alone.
    let whole = sum == 0 || folded(udp, pseudo) == 0xffff || sum == folded(&[], pseudo);
    (whole && ports == [SERVER_PORT, CLIENT_PORT]).then(|| udp.get(UDP..)).flatten()
}

/// What UDP's checksum covers beside UDP.
fn pseudo_header(from: [u8; 4], to: [u8; 4], udp_len: u16) -> u32 {
    let words = [from, to, [0, UDP_PROTOCOL, 0, 0]].concat();
    u32::from(folded(&words, udp_len.into()))
}

/// The sum of big-endian half words in ones' complement (RFC 1071).
fn folded(bytes: &[u8], start: u32) -> u16 {
    let word = |pair: &[u8]| match *pair {
        [high, low] => u32::from(u16::from_be_bytes([high, low])),
        [high] => u32::from(high) << 8,
        _ => 0,
    };
    // A frame has too few half words to overflow the sum.
    let mut sum = bytes.chunks(2).map(word).fold(start, u32::wrapping_add);
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FROM: [u8; 6] = [2, 0, 0, 0, 0, 7];

    /// The frame that a server would send: the same but for the ports.
    fn reply(text: &[u8]) -> Vec<u8> {
        let mut frame = broadcast(FROM, text);
        frame.swap(35, 37);
        frame
    }

    fn with(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut frame = reply(b"a message");
        change(&mut frame);
        frame
    }

    #[test]
    fn a_frame_is_what_the_standards_say() {
        let frame = broadcast(FROM, b"hi");
        let ip = [0x45, 0, 0, 30, 0, 0, 0, 0, 64, 17, 0x7a, 0xd0, 0, 0, 0, 0, 255, 255, 255, 255];
        assert_eq!(frame[..14], [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 7, 8, 0]);
        assert_eq!(frame[14..34], ip);
        assert_eq!(frame[34..], [0, 68, 0, 67, 0, 10, 0x96, 0xea, b'h', b'i']);
    }

    #[test]
    fn only_whole_replies_of_a_server_are_read() {
        let cases = [
            ("as it is", reply(b"a message"), true),
            ("padded", with(|frame| frame.resize(90, 0xaa)), true),
            ("no checksum", with(|frame| frame[40..42].fill(0)), true),
            (
                "left to the card",
                with(|frame| {
                    let sum = folded(&[], pseudo_header([0; 4], [255; 4], 17));
                    frame[40..42].copy_from_slice(&sum.to_be_bytes());
                }),
                true,
            ),
            ("other type", with(|frame| frame[13] = 6), false),
            ("version 6", with(|frame| frame[14] = 0x65), false),
            ("short header", with(|frame| frame[14] = 0x44), false),
            ("long header", with(|frame| frame[14] = 0x4f), false),
            ("cut", with(|frame| frame.truncate(50)), false),
            ("fragment", with(|frame| frame[20] = 0x20), false),
            ("other protocol", with(|frame| frame[23] = 6), false),
            ("header damaged", with(|frame| frame[26] ^= 1), false),
            ("message damaged", with(|frame| frame[45] ^= 1), false),
            ("UDP too long", with(|frame| frame[39] = 200), false),
            (
                "UDP too short",
                with(|frame| {
                    frame[39] = 7;
                    frame[40..42].fill(0)
                }),
                false,
            ),
            (
                "from elsewhere",
                with(|frame| {
                    frame[35] = 69;
                    frame[40..42].fill(0)
                }),
                false,
            ),
            (
                "to elsewhere",
                with(|frame| {
                    frame[37] = 69;
                    frame[40..42].fill(0)
                }),
                false,
            ),
        ];
        for (name, frame, read) in cases {
            assert_eq!(message(&frame), read.then_some(&b"a message"[..]), "{name}");
        }
        assert_eq!(message(&broadcast(FROM, b"a message")), None, "a client's");
    }

    proptest! {
        #[test]
        fn messages_of_any_length_come_through(text in proptest::collection::vec(any::<u8>(), 0..1500)) {
            let frame = reply(&text);
            prop_assert_eq!(message(&frame), Some(&text[..]));
            for len in 0..frame.len() {
                prop_assert_eq!(message(&frame[..len]), None);
            }
        }

        #[test]
        fn no_frame_makes_it_panic(mut frame in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = message(&frame); // Only that it returns matters.
            if frame.len() > 24 {
                frame[12..15].copy_from_slice(&[8, 0, 0x45]);
                frame[20..24].copy_from_slice(&[0, 0, 64, 17]);
                let _ = message(&frame); // Likewise.
            }
        }
    }
}
