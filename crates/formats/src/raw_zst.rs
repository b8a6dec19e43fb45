//! The raw image in one zstd frame: what is published for download.
//!
//! Level 19 with long distance matching over a window of 128 MiB, the largest that `zstd -d` takes without an
//! option: the two root slots of a disk share most of their bytes. The frame carries the content's length and
//! checksum. One thread compresses, because the number of threads changes the bytes. Zeros need no special
//! case: the compressor takes half a gigabyte of them per second.

use std::io::{Read, Seek, Write};

use zstd::stream::write::Encoder;

use crate::sparse::Chunks;
use crate::{Error, Identity};

const FORMAT: &str = "raw.zst";
const LEVEL: i32 = 19;
/// 2^27 bytes = 128 MiB.
const WINDOW_LOG: u32 = 27;
const CHUNK: usize = 1 << 20;

/// Compresses `input`, `len` bytes long, and gives the length of the result. The identity is not stored.
///
/// Takes a few hundred MiB of memory for the window and its tables, whatever `len` is.
///
/// # Errors
/// Reading, compressing or writing fails.
pub fn write(
    input: &mut (impl Read + Seek),
    len: u64,
    out: &mut (impl Write + Seek),
    _identity: &Identity,
) -> Result<u64, Error> {
    let failed = Error::write(FORMAT);
    let mut encoder = Encoder::new(&mut *out, LEVEL).map_err(&failed)?;
    encoder.long_distance_matching(true).map_err(&failed)?;
    encoder.window_log(WINDOW_LOG).map_err(&failed)?;
    encoder.include_checksum(true).map_err(&failed)?;
    encoder.include_contentsize(true).map_err(&failed)?;
    encoder.set_pledged_src_size(Some(len)).map_err(&failed)?;
    let mut chunks = Chunks::new(input, len, CHUNK)?;
    let mut left = len;
    for index in 0..chunks.count() {
        let (_, bytes) = chunks.read(index)?;
        let used = left.min(CHUNK as u64);
        encoder.write_all(&bytes[..used as usize]).map_err(&failed)?;
        left -= used;
    }
    let out = encoder.finish().map_err(&failed)?;
    out.flush().map_err(&failed)?;
    out.stream_position().map_err(&failed)
}
