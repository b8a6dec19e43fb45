//! Asking one server.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::rand::{GetRandomFlags, getrandom};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::packet::{Bad, Sample, Trip, read, request};
use crate::names::Names;

/// The longest wait for an answer.
const SAMPLE: Duration = Duration::from_secs(2);
/// How many packets are looked at before one is the answer.
const PACKETS: usize = 16;
/// How often in a row a server may stay silent.
const SILENT: usize = 2;
/// How many of its addresses are tried.
const PLACES: usize = 2;
/// Where servers listen.
const PORT: u16 = 123;

/// Why a server tells no time.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Its name has no address.
    #[error("no address")]
    Name(#[source] io::Error),
    /// It cannot be reached.
    #[error("no way")]
    Way(#[source] io::Error),
    /// Nothing came in time, or only answers to something else.
    #[error("no answer")]
    Silent,
    /// What it said is of no use.
    #[error(transparent)]
    Bad(#[from] Bad),
}

/// Takes so many samples; gives the one that was on its way the shortest.
pub(super) async fn ask(
    names: &Names,
    name: &str,
    samples: usize,
    not_before: u64,
) -> Result<Sample, Refusal> {
    let places = names.places(name, Some(PORT)).await.map_err(Refusal::Name)?;
    let mut last = Refusal::Silent;
    // A machine without IPv6 has no way to the first of some.
    for place in places.into_iter().take(PLACES) {
        match ask_at(place, samples, not_before).await {
            Err(error @ (Refusal::Way(_) | Refusal::Silent)) => last = error,
            done => return done,
        }
    }
    Err(last)
}

async fn ask_at(place: SocketAddr, samples: usize, not_before: u64) -> Result<Sample, Refusal> {
    let (mut best, mut silent): (Option<Sample>, usize) = (None, 0);
    for _ in 0..samples {
        match timeout(SAMPLE, sample(place, not_before)).await {
            Ok(Ok(sample)) if best.is_none_or(|best| sample.delay < best.delay) => best = Some(sample),
            Ok(Ok(_)) => {}
            // Whoever does not want to be asked is not; what was said before holds.
            Ok(Err(refusal)) => return best.ok_or(refusal),
            Err(_) => {
                silent += 1;
                if silent >= SILENT {
                    break;
                }
            }
        }
    }
    best.ok_or(Refusal::Silent)
}

/// Every sample has a port and random bits of its own.
async fn sample(place: SocketAddr, not_before: u64) -> Result<Sample, Refusal> {
    let any: SocketAddr = match place {
        SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
        SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
    };
    let socket = UdpSocket::bind(any).await.map_err(Refusal::Way)?;
    // From now on the kernel drops what others send.
    socket.connect(place).await.map_err(Refusal::Way)?;
    let mut bits = [0; 8];
    getrandom(&mut bits, GetRandomFlags::empty()).map_err(|error| Refusal::Way(error.into()))?;

    let (sent, began) = (clock(), Instant::now());
    socket.send(&request(bits)).await.map_err(Refusal::Way)?;
    let mut packet = [0; 512];
    for _ in 0..PACKETS {
        let length = socket.recv(&mut packet).await.map_err(Refusal::Way)?;
        // The clock may have been set meanwhile.
        let trip = Trip { sent, came: sent + nanoseconds(began.elapsed()) };
        match read(packet.get(..length).unwrap_or_default(), bits, trip, not_before) {
            Err(Bad::Other) => {}
            other => return Ok(other?),
        }
    }
    Err(Refusal::Silent)
}

/// Nanoseconds since 1970.
fn clock() -> i128 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => nanoseconds(after),
        Err(before) => -nanoseconds(before.duration()),
    }
}

fn nanoseconds(time: Duration) -> i128 {
    i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)
}
