//! The raw image as a row of zstd frames: what is published for download.
//!
//! What holds data is compressed at level 19 with long distance matching over a window of 128 MiB, the largest that `zstd -d`
//! takes without an option: the boot entry and its fallback are the same bytes. A long run of zeros is a frame of its own at
//! level 1, many times as fast and as small. Any zstd reader takes frames in a row for one stream. Each frame carries its
//! content's length and checksum. One thread compresses, because the number of threads changes the bytes.

use std::io::{Read, Seek, Write};

use zstd::stream::write::Encoder;

use crate::sparse::{Chunks, Content};
use crate::{Error, Identity};

const FORMAT: &str = "raw.zst";
const LEVEL: i32 = 19;
/// 2^27 bytes = 128 MiB.
const WINDOW_LOG: u32 = 27;
const CHUNK: usize = 1 << 20;
/// Chunks of zeros that make a frame of their own; fewer stay in the frame around them, which may match across them.
const ZERO_RUN: u64 = 8;

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
    let mut chunks = Chunks::new(input, len, CHUNK)?;
    for frame in frames(&mut chunks)? {
        let start = frame.first * CHUNK as u64;
        let mut left = ((frame.first + frame.count) * CHUNK as u64).min(len) - start;
        let mut encoder = match frame.content {
            Content::Zeros => Encoder::new(&mut *out, 1).map_err(&failed)?,
            Content::Data => far_seeing(&mut *out).map_err(&failed)?,
        };
        encoder.include_checksum(true).map_err(&failed)?;
        encoder.include_contentsize(true).map_err(&failed)?;
        encoder.set_pledged_src_size(Some(left)).map_err(&failed)?;
        for index in frame.first..frame.first + frame.count {
            let (_, bytes) = chunks.read(index)?;
            let used = left.min(CHUNK as u64);
            encoder.write_all(&bytes[..used as usize]).map_err(&failed)?;
            left -= used;
        }
        encoder.finish().map_err(&failed)?;
    }
    out.flush().map_err(&failed)?;
    out.stream_position().map_err(&failed)
}

fn far_seeing<W: Write>(out: W) -> std::io::Result<Encoder<'static, W>> {
    let mut encoder = Encoder::new(out, LEVEL)?;
    encoder.long_distance_matching(true)?;
    encoder.window_log(WINDOW_LOG)?;
    Ok(encoder)
}

/// Chunks that make one frame.
#[derive(Debug, PartialEq, Eq)]
struct Frame {
    content: Content,
    first: u64,
    count: u64,
}

/// Divides the image: long runs of zeros, and what lies between them.
fn frames(chunks: &mut Chunks<'_, impl Read + Seek>) -> Result<Vec<Frame>, Error> {
    let mut frames: Vec<Frame> = Vec::new();
    for index in 0..chunks.count() {
        let (content, _) = chunks.read(index)?;
        match frames.last_mut() {
            Some(last) if last.content == content => last.count += 1,
            _ => frames.push(Frame { content, first: index, count: 1 }),
        }
    }
    // Short runs of zeros join what is around them.
    let mut joined: Vec<Frame> = Vec::new();
    for mut frame in frames {
        if frame.content == Content::Zeros && frame.count < ZERO_RUN {
            frame.content = Content::Data;
        }
        match joined.last_mut() {
            Some(last) if last.content == frame.content => last.count += frame.count,
            _ => joined.push(frame),
        }
    }
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn only_long_runs_of_zeros_are_frames_of_their_own() {
        let mut image = vec![0; 40 * CHUNK];
        for chunk in [0, 3, 20, 31] {
            image[chunk * CHUNK + 7] = 1;
        }
        let len = image.len() as u64;
        let mut input = Cursor::new(image);
        let frames = frames(&mut Chunks::new(&mut input, len, CHUNK).unwrap()).unwrap();
        let frame = |content, first, count| Frame { content, first, count };
        let want = [
            frame(Content::Data, 0, 4),
            frame(Content::Zeros, 4, 16),
            frame(Content::Data, 20, 1),
            frame(Content::Zeros, 21, 10),
            frame(Content::Data, 31, 1),
            frame(Content::Zeros, 32, 8),
        ];
        assert_eq!(frames, want);
    }
}
