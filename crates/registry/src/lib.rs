//! Images from registries (OCI distribution specification 1.1): found, fetched and verified as they come.
//!
//! [`Client::resolve`] finds the manifest for a [`Reference`]; [`Client::pull`] puts what it is made of into the caller's [`Store`].
//! Nothing is believed but what a digest stands for.
//!
//! | module | what it knows |
//! |---|---|
//! | [`reference`] | where an image is, in words |
//! | [`digest`] | what bytes are called |
//! | [`registries`] | who is asked for an image, in which order |
//! | `walk`, `asking` | who is asked next and when, and doing so |
//! | `session`, `trail`, `challenge`, [`login`] | one request: redirections, and who asks |
//! | [`client`] | from a reference to a manifest |
//! | [`document`], [`media`], [`platform`] | indexes and manifests, and which of them is for this machine |
//! | [`blob`] | a layer as it comes |
//! | [`pull`] | a whole image |
//! | [`limits`], [`error`] | how much it may cost, and why there is none |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod asking;
pub mod blob;
mod challenge;
pub mod client;
pub mod digest;
pub mod document;
pub mod error;
pub mod limits;
pub mod login;
pub mod media;
pub mod platform;
pub mod pull;
pub mod reference;
pub mod registries;
mod secret;
mod session;
mod trail;
mod walk;

pub use blob::Blob;
pub use client::{Client, Image};
pub use digest::Digest;
pub use document::{Descriptor, Document, Manifest};
pub use error::{Error, Failure, Trouble};
pub use limits::Limits;
pub use login::Login;
pub use media::MediaType;
pub use platform::Platform;
pub use pull::{Incoming, Store};
pub use reference::{Host, Reference, Repository};
pub use registries::{Registries, Registry};
pub use secret::Secret;
