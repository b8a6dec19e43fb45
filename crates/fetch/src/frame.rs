//! Frames, as [`crate::wire`] lays them out.

use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::error::Error;
use crate::wire::{MAX_FRAME, MAX_WORDS, Wrong};

const HEAD: usize = 5;
/// The most bytes of a body in one frame.
pub(crate) const MAX_DATA: usize = MAX_FRAME - HEAD;

/// One frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Answer(Bytes),
    Data(Bytes),
    End,
    Fault(Wrong),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Answer = b'A' as isize,
    Data = b'D' as isize,
    End = b'E' as isize,
    Fault = b'F' as isize,
}

/// What stands before a payload of that length; it must fit.
pub(crate) fn head(kind: Kind, payload: usize) -> io::Result<[u8; HEAD]> {
    let limit = if matches!(kind, Kind::Answer | Kind::Fault) { MAX_WORDS } else { MAX_DATA };
    let long = || io::Error::new(io::ErrorKind::InvalidInput, "a payload that fits no frame");
    let length = u32::try_from(payload).ok().filter(|_| payload <= limit).ok_or_else(long)?;
    let [a, b, c, d] = length.to_le_bytes();
    Ok([kind as u8, a, b, c, d])
}

/// Frames as they come. Whoever stops waiting for one loses nothing.
#[derive(Debug)]
pub(crate) struct Frames<R> {
    from: R,
    came: BytesMut,
}

impl<R: AsyncRead + Unpin> Frames<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, came: BytesMut::new() }
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Result<Frame, Error> {
        loop {
            if let Some(frame) = take(&mut self.came)? {
                return Ok(frame);
            }
            // Never more than one frame and what came along with it.
            self.came.reserve(MAX_FRAME.saturating_sub(self.came.len()).max(1));
            let read = self.from.read_buf(&mut self.came).await.map_err(|source| Error::Read { source })?;
            if read == 0 {
                return Err(Error::Gone);
            }
        }
    }
}

/// The frame that these bytes begin with, if all of it is there.
fn take(came: &mut BytesMut) -> Result<Option<Frame>, Error> {
    let Some(&[kind, a, b, c, d]) = came.first_chunk::<HEAD>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    let limit = match kind {
        b'A' | b'F' => MAX_WORDS,
        b'D' => MAX_DATA,
        b'E' => 0,
        _ => return Err(Error::Frame { what: "a kind that there is none of" }),
    };
    if length > limit {
        return Err(Error::Frame { what: "a frame that is too long" });
    }
    if came.len() < HEAD + length {
        return Ok(None);
    }
    came.advance(HEAD);
    let payload = came.split_to(length).freeze();
    Ok(Some(match kind {
        b'A' => Frame::Answer(payload),
        b'F' => Frame::Fault(words(&payload)?),
        b'D' if length > 0 => Frame::Data(payload),
        // Without end, they would be a way to be waited for without end.
        b'D' => return Err(Error::Frame { what: "data without a byte" }),
        _ => Frame::End,
    }))
}

/// The JSON of a payload.
pub(crate) fn words<T: DeserializeOwned>(payload: &[u8]) -> Result<T, Error> {
    serde_json::from_slice(payload).map_err(|source| Error::Words { source })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn frames(bytes: &[u8]) -> (Vec<Frame>, Error) {
        let mut frames = Frames::new(bytes);
        let mut all = Vec::new();
        loop {
            match frames.next().await {
                Ok(frame) => all.push(frame),
                Err(error) => return (all, error),
            }
        }
    }

    #[tokio::test]
    async fn by_the_byte() {
        let bytes = b"A\x02\0\0\0{}D\x03\0\0\0\0\n\xffE\0\0\0\0F\x0f\0\0\0{\"no_parts\":{}}D";
        let (all, error) = frames(bytes).await;
        let want = [
            Frame::Answer(Bytes::from_static(b"{}")),
            Frame::Data(Bytes::from_static(b"\0\n\xff")),
            Frame::End,
            Frame::Fault(Wrong::NoParts {}),
        ];
        assert_eq!(all.as_slice(), want.as_slice());
        assert!(matches!(error, Error::Gone), "{error}");
        assert_eq!(head(Kind::Data, 3).unwrap(), *b"D\x03\0\0\0");
    }

    #[tokio::test]
    async fn the_longest() {
        let mut bytes = head(Kind::Data, MAX_DATA).unwrap().to_vec();
        bytes.resize(MAX_FRAME, 7);
        let twice = [bytes.clone(), bytes].concat();
        let (all, _) = frames(&twice).await;
        assert_eq!(all.len(), 2);
        assert!(head(Kind::Data, MAX_DATA + 1).is_err());
        assert!(head(Kind::Fault, MAX_WORDS + 1).is_err());
    }

    #[tokio::test]
    async fn what_is_no_frame() {
        for bytes in [
            b"X\0\0\0\0".as_slice(),
            b"D\0\0\0\0",
            b"D\xfc\xff\0\0",
            b"D\xff\xff\xff\xff",
            b"A\x01\x20\0\0",
            b"E\x01\0\0\0x",
            b"F\x02\0\0\0{}",
            b"F\x0d\0\0\0{\"other\":{}}!",
            b"GET / HTTP/1.1\r\n",
        ] {
            let (all, error) = frames(bytes).await;
            assert_eq!(all, []);
            assert!(matches!(error, Error::Frame { .. } | Error::Words { .. }), "{bytes:?}: {error}");
        }
    }

    proptest! {
        /// Whatever comes, in whatever pieces: it ends with an error, and no more is given than came.
        #[test]
        fn no_bytes_are_more_than_they_are(
            bytes in proptest::collection::vec(prop_oneof![Just(0), Just(b'D'), Just(b'A'), any::<u8>()], 0..300),
            piece in 1usize..20,
        ) {
            let mut came = BytesMut::new();
            let mut given = 0;
            for piece in bytes.chunks(piece) {
                came.extend_from_slice(piece);
                while let Ok(Some(frame)) = take(&mut came) {
                    given += HEAD;
                    if let Frame::Data(data) | Frame::Answer(data) = frame {
                        given += data.len();
                    }
                }
            }
            prop_assert!(given <= bytes.len());
        }
    }
}
