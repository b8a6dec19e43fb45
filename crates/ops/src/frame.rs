//! zstd frames, unpacked from memory to memory. Only bytes whose hash held come here.
//!
//! A body, and the header, is one frame of RFC 8878 that says the length of its content, asks for no dictionary by number and for
//! no window above 2^22 bytes. Unpacked in one go it needs no window at all; the cap is for readers that unpack by and by.

use zstd_safe::{DCtx, find_frame_compressed_size, get_error_name};

use crate::bytes::Bytes;
use crate::error::Error;
use crate::limits::WINDOW_LOG;

/// What every frame begins with.
const MAGIC: u32 = 0xfd2f_b528;

/// The length of a frame's content, once everything that the frame asks for is within the caps.
pub(crate) fn content_len(frame: &[u8]) -> Result<u64, Error> {
    let mut bytes = Bytes(frame);
    if bytes.u32()? != MAGIC {
        return Err(Error::Frame { reason: "magic number missing" });
    }
    let descriptor = bytes.u8()?;
    if descriptor & 0b1000 != 0 {
        return Err(Error::Frame { reason: "reserved bit set" });
    }
    if descriptor & 0b11 != 0 {
        return Err(Error::Frame { reason: "asks for a dictionary" });
    }
    let single_segment = descriptor & 0b10_0000 != 0;
    let window = if single_segment { None } else { Some(window_len(bytes.u8()?)) };
    let content = match descriptor >> 6 {
        0 if single_segment => u64::from(bytes.u8()?),
        0 => return Err(Error::Frame { reason: "length of the content missing" }),
        1 => 256 + u64::from(bytes.array().map(u16::from_le_bytes)?),
        2 => u64::from(bytes.u32()?),
        _ => bytes.u64()?,
    };
    let len = window.unwrap_or(content);
    if len > 1 << WINDOW_LOG {
        return Err(Error::Window { len });
    }
    Ok(content)
}

/// The window that a window descriptor asks for.
fn window_len(descriptor: u8) -> u64 {
    let base = 1_u64 << (10 + (descriptor >> 3));
    base + base / 8 * u64::from(descriptor & 7)
}

/// Unpacks one frame into exactly these bytes, with `prefix` as what came before its content.
pub(crate) fn unpack(frame: &[u8], prefix: &[u8], out: &mut [u8]) -> Result<(), Error> {
    let (want, got) = (out.len() as u64, content_len(frame)?);
    if want != got {
        return Err(Error::FrameLength { want, got });
    }
    let refused = |code| Error::Unpack { reason: get_error_name(code) };
    if find_frame_compressed_size(frame).map_err(refused)? != frame.len() {
        return Err(Error::Frame { reason: "bytes follow the frame" });
    }
    // One for each frame, as it may not outlive its prefix; making it costs far less than filling it.
    let mut decoder = DCtx::try_create().ok_or(Error::Unpack { reason: "out of memory" })?;
    if !prefix.is_empty() {
        decoder.ref_prefix(prefix).map_err(refused)?;
    }
    let written = decoder.decompress(out, frame).map_err(refused)?;
    if written as u64 != want {
        return Err(Error::FrameLength { want, got: written as u64 });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame header: descriptor, what follows it.
    fn frame(descriptor: u8, rest: &[u8]) -> Vec<u8> {
        [&MAGIC.to_le_bytes(), &[descriptor][..], rest].concat()
    }

    #[test]
    fn what_a_frame_asks_for_is_checked() {
        assert_eq!(content_len(&frame(0x20, &[7])).unwrap(), 7);
        assert_eq!(content_len(&frame(0x60, &[1, 0])).unwrap(), 257);
        assert_eq!(content_len(&frame(0xa0, &[0, 0, 0x40, 0])).unwrap(), 1 << 22);
        assert_eq!(content_len(&frame(0x80, &[12 << 3, 1, 0, 0, 0])).unwrap(), 1);
        for (bytes, name) in [
            (frame(0xa0, &[1, 0, 0x40, 0]), "single segment above the window"),
            (frame(0x80, &[12 << 3 | 1, 1, 0, 0, 0]), "window of 4.5 MiB"),
            (frame(0x80, &[0xff, 1, 0, 0, 0]), "largest window"),
            (frame(0xe0, &[0xff; 8]), "largest content"),
        ] {
            assert!(matches!(content_len(&bytes), Err(Error::Window { .. })), "{name}");
        }
        for (bytes, name) in [
            (frame(0x00, &[0, 0]), "no length"),
            (frame(0x28, &[0]), "reserved bit"),
            (frame(0x21, &[0, 0]), "dictionary"),
            (b"\x50\x2a\x4d\x18\x00\x00\x00\x00".to_vec(), "skippable"),
        ] {
            assert!(matches!(content_len(&bytes), Err(Error::Frame { .. })), "{name}");
        }
        assert!(matches!(content_len(&frame(0x80, &[0, 1])), Err(Error::Truncated)));
    }

    #[test]
    fn one_frame_of_the_stated_length_and_no_more() {
        let mut packed = [0; 64];
        let len = zstd_safe::compress(&mut packed[..], b"twelve bytes", 3).unwrap();
        let packed = &packed[..len];
        let mut out = [0; 12];
        unpack(packed, &[], &mut out).unwrap();
        assert_eq!(&out, b"twelve bytes");
        assert!(matches!(unpack(packed, &[], &mut [0; 11]), Err(Error::FrameLength { want: 11, got: 12 })));
        let twice = [packed, packed].concat();
        assert!(matches!(unpack(&twice, &[], &mut out), Err(Error::Frame { .. })));
        assert!(matches!(unpack(&packed[..len - 1], &[], &mut out), Err(Error::Unpack { .. })));
    }
}
