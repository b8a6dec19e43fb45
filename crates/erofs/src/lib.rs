//! EROFS images: a deterministic, uncompressed writer and a bounded reader.
//!
//! | to know about | look at |
//! |---|---|
//! | writing a tree | [`write()`], [`Options`], [`Label`], [`Layout`] |
//! | what can go wrong | [`Error`] |
//! | listing and hashing an image | [`read`] |
//! | the superblock and inodes, byte by byte | `format` |
//! | directory blocks | `dirents` |
//! | extended attributes | `xattrs` |
//! | which byte goes where | `plan` |

mod dirents;
mod error;
mod format;
mod plan;
pub mod read;
mod write;
mod xattrs;

pub use error::Error;
pub use format::{BLOCK, Label};
pub use write::{Layout, Options, write};
