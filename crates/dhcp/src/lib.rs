//! A DHCPv4 client without input or output.
//!
//! [`Message`] is the wire format, [`Client`] the state machine of RFC 2131, figure 5. The program around it owns the
//! socket and the clock: it passes what arrives and what time it is, and carries out the [`Effect`]s.

mod client;
mod lease;
mod message;

pub use client::{Client, Effect, Event};
pub use lease::{Lease, Route};
pub use message::{Kind, Malformed, Message};
