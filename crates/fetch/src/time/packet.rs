//! The packet of NTP, and what it says. Bytes and times in, a sample out.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 1 | leap indicator (2 bits), version (3), mode (3) |
//! | 1 | 1 | stratum: 0 a refusal, 1 to 15, 16 unsynchronised |
//! | 2 | 2 | poll interval, precision |
//! | 4 | 4 | root delay, in 1/65536 s |
//! | 8 | 4 | root dispersion, in 1/65536 s |
//! | 12 | 4 | reference ID; with stratum 0 a word of why |
//! | 16 | 8 | reference timestamp |
//! | 24 | 8 | originate timestamp: what the request had as transmit timestamp |
//! | 32 | 8 | receive timestamp |
//! | 40 | 8 | transmit timestamp |
//!
//! All big-endian; a timestamp has seconds and 1/2³² s, from 1900 in era 0, from 2036-02-07 06:28:16 in era 1. What follows (extensions,
//! authentication) is not looked at. A request has random bits for its transmit timestamp: they tell nobody what the clock shows, and
//! who did not see them cannot answer.

/// A packet without extensions.
pub(super) const LEN: usize = 48;
/// Leap 0, version 4, mode 3: a client's.
const REQUEST: u8 = 0o43;
/// From 1900 to 1970, in seconds.
const TO_UNIX: i128 = 2_208_988_800;
/// An era, in seconds.
const ERA: i128 = 1 << 32;
const SECOND: i128 = 1_000_000_000;
/// The furthest from its source that a server may be (RFC 5905, MAXDIST), in nanoseconds.
const DISTANCE: i128 = 1_500_000_000;
/// How much longer than it was waited for may an answer claim to have been worked at: what clocks differ in a few seconds.
const DRIFT: i128 = 10_000_000;

/// What one answer says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    /// What to add to the clock, in nanoseconds.
    pub(super) offset: i128,
    /// How long it was on its way, in nanoseconds; not negative.
    pub(super) delay: i128,
}

/// When a request left and its answer came, by the clock that is off, in nanoseconds since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trip {
    pub(super) sent: i128,
    pub(super) came: i128,
}

/// Why an answer is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Bad {
    /// Not an answer to our request, or no packet at all: somebody else's, or a forgery. The right one may still come.
    #[error("an answer to something else")]
    Other,
    /// A server that wants to be left alone says so with stratum 0 ("kiss of death").
    #[error("it wants not to be asked ({0})")]
    Kiss(String),
    /// Its own clock is not set.
    #[error("its clock is not set")]
    Unsynchronised,
    /// A stratum beyond 15.
    #[error("stratum {0}")]
    Stratum(u8),
    /// Too far from a clock.
    #[error("it is too far from a clock")]
    Distance,
    /// Times that are none, or in no order.
    #[error("times that cannot be")]
    Times,
    /// Before a time that has passed.
    #[error("a time that has passed")]
    Past,
}

/// What is sent, with these bits for its time.
pub(super) fn request(bits: [u8; 8]) -> [u8; LEN] {
    let mut packet = [0; LEN];
    if let Some(first) = packet.first_mut() {
        *first = REQUEST;
    }
    if let Some(last) = packet.last_chunk_mut() {
        *last = bits;
    }
    packet
}

