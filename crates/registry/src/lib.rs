//! Images from registries (OCI distribution specification 1.1).
//!
//! | module | what it knows |
//! |---|---|
//! | [`reference`] | where an image is, in words |
//! | [`digest`] | what bytes are called |

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod digest;
pub mod reference;

pub use digest::Digest;
pub use reference::{Host, Reference, Repository};
