//! The payload's zstd frame: made by one compressor with one set of parameters, so that it can be made again.

use std::io::{Read, Write};

use zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, Strategy, get_error_name};

use crate::Error;

/// The number of this compressor: another one whenever [`compress`] makes other bytes, be it because a parameter changed or because
/// zstd did, which a test notices. It is in the key of the kernel cache, and in every unpacked form.
pub const PARAMETERS: u16 = 1;
/// Logarithm of the window, and the largest one that is unpacked.
pub const WINDOW_LOG: u32 = 20;
/// Most bytes of a frame: a UKI has 8 MiB, with drivers for every machine some more.
pub const MAX_FRAME: u64 = 64 << 20;
/// Most bytes of its content.
pub const MAX_CONTENT: u64 = 256 << 20;
/// Most heap bytes that [`compress`] and [`pack`](crate::pack) take, whatever they are given: a test counts them.
pub const PACKER: usize = 7 << 20;
/// Most heap bytes that [`unpack`](crate::unpack) takes.
pub const UNPACKER: usize = 2 << 20;

/// Bytes that come in at a time, and go out.
const PIECE: usize = 128 << 10;
/// Most bytes of a frame's header.
pub(crate) const HEADER_LEN: usize = 18;
/// What a frame begins with.
const MAGIC: [u8; 4] = 0xfd2f_b528_u32.to_le_bytes();

/// Every parameter there is, so that none follows from a level, which another zstd may understand differently. Chosen by measuring a
/// kernel of 6.12: ADR 12 has what others cost and gain.
fn parameters() -> [CParameter; 10] {
    [
        CParameter::WindowLog(WINDOW_LOG),
        CParameter::HashLog(18),
        CParameter::ChainLog(19),
        CParameter::SearchLog(4),
        CParameter::MinMatch(3),
        CParameter::TargetLength(64),
        CParameter::Strategy(Strategy::ZSTD_btopt),
        CParameter::EnableLongDistanceMatching(false),
        CParameter::ContentSizeFlag(true),
        // What unpacks the kernel at boot holds it against this.
        CParameter::ChecksumFlag(true),
    ]
}

/// Compresses so many bytes into one frame; gives its length. The same bytes make the same frame.
pub fn compress(content: &mut impl Read, len: u64, out: &mut impl Write) -> Result<u64, Error> {
    let mut context = CCtx::try_create().ok_or(Error::Zstd { what: "out of memory" })?;
    for parameter in parameters() {
        context.set_parameter(parameter).map_err(refused)?;
    }
    context.set_pledged_src_size(Some(len)).map_err(refused)?;
    let (mut piece, mut packed) = (vec![0; PIECE], vec![0; PIECE]);
    let (mut left, mut frame) = (len, 0);
    while left > 0 {
        let count = left.min(PIECE as u64) as usize;
        let part = piece.get_mut(..count).unwrap_or_default();
        content.read_exact(part).map_err(Error::Read)?;
        left -= count as u64;
        let mut input = InBuffer::around(part);
        while input.pos() < count {
            let mut output = OutBuffer::around(&mut packed[..]);
            context.compress_stream(&mut output, &mut input).map_err(refused)?;
            frame += put(&output, out)?;
        }
    }
    loop {
        let mut output = OutBuffer::around(&mut packed[..]);
        let more = context.end_stream(&mut output).map_err(refused)?;
        frame += put(&output, out)?;
        if more == 0 {
            return Ok(frame);
        }
    }
}

/// Unpacks one frame of so many bytes into exactly as many as its header says; nothing may follow it.
pub(crate) fn decompress(
    frame: &mut impl Read,
    len: u64,
    content: u64,
    out: &mut impl Write,
) -> Result<(), Error> {
    let wrong = |what| Error::Frame { what };
    let mut context = DCtx::try_create().ok_or(Error::Zstd { what: "out of memory" })?;
    context.set_parameter(DParameter::WindowLogMax(WINDOW_LOG)).map_err(refused)?;
    let (mut packed, mut piece) = (vec![0; PIECE], vec![0; PIECE]);
    let (mut left, mut missing, mut ended) = (len, content, false);
    while left > 0 {
        let count = left.min(PIECE as u64) as usize;
        let part = packed.get_mut(..count).unwrap_or_default();
        frame.read_exact(part).map_err(Error::Read)?;
        left -= count as u64;
        let mut input = InBuffer::around(part);
        loop {
            // Behind its end another frame would begin.
            if ended && input.pos() < count {
                return Err(wrong("bytes follow it"));
            }
            let mut output = OutBuffer::around(&mut piece[..]);
            if !ended {
                ended = context.decompress_stream(&mut output, &mut input).map_err(refused)? == 0;
            }
            let full = output.pos() == PIECE;
            let some = put(&output, out)?;
            missing = missing.checked_sub(some).ok_or(wrong("more comes out than it says"))?;
            // What fills the buffer may not be all that there is.
            if input.pos() == count && !full {
                break;
            }
        }
    }
    match (ended, missing) {
        (true, 0) => Ok(()),
        _ => Err(wrong("it ends too early")),
    }
}

/// What the header of a frame says of its content's length.
pub(crate) fn content_len(head: &[u8]) -> Result<u64, Error> {
    let wrong = |what| Error::Frame { what };
    if !head.starts_with(&MAGIC) {
        return Err(wrong("it is no zstd frame"));
    }
    let len = zstd_safe::get_frame_content_size(head).map_err(|_| wrong("its header is damaged"))?;
    let len = len.ok_or(wrong("it does not say how long its content is"))?;
    if !(1..=MAX_CONTENT).contains(&len) {
        return Err(wrong("its content is empty or too long"));
    }
    Ok(len)
}

fn put(from: &OutBuffer<'_, [u8]>, out: &mut impl Write) -> Result<u64, Error> {
    out.write_all(from.as_slice()).map_err(Error::Write)?;
    Ok(from.pos() as u64)
}

fn refused(code: usize) -> Error {
    Error::Zstd { what: get_error_name(code) }
}
