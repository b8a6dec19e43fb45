//! The updater's half that talks to servers, in a process without rights over the disk, and the client of it.
//!
//! The agent has the disk; TLS, HTTP, DNS and NTP are foreign bytes. So they are read by another process, [`serve()`], and the agent
//! asks it through a Unix socket, as [`Remote`]. Neither half trusts the other: whatever comes is bounded, every wait has a deadline,
//! and what a repository says is believed only once its signatures have held, in the agent.
//!
//! | module | what it knows |
//! |---|---|
//! | [`wire`] | what the two say to each other, byte by byte |
//! | [`remote`] | asking: the agent's half |
//! | [`direct`] | asking without another process in between |
//! | [`serve`](mod@serve) | taking requests: the half that faces the network |
//! | [`names`] | from names to addresses, by the name servers of the network process |
//! | [`time`] | what time it is, by NTP |
//! | [`error`] | why there is no answer |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod direct;
pub mod error;
mod frame;
mod http;
pub mod names;
pub mod remote;
pub mod serve;
mod text;
pub mod time;
pub mod wire;

pub use direct::Direct;
pub use error::Error;
pub use remote::{Remote, Repository};
pub use serve::{Options, serve};