/// What an answer to the request with those bits says. `not_before` is in Unix seconds.
pub(super) fn read(packet: &[u8], bits: [u8; 8], trip: Trip, not_before: u64) -> Result<Sample, Bad> {
    let packet: &[u8; LEN] = packet.first_chunk().ok_or(Bad::Other)?;
    let (words, _) = packet.as_chunks::<4>();
    let words: [[u8; 4]; LEN / 4] = words.try_into().map_err(|_| Bad::Other)?;
    let [[first, stratum, ..], ..] = words;
    let [.., kiss, _, _, _, _, _, _, _, _] = words;
    let [
        _,
        root_delay,
        dispersion,
        _,
        _,
        _,
        sent,
        sent_fraction,
        received,
        received_fraction,
        left,
        left_fraction,
    ] = words.map(u32::from_be_bytes);

    let (leap, version, mode) = (first >> 6, (first >> 3) & 7, first & 7);
    let echo = (u64::from(sent) << 32) | u64::from(sent_fraction);
    if (mode, version) != (4, 4) || echo != u64::from_be_bytes(bits) {
        return Err(Bad::Other);
    }
    match stratum {
        0 => return Err(Bad::Kiss(kiss.escape_ascii().to_string())),
        16 => return Err(Bad::Unsynchronised),
        17.. => return Err(Bad::Stratum(stratum)),
        1..=15 if leap == 3 => return Err(Bad::Unsynchronised),
        1..=15 => {}
    }
    if short(root_delay) / 2 + short(dispersion) > DISTANCE {
        return Err(Bad::Distance);
    }
    if (received, received_fraction) == (0, 0) || (left, left_fraction) == (0, 0) {
        return Err(Bad::Times);
    }
    let received = unix(received, received_fraction, not_before);
    let left = unix(left, left_fraction, not_before);
    let (worked, waited) = (left - received, trip.came - trip.sent);
    if worked < 0 || worked > waited + DRIFT {
        return Err(Bad::Times);
    }
    if left < i128::from(not_before) * SECOND {
        return Err(Bad::Past);
    }
    let offset = ((received - trip.sent) + (left - trip.came)) / 2;
    Ok(Sample { offset, delay: (waited - worked).max(0) })
}

/// 1/65536 s to nanoseconds.
fn short(value: u32) -> i128 {
    (i128::from(value) * SECOND) >> 16
}

