//! Ops files: a whole image, or the way from one image to another, as operations that verify and resume one by one.
//!
//! | bytes of the file    | content                                                                          |
//! |----------------------|----------------------------------------------------------------------------------|
//! | 0 .. 20              | [`Prologue`]: signature, version, length of the header packed and unpacked       |
//! | 20 .. header         | [`Header`], packed with zstd: source, target, and a record for each operation    |
//! | header ..            | bodies of the operations, in order, with nothing in between                      |
//!
//! Integers are little-endian. Whoever trusts a SHA-256 of the first two parts (a signed manifest names it) can check every other
//! byte before using it: a record has the hash of the body, checked before that is unpacked, and of the output, checked before
//! that is written. `docs/ops-format.md` is the format in one piece.
//!
//! Nothing here opens a device or speaks to a network: bytes come in, bytes go out.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod apply;
#[cfg(feature = "build")]
#[allow(clippy::indexing_slicing)] // Not on the machine, and of its own numbers.
pub mod build;
mod bytes;
mod error;
mod frame;
mod header;
mod identity;
mod limits;
mod op;
mod patch;
mod prologue;
mod ranges;

pub use apply::{Applier, Output, ReadAt};
pub use error::Error;
pub use header::Header;
pub use identity::{Digest, Hash, Identity, Tag};
pub use limits::{
    BLOCK, BODY_SLACK, DECODER, MAX_BODY, MAX_EXTENTS, MAX_HEADER, MAX_IMAGE, MAX_OLD, MAX_OPS, MAX_OUTPUT,
    MEMORY, PATCH_SLACK, WINDOW_LOG,
};
pub use op::{Extent, Kind, Op};
pub use prologue::Prologue;
pub use ranges::Request;
