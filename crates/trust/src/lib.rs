//! What a repository says, once its signatures, versions and freshness have held.
//!
//! A machine follows a TUF repository of static files. [`Client::refresh`] fetches its metadata and gives a [`Repository`], which
//! nothing else makes: the channel's manifest and the places of files come out of it as `Trusted`. `tough` counts the signatures;
//! what it leaves to its caller is done here.
//!
//! | module | what it knows |
//! |---|---|
//! | [`client`] | one refresh, step by step |
//! | [`repository`] | what was verified: manifest, files |
//! | [`floor`] | the versions that nothing may fall below |
//! | [`clock`] | what time it is when nobody has said so |
//! | [`store`] | what is kept between refreshes, and how it survives a power cut |
//! | [`transport`] | where bytes come from: a folder, an HTTP server; how many, how fast |
//! | [`error`] | why there is no repository |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod client;
pub mod clock;
pub mod error;
pub mod floor;
mod gauge;
pub mod limits;
pub mod repository;
pub mod store;
pub mod transport;

pub use client::{Client, Embedded, Note, Refreshed};
pub use clock::Clock;
pub use error::{Error, Role};
pub use floor::Versions;
pub use limits::Limits;
pub use repository::{Repository, Target};
pub use transport::{Fault, Transport};
