//! What can go wrong.

use std::io;

/// There is no unpacked form of an image, or no image of a form.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What is to be converted cannot be read, or ends too early.
    #[error("read what is to be converted")]
    Read(#[source] io::Error),
    /// What comes out cannot be written.
    #[error("write what comes out")]
    Write(#[source] io::Error),
    /// It is no UKI.
    #[error("find the kernel")]
    Uki(#[source] coracle_uki::Unread),
    /// There is no kernel in it whose payload could be found.
    #[error("find the kernel's payload: {what}")]
    Payload {
        /// What is not as it should be.
        what: &'static str,
    },
    /// The payload is not a zstd frame that is unpacked.
    #[error("read the payload's frame: {what}")]
    Frame {
        /// What is not as it should be.
        what: &'static str,
    },
    /// zstd refuses.
    #[error("zstd: {what}")]
    Zstd {
        /// What it says.
        what: &'static str,
    },
    /// What is to be packed is no unpacked form, or one of another version.
    #[error("read the unpacked form: {what}")]
    Form {
        /// What is not as it should be.
        what: &'static str,
    },
    /// What is packed is as long as it was not before.
    #[error("the frame has {got} bytes, {want} before it was unpacked")]
    FrameLength {
        /// How long it was.
        want: u64,
        /// How long it is.
        got: u64,
    },
}
