//! Images from registries (OCI distribution specification 1.1).
//!
//! | module | what it knows |
//! |---|---|
//! | [`reference`] | where an image is, in words |
//! | [`digest`] | what bytes are called |
//! | [`document`], [`media`], [`platform`] | indexes and manifests, and which of them is for this machine |
//! | [`limits`] | how much it may cost |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod digest;
pub mod document;
pub mod limits;
pub mod media;
pub mod platform;
pub mod reference;

pub use digest::Digest;
pub use document::{Descriptor, Document, Manifest};
pub use limits::Limits;
pub use media::MediaType;
pub use platform::Platform;
pub use reference::{Host, Reference, Repository};
