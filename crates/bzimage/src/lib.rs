//! Kernel images (UKI) in their *unpacked form*, in which a rebuilt kernel looks like the one before it, and the way back.
//!
//! The kernel inside a UKI is a bzImage, and its payload one zstd frame: a change of a few bytes in the kernel changes nearly all of
//! them in the frame. The unpacked form has the frame's content in its place:
//!
//! | bytes of the form         | content                                                                   |
//! |---------------------------|---------------------------------------------------------------------------|
//! | 0 .. 4096                 | [`Header`]: where the frame lies in the image, and what is in it          |
//! | 4096 .. 4096 + a          | the image's bytes before the frame, filled up with zeros to a block       |
//! | 4096 + a .. 4096 + a + c  | the frame's content, filled up likewise                                   |
//! | 4096 + a + c ..           | the image's bytes behind the frame                                        |
//!
//! The header:
//!
//! | bytes     | field                                                                              |
//! |-----------|------------------------------------------------------------------------------------|
//! | 0 .. 8    | `CORABZI`, 0x1a                                                                    |
//! | 8 .. 10   | version, 1                                                                         |
//! | 10 .. 12  | [`PARAMETERS`] of the compressor                                                   |
//! | 12 .. 16  | zeros                                                                              |
//! | 16 .. 24  | bytes of the image                                                                 |
//! | 24 .. 32  | bytes of the image before the frame                                                |
//! | 32 .. 40  | bytes of the frame                                                                 |
//! | 40 .. 48  | bytes of the frame's content                                                       |
//! | 48 .. 4096| zeros                                                                              |
//!
//! Integers are little-endian, a block has 4096 bytes.
//!
//! The way back compresses the content with [`compress`], and is a way back only for a frame that the same function made: the kernel
//! build calls it for that reason. Whoever unpacks an image to pack it elsewhere tries it first, as [`unpack`] does not. Nothing
//! here is trusted or vouches for anything; what comes out is held against a digest by who asked for it.

#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod error;
mod form;
mod frame;
mod payload;
#[cfg(feature = "specimen")]
pub mod specimen;

pub use error::Error;
pub use form::{BLOCK, Header, pack, unpack};
pub use frame::{MAX_CONTENT, MAX_FRAME, PACKER, PARAMETERS, UNPACKER, WINDOW_LOG, compress};
pub use payload::Payload;
