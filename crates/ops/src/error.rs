//! What can go wrong with an ops file.

use std::io;

use crate::identity::{Digest, Tag};
use crate::limits::{MAX_EXTENTS, MAX_HEADER, MAX_IMAGE, MAX_OLD, MAX_OPS, MAX_OUTPUT, WINDOW_LOG};

/// A failed reading, applying or making of an ops file. Operations are counted from 0.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes end before the fields do.
    #[error("the bytes end in the middle of a field")]
    Truncated,
    /// The file does not begin with the signature.
    #[error("no ops file: signature missing")]
    Signature,
    /// The file has a version that this crate does not know.
    #[error("ops file version {version} is not supported")]
    Version {
        /// The version found.
        version: u16,
    },
    /// A field that must be zero, or 4096 in case of the block size, is not.
    #[error("header field {field} has an unsupported value")]
    Unsupported {
        /// The field as the tables call it.
        field: &'static str,
    },
    /// The header has no length, or more than the cap.
    #[error("a header of {len} bytes is outside 1..={MAX_HEADER}")]
    HeaderLength {
        /// The refused length.
        len: u32,
    },
    /// Not as many bytes were handed in as the prologue says.
    #[error("the header has {want} bytes, not {got}")]
    HeaderBytes {
        /// Bytes that the prologue says.
        want: usize,
        /// Bytes handed in.
        got: usize,
    },
    /// The header is not the one that the caller trusts.
    #[error("the header is not the expected one")]
    HeaderDigest {
        /// The hash asked for.
        want: Digest,
        /// The hash found.
        got: Digest,
    },
    /// A number is not in its shortest form, or has more than 32 bits.
    #[error("a number is not in its shortest form or too large")]
    Varint,
    /// The identity of source or target is of no known kind or has bits where zeros belong.
    #[error("an identity is malformed")]
    Identity,
    /// An image is empty or longer than the cap.
    #[error("an image of {len} bytes is outside 1..={MAX_IMAGE}")]
    ImageLength {
        /// The refused length.
        len: u64,
    },
    /// A header names no target.
    #[error("the header names no target")]
    NoTarget,
    /// The count of operations is zero or above the cap.
    #[error("{count} operations are outside 1..={MAX_OPS}")]
    OpCount {
        /// The refused count.
        count: u64,
    },
    /// All operations together have more extents than the cap.
    #[error("{count} extents are more than {MAX_EXTENTS}")]
    ExtentCount {
        /// The refused count.
        count: u64,
    },
    /// There are bytes behind the last operation.
    #[error("{len} bytes follow the last operation")]
    Trailing {
        /// How many.
        len: usize,
    },
    /// An operation is of no known kind.
    #[error("operation {op}: kind {kind} is unknown")]
    Kind {
        /// The operation.
        op: usize,
        /// The kind found.
        kind: u8,
    },
    /// An output is empty, above the cap, or not whole blocks though others follow.
    #[error("operation {op}: an output of {len} bytes is not 1..={MAX_OUTPUT} in whole blocks")]
    OutputLength {
        /// The operation.
        op: usize,
        /// The refused length.
        len: u32,
    },
    /// The outputs together are not as long as the target.
    #[error("the outputs have {got} bytes, the target {want}")]
    Coverage {
        /// Bytes of the target.
        want: u64,
        /// Bytes of all outputs.
        got: u64,
    },
    /// A body is empty or longer than its output allows.
    #[error("operation {op}: a body of {len} bytes is empty or too long for its output")]
    BodyLength {
        /// The operation.
        op: usize,
        /// The refused length.
        len: u32,
    },
    /// An extent is empty, or ends behind the source and what earlier operations have put out.
    #[error("operation {op}: an extent is empty or ends behind what there is")]
    Extent {
        /// The operation.
        op: usize,
    },
    /// An operation reads nothing, more than the cap, or in case of a copy not what it puts out.
    #[error("operation {op}: {blocks} old blocks do not fit its kind or are more than {max}", max = MAX_OLD / crate::BLOCK)]
    OldLength {
        /// The operation.
        op: usize,
        /// Blocks of all its extents.
        blocks: u32,
    },
    /// A zstd frame is malformed, asks for a dictionary or does not say its length.
    #[error("malformed zstd frame: {reason}")]
    Frame {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A zstd frame asks for a larger window than the cap.
    #[error("a zstd window of {len} bytes is more than 2^{WINDOW_LOG}")]
    Window {
        /// The refused length.
        len: u64,
    },
    /// A zstd frame unpacks to another length than stated elsewhere.
    #[error("a zstd frame unpacks to {got} bytes, not {want}")]
    FrameLength {
        /// The length stated elsewhere.
        want: u64,
        /// The length of the frame's content.
        got: u64,
    },
    /// zstd refuses a frame.
    #[error("unpack a zstd frame: {reason}")]
    Unpack {
        /// zstd's word for it.
        reason: &'static str,
    },
    /// A patch does not fit its old bytes, its output or its own lengths.
    #[error("malformed patch: {reason}")]
    Patch {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// There is no operation of this number.
    #[error("there are {ops} operations, none of them is number {op}")]
    NoSuchOp {
        /// The number asked for.
        op: usize,
        /// Operations of the file.
        ops: usize,
    },
    /// A body handed in does not have the length or the tag that the header states. Nothing was unpacked.
    #[error("operation {op}: the body is damaged")]
    Body {
        /// The operation.
        op: usize,
    },
    /// The output does not have the tag that the header states: mostly another source than the header's, or a target that does
    /// not hold what earlier operations put out.
    #[error("operation {op}: the output is wrong")]
    Output {
        /// The operation.
        op: usize,
        /// The tag that the header states.
        want: Tag,
        /// The tag of what came out.
        got: Tag,
    },
    /// Reading the source failed, or it ended early.
    #[error("read the source at byte {at}")]
    ReadSource {
        /// Where.
        at: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Reading the target failed, or it ended early.
    #[error("read the target at byte {at}")]
    ReadTarget {
        /// Where.
        at: u64,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// Writing the ops file, or its bodies on the way there, failed.
    #[cfg(feature = "build")]
    #[error("write the ops file")]
    Write(#[source] io::Error),
    /// zstd does not pack.
    #[cfg(feature = "build")]
    #[error("pack a zstd frame: {reason}")]
    Pack {
        /// zstd's word for it.
        reason: &'static str,
    },
    /// An operation just made does not give the target back: a bug here or in zstd, found before anybody is served it.
    #[cfg(feature = "build")]
    #[error("the operation made for byte {at} does not give the target back")]
    Unfaithful {
        /// First byte of its output.
        at: u64,
    },
}
