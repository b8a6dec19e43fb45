//! The unpacked form: made of an image, and made an image again.

use std::io::{Read, Seek, SeekFrom, Write};

use crate::Error;
use crate::frame::{self, HEADER_LEN, MAX_CONTENT, MAX_FRAME, PARAMETERS};
use crate::payload::Payload;

/// Every part of a form begins at a multiple of this.
pub const BLOCK: usize = 4096;

const MAGIC: [u8; 8] = *b"CORABZI\x1a";
const VERSION: u16 = 1;
/// No image is longer: PE has 32-bit offsets.
const MAX_IMAGE: u64 = 1 << 32;

/// The first block of a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Where the frame lies, and how long everything is.
    pub payload: Payload,
}

impl Header {
    /// Reads one, and holds it against every cap.
    pub fn parse(block: &[u8; BLOCK]) -> Result<Self, Error> {
        let wrong = |what| Error::Form { what };
        let mut bytes = block.iter().copied();
        if take(&mut bytes) != MAGIC {
            return Err(wrong("it is none"));
        }
        if u16::from_le_bytes(take(&mut bytes)) != VERSION {
            return Err(wrong("another version"));
        }
        if u16::from_le_bytes(take(&mut bytes)) != PARAMETERS {
            return Err(wrong("packed by another compressor"));
        }
        if take(&mut bytes) != [0; 4] {
            return Err(wrong("bytes that should be zero"));
        }
        let [image, at, frame, content] = std::array::from_fn(|_| u64::from_le_bytes(take(&mut bytes)));
        if bytes.any(|byte| byte != 0) {
            return Err(wrong("bytes that should be zero"));
        }
        if image > MAX_IMAGE
            || !(HEADER_LEN as u64..=MAX_FRAME).contains(&frame)
            || !(1..=MAX_CONTENT).contains(&content)
            || at.checked_add(frame).is_none_or(|end| end > image)
        {
            return Err(wrong("a length that cannot be"));
        }
        Ok(Self { payload: Payload { image, at, frame, content } })
    }

    /// The bytes that [`Header::parse`] reads.
    #[must_use]
    pub fn encode(&self) -> [u8; BLOCK] {
        let Payload { image, at, frame, content } = self.payload;
        let mut block = [0; BLOCK];
        let fields = MAGIC.into_iter().chain(VERSION.to_le_bytes()).chain(PARAMETERS.to_le_bytes());
        let lengths = [image, at, frame, content].into_iter().flat_map(u64::to_le_bytes);
        block.iter_mut().zip(fields.chain([0; 4]).chain(lengths)).for_each(|(to, from)| *to = from);
        block
    }

    /// Bytes of the whole form. No sum overflows, as every length is within its cap.
    #[must_use]
    pub fn form_len(&self) -> u64 {
        let Payload { image, at, frame, content } = self.payload;
        let behind = image.saturating_sub(at).saturating_sub(frame);
        BLOCK as u64 + at + padding(at) + content + padding(content) + behind
    }
}

/// Writes the unpacked form of a UKI; gives its header. What [`pack`] makes of it need not be the image.
///
/// # Errors
/// All but [`Error::Form`] and [`Error::FrameLength`]. What was written by then is nothing.
pub fn unpack(uki: &mut (impl Read + Seek), out: &mut impl Write) -> Result<Header, Error> {
    let payload = Payload::find(uki)?;
    let header = Header { payload };
    let Payload { image, at, frame, content } = payload;
    uki.seek(SeekFrom::Start(0)).map_err(Error::Read)?;
    out.write_all(&header.encode()).map_err(Error::Write)?;
    copy(uki, at, out)?;
    fill(at, out)?;
    frame::decompress(uki, frame, content, out)?;
    fill(content, out)?;
    copy(uki, image.saturating_sub(at + frame), out)?;
    Ok(header)
}

/// Writes the image of an unpacked form, which is read from its beginning to its end.
///
/// # Errors
/// All but [`Error::Uki`], [`Error::Payload`] and [`Error::Frame`]. What was written by then is nothing.
pub fn pack(form: &mut impl Read, out: &mut impl Write) -> Result<Header, Error> {
    let mut block = [0; BLOCK];
    form.read_exact(&mut block).map_err(Error::Read)?;
    let header = Header::parse(&block)?;
    let Payload { image, at, frame, content } = header.payload;
    copy(form, at, out)?;
    pass(form, at)?;
    let got = frame::compress(form, content, out)?;
    if got != frame {
        return Err(Error::FrameLength { want: frame, got });
    }
    pass(form, content)?;
    copy(form, image.saturating_sub(at + frame), out)?;
    Ok(header)
}

fn take<const N: usize>(bytes: &mut impl Iterator<Item = u8>) -> [u8; N] {
    std::array::from_fn(|_| bytes.next().unwrap_or_default())
}

/// Bytes from here to the next block.
fn padding(len: u64) -> u64 {
    len.wrapping_neg() % BLOCK as u64
}

fn fill(len: u64, out: &mut impl Write) -> Result<(), Error> {
    let zeros = [0; BLOCK];
    out.write_all(zeros.get(..padding(len) as usize).unwrap_or_default()).map_err(Error::Write)
}

/// The other side of [`fill`].
fn pass(form: &mut impl Read, len: u64) -> Result<(), Error> {
    let mut zeros = [0; BLOCK];
    let zeros = zeros.get_mut(..padding(len) as usize).unwrap_or_default();
    form.read_exact(zeros).map_err(Error::Read)?;
    if zeros.iter().any(|byte| *byte != 0) {
        return Err(Error::Form { what: "bytes that should be zero" });
    }
    Ok(())
}

/// Exactly so many bytes.
fn copy(from: &mut impl Read, len: u64, out: &mut impl Write) -> Result<(), Error> {
    let mut piece = vec![0; (32 << 10).min(len as usize)];
    let mut left = len;
    while left > 0 {
        let count = left.min(piece.len() as u64) as usize;
        let part = piece.get_mut(..count).unwrap_or_default();
        from.read_exact(part).map_err(Error::Read)?;
        out.write_all(part).map_err(Error::Write)?;
        left -= count as u64;
    }
    Ok(())
}
