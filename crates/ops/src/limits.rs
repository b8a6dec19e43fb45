//! Every cap of the format, in one place. Together they keep an applier within [`MEMORY`] whatever a file says.

/// Bytes in a block: extents are counted in blocks, and every operation but the last puts out whole ones.
pub const BLOCK: usize = 4096;

/// Most bytes that one operation puts out.
pub const MAX_OUTPUT: usize = 1 << 20;

/// Most bytes of source that one operation reads.
pub const MAX_OLD: usize = 2 << 20;

/// Most bytes that a body may be longer than its output: what zstd adds to bytes that it cannot shorten, with room to spare.
pub const BODY_SLACK: usize = 512;

/// Most bytes of a body.
pub const MAX_BODY: usize = MAX_OUTPUT + BODY_SLACK;

/// Most bytes that an unpacked patch may be longer than its output: its two lengths and its control words.
pub const PATCH_SLACK: usize = MAX_OUTPUT / 2;

/// Most bytes of a header, packed as well as unpacked.
pub const MAX_HEADER: usize = 1 << 20;

/// Most operations of a file.
pub const MAX_OPS: usize = 1 << 14;

/// Most extents of a file.
pub const MAX_EXTENTS: usize = 1 << 16;

/// Most bytes that a source or a target has: what [`MAX_OPS`] operations can put out.
pub const MAX_IMAGE: u64 = (MAX_OPS * MAX_OUTPUT) as u64;

/// Logarithm of the largest window of a zstd frame.
pub const WINDOW_LOG: u32 = 22;

/// What zstd takes for itself when it unpacks from memory to memory, measured by a test.
pub const DECODER: usize = 256 << 10;

/// Most heap bytes that a header and an applier hold together, the body that the caller hands in included.
pub const MEMORY: usize = 8 << 20;