/// Nanoseconds since 1970, in the era that brings it nearest to `not_before`.
fn unix(seconds: u32, fraction: u32, not_before: u64) -> i128 {
    let in_era_0 = i128::from(seconds) - TO_UNIX;
    let eras = (i128::from(not_before) - in_era_0 + ERA / 2).div_euclid(ERA);
    (in_era_0 + eras * ERA) * SECOND + ((i128::from(fraction) * SECOND) >> 32)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BITS: [u8; 8] = *b"\x01random\xff";
    /// 2026-11-25.
    const NOW: u64 = 1_795_564_800;
    const MS: i128 = 1_000_000;

    fn timestamp(at: i128) -> [u8; 8] {
        let seconds = (at.div_euclid(SECOND) + TO_UNIX).rem_euclid(ERA) as u64;
        let fraction = (at.rem_euclid(SECOND) << 32) / SECOND;
        ((seconds << 32) | fraction as u64).to_be_bytes()
    }

    /// An honest answer: received and left at these times.
    fn answer(received: i128, left: i128) -> [u8; LEN] {
        let mut packet = [0; LEN];
        packet[..4].copy_from_slice(&[0o44, 2, 6, 0xe9]);
        packet[4..12].copy_from_slice(&[0, 0, 0x10, 0, 0, 0, 0x08, 0]);
        packet[24..32].copy_from_slice(&BITS);
        packet[32..40].copy_from_slice(&timestamp(received));
        packet[40..].copy_from_slice(&timestamp(left));
        packet
    }

    fn near(got: i128, want: i128) -> bool {
        (got - want).abs() < 10
    }

    fn check(packet: &[u8], sent: i128, not_before: u64) -> Result<Sample, Bad> {
        read(packet, BITS, Trip { sent, came: sent + 40 * MS }, not_before)
    }

    #[test]
    fn a_request_says_nothing_but_random_bits() {
        let packet = request(BITS);
        assert_eq!(packet[0], 0x23);
        assert!(packet[1..40].iter().all(|byte| *byte == 0));
        assert_eq!(packet[40..], BITS);
    }

    #[test]
    fn offset_and_delay() {
        // The clock shows 1970; the way takes 10 ms there, 20 back; the server works for 10.
        let now = i128::from(NOW) * SECOND + 123 * MS;
        let sample = check(&answer(now + 10 * MS, now + 20 * MS), 0, NOW - 1000).unwrap();
        assert!(near(sample.delay, 30 * MS), "{sample:?}");
        assert!(near(sample.offset, now - 5 * MS), "{sample:?}");
        // Ahead by a day.
        let sample = check(&answer(now + 10 * MS, now + 20 * MS), now + 86400 * SECOND, NOW - 1000).unwrap();
        assert!(near(sample.offset, -86400 * SECOND - 5 * MS), "{sample:?}");
        // With an extension behind it.
        let long = [answer(now, now).as_slice(), &[9; 20]].concat();
        assert!(check(&long, now, NOW).is_ok());
    }

    #[test]
    fn eras() {
        let year = 31_556_952;
        for built in [0, NOW, NOW + 9 * year, NOW + 11 * year, NOW + 100 * year, NOW + 250 * year] {
            for later in [0, 5 * year, 20 * year, 60 * year] {
                let now = i128::from(built + later) * SECOND;
                let sample = check(&answer(now, now), 0, built).unwrap();
                assert!(near(sample.offset, now - 20 * MS), "built {built}, {later} s later: {sample:?}");
            }
        }
        // The first second of era 1 has seconds 0.
        let first = (ERA - TO_UNIX) * SECOND;
        assert_eq!(first, 2_085_978_496 * SECOND);
        assert!(near(check(&answer(first + 1000, first + 1000), first, NOW).unwrap().offset, 1000 - 20 * MS));
    }

    #[test]
    fn what_is_of_no_use() {
        let now = i128::from(NOW) * SECOND;
        let good = answer(now, now);
        let with = |at: usize, bytes: &[u8]| {
            let mut packet = good;
            packet[at..at + bytes.len()].copy_from_slice(bytes);
            check(&packet, now, NOW)
        };
        assert!(with(0, &[]).is_ok());
        assert_eq!(check(&good[..47], now, NOW), Err(Bad::Other));
        assert_eq!(check(&[], now, NOW), Err(Bad::Other));
        for first in [0o43, 0o45, 0o46, 0o34, 0o54, 0] {
            assert_eq!(with(0, &[first]), Err(Bad::Other), "{first:o}");
        }
        assert_eq!(with(31, &[0xfe]), Err(Bad::Other), "not our bits");
        assert_eq!(with(0, &[0o344]), Err(Bad::Unsynchronised));
        assert!(with(0, &[0o244]).is_ok(), "a leap second is announced");
        assert_eq!(with(1, &[16]), Err(Bad::Unsynchronised));
        assert_eq!(with(1, &[17]), Err(Bad::Stratum(17)));
        let mut kiss = good;
        kiss[1] = 0;
        kiss[12..16].copy_from_slice(b"RATE");
        assert_eq!(check(&kiss, now, NOW), Err(Bad::Kiss("RATE".to_owned())));
        assert_eq!(with(4, &[0, 4, 0, 0]), Err(Bad::Distance));
        assert_eq!(with(8, &[0, 2, 0, 0]), Err(Bad::Distance));
        assert_eq!(with(4, &[0xff; 8]), Err(Bad::Distance));
        assert_eq!(with(32, &[0; 8]), Err(Bad::Times));
        assert_eq!(with(40, &[0; 8]), Err(Bad::Times));
        assert_eq!(check(&answer(now, now - 1000), now, NOW), Err(Bad::Times));
        assert_eq!(check(&answer(now, now + SECOND), now, NOW), Err(Bad::Times));
        assert_eq!(check(&answer(now, now), now, NOW + 1), Err(Bad::Past));
    }

    proptest! {
        /// Whatever a server says: no panic, and a sample only for our bits and a time that has not passed.
        #[test]
        fn no_packet_is_believed_too_much(
            mut packet in proptest::collection::vec(any::<u8>(), 0..100),
            ours in any::<bool>(),
            sent in -(1i128 << 62)..1 << 62,
            not_before in any::<u64>(),
        ) {
            if ours && packet.len() >= LEN {
                packet[0] = 0o44;
                packet[24..32].copy_from_slice(&BITS);
            }
            if let Ok(sample) = check(&packet, sent, not_before) {
                prop_assert!(ours && sample.delay >= 0);
                prop_assert!(sent + sample.offset + SECOND >= i128::from(not_before) * SECOND);
            }
        }
    }
}
