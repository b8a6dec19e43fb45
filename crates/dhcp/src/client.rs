//! The state machine of RFC 2131, figure 5.
//!
//! Seconds are those of a clock that never goes back, such as `CLOCK_BOOTTIME`.

use std::net::Ipv4Addr;

use crate::{
    lease::Lease,
    message::{Kind, Message, option},
};

/// Seconds to wait for an answer: doubled at each attempt, up to the last.
const WAITS: [u64; 5] = [2, 4, 8, 16, 32];
/// Requests for one offer before it is given up.
const MAX_REQUESTS: u32 = 4;
/// The least wait between two requests of a renewal (RFC 2131, section 4.4.5).
const MIN_RENEWAL_WAIT: u64 = 60;

/// What happens to the client.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// The time asked for by [`Effect::Wait`] has come, or a little later.
    Timeout,
    /// Bytes have come from the server's port.
    Received(&'a [u8]),
}

/// What the client wants done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Send these bytes: to that server, or to everybody.
    Send {
        /// The message.
        message: Vec<u8>,
        /// The server; `None` for 255.255.255.255.
        to: Option<Ipv4Addr>,
    },
    /// Use this lease, in place of any before it.
    Apply(Lease),
    /// The lease is gone: take its address and routes away.
    Withdraw(Lease),
    /// Come back with [`Event::Timeout`] at this second. Replaces an earlier wait.
    Wait(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum State {
    Selecting { attempt: u32 },
    Requesting { offer: Lease, attempt: u32 },
    Bound { lease: Lease, since: u64 },
    Renewing { lease: Lease, since: u64 },
    Rebinding { lease: Lease, since: u64 },
}

/// A client of one interface.
#[derive(Debug, Clone)]
pub struct Client {
    hardware: [u8; 6],
    transaction: u32,
    began: u64,
    state: State,
}

impl Client {
    /// Begins to look for a server. `transaction` is a random number: it tells our answers from those to others.
    pub fn begin(hardware: [u8; 6], transaction: u32, now: u64) -> (Self, Vec<Effect>) {
        let client = Self { hardware, transaction, began: now, state: State::Selecting { attempt: 0 } };
        let effects = client.discover(0, now);
        (client, effects)
    }

    /// The lease in force.
    pub fn lease(&self) -> Option<&Lease> {
        match &self.state {
            State::Bound { lease, .. } | State::Renewing { lease, .. } | State::Rebinding { lease, .. } => {
                Some(lease)
            }
            State::Selecting { .. } | State::Requesting { .. } => None,
        }
    }

    /// Takes an event. What does not belong to the state, or to us, changes nothing.
    pub fn step(mut self, event: Event<'_>, now: u64) -> (Self, Vec<Effect>) {
        let effects;
        (self.state, effects) = match event {
            Event::Timeout => self.timeout(now),
            Event::Received(bytes) => match self.answer(bytes) {
                Some(message) => self.received(&message, now),
                None => (self.state, vec![]),
            },
        };
        (self, effects)
    }

    /// The message in `bytes`, if it answers a question of ours.
    fn answer(&self, bytes: &[u8]) -> Option<Message> {
        let message = Message::decode(bytes).ok()?;
        (message.transaction == self.transaction && message.hardware == self.hardware).then_some(message)
    }

    fn received(&self, message: &Message, now: u64) -> (State, Vec<Effect>) {
        let lease = Lease::from_message(message);
        match (self.state.clone(), message.kind, lease) {
            (State::Selecting { .. }, Kind::Offer, Some(offer)) => {
                let effects = self.request_offer(&offer, 0, now);
                (State::Requesting { offer, attempt: 0 }, effects)
            }
            (State::Requesting { offer, .. }, Kind::Ack, Some(lease)) if lease.server == offer.server => {
                bind(lease, now)
            }
            (State::Requesting { offer, .. }, Kind::Nak, _) if from(message, offer.server) => {
                self.again(None, now)
            }
            (
                State::Renewing { lease: old, .. } | State::Rebinding { lease: old, .. },
                Kind::Ack,
                Some(new),
            ) => {
                if new.address == old.address {
                    bind(new, now)
                } else {
                    self.again(Some(old), now)
                }
            }
            (State::Renewing { lease, .. }, Kind::Nak, _) if from(message, lease.server) => {
                self.again(Some(lease), now)
            }
            (State::Rebinding { lease, .. }, Kind::Nak, _) => self.again(Some(lease), now),
            (state, ..) => (state, vec![]),
        }
    }

    fn timeout(&self, now: u64) -> (State, Vec<Effect>) {
        match self.state.clone() {
            State::Selecting { attempt } => {
                let attempt = attempt.saturating_add(1);
                (State::Selecting { attempt }, self.discover(attempt, now))
            }
            State::Requesting { attempt, .. } if attempt + 1 >= MAX_REQUESTS => self.again(None, now),
            State::Requesting { offer, attempt } => {
                let effects = self.request_offer(&offer, attempt + 1, now);
                (State::Requesting { offer, attempt: attempt + 1 }, effects)
            }
            State::Bound { lease, since }
            | State::Renewing { lease, since }
            | State::Rebinding { lease, since } => self.age(lease, since, now),
        }
    }

    /// What a lease of that age asks for.
    fn age(&self, lease: Lease, since: u64, now: u64) -> (State, Vec<Effect>) {
        let [renew, rebind, end] =
            [lease.renew_after, lease.rebind_after, lease.seconds].map(|after| since + u64::from(after));
        // Half of the time that is left until the next stage, but not too often.
        let wait = |next: u64| Effect::Wait((now + ((next - now) / 2).max(MIN_RENEWAL_WAIT)).min(next));
        if now >= end {
            self.again(Some(lease), now)
        } else if now >= rebind {
            let effects = vec![self.keep(&lease, None, now), wait(end)];
            (State::Rebinding { lease, since }, effects)
        } else if now >= renew {
            let effects = vec![self.keep(&lease, Some(lease.server), now), wait(rebind)];
            (State::Renewing { lease, since }, effects)
        } else {
            (State::Bound { lease, since }, vec![Effect::Wait(renew)])
        }
    }

    /// Begins from the start, without `lost`.
    fn again(&self, lost: Option<Lease>, now: u64) -> (State, Vec<Effect>) {
        let mut effects: Vec<_> = lost.map(Effect::Withdraw).into_iter().collect();
        effects.extend(self.discover(0, now));
        (State::Selecting { attempt: 0 }, effects)
    }

    fn discover(&self, attempt: u32, now: u64) -> Vec<Effect> {
        let message = self.message(Kind::Discover, Ipv4Addr::UNSPECIFIED, vec![], now);
        vec![Effect::Send { message, to: None }, backoff(attempt, now)]
    }

    fn request_offer(&self, offer: &Lease, attempt: u32, now: u64) -> Vec<Effect> {
        let options = vec![
            (option::REQUESTED, offer.address.octets().to_vec()),
            (option::SERVER, offer.server.octets().to_vec()),
        ];
        let message = self.message(Kind::Request, Ipv4Addr::UNSPECIFIED, options, now);
        vec![Effect::Send { message, to: None }, backoff(attempt, now)]
    }

    fn keep(&self, lease: &Lease, to: Option<Ipv4Addr>, now: u64) -> Effect {
        Effect::Send { message: self.message(Kind::Request, lease.address, vec![], now), to }
    }

    fn message(&self, kind: Kind, client: Ipv4Addr, mut options: Vec<(u8, Vec<u8>)>, now: u64) -> Vec<u8> {
        let wanted = [
            option::SUBNET_MASK,
            option::ROUTER,
            option::DNS,
            option::HOST_NAME,
            option::MTU,
            option::NTP,
            option::CLASSLESS_ROUTES,
        ];
        options.push((option::PARAMETERS, wanted.to_vec()));
        options.push((option::MAX_SIZE, (crate::message::MAX_LEN as u16).to_be_bytes().to_vec()));
        let seconds = u16::try_from(now.saturating_sub(self.began)).unwrap_or(u16::MAX);
        let (transaction, hardware) = (self.transaction, self.hardware);
        Message { kind, transaction, seconds, client, yours: Ipv4Addr::UNSPECIFIED, hardware, options }
            .encode()
    }
}

fn bind(lease: Lease, now: u64) -> (State, Vec<Effect>) {
    let effects = vec![Effect::Apply(lease.clone()), Effect::Wait(now + u64::from(lease.renew_after))];
    (State::Bound { lease, since: now }, effects)
}

fn from(message: &Message, server: Ipv4Addr) -> bool {
    message.address(option::SERVER) == Some(server)
}

fn backoff(attempt: u32, now: u64) -> Effect {
    let last = WAITS[WAITS.len() - 1];
    Effect::Wait(now + WAITS.get(attempt as usize).copied().unwrap_or(last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::tests::as_reply;
    use proptest::prelude::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
    const SERVER: [u8; 4] = [10, 0, 2, 2];

    fn reply(kind: Kind, transaction: u32, yours: [u8; 4]) -> Vec<u8> {
        as_reply(&Message {
            kind,
            transaction,
            seconds: 0,
            client: Ipv4Addr::UNSPECIFIED,
            yours: yours.into(),
            hardware: MAC,
            options: vec![
                (option::SERVER, SERVER.to_vec()),
                (option::LEASE_TIME, 3600u32.to_be_bytes().to_vec()),
            ],
        })
    }

    fn feed(client: Client, kind: Kind, now: u64) -> (Client, Vec<Effect>) {
        client.step(Event::Received(&reply(kind, 7, [10, 0, 2, 15])), now)
    }

    fn bound() -> Client {
        let client = Client::begin(MAC, 7, 0).0;
        feed(feed(client, Kind::Offer, 1).0, Kind::Ack, 1).0
    }

    fn sent(effects: &[Effect]) -> Vec<(u8, Option<Ipv4Addr>)> {
        let kind = |effect: &Effect| match effect {
            Effect::Send { message, to } => Some((message[242], *to)),
            _ => None,
        };
        effects.iter().filter_map(kind).collect()
    }

    #[test]
    fn an_address_is_found_taken_and_kept() {
        let (client, effects) = Client::begin(MAC, 7, 0);
        assert_eq!(sent(&effects), [(Kind::Discover as u8, None)]);
        let (client, effects) = feed(client, Kind::Offer, 1);
        assert_eq!(sent(&effects), [(Kind::Request as u8, None)]);
        let (client, effects) = feed(client, Kind::Ack, 1);
        assert!(matches!(&effects[..], [Effect::Apply(_), Effect::Wait(1801)]), "{effects:?}");
        let (client, effects) = client.step(Event::Timeout, 1801);
        assert_eq!(sent(&effects), [(Kind::Request as u8, Some(SERVER.into()))]);
        let (client, effects) = feed(client, Kind::Ack, 1900);
        assert!(matches!(&effects[..], [Effect::Apply(_), Effect::Wait(3700)]), "{effects:?}");
        assert_eq!(client.lease().unwrap().address, Ipv4Addr::new(10, 0, 2, 15));
    }

    #[test]
    fn a_silent_server_is_asked_ever_more_rarely() {
        let (mut client, mut effects) = Client::begin(MAC, 7, 0);
        let mut now = 0;
        for want in [2, 4, 8, 16, 32, 32] {
            let Some(Effect::Wait(until)) = effects.last() else { panic!("{effects:?}") };
            assert_eq!(until - now, want);
            now = *until;
            (client, effects) = client.step(Event::Timeout, now);
        }
        assert_eq!(sent(&effects), [(Kind::Discover as u8, None)]);
    }

    #[test]
    fn a_lease_that_nobody_renews_is_withdrawn_at_its_end() {
        let (mut client, mut now, mut requests) = (bound(), 1801, 0);
        loop {
            let (next, effects) = client.step(Event::Timeout, now);
            requests += sent(&effects).iter().filter(|(kind, _)| *kind == Kind::Request as u8).count();
            if let [Effect::Withdraw(_), Effect::Send { to: None, .. }, Effect::Wait(_)] = &effects[..] {
                break;
            }
            let Some(Effect::Wait(until)) = effects.last() else { panic!("{effects:?}") };
            assert!(*until > now, "time goes on");
            (client, now) = (next, *until);
        }
        assert_eq!(now, 3601);
        assert!((4..=20).contains(&requests), "{requests}");
    }

    #[test]
    fn a_refusal_begins_again() {
        let (client, effects) = feed(feed(Client::begin(MAC, 7, 0).0, Kind::Offer, 1).0, Kind::Nak, 2);
        assert_eq!(sent(&effects), [(Kind::Discover as u8, None)]);
        assert!(client.lease().is_none());
        let (client, _) = bound().step(Event::Timeout, 1801);
        let (client, effects) = feed(client, Kind::Nak, 1802);
        assert!(matches!(&effects[0], Effect::Withdraw(_)) && client.lease().is_none());
    }

    #[test]
    fn answers_to_others_and_out_of_turn_change_nothing() {
        for (kind, transaction) in [(Kind::Offer, 8), (Kind::Ack, 7), (Kind::Nak, 7)] {
            let client = Client::begin(MAC, 7, 0).0;
            let bytes = reply(kind, transaction, [10, 0, 2, 15]);
            let (client, effects) = client.step(Event::Received(&bytes), 1);
            assert!(effects.is_empty() && client.lease().is_none(), "{kind:?} {transaction}");
        }
        let (client, effects) = feed(bound(), Kind::Nak, 5);
        assert!(effects.is_empty() && client.lease().is_some(), "a refusal counts only while we ask");
    }

    proptest! {
        #[test]
        fn any_events_leave_a_client_that_waits_for_something(
            events in proptest::collection::vec((0u8..5, 0u64..5000), 1..60)
        ) {
            let (mut client, mut wait, mut now) = (Client::begin(MAC, 7, 0).0, 2, 0);
            for (event, later) in events {
                now += later;
                let effects;
                (client, effects) = match event {
                    0 => feed(client, Kind::Offer, now),
                    1 => feed(client, Kind::Ack, now),
                    2 => feed(client, Kind::Nak, now),
                    3 => client.step(Event::Received(&[2; 300]), now),
                    _ => { now = now.max(wait); client.step(Event::Timeout, now) }
                };
                for effect in effects {
                    if let Effect::Wait(until) = effect {
                        prop_assert!(until > now);
                        wait = until;
                    }
                }
            }
        }
    }
}
