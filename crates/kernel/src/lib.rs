//! Builds the kernel of Coracle: fragments in, a checked configuration and a `bzImage` out, kept in a cache.
//!
//! | module | knows |
//! |---|---|
//! | [`fragment`] | the lines of a fragment and their reasons |
//! | [`profile`] | which fragments make which kernel |
//! | [`source`] | where the tarball lies and what its digest is |
//! | [`key`] | what decides whether two builds are the same |
//! | [`kconfig`] | what a symbol depends on, read from the source tree |
//! | [`config`] | whether the final configuration is the one asked for |
//! | [`build`](mod@build) | unpack, configure, check, compile, store |

pub mod build;
pub mod config;
pub mod error;
pub mod fragment;
pub mod kconfig;
pub mod key;
pub mod profile;
pub mod source;

pub use build::{Built, PACK, Progress, Request, THIS_PROGRAM, build, configure, default_cache, pack};
pub use error::Error;
pub use profile::Profile;
pub use source::Source;
